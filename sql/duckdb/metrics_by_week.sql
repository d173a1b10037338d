-- Every ISO week that a window touches, by scope. Only what is in the window counts. Made by tools/views.py from sql/source/weeks.sql.j2.
CREATE OR REPLACE MACRO metrics_by_week("from", "to", "now")
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
    began_at,
    timezone,
    knows_incidents
  FROM (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(began_at)) AS began_at)
    FROM scopes
  ) AS scopes
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
    NOT BOOL_OR(
      CAST(starts_at >= (
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
      AND COALESCE(began_at < ends_at, FALSE) AS BOOLEAN)
    ) AS partial,
    MIN(began_at) AS began_at,
    BOOL_OR(CAST(knows_incidents AS BOOLEAN)) AS knows_incidents
  FROM members
  JOIN (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(starts_at)) AS starts_at, MAKE_TIMESTAMPTZ(EPOCH_US(ends_at)) AS ends_at)
    FROM week_starts
  ) AS week_starts
    USING (timezone)
  WHERE
    ends_at > (
      SELECT
        from_at
      FROM chosen
    )
    AND starts_at < (
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
    )
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
  FROM (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(finished_at)) AS finished_at)
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
    repository,
    service,
    environment,
    week,
    COUNT_IF(status = 'success') AS deployments,
    COUNT(DISTINCT CASE WHEN status = 'success' THEN day ELSE NULL END) AS deployment_days,
    COUNT_IF(failed) AS failed_deployments,
    COUNT_IF(counts) AS counted_deployments,
    COUNT_IF(reached_users AND rework) AS rework_deployments,
    COUNT_IF(reached_users) AS reached_deployments
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
    QUANTILE_CONT(recovery_seconds, 0.5) AS recovery_p50_seconds
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
    )
    AND deployed_at < (
      SELECT
        to_at
      FROM chosen
    )
    AND excluded IS NULL
), lead_times_by_week AS (
  SELECT
    repository,
    service,
    environment,
    week,
    COUNT(*) AS changes,
    QUANTILE_CONT(seconds, 0.5) AS lead_p50_seconds
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
  FROM (
    SELECT
      *
      REPLACE (MAKE_TIMESTAMPTZ(EPOCH_US(detected_at)) AS detected_at)
    FROM incidents
  ) AS incidents
  JOIN members
    USING (repository, service, environment)
  WHERE
    detected_at >= (
      SELECT
        from_at
      FROM chosen
    ) AND detected_at < (
      SELECT
        to_at
      FROM chosen
    )
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
    THEN CASE WHEN counted_deployments <> 0 THEN failed_deployments / counted_deployments ELSE NULL END
    ELSE NULL
  END AS change_failure_ratio,
  recovery_p50_seconds,
  COALESCE(rework_deployments, 0) AS rework_deployments,
  COALESCE(reached_deployments, 0) AS reached_deployments,
  CASE WHEN reached_deployments <> 0 THEN rework_deployments / reached_deployments ELSE NULL END AS rework_ratio,
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
);
