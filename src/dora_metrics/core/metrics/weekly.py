"""Weekly numbers of a scope, and the values that trends are estimated from."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.judge import Failure, counts_in_failure_rate
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.metrics.calculate import (
    deployments_in,
    failures_in,
    incidents_in,
    measured_changes_in,
    quantile_or_none,
    ratio_or_none,
    sorted_recovery_seconds,
    successes,
)
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.statistics import WeeklyPoint
from dora_metrics.core.targets.metric import METRICS
from dora_metrics.core.windows import IsoWeek, Window, count_local_days, iso_weeks

MIN_TREND_WINDOW = timedelta(days=90)
"""How far back trends look if the window is shorter: twelve weeks. Every run reads at least this much."""

_MAX_TREND_WINDOW = timedelta(weeks=53)


def summarise_weeks(
    history: ScopeHistory, window: Window, weeks: Iterable[IsoWeek], policy: Policy
) -> list[schema.Week]:
    """Summarise each week, counting only what is in the window."""
    return [_summarise_week(history, week, window, policy) for week in weeks]


def trend_window(window: Window, now: datetime) -> Window:
    """Return the window, extended back to 90 days if it is shorter, and cut to its last 53 weeks if it is longer.

    It never starts before the facts that every run has read: an event run reads the window, the previous window, and
    the 90 days before now.
    """
    earliest_read = min(window.previous().start, now - MIN_TREND_WINDOW)
    start = min(window.start, max(window.end - MIN_TREND_WINDOW, earliest_read))
    return Window(max(start, window.end - _MAX_TREND_WINDOW), window.end)


def complete_weeks(history: ScopeHistory, window: Window, policy: Policy, now: datetime) -> list[schema.Week]:
    """Summarise the complete weeks of a window, in order."""
    return summarise_weeks(history, window, _complete_iso_weeks(history, window, policy, now), policy)


def count_trend_weeks(history: ScopeHistory, window: Window, policy: Policy, now: datetime) -> int:
    """Count the complete weeks that the trends of a window look at, with a value or without."""
    return len(_complete_iso_weeks(history, trend_window(window, now), policy, now))


def _complete_iso_weeks(history: ScopeHistory, window: Window, policy: Policy, now: datetime) -> list[IsoWeek]:
    touched_weeks = iso_weeks(window, policy.zone, now, history.first_deployment_at)
    return [week for week in touched_weeks if week.is_complete]


def trend_points(summaries: Iterable[schema.Week], metric: str) -> list[WeeklyPoint]:
    """Return the weeks that have a value of the metric, numbered from the first week. Other weeks leave a gap."""
    values = ((number, METRICS[metric].weekly_value(week)) for number, week in enumerate(summaries))
    return [(number, value) for number, value in values if value is not None]


def _summarise_week(history: ScopeHistory, week: IsoWeek, window: Window, policy: Policy) -> schema.Week:
    span = Window(max(week.window.start, window.start), min(week.window.end, window.end))
    deployments = deployments_in(history, span)
    failures = failures_in(history, span)
    successful = successes(deployments)
    ids_reaching_users = [deployment.id for deployment in deployments if has_reached_users(deployment)]
    lead_time_seconds = sorted(change.seconds for change in measured_changes_in(history, span))
    return schema.Week(
        week=week.name,
        start=week.window.start,
        end=week.window.end,
        partial=not week.is_complete,
        deployments=len(successful),
        deployment_days=count_local_days((d.finished_at for d in successful), policy.zone),
        lead_time_p50_seconds=quantile_or_none(lead_time_seconds, 0.5),
        change_failure_ratio=_failure_ratio(history, failures, deployments, policy),
        recovery_p50_seconds=quantile_or_none(sorted_recovery_seconds(failures), 0.5),
        rework_ratio=ratio_or_none(
            sum(deployment_id in history.rework_reasons for deployment_id in ids_reaching_users),
            len(ids_reaching_users),
        ),
        incidents=len(incidents_in(history, span)) if history.knows_incidents else None,
    )


def _failure_ratio(
    history: ScopeHistory, failures: Sequence[Failure], deployments: Sequence[Deployment], policy: Policy
) -> float | None:
    """Return the failure rate of a week; None if no failure is known and incidents are unknown, which is not 0 %."""
    if not failures and not history.knows_incidents:
        return None
    return ratio_or_none(len(failures), sum(counts_in_failure_rate(deployment, policy) for deployment in deployments))
