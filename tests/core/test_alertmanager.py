"""Alerts as incidents: id, fingerprint, severity."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core import alertmanager
from dora_metrics.core.alertmanager import AlertOccurrence, AlertTime
from dora_metrics.core.facts import ids, jsonl

LABELS = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=5)
MILLISECONDS = st.integers(0, 7_000_000_000_000).map(
    lambda count: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=count)
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-11-21T10:00:00.821Z", "2026-11-21T10:00:00.821Z"),
        ("2026-11-21T10:00:00.820Z", "2026-11-21T10:00:00.82Z"),
        ("2026-11-21T10:00:00.000Z", "2026-11-21T10:00:00Z"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("2026-11-21T12:00:00.5+02:00", "2026-11-21T10:00:00.5Z"),
        ("2026-11-21T00:30:00.1+01:00", "2026-11-20T23:30:00.1Z"),
        ("2026-11-21T10:00:00.123456789Z", "2026-11-21T10:00:00.123456789Z"),
        ("2026-11-21T10:00:00.123456780Z", "2026-11-21T10:00:00.12345678Z"),
    ],
)
def test_a_time_in_an_id_is_in_utc_with_the_digits_that_were_given(text: str, name: str) -> None:
    assert AlertTime.parse(text).name == name


@pytest.mark.parametrize("text", ["", "0001-01-01T00:00:00Z", "2026-11-21T10:00:00", "now", "2300-01-01T00:00:00Z"])
def test_anything_else_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid time"):
        AlertTime.parse(text)


@given(MILLISECONDS)
def test_a_sample_and_a_notification_of_the_same_time_have_the_same_name(time: datetime) -> None:
    """Prometheus rounds what it sends to milliseconds, and a sample has no more."""
    notified = f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"
    assert AlertTime.parse(notified) == AlertTime.of(time)


@pytest.mark.parametrize(
    ("labels", "fingerprint"),
    [
        ({}, "cbf29ce484222325"),  # the offset basis of FNV-1a
        ({"alertname": "ShopDown", "severity": "critical", "dora_incident": "true"}, "c59d274570a8a903"),
    ],
)
def test_the_fingerprint(labels: dict[str, str], fingerprint: str) -> None:
    """`tests/pipeline/test_alerts_real.py` compares it with that of a real Alertmanager."""
    assert alertmanager.fingerprint_of(labels) == fingerprint


@given(LABELS, st.randoms())
def test_the_fingerprint_depends_on_no_order_and_no_empty_label(labels: dict[str, str], random: object) -> None:
    shuffled = list(labels.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis's
    assert alertmanager.fingerprint_of(dict(shuffled)) == alertmanager.fingerprint_of(labels)
    without_empty = {name: value for name, value in labels.items() if value}
    assert alertmanager.fingerprint_of(without_empty) == alertmanager.fingerprint_of(labels)


@given(LABELS, LABELS, MILLISECONDS, st.one_of(st.none(), st.timedeltas(timedelta(), timedelta(days=90))))
def test_any_labels_make_an_incident_that_the_ledger_can_hold(
    labels: dict[str, str], annotations: dict[str, str], started_at: datetime, duration: timedelta | None
) -> None:
    ended_at = None if duration is None else started_at + duration
    fingerprint = alertmanager.fingerprint_of(labels)
    occurrence = AlertOccurrence(fingerprint, labels, AlertTime.of(started_at), ended_at, annotations)
    incident = alertmanager.incident_of(occurrence, "acme/shop")
    assert jsonl.decode_line(jsonl.encode_fact(incident)) == incident
    assert ids.is_valid(incident.id)
    assert ids.alert_fingerprint(incident.id) == fingerprint
    assert (incident.detected_at, incident.resolved_at) == (started_at, ended_at)


@pytest.mark.parametrize(
    ("label", "severity"),
    [
        ("critical", "critical"),
        ("page", "high"),
        ("error", "high"),
        ("warning", "medium"),
        ("info", "low"),
        ("high", "high"),
        ("Critical", "critical"),
        ("none", None),
        ("P1", None),
        ("", None),
    ],
)
def test_the_severity_of_a_label(label: str, severity: str | None) -> None:
    assert alertmanager.severity_of({"severity": label}) == severity


def test_without_the_label_there_is_no_severity() -> None:
    assert alertmanager.severity_of({}) is None
