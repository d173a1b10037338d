"""What is known of an incident: what its system last said, overlaid by what people stated.

`corrected` names the stated fields, and `reported_at` says when the system last said something. So the two sides change
a record independently: a report of the system replaces everything except the stated fields, whenever it arrives, and a
correction replaces only what it states. Of two corrections of one field, the later one to arrive counts. `source` is
the system, or before its first report whoever mentioned the incident.

Who reports an incident with an id of `dispatch:` is its system too. Such a report corrects only what is recorded.
"""

from collections.abc import Collection
from datetime import datetime

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import EPOCH, Incident

ADDED_FIELDS = ("environment", "service", "severity", "deployment", "title", "url", "also")
"""Fields of an incident that one report may lack and another one has."""

_STATED_BY_VALUE = (*ADDED_FIELDS, "resolved_at")
_CORRECTABLE = (*_STATED_BY_VALUE, "detected_at", "retracted")


def is_correction(recorded: Incident | None, report: Incident, unstated: Collection[str]) -> bool:
    """Whether a report changes only what it states.

    One about another system's incident does. So does one about a recorded incident that does not state when that began,
    or that has no time of its own and is of another source or a withdrawal. Any other one is whole.
    """
    if recorded is None or _is_of_other_system(report):
        return _is_of_other_system(report)
    is_about_recorded = report.source != recorded.source or report.retracted
    return "detected_at" in unstated or ("observed_at" in unstated and is_about_recorded)


def corrected(recorded: Incident | None, correction: Incident, unstated: Collection[str]) -> Incident:
    """Return what is known of an incident after a correction.

    Args:
        recorded: the ledger's record; None if this is the first that is heard of it.
        correction: the fields that it states have their values.
        unstated: those of its fields that it leaves out, though they have a value.
    """
    stated = _stated_fields(correction, unstated)
    if recorded is None:
        return replace(correction, corrected=_sorted(stated), reported_at=EPOCH)
    fact = replace(recorded, **{name: getattr(correction, name) for name in stated})
    names = {*_corrected_fields(recorded), *_newly_corrected(recorded, fact, stated)}
    if "resolved_at" not in stated and (
        ("detected_at" in stated and _is_negative(fact)) or _is_reopened(recorded, stated, unstated)
    ):
        fact = replace(fact, resolved_at=None)
        names.discard("resolved_at")
    reported_at = last_report(recorded) if names else None
    return replace(fact, v=correction.v, corrected=_sorted(names), reported_at=reported_at)


def reported(recorded: Incident, report: Incident, unstated: Collection[str] | None = None) -> Incident:
    """Return what is known of a recorded incident after a report of its system, which is the latest one.

    Args:
        recorded: the ledger's record.
        report: as the system has the incident.
        unstated: what a dispatch leaves out that is newer than the record. About an incident of a dispatch, what it
            states is the later word of the same people, and wins. None for any other report.
    """
    if recorded.source == report.source and not recorded.corrected:
        return report
    names = [name for name in _CORRECTABLE if name in _corrected_fields(recorded)]
    if unstated is not None and report.source == recorded.source and ids.system(report.id) == ids.DISPATCH:
        stated = _stated_fields(report, unstated)
        names = [name for name in names if name not in stated]
    if not (names or recorded.corrected):
        return report
    fact = replace(
        report,
        corrected=recorded.corrected or _sorted(names),
        reported_at=max(report.observed_at, last_report(recorded)),
        **{name: getattr(recorded, name) for name in names},
    )
    is_beginning_corrected = "detected_at" in names and "resolved_at" not in names
    return replace(fact, resolved_at=None) if is_beginning_corrected and _is_negative(fact) else fact


def last_report(recorded: Incident) -> datetime:
    """Return when the system of a recorded incident last said something; `EPOCH` if it has not, or if nobody knows."""
    if recorded.reported_at is not None:
        return recorded.reported_at
    return EPOCH if recorded.corrected or _is_of_other_system(recorded) else recorded.observed_at


def is_reported(recorded: Incident) -> bool:
    """Whether the system of a recorded incident has said anything.

    Records without `reported_at` have the source of their last correction. Those that name corrected fields count.
    """
    return not _is_of_other_system(recorded) or (recorded.reported_at is None and bool(recorded.corrected))


def _stated_fields(report: Incident, unstated: Collection[str]) -> tuple[str, ...]:
    """Return the fields that a report states."""
    by_value = (name for name in _STATED_BY_VALUE if getattr(report, name))
    return (*by_value, *(name for name in ("detected_at", "retracted") if name not in unstated))


def _corrected_fields(recorded: Incident) -> tuple[str, ...]:
    """Return the fields of a record that people stated; of a record that does not name them, all that are not empty."""
    if recorded.corrected or is_reported(recorded):  # a newer version may know more fields
        return recorded.corrected
    return tuple(name for name in _CORRECTABLE if getattr(recorded, name))


def _newly_corrected(recorded: Incident, fact: Incident, stated: Collection[str]) -> Collection[str]:
    """Return what a correction adds to `corrected`.

    A value that is recorded already counts as corrected if another system has the incident: it may change there later.
    """
    if ids.system(recorded.id) != ids.DISPATCH:
        return stated
    return [name for name in stated if getattr(recorded, name) != getattr(fact, name)]


def _is_reopened(recorded: Incident, stated: Collection[str], unstated: Collection[str]) -> bool:
    """Whether a report with both times and no end says that an incident is open that no system has reported."""
    return not is_reported(recorded) and "detected_at" in stated and "observed_at" not in unstated


def _is_of_other_system(report: Incident) -> bool:
    """Whether its id says that a system other than its source has the incident."""
    return ids.system(report.id) not in {ids.DISPATCH, report.source}


def _is_negative(incident: Incident) -> bool:
    return incident.resolved_at is not None and incident.resolved_at < incident.detected_at


def _sorted(names: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
