"""What is worth a mention, each with the numbers that it rests on.

What holds a scope back, and what helps: only for a metric whose level is the lowest or whose goal is missed.

Where a scope is going: trends of its weeks, its goals, what holds it back, what is worth a mention.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics import diagnosis
from dora_metrics.core.metrics.diagnosis import Clue, View
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.metrics.weekly import complete_weeks, long_view, points
from dora_metrics.core.policy import Policy
from dora_metrics.core.statistics import Trend, trend
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.benchmarks import METRICS, Benchmark
from dora_metrics.core.targets.goals import Standing, assess
from dora_metrics.core.targets.units import NAMES, deciding
from dora_metrics.core.windows import Window

_LONG = 8
_LONGEST = 12
_ROW = 2


@dataclass(frozen=True)
class Course:
    """A scope's numbers now and in the window before, its complete weeks in order, and how its goals stand."""

    found: schema.Metrics
    previous: schema.Metrics | None
    weeks: Sequence[schema.Week]
    goals: Iterable[schema.Goal]


def achievements(course: Course, benchmark: Benchmark) -> list[str]:
    """First week without a failure, best lead time, a new level, a goal met; each as a sentence without its stop."""
    return [*_no_failure(course.weeks), *_best_lead_time(course.weeks), *_levels(course, benchmark), *_goals(course)]


def _no_failure(weeks: Sequence[schema.Week]) -> Iterator[str]:
    """The last complete week, after at least two in a row that had failures; weeks without a deployment say nothing."""
    rates = [week.change_failure_ratio for week in weeks]
    if not rates or rates[-1] != 0:
        return
    row = 0
    for rate in reversed([rate for rate in rates[:-1] if rate is not None]):
        if rate == 0:
            break
        row += 1
    if row >= _ROW:
        yield f"First week without a failed deployment ({weeks[-1].week}), after {row} with"


def _best_lead_time(weeks: Sequence[schema.Week]) -> Iterator[str]:
    """The last complete week against up to eleven before it, of which at least seven have a value."""
    recent = weeks[-_LONGEST:]
    values = [week.lead_time_p50_seconds for week in recent]
    known = [value for value in values[:-1] if value is not None]
    if len(known) < _LONG - 1 or (last := values[-1]) is None:
        return
    if last < min(known):
        yield (
            f"Best weekly lead time in {len(recent)} weeks: {formatting.duration(last)} in {recent[-1].week}, "
            f"{formatting.duration(min(known))} before"
        )


def _levels(course: Course, benchmark: Benchmark) -> Iterator[str]:
    """A level that the window before had not."""
    if course.previous is None:
        return
    for name in METRICS:
        now, before = (getattr(part, name).level for part in (course.found, course.previous))
        if now and before and benchmark.ranks[now] > benchmark.ranks[before]:
            yield f"{name.replace('_', ' ').capitalize()} reached the level {now}, {before} in the window before"


def _goals(course: Course) -> Iterator[str]:
    """A goal that is met now and was not in the window before."""
    for goal in course.goals:
        before = units.deciding(getattr(course.previous, goal.metric)) if course.previous else None
        if goal.met and before is not None and not units.within(goal.metric, before, goal.target):
            title = goal.metric.replace("_", " ")
            yield f"Goal met: {title} {goals.aim(goal)}, now {units.shown(goal.metric, goal.value)}"


_MOST = 3

_CLUES: dict[str, Callable[[View], Iterator[Clue]]] = {
    "deployment_frequency": diagnosis.deployment_frequency,
    "lead_time": diagnosis.lead_time,
    "change_failure_rate": diagnosis.change_failure_rate,
    "recovery_time": diagnosis.recovery_time,
    "rework_rate": diagnosis.rework_rate,
}


def advice(view: View, found: schema.Metrics, aims: Iterable[schema.Goal]) -> list[schema.Advice]:
    """For each metric that holds back: why it does, what its data say about the cause, what is known to help."""
    told = [_of(view, name, because) for name, because in _holding_back(view.policy.benchmark, found, aims).items()]
    return [one for one in told if one.evidence]


def _of(view: View, name: str, because: str) -> schema.Advice:
    found = list(_CLUES[name](view))
    measures = {measure.do: measure for clue in found for measure in clue.measures}
    return schema.Advice(
        metric=name,
        because=because,
        evidence=[_sentence(clue.evidence) for clue in found if clue.evidence][:_MOST],
        measures=list(measures.values())[:_MOST],
    )


def _doubt(part: schema.Judged) -> str:
    """What the interval of a value leaves open above its level."""
    best = part.level_span[1] if part.level_span else part.level
    return f" (it could be up to {best})" if best != part.level else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _holding_back(benchmark: Benchmark, found: schema.Metrics, aims: Iterable[schema.Goal]) -> dict[str, str]:
    """By metric why it holds back; what has the best level of all holds nothing back."""
    overall = found.overall_level
    because: dict[str, str] = {}
    for name in METRICS:
        part = getattr(found, name)
        if overall and part.level == overall.level and part.level != benchmark.edges[name][0][0]:
            because[name] = f"its level, {part.level}, is the lowest{_doubt(part)}"
    for goal in aims:
        if goal.met is False:
            because[goal.metric] = "; ".join(
                part for part in (because.get(goal.metric), f"its goal, {goals.aim(goal)}, is not met") if part
            )
    return because


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
