"""Canaries of Flagger: analyses that promoted the canary, or rolled it back."""

import pytest

from support.cluster import ReadLedger, canary, condition, read_objects
from support.facts import at


def test_a_canary_that_failed_reached_users_and_the_next_success_is_another_deployment() -> None:
    ledger = ReadLedger()
    ledger.read(canary("one", "03-05T12:00"))
    for _ in range(100):
        ledger.read(canary("two", "03-06T12:00", "Failed"))
    ledger.read(canary("three", "03-06T14:00"))
    assert ledger.rollouts == [
        ("03-05T12:00", "one", "success"),
        ("03-06T12:00", "two", "failure"),
        ("03-06T14:00", "three", "success"),
    ]
    assert [each.reached_users for each in ledger.deployments] == [False, True, False]


def test_a_spec_that_comes_back_is_a_deployment() -> None:
    ledger = ReadLedger()
    for day, spec in enumerate(("one", "two", "one"), 5):
        ledger.read(canary(spec, f"03-0{day}T12:00"))
    assert len(ledger.rollouts) == 3


@pytest.mark.parametrize(
    "phase", ["", "Initializing", "Initialized", "Waiting", "Progressing", "Promoting", "Finalising"]
)
def test_an_analysis_that_has_not_ended_is_none(phase: str) -> None:
    reading = read_objects(canary("one", "03-05T12:00", phase))
    assert not reading.occurrences
    assert reading.idle_counts == {f"Canary: no analysis has ended ({phase or 'no reason'})": 1}


def test_a_condition_of_another_phase_says_nothing() -> None:
    assert not read_objects(
        canary("one", "03-05T12:00", conditions=[condition("Promoted", "Unknown", "Promoting", "03-05T12:00")])
    ).occurrences


def test_without_the_condition_it_is_the_time_of_asking() -> None:
    (occurrence,) = read_objects(canary("one", "03-05T12:00", conditions=[]), asked_at=at("03-06")).occurrences
    assert (occurrence.finished_at, occurrence.is_time_of_asking) == (at("03-06"), True)
    ledger = ReadLedger()
    for day in range(1, 10):
        ledger.read(canary("one", "03-01T12:00", conditions=[]), asked_at=f"03-0{day}T04:00")
    assert len(ledger.rollouts) == 1
