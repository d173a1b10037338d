"""Compare a window with the one before: better, worse, or no clear change (docs/definitions.md, "Statistics")."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Literal

from dora_metrics.core import schema
from dora_metrics.core.metrics.calculate import failures_in
from dora_metrics.core.metrics.scope_history import ScopeHistory, in_window
from dora_metrics.core.statistics import fisher_exact_p, mann_whitney_p, poisson_rates_p
from dora_metrics.core.windows import Window

Verdict = Literal["better", "worse", "no clear change"]
SIGNIFICANCE_LEVEL = 0.05


def compare_windows(
    history: ScopeHistory, window: Window, current: schema.Metrics, previous: schema.Metrics
) -> dict[str, Verdict]:
    """For each metric that has a value in both windows of equal length: whether the change is clear at p < 0.05.

    Of the frequency nothing can be said where only a part of the window before is known: its first days may have had
    deployments that nobody has recorded.
    """
    previous_window = window.previous()
    verdicts: dict[str, Verdict] = {}
    frequency, previous_frequency = current.deployment_frequency, previous.deployment_frequency
    if (
        frequency.per_day is not None
        and previous_frequency.per_day is not None
        and _is_covered(history, previous_window)
    ):
        p = poisson_rates_p(frequency.deployments, window.days, previous_frequency.deployments, previous_window.days)
        verdicts["deployment_frequency"] = _verdict(p, better=frequency.per_day > previous_frequency.per_day)
    for metric, seconds_in in _SORTED_SECONDS.items():
        samples = seconds_in(history, window), seconds_in(history, previous_window)
        if all(samples):
            verdicts[metric] = _verdict(mann_whitney_p(*samples), better=_tends_shorter(*samples))
    for metric, count_field in (("change_failure_rate", "failed"), ("rework_rate", "rework")):
        rate, previous_rate = getattr(current, metric), getattr(previous, metric)
        if rate.ratio is not None and previous_rate.ratio is not None:
            p = fisher_exact_p(
                getattr(rate, count_field),
                rate.deployments,
                getattr(previous_rate, count_field),
                previous_rate.deployments,
            )
            verdicts[metric] = _verdict(p, better=rate.ratio < previous_rate.ratio)
    return verdicts


def _is_covered(history: ScopeHistory, window: Window) -> bool:
    """Whether a scope was known by the beginning of a window."""
    return history.first_deployment_at is not None and history.first_deployment_at <= window.start


def _tends_shorter(current: Sequence[float], previous: Sequence[float]) -> bool:
    """What the test sees: whether a duration of the one is likelier below one of the other than above."""
    return sum(bisect_left(current, value) + bisect_right(current, value) for value in previous) > len(current) * len(
        previous
    )


def _verdict(p: float, *, better: bool) -> Verdict:
    if p >= SIGNIFICANCE_LEVEL:
        return "no clear change"
    return "better" if better else "worse"


def _lead_time_seconds(history: ScopeHistory, window: Window) -> Sequence[float]:
    return sorted(
        change.seconds for change in in_window(history.lead_times.measured, window, lambda change: change.deployed_at)
    )


def _recovery_seconds(history: ScopeHistory, window: Window) -> Sequence[float]:
    return sorted(
        failure.recovery_seconds for failure in failures_in(history, window) if failure.recovery_seconds is not None
    )


_SORTED_SECONDS: dict[str, Callable[[ScopeHistory, Window], Sequence[float]]] = {
    "lead_time": _lead_time_seconds,
    "recovery_time": _recovery_seconds,
}
