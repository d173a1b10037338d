-- Every incident that is not resolved. Made by tools/views.py from sql/source/open_incidents.sql.j2.
CREATE OR REPLACE VIEW `${dataset}.open_incidents`
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
  TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), detected_at, MICROSECOND) / 1000000 AS open_seconds,
  deployment,
  because
FROM `${dataset}.incidents`
JOIN `${dataset}.scopes`
  USING (repository, service, environment)
WHERE
  resolved_at IS NULL
);
