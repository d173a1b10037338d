"""Deployments and incidents that other systems report by repository_dispatch; docs/events.md lists the fields."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Annotated

import msgspec
from msgspec.structs import replace
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dora_metrics.core.facts import ids, jsonl
from dora_metrics.core.facts.model import JOB_FIELDS, Deployment, Health, Incident, Severity, Status
from dora_metrics.errors import EventError
from dora_metrics.github import text
from dora_metrics.github.observation import (
    Observation,
    Recorded,
    Run,
    deployment_observation,
    incident_state,
    nothing_to_record,
)
from dora_metrics.github.payloads import (
    ARGO_CD_KEY,
    FLAGGER_KEY,
    DispatchEvent,
    Payload,
    PayloadFlag,
    PayloadNumber,
    PayloadText,
    PayloadTime,
    parse_payload,
)
from dora_metrics.settings.model import Settings

ALERTMANAGER_KEY = "alertmanager"
"""The key of a `client_payload` whose value is a notification of Alertmanager."""

FLUX_KEY = "involvedObject"
"""One that every event of Flux has. The types of these are such as `Kustomization/apps.flux-system`."""


def _valid_id(value: str) -> str:
    fact_id = ids.dispatched(value.strip())
    if not ids.is_valid(fact_id):
        raise ValueError(f"a name or {ids.ID_RULE}")
    return fact_id


def _valid_name(value: str) -> str:
    name = value.strip()
    if not ids.is_valid_name(name):
        raise ValueError(f"an id, {ids.NAME_RULE}")
    return name


def _one_as_several(value: object) -> object:
    """Return a single name as a list of one."""
    return (value,) if isinstance(value, str) else value


def _valid_sha(value: str) -> str:
    sha = text.full_sha_or_none(value.strip())
    if sha is None:
        raise ValueError("a full commit sha, 40 characters of 0-9a-f")
    return sha


class _DispatchedFact(Payload):
    """Fields of both kinds. An empty text counts as missing, since templates write it for a missing value."""

    id: Annotated[PayloadText, AfterValidator(_valid_id)] | None = None
    service: PayloadText | None = None
    source: PayloadText = "dispatch"
    url: PayloadText | None = None
    observed_at: PayloadTime | None = None
    retracted: PayloadFlag = False

    @model_validator(mode="before")
    @classmethod
    def _empty_is_missing(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None and value != ""}


class DispatchedDeployment(_DispatchedFact):
    environment: PayloadText = "production"
    sha: Annotated[PayloadText, AfterValidator(_valid_sha)] | None = None
    ref: PayloadText | None = None
    version: PayloadText | None = None
    status: Status = "success"
    started_at: PayloadTime | None = None
    finished_at: PayloadTime | None = None
    changes: tuple[Annotated[PayloadText, AfterValidator(_valid_name)], ...] | None = None
    previous: PayloadText | None = None
    remediates: PayloadText | None = None
    reached_users: PayloadFlag = False
    commit_count: PayloadNumber | None = None
    health: Health | None = None
    run_id: PayloadText | None = None
    run_attempt: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = None
    job_id: PayloadText | None = None
    job_name: PayloadText | None = None
    workflow: PayloadText | None = None
    run_event: PayloadText | None = None


class DispatchedIncident(_DispatchedFact):
    environment: PayloadText | None = None
    title: PayloadText | None = None
    severity: Severity | None = None
    detected_at: PayloadTime | None = None
    resolved_at: PayloadTime | None = None
    deployment: PayloadText | None = None
    also: Annotated[
        tuple[Annotated[PayloadText, AfterValidator(_valid_name)], ...], BeforeValidator(_one_as_several)
    ] = ()


def observe_dispatch(run: Run, event: DispatchEvent, settings: Settings, recorded: Recorded) -> Observation:
    """Map a dispatch to the deployment or incident in it, or to one incident for each alert in it."""
    payload = event.client_payload or {}
    match event.action:
        case "dora-deployment" if payload.keys() & {FLAGGER_KEY, ARGO_CD_KEY}:
            return _observe_rollout(run, event, settings, recorded)
        case "dora-deployment":
            return _observe_deployment(run, *_fact_fields(event, "deployment"))
        case "dora-incident" if ALERTMANAGER_KEY in payload:
            from dora_metrics.core.covered_repositories import CoveredRepositories  # noqa: PLC0415 - as below
            from dora_metrics.github.events import alertmanager  # noqa: PLC0415 - most dispatches are none of its

            covered = CoveredRepositories(run.repository, settings.repositories, recorded.present_name)
            return alertmanager.observe_notification(run, payload, covered)
        case "dora-incident":
            return _observe_incident(run, *_fact_fields(event, "incident"))
        case _ if FLUX_KEY in payload:
            return _observe_rollout(run, event, settings, recorded)
        case name:
            recorded_types = "dora-deployment, dora-incident and events of Flux"
            return nothing_to_record(f"its type is {name}; only {recorded_types} are recorded")


def _observe_rollout(run: Run, event: DispatchEvent, settings: Settings, recorded: Recorded) -> Observation:
    """Map what a GitOps tool says about a rollout."""
    from dora_metrics.github.events.gitops import observe_rollout  # noqa: PLC0415 - most dispatches are none of its

    return observe_rollout(run, event.client_payload or {}, settings.gitops, recorded)


def dispatch_body(fact: Deployment | Incident, unstated: Collection[str] = ()) -> dict[str, object]:
    """Return the body of the `repository_dispatch` that records a fact, as `observe_dispatch` reads it.

    What a dispatch has no field for is left out: what a deployment descends from. So is what the fact's event left out,
    so that a correction states no more than it did; `observed_at` then has the time of a fact without another time.

    Args:
        fact: as the event says it, before it is merged with the ledger.
        unstated: its fields that the event left out, though they have a value.
    """
    name, model = (
        ("deployment", DispatchedDeployment) if isinstance(fact, Deployment) else ("incident", DispatchedIncident)
    )
    values = msgspec.json.decode(jsonl.encode_fact(fact), type=dict[str, object])
    is_of_its_time = any(each in unstated for each in ("detected_at", "finished_at"))
    left_out = {*unstated} - {"observed_at"} if is_of_its_time else {*unstated}
    is_retraction_stated = isinstance(fact, Incident) and "retracted" not in unstated
    fields = {
        key: values[key]
        for key, field in model.model_fields.items()
        if key not in left_out
        and values.get(key) is not None
        and (values[key] != field.default or (key == "retracted" and is_retraction_stated))
    }
    return {"event_type": f"dora-{name}", "client_payload": {name: fields}}


def _fact_fields(event: DispatchEvent, name: str) -> tuple[Mapping[str, object], str]:
    """Return the fields and their prefix: at the top, or under `name`, since a payload has at most ten top-level keys.

    Raises:
        EventError: if `name` holds anything but an object.
    """
    payload = event.client_payload or {}
    if name not in payload:
        return payload, "client_payload."
    match payload[name]:
        case dict(fields):
            return fields, f"client_payload.{name}."
        case _:
            raise EventError(f"client_payload.{name}: expected an object with the {name}'s fields")


def _observe_deployment(run: Run, fields: Mapping[str, object], prefix: str) -> Observation:
    payload = parse_payload(DispatchedDeployment, fields, prefix)
    deployment = Deployment(
        id=_fact_id(run, payload, prefix, _DEPLOYMENT_IDENTITY),
        repository=run.repository,
        service=payload.service,
        source=payload.source,
        observed_at=payload.observed_at or payload.finished_at or run.now,
        url=text.first_http_url(payload.url),
        retracted=payload.retracted,
        environment=payload.environment,
        sha=payload.sha,
        ref=text.short_ref(payload.ref),
        version=payload.version,
        status=payload.status,
        started_at=payload.started_at,
        finished_at=payload.finished_at or payload.observed_at or run.now,
        changes=payload.changes,
        previous=payload.previous,
        remediates=payload.remediates,
        reached_users=payload.reached_users,
        commit_count=payload.commit_count,
        health=payload.health,
        **{name: getattr(payload, name) for name in JOB_FIELDS},
    )
    observation = deployment_observation(deployment, _unknown_field_notes(payload, fields, prefix))
    return replace(observation, unstated=_unstated_times(payload))


def _observe_incident(run: Run, fields: Mapping[str, object], prefix: str) -> Observation:
    payload = parse_payload(DispatchedIncident, fields, prefix)
    if payload.resolved_at and not payload.detected_at:
        raise EventError(f"{prefix}detected_at: expected a time, because resolved_at is set; it is missing")
    detected_at = payload.detected_at or payload.observed_at or run.now
    incident = Incident(
        id=_fact_id(run, payload, prefix, _INCIDENT_IDENTITY),
        repository=run.repository,
        service=payload.service,
        source=payload.source,
        observed_at=payload.observed_at or max(detected_at, payload.resolved_at or detected_at),
        url=text.first_http_url(payload.url),
        retracted=payload.retracted,
        environment=payload.environment,
        severity=payload.severity,
        title=text.truncate_title(payload.title),
        detected_at=detected_at,
        resolved_at=payload.resolved_at,
        deployment=payload.deployment,
        also=payload.also,
    )
    notes = _unknown_field_notes(payload, fields, prefix)
    title = f"Incident {incident.id} {incident_state(incident)}"
    unstated = tuple(name for name in _DEFAULTS_OF_INCIDENTS if name not in payload.model_fields_set)
    return Observation((incident,), title, notes, unstated=unstated)


def _unstated_times(payload: DispatchedDeployment) -> tuple[str, ...]:
    """Return the fields that the payload leaves out: `finished_at`, and `observed_at` if that has the run's time."""
    if payload.finished_at:
        return ()
    return ("finished_at",) if payload.observed_at else ("finished_at", "observed_at")


