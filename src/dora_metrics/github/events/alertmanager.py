"""Notifications of Alertmanager, sent by repository_dispatch: each alert is an incident; docs/alertmanager.md."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import BeforeValidator, PlainValidator, ValidationInfo

from dora_metrics.core import formatting
from dora_metrics.core.alertmanager import (
    WHY_OWN_ALERTS_ARE_NONE,
    AlertOccurrence,
    AlertTime,
    fingerprint_of,
    incident_of,
    is_own_alert,
    repository_label,
)
from dora_metrics.core.covered_repositories import CoveredRepositories
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.facts.model import Incident
from dora_metrics.core.scope import is_repository_name
from dora_metrics.core.windows import parse_instant_or_none
from dora_metrics.errors import EventError
from dora_metrics.github import text
from dora_metrics.github.observation import Observation, Run, incident_state, nothing_to_record
from dora_metrics.github.payloads import Payload, parse_payload

MAX_ALERTS = 100
"""Alerts of one notification that are recorded. GitHub takes 64 KB in a dispatch, which hold about as many."""

_KEY = "alertmanager"
_PREFIX = f"client_payload.{_KEY}"
_FINGERPRINT_DIGITS = 16
_MAX_NAMED_REPOSITORIES = 3


def _scalars_as_texts(value: object) -> object:
    """Return labels with the texts of numbers and booleans: Alertmanager 0.32 and 0.33 send `"1.4"` as 1.4.

    What has no text is left out.
    """
    if not isinstance(value, Mapping):
        return value
    return {str(name): label for name, each in value.items() if (label := _scalar_text(each)) is not None}


def _scalar_text(value: object) -> str | None:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case _:
            return None


def _nothing_as_empty(value: object) -> object:
    return {} if value is None else _scalars_as_texts(value)


def _alert_time(value: object) -> AlertTime:
    try:
        return AlertTime.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("a time such as 2026-11-21T12:00:00.123Z") from None


def _hexadecimal(value: object, info: ValidationInfo) -> str:
    """Return the fingerprint; one that is missing, or was taken for a number on its way, is computed."""
    if isinstance(value, str) and len(value) == _FINGERPRINT_DIGITS and set(value) <= set("0123456789abcdef"):
        return value
    return fingerprint_of(info.data.get("labels", {}))


class NotifiedAlert(Payload):
    """One alert of a notification. `endsAt` may be any text: that of an alert that fires says nothing."""

    status: Literal["firing", "resolved"]
    labels: Annotated[dict[str, str], BeforeValidator(_scalars_as_texts)]
    annotations: Annotated[dict[str, str], BeforeValidator(_nothing_as_empty)]
    startsAt: Annotated[AlertTime, PlainValidator(_alert_time)]  # noqa: N815 - Alertmanager's name
    endsAt: object = None  # noqa: N815 - Alertmanager's name
    generatorURL: object = None  # noqa: N815 - Alertmanager's name
    fingerprint: Annotated[str, PlainValidator(_hexadecimal)]


class _Skipped(Struct, frozen=True):
    """Why an alert is not recorded though it could be read."""

    reason: str


class _Uncovered(Struct, frozen=True):
    """An alert whose label `repository` is not that of a repository in this ledger."""

    label: str


def observe_notification(run: Run, payload: Mapping[str, object], covered: CoveredRepositories) -> Observation:
    """Map a notification to the incidents of its alerts. An alert that cannot be read hides no other.

    Args:
        run: the workflow run.
        payload: the `client_payload` of the dispatch.
        covered: the repositories that the ledger covers.

    Raises:
        EventError: if it is not a notification, or if none of its alerts can be read.
    """
    notification, alerts = _alerts_of(payload)
    incidents: dict[str, Incident] = {}
    skipped: Counter[str] = Counter()
    uncovered: list[str] = []
    notes, problems = [], list(_truncation_problems(notification, alerts))
    for number, alert in enumerate(alerts[:MAX_ALERTS]):
        try:
            read = _read_alert(run, alert, f"{_PREFIX}.alerts[{number}]", covered)
        except EventError as error:
            problems += error.problems
            continue
        match read:
            case _Skipped(reason):
                skipped[reason] += 1
            case _Uncovered(label):
                uncovered.append(label)
            case (incident, alert_notes):
                incidents[incident.id] = max(incident, incidents.get(incident.id, incident), key=_observed_at)
                notes += alert_notes
    if problems and not (incidents or skipped or uncovered):
        raise EventError(problems)
    notes = [*_skipped_notes(skipped), *_unknown_field_notes(payload), *notes]
    facts = tuple(incidents.values())
    title = _title(facts, is_empty=not (skipped or uncovered))
    warnings = tuple(_uncovered_warnings(uncovered))
    return Observation(facts, title, tuple(notes), problems=tuple(problems), warnings=warnings)


def _alerts_of(payload: Mapping[str, object]) -> tuple[Mapping[str, object], Sequence[object]]:
    """Return a notification and its alerts.

    Raises:
        EventError: if it is not a notification.
    """
    notification = _decoded(payload[_KEY])
    if not isinstance(notification, Mapping):
        raise EventError(f"{_PREFIX}: expected an object, the body of Alertmanager's webhook")
    alerts = notification.get("alerts")
    if not isinstance(alerts, list):
        raise EventError(f"{_PREFIX}.alerts: expected a list, as in the body of Alertmanager's webhook")
    return notification, alerts


def _decoded(value: object) -> object:
    """Return a notification that is JSON in a string, as some bridges send it; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _observed_at(incident: Incident) -> datetime:
    return incident.observed_at


