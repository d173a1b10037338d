"""What GitHub's history says against what the ledger knows from events: only what is news is written.

GitHub's present state wins, since nothing can be newer, except where an event saw more:

- what GitHub does not know (any more) erases nothing: the ref of a branch that was deleted, the author of a change;
- the end of a run that both know is the event's: GitHub touches `updated_at` of a run later;
- a release and a push happen once: they stay as they were seen. So does the service that somebody named;
- what somebody told of the same thing by another way, such as a dispatch that withdraws it, is not GitHub's to change.

What an observation must take over from what the ledger knows, before the two are merged.

Merging keeps the record with the greatest `(observed_at, canonical JSON)`. Two things need care with
it: fields that only the ledger knows, and the end of a deployment that has several statuses.

Many records of the same things become one state each.

A fact's state is its record with the greatest (observed_at, canonical JSON). Merging is therefore
commutative, associative and idempotent, whatever arrives twice, late or out of order.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.jsonl import canonical_json, canonical_line
from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact, FactRecord, Incident

ENRICHED_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("changes", "previous", "commit_count", "health", "remediates"),
    Change: ("service", "first_commit_at", "first_review_at", "commits", "reverts"),
}
"""Fields that are found out after the event, which knows nothing of them."""

_ONE_MICROSECOND = timedelta(microseconds=1)


def prepare_event_fact(recorded: Fact | None, observed: Fact) -> Fact:
    """What an event says of a thing, as it is to be merged with what the ledger knows of it."""
    fact = fill_enriched_fields(recorded, observed)
    if isinstance(fact, Deployment) and (recorded is None or isinstance(recorded, Deployment)):
        return keep_newest_success(recorded, fact)
    return fact


def fill_enriched_fields(other: Fact | None, fact: Fact) -> Fact:
    """`seen`, with the enriched fields that it lacks taken from `known`."""
    if other is None or type(other) is not type(fact):
        return fact
    missing = [name for name in ENRICHED_FIELDS.get(type(fact), ()) if getattr(fact, name) is None]
    return replace(fact, **{name: getattr(other, name) for name in missing})


def keep_newest_success(recorded: Deployment | None, observed: Deployment) -> Deployment:
    """The record to merge for a status of a deployment, so that the newest success stays its end.

    What a success beats counts as observed just before it: a failure, whenever it was seen, and an older
    success. The result does not depend on the order of arrival. Attempts of a workflow run are another
    matter, there the newest counts; so everything but a GitHub deployment passes unchanged.
    """
    if recorded is None or DeploymentId.parse(observed.id).kind != "deployment":
        return observed
    best = max(recorded, observed, key=_end_rank)
    if best.status != "success" or _end_rank(recorded) == _end_rank(observed):
        return observed
    return replace(best, observed_at=_winning_observed_at(best, observed if best is recorded else recorded))


def _end_rank(deployment: Deployment) -> tuple[bool, datetime, bytes]:
    """Any success before any failure, then the newer, then what merging takes at equal times."""
    return (
        deployment.status == "success",
        deployment.finished_at,
        canonical_json(replace(deployment, observed_at=EPOCH)),
    )


def _winning_observed_at(best: Deployment, beaten: Deployment) -> datetime:
    """The least time with which the best wins a merge, also against what the beaten one had won against."""
    if beaten.status != "success":
        return max(best.observed_at, beaten.observed_at + _ONE_MICROSECOND)
    observed_at = max(best.observed_at, beaten.observed_at)
    is_best_greater = canonical_json(replace(best, observed_at=observed_at)) > canonical_json(
        replace(beaten, observed_at=observed_at)
    )
    return observed_at if is_best_greater or best.observed_at > beaten.observed_at else observed_at + _ONE_MICROSECOND


_TICK = timedelta(microseconds=1)
_PERSISTENT_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("ref", "version", "sha", "environment", "started_at"),
    Change: ("sha", "branch", "first_review_at", "opened_at", "title", "url"),
}
"""Fields that GitHub may forget, and that stay then."""


def changed_facts(recorded: Mapping[str, Fact], observed: Iterable[Fact]) -> tuple[Fact, ...]:
    """The facts that say something new, as observations newer than what is known."""
    candidates = (reconcile(recorded.get(fact.id), fact) for fact in observed)
    return tuple(fact for fact in candidates if fact is not None)


def reconcile(recorded: Fact | None, observed: Fact) -> Fact | None:
    """The fact to write, or None where the ledger knows as much."""
    if recorded is None or type(recorded) is not type(observed):
        return observed if recorded is None else None
    fact = _combine(recorded, fill_enriched_fields(recorded, observed))
    if replace(fact, observed_at=recorded.observed_at) == recorded:
        return None
    return replace(fact, observed_at=max(fact.observed_at, recorded.observed_at + _TICK))


def _combine(recorded: Fact, observed: Fact) -> Fact:
    """What is seen, with what the ledger knows better."""
    if _ledger_record_wins(recorded, observed):
        return fill_enriched_fields(observed, recorded)
    persistent = {
        name: getattr(recorded, name)
        for name in _PERSISTENT_FIELDS.get(type(observed), ())
        if getattr(observed, name) is None
    }
    fact = replace(observed, **persistent, service=recorded.service or observed.service)
    match recorded, fact:
        case Deployment(), Deployment():
            return replace(fact, url=recorded.url or fact.url, reached_users=recorded.reached_users)
        case Change(bot=True), Change():
            return replace(fact, bot=True)
        case _:
            return fact


def _ledger_record_wins(recorded: Fact, observed: Fact) -> bool:
    """Whether the ledger's word stays, and is only completed."""
    if recorded.source != observed.source or (recorded.retracted and not isinstance(recorded, Incident)):
        return True  # somebody said so, and GitHub knows nothing of it
    match recorded, observed:
        case Deployment(), Deployment():
            return _happens_once(recorded) or _has_final_end(recorded, observed)
        case _:
            return False


