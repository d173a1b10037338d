"""The weekly values of a scope on the page: counts, medians, and where the lead time went."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.judge import counts_in_failure_rate
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.metrics.calculate import measured_changes_in
from dora_metrics.core.metrics.lead_time import STAGES, MeasuredChange, consecutive_stage_seconds
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.stages import break_down_stages
from dora_metrics.core.reports.site.evidence import count_before, round_or_none
from dora_metrics.core.reports.site.model import WeekSeries
from dora_metrics.core.windows import Window


def week_series(
    history: ScopeHistory, weeks: Sequence[schema.Week], results: Results, *, with_stages: bool
) -> WeekSeries | None:
    """Convert the weeks of a scope; None without any. Stages need about as much space as everything else."""
    if not weeks:
        return None
    counts_at_edges = [
        count_before(history, moment) for moment in (*(week.start for week in weeks), min(weeks[-1].end, results.now))
    ]
    first_numbers = [deployment_count for deployment_count, _ in counts_at_edges]
    failed_ids = {failure.deployment.id for failure in history.failures}
    deployments_by_week = [history.deployments[start:end] for start, end in pairwise(first_numbers)]
    return WeekSeries(
        monday=formatting.date(weeks[0].start, results.policy.zone),
        since=int(weeks[0].start.timestamp()),
        hours=_compact([round((week.end - week.start).total_seconds() / 3600, 1) for week in weeks]),
        partial=(weeks[0].partial, weeks[-1].partial),
        at=first_numbers,
        incidents_at=_compact([incident_count for _, incident_count in counts_at_edges]),
        deployments=[week.deployments for week in weeks],
        counted=_count_by_week(deployments_by_week, lambda d: counts_in_failure_rate(d, results.policy)),
        failed=_compact(_count_by_week(deployments_by_week, lambda d: d.id in failed_ids)),
        deployments_failed=_compact(
            _count_by_week(deployments_by_week, lambda d: d.id in failed_ids and d.status == "success")
        ),
        lead_time=[round_or_none(week.lead_time_p50_seconds) for week in weeks],
        recovery_time=_compact([round_or_none(week.recovery_p50_seconds) for week in weeks]),
        reached=_count_by_week(deployments_by_week, has_reached_users),
        rework=_compact(
            _count_by_week(deployments_by_week, lambda d: has_reached_users(d) and d.id in history.rework_reasons)
        ),
        stages=_stages_by_week(history, weeks, results.policy.lead_time_start) if with_stages else [],
        at_least=history.incomplete_rates,
    )


T = TypeVar("T")


def _compact(values: list[T]) -> list[T] | T:
    """Return the only value if all are the same: of 500 scopes, most have weeks without a failure."""
    return values[0] if all(value == values[0] for value in values) else values


def _count_by_week(
    deployments_by_week: Iterable[Sequence[Deployment]], is_counted: Callable[[Deployment], bool]
) -> list[int]:
    return [sum(map(is_counted, deployments)) for deployments in deployments_by_week]


def _stages_by_week(
    history: ScopeHistory, weeks: Iterable[schema.Week], lead_time_start: str
) -> list[list[int] | None]:
    """Return for each week the mean seconds of each stage per change.

    None for a week without a change of which all stages are known: a single known one would look like all of the time.
    """
    changes_by_week = (measured_changes_in(history, Window(week.start, week.end)) for week in weeks)
    return [_mean_stage_seconds(break_down_stages(changes, lead_time_start).complete) for changes in changes_by_week]


def _mean_stage_seconds(changes: Iterable[MeasuredChange]) -> list[int] | None:
    """Return means, since only means add up to the time that a change took. A stage of no time counts as 0."""
    durations = list(map(consecutive_stage_seconds, changes))
    if not durations:
        return None
    return [round(sum(stages.get(stage, 0.0) for stages in durations) / len(durations)) for stage in STAGES]
