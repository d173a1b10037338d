"""An item of any shape is an incident, or is set aside with its name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Severity
from dora_metrics.settings.incidents.parsing import parse_systems
from dora_metrics.settings.incidents.systems import IncidentSystem
from dora_metrics.sources.incidents.items import SystemIncident, UnusableItemError, incident_of_item, severity_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIELDS = {
    "id": "id",
    "title": "title",
    "url": "url",
    "service": "service",
    "severity": "severity",
    "detected_at": "begin",
    "resolved_at": "end",
    "observed_at": "changed",
    "environment": "environment",
    "deployment": "deployment",
    "retracted": "retracted",
    "also": "also",
}
(SYSTEM,) = parse_systems([{"system": "custom", "name": "pager", "url": "https://pager.example", "fields": FIELDS}])


def read(system: IncidentSystem = SYSTEM, **item: Any) -> SystemIncident:  # noqa: ANN401 - JSON
    return incident_of_item(system, {"id": "A1", "begin": "2026-11-20T08:00:00Z", **item}, NOW)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
    | st.sampled_from(["2026-11-20T08:00:00Z", "2026-11-20T08:00:00", "2026-11-20T09:00:00+01:00", "https://a.example/b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name"]), inner),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(set(FIELDS.values()))), ANY_JSON) | ANY_JSON)
def test_no_item_causes_a_traceback_or_an_impossible_incident(item: object) -> None:
    try:
        incident = incident_of_item(SYSTEM, item, NOW)
    except UnusableItemError:
        return
    assert ids.incident_key(ids.incident("pager", incident.key), "pager") == incident.key
    assert ids.is_valid(ids.incident("pager", incident.key))
    assert incident.resolved_at is None or incident.resolved_at >= incident.detected_at
    assert incident.observed_at <= NOW
    assert all(ids.is_valid_name(name) for name in incident.also)
    assert incident.url is None or incident.url.lower().startswith("http")


def test_without_a_time_of_change_it_is_the_later_of_beginning_and_end() -> None:
    assert read().observed_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert read(end="2026-11-20T10:00:00Z").observed_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert read(changed="2026-11-20T11:00:00Z").observed_at == datetime(2026, 11, 20, 11, tzinfo=UTC)


def test_a_change_in_the_future_is_one_of_now() -> None:
    assert read(changed="2027-01-01T00:00:00Z").observed_at == NOW


def test_an_incident_may_end_as_it_begins() -> None:
    incident = read(end="2026-11-20T08:00:00Z")
    assert incident.resolved_at
    assert incident.resolved_at - incident.detected_at == timedelta()


@pytest.mark.parametrize("end", [None, "", False])
def test_without_an_end_it_is_open(end: object) -> None:
    assert read(end=end).resolved_at is None


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        *(("P1", "critical"), ("p0", "critical"), ("P2 - High", "high"), ("SEV3", "medium"), ("sev-4", "low")),
        *(("Sev 5", "low"), ("Priority 1", "critical"), ("Critical", "critical"), ("major outage", "high")),
        *(("Minor", "low"), ("HIGHEST", "critical"), ("none", None), ("P9", None), ("", None), ("spread", None)),
        *(("Critical (SEV2)", "critical"), ("1", "critical"), ("1.0", "critical"), ("4", "low"), ("7", None)),
        *(("1 - Critical", "critical"), ("2 - High", "high"), ("Not critical", None)),
    ],
)
def test_usual_words_and_numbers_are_severities(word: str, severity: Severity | None) -> None:
    assert severity_of(word or None, {}) == severity


def test_a_password_in_an_address_is_not_kept() -> None:
    assert read(url="https://ada:s3cret@pager.example/1@2").url == "https://pager.example/1@2"
    assert read(url="https://pager.example/@ada").url == "https://pager.example/@ada"


def test_words_of_the_user_come_first() -> None:
    assert severity_of("P1", {"p1": "low"}) == "low"


def test_several_services_are_looked_up_in_their_order() -> None:
    assert read(service=["P1", None, " Checkout ", 7]).services == ("P1", "Checkout", "7")
    assert read(service="Checkout").services == ("Checkout",)
    assert read().services == ()


def test_a_number_is_an_id_and_a_flag_is_not() -> None:
    assert read(id=12).key == "12"
    with pytest.raises(UnusableItemError, match="an incident without an id"):
        read(id=True)
