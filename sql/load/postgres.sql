-- Loads the rows from the working directory. Made by tools/views.py from core/rows/tables.py.

CREATE TABLE IF NOT EXISTS scopes (
  repository text NOT NULL,
  service text NOT NULL,
  environment text NOT NULL,
  team text,
  began_at timestamptz,
  began_week date,
  timezone text NOT NULL,
  knows_incidents boolean NOT NULL,
  knows_rollbacks boolean NOT NULL
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'scopes.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE scopes;
INSERT INTO scopes SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::scopes, row) AS made;
DROP TABLE incoming;

CREATE TABLE IF NOT EXISTS deployments (
  repository text NOT NULL,
  service text NOT NULL,
  environment text NOT NULL,
  id text NOT NULL,
  sha text,
  version text,
  source text,
  url text,
  status text NOT NULL,
  started_at timestamptz,
  finished_at timestamptz NOT NULL,
  day date NOT NULL,
  week date NOT NULL,
  reached_users boolean NOT NULL,
  counts boolean NOT NULL,
  baseline boolean NOT NULL,
  failed boolean NOT NULL,
  failure_rule text,
  failure_because text,
  remediated_by text,
  recovered_at timestamptz,
  recovery_seconds double precision,
  rework boolean NOT NULL,
  rework_because text,
  commit_count bigint
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'deployments.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE deployments;
INSERT INTO deployments SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::deployments, row) AS made;
DROP TABLE incoming;

CREATE TABLE IF NOT EXISTS lead_times (
  repository text NOT NULL,
  service text NOT NULL,
  environment text NOT NULL,
  change text NOT NULL,
  deployment text NOT NULL,
  sha text,
  deployed_at timestamptz NOT NULL,
  week date NOT NULL,
  seconds double precision,
  excluded text,
  changes bigint NOT NULL,
  starts_too_late boolean NOT NULL,
  coding_seconds double precision,
  pickup_seconds double precision,
  review_seconds double precision,
  delivery_seconds double precision
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'lead_times.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE lead_times;
INSERT INTO lead_times SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::lead_times, row) AS made;
DROP TABLE incoming;

CREATE TABLE IF NOT EXISTS incidents (
  repository text NOT NULL,
  service text NOT NULL,
  environment text NOT NULL,
  id text NOT NULL,
  title text,
  severity text,
  source text,
  url text,
  detected_at timestamptz NOT NULL,
  resolved_at timestamptz,
  week date NOT NULL,
  restore_seconds double precision,
  deployment text,
  because text NOT NULL
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'incidents.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE incidents;
INSERT INTO incidents SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::incidents, row) AS made;
DROP TABLE incoming;

CREATE TABLE IF NOT EXISTS streaks (
  repository text NOT NULL,
  service text NOT NULL,
  environment text NOT NULL,
  deployment text NOT NULL,
  source text,
  since timestamptz NOT NULL,
  until timestamptz,
  seconds double precision
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'streaks.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE streaks;
INSERT INTO streaks SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::streaks, row) AS made;
DROP TABLE incoming;

CREATE TABLE IF NOT EXISTS vulnerabilities (
  repository text NOT NULL,
  service text NOT NULL,
  environment text NOT NULL,
  id text NOT NULL,
  severity text,
  package text,
  url text,
  detected_at timestamptz NOT NULL,
  fixed_at timestamptz,
  dismissed_at timestamptz,
  open boolean NOT NULL,
  remediation_seconds double precision
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'vulnerabilities.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE vulnerabilities;
INSERT INTO vulnerabilities SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::vulnerabilities, row) AS made;
DROP TABLE incoming;

CREATE TABLE IF NOT EXISTS metrics (
  repository text NOT NULL,
  service text NOT NULL,
  environment text NOT NULL,
  window_name text NOT NULL,
  day date NOT NULL,
  window_from timestamptz NOT NULL,
  window_to timestamptz NOT NULL,
  window_days double precision NOT NULL,
  benchmark text NOT NULL,
  overall_level text,
  deployments bigint NOT NULL,
  deployment_frequency_per_day double precision,
  deployment_frequency_low_per_day double precision,
  deployment_frequency_high_per_day double precision,
  deployment_frequency_level text,
  deployment_frequency_reason text,
  changes bigint NOT NULL,
  lead_time_p50_seconds double precision,
  lead_time_low_seconds double precision,
  lead_time_high_seconds double precision,
  lead_time_at_least boolean NOT NULL,
  lead_time_level text,
  lead_time_reason text,
  failed_deployments bigint NOT NULL,
  counted_deployments bigint NOT NULL,
  change_failure_ratio double precision,
  change_failure_ratio_low double precision,
  change_failure_ratio_high double precision,
  change_failure_rate_at_least boolean NOT NULL,
  change_failure_rate_level text,
  change_failure_rate_reason text,
  recovered bigint NOT NULL,
  open_failures bigint NOT NULL,
  recovery_time_p50_seconds double precision,
  recovery_time_low_seconds double precision,
  recovery_time_high_seconds double precision,
  recovery_time_level text,
  recovery_time_reason text,
  rework_deployments bigint NOT NULL,
  reached_deployments bigint NOT NULL,
  rework_ratio double precision,
  rework_ratio_low double precision,
  rework_ratio_high double precision,
  rework_rate_at_least boolean NOT NULL,
  rework_rate_reason text
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'metrics.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE metrics;
INSERT INTO metrics SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::metrics, row) AS made;
DROP TABLE incoming;

CREATE TABLE IF NOT EXISTS facts (
  id text NOT NULL,
  kind text NOT NULL,
  repository text NOT NULL,
  occurred_at timestamptz NOT NULL,
  observed_at timestamptz NOT NULL,
  fact json NOT NULL
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'facts.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE facts;
INSERT INTO facts SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::facts, row) AS made;
DROP TABLE incoming;

CREATE TABLE IF NOT EXISTS week_starts (
  timezone text NOT NULL,
  week date NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM 'week_starts.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE week_starts;
INSERT INTO week_starts SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::week_starts, row) AS made;
DROP TABLE incoming;
