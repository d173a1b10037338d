"""The metrics of one scope in one window (DEFINITIONS §2)."""

import math
from collections.abc import Iterable, Sequence
from typing import TypedDict

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.judge import Failure, counts
from dora_metrics.core.linking.link import reached_users
from dora_metrics.core.metrics.lead_time import stages
from dora_metrics.core.metrics.scope_history import Record, cut
from dora_metrics.core.metrics.security import by_severity
from dora_metrics.core.policy import Policy
from dora_metrics.core.statistics import Interval, poisson, quantile, quantile_interval, wilson
from dora_metrics.core.targets.benchmarks import METRICS, Benchmark, Metric
from dora_metrics.core.windows import IsoWeek, Window, local_days

NO_HISTORY = "no deployment is known yet"
CONTRADICTORY = "every recorded recovery lies before its failure"
NO_DEPLOYMENT = "no deployment that reached users in the window"


def metrics(record: Record, window: Window, weeks: Iterable[IsoWeek], policy: Policy) -> schema.Metrics:
    """Everything about one scope in one window; `weeks` are those that the window touches."""
    known = record.began is not None and max(record.began, window.start) < window.end
    deployments = deployments_in(record, window)
    frequency = _frequency(record, window, weeks, policy) if known else _no_frequency()
    lead_time = _lead_time(record, window, policy)
    failure_rate = _failure_rate(failures_in(record, window), deployments, policy)
    recovery = _recovery(failures_in(record, window), policy)
    levels = dict(zip(METRICS, (frequency.level, lead_time.level, failure_rate.level, recovery.level), strict=True))
    return schema.Metrics(
        deployment_frequency=frequency,
        lead_time=lead_time,
        change_failure_rate=failure_rate,
        recovery_time=recovery,
        rework_rate=_rework(record, deployments),
        incident_restore=_incident_restore(record, window),
        pipeline=_pipeline(record, window, deployments),
        security=by_severity(record.vulnerabilities, window),
        overall_level=_overall(levels, policy.benchmark),
    )


def deployments_in(record: Record, window: Window) -> Sequence[Deployment]:
    return cut(record.deployments, window, lambda deployment: deployment.finished_at)


def failures_in(record: Record, window: Window) -> Sequence[Failure]:
    return cut(record.failures, window, lambda failure: failure.deployment.finished_at)


def successes(deployments: Iterable[Deployment]) -> list[Deployment]:
    return [deployment for deployment in deployments if deployment.status == "success"]


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


class _Verdict(TypedDict):
    interval95: Interval | None
    level: str | None
    level_span: tuple[str, str] | None
    reason: str | None


def _verdict(
    metric: Metric, value: float | None, interval: Interval | None, benchmark: Benchmark, reason: str
) -> _Verdict:
    """What every metric carries beside its value; the reason only where there is none."""
    return _Verdict(
        interval95=interval,
        level=benchmark.level(metric, value),
        level_span=benchmark.span(metric, interval),
        reason=reason if value is None else None,
    )


class _Quantiles(TypedDict):
    p50_seconds: float | None
    p90_seconds: float | None
    mean_seconds: float | None


def _quantiles(ordered: Sequence[float]) -> _Quantiles:
    return _Quantiles(p50_seconds=share(ordered, 0.5), p90_seconds=share(ordered, 0.9), mean_seconds=_mean(ordered))


def share(ordered: Sequence[float], part: float) -> float | None:
    return quantile(ordered, part) if ordered else None


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _frequency(record: Record, window: Window, weeks: Iterable[IsoWeek], policy: Policy) -> schema.DeploymentFrequency:
    moments = [deployment.finished_at for deployment in successes(deployments_in(record, window))]
    complete = [
        local_days((d.finished_at for d in successes(deployments_in(record, week.span))), policy.zone)
        for week in weeks
        if week.complete
    ]
    per_day = len(moments) / window.days
    low, high = poisson(len(moments))
    interval = (low / window.days, high / window.days)
    return schema.DeploymentFrequency(
        deployments=len(moments),
        per_day=per_day,
        per_week=per_day * 7,
        deployment_days=local_days(moments, policy.zone),
        median_deployment_days_per_week=share(sorted(complete), 0.5),
        **_verdict("deployment_frequency", per_day, interval, policy.benchmark, ""),
    )


def _no_frequency() -> schema.DeploymentFrequency:
    return schema.DeploymentFrequency(
        deployments=0,
        per_day=None,
        per_week=None,
        deployment_days=0,
        median_deployment_days_per_week=None,
        reason=NO_HISTORY,
    )


