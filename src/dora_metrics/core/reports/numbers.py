"""The files of a ledger with the numbers, `metrics.json`, and with the evidence behind them, `evidence.json`."""

from datetime import datetime

import msgspec
from msgspec import Struct

from dora_metrics.core.schema import SCHEMA, Document, Evidence, Metrics, Outlook, WindowBounds


class ScopeNumbers(Struct, frozen=True, kw_only=True):
    """One scope in `metrics.json`."""

    repository: str
    service: str
    environment: str
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
    return msgspec.convert(document, Numbers, from_attributes=True)


def evidence_of(document: Document) -> EvidenceFile:
    """Return the content of `evidence.json`."""
    return msgspec.convert(document, EvidenceFile, from_attributes=True)