def _truncation_problems(notification: Mapping[str, object], alerts: Sequence[object]) -> Iterator[str]:
    advice = "Send one alert in each notification: `group_by: ['...']`"
    if len(alerts) > MAX_ALERTS:
        yield f"{_PREFIX}.alerts: only the first {MAX_ALERTS} of {len(alerts)} alerts are recorded. {advice}"
    truncated = notification.get("truncatedAlerts")
    if isinstance(truncated, int) and truncated > 0:
        yield f"{_PREFIX}: Alertmanager left out {truncated} alerts (`max_alerts`), which are not recorded. {advice}"


def _read_alert(
    run: Run, content: object, place: str, covered: CoveredRepositories
) -> tuple[Incident, list[str]] | _Skipped | _Uncovered:
    """Return the incident of an alert and what readers must know about it, or why it is none.

    Raises:
        EventError: if the alert cannot be read.
    """
    if not isinstance(content, Mapping):
        raise EventError(f"{place}: expected an object")
    alert = parse_payload(NotifiedAlert, content, f"{place}.")
    if is_own_alert(alert.labels):
        return _Skipped(WHY_OWN_ALERTS_ARE_NONE)
    repository = covered.named(repository_label(alert.labels))
    if repository is None:
        return _Uncovered(repository_label(alert.labels))
    if alert.startsAt.time > run.now + CLOCK_SKEW:
        raise EventError(f"{place}.startsAt: expected a time that is not in the future")
    ended_at, notes = _end(alert, run.now, place)
    url = text.first_http_url(alert.generatorURL if isinstance(alert.generatorURL, str) else None)
    occurrence = AlertOccurrence(alert.fingerprint, alert.labels, alert.startsAt, ended_at, alert.annotations, url)
    if not ids.is_valid(occurrence.id):
        raise EventError(f"{place}.startsAt: expected a time with fewer digits")
    return incident_of(occurrence, repository), notes


def _end(alert: NotifiedAlert, now: datetime, place: str) -> tuple[datetime | None, list[str]]:
    """Return when an alert was resolved. That of an alert that fires is when Alertmanager would give it up."""
    if alert.status == "firing":
        return None, []
    ended_at = parse_instant_or_none(alert.endsAt if isinstance(alert.endsAt, str) else None)
    if ended_at is None:
        return None, [f"{place} is resolved, but its endsAt is not a time, so the incident stays open"]
    if ended_at > now:
        return None, [f"{place} is resolved, but its endsAt is in the future, so the incident stays open"]
    if ended_at < alert.startsAt.time:
        return None, [f"{place} is resolved, but its endsAt is before its startsAt, so the incident stays open"]
    return ended_at, []


def _skipped_notes(skipped: Mapping[str, int]) -> Iterator[str]:
    for reason, count in skipped.items():
        yield f"Not recorded: {formatting.count(count, 'alert')}. The reason: {reason}"


def _uncovered_warnings(labels: Sequence[str]) -> Iterator[str]:
    """Yield what to do about alerts by their labels `repository`."""
    names = [label for label in labels if is_repository_name(label)]
    if odd_count := len(labels) - len(names):
        alerts = formatting.count_are(odd_count, "alert", "alerts")
        yield f"{alerts} not recorded, because the label `repository` is not `OWNER/NAME`. Correct it in the rule"
    if names:
        alerts, unique = formatting.count_are(len(names), "alert", "alerts"), list(dict.fromkeys(names))
        listed = formatting.join_first(unique, _MAX_NAMED_REPOSITORIES)
        problem = f"the label `repository` names what this ledger does not cover: {listed}"
        yield f"{alerts} not recorded, because {problem}. Add it to `repositories`, or correct the label in the rule"


def _unknown_field_notes(payload: Mapping[str, object]) -> Iterator[str]:
    if unknown := sorted(payload.keys() - {_KEY}):
        names = ", ".join(f"client_payload.{name}" for name in unknown)
        yield f"Unknown fields, ignored: {names}"


def _title(incidents: tuple[Incident, ...], *, is_empty: bool) -> str:
    """Return what happened; without incidents, why nothing is recorded: `is_empty` is the notification, or not."""
    match incidents:
        case ():
            reason = (
                "the notification has no alerts" if is_empty else "none of its alerts is an incident of this ledger"
            )
            return nothing_to_record(reason).title
        case (incident,):
            return f"Incident {incident.title or incident.id} {incident_state(incident)}"
        case _:
            open_count = sum(incident.resolved_at is None for incident in incidents)
            return f"{len(incidents)} incidents from alerts: {open_count} open, {len(incidents) - open_count} resolved"
