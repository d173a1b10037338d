-- Every failed deployment, with its reason and its recovery. Made by tools/views.py from sql/source/failures.sql.j2.
CREATE OR REPLACE VIEW failures
AS (
SELECT
  repository,
  service,
  environment,
  team,
  id AS deployment,
  version,
  sha,
  url,
  finished_at AS failed_at,
  failure_rule,
  failure_because,
  remediated_by,
  recovered_at,
  recovery_seconds,
  recovered_at IS NULL AS is_open
FROM (
  SELECT
    *
    REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(finished_at)) AS finished_at, MAKE_TIMESTAMPTZ(EPOCH_US(recovered_at)) AS recovered_at)
  FROM deployments
) AS deployments
JOIN scopes
  USING (repository, service, environment)
WHERE
  failed
);
