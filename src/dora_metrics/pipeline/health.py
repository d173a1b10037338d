"""Whether a deployment is well: asked once after each success in production that this very run has observed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact, Health
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.outcome import Outcome
from dora_metrics.pipeline.record import Enrich
from dora_metrics.runtime import HttpLimits
from dora_metrics.settings.model import Settings, policy_of
from dora_metrics.sources.health_check import HealthCheckRequest, check_health

_FRESH = timedelta(hours=1)
"""What ended longer ago is not asked about: the answer would be about now."""


@dataclass
class HealthCheckEnricher:
    """Adds the health to the facts of an event, asking each deployment's once even where the ledger is read again.

    `ask` adds what GitHub knows, before; `pause` waits; `tell` is told how the check went.
    """

    ask: Enrich
    settings: Settings
    now: datetime
    patience: HttpLimits
    pause: Callable[[float], None]
    tell: Callable[[Outcome], None]
    _answers: dict[str, Health | None] = field(default_factory=dict)

    def __call__(self, facts: tuple[Fact, ...], before: LedgerContents) -> tuple[Fact, ...]:
        """The facts with what GitHub adds, and the deployments of this event with their health."""
        own = {fact.id for fact in facts}
        return tuple(self._checked(fact, before) if fact.id in own else fact for fact in self.ask(facts, before))

    def _checked(self, fact: Fact, before: LedgerContents) -> Fact:
        if not isinstance(fact, Deployment) or not self._is_worth_it(fact, before.fact_by_id(fact.id)):
            return fact
        if fact.id not in self._answers:
            self._answers[fact.id] = self._answer()
        return replace(fact, health=self._answers[fact.id])

    def _is_worth_it(self, fact: Deployment, known: Fact | None) -> bool:
        """A success that is news, just ended in production, and says nothing of its health itself."""
        if fact.status != "success" or fact.health or fact.retracted:
            return False
        seen = isinstance(known, Deployment) and known.status == "success"
        production = policy_of(self.settings).is_production(fact.environment or "production")
        return production and not seen and self.now - fact.finished_at <= _FRESH

    def _answer(self) -> Health | None:
        found = check_health(self._question(), self.pause)
        self.tell(Outcome("health check", "done" if found.health == "passed" else "failed", found.text))
        return found.health

    def _question(self) -> HealthCheckRequest:
        given = self.settings
        return HealthCheckRequest(
            url=given.health_check_url.get_secret_value() if given.health_check_url else "",
            healthy_statuses=given.health_check_status,
            retries=given.health_check_retries,
            total_seconds=given.health_check_timeout.total_seconds(),
            try_seconds=self.patience.read_seconds,
            first_pause_seconds=self.patience.pause_seconds,
        )
