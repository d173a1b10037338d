"""Thresholds: how they are written, what violates them, and when they cannot be evaluated."""

import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dora_metrics.core.metrics.comparison import compare_windows
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.summary import alarm_line
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.thresholds import (
    RegressionLimit,
    ThresholdInput,
    ThresholdResult,
    ValueLimit,
    apply_thresholds,
    parse_threshold,
)
from dora_metrics.core.windows import Window, parse_window
from support.facts import DAY, HOUR, at, change, deployment, document_of, incident

SHOP = Scope("acme/shop", "shop", "production")


def threshold_input(*facts: Any, window: str = "2024-03-01..2024-04-01") -> ThresholdInput:  # noqa: ANN401
    """The only scope of some facts, compared with the window before."""
    document = document_of(*facts, window=window, now="12-01")
    (scope,) = document.scopes
    (record,) = evaluate_facts(facts, Policy()).histories
    bounds = Window(document.window.start, document.window.end)
    verdicts = dict(compare_windows(record, bounds, scope.metrics, scope.previous)) if scope.previous else {}
    return ThresholdInput(SHOP, scope.metrics, scope.previous, verdicts)


def violations(rule: str, *facts: Any, **window_and_settings: Any) -> list[str]:  # noqa: ANN401
    return [
        one.text for one in apply_thresholds([rule], [], [threshold_input(*facts, **window_and_settings)]).violations
    ]


FIRST = deployment(0, "2023-01-01")
ONE_OF_FOUR = (
    FIRST,
    deployment(1, "03-04", changes=[1]),
    change(1, "03-02"),
    *(deployment(n, f"03-{n * 5}") for n in (2, 3, 4)),
    incident(1, "03-04T01:00", resolved_at="03-04T03:00"),
)
"""Four deployments in March, a lead time of two days, one failure of three hours."""


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("change_failure_rate > 0.15", ValueLimit("change_failure_rate > 0.15", "change_failure_rate", ">", 0.15)),
        ("lead_time>=2d", ValueLimit("lead_time>=2d", "lead_time", ">=", 2 * DAY)),
        ("deployment_frequency < 1/w", ValueLimit("deployment_frequency < 1/w", "deployment_frequency", "<", 1 / 7, 7)),
        ("recovery_time <= 90m", ValueLimit("recovery_time <= 90m", "recovery_time", "<=", 1.5 * HOUR)),
        ("lead_time worse by 20%", RegressionLimit("lead_time worse by 20%", ("lead_time",), 0.2)),
        ("lead_time worse by 12.5 %", RegressionLimit("lead_time worse by 12.5 %", ("lead_time",), 0.125)),
        ("rework_rate worse", RegressionLimit("rework_rate worse", ("rework_rate",), 0)),
    ],
)
def test_a_threshold_is_a_limit_or_a_regression(text: str, meant: object) -> None:
    assert parse_threshold(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not a valid threshold; write `lead_time > 2d`"),
        ("lead_time", "is not a valid threshold"),
        ("lead_time > ", "'' is not a valid duration"),
        ("lead_time = 2d", "is not a valid threshold"),
        ("lead_time worse by 20", "is not a valid threshold"),
        ("lead_time worse by -20%", "is not a valid threshold"),
        ("regressions", "is not a valid threshold"),
        ("overall_level > 2", "'overall_level' is not one of deployment_frequency"),
        ("lead-time > 2d", "is not a valid threshold"),
        ("lead_time > 2", "'2' is not a valid duration; write one such as 90m"),
        ("lead_time worst by 20%", "is not a valid threshold"),
        ("leadtime worse by 20%", "'leadtime' is not one of"),
        ("change_failure_rate > 15", "is not a ratio from 0 to 1; write 0.15 for 15 %"),
        ("deployment_frequency < 1", "is not a valid frequency; write 2/d"),
    ],
)
def test_what_is_no_threshold_is_told_with_what_would_be(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_threshold(text)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("change_failure_rate > 0.24", "change failure rate is 25 % (1 of 4), above 24 %"),
        ("change_failure_rate > 0.25", None),
        ("change_failure_rate >= 0.25", "change failure rate is 25 % (1 of 4), at least 25 %"),
        ("change_failure_rate >= 0.26", None),
        ("lead_time > 1d", "lead time is 2 d, above 1 d"),
        ("lead_time > 2d", None),
        ("deployment_frequency < 1.1/w", "deployment frequency is 4 in 31 days, below 1.1 a week"),
        ("deployment_frequency < 1/w", None),
        ("deployment_frequency >= 1/w", "deployment frequency is 4 in 31 days, at least 1 a week"),
        ("deployment_frequency > 0.8/w", None),
        ("deployment_frequency <= 0.8/w", "deployment frequency is 4 in 31 days, at most 3.5 a month"),
        ("deployment_frequency > 0.7/w", "deployment frequency is 4 in 31 days, above 3 a month"),
        ("deployment_frequency < 0.2/d", "deployment frequency is 4 in 31 days, below 1.4 a week"),
        ("recovery_time <= 3h", "recovery time is 3 h, at most 3 h"),
        ("recovery_time < 3h", None),
    ],
)
def test_a_limit_is_hit_by_values_beyond_it(rule: str, text: str | None) -> None:
    assert violations(rule, *ONE_OF_FOUR) == ([text] if text else [])


