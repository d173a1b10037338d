"""What an event does not say and GitHub knows: the commits of a merged pull request, the changes of a deployment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.linking.link import previous_success
from dora_metrics.core.policy import Policy

_LATER = timedelta(microseconds=1)


class ChangeSource(Protocol):
    """The port: what a repository's history says. Failures are `failure`s."""

    def deployment_with_changes(self, deployment: Deployment, previous: Deployment) -> tuple[Fact, ...]:
        """The deployment with its changes' ids, and then those changes."""
        ...

    def change_with_commits(self, change: Change) -> Change: ...


@dataclass
class Enricher:
    """Completes facts, asking each question once even where the ledger has to be read again."""

    history: ChangeSource
    rules: Policy
    failure: type[Exception]
    tell: Callable[[Exception], None]
    _answers: dict[tuple[str, str], tuple[Fact, ...]] = field(default_factory=dict)

    def __call__(self, facts: tuple[Fact, ...], before: LedgerContents) -> tuple[Fact, ...]:
        """The facts with what GitHub adds to them, as observations newer than what the ledger has."""
        return tuple(found for fact in facts for found in self._asked(fact, before))

    def _asked(self, fact: Fact, before: LedgerContents) -> Iterator[Fact]:
        known = before.fact_by_id(fact.id)
        if known is not None and known.observed_at > fact.observed_at:
            yield fact  # it changes nothing, so there is nothing to ask
            return
        for one in self._answer(fact, before):
            yield one if one is fact else self._newer(one, before.fact_by_id(one.id))

    def _answer(self, fact: Fact, before: LedgerContents) -> tuple[Fact, ...]:
        match fact:
            case Deployment(status="success", changes=None) if self.rules.is_production(
                fact.environment or "production"
            ):
                previous = previous_success(fact, before.facts)
                if not (fact.sha and previous and previous.sha):
                    return (fact,)
                return self._once(
                    (fact.id, previous.id), partial(self.history.deployment_with_changes, fact, previous)
                ) or (fact,)
            case Change(first_commit_at=None) if fact.id.startswith("github:pull:") and not fact.retracted:
                return self._once((fact.id, ""), lambda: (self.history.change_with_commits(fact),)) or (fact,)
            case _:
                return (fact,)

    def _once(self, question: tuple[str, str], ask: Callable[[], tuple[Fact, ...]]) -> tuple[Fact, ...]:
        if question not in self._answers:
            try:
                self._answers[question] = ask()
            except self.failure as problem:
                self._answers[question] = ()
                self.tell(problem)
        return self._answers[question]

    def _newer(self, fact: Fact, known: Fact | None) -> Fact:
        """An answer of GitHub's is newer than what the ledger knows, unless it says the same.

        Only a monorepo says which service a change has. Else it keeps the one of the deployment that brought it first,
        so that the next one, of another service, does not rewrite it.
        """
        if known is None:
            return fact
        if isinstance(fact, Change) and known.service and not self.rules.services:
            fact = replace(fact, service=known.service)
        if replace(fact, observed_at=known.observed_at) == known:
            return known
        return replace(fact, observed_at=max(fact.observed_at, known.observed_at + _LATER))
