"""Corrections of incidents: what a dispatch states stays, and everything else is as the incident's system reports it.

An incident has the names of the fields that corrections state in `corrected`. So a correction may come before or after
the first report of the system, and several of them may correct one incident.
"""

from collections.abc import Collection

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Incident

ADDED_FIELDS = ("environment", "service", "severity", "deployment", "title", "url", "also")
"""Fields of an incident that one report may lack and another one has."""

_STATED_BY_VALUE = (*ADDED_FIELDS, "resolved_at")
_CORRECTABLE = (*_STATED_BY_VALUE, "detected_at", "retracted")


def stated_fields(report: Incident, unstated: Collection[str]) -> tuple[str, ...]:
    """Return the fields that a report states. `unstated`: those without an empty value that it leaves out."""
    by_value = (name for name in _STATED_BY_VALUE if getattr(report, name))
    return (*by_value, *(name for name in ("detected_at", "retracted") if name not in unstated))


def is_correction(recorded: Incident, report: Incident, unstated: Collection[str]) -> bool:
    """Whether a report changes only what it states of a recorded incident.

    So does one that does not state when the incident began: it can only be about what is known. One that does is whole,
    and its time decides; unless it is about another system's incident, or has no time of its own.
    """
    is_of_other_source = report.source != recorded.source
    if "detected_at" in unstated or (is_of_other_source and _is_of_other_system(report)):
        return True
    return "observed_at" in unstated and (is_of_other_source or report.retracted)


def early_correction(report: Incident, unstated: Collection[str]) -> Incident:
    """Return a report of an incident that is not recorded yet.

    If another system has the incident, and the report does not state when it began, it corrects what comes later.
    """
    if "detected_at" not in unstated or not _is_of_other_system(report):
        return report
    return replace(report, corrected=_sorted(stated_fields(report, unstated)))


def corrected(recorded: Incident, correction: Incident, unstated: Collection[str]) -> Incident:
    """Return a recorded incident with what a correction states; an end only if it is not before a corrected beginning.

    A value that is recorded already counts as corrected if another system has the incident: it may change there later.
    """
    stated = stated_fields(correction, unstated)
    fact = replace(recorded, **{name: getattr(correction, name) for name in stated})
    names = {*recorded.corrected, *(stated if _is_of_other_system(correction) else _different(recorded, fact, stated))}
    if "detected_at" in stated and "resolved_at" not in stated and _is_negative(fact):
        fact = replace(fact, resolved_at=None)
        names.discard("resolved_at")
    return replace(fact, v=correction.v, source=correction.source, corrected=_sorted(names))


def with_corrections(recorded: Incident, report: Incident, stated: Collection[str] = ()) -> Incident:
    """Return an incident as a report has it, with what corrections state.

    What a person reported of another system's incident as a whole is all stated.

    Args:
        recorded: the ledger's record.
        report: of the system that has the incident, or of the source of the record.
        stated: the fields that win over corrections, if the report is of the same source.
    """
    newer = stated if report.source == recorded.source else ()
    names = [name for name in _kept_fields(recorded, report) if name not in newer]
    if not (names or recorded.corrected):
        return report
    kept = {name: getattr(recorded, name) for name in names}
    fact = replace(report, source=recorded.source, corrected=recorded.corrected, **kept)
    is_beginning_corrected = "detected_at" in names and "resolved_at" not in names
    return replace(fact, resolved_at=None) if is_beginning_corrected and _is_negative(fact) else fact


def with_missing_fields(recorded: Incident, report: Incident) -> Incident:
    """Return a corrected incident with what an older report of it has and no correction states.

    A correction is newer than what it corrects. So a report may be older than the correction, and yet be news: of the
    end, or of an incident that the correction was the first to mention.
    """
    names = _kept_fields(recorded, report)
    if not names or report.retracted:
        return recorded
    added = {name: getattr(recorded, name) or getattr(report, name) for name in ADDED_FIELDS}
    detected_at = recorded.detected_at if "detected_at" in names else min(recorded.detected_at, report.detected_at)
    fact = replace(recorded, detected_at=detected_at, **added)
    ended = replace(fact, resolved_at=recorded.resolved_at or report.resolved_at)
    return fact if _is_negative(ended) else ended


def _kept_fields(recorded: Incident, report: Incident) -> tuple[str, ...]:
    """Return the fields of a record that a report does not change."""
    if recorded.corrected:  # a newer version may know more fields
        return tuple(name for name in _CORRECTABLE if name in recorded.corrected)
    if recorded.source == report.source or report.source != ids.system(report.id) or report.source == ids.DISPATCH:
        return ()
    return ("repository", *(name for name in _CORRECTABLE if getattr(recorded, name)))


def _is_of_other_system(report: Incident) -> bool:
    """Whether its id says that a system other than its source has the incident."""
    return ids.system(report.id) not in {ids.DISPATCH, report.source}


def _is_negative(incident: Incident) -> bool:
    return incident.resolved_at is not None and incident.resolved_at < incident.detected_at


def _different(recorded: Incident, fact: Incident, names: Collection[str]) -> list[str]:
    return [name for name in names if getattr(recorded, name) != getattr(fact, name)]


def _sorted(names: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
