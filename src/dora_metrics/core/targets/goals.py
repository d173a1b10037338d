"""Goals: the value that a metric should reach, optionally by a date, and the progress towards it."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from dora_metrics.core import formatting, schema
from dora_metrics.core.statistics import MIN_TREND_POINTS, SIGNIFICANCE_LEVEL, TrendEstimate
from dora_metrics.core.targets import units, whole_periods
from dora_metrics.core.targets.metric import METRICS
from dora_metrics.core.targets.units import meets

_KEYS = ("target", "by", "from")


class GoalSpec(Struct, frozen=True):
    """A goal as configured.

    `target` and `start` are in the unit of the deciding value (per day, seconds, or a ratio). `by` is the last day on
    which the goal can be met; None if it has no date. `period_days`: of a frequency, the period it is written in.
    """

    metric: str
    target: float
    by: date | None = None
    start: float | None = None
    period_days: int | None = None


def parse_goals(table: Mapping[str, object]) -> tuple[GoalSpec, ...]:
    """Parse the setting `goals`: for each metric `{target: 1d, by: 2027-03-31, from: 3d}`.

    Raises:
        ValueError: with all problems, joined by `; `.
    """
    problems: list[str] = []
    specs = [_parse_goal(metric, entry, problems) for metric, entry in table.items()]
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(sorted((spec for spec in specs if spec), key=lambda spec: units.METRIC_NAMES.index(spec.metric)))


def _parse_goal(metric: str, entry: object, problems: list[str]) -> GoalSpec | None:
    """Parse one goal. Problems are added to `problems`; the result counts only without any."""
    try:
        units.parse_metric(metric)
    except ValueError as problem:
        problems.append(str(problem))
        return None
    if not isinstance(entry, Mapping) or "target" not in entry:
        problems.append(f"{metric}: expected {{target: …}}, optionally with `by:` and `from:`")
        return None
    problems += [f"{metric}: {key!r} is not one of {', '.join(_KEYS)}" for key in entry if key not in _KEYS]
    values = _parse_goal_values(metric, entry, problems)
    period_days = units.parse_period_days(metric, entry["target"]) if "target" in values else None
    return GoalSpec(metric, values.get("target"), values.get("by"), values.get("from"), period_days)  # type: ignore[arg-type]


def _parse_goal_values(metric: str, entry: Mapping[str, object], problems: list[str]) -> dict[str, float | date]:
    """Parse the values of the valid keys. Problems are added to `problems`."""
    values: dict[str, float | date] = {}
    for key in entry.keys() & set(_KEYS):
        try:
            values[key] = _parse_date(entry[key]) if key == "by" else units.parse_value(metric, entry[key])
        except ValueError as problem:
            problems.append(f"{metric} {key}: {problem}")
    return values


def _parse_date(raw: object) -> date:
    """Parse a date. The YAML parser already returns a date for 2027-03-31."""
    try:
        if type(raw) is date:
            return _require_supported_year(raw)
        text = str(raw).strip()
        return _require_supported_year(
            date.fromisoformat(text if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else "")
        )
    except ValueError:
        raise ValueError(f"{str(raw)!r} is not a valid date; write YYYY-MM-DD, from 1970 to 2199") from None


def _require_supported_year(day: date) -> date:
    if not 1970 <= day.year < 2200:  # noqa: PLR2004 - the bounds are in the message
        raise ValueError
    return day


class MetricState(Struct, frozen=True):
    """What a goal is assessed by: the metric's value now and in the previous window, and the trend of its weeks.

    `reason` says why there is no value. `first_week_start` is the start of the week that the trend numbers 0; None
    without weeks. `days`: of a frequency with deployments, those of the window.
    """

    value: float | None
    previous_value: float | None
    reason: str | None
    trend: TrendEstimate | None
    first_week_start: datetime | None
    days: float | None = None


def assess_goal(goal: GoalSpec, state: MetricState, now: datetime, zone: ZoneInfo) -> schema.Goal:
    """Assess a goal as of `now`: whether it is met, the distance, the progress, and whether it is on course."""
    start = state.previous_value if goal.start is None else goal.start
    bound = bound_over(goal, state.days)
    is_met = state.value is not None and meets(goal.metric, state.value, bound)
    expected = _expected_value(goal, state, zone)
    return schema.Goal(
        metric=goal.metric,
        target=goal.target,
        by=goal.by.isoformat() if goal.by else None,
        start=start,
        value=state.value,
        met=None if state.value is None else is_met,
        distance=None if state.value is None else 0.0 if is_met else abs(state.value - goal.target),
        progress=_progress(goal.metric, bound, start, state.value),
        course=None
        if goal.by is None or state.value is None
        else _course_text(goal, expected, now, zone, is_met=is_met),
        expected=expected,
        reason=state.reason if state.value is None else None,
    )


def bound_over(goal: GoalSpec, days: float | None) -> float:
    """Return the worst value over `days` that meets a goal: for a frequency, that of the whole periods in them."""
    return whole_periods.minimum(goal.target, goal.period_days, days)


def _progress(metric: str, bound: float, start: float | None, value: float | None) -> float | None:
    """Return how much of the way from `start` to the worst value that meets the goal is done, from 0 to 1."""
    if value is None or start is None:
        return None
    if meets(metric, value, bound):
        return 1.0
    if meets(metric, start, bound):
        return 0.0
    return min(1.0, max(0.0, (value - start) / (bound - start)))


def _deadline(goal: GoalSpec, zone: ZoneInfo) -> datetime | None:
    """Return the end of the goal's last day."""
    return datetime.combine(goal.by + timedelta(days=1), time(), zone) if goal.by else None


