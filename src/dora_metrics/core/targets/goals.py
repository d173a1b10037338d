"""Goals: a value that a metric is to reach, perhaps by a date, and how far the way is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dora_metrics.core import formatting, schema
from dora_metrics.core.statistics import FEWEST, Trend
from dora_metrics.core.targets import units
from dora_metrics.core.targets.units import within

_KEYS = ("target", "by", "from")


@dataclass(frozen=True)
class Goal:
    """`target` and `start` in the unit of the metric; `by` is the last day for it, None for any time."""

    metric: str
    target: float
    by: date | None = None
    start: float | None = None


def goals(table: Mapping[str, object]) -> tuple[Goal, ...]:
    """Goals as they are written: for each metric `{target: 1d, by: 2027-03-31, from: 3d}`.

    Raises:
        ValueError: with every problem found, joined by `; `.
    """
    problems: list[str] = []
    found = [_goal(name, entry, problems) for name, entry in table.items()]
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(sorted((goal for goal in found if goal), key=lambda goal: units.NAMES.index(goal.metric)))


def _goal(name: str, entry: object, problems: list[str]) -> Goal | None:
    try:
        units.metric(name)
    except ValueError as problem:
        problems.append(str(problem))
        return None
    if not isinstance(entry, Mapping) or "target" not in entry:
        problems.append(f"{name}: expected {{target: …}}, and `by:` or `from:` beside it if wanted")
        return None
    problems += [f"{name}: {key!r} is none of {', '.join(_KEYS)}" for key in entry if key not in _KEYS]
    read: dict[str, float | date] = {}
    for key in entry.keys() & set(_KEYS):
        try:
            read[key] = _day(entry[key]) if key == "by" else units.amount(name, entry[key])
        except ValueError as problem:
            problems.append(f"{name} {key}: {problem}")
    return Goal(name, read.get("target"), read.get("by"), read.get("from"))  # type: ignore[arg-type]


def _day(written: object) -> date:
    """YAML reads 2027-03-31 as a date by itself."""
    try:
        if type(written) is date:
            return _plausible(written)
        text = str(written).strip()
        return _plausible(date.fromisoformat(text if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else ""))
    except ValueError:
        raise ValueError(f"{str(written)!r} is no date between 1970 and 2199; write one such as 2027-03-31") from None


def _plausible(day: date) -> date:
    if not 1970 <= day.year < 2200:  # noqa: PLR2004 - the bounds are in the message
        raise ValueError
    return day


@dataclass(frozen=True)
class Standing:
    """Where a metric is: its value now and in the window before, why it has none, and the trend of its weeks.

    `first_week`: when the weeks begin that the trend numbers; None without any.
    """

    value: float | None
    before: float | None
    reason: str | None
    trend: Trend | None
    first_week: datetime | None


def assess(goal: Goal, standing: Standing, now: datetime, zone: ZoneInfo) -> schema.Goal:
    """How a goal stands: met or not, the distance, the share of the way, and whether it will be met by its day."""
    start = standing.before if goal.start is None else goal.start
    met = standing.value is not None and within(goal.metric, standing.value, goal.target)
    expected = _expected(goal, standing, zone)
    return schema.Goal(
        metric=goal.metric,
        target=goal.target,
        by=goal.by.isoformat() if goal.by else None,
        start=start,
        value=standing.value,
        met=None if standing.value is None else met,
        distance=None if standing.value is None else 0.0 if met else abs(standing.value - goal.target),
        progress=_progress(goal, start, standing.value),
        course=None if goal.by is None or standing.value is None else _course(goal, expected, now, zone, met=met),
        expected=expected,
        reason=standing.reason if standing.value is None else None,
    )


def _progress(goal: Goal, start: float | None, value: float | None) -> float | None:
    """The share of the way from where it started that is done, from 0 to 1."""
    if value is None or start is None:
        return None
    if within(goal.metric, value, goal.target):
        return 1.0
    if within(goal.metric, start, goal.target):
        return 0.0
    return min(1.0, max(0.0, (value - start) / (goal.target - start)))


def _end(goal: Goal, zone: ZoneInfo) -> datetime | None:
    """The end of the goal's day."""
    return datetime.combine(goal.by + timedelta(days=1), time(), zone) if goal.by else None


def _expected(goal: Goal, standing: Standing, zone: ZoneInfo) -> float | None:
    """Where the line through the weeks is in the week of the goal's day; nothing is below nought, no ratio above 1."""
    end = _end(goal, zone)
    if end is None or standing.trend is None or standing.first_week is None:
        return None
    last = end - timedelta(seconds=1)
    there = max(0.0, standing.trend.at((last - standing.first_week) // timedelta(weeks=1)))
    return min(1.0, there) if goal.metric.endswith("_rate") else there


def _course(goal: Goal, expected: float | None, now: datetime, zone: ZoneInfo, *, met: bool) -> str:
    end = _end(goal, zone)
    if end is not None and end <= now:
        return "met" if met else "missed"
    if met:
        return "met"
    if expected is None:
        return f"too few weeks to say: it takes {FEWEST} complete ones with a value"
    return "on course" if within(goal.metric, expected, goal.target) else "not on course"


def sentence(goal: schema.Goal) -> str:
    """`at most 1 d by 2027-03-31: 6 h to go, 3 d at the start, 80 % of the way, on course (20 h expected then)`."""
    return f"{aim(goal)}: {_state(goal)}"


def aim(goal: schema.Goal) -> str:
    """`at most 1 d by 2027-03-31`."""
    least = "at least" if goal.metric == "deployment_frequency" else "at most"
    return f"{least} {units.shown(goal.metric, goal.target)}" + (f" by {goal.by}" if goal.by else "")


def _state(goal: schema.Goal) -> str:
    if goal.value is None:
        return f"nothing to say yet, {goal.reason}"
    if goal.met:
        return "met"
    parts = [f"{units.step(goal.metric, goal.distance or 0)} to go"]
    if goal.start is not None and goal.progress is not None:
        parts += [
            f"{units.shown(goal.metric, goal.start)} at the start",
            f"{formatting.percent(goal.progress)} of the way",
        ]
    if goal.course:
        likely = f" ({units.shown(goal.metric, goal.expected)} expected then)" if goal.expected is not None else ""
        parts.append(goal.course + likely)
    return ", ".join(parts)