TUESDAYS = [deployment(n, (at("01-02T10:00") + timedelta(weeks=n)).isoformat()) for n in range(20)]
"""One deployment each Tuesday, from 2 January to 14 May 2024."""


@pytest.mark.parametrize("day", range(1, 8))
@pytest.mark.parametrize("rule", ["deployment_frequency < 1/w", "deployment_frequency > 1/w"])
def test_a_team_that_deploys_once_each_week_is_neither_below_nor_above_once_a_week(rule: str, day: int) -> None:
    """30 days hold four or five Tuesdays."""
    window = f"2024-04-{day:02}T12:00Z..2024-05-{day:02}T12:00Z"
    assert violations(rule, *TUESDAYS, window=window) == []
    assert violations(rule.replace("< ", "<= ").replace("> ", ">= "), *TUESDAYS, window=window) != []


def test_a_week_without_a_deployment_is_below_once_a_week_from_the_day_on_when_three_are_left() -> None:
    one_missing = [fact for fact in TUESDAYS if fact.finished_at != at("04-16T10:00")]
    assert violations("deployment_frequency < 1/w", *one_missing, window="2024-04-04..2024-05-04") == [
        "deployment frequency is 3 in 30 days, below 1 a week"
    ]


@pytest.mark.parametrize("window", ["2024-03-25..2024-04-01", "2024-10-21..2024-10-28"])
def test_a_week_in_which_clocks_change_is_one_week(window: str) -> None:
    """167 and 169 hours in Berlin, with one deployment."""
    berlin = ZoneInfo("Europe/Berlin")
    bounds = parse_window(window, berlin).resolve(at("12-01"), None)
    facts = [FIRST, deployment(1, (bounds.start + timedelta(hours=9)).isoformat())]
    exact = f"{bounds.start.isoformat()}..{bounds.end.isoformat()}"
    for rule in ("deployment_frequency < 1/w", "deployment_frequency > 1/w"):
        assert violations(rule, *facts, window=exact) == []


def test_a_window_shorter_than_a_week_is_compared_by_its_rate() -> None:
    assert violations("deployment_frequency < 1/w", *TUESDAYS, window="2024-04-03..2024-04-06") == [
        "deployment frequency is none, below 1 a week"
    ]
    assert violations("deployment_frequency < 3/w", *TUESDAYS, window="2024-04-02..2024-04-05") == [
        "deployment frequency is 1 in 3 days, below 3 a week"
    ]
    assert violations("deployment_frequency > 1/w", *TUESDAYS, window="2024-04-02..2024-04-05") == []


def test_a_limit_a_day_is_compared_over_days_not_over_weeks() -> None:
    """29 deployments in 30 days are at least 1 a day of four weeks, but not of 30 days."""
    daily = [deployment(n, (at("04-01T12:00") + timedelta(days=n)).isoformat()) for n in range(29)]
    window = "2024-04-01..2024-05-01"
    assert violations("deployment_frequency < 7/w", FIRST, *daily, window=window) == []
    assert len(violations("deployment_frequency < 1/d", FIRST, *daily, window=window)) == 1


def quick_then_slow(*, before: int, after: int) -> list[Any]:
    """Six changes of `before` hours in February and six of `after` hours in March, each deployed by itself."""
    facts: list[Any] = [FIRST]
    for month, hours, shift in (("02", before, 0), ("03", after, 10)):
        for n in range(1, 7):
            at_noon = at(f"{month}-{n + 10}T12:00")
            begun = at_noon - (hours * 60 + n) * (at("01-01T00:01") - at("01-01"))
            number = n + shift
            facts += [deployment(number, at_noon.isoformat(), changes=[number]), change(number, begun.isoformat())]
    return facts