def _lead_time(record: Record, window: Window, policy: Policy) -> schema.LeadTime:
    found = cut(record.leads.measured, window, lambda lead: lead.at)
    excluded = dict.fromkeys(("first_deployment", "bots", "no_start", "negative"), 0)
    for exclusion in cut(record.leads.excluded, window, lambda exclusion: exclusion.at):
        excluded[exclusion.reason] += exclusion.changes
    seconds = sorted(lead.seconds for lead in found)
    interval = quantile_interval(seconds, 0.5) if seconds else None
    parts = {stage: schema.Stage(p50_seconds=share(spans, 0.5)) for stage, spans in stages(found).items()}
    return schema.LeadTime(
        changes=len(found),
        p75_seconds=share(seconds, 0.75),
        p95_seconds=share(seconds, 0.95),
        **_quantiles(seconds),
        stages=schema.Stages(**parts),
        excluded=schema.Excluded(**excluded),
        **_verdict(
            "lead_time",
            share(seconds, 0.5),
            interval,
            policy.benchmark,
            _no_lead_time(record, window, excluded),
        ),
    )


def _no_lead_time(record: Record, window: Window, excluded: dict[str, int]) -> str:
    """Why there is no lead time: nothing was delivered, nothing is known of it, or all of it is left out."""
    delivered = successes(deployments_in(record, window))
    if not delivered:
        return "no successful deployment in the window"
    if any(excluded.values()):
        counted = ", ".join(formatting.LEFT_OUT[reason].format(count) for reason, count in excluded.items() if count)
        return f"every change delivered is left out ({counted})"
    first = record.first_success
    if delivered == [first]:
        return "the first known deployment only bounds the next one"
    if any(deployment.changes is None for deployment in delivered if deployment is not first):
        return "what the deployments delivered is not known yet"
    return "the deployments in the window delivered no change"


def _failure_rate(
    failures: Sequence[Failure], deployments: Iterable[Deployment], policy: Policy
) -> schema.ChangeFailureRate:
    whole = sum(counts(deployment, policy) for deployment in deployments)
    value = ratio(len(failures), whole)
    return schema.ChangeFailureRate(
        failed=len(failures),
        deployments=whole,
        ratio=value,
        **_verdict("change_failure_rate", value, wilson(len(failures), whole), policy.benchmark, NO_DEPLOYMENT),
    )


def _recovery(failures: Sequence[Failure], policy: Policy) -> schema.RecoveryTime:
    seconds = sorted(failure.seconds for failure in failures if failure.seconds is not None)
    still_open = sum(failure.recovered_at is None for failure in failures)
    interval = quantile_interval(seconds, 0.5) if seconds else None
    if not failures:
        reason = "no failed deployment in the window"
    else:
        reason = f"no failed deployment has recovered yet ({still_open} open)" if still_open else CONTRADICTORY
    return schema.RecoveryTime(
        recovered=len(seconds),
        open=still_open,
        **_quantiles(seconds),
        **_verdict("recovery_time", share(seconds, 0.5), interval, policy.benchmark, reason),
    )


def _rework(record: Record, deployments: Iterable[Deployment]) -> schema.ReworkRate:
    reached = [deployment for deployment in deployments if reached_users(deployment)]
    rework = sum(deployment.id in record.rework for deployment in reached)
    value = ratio(rework, len(reached))
    return schema.ReworkRate(
        rework=rework,
        deployments=len(reached),
        ratio=value,
        interval95=wilson(rework, len(reached)),
        reason=NO_DEPLOYMENT if value is None else None,
    )


def _incident_restore(record: Record, window: Window) -> schema.IncidentRestore:
    detected = [one for one in record.incidents if window.holds(one.incident.detected_at)]
    resolved = [one.incident for one in record.incidents if window.holds(one.incident.resolved_at)]
    spans = ((i.resolved_at - i.detected_at).total_seconds() for i in resolved if i.resolved_at)
    return schema.IncidentRestore(
        incidents=len(detected),
        resolved=len(resolved),
        open=sum(one.incident.resolved_at is None for one in detected),
        unmatched=sum(one.blamed is None for one in detected),
        **_quantiles(sorted(span for span in spans if span >= 0)),
    )


def _pipeline(record: Record, window: Window, deployments: Iterable[Deployment]) -> schema.Pipeline:
    streaks = cut(record.streaks, window, lambda streak: streak.since)
    return schema.Pipeline(
        failed_runs=sum(deployment.status == "failure" for deployment in deployments),
        recovery_p50_seconds=share(sorted(s.seconds for s in streaks if s.seconds is not None), 0.5),
    )


def _overall(levels: dict[Metric, str | None], benchmark: Benchmark) -> schema.OverallLevel | None:
    """The lowest level among those that have one; None when fewer than two have."""
    named = {str(metric): level for metric, level in levels.items() if level}
    if len(named) < 2:  # noqa: PLR2004 - one metric is no overall
        return None
    return schema.OverallLevel(level=benchmark.lowest(list(named.values())), rests_on=list(named))
