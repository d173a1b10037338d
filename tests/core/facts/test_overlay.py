"""Laws of incidents: a record is what its system last said, overlaid by what people stated, in any order of arrival."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import decode_line, encode_fact
from dora_metrics.core.facts.merge import changed_facts, prepare_event_facts
from dora_metrics.core.facts.model import Fact, Incident
from support.facts import at, incident
from support.property_cases import cases

ISSUE, PAGE, CUSTOM = "github:issue:acme/shop#9", "pagerduty:A1", "pager:1"
SYSTEMS = {ISSUE: "github", PAGE: "pagerduty", CUSTOM: "pager"}
BEGAN = at("03-05T00:00")
Fields = dict[str, Any]


def hours(number: int) -> datetime:
    return BEGAN + timedelta(hours=number)


texts = st.sampled_from([None, "a", "b"])
later = st.integers(0, 60).map(hours)
states: st.SearchStrategy[Fields] = st.fixed_dictionaries({
    "title": texts, "deployment": texts, "service": texts, "environment": texts, "url": texts,
    "severity": st.sampled_from([None, "low", "high"]), "also": st.sampled_from([(), ("jira:OPS-1",)]),
    "retracted": st.booleans(), "detected_at": st.integers(0, 9).map(hours),
    "resolved_at": st.none() | st.integers(10, 60).map(hours),
})  # fmt: skip
stated_ends = st.fixed_dictionaries({"detected_at": st.integers(0, 30).map(hours), "resolved_at": st.just(hours(31))})
stated_values: st.SearchStrategy[Fields] = st.fixed_dictionaries({}, optional={
    "title": st.just("C"), "deployment": st.just("v1.2.0"), "service": st.just("till"), "severity": st.just("critical"),
    "environment": st.just("staging"), "url": st.just("https://example.com/1"), "also": st.just(("jira:OPS-2",)),
    "retracted": st.booleans(), "detected_at": st.integers(0, 59).map(hours),
})  # fmt: skip
corrections: st.SearchStrategy[Fields] = st.builds(lambda one, two: {**one, **two}, stated_values, st.just({})) | (
    st.builds(lambda values, ends: {**values, **ends}, stated_values, stated_ends)
)


def overlay(report: Incident, stated: Sequence[Fields]) -> Incident:
    """The model: what the system last said, overlaid by what people stated."""
    of_people: Fields = {}
    for each in stated:
        of_people |= each
        if "resolved_at" not in each and of_people.get("resolved_at", hours(99)) < of_people.get("detected_at", BEGAN):
            del of_people["resolved_at"]
    known = replace(report, **of_people)
    is_negative = known.resolved_at is not None and known.resolved_at < known.detected_at
    return replace(known, resolved_at=None) if is_negative else known


class Ledger:
    """The record of one incident, read from its line each time, with the lines of earlier states."""

    def __init__(self) -> None:
        self.line: bytes | None = None

    @property
    def record(self) -> Incident | None:
        fact = decode_line(self.line) if self.line else None
        assert fact is None or isinstance(fact, Incident)
        return fact

    def merge(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            line, record = encode_fact(fact), self.record
            if record is None or (fact.observed_at, line) > (record.observed_at, self.line or b""):
                self.line = line

    def event(self, fact: Incident, unstated: Sequence[str] = ()) -> None:
        self.merge(prepare_event_facts([self.record] if self.record else [], fact, unstated))

    def sync(self, fact: Incident) -> None:
        self.merge(changed_facts({fact.id: self.record} if self.record else {}, [fact]))

    def correct(self, incident_id: str, now: datetime, stated: Fields) -> None:
        detected_at = stated.get("detected_at", now)
        times = {"detected_at": detected_at, "observed_at": max(detected_at, stated.get("resolved_at") or detected_at)}
        fields = {"service": None, "environment": None, **times, **stated}
        unstated = [name for name in ("detected_at", "observed_at", "retracted") if name not in stated]
        self.event(replace(incident(1, id=incident_id, source="dispatch"), **fields), unstated)


def facts_of(record: Incident | None) -> Fields:
    names = ("title", "deployment", "service", "environment", "url", "severity", "also", "retracted")
    return {name: getattr(record, name) for name in (*names, "detected_at", "resolved_at", "source")}


@pytest.mark.parametrize("incident_id", SYSTEMS)
@settings(max_examples=cases(70))
@given(data=st.data())
def test_an_incident_is_what_its_system_last_said_overlaid_by_what_people_stated(
    incident_id: str, data: st.DataObject
) -> None:
    """Reports and corrections arrive in their own order, and in any order of each other; reports also again."""
    times = sorted(data.draw(st.lists(later, min_size=1, max_size=4, unique=True)))
    source = SYSTEMS[incident_id]
    reports = [
        replace(incident(1, id=incident_id, source=source), observed_at=time, **data.draw(states)) for time in times
    ]
    stated = data.draw(st.lists(corrections.filter(bool), max_size=4))
    order = data.draw(st.permutations(["report"] * len(reports) + ["correct"] * len(stated)))
    ledger, reported_count, corrected_count = Ledger(), 0, 0
    for step in order:
        if step == "report":
            read = data.draw(st.sampled_from([ledger.event, ledger.sync]))
            read(reports[reported_count])
            reported_count += 1
        else:
            ledger.correct(incident_id, data.draw(later), stated[corrected_count])
            corrected_count += 1
        if reported_count and data.draw(st.booleans()):
            ledger.event(data.draw(st.sampled_from(reports[:reported_count])))
        if reported_count:
            expected = facts_of(overlay(reports[reported_count - 1], stated[:corrected_count]))
            if step == "correct":  # an end that an earlier correction hid comes back with the next report
                del expected["resolved_at"]
            known = facts_of(ledger.record)
            assert {name: known[name] for name in expected} == expected
    ledger.sync(reports[-1])
    before = ledger.line
    ledger.sync(reports[-1])
    assert ledger.line == before
    assert facts_of(ledger.record) == facts_of(overlay(reports[-1], stated))


@settings(max_examples=cases(30))
@given(stated=stated_values.filter(bool), report=states, time=later, now=later)
def test_a_correction_may_come_before_or_after_the_report(
    stated: Fields, report: Fields, time: datetime, now: datetime
) -> None:
    fact = replace(incident(1, id=PAGE, source="pagerduty"), observed_at=time, **report)
    before, after = Ledger(), Ledger()
    before.correct(PAGE, now, stated)
    before.event(fact)
    after.event(fact)
    after.correct(PAGE, now, stated)
    assert before.record is not None
    assert after.record is not None
    assert replace(before.record, observed_at=now) == replace(after.record, observed_at=now)


def test_an_incident_that_no_system_reports_is_open_again_with_both_times_and_no_end() -> None:
    ledger = Ledger()
    ledger.correct("opsgenie:1", hours(9), {"detected_at": hours(1), "resolved_at": hours(2), "title": "Down"})
    ledger.correct("opsgenie:1", hours(9), {"detected_at": hours(1), "observed_at": hours(3)})
    assert ledger.record is not None
    assert (ledger.record.resolved_at, ledger.record.title) == (None, "Down")


def test_a_record_without_the_time_of_the_last_report_takes_the_next_one() -> None:
    """As an earlier version left it: with the source of its last correction."""
    ledger = Ledger()
    old = incident(1, id=PAGE, source="dispatch", severity="low", observed_at=hours(9), corrected=("severity",))
    ledger.line = encode_fact(old)
    ledger.correct(PAGE, hours(9), {"detected_at": hours(2)})
    assert ledger.record is not None
    assert ledger.record.corrected == ("detected_at", "severity")
    ledger.event(replace(incident(1, id=PAGE, source="pagerduty"), title="New", severity="high", observed_at=hours(5)))
    record = ledger.record
    assert (record.title, record.severity, record.source, record.detected_at) == ("New", "low", "pagerduty", hours(2))