def _happens_once(deployment: Deployment) -> bool:
    return DeploymentId.parse(deployment.id).kind in ("release", "push")


def _has_final_end(recorded: Deployment, observed: Deployment) -> bool:
    """Whether the ledger holds the end that counts: the newest success, or that of a run's newest attempt."""
    if DeploymentId.parse(recorded.id).kind in ("run", "job"):
        recorded_start, is_same_status = recorded.started_at, recorded.status == observed.status
        return (
            recorded_start is not None
            and observed.started_at is not None
            and (recorded_start, is_same_status) >= (observed.started_at, True)
        )
    is_observed_weaker = observed.status != "success" or observed.finished_at < recorded.finished_at
    return recorded.status == "success" and is_observed_weaker


class NewestRecords:
    """The newest record of each id.

    Decoded records do not hold the keys that this version does not know, so two different records of
    the same instant cannot be told apart here: their ids wait in `ties` until `settle` is given the lines.
    """

    def __init__(self) -> None:
        self.records: dict[str, FactRecord] = {}
        self.tied_ids: set[str] = set()

    def add(self, records: Iterable[FactRecord]) -> None:
        newest = self.records
        for record in records:
            current = newest.get(record.id)
            if current is None or record.observed_at > current.observed_at:
                newest[record.id] = record
            elif record.observed_at == current.observed_at and record != current:
                self.tied_ids.add(record.id)

    def resolve_ties(self, pairs: Iterable[tuple[FactRecord, bytes]]) -> None:
        """Decides the ties from all records with their lines, which need not be in the same order as before."""
        best: dict[str, tuple[bytes, FactRecord]] = {}
        for record, line in pairs:
            if record.id in self.tied_ids and record.observed_at == self.records[record.id].observed_at:
                candidate = (canonical_line(line), record)
                if record.id not in best or candidate[0] > best[record.id][0]:
                    best[record.id] = candidate
        self.records.update((fact_id, record) for fact_id, (_, record) in best.items())
        self.tied_ids.clear()
