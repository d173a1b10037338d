-- The metrics of all scopes together, from the values of each. Made by tools/views.py from sql/source/metrics.sql.j2.
CREATE OR REPLACE FUNCTION metrics_pooled("from" timestamptz, "to" timestamptz, "now" timestamptz)
RETURNS TABLE (
  scopes bigint,
  window_from timestamptz,
  window_to timestamptz,
  days double precision,
  deployments bigint,
  deployments_per_day double precision,
  deployment_days bigint,
  median_deployment_days_per_week double precision,
  changes bigint,
  lead_p50_seconds double precision,
  lead_p75_seconds double precision,
  lead_p90_seconds double precision,
  lead_p95_seconds double precision,
  lead_mean_seconds double precision,
  lead_time_at_least boolean,
  coding_p50_seconds double precision,
  pickup_p50_seconds double precision,
  review_p50_seconds double precision,
  delivery_p50_seconds double precision,
  excluded_first_deployment bigint,
  excluded_bots bigint,
  excluded_no_start bigint,
  excluded_negative bigint,
  failed_deployments bigint,
  counted_deployments bigint,
  change_failure_ratio double precision,
  change_failure_rate_at_least boolean,
  recovered bigint,
  open_failures bigint,
  recovery_p50_seconds double precision,
  recovery_p90_seconds double precision,
  recovery_mean_seconds double precision,
  rework_deployments bigint,
  reached_deployments bigint,
  rework_ratio double precision,
  rework_rate_at_least boolean,
  incidents bigint,
  resolved bigint,
  open_incidents bigint,
  unmatched_incidents bigint,
  restore_p50_seconds double precision,
  restore_p90_seconds double precision,
  restore_mean_seconds double precision,
  failed_runs bigint,
  pipeline_recovery_p50_seconds double precision
)
LANGUAGE sql STABLE
AS $$
WITH members AS (
  SELECT
    repository,
    service,
    environment,
    TRUE AS is_member,
    began_at,
    timezone,
    knows_incidents,
    knows_rollbacks
  FROM scopes
), pools AS (
  SELECT
    is_member,
    COUNT(*) AS scopes,
    MIN(began_at) AS began_at,
    BOOL_OR(knows_incidents) AS knows_incidents
  FROM members
  GROUP BY
    is_member
), attempts AS (
  SELECT
    is_member,
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
  FROM deployments
  JOIN members
    USING (repository, service, environment)
  WHERE
    finished_at >= "from" AND finished_at < "to"
), deployed AS (
  SELECT
    is_member,
    SUM(CASE WHEN status = 'success' THEN 1 ELSE 0 END) AS deployments,
    COUNT(DISTINCT CASE WHEN status = 'success' THEN day ELSE NULL END) AS deployment_days,
    SUM(CASE WHEN failed THEN 1 ELSE 0 END) AS failed_deployments,
    SUM(CASE WHEN counts THEN 1 ELSE 0 END) AS counted_deployments,
    BOOL_OR(counts AND NOT knows_incidents) AS change_failure_rate_at_least,
    SUM(CASE WHEN failed AND NOT recovery_seconds IS NULL THEN 1 ELSE 0 END) AS recovered,
    SUM(CASE WHEN failed AND recovered_at IS NULL THEN 1 ELSE 0 END) AS open_failures,
    AVG(CASE WHEN failed THEN recovery_seconds ELSE NULL END) AS recovery_mean_seconds,
    SUM(CASE WHEN reached_users AND rework THEN 1 ELSE 0 END) AS rework_deployments,
    SUM(CASE WHEN reached_users THEN 1 ELSE 0 END) AS reached_deployments,
    BOOL_OR(reached_users AND NOT knows_rollbacks) AS rework_rate_at_least,
    SUM(CASE WHEN status = 'failure' THEN 1 ELSE 0 END) AS failed_runs
  FROM attempts
  GROUP BY
    is_member
), recovery_quantiles AS (
  SELECT
    is_member,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      recovery_seconds) AS recovery_p50_seconds,
    PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY
      recovery_seconds) AS recovery_p90_seconds
  FROM attempts
  WHERE
    failed AND NOT recovery_seconds IS NULL
  GROUP BY
    is_member
), delivered AS (
  SELECT
    is_member,
    seconds,
    excluded,
    changes,
    starts_too_late,
    coding_seconds,
    pickup_seconds,
    review_seconds,
    delivery_seconds
  FROM lead_times
  JOIN members
    USING (repository, service, environment)
  WHERE
    deployed_at >= "from" AND deployed_at < "to"
), lead_counts AS (
  SELECT
    is_member,
    SUM(CASE WHEN excluded IS NULL THEN 1 ELSE 0 END) AS changes,
    SUM(CASE WHEN starts_too_late THEN 1 ELSE 0 END) AS late_starts,
    AVG(seconds) AS lead_mean_seconds,
    SUM(CASE WHEN excluded = 'first_deployment' THEN changes ELSE 0 END) AS excluded_first_deployment,
    SUM(CASE WHEN excluded = 'bots' THEN changes ELSE 0 END) AS excluded_bots,
    SUM(CASE WHEN excluded = 'no_start' THEN changes ELSE 0 END) AS excluded_no_start,
    SUM(CASE WHEN excluded = 'negative' THEN changes ELSE 0 END) AS excluded_negative
  FROM delivered
  GROUP BY
    is_member
), lead_quantiles AS (
  /* A stage that is not known is null, and quantiles leave nulls out. */
  SELECT
    is_member,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      seconds) AS lead_p50_seconds,
    PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY
      seconds) AS lead_p75_seconds,
    PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY
      seconds) AS lead_p90_seconds,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY
      seconds) AS lead_p95_seconds,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      coding_seconds) AS coding_p50_seconds,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      pickup_seconds) AS pickup_p50_seconds,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      review_seconds) AS review_p50_seconds,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      delivery_seconds) AS delivery_p50_seconds
  FROM delivered
  WHERE
    excluded IS NULL
  GROUP BY
    is_member
), reported AS (
  /* An incident counts as detected in one window, and as resolved in the same or a later one. */
  SELECT
    is_member,
    deployment,
    resolved_at,
    restore_seconds,
    detected_at >= "from" AND detected_at < "to" AS is_detected,
    COALESCE(resolved_at >= "from" AND resolved_at < "to", FALSE) AS is_resolved
  FROM incidents
  JOIN members
    USING (repository, service, environment)
), incident_counts AS (
  SELECT
    is_member,
    SUM(CASE WHEN is_detected THEN 1 ELSE 0 END) AS incidents,
    SUM(CASE WHEN is_resolved THEN 1 ELSE 0 END) AS resolved,
    SUM(CASE WHEN is_detected AND resolved_at IS NULL THEN 1 ELSE 0 END) AS open_incidents,
    SUM(CASE WHEN is_detected AND deployment IS NULL THEN 1 ELSE 0 END) AS unmatched_incidents,
    AVG(CASE WHEN is_resolved THEN restore_seconds ELSE NULL END) AS restore_mean_seconds
  FROM reported
  GROUP BY
    is_member
), restore_quantiles AS (
  SELECT
    is_member,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      restore_seconds) AS restore_p50_seconds,
    PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY
      restore_seconds) AS restore_p90_seconds
  FROM reported
  WHERE
    is_resolved AND NOT restore_seconds IS NULL
  GROUP BY
    is_member
), pipeline AS (
  SELECT
    is_member,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      seconds) AS pipeline_recovery_p50_seconds
  FROM streaks
  JOIN members
    USING (repository, service, environment)
  WHERE
    since >= "from" AND since < "to" AND NOT seconds IS NULL
  GROUP BY
    is_member
), complete_weeks AS (
  /* Weeks without a deployment count too, from the week of the first recorded one. */
  SELECT DISTINCT
    is_member,
    week
  FROM members
  JOIN week_starts
    USING (timezone)
  WHERE
    starts_at >= "from" AND ends_at <= LEAST("to", "now") AND began_at < ends_at
), days_by_week AS (
  SELECT
    is_member,
    week,
    COUNT(DISTINCT CASE WHEN status = 'success' THEN day ELSE NULL END) AS deployment_days
  FROM complete_weeks
  LEFT JOIN attempts
    USING (is_member, week)
  GROUP BY
    is_member,
    week
), typical_week AS (
  SELECT
    is_member,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      deployment_days) AS median_deployment_days_per_week
  FROM days_by_week
  GROUP BY
    is_member
), measured AS (
  /* Deployment frequency has a value only if the first recorded deployment is before the end of the window. */
  SELECT
    *,
    CAST(EXTRACT(EPOCH FROM (
      "to" - "from"
    )) * 1000000 AS DOUBLE PRECISION) / 86400000000 AS days,
    COALESCE(began_at < "to" AND "from" < "to", FALSE) AS has_begun
  FROM pools
)
SELECT
  scopes,
  "from" AS window_from,
  "to" AS window_to,
  days,
  COALESCE(deployments, 0) AS deployments,
  CASE WHEN has_begun THEN CAST(COALESCE(deployments, 0) AS DOUBLE PRECISION) / days ELSE NULL END AS deployments_per_day,
  COALESCE(deployment_days, 0) AS deployment_days,
  CASE WHEN has_begun THEN median_deployment_days_per_week ELSE NULL END AS median_deployment_days_per_week,
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
  CASE
    WHEN counted_deployments <> 0
    THEN CAST(failed_deployments AS DOUBLE PRECISION) / counted_deployments
    ELSE NULL
  END AS change_failure_ratio,
  COALESCE(change_failure_rate_at_least, FALSE) AS change_failure_rate_at_least,
  COALESCE(recovered, 0) AS recovered,
  COALESCE(open_failures, 0) AS open_failures,
  recovery_p50_seconds,
  recovery_p90_seconds,
  recovery_mean_seconds,
  COALESCE(rework_deployments, 0) AS rework_deployments,
  COALESCE(reached_deployments, 0) AS reached_deployments,
  CASE
    WHEN reached_deployments <> 0
    THEN CAST(rework_deployments AS DOUBLE PRECISION) / reached_deployments
    ELSE NULL
  END AS rework_ratio,
  COALESCE(rework_rate_at_least, FALSE) AS rework_rate_at_least,
  CASE WHEN knows_incidents THEN COALESCE(incidents, 0) ELSE NULL END AS incidents,
  CASE WHEN knows_incidents THEN COALESCE(resolved, 0) ELSE NULL END AS resolved,
  CASE WHEN knows_incidents THEN COALESCE(open_incidents, 0) ELSE NULL END AS open_incidents,
  CASE WHEN knows_incidents THEN COALESCE(unmatched_incidents, 0) ELSE NULL END AS unmatched_incidents,
  restore_p50_seconds,
  restore_p90_seconds,
  restore_mean_seconds,
  COALESCE(failed_runs, 0) AS failed_runs,
  pipeline_recovery_p50_seconds
FROM measured
LEFT JOIN deployed
  USING (is_member)
LEFT JOIN recovery_quantiles
  USING (is_member)
LEFT JOIN lead_counts
  USING (is_member)
LEFT JOIN lead_quantiles
  USING (is_member)
LEFT JOIN incident_counts
  USING (is_member)
LEFT JOIN restore_quantiles
  USING (is_member)
LEFT JOIN pipeline
  USING (is_member)
LEFT JOIN typical_week
  USING (is_member)
$$;
