-- Every ISO week since the first recorded deployment of a scope. Made by tools/views.py from sql/source/weeks.sql.j2.
CREATE OR REPLACE VIEW `${dataset}.metrics_weekly`
AS (
WITH members AS (
  SELECT
    repository,
    service,
    environment,
    team,
    began_at,
    timezone,
    knows_incidents
  FROM `${dataset}.scopes`
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
    NOT LOGICAL_OR(
      starts_at >= CAST('1970-01-01 00:00:00+00' AS TIMESTAMP)
      AND ends_at <= LEAST(CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP())
      AND COALESCE(began_at < ends_at, FALSE)
    ) AS partial,
    MIN(began_at) AS began_at,
    LOGICAL_OR(knows_incidents) AS knows_incidents
  FROM members
  JOIN `${dataset}.week_starts`
    USING (timezone)
  WHERE
    ends_at > CAST('1970-01-01 00:00:00+00' AS TIMESTAMP)
    AND starts_at < CURRENT_TIMESTAMP()
    AND CAST('1970-01-01 00:00:00+00' AS TIMESTAMP) < CURRENT_TIMESTAMP()
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
  FROM `${dataset}.deployments`
  JOIN members
    USING (repository, service, environment)
  WHERE
    finished_at >= CAST('1970-01-01 00:00:00+00' AS TIMESTAMP) AND finished_at < CURRENT_TIMESTAMP()
), deployed AS (
  SELECT
    repository,
    service,
    environment,
    week,
    COUNTIF(status = 'success') AS deployments,
    COUNT(DISTINCT IF(status = 'success', day, NULL)) AS deployment_days,
    COUNTIF(failed) AS failed_deployments,
    COUNTIF(counts) AS counted_deployments,
    COUNTIF(reached_users AND rework) AS rework_deployments,
    COUNTIF(reached_users) AS reached_deployments
  FROM attempts
  GROUP BY
    repository,
    service,
    environment,
    week
), recovery AS (
  SELECT DISTINCT
    repository,
    service,
    environment,
    week,
    PERCENTILE_CONT(recovery_seconds, 0.5) OVER (PARTITION BY repository, service, environment, week) AS recovery_p50_seconds
  FROM attempts
  WHERE
    failed AND NOT recovery_seconds IS NULL
), delivered AS (
  SELECT
    repository,
    service,
    environment,
    week,
    seconds
  FROM `${dataset}.lead_times`
  JOIN members
    USING (repository, service, environment)
  WHERE
    deployed_at >= CAST('1970-01-01 00:00:00+00' AS TIMESTAMP)
    AND deployed_at < CURRENT_TIMESTAMP()
    AND excluded IS NULL
), lead_times_by_week AS (
  SELECT DISTINCT
    repository,
    service,
    environment,
    week,
    COUNT(*) OVER (PARTITION BY repository, service, environment, week) AS changes,
    PERCENTILE_CONT(seconds, 0.5) OVER (PARTITION BY repository, service, environment, week) AS lead_p50_seconds
  FROM delivered
), incident_counts AS (
  SELECT
    repository,
    service,
    environment,
    week,
    COUNT(*) AS incidents
  FROM `${dataset}.incidents`
  JOIN members
    USING (repository, service, environment)
  WHERE
    detected_at >= CAST('1970-01-01 00:00:00+00' AS TIMESTAMP) AND detected_at < CURRENT_TIMESTAMP()
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
  IF(knows_incidents OR failed_deployments > 0, SAFE_DIVIDE(failed_deployments, counted_deployments), NULL) AS change_failure_ratio,
  recovery_p50_seconds,
  COALESCE(rework_deployments, 0) AS rework_deployments,
  COALESCE(reached_deployments, 0) AS reached_deployments,
  SAFE_DIVIDE(rework_deployments, reached_deployments) AS rework_ratio,
  IF(knows_incidents, COALESCE(incidents, 0), NULL) AS incidents
FROM weeks
LEFT JOIN deployed
  USING (repository, service, environment, week)
LEFT JOIN recovery
  USING (repository, service, environment, week)
LEFT JOIN lead_times_by_week
  USING (repository, service, environment, week)
LEFT JOIN incident_counts
  USING (repository, service, environment, week)
WHERE
  ends_at > began_at OR incidents > 0
);
