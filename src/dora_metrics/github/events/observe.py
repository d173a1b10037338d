"""Maps the event that started the run to facts. Pure: the same run, payload and records always give the same facts.

The setting `deployment-source` decides which events count as deployments.
"""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.selection import better_source
from dora_metrics.core.windows import parse_instant
from dora_metrics.errors import EventError
from dora_metrics.github import text
from dora_metrics.github.events import deployments, incidents, pull_requests, repository_dispatch
from dora_metrics.github.observation import (
    NOTHING_RECORDED,
    Observation,
    Recorded,
    Run,
    deployment_observation,
    nothing_to_record,
)
from dora_metrics.github.payloads import (
    DeploymentEvent,
    DeploymentStatusEvent,
    DispatchEvent,
    IssuesEvent,
    PullRequestEvent,
    PushEvent,
    ReleaseEvent,
    WorkflowRunEvent,
    WorkflowRunPayload,
    parse_payload,
)
from dora_metrics.settings.model import Settings

__all__ = ["Observation", "Run", "nothing_to_record", "observe"]
_MAX_TEXT_LENGTH = 300
_MAX_URL_LENGTH = 2000
_MAX_LABELS = 100
_MAX_AGE_OF_RERUN = timedelta(days=31)
"""GitHub lets a run be run again for 30 days."""


def observe(
    run: Run,
    payload: Mapping[str, object],
    settings: Settings,
    known_sources: frozenset[str],
    recorded: Recorded = NOTHING_RECORDED,
) -> Observation:
    """Return what an event reports.

    `known_sources` are the sources of this repository's deployments in the ledger; they decide what
    `deployment-source: auto` accepts. An issue that is `recorded` as an incident is observed whatever its labels, and a
    rollout only if it is new.

    Raises:
        EventError: one problem per invalid field of the payload, unless a job says what it deployed.
    """
    if settings.environment:
        event = _observe_beside_job(run, payload, settings, recorded)
        observation = _observe_job(run, payload, settings, settings.environment, event)
    else:
        observation = _observe_event(run, payload, settings, recorded)
        if run.event != "repository_dispatch":
            observation = filter_by_source(observation, settings.deployment_source, known_sources)
    return replace(
        observation,
        facts=tuple(prepare_fact(fact, settings) for fact in observation.facts),
        title=text.one_line(observation.title)[:_MAX_TEXT_LENGTH],
        notes=tuple(text.one_line(note)[:_MAX_TEXT_LENGTH] for note in observation.notes),
        problems=tuple(text.one_line(problem)[:_MAX_TEXT_LENGTH] for problem in observation.problems),
        warnings=tuple(text.one_line(warning)[:_MAX_TEXT_LENGTH] for warning in observation.warnings),
    )


_REPOSITORY_NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


def repository_in(payload: Mapping[str, object]) -> tuple[int, str] | None:
    """Return number and name of the repository that an event is about; None if the payload lacks one of them."""
    match payload.get("repository"):
        case {"id": int(number), "full_name": str(name)} if number > 0 and _REPOSITORY_NAME.fullmatch(name):
            return number, name
        case _:
            return None


def _observe_event(run: Run, payload: Mapping[str, object], settings: Settings, recorded: Recorded) -> Observation:
    if run.event in ("workflow_dispatch", "schedule"):
        return nothing_to_record("this run computes the numbers again")
    if mapper := _MAPPERS.get(run.event):
        return mapper(run, payload, settings, recorded)
    recorded_events = ", ".join(name for name in _MAPPERS if name != "deployment")
    return nothing_to_record(f"{run.event} events are not recorded; those that are: {recorded_events}")


_MAPPERS: dict[str, Callable[[Run, Mapping[str, object], Settings, Recorded], Observation]] = {
    "deployment": lambda _run, payload, _settings, _: deployments.observe_deployment_created(
        parse_payload(DeploymentEvent, payload)
    ),
    "deployment_status": lambda run, payload, _settings, _: deployments.observe_deployment_status(
        run, parse_payload(DeploymentStatusEvent, payload)
    ),
    "workflow_run": lambda run, payload, settings, _: deployments.observe_workflow_run(
        run, parse_payload(WorkflowRunEvent, payload), settings
    ),
    "release": lambda run, payload, settings, _: deployments.observe_release(
        run, parse_payload(ReleaseEvent, payload), settings
    ),
    "push": lambda run, payload, settings, _: deployments.observe_push(
        run, parse_payload(PushEvent, payload), settings
    ),
    "pull_request": lambda run, payload, _settings, _: pull_requests.observe_pull_request(
        run, parse_payload(PullRequestEvent, payload)
    ),
    "pull_request_target": lambda run, payload, _settings, _: pull_requests.observe_pull_request(
        run, parse_payload(PullRequestEvent, payload)
    ),
    "issues": lambda run, payload, settings, recorded: incidents.observe_issue(
        run, parse_payload(IssuesEvent, payload), settings.incident_labels, recorded
    ),
    "repository_dispatch": lambda run, payload, settings, recorded: repository_dispatch.observe_dispatch(
        run, parse_payload(DispatchEvent, payload), settings, recorded
    ),
}


