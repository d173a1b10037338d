"""`counters.json`: the high-water marks of the Prometheus counters and histograms (`core.metrics.high_water_marks`).

With many scopes the file is large, and an event changes one of them. So `counters-new.json` has the scopes that have
changed since, and is merged into `counters.json` before it is large too. The greater mark counts, wherever it is.

Its scopes have names that no rename changes (`RepositoryNames.scope_to_store`), so that the marks stay with their
repository when another one takes its name.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.ledger.layout import COUNTERS_FILE, NEW_COUNTERS_FILE
from dora_metrics.core.metrics.high_water_marks import MAX_MARK, NO_MARKS, HighWaterMarks
from dora_metrics.core.metrics.totals import BUCKETS_SECONDS, SUM_PART, Series, Totals
from dora_metrics.core.scope import Scope

_NEW_SHARE = 0.125
"""Of `counters.json`: how large `counters-new.json` may be."""

_Mark = Annotated[int, msgspec.Meta(ge=0, le=MAX_MARK)]
_HistogramMarks = Annotated[list[_Mark], msgspec.Meta(min_length=SUM_PART + 1, max_length=SUM_PART + 1)]


class _ScopeMarks(msgspec.Struct):
    """The marks of one scope.

    `counters`: (name, label, value). `histograms`: (name, label, values), where the values are those of the buckets,
    each with the smaller ones, and the sum in microseconds.
    """

    repository: str
    service: str
    environment: str
    counters: list[tuple[str, str, _Mark]]
    histograms: list[tuple[str, str, _HistogramMarks]]


class _CountersFile(msgspec.Struct):
    """The JSON of `counters.json`. `buckets_seconds`: the bounds of the buckets, without the last one, +Inf."""

    buckets_seconds: list[int]
    scopes: list[_ScopeMarks]


def read_marks(files: Mapping[str, bytes]) -> HighWaterMarks:
    """Return the marks in the files of a ledger."""
    return decode_marks(files.get(COUNTERS_FILE, b"")) | decode_marks(files.get(NEW_COUNTERS_FILE, b""))


def marks_files(marks: HighWaterMarks, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the contents of both files for some marks; that of one which need not be there is empty.

    Args:
        marks: all marks; none is lower than in the files.
        files: the present files of the ledger.
    """
    base = files.get(COUNTERS_FILE, b"")
    before = decode_marks(base)
    new = encode_marks(_changed_scopes(marks, before))
    if len(new) <= len(base) * _NEW_SHARE and marks.scopes >= before.scopes:
        return {COUNTERS_FILE: base, NEW_COUNTERS_FILE: new}
    return {COUNTERS_FILE: encode_marks(marks), NEW_COUNTERS_FILE: b""}


def _changed_scopes(marks: HighWaterMarks, before: HighWaterMarks) -> HighWaterMarks:
    """Return the marks of the scopes that have others than before."""
    changed = {series.scope for series, value in marks.values.items() if before.values[series] != value}
    changed |= marks.scopes - before.scopes
    values = {series: value for series, value in marks.values.items() if series.scope in changed}
    return HighWaterMarks(Counter(values), frozenset(changed))


def decode_marks(content: bytes) -> HighWaterMarks:
    """Decode `counters.json`. A file that is missing or invalid, or has other buckets, has no marks."""
    try:
        file = msgspec.json.decode(content, type=_CountersFile)
    except UNREADABLE_JSON:
        return NO_MARKS
    if file.buckets_seconds != list(BUCKETS_SECONDS):
        return NO_MARKS
    values: Totals = Counter()
    for series, value in (pair for scope_marks in file.scopes for pair in _decode_values(scope_marks)):
        values[series] = max(values[series], value)
    return HighWaterMarks(values, frozenset(map(_scope, file.scopes)))


def _scope(marks: _ScopeMarks) -> Scope:
    return Scope(marks.repository, marks.service, marks.environment)


def _decode_values(marks: _ScopeMarks) -> Iterator[tuple[Series, int]]:
    for name, label, value in marks.counters:
        yield Series(name, _scope(marks), label), value
    for name, label, values in marks.histograms:
        for part, value in enumerate(values):
            yield Series(name, _scope(marks), label, part), value


def encode_marks(marks: HighWaterMarks) -> bytes:
    """Encode `counters.json`. It is sorted, so that equal marks give equal files, and empty without scopes."""
    if not marks.scopes:
        return b""
    scopes = {scope: _ScopeMarks(*scope, counters=[], histograms=[]) for scope in sorted(marks.scopes)}
    histograms: dict[Series, list[int]] = defaultdict(lambda: [0] * (SUM_PART + 1))
    for series, value in marks.values.items():
        if series.part is None:
            scopes[series.scope].counters.append((series.name, series.label, value))
        else:
            histograms[series._replace(part=None)][series.part] = value
    for series, values in histograms.items():
        scopes[series.scope].histograms.append((series.name, series.label, values))
    for scope_marks in scopes.values():
        scope_marks.counters.sort()
        scope_marks.histograms.sort()
    return canonical_json(_CountersFile(list(BUCKETS_SECONDS), list(scopes.values()))) + b"\n"
