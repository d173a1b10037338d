"""Compare a window with the one before: better, worse, or no clear change (docs/definitions.md, "Statistics")."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Literal

from dora_metrics.core import schema
from dora_metrics.core.metrics.calculate import failures_in, measured_changes_in, sorted_recovery_seconds
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.statistics import SIGNIFICANCE_LEVEL, fisher_exact_p, mann_whitney_p, poisson_rates_p
from dora_metrics.core.windows import Window

Verdict = Literal["better", "worse", "no clear change"]
_Rate = schema.ChangeFailureRate | schema.ReworkRate


def compare_windows(
    history: ScopeHistory, window: Window, current: schema.Metrics, previous: schema.Metrics
) -> dict[str, Verdict]:
    """Compare each metric that has a value in both windows, which have the same length.

    A difference counts as better or worse if p < 0.05.
    """
    verdicts = {
        "deployment_frequency": _compare_frequency(history, window, current, previous),
        "lead_time": _compare_lead_times(history, window, current, previous),
        "recovery_time": _compare_durations(history, window, _recovery_seconds),
        "change_failure_rate": _compare_rates(current.change_failure_rate, previous.change_failure_rate, "failed"),
        "rework_rate": _compare_rates(current.rework_rate, previous.rework_rate, "rework"),
    }
    return {metric: verdict for metric, verdict in verdicts.items() if verdict}


def _compare_lead_times(
    history: ScopeHistory, window: Window, current: schema.Metrics, previous: schema.Metrics
) -> Verdict | None:
    """Compare the lead times unless one of them may be any higher."""
    if current.lead_time.at_least or previous.lead_time.at_least:
        return None
    return _compare_durations(history, window, _lead_time_seconds)


def _compare_frequency(
    history: ScopeHistory, window: Window, current: schema.Metrics, previous: schema.Metrics
) -> Verdict | None:
    """Compare the frequencies if records cover the whole previous window.

    Before the first recorded deployment there may be others that nobody recorded.
    """
    frequency, previous_frequency = current.deployment_frequency, previous.deployment_frequency
    if frequency.per_day is None or previous_frequency.per_day is None:
        return None
    previous_window = window.previous()
    if not _is_covered(history, previous_window):
        return None
    p = poisson_rates_p(frequency.deployments, window.days, previous_frequency.deployments, previous_window.days)
    return _verdict(p, better=frequency.per_day > previous_frequency.per_day)


def _is_covered(history: ScopeHistory, window: Window) -> bool:
    """Whether the scope's first recorded deployment lies before the window."""
    return history.first_deployment_at is not None and history.first_deployment_at <= window.start


def _compare_durations(
    history: ScopeHistory, window: Window, sorted_seconds: Callable[[ScopeHistory, Window], Sequence[float]]
) -> Verdict | None:
    samples = sorted_seconds(history, window), sorted_seconds(history, window.previous())
    return _verdict(mann_whitney_p(*samples), better=_tends_shorter(*samples)) if all(samples) else None


def _lead_time_seconds(history: ScopeHistory, window: Window) -> Sequence[float]:
    return sorted(change.seconds for change in measured_changes_in(history, window))


def _recovery_seconds(history: ScopeHistory, window: Window) -> Sequence[float]:
    return sorted_recovery_seconds(failures_in(history, window))


def _tends_shorter(current: Sequence[float], previous: Sequence[float]) -> bool:
    """Whether a duration of `current` is more likely below one of `previous` than above: the Mann-Whitney statistic."""
    shorter_pairs_doubled = sum(bisect_left(current, value) + bisect_right(current, value) for value in previous)
    return shorter_pairs_doubled > len(current) * len(previous)


def _compare_rates(rate: _Rate, previous_rate: _Rate, count_field: str) -> Verdict | None:
    """Compare two rates of deployments; `count_field` is the name of the numerator."""
    if rate.ratio is None or previous_rate.ratio is None:
        return None
    p = fisher_exact_p(
        getattr(rate, count_field),
        rate.deployments,
        getattr(previous_rate, count_field),
        previous_rate.deployments,
    )
    return _verdict(p, better=rate.ratio < previous_rate.ratio)


def _verdict(p: float, *, better: bool) -> Verdict:
    if p >= SIGNIFICANCE_LEVEL:
        return "no clear change"
    return "better" if better else "worse"
