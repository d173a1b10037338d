"""The row of a scope's metrics in one window, as the document has them."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from dora_metrics.core import schema
from dora_metrics.core.metrics.calculate import calculate_metrics
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.history_rows import scope_key
from dora_metrics.core.rows.tables import MetricsRow
from dora_metrics.core.windows import WINDOWS_DAYS, Window, WindowSpec, local_date


def windows_by_name(spec: WindowSpec, now: datetime, first_finished_at: datetime | None) -> Mapping[str, Window]:
    """Return the windows that metrics are calculated for: those of fixed lengths, and that of the settings.

    Raises:
        ValueError: if the window of the settings would not start before it ends.
    """
    fixed = {f"{days}d": Window(now - timedelta(days=days), now) for days in WINDOWS_DAYS}
    return {**fixed, spec.text: spec.resolve(now, first_finished_at)}


def metrics_row(history: ScopeHistory, window_name: str, window: Window, policy: Policy, now: datetime) -> MetricsRow:
    """Calculate the metrics of a scope in a window. `now` decides the day that they are as of."""
    metrics = calculate_metrics(history, window, (), policy)
    frequency, lead_time, failures = metrics.deployment_frequency, metrics.lead_time, metrics.change_failure_rate
    recovery, rework = metrics.recovery_time, metrics.rework_rate
    return MetricsRow(
        **scope_key(history.scope),
        window_name=window_name,
        day=local_date(now, policy.zone),
        window_from=window.start,
        window_to=window.end,
        window_days=window.days,
        benchmark=policy.benchmark.name,
        overall_level=metrics.overall_level.level if metrics.overall_level else None,
        deployments=frequency.deployments,
        deployment_frequency_per_day=frequency.per_day,
        deployment_frequency_low_per_day=_low(frequency),
        deployment_frequency_high_per_day=_high(frequency),
        deployment_frequency_level=frequency.level,
        deployment_frequency_reason=frequency.reason,
        changes=lead_time.changes,
        lead_time_p50_seconds=lead_time.p50_seconds,
        lead_time_low_seconds=_low(lead_time),
        lead_time_high_seconds=_high(lead_time),
        lead_time_at_least=lead_time.at_least is True,
        lead_time_level=lead_time.level,
        lead_time_reason=lead_time.reason,
        failed_deployments=failures.failed,
        counted_deployments=failures.deployments,
        change_failure_ratio=failures.ratio,
        change_failure_ratio_low=_low(failures),
        change_failure_ratio_high=_high(failures),
        change_failure_rate_at_least=failures.at_least is True,
        change_failure_rate_level=failures.level,
        change_failure_rate_reason=failures.reason,
        recovered=recovery.recovered,
        open_failures=recovery.open,
        recovery_time_p50_seconds=recovery.p50_seconds,
        recovery_time_low_seconds=_low(recovery),
        recovery_time_high_seconds=_high(recovery),
        recovery_time_level=recovery.level,
        recovery_time_reason=recovery.reason,
        rework_deployments=rework.rework,
        reached_deployments=rework.deployments,
        rework_ratio=rework.ratio,
        rework_ratio_low=_low(rework),
        rework_ratio_high=_high(rework),
        rework_rate_at_least=rework.at_least is True,
        rework_rate_reason=rework.reason,
    )


def _low(verdict: schema.MetricVerdict) -> float | None:
    return verdict.interval95[0] if verdict.interval95 else None


def _high(verdict: schema.MetricVerdict) -> float | None:
    return verdict.interval95[1] if verdict.interval95 else None
