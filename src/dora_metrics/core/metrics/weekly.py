"""Week by week: what a scope did in each, and the values that trends are read from."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from dora_metrics.core import schema
from dora_metrics.core.failures.judge import counts
from dora_metrics.core.linking.link import reached_users
from dora_metrics.core.metrics.calculate import deployments_in, failures_in, ratio, share, successes
from dora_metrics.core.metrics.scope_history import Record, cut
from dora_metrics.core.policy import Policy
from dora_metrics.core.statistics import Point
from dora_metrics.core.windows import IsoWeek, Window, local_days, weeks

REACH = timedelta(days=90)
"""How far back trends look where the window is shorter: twelve weeks, and what a ledger is always read for."""

_LONGEST = timedelta(weeks=53)

VALUES: dict[str, Callable[[schema.Week], float | None]] = {
    "deployment_frequency": lambda week: week.deployments / 7,
    "lead_time": lambda week: week.lead_time_p50_seconds,
    "change_failure_rate": lambda week: week.change_failure_ratio,
    "recovery_time": lambda week: week.recovery_p50_seconds,
    "rework_rate": lambda week: week.rework_ratio,
}
"""A week's value of each metric, in the unit of its target: per day, seconds, a ratio."""


def summed_up(record: Record, window: Window, touched: Iterable[IsoWeek], policy: Policy) -> list[schema.Week]:
    """What the window holds of each week."""
    return [_week(record, week, window, policy) for week in touched]


def long_view(window: Window, now: datetime) -> Window:
    """The window, or the 90 days up to its end where it is shorter and they are sure to have been read.

    An event run reads the window, the one before it, and 90 days back from now. Of a window of years the last one.
    """
    known = min(window.before().start, now - REACH)
    start = min(window.start, max(window.end - REACH, known))
    return Window(max(start, window.end - _LONGEST), window.end)


def complete_weeks(record: Record, window: Window, policy: Policy, now: datetime) -> list[schema.Week]:
    """The complete weeks of a span, in order."""
    touched = weeks(window, policy.zone, now, record.began)
    return summed_up(record, window, (week for week in touched if week.complete), policy)


def points(found: Iterable[schema.Week], metric: str) -> list[Point]:
    """The weeks with a value, numbered from the first week listed; a week without one leaves a gap."""
    values = ((number, VALUES[metric](week)) for number, week in enumerate(found))
    return [(number, value) for number, value in values if value is not None]


def _week(record: Record, week: IsoWeek, window: Window, policy: Policy) -> schema.Week:
    span = Window(max(week.span.start, window.start), min(week.span.end, window.end))
    deployments = deployments_in(record, span)
    failures = failures_in(record, span)
    delivered = successes(deployments)
    reached = [deployment.id for deployment in deployments if reached_users(deployment)]
    seconds = sorted(lead.seconds for lead in cut(record.leads.measured, span, lambda lead: lead.at))
    return schema.Week(
        week=week.name,
        start=week.span.start,
        end=week.span.end,
        partial=not week.complete,
        deployments=len(delivered),
        deployment_days=local_days((d.finished_at for d in delivered), policy.zone),
        lead_time_p50_seconds=share(seconds, 0.5),
        change_failure_ratio=ratio(len(failures), sum(counts(d, policy) for d in deployments)),
        recovery_p50_seconds=share(sorted(f.seconds for f in failures if f.seconds is not None), 0.5),
        rework_ratio=ratio(sum(identity in record.rework for identity in reached), len(reached)),
        incidents=len(cut(record.incidents, span, lambda one: one.incident.detected_at)),
    )
