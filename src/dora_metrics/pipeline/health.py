"""The health check: asked once after each successful production deployment that this run observed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact, Health
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.scope import environment_of
from dora_metrics.pipeline.record import Enrich
from dora_metrics.runtime import Runtime
from dora_metrics.settings.model import Settings
from dora_metrics.sources.health_check import HealthCheckRequest, check_health

_MAX_AGE = timedelta(hours=1)
"""The health of an older deployment is not checked: the answer would be about now."""


@dataclass
class HealthCheckEnricher:
    """Adds their health to observed deployments; asks once for each, even if the ledger is read again.

    Attributes:
        enrich: what GitHub adds to the facts, which comes first.
        settings: address and limits of the check.
        now: the time of the run.
        runtime: clocks, and deadlines of one request.
        note: receives how the check went.
        time: counts the time of a check as the event's; enters with the seconds that are left for it.
    """

    enrich: Enrich
    settings: Settings
    now: datetime
    runtime: Runtime
    note: Callable[[Outcome], None]
    time: Callable[[], AbstractContextManager[float]]
    _health_by_id: dict[str, Health | None] = field(default_factory=dict)

    def __call__(self, facts: tuple[Fact, ...], contents: LedgerContents) -> tuple[Fact, ...]:
        """Return the facts with what GitHub adds, and with the health of the observed deployments."""
        observed_ids = {fact.id for fact in facts}
        return tuple(
            self._with_health(fact, contents) if fact.id in observed_ids else fact
            for fact in self.enrich(facts, contents)
        )

    def _with_health(self, fact: Fact, contents: LedgerContents) -> Fact:
        if not isinstance(fact, Deployment) or not self._is_to_be_checked(fact, contents.fact_by_id(fact.id)):
            return fact
        if fact.id not in self._health_by_id:
            self._health_by_id[fact.id] = self._check()
        return replace(fact, health=self._health_by_id[fact.id])

    def _is_to_be_checked(self, fact: Deployment, recorded: Fact | None) -> bool:
        """Whether it is a new success, just finished in production, that does not name its health itself."""
        if fact.status != "success" or fact.health or fact.retracted:
            return False
        is_recorded = isinstance(recorded, Deployment) and recorded.status == "success"
        is_production = self.settings.policy.is_production(environment_of(fact))
        return is_production and not is_recorded and self.now - fact.finished_at <= _MAX_AGE

    def _check(self) -> Health | None:
        with self.time() as seconds_left:
            answer = check_health(self._request(seconds_left), self.runtime.sleep, self.runtime.monotonic)
        self.note(Outcome("health check", "done" if answer.health == "passed" else "failed", answer.text))
        return answer.health

    def _request(self, seconds_left: float) -> HealthCheckRequest:
        settings, limits = self.settings, self.runtime.http_limits
        return HealthCheckRequest(
            url=settings.health_check_url.get_secret_value() if settings.health_check_url else "",
            healthy_statuses=settings.health_check_status,
            retries=settings.health_check_retries,
            total_seconds=settings.health_check_timeout.total_seconds(),
            try_seconds=limits.read_seconds,
            first_pause_seconds=limits.pause_seconds,
            seconds_left=seconds_left,
        )
