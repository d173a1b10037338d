"""The event that started the run becomes facts. Pure: the same run and payload always give the same facts.

Which of GitHub's events count as deployments: the setting `deployment-source`.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

import msgspec

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.selection import SOURCES_BEST_FIRST
from dora_metrics.github import text
from dora_metrics.github.events import deployments, incidents, pull_requests, repository_dispatch
from dora_metrics.github.observation import Observation, Run, deployment_observation, nothing_to_record
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


def filter_by_source(
    observation: Observation, deployment_sources: tuple[str, ...], known_sources: AbstractSet[str]
) -> Observation:
    """The same, or nothing when its deployment comes from a source that does not count here.

    `asked` is the setting; `known` are the sources of the deployments that the ledger holds already.
    """
    source = next((fact.source for fact in observation.facts if isinstance(fact, Deployment)), None)
    if source is None or source in deployment_sources:
        return observation
    if "auto" in deployment_sources:
        return _filter_automatically(observation, source, known_sources)
    if "none" in deployment_sources:
        return nothing_to_record("`deployment-source` is none, so no deployment is taken from GitHub's events")
    return _source_not_used(source, ", ".join(f"`{name}`" for name in deployment_sources))


def _filter_automatically(observation: Observation, source: str, known_sources: AbstractSet[str]) -> Observation:
    better_source = next(
        (name for name in SOURCES_BEST_FIRST[: SOURCES_BEST_FIRST.index(source)] if name in known_sources), None
    )
    if better_source:
        return _source_not_used(source, f"`{better_source}`")
    note = f"Deployments are taken from `{source}` (`deployment-source: auto`, and nothing better is known here)"
    return Observation(observation.facts, observation.title, (*observation.notes, note))


def _source_not_used(source: str, used_sources: str) -> Observation:
    return nothing_to_record(
        f"this repository's deployments are taken from {used_sources}; "
        f"add {source} to `deployment-source` to count {_SOURCE_NAMES[source]} as well"
    )


_SOURCE_NAMES = {
    "deployments": "GitHub deployments",
    "releases": "releases",
    "workflow-runs": "workflow runs",
    "pushes": "pushes",
}


__all__ = ["Observation", "Run", "nothing_to_record", "observe"]


def observe(run: Run, payload: Mapping[str, object], settings: Settings, known_sources: frozenset[str]) -> Observation:
    """What an event says.

    `known_sources` are the sources of the deployments that the ledger holds of this repository; they
    decide what `deployment-source: auto` takes.

    Raises:
        EventError: with every field of the payload that is wrong.
    """
    observation = _observe_event(run, payload, settings)
    if settings.environment:
        observation = _observe_job(run, payload, settings, settings.environment, observation)
    elif run.event != "repository_dispatch":
        observation = filter_by_source(observation, settings.deployment_source, known_sources)
    return replace(
        observation,
        facts=tuple(prepare_fact(fact, settings) for fact in observation.facts),
        title=text.one_line(observation.title)[:_MAX_TEXT_LENGTH],
        notes=tuple(text.one_line(note)[:_MAX_TEXT_LENGTH] for note in observation.notes),
    )


def _observe_event(run: Run, payload: Mapping[str, object], settings: Settings) -> Observation:
    if run.event in ("workflow_dispatch", "schedule"):
        return nothing_to_record("the numbers are computed again")
    if mapper := _MAPPERS.get(run.event):
        return mapper(run, payload, settings)
    recorded_events = ", ".join(name for name in _MAPPERS if name != "deployment")
    return nothing_to_record(f"{run.event} events are not recorded; recorded are {recorded_events}")


_MAPPERS: dict[str, Callable[[Run, Mapping[str, object], Settings], Observation]] = {
    "deployment": lambda _run, payload, _: deployments.observe_deployment_created(
        parse_payload(DeploymentEvent, payload)
    ),
    "deployment_status": lambda run, payload, _: deployments.observe_deployment_status(
        run, parse_payload(DeploymentStatusEvent, payload)
    ),
    "workflow_run": lambda run, payload, settings: deployments.observe_workflow_run(
        run, parse_payload(WorkflowRunEvent, payload), settings.deploy_workflows
    ),
    "release": lambda run, payload, settings: deployments.observe_release(
        run, parse_payload(ReleaseEvent, payload), settings
    ),
    "push": lambda run, payload, settings: deployments.observe_push(run, parse_payload(PushEvent, payload), settings),
    "pull_request": lambda run, payload, _: pull_requests.observe_pull_request(
        run, parse_payload(PullRequestEvent, payload)
    ),
    "pull_request_target": lambda run, payload, _: pull_requests.observe_pull_request(
        run, parse_payload(PullRequestEvent, payload)
    ),
    "issues": lambda run, payload, settings: incidents.observe_issue(
        run, parse_payload(IssuesEvent, payload), settings.incident_labels
    ),
    "repository_dispatch": lambda run, payload, _: repository_dispatch.observe_dispatch(
        run, parse_payload(DispatchEvent, payload)
    ),
}


def _observe_job(
    run: Run, payload: Mapping[str, object], settings: Settings, environment: str, observation: Observation
) -> Observation:
    """The deployment of the job that calls the action, with the event's facts that are no deployments."""
    job_observation = deployment_observation(
        deployments.deployment_of_job(run, environment, settings, _triggering_run(run, payload))
    )
    other_facts = tuple(fact for fact in observation.facts if not isinstance(fact, Deployment))
    notes = (observation.title, *observation.notes) if other_facts else ()
    return Observation((*job_observation.facts, *other_facts), job_observation.title, notes)


def _triggering_run(run: Run, payload: Mapping[str, object]) -> WorkflowRunPayload | None:
    return parse_payload(WorkflowRunEvent, payload).workflow_run if run.event == "workflow_run" else None


def prepare_fact(fact: Fact, settings: Settings) -> Fact:
    """A fact as it is recorded: of the service that the settings name, and of a bounded size."""
    return _truncate(_with_service(fact, settings))


_MAX_TEXT_LENGTH = 300
_MAX_URL_LENGTH = 2000
_MAX_LABELS = 100


def _truncate(fact: Fact) -> Fact:
    """With texts of a size that a ledger, a table and a log can hold. Lists of changes are counted, so never cut."""
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
    """With the setting's service. An incident has one only if it names it: whoever opens it may not know.

    In a monorepo a change has the service whose paths it touches, whoever records it.
    """
    has_service_by_path = isinstance(fact, Change) and bool(settings.services)
    if settings.service is None or fact.service or has_service_by_path or isinstance(fact, Incident):
        return fact
    return msgspec.structs.replace(fact, service=settings.service)
