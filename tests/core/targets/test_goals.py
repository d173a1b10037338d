"""Goals: how they are written, how far a metric is from them, and whether it will meet them in time."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core import schema
from dora_metrics.core.statistics import TrendEstimate
from dora_metrics.core.targets import units
from dora_metrics.core.targets.goals import GoalSpec, MetricState, assess_goal, describe_goal, parse_goals, target_text
from support.facts import DAY, HOUR, at, change, deployment, scope_of

UTC = ZoneInfo("UTC")
NOW = at("04-01")


def assess_lead_time(
    goal: GoalSpec, now: float | None, before: float | None = None, line: TrendEstimate | None = None
) -> schema.Goal:
    reason = None if now is not None else "no failed deployment in the window"
    return assess_goal(goal, MetricState(now, before, reason, line, at("01-01")), NOW, UTC)


def test_a_goal_is_read_in_the_unit_of_its_metric() -> None:
    table = {
        "rework_rate": {"target": "0.05"},
        "lead_time": {"target": "1d", "by": "2027-03-31", "from": "3d"},
        "deployment_frequency": {"target": "5/w", "by": date(2027, 3, 31)},
        "change_failure_rate": {"target": 0.1},
        "recovery_time": {"target": "90m"},
    }
    assert parse_goals(table) == (
        GoalSpec("deployment_frequency", 5 / 7, date(2027, 3, 31), period_days=7),
        GoalSpec("lead_time", DAY, date(2027, 3, 31), 3 * DAY),
        GoalSpec("change_failure_rate", 0.1),
        GoalSpec("recovery_time", 1.5 * HOUR),
        GoalSpec("rework_rate", 0.05),
    )
    assert parse_goals({}) == ()


def test_a_team_that_deploys_once_each_week_meets_its_goal_on_every_day_of_the_week() -> None:
    """30 days hold four or five Tuesdays, which is nothing that was reached either."""
    tuesdays = [deployment(n, (at("01-02T10:00") + timedelta(weeks=n)).isoformat()) for n in range(20)]
    goals = parse_goals({"deployment_frequency": {"target": "1/w"}})
    for day in range(1, 8):
        outlook = scope_of(*tuesdays, goals=goals, window="30d", now=f"05-{day:02}T12:00").outlook
        (goal,) = outlook.goals
        assert (goal.met, goal.distance, goal.progress) == (True, 0, 1)
        assert not [text for text in outlook.achievements if "Goal" in text]


def test_a_goal_a_week_is_missed_where_a_week_is_missing() -> None:
    """Three in 30 days, from four in the 30 days before, which met it."""
    weeks = [n for n in range(18) if n != 15]
    tuesdays = [deployment(n, (at("01-02T10:00") + timedelta(weeks=n)).isoformat()) for n in weeks]
    goals = parse_goals({"deployment_frequency": {"target": "1/w"}})
    outlook = scope_of(*tuesdays, goals=goals, window="30d", now="05-04T12:00").outlook
    (goal,) = outlook.goals
    assert (goal.value, goal.met, goal.progress) == (0.1, False, 0)


def test_every_problem_of_all_goals_is_told_at_once() -> None:
    table = {
        "lead_tim": {"target": "1d"},
        "lead_time": {"target": "soon", "by": "2027-02-30", "until": 1},
        "deployment_frequency": {"target": 5},
        "change_failure_rate": {"target": "10 %", "from": True},
        "recovery_time": "1h",
        "rework_rate": {"by": "2027-03-31"},
    }
    with pytest.raises(ValueError, match="lead_tim") as caught:
        parse_goals(table)
    assert set(str(caught.value).split("; ")) == {
        "'lead_tim' is not one of deployment_frequency, lead_time, change_failure_rate, recovery_time, rework_rate",
        "lead_time: 'until' is not one of target, by, from",
        "lead_time target: 'soon' is not a valid duration",
        "write one such as 90m, 24h, 30d or 12w",
        "lead_time by: '2027-02-30' is not a valid date",
        "write YYYY-MM-DD, from 1970 to 2199",
        "deployment_frequency target: '5' is not a valid frequency",
        "write 2/d for two a day, or 5/w for five a week",
        "change_failure_rate target: '10 %' is not a ratio from 0 to 1",
        "change_failure_rate from: True is not a ratio from 0 to 1",
        "write 0.15 for 15 %",
        "recovery_time: expected {target: …}, optionally with `by:` and `from:`",
        "rework_rate: expected {target: …}, optionally with `by:` and `from:`",
    }


@pytest.mark.parametrize("written", ["5", "5/m", "0/w", "/w", "-1/w", "5/w/d", "1e3/d", "٣/w", "nan/d"])
def test_a_frequency_is_a_number_a_day_or_a_week(written: str) -> None:
    with pytest.raises(ValueError, match="is not a valid frequency; write"):
        units.parse_value("deployment_frequency", written)
    assert units.parse_value("deployment_frequency", "2.5 / d") == 2.5


@pytest.mark.parametrize("written", ["1.01", "-0.1", "10%", "", None, "nan"])
def test_a_ratio_is_a_number_from_nought_to_one(written: object) -> None:
    with pytest.raises(ValueError, match="is not a ratio from 0 to 1; write"):
        units.parse_value("change_failure_rate", written)
    assert (units.parse_value("rework_rate", 0), units.parse_value("rework_rate", 1)) == (0, 1)


@pytest.mark.parametrize("day", ["1969-12-31", "2200-01-01", "27-03-31", "20270331", "2027-03-31T00:00:00Z", None])
def test_a_day_is_a_date_of_a_year_that_anybody_lives_to_see(day: object) -> None:
    with pytest.raises(ValueError, match="is not a valid date; write YYYY-MM-DD, from 1970 to 2199"):
        parse_goals({"lead_time": {"target": "1d", "by": day}})


def test_a_goal_that_is_met_has_no_way_to_go() -> None:
    for name, value in (("lead_time", 100.0), ("lead_time", 99.0), ("deployment_frequency", 101.0)):
        found = assess_lead_time(GoalSpec(name, 100), value, before=200)
        assert (found.met, found.distance, found.progress) == (True, 0, 1)


def test_progress_is_the_share_of_the_way_from_where_it_started() -> None:
    """From 72 h to 24 h are 48 h. At 36 h three quarters are done, and 12 h remain."""
    found = assess_lead_time(GoalSpec("lead_time", 24 * HOUR, start=72 * HOUR), 36 * HOUR, before=1)
    assert (found.start, found.met, found.distance, found.progress) == (72 * HOUR, False, 12 * HOUR, 0.75)
    assert describe_goal(found, None) == "at most 1 d: 12 h to go, 75 % of the way from 3 d"


def test_without_a_start_of_its_own_it_started_in_the_window_before() -> None:
    found = assess_lead_time(GoalSpec("deployment_frequency", 1), 0.6, before=0.2)
    assert (found.start, found.distance) == (0.2, 0.4)
    assert found.progress == pytest.approx(0.5)
    assert describe_goal(found, None) == "at least 1 a day: 2.8 a week to go, 50 % of the way from 1.4 a week"
    assert assess_lead_time(GoalSpec("deployment_frequency", 1), 0.6).progress is None


@pytest.mark.parametrize(("start", "value"), [(0.5, 0.9), (0.5, 0.5), (0.05, 0.3), (0.1, 0.2)])
def test_who_went_the_other_way_or_started_at_the_goal_is_at_nought(start: float, value: float) -> None:
    assert assess_lead_time(GoalSpec("change_failure_rate", 0.1), value, before=start).progress == 0


@pytest.mark.parametrize(
    ("name", "start", "value", "text"),
    [
        ("change_failure_rate", 0.143, 0.2, "10 percentage points to go; further away than before (14.3 %)"),
        ("change_failure_rate", 0.2, 0.2, "10 percentage points to go, 0 % of the way from 20 %"),
        ("change_failure_rate", 0.2, 0.11, "1 percentage point to go, 90 % of the way from 20 %"),
        ("deployment_frequency", 0.08, 0.05, "0.35 a week to go; further away than before (2.4 a month)"),
    ],
)
def test_a_value_that_moved_away_from_its_goal_is_said_to_be_further_away(
    name: str, start: float, value: float, text: str
) -> None:
    found = assess_lead_time(GoalSpec(name, 0.1), value, before=start)
    assert describe_goal(found, None).partition(": ")[2] == text


def test_without_data_a_goal_is_neither_met_nor_missed_and_says_why() -> None:
    found = assess_lead_time(GoalSpec("recovery_time", HOUR, date(2024, 3, 1)), None, before=5)
    assert (found.met, found.distance, found.progress, found.course) == (None, None, None, None)
    assert describe_goal(found, None) == "at most 1 h by 2024-03-01: no value yet, no failed deployment in the window"


def line(slope: float, intercept: float) -> TrendEstimate:
    return TrendEstimate(12, slope, intercept, 11 * slope, 0.5)


def test_the_course_is_where_the_line_through_the_weeks_leads_by_the_day() -> None:
    """1 January 2024 is the Monday of week 0. 30 June is in week 25, 1 July in week 26: 100 - 3 * 25 = 25."""
    steep = line(-3, 100)
    found = assess_lead_time(GoalSpec("lead_time", 25, date(2024, 6, 30)), 60, line=steep)
    assert (found.expected, found.course) == (25, "on course")
    found = assess_lead_time(GoalSpec("lead_time", 24, date(2024, 6, 30)), 60, line=steep)
    assert (found.expected, found.course) == (25, "not on course")
    assert describe_goal(found, None) == (
        "at most 24 s by 2024-06-30: 36 s to go, not on course if the weekly trend holds (25 s expected by then; "
        "the trend may be chance)"
    )
    found = assess_lead_time(GoalSpec("lead_time", 24, date(2024, 7, 1)), 60, line=steep)
    assert (found.expected, found.course) == (22, "on course")


def test_the_day_ends_at_midnight_in_the_time_zone() -> None:
    standing = MetricState(60, None, None, line(-3, 100), at("2023-12-31T23:00"))
    found = assess_goal(GoalSpec("lead_time", 25, date(2024, 6, 30)), standing, NOW, ZoneInfo("Europe/Berlin"))
    assert found.expected == 25


def test_nothing_is_expected_below_nought_and_no_ratio_above_one() -> None:
    assert assess_lead_time(GoalSpec("lead_time", 1, date(2030, 1, 1)), 60, line=line(-3, 100)).expected == 0
    assert assess_lead_time(GoalSpec("rework_rate", 0, date(2030, 1, 1)), 0.5, line=line(1, 0)).expected == 1
    assert assess_lead_time(GoalSpec("deployment_frequency", 9, date(2030, 1, 1)), 0.5, line=line(1, 0)).expected > 1  # type: ignore[operator]


def test_too_few_weeks_are_said_to_be_too_few() -> None:
    found = assess_lead_time(GoalSpec("lead_time", 1, date(2024, 6, 30)), 60)
    assert (found.expected, found.course) == (None, "too few weeks for a trend: it needs 5 complete weeks with a value")


def test_after_its_day_a_goal_was_met_or_missed() -> None:
    """The 31st ends at the midnight with which 1 April begins."""
    for day, value, course in (("03-31", 60, "missed"), ("03-31", 1, "met"), ("04-01", 60, "not on course")):
        goal = GoalSpec("lead_time", 1, date.fromisoformat(f"2024-{day}"))
        assert assess_lead_time(goal, value, line=line(0, 60)).course == course
    assert assess_lead_time(GoalSpec("lead_time", 1, date(2030, 1, 1)), 1, line=line(9, 0)).course == "met"


def test_a_goal_that_was_missed_has_its_value_and_no_way_to_go() -> None:
    found = assess_lead_time(GoalSpec("lead_time", 1, date(2024, 3, 31)), 60, before=90, line=line(0, 60))
    assert describe_goal(found, None) == "at most 1 s by 2024-03-31: missed; now 1 min"


@pytest.mark.parametrize("slope", [-3, -2.56])
def test_a_line_that_reaches_zero_is_a_direction_and_no_value_to_expect(slope: float) -> None:
    found = assess_lead_time(GoalSpec("lead_time", 1, date(2024, 9, 30)), 60, line=line(slope, 100))
    assert (
        describe_goal(found, None)
        == "at most 1 s by 2024-09-30: 59 s to go, on course if the weekly trend holds (the trend may be chance)"
    )


def test_a_goal_without_a_day_has_no_course() -> None:
    assert assess_lead_time(GoalSpec("lead_time", 1), 60, line=line(0, 60)).course is None


def weekly_deployments(*hours: float) -> list[Any]:
    """A first deployment, then one on each Wednesday from 3 January on, whose change waited this many hours."""
    facts: list[Any] = [deployment(0, "2023-12-27T12:00")]
    for week, waited in enumerate(hours):
        moment = at("01-03T12:00") + week * (at("01-08") - at("01-01"))
        begun = moment - waited * (at("01-01T01:00") - at("01-01"))
        facts += [deployment(week + 1, moment.isoformat(), changes=[week + 1]), change(week + 1, begun.isoformat())]
    return facts


def test_an_answer_says_how_its_goals_stand() -> None:
    """Lead times of 48, 44, 40, 36, 32 and 28 h in six weeks: 4 h less each week, so 20 h two weeks from now."""
    facts = weekly_deployments(48, 44, 40, 36, 32, 28)
    (goal,) = scope_of(
        *facts, window="2024-01-29..2024-02-12", now="02-12",
        goals=parse_goals({"lead_time": {"target": "1d", "by": "2024-02-25"}}),
    ).outlook.goals  # fmt: skip
    assert (goal.value, goal.start) == (30 * HOUR, 38 * HOUR)  # medians of 32 and 28, and of 40 and 36
    assert (goal.met, goal.distance) == (False, 6 * HOUR)
    assert goal.progress == pytest.approx(8 / 14)
    assert goal.expected == pytest.approx(20 * HOUR)
    assert goal.course == "on course"
    assert target_text(goal) == "at most 1 d by 2024-02-25"


shares = st.floats(0, 1)
ends = st.none() | st.tuples(st.floats(-1, 1), st.floats(-1, 1))
written_goals = st.builds(
    GoalSpec,
    metric=st.sampled_from(units.METRIC_NAMES),
    target=shares,
    by=st.none() | st.dates(date(1970, 1, 1), date(2199, 12, 31)),
    start=st.none() | shares,
)


@given(written_goals, st.none() | shares, st.none() | shares, ends)
def test_whatever_the_numbers_a_share_is_a_share_and_there_are_words_for_it(
    goal: GoalSpec, value: float | None, before: float | None, trend: tuple[float, float] | None
) -> None:
    found = assess_lead_time(goal, value, before, line(*trend) if trend else None)
    assert found.progress is None or 0 <= found.progress <= 1
    assert found.distance is None or found.distance >= 0
    assert found.expected is None or found.expected >= 0
    assert (found.met is None) == (found.value is None) == (found.reason is not None)
    assert describe_goal(found, None)


def test_a_goal_that_is_met_is_said_to_be_and_one_with_its_numbers_is_not() -> None:
    def said(value: float, by: str | None = None, line: TrendEstimate | None = None) -> str:
        (goal,) = parse_goals({"change_failure_rate": {"target": 0.1, **({"by": by} if by else {})}})
        found = assess_goal(goal, MetricState(value, None, "no value", line, at("01-01")), NOW, UTC)
        p = line.p if line else 1.0
        trend = schema.Trend(weeks=9, slope_per_week=0.01, change=0.1, p=p, ends=(0.0, 0.1))
        return describe_goal(found, trend)

    assert said(0.05) == "at most 10 %: met"
    assert said(0.2) == "at most 10 %: 10 percentage points to go"
    assert said(0.2, "2024-05-01", TrendEstimate(9, 0.0, 0.1, 0.0, 0.01)) == (
        "at most 10 % by 2024-05-01: 10 percentage points to go, on course if the weekly trend holds "
        "(10 % expected by then)"
    )
    assert said(0.2, "2024-05-01", TrendEstimate(9, 0.0, 0.1, 0.0, 1.0)).endswith(
        "(10 % expected by then; the trend may be chance)"
    )
    few = (
        "at most 10 % by 2024-05-01: 10 percentage points to go, too few weeks for a trend: it needs 5 complete weeks "
        "with a value"
    )
    assert said(0.2, "2024-05-01") == few


def test_a_goal_of_a_frequency_is_on_course_where_the_line_rises_above_it() -> None:
    (goal,) = parse_goals({"deployment_frequency": {"target": "1/d", "by": "2024-05-01"}})
    rising = MetricState(0.5, None, None, TrendEstimate(9, 0.1, 0.0, 0.8, 0.01), at("01-01"))
    assert assess_goal(goal, rising, NOW, UTC).course == "on course"
    assert assess_goal(goal, MetricState(0.5, None, "unused", None, None), NOW, UTC).reason is None


def test_a_goal_may_be_of_the_first_and_the_last_year() -> None:
    for day in ("1970-01-01", "2199-12-31"):
        assert parse_goals({"lead_time": {"target": "1d", "by": day}}) == (
            GoalSpec("lead_time", DAY, at(f"{day}T00:00").date()),
        )
