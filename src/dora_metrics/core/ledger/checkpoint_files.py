"""The files of a checkpoint: `checkpoint.json`, and `checkpoint-new.json` with what has changed since.

With many scopes `checkpoint.json` is large, and an event that ends an old incident changes one fact in it. So
`checkpoint-new.json` has the facts, scopes and repositories that have changed. It names the `checkpoint.json` that it
belongs to. It is merged into that file before it is large too, and when a month is sealed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import Fact, Repository
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.ledger.checkpoint import Checkpoint
from dora_metrics.core.ledger.layout import CHECKPOINT_FILE, NEW_CHECKPOINT_FILE, git_blob_sha
from dora_metrics.core.metrics.high_water_marks import MAX_MARK
from dora_metrics.core.metrics.totals import SUM_PART, Series, Totals
from dora_metrics.core.scope import Scope

_NEW_SHARE = 0.125
"""Of `checkpoint.json`: how large `checkpoint-new.json` may be."""

_Number = Annotated[int, msgspec.Meta(ge=-MAX_MARK, le=MAX_MARK)]
"""Negative if later facts changed what the months before had counted."""

_Part = Annotated[int, msgspec.Meta(ge=0, le=SUM_PART)]
_Identified = TypeVar("_Identified", Fact, Repository)


class _ScopeTotals(msgspec.Struct):
    """The base totals of one scope. `series`: (name, label, part, number)."""

    repository: str
    service: str
    environment: str
    series: list[tuple[str, str, _Part | None, _Number]]


class _CheckpointFile(msgspec.Struct):
    """The JSON of both files.

    `newer_than`: in `checkpoint-new.json`, git's object id of its `checkpoint.json`. `dropped`: in `checkpoint.json`,
    the digests of dropped incidents; an earlier version does not write it.
    """

    rules: str
    until: datetime
    totals: list[_ScopeTotals]
    carried: list[Fact]
    repositories: list[Repository] = []
    newer_than: str = ""
    dropped: list[str] | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, or what has changed in it."""
        return Checkpoint(
            self.rules,
            self.until,
            _decode_totals(self.totals),
            tuple(self.carried),
            tuple(self.repositories),
            frozenset(self.dropped or ()),
        )


def read_checkpoint(files: Mapping[str, bytes], policy_fingerprint: str) -> Checkpoint:
    """Return the checkpoint in the files of a ledger.

    If a file is invalid, has another fingerprint, belongs to another `checkpoint.json` or does not know which incidents
    were dropped, return an empty checkpoint.
    The ledger is then read whole, once.
    """
    empty = Checkpoint(policy_fingerprint)
    base, new = files.get(CHECKPOINT_FILE, b""), files.get(NEW_CHECKPOINT_FILE, b"")
    base_file, new_file = _decode(base), _decode(new)
    if base_file is None or base_file.rules != policy_fingerprint or base_file.dropped is None:
        return empty
    if not new:
        return base_file.checkpoint
    is_newer = new_file is not None and new_file.newer_than == git_blob_sha(base)
    return _updated(base_file.checkpoint, new_file.checkpoint) if new_file and is_newer else empty


