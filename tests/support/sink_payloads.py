"""Payloads for sinks: a few facts of acme/shop, computed as in a run."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.shapes.shape import ShapeInput
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.base import SinkPayload

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHOP = "acme/shop"


def at(days_ago: float) -> datetime:
    return NOW - timedelta(days=days_ago)


def deployment(number: int = 1, days_ago: float = 1, **fields: object) -> Deployment:
    defaults: dict[str, Any] = {
        "id": f"github:deployment:{number}",
        "repository": SHOP,
        "source": "deployments",
        "observed_at": at(days_ago),
        "finished_at": at(days_ago),
        "status": "success",
        "environment": "production",
        "sha": f"{number:040x}",
    }
    arguments: dict[str, Any] = {**defaults, **fields}
    return Deployment(**arguments)


def sink_payload(
    facts: Iterable[Fact] = (deployment(),), repository: str = SHOP, settings: Mapping[str, object] | None = None
) -> SinkPayload:
    """The payload of facts that are all new."""
    fact_list = list(facts)
    subject = evaluate(fact_list, Settings.model_validate(settings or {}), NOW)
    return SinkPayload(repository, prometheus_families(subject, cumulative_totals(subject, fact_list), 1, repository))


def shape_input(facts: Iterable[Fact] = (deployment(),), repository: str = SHOP) -> ShapeInput:
    """What a shape gets of facts that are all new."""
    fact_list = list(facts)
    subject = evaluate(fact_list, Settings(), NOW)
    families = prometheus_families(subject, cumulative_totals(subject, fact_list), 1, repository)
    return ShapeInput(repository, "push", fact_list, (), subject, families)
