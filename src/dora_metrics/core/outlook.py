"""Where a scope is going: trends of its weeks, its goals, what holds it back, what is worth a mention."""

from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core import contract
from dora_metrics.core.achievements import Course, achievements
from dora_metrics.core.advice import advice
from dora_metrics.core.amounts import NAMES, deciding
from dora_metrics.core.clues import View
from dora_metrics.core.goals import Standing, assess
from dora_metrics.core.judging import Record
from dora_metrics.core.policy import Policy
from dora_metrics.core.trend import Trend, trend
from dora_metrics.core.values import Window
from dora_metrics.core.weekly import complete_weeks, long_view, points


@dataclass(frozen=True)
class Numbers:
    """A scope's metrics in the window and in the one before."""

    now: contract.Metrics
    before: contract.Metrics | None


def outlook(record: Record, window: Window, numbers: Numbers, policy: Policy, now: datetime) -> contract.Outlook:
    """The outlook of one scope as of `now`."""
    span = long_view(window, now)
    weeks = complete_weeks(record, span, policy, now)
    trends = {name: found for name in NAMES if (found := trend(points(weeks, name)))}
    aims = [
        assess(goal, _standing(goal.metric, numbers, trends.get(goal.metric), weeks), now, policy.zone)
        for goal in policy.goals
    ]
    return contract.Outlook(
        trends={
            name: contract.Trend(weeks=one.weeks, slope_per_week=one.slope, change=one.change, p=one.p)
            for name, one in trends.items()
        },
        goals=aims,
        advice=advice(View(record, window, span, policy), numbers.now, aims),
        achievements=achievements(Course(numbers.now, numbers.before, weeks, aims), policy.benchmark),
    )


def _standing(name: str, numbers: Numbers, found: Trend | None, weeks: list[contract.Week]) -> Standing:
    part = getattr(numbers.now, name)
    before = deciding(getattr(numbers.before, name)) if numbers.before else None
    return Standing(deciding(part), before, part.reason, found, weeks[0].start if weeks else None)
