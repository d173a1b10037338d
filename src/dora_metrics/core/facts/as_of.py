"""Facts as of a past time: what had happened by then, or what was known by then."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Self

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Vulnerability

AsOf = Literal["happened", "known"]

_LATER_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: (),
    Change: (),
    Incident: ("resolved_at",),
    Vulnerability: ("fixed_at", "dismissed_at"),
}
"""The fields of each kind with the time of something that happens after the fact is there."""


class _State(NamedTuple):
    """What a fact is from a time on."""

    since: datetime
    fact: Fact


class PastFacts:
    """Facts at any past time. A fact is unchanged between two of its states."""

    def __init__(self, states_by_fact: Iterable[Sequence[_State]]) -> None:
        """Index the states of each fact, oldest first."""
        self._states = [states for states in states_by_fact if states]
        self._changes = sorted(state.since for states in self._states for state in states)

    @classmethod
    def happened(cls, facts: Iterable[Fact]) -> Self:
        """Index facts by what they say when something happened, whenever that was recorded.

        A deployment is there when it has finished, and a change when it was merged or deployed. An incident that is
        resolved later is open until then, and so is a vulnerability that is fixed or dismissed later.
        """
        all_facts = list(facts)
        deployed_at = _first_deployments(all_facts)
        return cls(list(_states_of(fact, deployed_at.get(fact.id))) for fact in all_facts)

    @classmethod
    def known(cls, records: Iterable[Fact]) -> Self:
        """Index facts by when they were observed.

        Args:
            records: all records of each fact, in any order. With the newest ones only, a fact is missing until its last
                change was observed.
        """
        by_id: defaultdict[str, list[_State]] = defaultdict(list)
        for record in records:
            by_id[record.id].append(_State(record.observed_at, record))
        return cls(sorted(states, key=_since) for states in by_id.values())

    def at(self, moment: datetime) -> list[Fact]:
        """Return the facts that were there at a time, as they were then."""
        return [fact for states in self._states if (fact := _latest(states, moment))]

    def count_changes(self, until: datetime) -> int:
        """Count the changes up to a time; while this number is the same, so are the facts."""
        return bisect_right(self._changes, until)


def _since(state: _State) -> datetime:
    return state.since


def _latest(states: Sequence[_State], moment: datetime) -> Fact | None:
    return next((state.fact for state in reversed(states) if state.since <= moment), None)


def _first_deployments(facts: Iterable[Fact]) -> dict[str, datetime]:
    """Return when each change was first in a deployment, by its id."""
    deployed_at: dict[str, datetime] = {}
    for fact in facts:
        if isinstance(fact, Deployment) and not fact.retracted:
            for listed_id in fact.changes or ():
                change_id, _ = ids.split_copy(listed_id)
                deployed_at[change_id] = min(deployed_at.get(change_id, fact.finished_at), fact.finished_at)
    return deployed_at


def _states_of(fact: Fact, deployed_at: datetime | None) -> Iterator[_State]:
    """Yield the states of a fact; `deployed_at` is the first deployment of a change.

    Clocks differ, so what was deployed has happened, even if it says that it was merged a moment later.
    """
    start = min(fact.defining_time, deployed_at or fact.defining_time)
    later = {name: time for name in _LATER_FIELDS[type(fact)] if (time := getattr(fact, name)) and time > start}
    for since in sorted({start, *later.values()}):
        not_yet = {name: None for name, time in later.items() if time > since}
        yield _State(since, replace(fact, **not_yet) if not_yet else fact)
