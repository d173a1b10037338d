"""Where a scope is going: trends of its weeks, its goals, what holds it back, what is worth a mention."""

from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core import schema
from dora_metrics.core.metrics.advice import advice
from dora_metrics.core.metrics.diagnosis import View
from dora_metrics.core.metrics.outlook import Course, achievements
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.metrics.weekly import complete_weeks, long_view, points
from dora_metrics.core.policy import Policy
from dora_metrics.core.targets.goals import Standing, assess
from dora_metrics.core.targets.units import NAMES, deciding
from dora_metrics.core.trend import Trend, trend
from dora_metrics.core.windows import Window


@dataclass(frozen=True)
class Numbers:
    """A scope's metrics in the window and in the one before."""

    now: schema.Metrics
    before: schema.Metrics | None


def outlook(record: Record, window: Window, numbers: Numbers, policy: Policy, now: datetime) -> schema.Outlook:
    """The outlook of one scope as of `now`."""
    span = long_view(window, now)
    weeks = complete_weeks(record, span, policy, now)
    trends = {name: found for name in NAMES if (found := trend(points(weeks, name)))}
    aims = [
        assess(goal, _standing(goal.metric, numbers, trends.get(goal.metric), weeks), now, policy.zone)
        for goal in policy.goals
    ]
    return schema.Outlook(
        trends={
            name: schema.Trend(weeks=one.weeks, slope_per_week=one.slope, change=one.change, p=one.p)
            for name, one in trends.items()
        },
        goals=aims,
        advice=advice(View(record, window, span, policy), numbers.now, aims),
        achievements=achievements(Course(numbers.now, numbers.before, weeks, aims), policy.benchmark),
    )


def _standing(name: str, numbers: Numbers, found: Trend | None, weeks: list[schema.Week]) -> Standing:
    part = getattr(numbers.now, name)
    before = deciding(getattr(numbers.before, name)) if numbers.before else None
    return Standing(deciding(part), before, part.reason, found, weeks[0].start if weeks else None)
