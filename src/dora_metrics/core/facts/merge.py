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

from dora_metrics.core.facts.jsonl import canonical, canonical_line
from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact, Incident, Record

ENRICHED: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("changes", "previous", "commit_count", "health", "remediates"),
    Change: ("service", "first_commit_at", "first_review_at", "commits", "reverts"),
}
"""Fields that are found out after the event, which knows nothing of them."""

_AFTER = timedelta(microseconds=1)


def enriched(known: Fact | None, seen: Fact) -> Fact:
    """What an event says of a thing, as it is to be merged with what the ledger knows of it."""
    fact = completed(known, seen)
    if isinstance(fact, Deployment) and (known is None or isinstance(known, Deployment)):
        return reobserved(known, fact)
    return fact


def completed(known: Fact | None, seen: Fact) -> Fact:
    """`seen`, with the enriched fields that it lacks taken from `known`."""
    if known is None or type(known) is not type(seen):
        return seen
    missing = [name for name in ENRICHED.get(type(seen), ()) if getattr(seen, name) is None]
    return replace(seen, **{name: getattr(known, name) for name in missing})


def reobserved(known: Deployment | None, seen: Deployment) -> Deployment:
    """The record to merge for a status of a deployment, so that the newest success stays its end.

    What a success beats counts as observed just before it: a failure, whenever it was seen, and an older
    success. The result does not depend on the order of arrival. Attempts of a workflow run are another
    matter, there the newest counts; so everything but a GitHub deployment passes unchanged.
    """
    if known is None or not seen.id.startswith("github:deployment:"):
        return seen
    best = max(known, seen, key=_rank)
    if best.status != "success" or _rank(known) == _rank(seen):
        return seen
    return replace(best, observed_at=_late_enough(best, seen if best is known else known))


def _rank(deployment: Deployment) -> tuple[bool, datetime, bytes]:
    """Any success before any failure, then the newer, then what merging takes at equal times."""
    return (
        deployment.status == "success",
        deployment.finished_at,
        canonical(replace(deployment, observed_at=EPOCH)),
    )


def _late_enough(best: Deployment, beaten: Deployment) -> datetime:
    """The least time with which the best wins a merge, also against what the beaten one had won against."""
    if beaten.status != "success":
        return max(best.observed_at, beaten.observed_at + _AFTER)
    time = max(best.observed_at, beaten.observed_at)
    wins = canonical(replace(best, observed_at=time)) > canonical(replace(beaten, observed_at=time))
    return time if wins or best.observed_at > beaten.observed_at else time + _AFTER


_TICK = timedelta(microseconds=1)
_LASTING: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("ref", "version", "sha", "environment", "started_at"),
    Change: ("sha", "branch", "first_review_at", "opened_at", "title", "url"),
}
"""Fields that GitHub may forget, and that stay then."""


def news(known: Mapping[str, Fact], seen: Iterable[Fact]) -> tuple[Fact, ...]:
    """The facts that say something new, as observations newer than what is known."""
    found = (reconciled(known.get(fact.id), fact) for fact in seen)
    return tuple(fact for fact in found if fact is not None)


def reconciled(known: Fact | None, seen: Fact) -> Fact | None:
    """The fact to write, or None where the ledger knows as much."""
    if known is None or type(known) is not type(seen):
        return seen if known is None else None
    fact = _kept(known, completed(known, seen))
    if replace(fact, observed_at=known.observed_at) == known:
        return None
    return replace(fact, observed_at=max(fact.observed_at, known.observed_at + _TICK))


def _kept(known: Fact, seen: Fact) -> Fact:
    """What is seen, with what the ledger knows better."""
    if _stands(known, seen):
        return completed(seen, known)
    lasting = {name: getattr(known, name) for name in _LASTING.get(type(seen), ()) if getattr(seen, name) is None}
    fact = replace(seen, **lasting, service=known.service or seen.service)
    match known, fact:
        case Deployment(), Deployment():
            return replace(fact, url=known.url or fact.url, reached_users=known.reached_users)
        case Change(bot=True), Change():
            return replace(fact, bot=True)
        case _:
            return fact


def _stands(known: Fact, seen: Fact) -> bool:
    """Whether the ledger's word stays, and is only completed."""
    if known.source != seen.source or (known.retracted and not isinstance(known, Incident)):
        return True  # somebody said so, and GitHub knows nothing of it
    match known, seen:
        case Deployment(), Deployment():
            return _happens_once(known) or _ended_before(known, seen)
        case _:
            return False


def _happens_once(known: Deployment) -> bool:
    return known.id.startswith(("github:release:", "github:push:"))


def _ended_before(known: Deployment, seen: Deployment) -> bool:
    """Whether the ledger holds the end that counts: the newest success, or that of a run's newest attempt."""
    if known.id.startswith("github:run:"):
        began, ended = known.started_at, known.status == seen.status
        return began is not None and seen.started_at is not None and (began, ended) >= (seen.started_at, True)
    later = seen.status != "success" or seen.finished_at < known.finished_at
    return known.status == "success" and later


class State:
    """The newest record of each id.

    Decoded records do not hold the keys that this version does not know, so two different records of
    the same instant cannot be told apart here: their ids wait in `ties` until `settle` is given the lines.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.ties: set[str] = set()

    def add(self, records: Iterable[Record]) -> None:
        known = self.records
        for record in records:
            other = known.get(record.id)
            if other is None or record.observed_at > other.observed_at:
                known[record.id] = record
            elif record.observed_at == other.observed_at and record != other:
                self.ties.add(record.id)

    def settle(self, pairs: Iterable[tuple[Record, bytes]]) -> None:
        """Decides the ties from all records with their lines, which need not be in the same order as before."""
        best: dict[str, tuple[bytes, Record]] = {}
        for record, line in pairs:
            if record.id in self.ties and record.observed_at == self.records[record.id].observed_at:
                candidate = (canonical_line(line), record)
                if record.id not in best or candidate[0] > best[record.id][0]:
                    best[record.id] = candidate
        self.records.update((identity, record) for identity, (_, record) in best.items())
        self.ties.clear()
