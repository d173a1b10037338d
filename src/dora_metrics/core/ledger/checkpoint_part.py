"""`checkpoint.json`: what is kept of a ledger's old months, so that a run need not read them."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from dora_metrics.core.facts.jsonl import canonical
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.linking.link import Scope
from dora_metrics.core.metrics.totals import Series, Totals


@dataclass(frozen=True)
class Checkpoint:
    """Months before `until` are sealed; None: none are.

    `rules` names what they were judged by. Their facts come to two things: `carried`, those that later facts may
    still refer to, and `base`, what has to be added to the totals of all facts that are not sealed or carried.
    """

    rules: str
    until: datetime | None = None
    base: Totals = field(default_factory=Counter)
    carried: tuple[Fact, ...] = ()


class _Numbers(msgspec.Struct):
    repository: str
    service: str
    environment: str
    series: list[tuple[str, str, int | None, int]]


class _File(msgspec.Struct):
    rules: str
    until: datetime
    totals: list[_Numbers]
    carried: list[Fact]


def decode(content: bytes, rules: str) -> Checkpoint:
    """The checkpoint of a ledger; nothing is sealed where it is broken or was made by other rules.

    Such a ledger is read whole, once, and gets a new one.
    """
    try:
        file = msgspec.json.decode(content, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return Checkpoint(rules)
    if file.rules != rules or file.until.tzinfo is None:
        return Checkpoint(rules)
    base: Totals = Counter({
        Series(name, Scope(at.repository, at.service, at.environment), label, part): number
        for at in file.totals
        for name, label, part, number in at.series
    })  # fmt: skip
    return Checkpoint(rules, file.until, base, tuple(file.carried))


def encode(checkpoint: Checkpoint) -> bytes:
    """The file; empty where nothing is sealed. Sorted, so that equal checkpoints are equal files."""
    if checkpoint.until is None:
        return b""
    by_scope: dict[Scope, list[tuple[str, str, int | None, int]]] = {}
    for series, number in sorted(checkpoint.base.items(), key=lambda item: _sortable(item[0])):
        by_scope.setdefault(series.scope, []).append((series.name, series.label, series.part, number))
    return canonical({
        "rules": checkpoint.rules,
        "until": checkpoint.until,
        "totals": [_Numbers(*scope, series=series) for scope, series in by_scope.items()],
        "carried": [_short(fact) for fact in sorted(checkpoint.carried, key=lambda fact: fact.id)],
    }) + b"\n"  # fmt: skip


def _sortable(series: Series) -> tuple[Scope, str, str, int]:
    return series.scope, series.name, series.label, -1 if series.part is None else series.part


def _short(fact: Fact) -> dict[str, Any]:
    """A fact without what is empty."""
    found: dict[str, Any] = msgspec.to_builtins(fact)
    return {name: value for name, value in found.items() if value is not None and value is not False}
