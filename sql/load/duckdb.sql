-- Loads the rows from the working directory. Made by tools/views.py from core/rows/tables.py.

CREATE OR REPLACE TABLE scopes AS
FROM read_json('scopes.ndjson', format = 'newline_delimited', columns = {
  repository: 'VARCHAR',
  service: 'VARCHAR',
  environment: 'VARCHAR',
  team: 'VARCHAR',
  began_at: 'TIMESTAMPTZ',
  began_week: 'DATE',
  timezone: 'VARCHAR',
  knows_incidents: 'BOOLEAN',
  knows_rollbacks: 'BOOLEAN'
});

CREATE OR REPLACE TABLE deployments AS
FROM read_json('deployments.ndjson', format = 'newline_delimited', columns = {
  repository: 'VARCHAR',
  service: 'VARCHAR',
  environment: 'VARCHAR',
  id: 'VARCHAR',
  sha: 'VARCHAR',
  version: 'VARCHAR',
  source: 'VARCHAR',
  url: 'VARCHAR',
  status: 'VARCHAR',
  started_at: 'TIMESTAMPTZ',
  finished_at: 'TIMESTAMPTZ',
  day: 'DATE',
  week: 'DATE',
  reached_users: 'BOOLEAN',
  counts: 'BOOLEAN',
  baseline: 'BOOLEAN',
  failed: 'BOOLEAN',
  failure_rule: 'VARCHAR',
  failure_because: 'VARCHAR',
  remediated_by: 'VARCHAR',
  recovered_at: 'TIMESTAMPTZ',
  recovery_seconds: 'DOUBLE',
  rework: 'BOOLEAN',
  rework_because: 'VARCHAR',
  commit_count: 'BIGINT'
});

CREATE OR REPLACE TABLE lead_times AS
FROM read_json('lead_times.ndjson', format = 'newline_delimited', columns = {
  repository: 'VARCHAR',
  service: 'VARCHAR',
  environment: 'VARCHAR',
  change: 'VARCHAR',
  deployment: 'VARCHAR',
  sha: 'VARCHAR',
  deployed_at: 'TIMESTAMPTZ',
  week: 'DATE',
  seconds: 'DOUBLE',
  excluded: 'VARCHAR',
  changes: 'BIGINT',
  starts_too_late: 'BOOLEAN',
  coding_seconds: 'DOUBLE',
  pickup_seconds: 'DOUBLE',
  review_seconds: 'DOUBLE',
  delivery_seconds: 'DOUBLE'
});

CREATE OR REPLACE TABLE incidents AS
FROM read_json('incidents.ndjson', format = 'newline_delimited', columns = {
  repository: 'VARCHAR',
  service: 'VARCHAR',
  environment: 'VARCHAR',
  id: 'VARCHAR',
  title: 'VARCHAR',
  severity: 'VARCHAR',
  source: 'VARCHAR',
  url: 'VARCHAR',
  detected_at: 'TIMESTAMPTZ',
  resolved_at: 'TIMESTAMPTZ',
  week: 'DATE',
  restore_seconds: 'DOUBLE',
  deployment: 'VARCHAR',
  because: 'VARCHAR'
});

CREATE OR REPLACE TABLE streaks AS
FROM read_json('streaks.ndjson', format = 'newline_delimited', columns = {
  repository: 'VARCHAR',
  service: 'VARCHAR',
  environment: 'VARCHAR',
  deployment: 'VARCHAR',
  source: 'VARCHAR',
  since: 'TIMESTAMPTZ',
  until: 'TIMESTAMPTZ',
  seconds: 'DOUBLE'
});

CREATE OR REPLACE TABLE vulnerabilities AS
FROM read_json('vulnerabilities.ndjson', format = 'newline_delimited', columns = {
  repository: 'VARCHAR',
  service: 'VARCHAR',
  environment: 'VARCHAR',
  id: 'VARCHAR',
  severity: 'VARCHAR',
  package: 'VARCHAR',
  url: 'VARCHAR',
  detected_at: 'TIMESTAMPTZ',
  fixed_at: 'TIMESTAMPTZ',
  dismissed_at: 'TIMESTAMPTZ',
  open: 'BOOLEAN',
  remediation_seconds: 'DOUBLE'
});

CREATE OR REPLACE TABLE metrics AS
FROM read_json('metrics.ndjson', format = 'newline_delimited', columns = {
  repository: 'VARCHAR',
  service: 'VARCHAR',
  environment: 'VARCHAR',
  window_name: 'VARCHAR',
  day: 'DATE',
  window_from: 'TIMESTAMPTZ',
  window_to: 'TIMESTAMPTZ',
  window_days: 'DOUBLE',
  benchmark: 'VARCHAR',
  overall_level: 'VARCHAR',
  deployments: 'BIGINT',
  deployment_frequency_per_day: 'DOUBLE',
  deployment_frequency_low_per_day: 'DOUBLE',
  deployment_frequency_high_per_day: 'DOUBLE',
  deployment_frequency_level: 'VARCHAR',
  deployment_frequency_reason: 'VARCHAR',
  changes: 'BIGINT',
  lead_time_p50_seconds: 'DOUBLE',
  lead_time_low_seconds: 'DOUBLE',
  lead_time_high_seconds: 'DOUBLE',
  lead_time_at_least: 'BOOLEAN',
  lead_time_level: 'VARCHAR',
  lead_time_reason: 'VARCHAR',
  failed_deployments: 'BIGINT',
  counted_deployments: 'BIGINT',
  change_failure_ratio: 'DOUBLE',
  change_failure_ratio_low: 'DOUBLE',
  change_failure_ratio_high: 'DOUBLE',
  change_failure_rate_at_least: 'BOOLEAN',
  change_failure_rate_level: 'VARCHAR',
  change_failure_rate_reason: 'VARCHAR',
  recovered: 'BIGINT',
  open_failures: 'BIGINT',
  recovery_time_p50_seconds: 'DOUBLE',
  recovery_time_low_seconds: 'DOUBLE',
  recovery_time_high_seconds: 'DOUBLE',
  recovery_time_level: 'VARCHAR',
  recovery_time_reason: 'VARCHAR',
  rework_deployments: 'BIGINT',
  reached_deployments: 'BIGINT',
  rework_ratio: 'DOUBLE',
  rework_ratio_low: 'DOUBLE',
  rework_ratio_high: 'DOUBLE',
  rework_rate_at_least: 'BOOLEAN',
  rework_rate_reason: 'VARCHAR'
});

CREATE OR REPLACE TABLE facts AS
FROM read_json('facts.ndjson', format = 'newline_delimited', columns = {
  id: 'VARCHAR',
  kind: 'VARCHAR',
  repository: 'VARCHAR',
  occurred_at: 'TIMESTAMPTZ',
  observed_at: 'TIMESTAMPTZ',
  fact: 'JSON'
});

CREATE OR REPLACE TABLE week_starts AS
FROM read_json('week_starts.ndjson', format = 'newline_delimited', columns = {
  timezone: 'VARCHAR',
  week: 'DATE',
  starts_at: 'TIMESTAMPTZ',
  ends_at: 'TIMESTAMPTZ'
});
