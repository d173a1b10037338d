"""Calculates the metrics of one scope in one window (docs/definitions.md, "The five metrics").

The formulas of single statistics are in `core/statistics.py`; this module selects the facts that each metric counts.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypedDict

from msgspec import UNSET

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import Failure, counts_in_failure_rate
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.metrics.lead_time import MeasuredChange, sorted_stage_seconds, starts_too_late
from dora_metrics.core.metrics.scope_history import ScopeHistory, in_window
from dora_metrics.core.metrics.start_of_records import start_after_window_text
from dora_metrics.core.policy import Policy
from dora_metrics.core.statistics import Interval, poisson_interval, quantile, quantile_interval, wilson_interval
from dora_metrics.core.targets.benchmarks import Benchmark, LevelledMetric
from dora_metrics.core.targets.metric import metric_of
from dora_metrics.core.windows import IsoWeek, Window, count_local_days

NO_HISTORY = "no deployment is recorded yet"
NO_VALID_RECOVERY = "every recorded recovery is before its failure"
NO_DEPLOYMENT = "no deployment reached users in the window"


def calculate_metrics(
    history: ScopeHistory, window: Window, weeks: Iterable[IsoWeek], policy: Policy
) -> schema.Metrics:
    """Calculate all metrics of one scope in one window.

    Args:
        history: the scope.
        window: what is counted.
        weeks: the ISO weeks that the window touches; complete ones give the median of deployment days per week.
        policy: time zone, benchmark and switches.
    """
    deployments = deployments_in(history, window)
    frequency = _deployment_frequency(history, window, weeks, policy)
    lead_time = _lead_time(history, window, policy)
    change_failure_rate = _change_failure_rate(history, window, deployments, policy)
    recovery_time = _recovery_time(history, failures_in(history, window), policy)
    results_with_levels = (frequency, lead_time, change_failure_rate, recovery_time)
    return schema.Metrics(
        deployment_frequency=frequency,
        lead_time=lead_time,
        change_failure_rate=change_failure_rate,
        recovery_time=recovery_time,
        rework_rate=_rework_rate(history, deployments),
        incident_restore=_incident_restore(history, window),
        pipeline=_pipeline(history, window, deployments),
        security=history.vulnerabilities.count_by_severity(window),
        overall_level=_overall_level(results_with_levels, policy.benchmark),
    )


def deployments_in(history: ScopeHistory, window: Window) -> Sequence[Deployment]:
    """Return the attempts that finished in the window, whatever their status."""
    return in_window(history.deployments, window, lambda deployment: deployment.finished_at)


def failures_in(history: ScopeHistory, window: Window) -> Sequence[Failure]:
    """Return the failures of deployments that finished in the window."""
    return in_window(history.failures, window, lambda failure: failure.deployment.finished_at)


def measured_changes_in(history: ScopeHistory, window: Window) -> Sequence[MeasuredChange]:
    """Return the changes with a lead time that were deployed in the window."""
    return in_window(history.lead_times.measured, window, lambda change: change.deployed_at)


def incidents_in(history: ScopeHistory, window: Window) -> Sequence[AttributedIncident]:
    """Return the incidents that were detected in the window."""
    return in_window(history.incidents, window, lambda attributed: attributed.incident.detected_at)


def sorted_recovery_seconds(failures: Iterable[Failure]) -> list[float]:
    """Return the known recovery times of failures."""
    return sorted(failure.recovery_seconds for failure in failures if failure.recovery_seconds is not None)


def successes(deployments: Iterable[Deployment]) -> list[Deployment]:
    return [deployment for deployment in deployments if deployment.status == "success"]


def ratio_or_none(part: int, whole: int) -> float | None:
    return part / whole if whole else None


class _LevelFields(TypedDict):
    interval95: Interval | None
    level: str | None
    level_span: tuple[str, str] | None
    reason: str | None


def _level_fields(
    metric: LevelledMetric, value: float | None, interval: Interval | None, benchmark: Benchmark, reason: str
) -> _LevelFields:
    """Return the fields that every metric has besides its value. `reason` is kept only if there is no value."""
    return _LevelFields(
        interval95=interval,
        level=benchmark.level_of(metric, value),
        level_span=benchmark.level_range(metric, interval),
        reason=reason if value is None else None,
    )


_WITHOUT_LEVEL = _LevelFields(interval95=None, level=None, level_span=None, reason=None)
"""The fields of a value that the data bound on one side only."""


class _DurationFields(TypedDict):
    p50_seconds: float | None
    p90_seconds: float | None
    mean_seconds: float | None


def _duration_fields(sorted_seconds: Sequence[float]) -> _DurationFields:
    """Summarise durations; None for each field without any."""
    return _DurationFields(
        p50_seconds=quantile_or_none(sorted_seconds, 0.5),
        p90_seconds=quantile_or_none(sorted_seconds, 0.9),
        mean_seconds=_mean(sorted_seconds),
    )


def quantile_or_none(sorted_values: Sequence[float], probability: float) -> float | None:
    return quantile(sorted_values, probability) if sorted_values else None


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _deployment_frequency(
    history: ScopeHistory, window: Window, weeks: Iterable[IsoWeek], policy: Policy
) -> schema.DeploymentFrequency:
    first = history.first_deployment_at
    if first is not None and max(first, window.start) < window.end:
        return _frequency_with_history(history, window, weeks, policy)
    return _frequency_without_history(start_after_window_text(first, window, policy.zone) or NO_HISTORY)


def _frequency_with_history(
    history: ScopeHistory, window: Window, weeks: Iterable[IsoWeek], policy: Policy
) -> schema.DeploymentFrequency:
    finish_times = _success_times(history, window)
    days_per_week = sorted(
        count_local_days(_success_times(history, week.window), policy.zone) for week in weeks if week.is_complete
    )
    per_day = len(finish_times) / window.days
    low, high = poisson_interval(len(finish_times))
    interval = (low / window.days, high / window.days)
    return schema.DeploymentFrequency(
        deployments=len(finish_times),
        per_day=per_day,
        per_week=per_day * 7,
        deployment_days=count_local_days(finish_times, policy.zone),
        median_deployment_days_per_week=quantile_or_none(days_per_week, 0.5),
        **_level_fields("deployment_frequency", per_day, interval, policy.benchmark, ""),
    )


def _success_times(history: ScopeHistory, window: Window) -> list[datetime]:
    """Return when the successful deployments of a window finished."""
    return [deployment.finished_at for deployment in successes(deployments_in(history, window))]


def _frequency_without_history(reason: str) -> schema.DeploymentFrequency:
    return schema.DeploymentFrequency(
        deployments=0,
        per_day=None,
        per_week=None,
        deployment_days=0,
        median_deployment_days_per_week=None,
        reason=reason,
    )


def is_lead_time_lower_bound(measured: Sequence[MeasuredChange], policy: Policy) -> bool:
    """Whether at least half of the changes start too late, so that their median may be any higher."""
    return 0 < len(measured) <= 2 * sum(starts_too_late(change, policy) for change in measured)


def _lead_time(history: ScopeHistory, window: Window, policy: Policy) -> schema.LeadTime:
    measured = measured_changes_in(history, window)
    excluded_counts = dict.fromkeys(("first_deployment", "bots", "no_start", "negative"), 0)
    for exclusion in in_window(history.lead_times.excluded, window, lambda exclusion: exclusion.deployed_at):
        excluded_counts[exclusion.reason] += exclusion.change_count
    sorted_seconds = sorted(change.seconds for change in measured)
    stage_fields = {
        stage: schema.Stage(p50_seconds=quantile_or_none(stage_seconds, 0.5))
        for stage, stage_seconds in sorted_stage_seconds(measured).items()
    }
    is_lower_bound = is_lead_time_lower_bound(measured, policy)
    reason = _reason_without_lead_time(history, window, excluded_counts)
    return schema.LeadTime(
        changes=len(measured),
        p75_seconds=quantile_or_none(sorted_seconds, 0.75),
        p95_seconds=quantile_or_none(sorted_seconds, 0.95),
        **_duration_fields(sorted_seconds),
        stages=schema.Stages(**stage_fields),
        excluded=schema.Excluded(**excluded_counts),
        at_least=is_lower_bound or UNSET,
        **(_WITHOUT_LEVEL if is_lower_bound else _lead_time_level(sorted_seconds, policy.benchmark, reason)),
    )


def _lead_time_level(sorted_seconds: Sequence[float], benchmark: Benchmark, reason: str) -> _LevelFields:
    interval = quantile_interval(sorted_seconds, 0.5) if sorted_seconds else None
    return _level_fields("lead_time", quantile_or_none(sorted_seconds, 0.5), interval, benchmark, reason)


def _reason_without_lead_time(history: ScopeHistory, window: Window, excluded_counts: dict[str, int]) -> str:
    """Say why there is no lead time: nothing was delivered, the changes are unknown, or all of them are excluded."""
    successful = successes(deployments_in(history, window))
    if not successful:
        return "no successful deployment in the window"
    if any(excluded_counts.values()):
        return f"every delivered change is excluded ({formatting.exclusion_counts(excluded_counts)})"
    baseline = history.first_success
    if successful == [baseline]:
        return "the first recorded deployment is the baseline and has no lead time"
    unknown = [success for success in successful if success.changes is None and success is not baseline]
    if not all(success.is_new_baseline for success in unknown):
        return "what the deployments delivered is not known yet"
    if unknown:
        return "no known change: a deployment without a commit of earlier ones is a new baseline and has no lead time"
    return "the deployments in the window delivered no changes"


def _change_failure_rate(
    history: ScopeHistory, window: Window, deployments: Iterable[Deployment], policy: Policy
) -> schema.ChangeFailureRate:
    failures = failures_in(history, window)
    denominator = sum(counts_in_failure_rate(deployment, policy) for deployment in deployments)
    value = ratio_or_none(len(failures), denominator)
    if value is not None and not history.knows_incidents:
        return schema.ChangeFailureRate(failed=len(failures), deployments=denominator, ratio=value, at_least=True)
    return schema.ChangeFailureRate(
        failed=len(failures),
        deployments=denominator,
        ratio=value,
        **_level_fields(
            "change_failure_rate", value, wilson_interval(len(failures), denominator), policy.benchmark, NO_DEPLOYMENT
        ),
    )


def _recovery_time(history: ScopeHistory, failures: Sequence[Failure], policy: Policy) -> schema.RecoveryTime:
    """Calculate recovery. Where incidents are unknown, it is that of reverts and hotfixes only, and has no level."""
    sorted_seconds = sorted_recovery_seconds(failures)
    open_count = sum(failure.recovered_at is None for failure in failures)
    interval = quantile_interval(sorted_seconds, 0.5) if sorted_seconds else None
    if not failures:
        reason = f"no {'' if history.knows_incidents else 'known '}failed deployment in the window"
    else:
        reason = f"no failed deployment has recovered yet ({open_count} open)" if open_count else NO_VALID_RECOVERY
    if sorted_seconds and not history.knows_incidents:
        return schema.RecoveryTime(recovered=len(sorted_seconds), open=open_count, **_duration_fields(sorted_seconds))
    return schema.RecoveryTime(
        recovered=len(sorted_seconds),
        open=open_count,
        **_duration_fields(sorted_seconds),
        **_level_fields("recovery_time", quantile_or_none(sorted_seconds, 0.5), interval, policy.benchmark, reason),
    )


def _rework_rate(history: ScopeHistory, deployments: Iterable[Deployment]) -> schema.ReworkRate:
    reaching_users = [deployment for deployment in deployments if has_reached_users(deployment)]
    rework_count = sum(deployment.id in history.rework_reasons for deployment in reaching_users)
    value = ratio_or_none(rework_count, len(reaching_users))
    return schema.ReworkRate(
        rework=rework_count,
        deployments=len(reaching_users),
        ratio=value,
        interval95=wilson_interval(rework_count, len(reaching_users)),
        reason=NO_DEPLOYMENT if value is None else None,
        at_least=(value is not None and "rework_rate" in history.incomplete_rates) or UNSET,
    )


def _incident_restore(history: ScopeHistory, window: Window) -> schema.IncidentRestore:
    if not history.knows_incidents:
        return _UNKNOWN_INCIDENTS
    detected_in_window = incidents_in(history, window)
    resolved_in_window = [
        attributed.incident for attributed in history.incidents if window.contains(attributed.incident.resolved_at)
    ]
    return schema.IncidentRestore(
        incidents=len(detected_in_window),
        resolved=len(resolved_in_window),
        open=sum(attributed.incident.resolved_at is None for attributed in detected_in_window),
        unmatched=sum(attributed.attributed_to is None for attributed in detected_in_window),
        **_duration_fields(_sorted_restore_seconds(resolved_in_window)),
    )


def _sorted_restore_seconds(incidents: Iterable[Incident]) -> list[float]:
    """Return how long resolved incidents lasted. Negative durations are left out."""
    return sorted(seconds for incident in incidents if (seconds := restore_seconds(incident)) is not None)


def restore_seconds(incident: Incident) -> float | None:
    """Return how long an incident lasted; None while it is open, and if it ended before it was detected."""
    if incident.resolved_at is None or incident.resolved_at < incident.detected_at:
        return None
    return (incident.resolved_at - incident.detected_at).total_seconds()


_UNKNOWN_INCIDENTS = schema.IncidentRestore(
    incidents=None,
    resolved=None,
    open=None,
    unmatched=None,
    p50_seconds=None,
    p90_seconds=None,
    mean_seconds=None,
)


def _pipeline(history: ScopeHistory, window: Window, deployments: Iterable[Deployment]) -> schema.Pipeline:
    streaks = in_window(history.failure_streaks, window, lambda streak: streak.started_at)
    return schema.Pipeline(
        failed_runs=sum(deployment.status == "failure" for deployment in deployments),
        recovery_p50_seconds=quantile_or_none(
            sorted(streak.recovery_seconds for streak in streaks if streak.recovery_seconds is not None), 0.5
        ),
    )


def _overall_level(results: Iterable[schema.MetricVerdict], benchmark: Benchmark) -> schema.OverallLevel | None:
    """Return the lowest level among the metrics that have one; None if fewer than two have."""
    level_by_metric = {metric_of(result).key: result.level for result in results if result.level}
    if len(level_by_metric) < 2:  # noqa: PLR2004 - one metric is not an overall level
        return None
    return schema.OverallLevel(
        level=benchmark.lowest_level(list(level_by_metric.values())), rests_on=list(level_by_metric)
    )