_DEFAULTS_OF_INCIDENTS = ("detected_at", "observed_at", "retracted")
"""Fields of an incident that have a value even if the payload states none."""

_DEPLOYMENT_IDENTITY = ("sha", "ref", "version", "started_at", "finished_at")
_INCIDENT_IDENTITY = ("title", "detected_at")
_SHARED_IDENTITY = ("service", "environment", "status")


def _fact_id(run: Run, payload: _DispatchedFact, prefix: str, identity_fields: tuple[str, ...]) -> str:
    """Return the sender's id, or else a digest of the payload.

    The digest does not depend on the run: a redelivery is another run and the same fact.

    Raises:
        EventError: if there is neither an id nor any of `identity_fields`.
    """
    if payload.id:
        return ids.in_case_of(payload.id, run.repository)
    content = {name: getattr(payload, name) for name in identity_fields}
    if not any(content.values()):
        names = ", ".join(identity_fields)
        raise EventError(f"{prefix}id: expected an id, or one of {names} to identify it")
    shared = {name: getattr(payload, name, None) for name in _SHARED_IDENTITY}
    # The names of the two models are part of recorded ids, so they have to stay.
    identity = {"kind": type(payload).__name__, "repository": run.repository, **shared, **content}
    return f"dispatch:{hashlib.sha256(jsonl.canonical_json(identity)).hexdigest()[:16]}"


def _unknown_field_notes(payload: _DispatchedFact, fields: Mapping[str, object], prefix: str) -> tuple[str, ...]:
    """Return a note on the fields that are not in the model; no note if there are none."""
    unknown = sorted(fields.keys() - type(payload).model_fields.keys())
    return (f"Unknown fields are ignored: {', '.join(prefix + name for name in unknown)}",) if unknown else ()
