"""The files of a ledger with the numbers, `metrics.json`, and with the evidence behind them, `evidence.json`."""

from datetime import datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType

from dora_metrics.core.schema import SCHEMA, Document, Evidence, Metrics, Outlook, ScopeMetrics, WindowBounds


class ScopeNumbers(Struct, frozen=True, kw_only=True):
    """One scope in `metrics.json`. `team`: present only if the scope has one."""

    repository: str
    service: str
    environment: str
    team: str | UnsetType = UNSET
    metrics: Metrics
    previous: Metrics | None
    outlook: Outlook


class Numbers(Struct, frozen=True, kw_only=True):
    """The content of `metrics.json`: what `compute --format json` prints, without weeks and evidence."""

    schema: str = SCHEMA
    generated_at: datetime
    window: WindowBounds
    timezone: str
    benchmark: str
    scopes: list[ScopeNumbers]
    notes: list[str]


class ScopeEvidence(Struct, frozen=True, kw_only=True):
    """One scope in `evidence.json`."""

    repository: str
    service: str
    environment: str
    evidence: Evidence


class EvidenceFile(Struct, frozen=True, kw_only=True):
    """The content of `evidence.json`: the evidence behind the numbers of the same window."""

    schema: str = SCHEMA
    generated_at: datetime
    window: WindowBounds
    timezone: str
    scopes: list[ScopeEvidence]


def numbers_of(document: Document) -> Numbers:
    """Return the content of `metrics.json`. It is small, since every event writes it."""
    return Numbers(
        generated_at=document.generated_at,
        window=document.window,
        timezone=document.timezone,
        benchmark=document.benchmark,
        scopes=[_scope_numbers(scope) for scope in document.scopes],
        notes=document.notes,
    )


def _scope_numbers(scope: ScopeMetrics) -> ScopeNumbers:
    return ScopeNumbers(
        repository=scope.repository,
        service=scope.service,
        environment=scope.environment,
        team=scope.team,
        metrics=scope.metrics,
        previous=scope.previous,
        outlook=scope.outlook,
    )


def evidence_of(document: Document) -> EvidenceFile:
    """Return the content of `evidence.json`."""
    return msgspec.convert(document, EvidenceFile, from_attributes=True)
