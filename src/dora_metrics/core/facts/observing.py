"""What an observation must take over from what the ledger knows, before the two are merged.

Merging keeps the record with the greatest `(observed_at, canonical JSON)`. Two things need care with
it: fields that only the ledger knows, and the end of a deployment that has several statuses.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import canonical
from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact

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
