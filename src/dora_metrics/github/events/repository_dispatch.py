"""Deployments and incidents that other systems report by repository_dispatch, as docs/events.md says."""

import hashlib
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from dora_metrics.core.facts import jsonl
from dora_metrics.core.facts.model import Deployment, Health, Incident, Severity, Status
from dora_metrics.errors import EventError
from dora_metrics.github import text
from dora_metrics.github.observation import Observed, Run, ended, nothing, state
from dora_metrics.github.payloads import DispatchEvent, Flag, Number, Payload, Text, Time, read

_LONGEST_ID = 200


def _identifier(value: str) -> str:
    name = value.strip()
    if not 0 < len(name) <= _LONGEST_ID or not name.isprintable():
        raise ValueError(f"a text of one line and at most {_LONGEST_ID} characters")
    return name


def _sha(value: str) -> str:
    sha = text.full_sha(value.strip())
    if sha is None:
        raise ValueError("a full commit sha, 40 characters of 0-9a-f")
    return sha


class _Dispatched(Payload):
    """What both kinds share. An empty text is no value: templates write it for what they lack."""

    id: Annotated[Text, AfterValidator(_identifier)] | None = None
    service: Text | None = None
    source: Text = "dispatch"
    url: Text | None = None
    observed_at: Time | None = None
    retracted: Flag = False

    @model_validator(mode="before")
    @classmethod
    def _empty_is_missing(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None and value != ""}


class DispatchedDeployment(_Dispatched):
    environment: Text = "production"
    sha: Annotated[Text, AfterValidator(_sha)] | None = None
    ref: Text | None = None
    version: Text | None = None
    status: Status = "success"
    started_at: Time | None = None
    finished_at: Time | None = None
    changes: tuple[Annotated[Text, Field(min_length=1)], ...] | None = None
    previous: Text | None = None
    remediates: Text | None = None
    reached_users: Flag = False
    commit_count: Number | None = None
    health: Health | None = None


class DispatchedIncident(_Dispatched):
    environment: Text | None = None
    title: Text | None = None
    severity: Severity | None = None
    detected_at: Time | None = None
    resolved_at: Time | None = None
    deployment: Text | None = None


def seen(run: Run, event: DispatchEvent) -> Observed:
    match event.action:
        case "dora-deployment":
            return _deployment(run, *_inner(event, "deployment"))
        case "dora-incident":
            return _incident(run, *_inner(event, "incident"))
        case other:
            return nothing(f"the dispatch is of type {other}; dora-deployment and dora-incident are recorded")


def _inner(event: DispatchEvent, name: str) -> tuple[Mapping[str, object], str]:
    """The fields and their place: flat, or under `name`, as a payload has at most ten top-level keys."""
    payload = event.client_payload or {}
    if name not in payload:
        return payload, "client_payload."
    match payload[name]:
        case dict(inner):
            return inner, f"client_payload.{name}."
        case _:
            raise EventError(f"client_payload.{name}: expected an object with the {name}'s fields")


def _deployment(run: Run, fields: Mapping[str, object], place: str) -> Observed:
    sent = read(DispatchedDeployment, fields, place)
    deployment = Deployment(
        id=_id(run, sent, place, _DEPLOYMENT_IDENTITY),
        repository=run.repository,
        service=sent.service,
        source=sent.source,
        observed_at=sent.observed_at or sent.finished_at or run.now,
        url=text.link(sent.url),
        retracted=sent.retracted,
        environment=sent.environment,
        sha=sent.sha,
        ref=text.short_ref(sent.ref),
        version=sent.version,
        status=sent.status,
        started_at=sent.started_at,
        finished_at=sent.finished_at or run.now,
        changes=sent.changes,
        previous=sent.previous,
        remediates=sent.remediates,
        reached_users=sent.reached_users,
        commit_count=sent.commit_count,
        health=sent.health,
    )
    return ended(deployment, _ignored(sent, fields, place))


def _incident(run: Run, fields: Mapping[str, object], place: str) -> Observed:
    sent = read(DispatchedIncident, fields, place)
    if sent.resolved_at and not sent.detected_at:
        raise EventError(f"{place}detected_at: expected a time beside resolved_at, it is missing")
    detected_at = sent.detected_at or run.now
    incident = Incident(
        id=_id(run, sent, place, _INCIDENT_IDENTITY),
        repository=run.repository,
        service=sent.service,
        source=sent.source,
        observed_at=sent.observed_at or max(detected_at, sent.resolved_at or detected_at),
        url=text.link(sent.url),
        retracted=sent.retracted,
        environment=sent.environment,
        severity=sent.severity,
        title=text.title(sent.title),
        detected_at=detected_at,
        resolved_at=sent.resolved_at,
        deployment=sent.deployment,
    )
    return Observed((incident,), f"Incident {incident.id} {state(incident)}", _ignored(sent, fields, place))


_DEPLOYMENT_IDENTITY = ("sha", "ref", "version", "started_at", "finished_at")
_INCIDENT_IDENTITY = ("title", "detected_at")
_ALSO = ("service", "environment", "status")


def _id(run: Run, sent: _Dispatched, place: str, telling: tuple[str, ...]) -> str:
    """The sender's id, else a digest of what was sent: never of the run, which a redelivery has anew."""
    if sent.id:
        return sent.id if ":" in sent.id else f"dispatch:{sent.id}"
    content = {name: getattr(sent, name) for name in telling}
    if not any(content.values()):
        raise EventError(f"{place}id: expected an id, or one of {', '.join(telling)} to tell this one from others")
    also = {name: getattr(sent, name, None) for name in _ALSO}
    identity = {"kind": type(sent).__name__, "repository": run.repository, **also, **content}
    return f"dispatch:{hashlib.sha256(jsonl.canonical(identity)).hexdigest()[:16]}"


def _ignored(sent: _Dispatched, fields: Mapping[str, object], place: str) -> tuple[str, ...]:
    unknown = sorted(fields.keys() - type(sent).model_fields.keys())
    return (f"Unknown fields, ignored: {', '.join(place + name for name in unknown)}",) if unknown else ()
