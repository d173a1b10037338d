"""What sinks are given in these tests: a few facts of acme/shop, computed as in a run."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.github.events.observe import Observed, Run
from dora_metrics.pipeline.evaluate import families_of, subject_of, totals_of
from dora_metrics.pipeline.record import Eyes, Recorded, record
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.base import Delivery
from dora_metrics.storage.base import Ledger

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHOP = "acme/shop"


def at(days_ago: float) -> datetime:
    return NOW - timedelta(days=days_ago)


def deployment(number: int = 1, days_ago: float = 1, **fields: object) -> Deployment:
    usual: dict[str, Any] = {
        "id": f"github:deployment:{number}",
        "repository": SHOP,
        "source": "deployments",
        "observed_at": at(days_ago),
        "finished_at": at(days_ago),
        "status": "success",
        "environment": "production",
        "sha": f"{number:040x}",
    }
    given: dict[str, Any] = {**usual, **fields}
    return Deployment(**given)


def recorded(ledger: Ledger, settings: Settings, run: Run, *facts: Fact) -> Recorded:
    """A run that saw these facts, up to where it would send them."""
    eyes = Eyes(lambda _: Observed(facts, ""))
    return record(eyes, ledger, settings, run, time.sleep)


def delivery(
    facts: Iterable[Fact] = (deployment(),), repository: str = SHOP, settings: Mapping[str, object] | None = None
) -> Delivery:
    """Facts on their way to a sink, all of them new."""
    known = list(facts)
    subject = subject_of(known, Settings.model_validate(settings or {}), NOW)
    return Delivery(
        repository, "push", known, subject.document, families_of(subject, totals_of(subject, known), 1, repository)
    )
