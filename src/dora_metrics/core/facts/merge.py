"""What GitHub's history says against what the ledger knows from events: only what is news is written.

GitHub's present state wins, since nothing can be newer, except where an event saw more:

- what GitHub does not know (any more) erases nothing: the ref of a branch that was deleted, the author of a change;
- the end of a run that both know is the event's: GitHub touches `updated_at` of a run later;
- a release and a push happen once: they stay as they were seen. So does the service that somebody named;
- what somebody told of the same thing by another way, such as a dispatch that withdraws it, is not GitHub's to change.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from msgspec.structs import replace

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.facts.observing import completed

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