def test_a_regression_is_what_is_clearly_worse_than_in_the_window_before() -> None:
    """Six against six without an overlap: p = 2 / 924."""
    slower = quick_then_slow(before=10, after=13)
    said = "lead time is clearly worse than in the previous window: 13 h 4 min, compared with 10 h 4 min (p < 0.05)"
    assert violations("regression", *slower) == [said]
    assert violations("lead_time worse", *slower) == [said]
    assert violations("lead_time worse by 29%", *slower) == [said]  # 3 h of 10 h 4 min are 29.8 %
    assert violations("lead_time worse by 30%", *slower) == []
    assert violations("recovery_time worse", *slower) == violations("change_failure_rate worse by 1%", *slower) == []
    assert violations("regression", *quick_then_slow(before=13, after=10)) == []


def test_a_difference_that_may_be_chance_is_no_regression_however_great() -> None:
    facts = [FIRST, deployment(1, "02-10", changes=[1]), change(1, "02-09"), deployment(2, "03-10", changes=[2])]
    assert violations("lead_time worse by 1%", *facts, change(2, "01-01")) == []


def test_what_was_nought_before_is_worse_by_any_share() -> None:
    """None of ten failed in February; in March eight of ten."""
    before = [deployment(n, f"02-{n + 10}") for n in range(1, 11)]
    after = [deployment(n + 10, f"03-{n + 10}") for n in range(1, 11)]
    broken = [incident(n, f"03-{n + 10}T01:00") for n in range(1, 9)]
    assert len(violations("change_failure_rate worse by 900000%", FIRST, *before, *after, *broken)) == 1


def test_fewer_deployments_are_a_regression_by_the_share_that_is_gone() -> None:
    """Of 20 in the 31 days before March, 4 are left: 80 % less."""
    before = [deployment(n, f"02-{n + 5:02}") for n in range(1, 21)]
    facts = [FIRST, *before, *(deployment(30 + n, f"03-{n + 10}") for n in range(4))]
    assert len(violations("deployment_frequency worse by 80%", *facts)) == 1
    assert violations("deployment_frequency worse by 81%", *facts) == []


def test_without_data_nothing_is_hit_and_it_is_said_why() -> None:
    found = apply_thresholds(
        ["lead_time > 1d", "recovery_time < 9h"], ["regression"], [threshold_input(FIRST, deployment(1, "03-05"))]
    )
    assert found.violations == ()
    assert found.passed_count == 1  # of the frequency it can be evaluated
    assert found.not_evaluated == (
        "lead_time > 1d: not evaluated, the deployments in the window delivered no changes",
        "recovery_time < 9h: not evaluated, no failed deployment in the window",
    )
    assert not found.is_failing


def test_without_a_window_before_nothing_is_a_regression() -> None:
    found = apply_thresholds(["regression"], ["lead_time worse"], [threshold_input(*ONE_OF_FOUR, window="all")])
    assert found == ThresholdResult(
        not_evaluated=(
            "regression: not evaluated, there is no earlier window to compare with",
            "lead_time worse: not evaluated, there is no earlier window to compare with",
        )
    )


def test_what_cannot_be_compared_is_said_to_lack_data() -> None:
    found = apply_thresholds([], ["recovery_time worse by 1%"], [threshold_input(*ONE_OF_FOUR)])
    assert found.not_evaluated == ("recovery_time worse by 1%: not evaluated, one of the two windows has no data",)


def test_a_hit_in_another_scope_than_the_reports_names_it() -> None:
    (hit,) = apply_thresholds([], ["lead_time > 1d"], [threshold_input(*ONE_OF_FOUR)]).violations
    assert alarm_line(hit, SHOP) == "⚠️ **lead time is 2 d, above 1 d** (warn-on: lead\\_time &gt; 1d)"
    assert alarm_line(hit, Scope("acme/api", "api", "production")).startswith(
        "⚠️ **acme/shop · production: lead time is"
    )


def test_every_scope_is_judged_and_only_fail_on_fails() -> None:
    one = threshold_input(*ONE_OF_FOUR)
    other = ThresholdInput(Scope("acme/api", "api", "production"), one.metrics, one.previous, one.verdicts)
    found = apply_thresholds([], ["lead_time > 1d", "lead_time > 3d"], [one, other])
    assert [(hit.on, hit.repository, hit.metric, hit.value) for hit in found.violations] == [
        ("warn", "acme/shop", "lead_time", 2 * DAY),
        ("warn", "acme/api", "lead_time", 2 * DAY),
    ]
    assert (found.passed_count, found.is_failing) == (2, False)
    assert apply_thresholds(["lead_time > 1d"], [], [one]).is_failing
