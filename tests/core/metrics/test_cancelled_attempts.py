"""Deployments that were cancelled one after the other are reported, with their number and since when."""

from typing import Any

import pytest

from support.facts import deployment, failed_deployment, scope_of

SUCCESS = deployment(1, "03-08T10:00")
CAUSE = (
    "The usual cause is a run that waits for an approval: it holds its concurrency group, and GitHub cancels the run "
    "that is queued after it when a newer run arrives."
)


def cancelled(*days: int, hour: int = 10) -> list[Any]:
    return [deployment(100 + day, f"03-{day:02}T{hour}:00", status="cancelled") for day in days]


def remarks(*facts: Any, **settings: Any) -> list[str]:  # noqa: ANN401
    return scope_of(*facts, **settings).outlook.remarks


def test_attempts_that_are_all_cancelled_since_the_last_success_are_reported() -> None:
    (text,) = remarks(SUCCESS, *cancelled(*range(9, 22)), window="2024-03-01..2024-03-22")
    assert text == (
        "The last 13 attempts to deploy to production were cancelled, from 2024-03-09 10:00 to 2024-03-21 10:00; "
        f"the last success was on 2024-03-08 10:00. {CAUSE} Look for a waiting run in the Actions tab, then approve or "
        "reject it."
    )


@pytest.mark.parametrize(("count", "is_reported"), [(0, False), (2, False), (3, True)])
def test_from_three_on_it_is_a_row(count: int, is_reported: bool) -> None:  # noqa: FBT001
    assert bool(remarks(SUCCESS, *cancelled(*range(9, 9 + count)))) is is_reported


def test_a_failed_run_between_them_ends_the_row() -> None:
    assert remarks(SUCCESS, *cancelled(9, 10), failed_deployment(2, "03-11T10:00"), *cancelled(12, 13)) == []


def test_where_nothing_ever_succeeded_no_last_success_is_named() -> None:
    (text,) = remarks(*cancelled(9, 10, 11))
    assert "2024-03-11 10:00; no earlier success is recorded." in text


def test_a_row_that_has_ended_is_reported_if_it_lasted_a_day() -> None:
    """Where merges are frequent, a few cancelled runs of one hour are as it should be."""
    ended = [deployment(2, "03-13T10:00")]
    assert remarks(SUCCESS, *cancelled(9, 10, 12), *ended) == [
        "3 attempts in a row to deploy to production were cancelled, from 2024-03-09 10:00 to 2024-03-12 10:00. "
        + CAUSE
    ]
    of_one_hour = [deployment(n, f"03-09T10:{n}", status="cancelled") for n in range(10, 20)]
    assert remarks(SUCCESS, *of_one_hour, *ended) == []


def test_a_row_that_ended_before_the_window_is_over() -> None:
    facts = [SUCCESS, *cancelled(9, 10, 12), deployment(2, "03-13T10:00")]
    assert remarks(*facts, window="2024-03-13..2024-03-20") == []


def test_what_comes_after_the_window_is_not_known_in_it() -> None:
    (text,) = remarks(SUCCESS, *cancelled(9, 10, 11, 12), deployment(2, "03-13T10:00"), window="2024-03-01..2024-03-12")
    assert text.startswith("The last 3 attempts to deploy to production were cancelled")


def test_a_row_that_goes_on_comes_before_a_longer_one_that_has_ended() -> None:
    (text,) = remarks(SUCCESS, *cancelled(9, 10, 11, 12), deployment(2, "03-13T10:00"), *cancelled(14, 15, 16))
    assert text.startswith("The last 3 attempts")
