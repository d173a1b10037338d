"""Corrections of incidents: what they state stays, and everything else is as the incident's system reports it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.merge import changed_facts, prepare_event_facts
from dora_metrics.core.facts.model import EPOCH, Incident
from support.facts import at, incident
from support.property_cases import cases

ALERT = "alertmanager:0123456789abcdef:2024-03-05T13:00:00Z"
SYSTEMS = [
    pytest.param("pagerduty:A1", "pagerduty", id="pagerduty"),
    pytest.param("github:issue:acme/shop#9", "github", id="issue"),
    pytest.param(ALERT, "alertmanager", id="alert"),
    pytest.param("pager:1", "pager", id="custom"),
]
VALUES: dict[str, Any] = {
    "severity": "low", "deployment": "v1.2.0", "service": "till", "environment": "staging", "title": "Corrected",
    "url": "https://example.com/1", "also": ("jira:OPS-1",), "retracted": True,
}  # fmt: skip
END = at("03-05T15:00")


class Ledger:
    """The record of one incident, and the two ways by which it changes."""

    def __init__(self, incident_id: str, source: str | None) -> None:
        self.id, self.source = incident_id, source
        self.record: Incident | None = None

    def _merge(self, facts: Any) -> None:  # noqa: ANN401 - of any kind
        for fact in facts:
            if self.record is None or fact.observed_at >= self.record.observed_at:
                self.record = fact

    @property
    def incident(self) -> Incident:
        assert self.record is not None
        return self.record

    def report(self, **fields: Any) -> Incident:  # noqa: ANN401 - of any type
        fields = {"severity": "high", "title": "Down", **fields}
        return replace(incident(1, id=self.id, source=self.source), **fields)

    def sync(self, **fields: Any) -> None:  # noqa: ANN401 - of any type
        known = {} if self.record is None else {self.id: self.record}
        self._merge(changed_facts(known, [self.report(**fields)]))

    def event(self, fact: Incident, unstated: tuple[str, ...] = ()) -> None:
        self._merge(prepare_event_facts([self.record] if self.record else [], fact, unstated))

    def correct(self, now: datetime, **stated: Any) -> None:  # noqa: ANN401 - of any type
        """A dispatch with these fields, as it is observed."""
        times = {"detected_at": now, "observed_at": now}
        fields = {"service": None, "environment": None, **times, **stated}
        fact = replace(incident(1, id=self.id, source="dispatch"), **fields)
        self.event(fact, tuple(name for name in (*times, "retracted") if name not in stated))


def contents_of(fact: Incident) -> Incident:
    return replace(fact, observed_at=EPOCH, reported_at=None)


hours = st.integers(0, 9).map(lambda hour: at("03-05T14:00") + timedelta(hours=hour))


@pytest.mark.parametrize(("incident_id", "source"), [*SYSTEMS, pytest.param("dispatch:X1", "dispatch", id="own")])
@settings(max_examples=cases(30))
@given(data=st.data())
def test_corrections_keep_what_they_leave_out_in_any_order_and_however_often(
    incident_id: str, source: str, data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, unique=True))
    ledger = Ledger(incident_id, source)
    ledger.event(ledger.report(resolved_at=END, observed_at=END))
    before = ledger.incident
    for name in data.draw(st.permutations([*names, *names])):
        ledger.correct(data.draw(hours), **{name: VALUES[name]})
    stated = {name: VALUES[name] for name in names}
    expected = replace(before, corrected=tuple(sorted(names)), **stated)
    assert contents_of(ledger.incident) == contents_of(expected)


@pytest.mark.parametrize(("incident_id", "source"), SYSTEMS)
@settings(max_examples=cases(30))
@given(data=st.data())
def test_an_incident_is_as_its_system_has_it_with_corrections_that_came_before_between_or_after(
    incident_id: str, source: str, data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, unique=True))
    syncs: list[dict[str, Any]] = [{}, {"title": "Checkout is down"}, {"resolved_at": END, "severity": "critical"}]
    corrections = data.draw(st.permutations(names))
    order = data.draw(st.permutations(["sync"] * len(syncs) + ["correct"] * len(corrections)))
    ledger, left_syncs, left_names = Ledger(incident_id, source), iter(syncs), iter(corrections)
    for step in order:
        if step == "sync":
            ledger.sync(**next(left_syncs))
        else:
            name = next(left_names)
            ledger.correct(data.draw(hours), **{name: VALUES[name]})
    ledger.sync(**syncs[-1])
    stated = {name: VALUES[name] for name in names}
    expected = replace(ledger.report(**syncs[-1]), corrected=tuple(sorted(names)), **stated)
    assert contents_of(ledger.incident) == contents_of(expected)
    ledger.sync(**syncs[-1])
    assert contents_of(ledger.incident) == contents_of(expected)


@pytest.mark.parametrize(("incident_id", "source"), [*SYSTEMS, pytest.param("dispatch:X1", "dispatch", id="own")])
def test_an_end_that_is_older_than_a_correction_is_recorded(incident_id: str, source: str) -> None:
    ledger = Ledger(incident_id, source)
    ledger.event(ledger.report())
    ledger.correct(at("03-05T18:00"), deployment="v1.2.0")
    ledger.event(ledger.report(resolved_at=END, observed_at=END))
    assert (ledger.incident.resolved_at, ledger.incident.deployment) == (END, "v1.2.0")
    ledger.event(ledger.report())
    assert ledger.incident.resolved_at == END, "a report of the beginning that comes late"


@pytest.mark.parametrize(("incident_id", "source"), SYSTEMS)
def test_a_report_that_comes_after_a_correction_has_the_beginning_unless_it_is_corrected(
    incident_id: str, source: str
) -> None:
    for stated, beginning in (({}, at("03-05T13:00")), ({"detected_at": at("03-05T13:30")}, at("03-05T13:30"))):
        ledger = Ledger(incident_id, source)
        ledger.correct(at("03-05T18:00"), severity="low", **stated)
        ledger.event(ledger.report())
        assert (ledger.incident.detected_at, ledger.incident.title) == (beginning, "Down")
        assert ledger.incident.severity == "low"


@pytest.mark.parametrize(("incident_id", "source"), [*SYSTEMS, pytest.param("dispatch:X1", "dispatch", id="own")])
@pytest.mark.parametrize("stated", [{}, {"observed_at": at("03-06")}], ids=["no time", "observed_at"])
def test_only_an_explicit_false_takes_a_withdrawal_back(
    incident_id: str, source: str, stated: dict[str, datetime]
) -> None:
    ledger = Ledger(incident_id, source)
    ledger.event(ledger.report(resolved_at=END, observed_at=END))
    before = ledger.incident
    ledger.correct(at("03-05T18:00"), retracted=True)
    ledger.correct(at("03-05T19:00"), severity="low", **stated)
    assert ledger.incident.retracted
    ledger.correct(at("03-05T20:00"), **{**stated, "retracted": False})
    expected = replace(before, severity="low", corrected=("retracted", "severity"))
    assert contents_of(ledger.incident) == contents_of(expected)


def test_a_corrected_beginning_after_the_end_leaves_the_incident_open_until_the_system_has_another_end() -> None:
    ledger = Ledger("pagerduty:A1", "pagerduty")
    ledger.sync(resolved_at=END)
    ledger.correct(at("03-05T18:00"), detected_at=END + timedelta(hours=1))
    for end, recorded in ((END, None), (END + timedelta(hours=2), END + timedelta(hours=2))):
        ledger.sync(resolved_at=end)
        assert ledger.incident.resolved_at == recorded


def test_a_correction_with_an_older_time_changes_nothing() -> None:
    ledger = Ledger("dispatch:X1", "dispatch")
    ledger.event(ledger.report())
    before = ledger.incident
    ledger.correct(at("03-06"), severity="low", observed_at=at("03-01"))
    assert ledger.incident == before


def test_a_field_of_a_newer_version_may_be_corrected() -> None:
    ledger = Ledger("pagerduty:A1", "pagerduty")
    ledger.sync()
    ledger.record = replace(ledger.incident, corrected=("colour", "severity"))
    ledger.sync(severity="critical", title="New")
    assert (ledger.incident.severity, ledger.incident.title) == ("high", "New")
