"""How the numbers of a report were made: window, numerators, denominators, rules, evidence."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dora_metrics.core import formatting, schema
from dora_metrics.core.failures.incidents import Placed
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.markdown import Md, joined, link, md
from dora_metrics.core.metrics.calculate import failures_in
from dora_metrics.core.metrics.scope_history import Record, cut
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.event_story import name, readable
from dora_metrics.core.reports.sections import left_out
from dora_metrics.core.windows import Window

T = TypeVar("T")

_MOST = 10


@dataclass(frozen=True)
class Making:
    """One line about the window, one a metric, one a failure, one an incident without a deployment."""

    window: str
    metrics: list[Md]
    failures: list[Md]
    unmatched: list[Md]


def making(record: Record, scope: schema.ScopeMetrics, window: Window, policy: Policy) -> Making:
    """The derivation of a scope's numbers."""
    start, end = (formatting.minute(moment, policy.zone) for moment in (window.start, window.end))
    unmatched = [one for one in cut(record.incidents, window, lambda one: one.incident.detected_at) if not one.blamed]
    return Making(
        window=f"{start} – {end} {policy.zone.key}, half-open: {window.days:g} days; "
        f"scope {record.scope.repository}, service {record.scope.service}, environment {record.scope.environment}",
        metrics=[*_known_since(record, window, policy), *_metrics(scope.metrics, window, policy)],
        failures=_most(failures_in(record, window), lambda one: md("{} {}", name(one.deployment), failed(one, record))),
        unmatched=_most(unmatched, _unmatched),
    )


def _known_since(record: Record, window: Window, policy: Policy) -> Iterator[Md]:
    """Where the window is older than what is known, since a frequency is of the whole window."""
    if record.began and window.start < record.began:
        since = formatting.day(record.began, policy.zone)
        yield md("**Known since {}**: the days before it count as days without a deployment.", since)


def _unmatched(one: Placed) -> Md:
    return md("{}: {}", link(one.incident.title or one.incident.id, one.incident.url), one.because)


def failed(failure: Failure, record: Record) -> Md:
    """By which rule, because of what, and how it ended: `` by `rollback`: v1 was deployed again; over … ``."""
    because = link(readable(failure.because, record), failure.url)
    end = readable(_end(failure.seconds, failure.remediated_by), record)
    return md("by `{}`: {}; {}", Md(failure.rule), because, end)


def _most(found: Sequence[T], told: Callable[[T], Md]) -> list[Md]:
    more = [Md(f"and {len(found) - _MOST} more")] if len(found) > _MOST else []
    return [*map(told, found[:_MOST]), *more]


def _end(seconds: float | None, by: str | None) -> str:
    if seconds is None:
        return "still open" if by is None else "its recorded end lies before it"
    return f"over after {formatting.duration(seconds)} ({by})"


def _metrics(found: schema.Metrics, window: Window, policy: Policy) -> Iterator[Md]:
    frequency, lead = found.deployment_frequency, found.lead_time
    median = frequency.median_deployment_days_per_week
    yield md(
        "**Deployment frequency**: {} in {} days. Median of days with a deployment in a complete week: {}.",
        formatting.count(frequency.deployments, "successful deployment"),
        f"{window.days:g}",
        formatting.NOTHING if median is None else f"{median:g}",
    )
    yield md(
        "**Lead time**: median over {}, from {} to the end of the first successful production deployment with it{}.{}",
        formatting.count(lead.changes, "change"),
        STARTS[policy.lead_time_start],
        left_out(lead.excluded, "; left out: {}"),
        _stages(lead),
    )
    yield from _rates(found)


STARTS = {
    "first-commit": "a change's first commit",
    "commit": "each commit by itself",
    "opened": "the opening of the pull request",
    "merged": "the merge",
}
"""Where lead time starts, by the names of the setting."""


def _stages(lead: schema.LeadTime) -> Md:
    known = [(stage, getattr(lead.stages, stage).p50_seconds) for stage in ("coding", "pickup", "review", "delivery")]
    shown = [md("{} {}", stage, formatting.duration(seconds)) for stage, seconds in known if seconds is not None]
    return Md(f" Medians of its stages: {joined(', ', shown)}." if shown else "")


def _rates(found: schema.Metrics) -> Iterator[Md]:
    failed, recovery, rework = found.change_failure_rate, found.recovery_time, found.rework_rate
    yield md("**Change failure rate**: {} failed / {} that reached users.", failed.failed, failed.deployments)
    yield md("**Recovery time**: median over {} recovered; {} open.", recovery.recovered, recovery.open)
    yield md(
        "**Rework rate**: {} that repaired production / {} that reached users.",
        rework.rework,
        rework.deployments,
    )
    restore, pipeline = found.incident_restore, found.pipeline
    yield md(
        "Beside them: {}, median time to restore {}; {}, median pipeline recovery {}.",
        formatting.count(restore.incidents, "incident"),
        formatting.duration(restore.p50_seconds),
        formatting.count(pipeline.failed_runs, "failed run"),
        formatting.duration(pipeline.recovery_p50_seconds),
    )
