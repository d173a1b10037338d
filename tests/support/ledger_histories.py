"""Random histories, run by run: facts that are late, repeated, changed, retracted, of two services."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from support.facts import sha
from support.ledger_runs import DAY, START, change, deployment, incident

_HOURS_LATE = (500, 3000, 5000)


class RandomHistory:
    """A history whose runs report one to three facts each. `facts` holds the latest state of each reported fact."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now, self.number = START, 0
        self.facts: dict[str, Fact] = {}
        self.unreported_changes: dict[str, Change] = {}
        self.undeployed_changes: list[str] = []
        self.delivered_once: list[str] = []
        self.fact_makers: tuple[Callable[[], Fact | None], ...] = (
            *(self._deployment, self._deployment, self._deployment, self._change, self._change),
            *(
                self._staging_deployment,
                self._open_incident,
                self._resolve_incident,
                self._retract,
                self._update_fact,
                self._update_fact,
            ),
            *(self._late_fact, self._late_fact, self._report_change_late, self._move_finish_time, lambda: None),
        )

    def runs(self, count: int) -> Iterator[tuple[datetime, list[Fact]]]:
        for _ in range(count):
            self.now += timedelta(hours=self.rng.choice((3, 30, 200, 600)))
            yield self.now, list(self._facts_of_run())

    def _facts_of_run(self) -> Iterator[Fact]:
        for _ in range(self.rng.randrange(1, 4)):
            self.number += 1
            fact = self.rng.choice(self.fact_makers)()
            if fact is None:
                continue
            self.facts[fact.id] = fact
            yield fact
            yield from self._changes_of(fact)

    def _changes_of(self, fact: Fact) -> Iterator[Fact]:
        """Report changes of a deployment, as GitHub does; a dispatch may give only their ids."""
        for name in (fact.changes or ()) if isinstance(fact, Deployment) else ():
            if name in self.unreported_changes and self.rng.random() < 0.7:
                self.facts[name] = self.unreported_changes.pop(name)
            if name in self.facts:
                yield self.facts[name]

    def _facts_of_kind(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.facts.values() if isinstance(fact, kind)]

    def _service(self) -> str:
        return self.rng.choice(("web", "api"))

    def _deployment(self) -> Fact:
        changes = [
            self.undeployed_changes.pop(0) for _ in range(min(len(self.undeployed_changes), self.rng.randrange(3)))
        ]
        self.delivered_once += [name for name in changes if self.rng.random() < 0.5]
        if self.delivered_once and self.rng.random() < 0.3:
            changes.append(self.delivered_once.pop(0))
        sha_number = self.number if self.rng.random() < 0.7 else max(1, self.number - self.rng.randrange(1, 12))
        return deployment(
            self.number,
            self.now - timedelta(minutes=self.number % 50),
            service=self._service(),
            status=self.rng.choice(("success", "success", "failure", "cancelled")),
            sha=sha(sha_number),
            health=self.rng.choice((None, None, "passed", "failed")),
            changes=tuple(dict.fromkeys(changes)) if self.rng.random() < 0.9 else None,
            started_at=self.now - timedelta(hours=1),
        )

    def _staging_deployment(self) -> Fact:
        changes = tuple(self.undeployed_changes[:1])
        return deployment(self.number, self.now, environment="staging", service="web", changes=changes)

    def _change(self) -> Fact | None:
        """A change, perhaps merged long ago, perhaps reported only when it is delivered."""
        merged = self.now - timedelta(hours=self.rng.choice((1, 100, 1000, 3000)))
        hotfix = ("hotfix",) if self.rng.random() < 0.2 else ()
        change_fact = change(self.number, merged, labels=hotfix, bot=self.rng.random() < 0.1)
        self.undeployed_changes.append(change_fact.id)
        if self.rng.random() < 0.3:
            self.unreported_changes[change_fact.id] = change_fact
            return None
        return change_fact

    def _open_incident(self) -> Fact:
        return replace(incident(self.number, self.now), service=self._service())

    def _resolve_incident(self) -> Fact | None:
        still_open = [fact for fact in self.facts.values() if isinstance(fact, Incident) and fact.resolved_at is None]
        return replace(self.rng.choice(still_open), resolved_at=self.now, observed_at=self.now) if still_open else None

    def _retract(self) -> Fact | None:
        facts = [fact for fact in self.facts.values() if not fact.retracted]
        return replace(self.rng.choice(facts), retracted=True, observed_at=self.now) if facts else None

    def _update_fact(self) -> Fact | None:
        if not self.facts:
            return None
        fact = self.rng.choice(list(self.facts.values()))
        updated: Fact = replace(fact, url=f"https://a.example/{self.number}", observed_at=self.now)
        if isinstance(updated, Change) and updated.first_commit_at and self.rng.random() < 0.5:
            return replace(updated, first_commit_at=updated.first_commit_at - DAY)
        return updated

    def _move_finish_time(self) -> Fact | None:
        """A deployment that gets a new finish time, now or long ago."""
        at = self.now - timedelta(hours=self.rng.choice((1, *_HOURS_LATE[1:])))
        deployments = [fact for fact in self.facts.values() if isinstance(fact, Deployment) and not fact.retracted]
        deployments = [
            deployment_fact
            for deployment_fact in deployments
            if deployment_fact.started_at and deployment_fact.finished_at - deployment_fact.started_at < DAY
        ]
        if not deployments or at < START:
            return None
        return replace(self.rng.choice(deployments), finished_at=at, observed_at=self.now)

    def _late_fact(self) -> Fact | None:
        at = self.now - timedelta(hours=self.rng.choice(_HOURS_LATE))
        makers: tuple[Callable[[], Fact], ...] = (
            lambda: deployment(self.number, at, service=self._service(), sha=sha(self.number)),
            lambda: replace(incident(self.number, at), service="web"),
            lambda: replace(incident(self.number, at, at + DAY), service="api"),
            lambda: change(self.number, at),
        )
        return None if at < START else self.rng.choice(makers)()

    def _report_change_late(self) -> Fact | None:
        return (
            self.unreported_changes.pop(self.rng.choice(sorted(self.unreported_changes)))
            if self.unreported_changes
            else None
        )