def checkpoint_files(checkpoint: Checkpoint, stored: Checkpoint, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the contents of both files for a checkpoint; that of one which need not be there is empty.

    Args:
        checkpoint: the checkpoint to write.
        stored: the one in the present files.
        files: the present files of the ledger.
    """
    base, new = files.get(CHECKPOINT_FILE, b""), files.get(NEW_CHECKPOINT_FILE, b"")
    changes = _changes(checkpoint, stored)
    if changes and (changes.base_totals or changes.retained_facts or changes.repositories):
        new_file = _decode(new)
        new = _encode(_updated(new_file.checkpoint, changes) if new_file else changes, newer_than=git_blob_sha(base))
    if changes and len(new) <= len(base) * _NEW_SHARE:
        return {CHECKPOINT_FILE: base, NEW_CHECKPOINT_FILE: new}
    return {CHECKPOINT_FILE: _encode(checkpoint), NEW_CHECKPOINT_FILE: b""}


def _changes(checkpoint: Checkpoint, stored: Checkpoint) -> Checkpoint | None:
    """Return what is not as stored; None if nothing is stored, or if something stored is gone or of other months."""
    key = (checkpoint.policy_fingerprint, checkpoint.until)
    if stored.until is None or key != (stored.policy_fingerprint, stored.until):
        return None
    totals = _changed_totals(checkpoint.base_totals, stored.base_totals)
    facts = _changed(checkpoint.retained_facts, stored.retained_facts)
    repositories = _changed(checkpoint.repositories, stored.repositories)
    is_other = checkpoint.dropped_incidents != stored.dropped_incidents
    if is_other or totals is None or facts is None or repositories is None:
        return None
    return Checkpoint(*key, totals, facts, repositories)


def _changed_totals(totals: Totals, stored: Totals) -> Totals | None:
    """Return the totals of the scopes with other ones than stored; None if a stored scope has none any more."""
    if totals is stored:
        return Counter()
    if not _scopes(stored) <= _scopes(totals):
        return None
    differing = {series.scope for series in totals.keys() | stored.keys() if totals[series] != stored[series]}
    return Counter({series: number for series, number in totals.items() if series.scope in differing})


def _changed(items: Iterable[_Identified], stored_items: Iterable[_Identified]) -> tuple[_Identified, ...] | None:
    """Return the facts or repositories that are not as stored; None if a stored one is gone."""
    stored = {item.id: item for item in stored_items}
    present = {item.id: item for item in items}
    if not stored.keys() <= present.keys():
        return None
    return tuple(item for item in present.values() if item != stored.get(item.id))


def _updated(checkpoint: Checkpoint, changes: Checkpoint) -> Checkpoint:
    """Return a checkpoint in which changed facts, scopes and repositories replace those before."""
    scopes = _scopes(changes.base_totals)
    others = {series: number for series, number in checkpoint.base_totals.items() if series.scope not in scopes}
    return Checkpoint(
        checkpoint.policy_fingerprint,
        checkpoint.until,
        Counter({**others, **changes.base_totals}),
        tuple({item.id: item for item in (*checkpoint.retained_facts, *changes.retained_facts)}.values()),
        tuple({item.id: item for item in (*checkpoint.repositories, *changes.repositories)}.values()),
        checkpoint.dropped_incidents,
    )


def _scopes(totals: Totals) -> AbstractSet[Scope]:
    return {series.scope for series in totals}


def _decode(content: bytes) -> _CheckpointFile | None:
    """Decode one of the files; None if it is missing or invalid."""
    try:
        file = msgspec.json.decode(content, type=_CheckpointFile)
    except (*UNREADABLE_JSON, OverflowError):
        return None
    return None if file.until.tzinfo is None else file


def _decode_totals(scopes: Iterable[_ScopeTotals]) -> Totals:
    return Counter({
        Series(name, Scope(scope.repository, scope.service, scope.environment), label, part): number
        for scope in scopes
        for name, label, part, number in scope.series
    })  # fmt: skip


def _encode(checkpoint: Checkpoint, *, newer_than: str = "") -> bytes:
    """Encode one of the files. It is sorted, so that equal checkpoints give equal files, and empty without months."""
    if checkpoint.until is None:
        return b""
    by_scope: dict[Scope, list[tuple[str, str, int | None, int]]] = {}
    for series, number in sorted(checkpoint.base_totals.items(), key=lambda item: _series_order(item[0])):
        by_scope.setdefault(series.scope, []).append((series.name, series.label, series.part, number))
    retained_facts = sorted(checkpoint.retained_facts, key=lambda fact: fact.id)
    return canonical_json({
        "rules": checkpoint.policy_fingerprint,
        "until": checkpoint.until,
        "totals": [_ScopeTotals(*scope, series=series) for scope, series in by_scope.items()],
        "carried": [_without_empty_fields(fact) for fact in retained_facts],
        "repositories": sorted(checkpoint.repositories, key=lambda repository: repository.id),
        **({"newer_than": newer_than} if newer_than else {"dropped": sorted(checkpoint.dropped_incidents)}),
    }) + b"\n"  # fmt: skip


def _series_order(series: Series) -> tuple[Scope, str, str, int]:
    return series.scope, series.name, series.label, -1 if series.part is None else series.part


def _without_empty_fields(fact: Fact) -> dict[str, Any]:
    """Return a fact as a mapping, without fields that are None or false."""
    fields: dict[str, Any] = msgspec.to_builtins(fact)
    return {name: value for name, value in fields.items() if value is not None and value is not False}
