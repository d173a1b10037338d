"""The event that started the run becomes facts. Pure: the same run and payload always give the same facts.

Which of GitHub's events count as deployments: the setting `deployment-source`.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

import msgspec

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.selection import BEST_FIRST
from dora_metrics.github import text
from dora_metrics.github.events import deployments, incidents, pull_requests, repository_dispatch
from dora_metrics.github.observation import Observed, Run, ended, nothing
from dora_metrics.github.payloads import (
    DeploymentEvent,
    DeploymentStatusEvent,
    DispatchEvent,
    IssuesEvent,
    PullRequestEvent,
    PushEvent,
    ReleaseEvent,
    WorkflowRun,
    WorkflowRunEvent,
    read,
)
from dora_metrics.settings.model import Settings


def admitted(observed: Observed, asked: tuple[str, ...], known: AbstractSet[str]) -> Observed:
    """The same, or nothing when its deployment comes from a source that does not count here.

    `asked` is the setting; `known` are the sources of the deployments that the ledger holds already.
    """
    source = next((fact.source for fact in observed.facts if isinstance(fact, Deployment)), None)
    if source is None or source in asked:
        return observed
    if "auto" in asked:
        return _by_itself(observed, source, known)
    if "none" in asked:
        return nothing("`deployment-source` is none, so no deployment is taken from GitHub's events")
    return _refused(source, ", ".join(f"`{name}`" for name in asked))


def _by_itself(observed: Observed, source: str, known: AbstractSet[str]) -> Observed:
    better = next((name for name in BEST_FIRST[: BEST_FIRST.index(source)] if name in known), None)
    if better:
        return _refused(source, f"`{better}`")
    note = f"Deployments are taken from `{source}` (`deployment-source: auto`, and nothing better is known here)"
    return Observed(observed.facts, observed.title, (*observed.notes, note))


def _refused(source: str, taken: str) -> Observed:
    return nothing(
        f"this repository's deployments are taken from {taken}; "
        f"add {source} to `deployment-source` to count {_NAMES[source]} as well"
    )


_NAMES = {
    "deployments": "GitHub deployments",
    "releases": "releases",
    "workflow-runs": "workflow runs",
    "pushes": "pushes",
}


__all__ = ["Observed", "Run", "nothing", "observe"]


def observe(run: Run, payload: Mapping[str, object], settings: Settings, known_sources: frozenset[str]) -> Observed:
    """What an event says.

    `known_sources` are the sources of the deployments that the ledger holds of this repository; they
    decide what `deployment-source: auto` takes.

    Raises:
        EventError: with every field of the payload that is wrong.
    """
    observed = _of_event(run, payload, settings)
    if settings.environment:
        observed = _of_job(run, payload, settings, settings.environment, observed)
    elif run.event != "repository_dispatch":
        observed = admitted(observed, settings.deployment_source, known_sources)
    return replace(
        observed,
        facts=tuple(kept(fact, settings) for fact in observed.facts),
        title=text.one_line(observed.title)[:_LONGEST_TEXT],
        notes=tuple(text.one_line(note)[:_LONGEST_TEXT] for note in observed.notes),
    )


def _of_event(run: Run, payload: Mapping[str, object], settings: Settings) -> Observed:
    if run.event in ("workflow_dispatch", "schedule"):
        return nothing("the numbers are computed again")
    if mapper := _MAPPERS.get(run.event):
        return mapper(run, payload, settings)
    recorded = ", ".join(name for name in _MAPPERS if name != "deployment")
    return nothing(f"{run.event} events are not recorded; recorded are {recorded}")


_MAPPERS: dict[str, Callable[[Run, Mapping[str, object], Settings], Observed]] = {
    "deployment": lambda _run, payload, _: deployments.started(read(DeploymentEvent, payload)),
    "deployment_status": lambda run, payload, _: deployments.status(run, read(DeploymentStatusEvent, payload)),
    "workflow_run": lambda run, payload, settings: deployments.completed(
        run, read(WorkflowRunEvent, payload), settings.deploy_workflows
    ),
    "release": lambda run, payload, settings: deployments.released(run, read(ReleaseEvent, payload), settings),
    "push": lambda run, payload, settings: deployments.pushed(run, read(PushEvent, payload), settings),
    "pull_request": lambda run, payload, _: pull_requests.closed(run, read(PullRequestEvent, payload)),
    "pull_request_target": lambda run, payload, _: pull_requests.closed(run, read(PullRequestEvent, payload)),
    "issues": lambda run, payload, settings: incidents.seen(run, read(IssuesEvent, payload), settings.incident_labels),
    "repository_dispatch": lambda run, payload, _: repository_dispatch.seen(run, read(DispatchEvent, payload)),
}


def _of_job(
    run: Run, payload: Mapping[str, object], settings: Settings, environment: str, observed: Observed
) -> Observed:
    """The deployment of the job that calls the action, with the event's facts that are no deployments."""
    deployed = ended(deployments.job(run, environment, settings, _watched_run(run, payload)))
    others = tuple(fact for fact in observed.facts if not isinstance(fact, Deployment))
    notes = (observed.title, *observed.notes) if others else ()
    return Observed((*deployed.facts, *others), deployed.title, notes)


def _watched_run(run: Run, payload: Mapping[str, object]) -> WorkflowRun | None:
    return read(WorkflowRunEvent, payload).workflow_run if run.event == "workflow_run" else None


def kept(fact: Fact, settings: Settings) -> Fact:
    """A fact as it is recorded: of the service that the settings name, and of a bounded size."""
    return _bounded(_served(fact, settings))


_LONGEST_TEXT = 300
_LONGEST_ADDRESS = 2000
_MOST_ITEMS = 100


def _bounded(fact: Fact) -> Fact:
    """With texts of a size that a ledger, a table and a log can hold. Lists of changes are counted, so never cut."""
    cut: dict[str, object] = {}
    for name in fact.__struct_fields__:
        match name, getattr(fact, name):
            case "url", str(address) if len(address) > _LONGEST_ADDRESS:
                cut[name] = None
            case "labels", tuple(labels):
                cut[name] = tuple(label[:_LONGEST_TEXT] for label in labels[:_MOST_ITEMS])
            case _, str(words) if len(words) > _LONGEST_TEXT and name != "url":
                cut[name] = words[:_LONGEST_TEXT]
    return msgspec.structs.replace(fact, **cut) if cut else fact


def _served(fact: Fact, settings: Settings) -> Fact:
    """With the setting's service. An incident has one only if it names it: whoever opens it may not know.

    In a monorepo a change has the service whose paths it touches, whoever records it.
    """
    by_path = isinstance(fact, Change) and bool(settings.services)
    if settings.service is None or fact.service or by_path or isinstance(fact, Incident):
        return fact
    return msgspec.structs.replace(fact, service=settings.service)
