"""The metrics of several scopes together, computed from their raw values, by the names of the views' columns."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from dora_metrics.core.failures.judge import counts_in_failure_rate
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.metrics.calculate import (
    deployments_in,
    failures_in,
    incidents_in,
    is_lead_time_lower_bound,
    measured_changes_in,
)
from dora_metrics.core.metrics.lead_time import sorted_stage_seconds
from dora_metrics.core.metrics.scope_history import ScopeHistory, in_window
from dora_metrics.core.policy import Policy
from dora_metrics.core.statistics import quantile
from dora_metrics.core.windows import Window, count_local_days, iso_weeks

Values = dict[str, float | None]


def pooled_values(histories: Sequence[ScopeHistory], window: Window, policy: Policy, now: datetime) -> Values:
    return {
        "scopes": len(histories),
        **_frequency(histories, window, policy, now),
        **_lead_times(histories, window, policy),
        **_failures(histories, window, policy),
        **_incidents(histories, window),
    }


def _frequency(histories: Sequence[ScopeHistory], window: Window, policy: Policy, now: datetime) -> Values:
    first = min((each.first_deployment_at for each in histories if each.first_deployment_at), default=None)
    has_begun = first is not None and max(first, window.start) < window.end
    times = [
        deployment.finished_at
        for history in histories
        for deployment in deployments_in(history, window)
        if deployment.status == "success"
    ]
    weeks = [week.window for week in iso_weeks(window, policy.zone, now, first) if week.is_complete]
    days = [count_local_days((time for time in times if week.contains(time)), policy.zone) for week in weeks]
    return {
        "deployments": len(times),
        "deployments_per_day": len(times) / window.days if has_begun else None,
        "deployment_days": count_local_days(times, policy.zone),
        "median_deployment_days_per_week": _quantile(days, 0.5) if has_begun else None,
    }


def _lead_times(histories: Sequence[ScopeHistory], window: Window, policy: Policy) -> Values:
    measured = [change for history in histories for change in measured_changes_in(history, window)]
    seconds = [change.seconds for change in measured]
    excluded = [
        exclusion
        for history in histories
        for exclusion in in_window(history.lead_times.excluded, window, lambda each: each.deployed_at)
    ]
    return {
        "changes": len(measured),
        **{f"lead_p{percent}_seconds": _quantile(seconds, percent / 100) for percent in (50, 75, 90, 95)},
        "lead_mean_seconds": _mean(seconds),
        "lead_time_at_least": is_lead_time_lower_bound(measured, policy),
        **{
            f"{stage}_p50_seconds": _quantile(of_stage, 0.5)
            for stage, of_stage in sorted_stage_seconds(measured).items()
        },
        **{
            f"excluded_{reason}": sum(each.change_count for each in excluded if each.reason == reason)
            for reason in ("first_deployment", "bots", "no_start", "negative")
        },
    }


def _failures(histories: Sequence[ScopeHistory], window: Window, policy: Policy) -> Values:
    attempts = [deployment for history in histories for deployment in deployments_in(history, window)]
    failures = [failure for history in histories for failure in failures_in(history, window)]
    recoveries = [each.recovery_seconds for each in failures if each.recovery_seconds is not None]
    rework_ids = {each for history in histories for each in history.rework_reasons}
    reached = [each for each in attempts if has_reached_users(each)]
    counted = sum(counts_in_failure_rate(each, policy) for each in attempts)
    rework = sum(each.id in rework_ids for each in reached)
    streaks = [
        streak.recovery_seconds
        for history in histories
        for streak in in_window(history.failure_streaks, window, lambda each: each.started_at)
        if streak.recovery_seconds is not None
    ]
    return {
        "failed_deployments": len(failures),
        "counted_deployments": counted,
        "change_failure_ratio": len(failures) / counted if counted else None,
        "change_failure_rate_at_least": any(
            counts_in_failure_rate(each, policy) and not history.knows_incidents
            for history in histories
            for each in deployments_in(history, window)
        ),
        "recovered": len(recoveries),
        "open_failures": sum(each.recovered_at is None for each in failures),
        **_durations("recovery", recoveries),
        "rework_deployments": rework,
        "reached_deployments": len(reached),
        "rework_ratio": rework / len(reached) if reached else None,
        "rework_rate_at_least": any(
            has_reached_users(each) and not history.knows_rollbacks
            for history in histories
            for each in deployments_in(history, window)
        ),
        "failed_runs": sum(each.status == "failure" for each in attempts),
        "pipeline_recovery_p50_seconds": _quantile(streaks, 0.5),
    }


def _incidents(histories: Sequence[ScopeHistory], window: Window) -> Values:
    detected = [each for history in histories for each in incidents_in(history, window)]
    resolved = [
        each.incident
        for history in histories
        for each in history.incidents
        if window.contains(each.incident.resolved_at)
    ]
    spans = [(each.resolved_at - each.detected_at).total_seconds() for each in resolved if each.resolved_at]
    counts: Values = {
        "incidents": len(detected),
        "resolved": len(resolved),
        "open_incidents": sum(each.incident.resolved_at is None for each in detected),
        "unmatched_incidents": sum(each.attributed_to is None for each in detected),
    }
    if not any(history.knows_incidents for history in histories):
        counts = dict.fromkeys(counts)
    return {**counts, **_durations("restore", [span for span in spans if span >= 0])}


def _durations(name: str, seconds: Sequence[float]) -> Values:
    return {
        f"{name}_p50_seconds": _quantile(seconds, 0.5),
        f"{name}_p90_seconds": _quantile(seconds, 0.9),
        f"{name}_mean_seconds": _mean(seconds),
    }


def _quantile(values: Iterable[float], probability: float) -> float | None:
    in_order = sorted(values)
    return quantile(in_order, probability) if in_order else None


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
