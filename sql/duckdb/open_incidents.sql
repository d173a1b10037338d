-- Every incident that is not resolved. Made by tools/views.py from sql/source/open_incidents.sql.j2.
CREATE OR REPLACE VIEW open_incidents
AS (
SELECT
  repository,
  service,
  environment,
  team,
  id AS incident,
  title,
  severity,
  source,
  url,
  detected_at,
  DATE_DIFF('MICROSECOND', detected_at, CURRENT_TIMESTAMP) / 1000000 AS open_seconds,
  deployment,
  because
FROM (
  SELECT
    *
    REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(detected_at)) AS detected_at, MAKE_TIMESTAMPTZ(EPOCH_US(resolved_at)) AS resolved_at)
  FROM incidents
) AS incidents
JOIN scopes
  USING (repository, service, environment)
WHERE
  resolved_at IS NULL
);
