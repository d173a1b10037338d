"""Histories as no team has them, told run by run: late, twice, changed afterwards, withdrawn, by two services."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from support.facts import sha
from support.ledger_runs import BEGAN, DAY, change, deployment, incident

_HOURS_LATE = (500, 3000, 5000)


class History:
    """Each run sees one to three things; `told` is every fact as it was last told."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now, self.number = BEGAN, 0
        self.told: dict[str, Fact] = {}
        self.untold: dict[str, Change] = {}
        self.waiting: list[str] = []
        self.delivered_once: list[str] = []
        self.happenings: tuple[Callable[[], Fact | None], ...] = (
            *(self._deployed, self._deployed, self._deployed, self._merged, self._merged),
            *(self._staged, self._broke, self._mended, self._withdrawn, self._told_again, self._told_again),
            *(self._late, self._late, self._told_at_last, self._ended_again, lambda: None),
        )

    def runs(self, count: int) -> Iterator[tuple[datetime, list[Fact]]]:
        for _ in range(count):
            self.now += timedelta(hours=self.chance.choice((3, 30, 200, 600)))
            yield self.now, list(self._seen())

    def _seen(self) -> Iterator[Fact]:
        for _ in range(self.chance.randrange(1, 4)):
            self.number += 1
            fact = self.chance.choice(self.happenings)()
            if fact is None:
                continue
            self.told[fact.id] = fact
            yield fact
            yield from self._brought(fact)

    def _brought(self, fact: Fact) -> Iterator[Fact]:
        """The changes of a deployment, which GitHub names with it; a dispatch may name their ids only."""
        for name in (fact.changes or ()) if isinstance(fact, Deployment) else ():
            if name in self.untold and self.chance.random() < 0.7:
                self.told[name] = self.untold.pop(name)
            if name in self.told:
                yield self.told[name]

    def _some(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.told.values() if isinstance(fact, kind)]

    def _service(self) -> str:
        return self.chance.choice(("web", "api"))

    def _deployed(self) -> Fact:
        changes = [self.waiting.pop(0) for _ in range(min(len(self.waiting), self.chance.randrange(3)))]
        self.delivered_once += [name for name in changes if self.chance.random() < 0.5]
        if self.delivered_once and self.chance.random() < 0.3:
            changes.append(self.delivered_once.pop(0))
        known = self.number if self.chance.random() < 0.7 else max(1, self.number - self.chance.randrange(1, 12))
        return deployment(
            self.number,
            self.now - timedelta(minutes=self.number % 50),
            service=self._service(),
            status=self.chance.choice(("success", "success", "failure", "cancelled")),
            sha=sha(known),
            health=self.chance.choice((None, None, "passed", "failed")),
            changes=tuple(dict.fromkeys(changes)) if self.chance.random() < 0.9 else None,
            started_at=self.now - timedelta(hours=1),
        )

    def _staged(self) -> Fact:
        brought = tuple(self.waiting[:1])
        return deployment(self.number, self.now, environment="staging", service="web", changes=brought)

    def _merged(self) -> Fact | None:
        """Perhaps long ago, and perhaps nobody tells of it before it is delivered."""
        merged = self.now - timedelta(hours=self.chance.choice((1, 100, 1000, 3000)))
        hotfix = ("hotfix",) if self.chance.random() < 0.2 else ()
        made = change(self.number, merged, labels=hotfix, bot=self.chance.random() < 0.1)
        self.waiting.append(made.id)
        if self.chance.random() < 0.3:
            self.untold[made.id] = made
            return None
        return made

    def _broke(self) -> Fact:
        return replace(incident(self.number, self.now), service=self._service())

    def _mended(self) -> Fact | None:
        still_open = [one for one in self.told.values() if isinstance(one, Incident) and one.resolved_at is None]
        return (
            replace(self.chance.choice(still_open), resolved_at=self.now, observed_at=self.now) if still_open else None
        )

    def _withdrawn(self) -> Fact | None:
        some = [fact for fact in self.told.values() if not fact.retracted]
        return replace(self.chance.choice(some), retracted=True, observed_at=self.now) if some else None

    def _told_again(self) -> Fact | None:
        if not self.told:
            return None
        fact = self.chance.choice(list(self.told.values()))
        again: Fact = replace(fact, url=f"https://a.example/{self.number}", observed_at=self.now)
        if isinstance(again, Change) and again.first_commit_at and self.chance.random() < 0.5:
            return replace(again, first_commit_at=again.first_commit_at - DAY)
        return again

    def _ended_again(self) -> Fact | None:
        """A deployment with a new status, now or long ago."""
        at = self.now - timedelta(hours=self.chance.choice((1, *_HOURS_LATE[1:])))
        some = [one for one in self.told.values() if isinstance(one, Deployment) and not one.retracted]
        some = [one for one in some if one.started_at and one.finished_at - one.started_at < DAY]
        if not some or at < BEGAN:
            return None
        return replace(self.chance.choice(some), finished_at=at, observed_at=self.now)

    def _late(self) -> Fact | None:
        at = self.now - timedelta(hours=self.chance.choice(_HOURS_LATE))
        late: tuple[Callable[[], Fact], ...] = (
            lambda: deployment(self.number, at, service=self._service(), sha=sha(self.number)),
            lambda: replace(incident(self.number, at), service="web"),
            lambda: replace(incident(self.number, at, at + DAY), service="api"),
            lambda: change(self.number, at),
        )
        return None if at < BEGAN else self.chance.choice(late)()

    def _told_at_last(self) -> Fact | None:
        return self.untold.pop(self.chance.choice(sorted(self.untold))) if self.untold else None
