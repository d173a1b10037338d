"""What is worth a mention, each with the numbers that it rests on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dora_metrics.core import formatting, schema
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.benchmarks import METRICS, Benchmark

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
