-- Every ISO week that a window touches, by scope. Only what is in the window counts. Made by tools/views.py from sql/source/weeks.sql.j2.
CREATE OR REPLACE FUNCTION metrics_by_week("from" timestamptz, "to" timestamptz, "now" timestamptz)
RETURNS TABLE (
  repository text,
  service text,
  environment text,
  team text,
  week date,
  starts_at timestamptz,
  ends_at timestamptz,
  partial boolean,
  deployments bigint,
  deployment_days bigint,
  changes bigint,
  lead_p50_seconds double precision,
  failed_deployments bigint,
  counted_deployments bigint,
  change_failure_ratio double precision,
  recovery_p50_seconds double precision,
  rework_deployments bigint,
  reached_deployments bigint,
  rework_ratio double precision,
  incidents bigint
)
LANGUAGE sql STABLE
AS $$
WITH members AS (
  SELECT
    repository,
    service,
    environment,
    team,
    began_at,
    timezone,
    knows_incidents
  FROM scopes
), weeks AS (
  /* A week is partial if it is not all in the window, not over, or before the first recorded deployment. */
  SELECT
    repository,
    service,
    environment,
    MAX(team) AS team,
    week,
    MIN(starts_at) AS starts_at,
    MAX(ends_at) AS ends_at,
    NOT BOOL_OR(starts_at >= "from" AND ends_at <= LEAST("to", "now") AND COALESCE(began_at < ends_at, FALSE)) AS partial,
    MIN(began_at) AS began_at,
    BOOL_OR(knows_incidents) AS knows_incidents
  FROM members
  JOIN week_starts
    USING (timezone)
  WHERE
    ends_at > "from" AND starts_at < "to" AND "from" < "to"
  GROUP BY
    repository,
    service,
    environment,
    week
), attempts AS (
  SELECT
    repository,
    service,
    environment,
    week,
    day,
    status,
    reached_users,
    counts,
    failed,
    recovery_seconds,
    rework
  FROM deployments
  JOIN members
    USING (repository, service, environment)
  WHERE
    finished_at >= "from" AND finished_at < "to"
), deployed AS (
  SELECT
    repository,
    service,
    environment,
    week,
    SUM(CASE WHEN status = 'success' THEN 1 ELSE 0 END) AS deployments,
    COUNT(DISTINCT CASE WHEN status = 'success' THEN day ELSE NULL END) AS deployment_days,
    SUM(CASE WHEN failed THEN 1 ELSE 0 END) AS failed_deployments,
    SUM(CASE WHEN counts THEN 1 ELSE 0 END) AS counted_deployments,
    SUM(CASE WHEN reached_users AND rework THEN 1 ELSE 0 END) AS rework_deployments,
    SUM(CASE WHEN reached_users THEN 1 ELSE 0 END) AS reached_deployments
  FROM attempts
  GROUP BY
    repository,
    service,
    environment,
    week
), recovery AS (
  SELECT
    repository,
    service,
    environment,
    week,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      recovery_seconds) AS recovery_p50_seconds
  FROM attempts
  WHERE
    failed AND NOT recovery_seconds IS NULL
  GROUP BY
    repository,
    service,
    environment,
    week
), delivered AS (
  SELECT
    repository,
    service,
    environment,
    week,
    seconds
  FROM lead_times
  JOIN members
    USING (repository, service, environment)
  WHERE
    deployed_at >= "from" AND deployed_at < "to" AND excluded IS NULL
), lead_times_by_week AS (
  SELECT
    repository,
    service,
    environment,
    week,
    COUNT(*) AS changes,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      seconds) AS lead_p50_seconds
  FROM delivered
  GROUP BY
    repository,
    service,
    environment,
    week
), incident_counts AS (
  SELECT
    repository,
    service,
    environment,
    week,
    COUNT(*) AS incidents
  FROM incidents
  JOIN members
    USING (repository, service, environment)
  WHERE
    detected_at >= "from" AND detected_at < "to"
  GROUP BY
    repository,
    service,
    environment,
    week
)
SELECT
  repository,
  service,
  environment,
  team,
  week,
  starts_at,
  ends_at,
  partial,
  COALESCE(deployments, 0) AS deployments,
  COALESCE(deployment_days, 0) AS deployment_days,
  COALESCE(changes, 0) AS changes,
  lead_p50_seconds,
  COALESCE(failed_deployments, 0) AS failed_deployments,
  COALESCE(counted_deployments, 0) AS counted_deployments,
  CASE
    WHEN knows_incidents OR failed_deployments > 0
    THEN CASE
      WHEN counted_deployments <> 0
      THEN CAST(failed_deployments AS DOUBLE PRECISION) / counted_deployments
      ELSE NULL
    END
    ELSE NULL
  END AS change_failure_ratio,
  recovery_p50_seconds,
  COALESCE(rework_deployments, 0) AS rework_deployments,
  COALESCE(reached_deployments, 0) AS reached_deployments,
  CASE
    WHEN reached_deployments <> 0
    THEN CAST(rework_deployments AS DOUBLE PRECISION) / reached_deployments
    ELSE NULL
  END AS rework_ratio,
  CASE WHEN knows_incidents THEN COALESCE(incidents, 0) ELSE NULL END AS incidents
FROM weeks
LEFT JOIN deployed
  USING (repository, service, environment, week)
LEFT JOIN recovery
  USING (repository, service, environment, week)
LEFT JOIN lead_times_by_week
  USING (repository, service, environment, week)
LEFT JOIN incident_counts
  USING (repository, service, environment, week)
$$;