def _expected_value(goal: GoalSpec, state: MetricState, zone: ZoneInfo) -> float | None:
    """Return the value of the trend line in the week of the goal's last day, kept at or above 0, and ratios below 1."""
    deadline = _deadline(goal, zone)
    if deadline is None or state.trend is None or state.first_week_start is None:
        return None
    last_instant = deadline - timedelta(seconds=1)
    value = max(0.0, state.trend.value_at((last_instant - state.first_week_start) // timedelta(weeks=1)))
    return min(1.0, value) if METRICS[goal.metric].unit == "ratio" else value


_MISSED = "missed"
"""The course of a goal that was not met by its day."""

_ON_COURSE, _NOT_ON_COURSE = "on course", "not on course"
"""The course of a goal by the trend of the weekly values."""


def _course_text(goal: GoalSpec, expected: float | None, now: datetime, zone: ZoneInfo, *, is_met: bool) -> str:
    deadline = _deadline(goal, zone)
    if deadline is not None and deadline <= now:
        return "met" if is_met else _MISSED
    if is_met:
        return "met"
    if expected is None:
        return f"too few weeks for a trend: it needs {MIN_TREND_POINTS} complete weeks with a value"
    return _ON_COURSE if meets(goal.metric, expected, goal.target) else _NOT_ON_COURSE


def describe_goal(goal: schema.Goal, trend: schema.Trend | None) -> str:
    """Write a goal and its state, where `trend` is that of its metric, if there is one.

    Example: `at most 1 d by 2027-03-31: 6 h to go, 75 % of the way from 2 d, on course if the weekly trend holds (20 h
    expected by then)`.
    """
    return f"{target_text(goal)}: {_state_text(goal, trend)}"


def target_text(goal: schema.Goal) -> str:
    """Write the target of a goal: `at most 1 d by 2027-03-31`."""
    bound_text = "at least" if METRICS[goal.metric].higher_is_better else "at most"
    return f"{bound_text} {units.format_value(goal.metric, goal.target)}" + (f" by {goal.by}" if goal.by else "")


def _state_text(goal: schema.Goal, trend: schema.Trend | None) -> str:
    if goal.value is None:
        return f"no value yet, {goal.reason}"
    if goal.met:
        return "met"
    if goal.course == _MISSED:
        return f"{_MISSED}; now {units.format_value(goal.metric, goal.value)}"
    course = f", {_course_with_doubts(goal, trend)}" if goal.course else ""
    return f"{units.format_difference(goal.metric, goal.distance or 0)} to go{_progress_text(goal)}{course}"


def _progress_text(goal: schema.Goal) -> str:
    """Return the way from the start of a goal that is not met; empty if its start is unknown."""
    if goal.start is None or goal.progress is None or goal.value is None:
        return ""
    start, value = (units.format_value(goal.metric, each) for each in (goal.start, goal.value))
    if start != value and meets(goal.metric, goal.start, goal.value):
        return f"; further away than before ({start})"
    return f", {formatting.percent(goal.progress)} of the way from {start}"


def short_course(goal: schema.Goal) -> str:
    """Return where a goal is heading: `on course if the weekly trend holds`, or `missed`; empty if that is unknown."""
    if goal.course in (_ON_COURSE, _NOT_ON_COURSE):
        return f"{goal.course} if the weekly trend holds"
    return _MISSED if goal.course == _MISSED else ""


def _course_with_doubts(goal: schema.Goal, trend: schema.Trend | None) -> str:
    """Return the course of a goal, with the expected value, and whether the trend that both follow may be chance."""
    course = short_course(goal)
    if not course:
        return goal.course or ""
    expected = units.format_value(goal.metric, goal.expected)
    # A trend that reaches 0 by then shows the direction, and no value to expect.
    is_expected_shown = goal.expected and not expected.startswith("0 ")
    is_chance = trend is None or trend.p >= SIGNIFICANCE_LEVEL or not trend.slope_per_week
    remarks = (
        f"{expected} expected by then" if is_expected_shown else "",
        "the trend may be chance" if is_chance else "",
    )
    text = "; ".join(filter(None, remarks))
    return f"{course} ({text})" if text else course
