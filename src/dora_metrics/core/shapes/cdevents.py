"""The shape `cdevents`: each thing that happened as one CDEvent 0.5.1 in a CloudEvent, the oldest first.

docs/endpoint.md says which fact makes which event. Nothing withdraws a CDEvent, so a retracted fact makes none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import attrgetter

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact, Incident
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.scope import default_service, environment_of
from dora_metrics.core.shapes.cloud_event import CDEvent, Happening, package_url, subject_id
from dora_metrics.core.shapes.deployment_events import FinishedRun, OwedDeployments, ServiceChange
from dora_metrics.core.shapes.repository_address import RepositoryAddresses
from dora_metrics.core.shapes.shape import FactChange, Shape, ShapedRequest, ShapeInput

_WHERE = ("repository", "service", "environment")
_SENT_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: (*_WHERE, "status", "finished_at", "sha", "version", "run_id", "run_attempt", "workflow"),
    Change: ("repository", "service", "merged_at", "sha"),
    Incident: (*_WHERE, "detected_at", "resolved_at", "title", "severity", "deployment"),
}
"""The fields that events are made from. A fact in which another one changed is not sent again."""

_sent_fields_of = {kind: attrgetter(*names) for kind, names in _SENT_FIELDS.items()}


def _requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    """Return a request for each event. A fact that makes no event is in no request, and so is settled."""
    events = sorted(_events(shape_input), key=lambda event: event.time)
    return [event.to_request() for event in events]


def _events(shape_input: ShapeInput) -> Iterator[CDEvent]:
    facts = [fact for fact in shape_input.facts if not fact.retracted]
    owed = OwedDeployments((fact for fact in facts if isinstance(fact, Deployment)), shape_input.results)
    addresses = RepositoryAddresses(chain(_known_deployments(shape_input), facts))
    for fact in facts:
        if isinstance(fact, Change):
            yield from _change_events(fact, addresses)
    for run in owed.finished_runs():
        yield _run_event(run, addresses)
    for service_change in owed.service_changes():
        yield _service_event(service_change, addresses)
    incidents = [fact for fact in facts if isinstance(fact, Incident)]
    yield from _incidents_events(incidents, _attributed_incidents(shape_input), addresses)


def _known_deployments(shape_input: ShapeInput) -> Iterable[Fact]:
    return chain.from_iterable(history.deployments for history in shape_input.results.evaluation.histories)


def _change_events(change: Change, addresses: RepositoryAddresses) -> Iterator[CDEvent]:
    """Yield the merge of a pull request. Nothing says when a commit without one reached the branch."""
    if change.merged_at is None:
        return
    source = addresses.of(change.repository)
    number = ids.number(change.id)
    yield CDEvent(
        happening="change.merged",
        time=change.merged_at,
        source=source,
        subject=f"pull/{number.removeprefix('#')}" if number else subject_id(change.id),
        content={"repository": {"id": change.repository, "source": source}},
        custom={"fact": change.id, "repository": change.repository, "service": change.service, "sha": change.sha},
        delivers=(change.id,),
    )


def _run_event(run: FinishedRun, addresses: RepositoryAddresses) -> CDEvent:
    source = addresses.of(run.repository)
    attempt = f"/attempts/{run.attempt}" if run.attempt else ""
    path = f"actions/runs/{run.run_id}{attempt}"
    return CDEvent(
        happening="pipelinerun.finished",
        time=run.finished_at,
        source=source,
        subject=subject_id(path),
        content={
            "pipelineName": run.workflow,
            "outcome": run.outcome,
            "uri": f"{source}/{path}" if run.run_id.isascii() and run.run_id.isdigit() else None,
        },
        custom={"repository": run.repository},
        delivers=run.fact_ids,
    )


def _service_event(change: ServiceChange, addresses: RepositoryAddresses) -> CDEvent:
    deployment = change.deployment
    source = addresses.of(deployment.repository)
    return CDEvent(
        happening=_SERVICE_HAPPENINGS[change.predicate],
        time=deployment.finished_at,
        source=source,
        subject=_service_id(deployment),
        content={
            "environment": {"id": subject_id(environment_of(deployment)), "source": source},
            "artifactId": package_url(deployment.repository, deployment.version or deployment.sha),
        },
        custom={
            "fact": deployment.id,
            "repository": deployment.repository,
            "sha": deployment.sha,
            "version": deployment.version,
        },
        delivers=change.fact_ids,
    )


_SERVICE_HAPPENINGS: dict[str, Happening] = {
    "deployed": "service.deployed",
    "upgraded": "service.upgraded",
    "rolledback": "service.rolledback",
}


def _attributed_incidents(shape_input: ShapeInput) -> Mapping[str, AttributedIncident]:
    """Return the production incidents by the ids of the facts that report them."""
    attributed = chain.from_iterable(history.incidents for history in shape_input.results.evaluation.histories)
    return {report_id: each for each in attributed for report_id in each.report_ids}


def _incidents_events(
    owed: Sequence[Incident], attributed: Mapping[str, AttributedIncident], addresses: RepositoryAddresses
) -> Iterator[CDEvent]:
    """Yield that incidents were detected, and that each report of one was resolved once the incident is."""
    said_ids = {fact.id for fact in owed}
    for fact in owed:
        incident = attributed.get(fact.id)
        end = incident.incident.resolved_at if incident else None
        yield from _incident_events(fact, end, addresses)
        for report in incident.reports if incident and end else ():
            if report.id not in said_ids:
                said_ids.add(report.id)
                event = _incident_event(report, "incident.resolved", report.resolved_at or end or EPOCH, addresses)
                yield replace(event, delivers=(fact.id,))


def _incident_events(fact: Incident, end: datetime | None, addresses: RepositoryAddresses) -> Iterator[CDEvent]:
    """Yield the events of a report. `end`: of its incident; None if that is open or outside production."""
    resolved_at = fact.resolved_at or end
    yield _incident_event(fact, "incident.detected", fact.detected_at, addresses, is_open=resolved_at is None)
    if resolved_at:
        yield _incident_event(fact, "incident.resolved", resolved_at, addresses)


def _incident_event(
    incident: Incident, happening: Happening, time: datetime, addresses: RepositoryAddresses, *, is_open: bool = False
) -> CDEvent:
    """Return an event of an incident. Of an open one it says when that was observed: it may have ended before."""
    source = addresses.of(incident.repository)
    return CDEvent(
        happening=happening,
        time=time,
        source=source,
        subject=subject_id(incident.id),
        content={
            "description": incident.title,
            "environment": {"id": subject_id(environment_of(incident)), "source": source},
            "service": {"id": _service_id(incident), "source": source},
        },
        custom={
            "fact": incident.id,
            "repository": incident.repository,
            "severity": incident.severity,
            "deployment": incident.deployment,
            "observed_at": incident.observed_at if is_open else None,
        },
        delivers=(incident.id,),
    )


def _service_id(fact: Deployment | Incident) -> str:
    return subject_id(fact.service or default_service(fact.repository) or fact.repository)


def _is_owed(change: FactChange) -> bool:
    """Whether the events of a fact differ from those before its change."""
    return _sent_content(change.after) not in (None, _sent_content(change.before))


def _sent_content(fact: Fact | None) -> object:
    """Return the fields that events of a fact are made from; None if it makes no event."""
    if fact is None or fact.retracted or type(fact) not in _sent_fields_of:
        return None
    if isinstance(fact, Change) and fact.merged_at is None:
        return None
    return _sent_fields_of[type(fact)](fact)


CDEVENTS = Shape(
    "cdevents",
    events=frozenset({"deployment", "incident", "change"}),
    requests=_requests,
    is_owed=_is_owed,
)
