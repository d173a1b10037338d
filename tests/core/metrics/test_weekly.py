"""Numbers by ISO week, complete and partial (docs/definitions.md, "Words")."""

import pytest

from dora_metrics.core import schema
from support.facts import (
    HOUR,
    at,
    change,
    deployment,
    failed_deployment,
    incident,
    metrics_of,
    scope_of,
)

LONG_AGO = deployment(99, "2023-12-01")


def week_names(weeks: list[schema.Week], *, partial: bool) -> list[str]:
    return [week.week for week in weeks if week.partial == partial]


def test_every_week_that_the_window_touches_is_listed_from_monday_to_monday() -> None:
    """Friday 1 March to Wednesday 13 March."""
    weeks = scope_of(LONG_AGO, window="2024-03-01..2024-03-13").weeks
    assert [(week.week, week.start, week.end, week.partial) for week in weeks] == [
        ("2024-W09", at("02-26"), at("03-04"), True),
        ("2024-W10", at("03-04"), at("03-11"), False),
        ("2024-W11", at("03-11"), at("03-18"), True),
    ]


def test_a_window_from_monday_to_monday_touches_no_third_week() -> None:
    weeks = scope_of(LONG_AGO, window="2024-03-04..2024-03-18").weeks
    assert week_names(weeks, partial=False) == ["2024-W10", "2024-W11"]
    assert week_names(weeks, partial=True) == []


def test_a_week_that_is_not_over_by_now_is_partial() -> None:
    weeks = scope_of(LONG_AGO, window="2024-03-04..2024-03-18", now="2024-03-17T23:59:59").weeks
    assert (week_names(weeks, partial=False), week_names(weeks, partial=True)) == (["2024-W10"], ["2024-W11"])
    weeks = scope_of(LONG_AGO, window="2024-03-04..2024-03-18", now="03-18").weeks
    assert week_names(weeks, partial=False) == ["2024-W10", "2024-W11"]


def test_weeks_before_that_of_the_first_known_deployment_are_partial() -> None:
    """The first, a cancelled one, is on the Wednesday of W10, so its days count: 2 in W10, 0 in W11, median 1."""
    facts = (deployment(1, "03-06", status="cancelled"), deployment(2, "03-07"), deployment(3, "03-08"))
    found = scope_of(*facts, window="2024-02-26..2024-03-18")
    assert week_names(found.weeks, partial=True) == ["2024-W09"]
    assert found.metrics.deployment_frequency.median_deployment_days_per_week == 1


def test_partial_weeks_stay_out_of_the_weekly_median() -> None:
    """W09 is partial with one day, W10 has three, W11 is partial with one day."""
    facts = [deployment(n, f"03-{day}") for n, day in enumerate(["02", "05", "06", "07T01:00", "07T02:00", "12"])]
    found = metrics_of(LONG_AGO, *facts, window="2024-03-01..2024-03-13").deployment_frequency
    assert found.median_deployment_days_per_week == 3


def test_without_a_complete_week_there_is_no_weekly_median() -> None:
    found = metrics_of(LONG_AGO, deployment(1), window="2024-03-05..2024-03-11").deployment_frequency
    assert found.median_deployment_days_per_week is None


def test_every_second_week_is_a_median_between_nought_and_one() -> None:
    """Trap 6: deployments on four Mondays of eight weeks: 1 0 1 0 1 0 1 0."""
    facts = [deployment(n, day) for n, day in enumerate(["01-01", "01-15", "01-29", "02-12"])]
    found = metrics_of(*facts, window="2024-01-01..2024-02-26").deployment_frequency
    assert found.median_deployment_days_per_week == 0.5


@pytest.mark.parametrize(
    ("window", "name"),
    [
        ("2020-12-28..2021-01-04", "2020-W53"),
        ("2021-01-04..2021-01-11", "2021-W01"),
        ("2024-12-30..2025-01-06", "2025-W01"),
        ("2026-12-28..2027-01-04", "2026-W53"),
    ],
)
def test_a_week_belongs_to_the_iso_year_of_its_thursday(window: str, name: str) -> None:
    (week,) = scope_of(deployment(1, "2020-01-01"), window=window, now="2027-06-01").weeks
    assert (week.week, week.partial) == (name, False)


def test_monday_is_at_midnight_in_the_time_zone() -> None:
    """Sunday 23:30Z is Monday in Berlin."""
    found = scope_of(LONG_AGO, deployment(1, "03-10T23:30"), zone="Europe/Berlin", window="2024-03-04..2024-03-18")
    assert [(week.start, week.deployments) for week in found.weeks] == [
        (at("03-03T23:00"), 0),
        (at("03-10T23:00"), 1),
    ]
    assert not any(week.partial for week in found.weeks)


def test_a_week_in_which_the_clock_changes_is_an_hour_shorter_or_longer() -> None:
    found = scope_of(LONG_AGO, zone="Europe/Berlin", window="2024-03-25..2024-04-08", now="05-01").weeks
    assert [week.end - week.start for week in found] == [
        at("03-08") - at("03-01") - (at("03-01T01") - at("03-01")),
        at("03-08") - at("03-01"),
    ]


def test_a_day_with_a_deployment_is_one_in_the_time_zone() -> None:
    facts = (deployment(1, "03-05T22:30"), deployment(2, "03-05T23:30"))
    assert metrics_of(*facts).deployment_frequency.deployment_days == 1
    assert metrics_of(*facts, zone="Europe/Berlin").deployment_frequency.deployment_days == 2


def test_a_week_has_its_own_numbers() -> None:
    """In W10: two successes on a day, a failed run, one marked as failed for an hour, its fix, a change of 12 h."""
    facts = (
        LONG_AGO,
        deployment(1, "03-05T12:00", changes=[1]),
        failed_deployment(2, "03-05T12:30"),
        deployment(3, "03-05T14:00", remediates="github:deployment:1"),
        change(1, "03-05"),
        incident(1, "03-05T12:10", resolved_at="03-05T13:00", deployment="github:deployment:1"),
    )
    (week,) = scope_of(*facts, window="2024-03-04..2024-03-11").weeks
    assert (week.deployments, week.deployment_days, week.incidents) == (2, 1, 1)
    assert week.lead_time_p50_seconds == 12 * HOUR
    assert (week.change_failure_ratio, week.rework_ratio) == (0.5, 0.5)
    assert week.recovery_p50_seconds == HOUR


def test_a_week_without_data_has_noughts_for_counts_and_null_for_the_rest() -> None:
    (week,) = scope_of(LONG_AGO, window="2024-03-04..2024-03-11").weeks
    assert (week.deployments, week.deployment_days, week.incidents) == (0, 0, 0)
    assert week.lead_time_p50_seconds is week.recovery_p50_seconds is None
    assert week.change_failure_ratio is week.rework_ratio is None


def test_a_partial_week_counts_what_the_window_holds_of_it() -> None:
    (week,) = scope_of(LONG_AGO, deployment(1, "03-04"), deployment(2, "03-07"), window="2024-03-06..2024-03-08").weeks
    assert (week.deployments, week.partial) == (1, True)
