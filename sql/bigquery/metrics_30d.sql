-- The metrics of every scope in the last 30 days. Made by tools/views.py from sql/source/metrics.sql.j2.
CREATE OR REPLACE VIEW `${dataset}.metrics_30d`
AS (
WITH members AS (
  SELECT
    repository,
    service,
    environment,
    team,
    began_at,
    timezone,
    knows_incidents,
    knows_rollbacks
  FROM `${dataset}.scopes`
), pools AS (
  SELECT
    repository,
    service,
    environment,
    MAX(team) AS team,
    MIN(began_at) AS began_at,
    LOGICAL_OR(knows_incidents) AS knows_incidents
  FROM members
  GROUP BY
    repository,
    service,
    environment
), attempts AS (
  SELECT
    repository,
    service,
    environment,
    day,
    week,
    status,
    reached_users,
    counts,
    failed,
    recovered_at,
    recovery_seconds,
    rework,
    knows_incidents,
    knows_rollbacks
  FROM `${dataset}.deployments`
  JOIN members
    USING (repository, service, environment)
  WHERE
    finished_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR) AND finished_at < CURRENT_TIMESTAMP()
), deployed AS (
  SELECT
    repository,
    service,
    environment,
    COUNTIF(status = 'success') AS deployments,
    COUNT(DISTINCT IF(status = 'success', day, NULL)) AS deployment_days,
    COUNTIF(failed) AS failed_deployments,
    COUNTIF(counts) AS counted_deployments,
    LOGICAL_OR(counts AND NOT knows_incidents) AS change_failure_rate_at_least,
    COUNTIF(failed AND NOT recovery_seconds IS NULL) AS recovered,
    COUNTIF(failed AND recovered_at IS NULL) AS open_failures,
    AVG(IF(failed, recovery_seconds, NULL)) AS recovery_mean_seconds,
    COUNTIF(reached_users AND rework) AS rework_deployments,
    COUNTIF(reached_users) AS reached_deployments,
    LOGICAL_OR(reached_users AND NOT knows_rollbacks) AS rework_rate_at_least,
    COUNTIF(status = 'failure') AS failed_runs
  FROM attempts
  GROUP BY
    repository,
    service,
    environment
), recovery_quantiles AS (
  SELECT DISTINCT
    repository,
    service,
    environment,
    PERCENTILE_CONT(recovery_seconds, 0.5) OVER (PARTITION BY repository, service, environment) AS recovery_p50_seconds,
    PERCENTILE_CONT(recovery_seconds, 0.9) OVER (PARTITION BY repository, service, environment) AS recovery_p90_seconds
  FROM attempts
  WHERE
    failed AND NOT recovery_seconds IS NULL
), delivered AS (
  SELECT
    repository,
    service,
    environment,
    seconds,
    excluded,
    changes,
    starts_too_late,
    coding_seconds,
    pickup_seconds,
    review_seconds,
    delivery_seconds
  FROM `${dataset}.lead_times`
  JOIN members
    USING (repository, service, environment)
  WHERE
    deployed_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR) AND deployed_at < CURRENT_TIMESTAMP()
), lead_counts AS (
  SELECT
    repository,
    service,
    environment,
    COUNTIF(excluded IS NULL) AS changes,
    COUNTIF(starts_too_late) AS late_starts,
    AVG(seconds) AS lead_mean_seconds,
    SUM(IF(excluded = 'first_deployment', changes, 0)) AS excluded_first_deployment,
    SUM(IF(excluded = 'bots', changes, 0)) AS excluded_bots,
    SUM(IF(excluded = 'no_start', changes, 0)) AS excluded_no_start,
    SUM(IF(excluded = 'negative', changes, 0)) AS excluded_negative
  FROM delivered
  GROUP BY
    repository,
    service,
    environment
), lead_quantiles AS (
  /* A stage that is not known is null, and quantiles leave nulls out. */
  SELECT DISTINCT
    repository,
    service,
    environment,
    PERCENTILE_CONT(seconds, 0.5) OVER (PARTITION BY repository, service, environment) AS lead_p50_seconds,
    PERCENTILE_CONT(seconds, 0.75) OVER (PARTITION BY repository, service, environment) AS lead_p75_seconds,
    PERCENTILE_CONT(seconds, 0.9) OVER (PARTITION BY repository, service, environment) AS lead_p90_seconds,
    PERCENTILE_CONT(seconds, 0.95) OVER (PARTITION BY repository, service, environment) AS lead_p95_seconds,
    PERCENTILE_CONT(coding_seconds, 0.5) OVER (PARTITION BY repository, service, environment) AS coding_p50_seconds,
    PERCENTILE_CONT(pickup_seconds, 0.5) OVER (PARTITION BY repository, service, environment) AS pickup_p50_seconds,
    PERCENTILE_CONT(review_seconds, 0.5) OVER (PARTITION BY repository, service, environment) AS review_p50_seconds,
    PERCENTILE_CONT(delivery_seconds, 0.5) OVER (PARTITION BY repository, service, environment) AS delivery_p50_seconds
  FROM delivered
  WHERE
    excluded IS NULL
), reported AS (
  /* An incident counts as detected in one window, and as resolved in the same or a later one. */
  SELECT
    repository,
    service,
    environment,
    deployment,
    resolved_at,
    restore_seconds,
    detected_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR) AND detected_at < CURRENT_TIMESTAMP() AS is_detected,
    COALESCE(
      resolved_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR) AND resolved_at < CURRENT_TIMESTAMP(),
      FALSE
    ) AS is_resolved
  FROM `${dataset}.incidents`
  JOIN members
    USING (repository, service, environment)
), incident_counts AS (
  SELECT
    repository,
    service,
    environment,
    COUNTIF(is_detected) AS incidents,
    COUNTIF(is_resolved) AS resolved,
    COUNTIF(is_detected AND resolved_at IS NULL) AS open_incidents,
    COUNTIF(is_detected AND deployment IS NULL) AS unmatched_incidents,
    AVG(IF(is_resolved, restore_seconds, NULL)) AS restore_mean_seconds
  FROM reported
  GROUP BY
    repository,
    service,
    environment
), restore_quantiles AS (
  SELECT DISTINCT
    repository,
    service,
    environment,
    PERCENTILE_CONT(restore_seconds, 0.5) OVER (PARTITION BY repository, service, environment) AS restore_p50_seconds,
    PERCENTILE_CONT(restore_seconds, 0.9) OVER (PARTITION BY repository, service, environment) AS restore_p90_seconds
  FROM reported
  WHERE
    is_resolved AND NOT restore_seconds IS NULL
), pipeline AS (
  SELECT DISTINCT
    repository,
    service,
    environment,
    PERCENTILE_CONT(seconds, 0.5) OVER (PARTITION BY repository, service, environment) AS pipeline_recovery_p50_seconds
  FROM `${dataset}.streaks`
  JOIN members
    USING (repository, service, environment)
  WHERE
    since >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR)
    AND since < CURRENT_TIMESTAMP()
    AND NOT seconds IS NULL
), complete_weeks AS (
  /* Weeks without a deployment count too, from the week of the first recorded one. */
  SELECT DISTINCT
    repository,
    service,
    environment,
    week
  FROM members
  JOIN `${dataset}.week_starts`
    USING (timezone)
  WHERE
    starts_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR)
    AND ends_at <= LEAST(CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP())
    AND began_at < ends_at
), days_by_week AS (
  SELECT
    repository,
    service,
    environment,
    week,
    COUNT(DISTINCT IF(status = 'success', day, NULL)) AS deployment_days
  FROM complete_weeks
  LEFT JOIN attempts
    USING (repository, service, environment, week)
  GROUP BY
    repository,
    service,
    environment,
    week
), typical_week AS (
  SELECT DISTINCT
    repository,
    service,
    environment,
    PERCENTILE_CONT(deployment_days, 0.5) OVER (PARTITION BY repository, service, environment) AS median_deployment_days_per_week
  FROM days_by_week
), measured AS (
  /* Deployment frequency has a value only if the first recorded deployment is before the end of the window. */
  SELECT
    *,
    TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR), MICROSECOND) / 86400000000 AS days,
    COALESCE(
      began_at < CURRENT_TIMESTAMP() AND TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR) < CURRENT_TIMESTAMP(),
      FALSE
    ) AS has_begun
  FROM pools
)
SELECT
  repository,
  service,
  environment,
  team,
  TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 720 HOUR) AS window_from,
  CURRENT_TIMESTAMP() AS window_to,
  days,
  COALESCE(deployments, 0) AS deployments,
  IF(has_begun, COALESCE(deployments, 0) / days, NULL) AS deployments_per_day,
  COALESCE(deployment_days, 0) AS deployment_days,
  IF(has_begun, median_deployment_days_per_week, NULL) AS median_deployment_days_per_week,
  COALESCE(changes, 0) AS changes,
  lead_p50_seconds,
  lead_p75_seconds,
  lead_p90_seconds,
  lead_p95_seconds,
  lead_mean_seconds,
  COALESCE(changes > 0 AND changes <= 2 * late_starts, FALSE) AS lead_time_at_least, /* If half of the changes began earlier than is known, the median may be any higher. */
  coding_p50_seconds,
  pickup_p50_seconds,
  review_p50_seconds,
  delivery_p50_seconds,
  COALESCE(excluded_first_deployment, 0) AS excluded_first_deployment,
  COALESCE(excluded_bots, 0) AS excluded_bots,
  COALESCE(excluded_no_start, 0) AS excluded_no_start,
  COALESCE(excluded_negative, 0) AS excluded_negative,
  COALESCE(failed_deployments, 0) AS failed_deployments,
  COALESCE(counted_deployments, 0) AS counted_deployments,
  SAFE_DIVIDE(failed_deployments, counted_deployments) AS change_failure_ratio,
  COALESCE(change_failure_rate_at_least, FALSE) AS change_failure_rate_at_least,
  COALESCE(recovered, 0) AS recovered,
  COALESCE(open_failures, 0) AS open_failures,
  recovery_p50_seconds,
  recovery_p90_seconds,
  recovery_mean_seconds,
  COALESCE(rework_deployments, 0) AS rework_deployments,
  COALESCE(reached_deployments, 0) AS reached_deployments,
  SAFE_DIVIDE(rework_deployments, reached_deployments) AS rework_ratio,
  COALESCE(rework_rate_at_least, FALSE) AS rework_rate_at_least,
  IF(knows_incidents, COALESCE(incidents, 0), NULL) AS incidents,
  IF(knows_incidents, COALESCE(resolved, 0), NULL) AS resolved,
  IF(knows_incidents, COALESCE(open_incidents, 0), NULL) AS open_incidents,
  IF(knows_incidents, COALESCE(unmatched_incidents, 0), NULL) AS unmatched_incidents,
  restore_p50_seconds,
  restore_p90_seconds,
  restore_mean_seconds,
  COALESCE(failed_runs, 0) AS failed_runs,
  pipeline_recovery_p50_seconds
FROM measured
LEFT JOIN deployed
  USING (repository, service, environment)
LEFT JOIN recovery_quantiles
  USING (repository, service, environment)
LEFT JOIN lead_counts
  USING (repository, service, environment)
LEFT JOIN lead_quantiles
  USING (repository, service, environment)
LEFT JOIN incident_counts
  USING (repository, service, environment)
LEFT JOIN restore_quantiles
  USING (repository, service, environment)
LEFT JOIN pipeline
  USING (repository, service, environment)
LEFT JOIN typical_week
  USING (repository, service, environment)
);
