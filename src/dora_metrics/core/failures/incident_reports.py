"""Joins the reports of one incident: the issue, the page and the ticket of the same incident count once.

The rules are defined in docs/definitions.md, "One incident, reported several times".
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import SEVERITIES, Incident, Severity
from dora_metrics.core.failures.pasted_names import github_hosts
from dora_metrics.core.linking.link import LinkedFacts
from dora_metrics.core.policy import Policy

if TYPE_CHECKING:
    from dora_metrics.core.failures.incident_names import NamedIncidents

_MAX_NAMED = 5
"""Incidents that a note names, and reports that a reason names."""


class ReportedIncident(Struct, frozen=True):
    """One incident, and the facts that report it, the one that gives its id first."""

    incident: Incident
    reports: tuple[Incident, ...]


class JoinedReports(Struct, frozen=True):
    """Every incident once, what the names in `also` mean by incident id, and notes for readers."""

    incidents: Sequence[ReportedIncident] = ()
    names: "Mapping[str, tuple[NamedIncidents, ...]]" = {}
    notes: Sequence[str] = ()


def join_reports(linked: LinkedFacts, policy: Policy) -> JoinedReports:
    """Return each incident once: those that name each other in `also` are one.

    A name counts if it means exactly one incident that is not retracted. Chains of names are one incident.
    """
    incidents = linked.incidents
    if not any(incident.also for incident in incidents):
        return JoinedReports([ReportedIncident(incident, (incident,)) for incident in incidents])
    from dora_metrics.core.failures.incident_names import IncidentIndex  # noqa: PLC0415 - most incidents name none

    index = IncidentIndex(incidents, github_hosts((*linked.changes_by_id.values(), *incidents)))
    names = {incident.id: index.names_of(incident) for incident in incidents if incident.also}
    deployed = {scope.repository for scope in linked.timelines}
    joined = [_joined(reports, deployed, policy) for reports in _groups(incidents, names)]
    return JoinedReports(joined, names, (*_joined_notes(joined), *_ambiguity_notes(names)))


def other_reports_text(reports: Sequence[Incident]) -> str:
    """Return `; also reported as pagerduty:Q1 and jira:OPS-1`; empty for a single report."""
    return f"; also reported as {_id_list(reports[1:])}" if len(reports) > 1 else ""


def _groups(
    incidents: Iterable[Incident], names: "Mapping[str, Iterable[NamedIncidents]]"
) -> Iterator[tuple[Incident, ...]]:
    """Yield the reports of each incident in order."""
    parents = {incident.id: incident.id for incident in incidents}
    for incident_id, named in names.items():
        for other in (name.meant[0] for name in named if len(name.meant) == 1):
            parents[_root(parents, incident_id)] = _root(parents, other.id)
    groups: defaultdict[str, list[Incident]] = defaultdict(list)
    for incident in incidents:
        groups[_root(parents, incident.id)].append(incident)
    return (tuple(sorted(group, key=_report_order)) for group in groups.values())


def _root(parents: dict[str, str], name: str) -> str:
    """Return the id that stands for a group, and shorten the way to it."""
    while parents[name] != name:
        parents[name] = name = parents[parents[name]]
    return name


def _report_order(report: Incident) -> tuple[bool, bool, datetime, str]:
    """Sort key of reports: what people wrote first, issues before other tickets."""
    return not ids.is_issue(report.id), not ids.is_ticket(report.id), report.detected_at, report.id


def _joined(reports: tuple[Incident, ...], deployed: Collection[str], policy: Policy) -> ReportedIncident:
    """Return the incident that some reports are about.

    Args:
        reports: in order; of several that state something, the first one counts.
        deployed: the repositories with a production deployment.
        policy: what production is.
    """
    if len(reports) == 1:
        return ReportedIncident(reports[0], reports)
    place = min(reports, key=lambda report: (report.repository not in deployed, not report.service))
    incident = replace(
        reports[0],
        repository=place.repository,
        service=place.service,
        observed_at=max(report.observed_at for report in reports),
        url=next((report.url for report in reports if report.url), None),
        environment=_environment(reports, policy),
        severity=_severity(reports),
        title=next((report.title for report in reports if report.title), None),
        detected_at=min(report.detected_at for report in reports),
        resolved_at=_resolved_at(reports),
        deployment=_deployment(reports, place.repository),
    )
    return ReportedIncident(incident, reports)


def _environment(reports: Sequence[Incident], policy: Policy) -> str | None:
    """Return the first environment that a report states, one of production before any other."""
    stated = [report.environment for report in reports if report.environment]
    return next(filter(policy.is_production, stated), stated[0] if stated else None)


def _severity(reports: Sequence[Incident]) -> Severity | None:
    """Return the highest severity that a report states."""
    stated = {report.severity for report in reports}
    return next((severity for severity in SEVERITIES if severity in stated), None)


def deciding_reports(reports: Sequence[Incident]) -> Sequence[Incident]:
    """Return the reports that say when their incident ended: those of systems that page or watch, otherwise all."""
    return [report for report in reports if not ids.is_ticket(report.id)] or reports


def _resolved_at(reports: Sequence[Incident]) -> datetime | None:
    """Return the last end in the reports that decide; None while one of them is open."""
    ends = [report.resolved_at for report in deciding_reports(reports)]
    known = [end for end in ends if end]
    return max(known) if len(known) == len(ends) else None


def _deployment(reports: Sequence[Incident], repository: str) -> str | None:
    """Return the first deployment that a report names. A number is one of the repository of that report."""
    for report in reports:
        if report.deployment:
            is_number_elsewhere = report.deployment.startswith("#") and report.repository != repository
            return f"{report.repository}{report.deployment}" if is_number_elsewhere else report.deployment
    return None


def _joined_notes(joined: Iterable[ReportedIncident]) -> Iterator[str]:
    """Yield how many incidents were reported several times, and which."""
    several = sorted((each.reports for each in joined if len(each.reports) > 1), key=lambda reports: reports[0].id)
    if several:
        what = "incident was reported more than once and counts once"
        subject = formatting.count(len(several), what, "incidents were reported more than once and count once each")
        named = [f"{reports[0].id} (also {_id_list(reports[1:])})" for reports in several]
        yield f"{subject}: {formatting.join_first(named, _MAX_NAMED)}."


def _ambiguity_notes(names: "Mapping[str, Iterable[NamedIncidents]]") -> Iterator[str]:
    """Yield which names mean several incidents, and therefore none."""
    ambiguous = sorted(
        (incident_id, each.name) for incident_id, named in names.items() for each in named if len(each.meant) > 1
    )
    if ambiguous:
        incident_id, name = ambiguous[0]
        what = "name in `also` means several incidents and joins none"
        subject = formatting.count(len(ambiguous), what, "names in `also` mean several incidents and join none")
        yield f"{subject}, such as {name} of {incident_id}. Name the incident by its id."


def _id_list(reports: Sequence[Incident]) -> str:
    return formatting.join_first([report.id for report in reports], _MAX_NAMED)