def _observe_beside_job(run: Run, payload: Mapping[str, object], settings: Settings, recorded: Recorded) -> Observation:
    """Return what an event reports beside the deployment of a job, which does not depend on it."""
    try:
        return _observe_event(run, payload, settings, recorded)
    except EventError as error:
        return Observation((), "", problems=tuple(error.problems))


def _observe_job(
    run: Run, payload: Mapping[str, object], settings: Settings, environment: str, observation: Observation
) -> Observation:
    """Return the deployment of the job that runs the action, with the event's facts that are not deployments."""
    deployment = deployments.deployment_of_job(run, environment, settings, _triggering_run(run, payload))
    job_observation = deployment_observation(deployment)
    other_facts = tuple(fact for fact in observation.facts if not isinstance(fact, Deployment))
    notes = (observation.title, *observation.notes) if other_facts else ()
    earlier = run.now - _MAX_AGE_OF_RERUN if run.run_attempt > 1 else None
    return Observation(
        (*job_observation.facts, *other_facts),
        job_observation.title,
        notes,
        may_repeat_since=earlier,
        problems=observation.problems,
        warnings=observation.warnings,
    )


def _triggering_run(run: Run, payload: Mapping[str, object]) -> WorkflowRunPayload | None:
    """Return the run of a workflow_run event; None for any other event."""
    return parse_payload(WorkflowRunEvent, payload).workflow_run if run.event == "workflow_run" else None


def newest_commit_time(payload: Mapping[str, object]) -> datetime | None:
    """Return the time of the commit that was pushed, or that a run was for; None if the event is about neither."""
    match payload:
        case {"workflow_run": {"head_commit": {"timestamp": str(time)}}} | {"head_commit": {"timestamp": str(time)}}:
            with suppress(ValueError):
                return parse_instant(time)
    return None


def filter_by_source(
    observation: Observation, deployment_sources: tuple[str, ...], known_sources: AbstractSet[str]
) -> Observation:
    """Return the observation, or an empty one if its deployment comes from a source that does not count.

    `deployment_sources` is the setting, `known_sources` are the sources of the deployments in the ledger.
    """
    source = next((fact.source for fact in observation.facts if isinstance(fact, Deployment)), None)
    if source is None or source in deployment_sources:
        return observation
    if "auto" in deployment_sources:
        return _filter_automatically(observation, source, known_sources)
    if "none" in deployment_sources:
        return nothing_to_record("`deployment-source` is none, so GitHub's events are not recorded as deployments")
    return _source_not_used(source, ", ".join(f"`{name}`" for name in deployment_sources))


def _filter_automatically(observation: Observation, source: str, known_sources: AbstractSet[str]) -> Observation:
    """Return the observation, or an empty one if the ledger has deployments from a better source."""
    if better := better_source(source, known_sources):
        return _source_not_used(source, f"`{better}`")
    note = f"Deployments come from {_SOURCE_NAMES[source]}, the best source found (`deployment-source: auto`)."
    return replace(observation, notes=(*observation.notes, note))


def _source_not_used(source: str, used_sources: str) -> Observation:
    """Return an empty observation that names the sources that count."""
    return nothing_to_record(
        f"this repository's deployments come from {used_sources}; "
        f"add {source} to `deployment-source` to count {_SOURCE_NAMES[source]} as well"
    )


_SOURCE_NAMES = {
    "deployments": "GitHub deployments",
    "releases": "releases",
    "workflow-runs": "workflow runs",
    "pushes": "pushes",
}


def prepare_fact(fact: Fact, settings: Settings) -> Fact:
    """Return a fact as it is recorded: with the configured service, and of a bounded size."""
    return _truncate(_with_service(fact, settings))


def _truncate(fact: Fact) -> Fact:
    """Shorten texts to a size that a ledger, a table and a log can hold. The list of changes stays whole."""
    truncated: dict[str, object] = {}
    for name in fact.__struct_fields__:
        match name, getattr(fact, name):
            case "url", str(url) if len(url) > _MAX_URL_LENGTH:
                truncated[name] = None
            case "labels", tuple(labels):
                truncated[name] = tuple(label[:_MAX_TEXT_LENGTH] for label in labels[:_MAX_LABELS])
            case _, str(value) if len(value) > _MAX_TEXT_LENGTH and name != "url":
                truncated[name] = value[:_MAX_TEXT_LENGTH]
    return msgspec.structs.replace(fact, **truncated) if truncated else fact


def _with_service(fact: Fact, settings: Settings) -> Fact:
    """Set the configured service on a fact that has none.

    An incident gets none, since whoever opens it may not know the service. In a monorepo, a change has the service
    whose paths it touches, whichever job records it.
    """
    has_service_by_path = isinstance(fact, Change) and bool(settings.services)
    if settings.service is None or fact.service or has_service_by_path or isinstance(fact, Incident):
        return fact
    return msgspec.structs.replace(fact, service=settings.service)
