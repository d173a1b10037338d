-- The metrics of every team in a window, from the values of its scopes. Made by tools/views.py from sql/source/metrics.sql.j2.
CREATE OR REPLACE MACRO metrics_by_team("from", "to", "now")
AS TABLE (
WITH chosen AS (
  SELECT
    COALESCE(
      TRY_CAST(CAST("from" AS TEXT) || '+00' AS TIMESTAMPTZ),
      TRY_CAST(CAST("from" AS TEXT) || ' 00:00+00' AS TIMESTAMPTZ),
      CAST("from" AS TIMESTAMPTZ)
    ) AS from_at,
    COALESCE(
      TRY_CAST(CAST("to" AS TEXT) || '+00' AS TIMESTAMPTZ),
      TRY_CAST(CAST("to" AS TEXT) || ' 00:00+00' AS TIMESTAMPTZ),
      CAST("to" AS TIMESTAMPTZ)
    ) AS to_at,
    COALESCE(
      TRY_CAST(CAST("now" AS TEXT) || '+00' AS TIMESTAMPTZ),
      TRY_CAST(CAST("now" AS TEXT) || ' 00:00+00' AS TIMESTAMPTZ),
      CAST("now" AS TIMESTAMPTZ)
    ) AS now_at
), members AS (
  SELECT
    repository,
    service,
    environment,
    team,
    COALESCE(team, '') AS team_key,
    began_at,
    timezone,
    knows_incidents,
    knows_rollbacks
  FROM (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(began_at)) AS began_at)
    FROM scopes
  ) AS scopes
), pools AS (
  SELECT
    team_key,
    MAX(team) AS team,
    COUNT(*) AS scopes,
    MIN(began_at) AS began_at,
    BOOL_OR(CAST(knows_incidents AS BOOLEAN)) AS knows_incidents
  FROM members
  GROUP BY
    team_key
), attempts AS (
  SELECT
    team_key,
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
  FROM (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(finished_at)) AS finished_at, MAKE_TIMESTAMPTZ(EPOCH_US(recovered_at)) AS recovered_at)
    FROM deployments
  ) AS deployments
  JOIN members
    USING (repository, service, environment)
  WHERE
    finished_at >= (
      SELECT
        from_at
      FROM chosen
    ) AND finished_at < (
      SELECT
        to_at
      FROM chosen
    )
), deployed AS (
  SELECT
    team_key,
    COUNT_IF(status = 'success') AS deployments,
    COUNT(DISTINCT CASE WHEN status = 'success' THEN day ELSE NULL END) AS deployment_days,
    COUNT_IF(failed) AS failed_deployments,
    COUNT_IF(counts) AS counted_deployments,
    BOOL_OR(CAST(counts AND NOT knows_incidents AS BOOLEAN)) AS change_failure_rate_at_least,
    COUNT_IF(failed AND NOT recovery_seconds IS NULL) AS recovered,
    COUNT_IF(failed AND recovered_at IS NULL) AS open_failures,
    AVG(CASE WHEN failed THEN recovery_seconds ELSE NULL END) AS recovery_mean_seconds,
    COUNT_IF(reached_users AND rework) AS rework_deployments,
    COUNT_IF(reached_users) AS reached_deployments,
    BOOL_OR(CAST(reached_users AND NOT knows_rollbacks AS BOOLEAN)) AS rework_rate_at_least,
    COUNT_IF(status = 'failure') AS failed_runs
  FROM attempts
  GROUP BY
    team_key
), recovery_quantiles AS (
  SELECT
    team_key,
    QUANTILE_CONT(recovery_seconds, 0.5) AS recovery_p50_seconds,
    QUANTILE_CONT(recovery_seconds, 0.9) AS recovery_p90_seconds
  FROM attempts
  WHERE
    failed AND NOT recovery_seconds IS NULL
  GROUP BY
    team_key
), delivered AS (
  SELECT
    team_key,
    seconds,
    excluded,
    changes,
    starts_too_late,
    coding_seconds,
    pickup_seconds,
    review_seconds,
    delivery_seconds
  FROM (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(deployed_at)) AS deployed_at)
    FROM lead_times
  ) AS lead_times
  JOIN members
    USING (repository, service, environment)
  WHERE
    deployed_at >= (
      SELECT
        from_at
      FROM chosen
    ) AND deployed_at < (
      SELECT
        to_at
      FROM chosen
    )
), lead_counts AS (
  SELECT
    team_key,
    COUNT_IF(excluded IS NULL) AS changes,
    COUNT_IF(starts_too_late) AS late_starts,
    AVG(seconds) AS lead_mean_seconds,
    SUM(CASE WHEN excluded = 'first_deployment' THEN changes ELSE 0 END) AS excluded_first_deployment,
    SUM(CASE WHEN excluded = 'bots' THEN changes ELSE 0 END) AS excluded_bots,
    SUM(CASE WHEN excluded = 'no_start' THEN changes ELSE 0 END) AS excluded_no_start,
    SUM(CASE WHEN excluded = 'negative' THEN changes ELSE 0 END) AS excluded_negative
  FROM delivered
  GROUP BY
    team_key
), lead_quantiles AS (
  /* A stage that is not known is null, and quantiles leave nulls out. */
  SELECT
    team_key,
    QUANTILE_CONT(seconds, 0.5) AS lead_p50_seconds,
    QUANTILE_CONT(seconds, 0.75) AS lead_p75_seconds,
    QUANTILE_CONT(seconds, 0.9) AS lead_p90_seconds,
    QUANTILE_CONT(seconds, 0.95) AS lead_p95_seconds,
    QUANTILE_CONT(coding_seconds, 0.5) AS coding_p50_seconds,
    QUANTILE_CONT(pickup_seconds, 0.5) AS pickup_p50_seconds,
    QUANTILE_CONT(review_seconds, 0.5) AS review_p50_seconds,
    QUANTILE_CONT(delivery_seconds, 0.5) AS delivery_p50_seconds
  FROM delivered
  WHERE
    excluded IS NULL
  GROUP BY
    team_key
), reported AS (
  /* An incident counts as detected in one window, and as resolved in the same or a later one. */
  SELECT
    team_key,
    deployment,
    resolved_at,
    restore_seconds,
    detected_at >= (
      SELECT
        from_at
      FROM chosen
    ) AND detected_at < (
      SELECT
        to_at
      FROM chosen
    ) AS is_detected,
    COALESCE(
      resolved_at >= (
        SELECT
          from_at
        FROM chosen
      ) AND resolved_at < (
        SELECT
          to_at
        FROM chosen
      ),
      FALSE
    ) AS is_resolved
  FROM (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(detected_at)) AS detected_at, MAKE_TIMESTAMPTZ(EPOCH_US(resolved_at)) AS resolved_at)
    FROM incidents
  ) AS incidents
  JOIN members
    USING (repository, service, environment)
), incident_counts AS (
  SELECT
    team_key,
    COUNT_IF(is_detected) AS incidents,
    COUNT_IF(is_resolved) AS resolved,
    COUNT_IF(is_detected AND resolved_at IS NULL) AS open_incidents,
    COUNT_IF(is_detected AND deployment IS NULL) AS unmatched_incidents,
    AVG(CASE WHEN is_resolved THEN restore_seconds ELSE NULL END) AS restore_mean_seconds
  FROM reported
  GROUP BY
    team_key
), restore_quantiles AS (
  SELECT
    team_key,
    QUANTILE_CONT(restore_seconds, 0.5) AS restore_p50_seconds,
    QUANTILE_CONT(restore_seconds, 0.9) AS restore_p90_seconds
  FROM reported
  WHERE
    is_resolved AND NOT restore_seconds IS NULL
  GROUP BY
    team_key
), pipeline AS (
  SELECT
    team_key,
    QUANTILE_CONT(seconds, 0.5) AS pipeline_recovery_p50_seconds
  FROM (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(since)) AS since)
    FROM streaks
  ) AS streaks
  JOIN members
    USING (repository, service, environment)
  WHERE
    since >= (
      SELECT
        from_at
      FROM chosen
    )
    AND since < (
      SELECT
        to_at
      FROM chosen
    )
    AND NOT seconds IS NULL
  GROUP BY
    team_key
), complete_weeks AS (
  /* Weeks without a deployment count too, from the week of the first recorded one. */
  SELECT DISTINCT
    team_key,
    week
  FROM members
  JOIN (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(starts_at)) AS starts_at, MAKE_TIMESTAMPTZ(EPOCH_US(ends_at)) AS ends_at)
    FROM week_starts
  ) AS week_starts
    USING (timezone)
  WHERE
    starts_at >= (
      SELECT
        from_at
      FROM chosen
    )
    AND ends_at <= CASE
      WHEN (
        SELECT
          to_at
        FROM chosen
      ) IS NULL OR (
        SELECT
          now_at
        FROM chosen
      ) IS NULL
      THEN NULL
      ELSE LEAST((
        SELECT
          to_at
        FROM chosen
      ), (
        SELECT
          now_at
        FROM chosen
      ))
    END
    AND began_at < ends_at
), days_by_week AS (
  SELECT
    team_key,
    week,
    COUNT(DISTINCT CASE WHEN status = 'success' THEN day ELSE NULL END) AS deployment_days
  FROM complete_weeks
  LEFT JOIN attempts
    USING (team_key, week)
  GROUP BY
    team_key,
    week
), typical_week AS (
  SELECT
    team_key,
    QUANTILE_CONT(deployment_days, 0.5) AS median_deployment_days_per_week
  FROM days_by_week
  GROUP BY
    team_key
), measured AS (
  /* Deployment frequency has a value only if the first recorded deployment is before the end of the window. */
  SELECT
    *,
    DATE_DIFF('MICROSECOND', (
      SELECT
        from_at
      FROM chosen
    ), (
      SELECT
        to_at
      FROM chosen
    )) / 86400000000 AS days,
    COALESCE(
      began_at < (
        SELECT
          to_at
        FROM chosen
      )
      AND (
        SELECT
          from_at
        FROM chosen
      ) < (
        SELECT
          to_at
        FROM chosen
      ),
      FALSE
    ) AS has_begun
  FROM pools
)
SELECT
  team,
  scopes,
  (
    SELECT
      from_at
    FROM chosen
  ) AS window_from,
  (
    SELECT
      to_at
    FROM chosen
  ) AS window_to,
  days,
  COALESCE(deployments, 0) AS deployments,
  CASE WHEN has_begun THEN COALESCE(deployments, 0) / days ELSE NULL END AS deployments_per_day,
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
  CASE WHEN counted_deployments <> 0 THEN failed_deployments / counted_deployments ELSE NULL END AS change_failure_ratio,
  COALESCE(change_failure_rate_at_least, FALSE) AS change_failure_rate_at_least,
  COALESCE(recovered, 0) AS recovered,
  COALESCE(open_failures, 0) AS open_failures,
  recovery_p50_seconds,
  recovery_p90_seconds,
  recovery_mean_seconds,
  COALESCE(rework_deployments, 0) AS rework_deployments,
  COALESCE(reached_deployments, 0) AS reached_deployments,
  CASE WHEN reached_deployments <> 0 THEN rework_deployments / reached_deployments ELSE NULL END AS rework_ratio,
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
  USING (team_key)
LEFT JOIN recovery_quantiles
  USING (team_key)
LEFT JOIN lead_counts
  USING (team_key)
LEFT JOIN lead_quantiles
  USING (team_key)
LEFT JOIN incident_counts
  USING (team_key)
LEFT JOIN restore_quantiles
  USING (team_key)
LEFT JOIN pipeline
  USING (team_key)
LEFT JOIN typical_week
  USING (team_key)
);
