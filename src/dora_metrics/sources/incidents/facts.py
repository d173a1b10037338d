"""Incidents that a system reports as facts, and what is not recorded of them; pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from dora_metrics.core import formatting
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Incident
from dora_metrics.settings.incidents.systems import EVERY_SERVICE, IncidentSystem, ServicePlace
from dora_metrics.sources.incidents.items import SystemIncident
from dora_metrics.sources.incidents.read import SystemReading

_MAX_NAMED = 5
"""Items, services or ids in one note."""

IsElsewhere = Callable[[str | None], bool]
"""Whether the repository that `services` names, None for this one, is covered by the ledger of another shard."""

RepositoryOf = Callable[[str | None], str | None]
"""From the repository that `services` names, None for this one, to its present name; None if it is not covered."""


class SystemFacts(Struct, frozen=True):
    """The incidents to record, and notes on what is not."""

    incidents: tuple[Incident, ...]
    notes: tuple[str, ...]


def facts_of(
    system: IncidentSystem, reading: SystemReading, repository_of: RepositoryOf, is_elsewhere: IsElsewhere
) -> SystemFacts:
    """Return what was read of a system as facts."""
    incidents: list[Incident] = []
    unmapped: Counter[str] = Counter()
    unplaced: Counter[str] = Counter()
    uncovered: Counter[str] = Counter()
    elsewhere_count = 0
    for reported in reading.incidents:
        name = _service_line(system, reported)
        if name is None and reported.services:
            if system.services or system.is_of_account:
                unmapped[reported.services[-1]] += 1
                continue
            unplaced[reported.services[-1]] += 1
        place = ServicePlace() if name is None else system.services[name]
        if place is None:
            continue  # `skip`
        repository = repository_of(place.repository)
        if is_elsewhere(place.repository):
            elsewhere_count += 1
        elif repository is None:
            uncovered[place.repository or ""] += 1
        else:
            incidents.append(_incident(system, reported, place, repository))
    notes = (
        *_unmapped_notes(unmapped, "not recorded"),
        *_unmapped_notes(unplaced, "recorded without a service"),
        *_uncovered_notes(uncovered),
        *([_elsewhere_note(elsewhere_count)] if elsewhere_count else []),
        *_unusable_notes(reading.unusable),
    )
    return SystemFacts(tuple(incidents), tuple(f"{system.name}: {note}" for note in notes))


def _service_line(system: IncidentSystem, reported: SystemIncident) -> str | None:
    """Return the line of `services` that an incident has; None if there is none.

    An incident without a service and a line belongs to this repository: what the system was asked for has selected it.
    So does one with a service without any lines, unless the list has all incidents of an account.
    """
    return next((name for name in (*reported.services, EVERY_SERVICE) if name in system.services), None)


def _incident(system: IncidentSystem, reported: SystemIncident, place: ServicePlace, repository: str) -> Incident:
    environment = reported.environment and system.environments.get(reported.environment, reported.environment)
    return Incident(
        id=ids.incident(system.name, reported.key),
        repository=repository,
        service=place.service,
        source=system.name,
        observed_at=reported.observed_at,
        url=reported.url,
        retracted=reported.is_retracted,
        environment=environment or place.environment,
        severity=reported.severity,
        title=reported.title,
        detected_at=reported.detected_at,
        resolved_at=reported.resolved_at,
        deployment=reported.deployment,
        also=reported.also,
    )


def missing_note(system_name: str, missing_ids: Sequence[str]) -> str:
    """Return the note on open incidents that the system does not have any more."""
    named, is_single = formatting.join_first(missing_ids, _MAX_NAMED), len(missing_ids) == 1
    return (
        f"{system_name}: {named} {'is' if is_single else 'are'} open in the ledger, and the system does not show "
        f"{'it under its id' if is_single else 'them under their ids'} any more. A dispatch can end or withdraw an "
        "incident (docs/incidents.md)."
    )


def left_note(system_name: str, count: int) -> str:
    """Return the note on open incidents that were not asked for."""
    incidents = formatting.count(count, "more open incident")
    return f"{system_name}: {incidents} not asked for by now, because the system did not show many others."


def _unmapped_notes(unmapped: Mapping[str, int], outcome: str) -> list[str]:
    if not unmapped:
        return []
    total = formatting.count(sum(unmapped.values()), "incident")
    return [f"{total} of services that `services` does not name, {outcome}: {_counted(unmapped)}."]


def _uncovered_notes(uncovered: Mapping[str, int]) -> list[str]:
    notes = []
    if count := uncovered.get("", 0):
        notes.append(
            f"{formatting.count(count, 'incident')} without a repository, not recorded, because this run covers "
            "several: add `repository` to the lines of `services`."
        )
    if named := {name: count for name, count in uncovered.items() if name}:
        notes.append(f"incidents of repositories that this ledger does not cover, not recorded: {_counted(named)}.")
    return notes


def _elsewhere_note(count: int) -> str:
    return f"{formatting.count_are(count, 'incident')} of repositories in other shards, which record them."


def _unusable_notes(unusable: Sequence[str]) -> list[str]:
    if not unusable:
        return []
    more = len(unusable) - _MAX_NAMED
    rest = f"; and {formatting.count(more, 'other')}" if more > 0 else ""
    are = "incident is" if len(unusable) == 1 else "incidents are"
    return [f"{len(unusable):,} {are} set aside: {'; '.join(unusable[:_MAX_NAMED])}{rest}."]


def _counted(counts: Mapping[str, int]) -> str:
    """Return names with their counts, the most frequent first."""
    in_order = sorted(counts, key=lambda name: (-counts[name], name))
    return formatting.join_first([f"{name} ({counts[name]:,})" for name in in_order], _MAX_NAMED)
