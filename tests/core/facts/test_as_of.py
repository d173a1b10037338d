"""Facts at a past time: what had happened by then, or what was known by then."""

from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given
from msgspec.structs import replace

from dora_metrics.core.facts.as_of import PastFacts
from dora_metrics.core.facts.model import Fact
from support.facts import at, change, deployment, incident, pull_id, vulnerability
from support.strategies import fact_lists, times

DAY_5, DAY_6 = at("03-05"), at("03-06")


def happened_by(moment: datetime, *facts: Fact) -> Sequence[Fact]:
    return PastFacts.happened(facts).at(moment)


def test_a_deployment_is_there_when_it_has_finished() -> None:
    running = deployment(1, "03-05T12:00", started_at="03-04")
    assert happened_by(at("03-05T11:59"), running) == []
    assert happened_by(at("03-05T12:00"), running) == [running]


def test_it_does_not_matter_when_it_was_recorded() -> None:
    late = deployment(1, "03-05", observed_at="04-01")
    assert happened_by(DAY_5, late) == [late]


def test_an_incident_that_is_resolved_later_is_open() -> None:
    resolved = incident(1, "03-05", resolved_at="03-06")
    assert happened_by(at("03-04"), resolved) == []
    assert happened_by(DAY_5, resolved) == [replace(resolved, resolved_at=None)]
    assert happened_by(DAY_6, resolved) == [resolved]


@pytest.mark.parametrize("end", ["fixed_at", "dismissed_at"])
def test_a_vulnerability_that_ends_later_is_open(end: str) -> None:
    ended = vulnerability(1, "03-05", **{end: "03-06"})
    assert happened_by(DAY_5, ended) == [replace(ended, **{end: None})]
    assert happened_by(DAY_6, ended) == [ended]


def test_a_vulnerability_that_is_dismissed_after_its_fix_was_fixed_in_between() -> None:
    ended = vulnerability(1, "03-05", fixed_at="03-06", dismissed_at="03-08")
    assert happened_by(at("03-07"), ended) == [replace(ended, dismissed_at=None)]


def test_an_end_before_the_beginning_is_left_as_it_is() -> None:
    contradictory = incident(1, "03-05", resolved_at="03-04")
    assert happened_by(at("03-04T12:00"), contradictory) == []
    assert happened_by(DAY_5, contradictory) == [contradictory]


def test_a_change_is_there_when_it_was_merged() -> None:
    merged = change(1, "03-01", merged_at="03-05")
    assert happened_by(at("03-04"), merged) == []
    assert happened_by(DAY_5, merged) == [merged]


def test_a_change_that_was_deployed_is_there_even_if_it_says_that_it_was_merged_later() -> None:
    merged = change(1, "03-01", merged_at="03-05T12:00:01")
    early = deployment(1, "03-05T12:00", changes=[f"{pull_id(1)}@{'a' * 40}"])
    assert merged in happened_by(at("03-05T12:00"), early, merged)
    assert happened_by(at("03-05T12:00"), replace(early, retracted=True), merged) == [replace(early, retracted=True)]


def test_known_is_the_newest_record_that_was_observed_by_then() -> None:
    opened = incident(1, "03-04", observed_at="03-05")
    resolved = replace(opened, observed_at=DAY_6, resolved_at=at("03-05"))
    known = PastFacts.known([resolved, opened])
    assert known.at(at("03-04")) == []
    assert known.at(at("03-05T23:00")) == [opened]
    assert known.at(DAY_6) == [resolved]


@given(fact_lists(), times, times)
def test_without_a_change_in_between_the_facts_are_the_same(facts: list[Fact], one: datetime, other: datetime) -> None:
    for past in (PastFacts.happened(facts), PastFacts.known(facts)):
        if past.count_changes(one) == past.count_changes(other):
            assert past.at(one) == past.at(other)


@given(fact_lists())
def test_in_the_end_everything_has_happened_and_is_known(facts: list[Fact]) -> None:
    end = at("9999-12-31T23:59")
    assert PastFacts.happened(facts).at(end) == facts == PastFacts.known(facts).at(end)
