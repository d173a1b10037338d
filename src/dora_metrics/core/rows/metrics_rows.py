"""The row of a scope's metrics in one window, as the document has them."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TypedDict

from dora_metrics.core import schema
from dora_metrics.core.metrics.calculate import calculate_metrics
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.history_rows import scope_key
from dora_metrics.core.rows.tables import MetricsRow
from dora_metrics.core.windows import WINDOWS_DAYS, Window, WindowSpec


def windows_by_name(spec: WindowSpec, now: datetime, first_finished_at: datetime | None) -> Mapping[str, Window]:
    """Return the windows that metrics are calculated for: those of fixed lengths, and that of the settings.

    Raises:
        ValueError: if the window of the settings would not start before it ends.
    """
    fixed = {f"{days}d": Window(now - timedelta(days=days), now) for days in WINDOWS_DAYS}
    return {**fixed, spec.text: spec.resolve(now, first_finished_at)}


def metrics_row(history: ScopeHistory, window_name: str, window: Window, policy: Policy, day: date) -> MetricsRow:
    """Calculate the metrics of a scope in a window, as of a day."""
    metrics = calculate_metrics(history, window, (), policy)
    return MetricsRow(
        **scope_key(history.scope),
        window_name=window_name,
        day=day,
        window_from=window.start,
        window_to=window.end,
        window_days=window.days,
        benchmark=policy.benchmark.name,
        overall_level=metrics.overall_level.level if metrics.overall_level else None,
        **_deployment_frequency(metrics.deployment_frequency),
        **_lead_time(metrics.lead_time),
        **_change_failure_rate(metrics.change_failure_rate),
        **_recovery_time(metrics.recovery_time),
        **_rework_rate(metrics.rework_rate),
    )


class _DeploymentFrequency(TypedDict):
    deployments: int
    deployment_frequency_per_day: float | None
    deployment_frequency_low_per_day: float | None
    deployment_frequency_high_per_day: float | None
    deployment_frequency_level: str | None
    deployment_frequency_reason: str | None


def _deployment_frequency(frequency: schema.DeploymentFrequency) -> _DeploymentFrequency:
    return _DeploymentFrequency(
        deployments=frequency.deployments,
        deployment_frequency_per_day=frequency.per_day,
        deployment_frequency_low_per_day=_low(frequency),
        deployment_frequency_high_per_day=_high(frequency),
        deployment_frequency_level=frequency.level,
        deployment_frequency_reason=frequency.reason,
    )


class _LeadTime(TypedDict):
    changes: int
    lead_time_p50_seconds: float | None
    lead_time_low_seconds: float | None
    lead_time_high_seconds: float | None
    lead_time_at_least: bool
    lead_time_level: str | None
    lead_time_reason: str | None


def _lead_time(lead_time: schema.LeadTime) -> _LeadTime:
    return _LeadTime(
        changes=lead_time.changes,
        lead_time_p50_seconds=lead_time.p50_seconds,
        lead_time_low_seconds=_low(lead_time),
        lead_time_high_seconds=_high(lead_time),
        lead_time_at_least=lead_time.at_least is True,
        lead_time_level=lead_time.level,
        lead_time_reason=lead_time.reason,
    )


class _ChangeFailureRate(TypedDict):
    failed_deployments: int
    counted_deployments: int
    change_failure_ratio: float | None
    change_failure_ratio_low: float | None
    change_failure_ratio_high: float | None
    change_failure_rate_at_least: bool
    change_failure_rate_level: str | None
    change_failure_rate_reason: str | None


def _change_failure_rate(rate: schema.ChangeFailureRate) -> _ChangeFailureRate:
    return _ChangeFailureRate(
        failed_deployments=rate.failed,
        counted_deployments=rate.deployments,
        change_failure_ratio=rate.ratio,
        change_failure_ratio_low=_low(rate),
        change_failure_ratio_high=_high(rate),
        change_failure_rate_at_least=rate.at_least is True,
        change_failure_rate_level=rate.level,
        change_failure_rate_reason=rate.reason,
    )


class _RecoveryTime(TypedDict):
    recovered: int
    open_failures: int
    recovery_time_p50_seconds: float | None
    recovery_time_low_seconds: float | None
    recovery_time_high_seconds: float | None
    recovery_time_level: str | None
    recovery_time_reason: str | None


def _recovery_time(recovery: schema.RecoveryTime) -> _RecoveryTime:
    return _RecoveryTime(
        recovered=recovery.recovered,
        open_failures=recovery.open,
        recovery_time_p50_seconds=recovery.p50_seconds,
        recovery_time_low_seconds=_low(recovery),
        recovery_time_high_seconds=_high(recovery),
        recovery_time_level=recovery.level,
        recovery_time_reason=recovery.reason,
    )


class _ReworkRate(TypedDict):
    rework_deployments: int
    reached_deployments: int
    rework_ratio: float | None
    rework_ratio_low: float | None
    rework_ratio_high: float | None
    rework_rate_at_least: bool
    rework_rate_reason: str | None


def _rework_rate(rate: schema.ReworkRate) -> _ReworkRate:
    return _ReworkRate(
        rework_deployments=rate.rework,
        reached_deployments=rate.deployments,
        rework_ratio=rate.ratio,
        rework_ratio_low=_low(rate),
        rework_ratio_high=_high(rate),
        rework_rate_at_least=rate.at_least is True,
        rework_rate_reason=rate.reason,
    )


def _low(verdict: schema.MetricVerdict) -> float | None:
    return verdict.interval95[0] if verdict.interval95 else None


def _high(verdict: schema.MetricVerdict) -> float | None:
    return verdict.interval95[1] if verdict.interval95 else None
