"""Alerts of Prometheus as incidents: one for each occurrence, whichever way it is reported.

The fingerprint is Alertmanager's: FNV-1a over the labels. So a notification and the history of the series `ALERTS` give
the same id.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import ALERTMANAGER_SOURCE, Incident, Severity
from dora_metrics.core.markdown import storable
from dora_metrics.core.windows import parse_instant

OWN_ALERTS = "Dora"
"""How the names of the alerts begin that are about the metrics of this program. They are never incidents."""

WHY_OWN_ALERTS_ARE_NONE = (
    f"alerts whose name begins with `{OWN_ALERTS}` warn of these metrics, and would make them worse as incidents"
)

_OFFSET_BASIS, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF
_SEPARATOR = b"\xff"

_SEVERITIES: dict[str, Severity] = {
    "critical": "critical",
    "page": "high",
    "error": "high",
    "high": "high",
    "warning": "medium",
    "medium": "medium",
    "info": "low",
    "low": "low",
}
_FRACTION = re.compile(r".{19}[.,]([0-9]+)")


class AlertTime(Struct, frozen=True):
    """A time as an alert states it. `name` is the time in an id: in UTC with `Z`, with all digits of the fraction."""

    time: datetime
    name: str

    @classmethod
    def parse(cls, text: str) -> "AlertTime":
        """Parse a time with an offset; it may have more digits than a `datetime` holds.

        Raises:
            ValueError: if it is not a time of a supported year with an offset.
        """
        time = parse_instant(text)
        fraction = _FRACTION.match(text.strip())
        return cls(time, _time_name(time, fraction[1] if fraction else ""))

    @classmethod
    def of(cls, time: datetime) -> "AlertTime":
        """Return a time in UTC as an alert would state it."""
        return cls(time, _time_name(time, f"{time:%f}"))


def _time_name(time: datetime, fraction: str) -> str:
    digits = fraction.rstrip("0")
    return f"{time:%Y-%m-%dT%H:%M:%S}{f'.{digits}' if digits else ''}Z"


class AlertOccurrence(Struct, frozen=True):
    """One time that an alert fired: its labels and annotations, and how long it did. `ended_at` None: it still does."""

    fingerprint: str
    labels: Mapping[str, str]
    started: AlertTime
    ended_at: datetime | None = None
    annotations: Mapping[str, str] = {}
    url: str | None = None

    @property
    def id(self) -> str:
        """The id of its incident."""
        return ids.alert_occurrence(self.fingerprint, self.started.name)


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """Return Alertmanager's fingerprint of labels, in hexadecimal. An empty label is a missing one."""
    value = _OFFSET_BASIS
    for name in sorted(name for name, text in labels.items() if text):
        for byte in b"".join((_bytes(name), _SEPARATOR, _bytes(labels[name]), _SEPARATOR)):
            value = (value ^ byte) * _PRIME & _MASK
    return f"{value:016x}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def severity_of(labels: Mapping[str, str]) -> Severity | None:
    """Return the severity that the label `severity` means; None for any other text."""
    return _SEVERITIES.get(labels.get("severity", "").strip().lower())


def is_own_alert(labels: Mapping[str, str]) -> bool:
    """Whether an alert is about the metrics of this program."""
    return labels.get("alertname", "").startswith(OWN_ALERTS)


def incident_of(occurrence: AlertOccurrence, repository: str) -> Incident:
    """Return the incident of an alert. It is observed at its last known time."""
    labels, annotations = occurrence.labels, occurrence.annotations
    started_at = occurrence.started.time
    return Incident(
        id=occurrence.id,
        repository=repository,
        service=_text(labels.get("service")),
        source=ALERTMANAGER_SOURCE,
        observed_at=max(started_at, occurrence.ended_at or started_at),
        url=occurrence.url,
        environment=_text(labels.get("environment")),
        severity=severity_of(labels),
        title=_text(annotations.get("summary")) or _text(labels.get("alertname")),
        detected_at=started_at,
        resolved_at=occurrence.ended_at,
        deployment=_text(labels.get("deployment")) or _text(labels.get("version")),
    )


def _text(value: str | None) -> str | None:
    return storable(value).strip() or None if value else None


def repository_label(labels: Mapping[str, str]) -> str:
    """Return the repository that an alert names; empty if it names none."""
    return labels.get("repository", "").strip()
