"""How facts lie in the ledger's files, and which files a run changes (DESIGN §3).

Pure: a ledger is a mapping of paths to contents, wherever it is kept.

Facts that an endpoint has not acknowledged: remembered by id, oldest first, sent in bounded batches.

Which files of a site a run has to write: it is large, and no run reads it.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import msgspec

from dora_metrics.core.facts.jsonl import BadLine, canonical_json, canonical_line, decode_with_lines, encode_fact
from dora_metrics.core.facts.model import Deployment, Fact, FactRecord, UnknownRecord

FACTS_FOLDER = "facts/"
QUARANTINE_FILE = "quarantine.jsonl"
OUTBOX_FILE = "outbox.jsonl"
NON_FACT_FILES = frozenset({QUARANTINE_FILE, OUTBOX_FILE})
"""Files of a ledger that end like facts files and are none."""

README_FILE = "README.md"
CHECKPOINT_FILE = "checkpoint.json"
SEQUENCE_FILE = "sequence"
CURSORS_FILE = "cursors.json"
REPORTS_FILE = "reports.json"
METRICS_FILE = "metrics.json"
PROMETHEUS_FILE = "metrics.prom"
PAGE_FILE = "index.html"
HISTORY_FILE = "history.json"
BADGES_FOLDER = "badges/"
NO_JEKYLL_FILE = ".nojekyll"
ROOT_FILES = (README_FILE, SEQUENCE_FILE, CHECKPOINT_FILE, CURSORS_FILE, REPORTS_FILE, OUTBOX_FILE, QUARANTINE_FILE)
"""What a run reads besides facts."""

README_TITLE = b"# The ledger of dora-metrics"
README_TEXT = (
    README_TITLE
    + b"""

What was observed, one fact a line, in `facts/` by month. All else is computed from it: `index.html` is a page to look
at; `metrics.json`, `metrics.prom` and `history.json` are for programs, `badges/` is for READMEs.
It is written by the dora-metrics action. Facts are only ever added: please do not edit or delete files by hand.
"""
)
"""The README of a ledger, for who stumbles on it."""

_PART_SUFFIX = re.compile(r"(?:-\d+)?\.jsonl$")

MAX_FILE_BYTES = 400_000
"""A file is split before it passes this many bytes: GraphQL cuts blobs at 512,000."""


FolderListing = Mapping[str, tuple[str, ...] | None]
"""The names of the files in each folder, None for one that nobody has looked into yet; at the root all names."""


class MonthSelection(NamedTuple):
    """Which months of a ledger: all from `since` on, and `also` single ones before it; by default all there are."""

    since: str = ""
    extra_months: frozenset[str] = frozenset()

    def includes(self, month: str) -> bool:
        return month >= self.since or month in self.extra_months

    def includes_any_of(self, year: str) -> bool:
        """Whether any month of a folder such as `facts/2026` is within reach."""
        return f"{year}/99" >= self.since or any(month.startswith(f"{year}/") for month in self.extra_months)


ALL_MONTHS = MonthSelection()


class LedgerLine(NamedTuple):
    """A record and its canonical line, which keeps the keys that this version does not know."""

    record: FactRecord
    json: bytes

    @property
    def month(self) -> str:
        return month_of_time(self.record.defining_time)


class QuarantinedLine(NamedTuple):
    """A line of the ledger that is no fact."""

    path: str
    bad_line: BadLine


@dataclass(frozen=True)
class LedgerContents:
    """A ledger as it was read: the newest entry of each id, the ids that lie in each month, lines that are no facts.

    Months before `sealed` are judged already; of their facts only those that are `carried` still count.
    """

    files: Mapping[str, bytes]
    lines_by_id: Mapping[str, LedgerLine]
    ids_by_month: Mapping[str, set[str]]
    quarantined: tuple[QuarantinedLine, ...]
    checkpointed_before: str = ""
    retained_ids: frozenset[str] = frozenset()

    @cached_property
    def facts(self) -> list[Fact]:
        """The facts to judge by."""
        counted_ids = self._counted_ids
        return [
            line.record
            for fact_id, line in self.lines_by_id.items()
            if fact_id in counted_ids and not isinstance(line.record, UnknownRecord)
        ]

    def fact_by_id(self, fact_id: str) -> Fact | None:
        line = self.lines_by_id.get(fact_id)
        return None if line is None or isinstance(line.record, UnknownRecord) else line.record

    def ids_before(self, first_month: str) -> AbstractSet[str]:
        """The facts that lie in months before this one, and in no later one."""
        later_ids = (ids for month, ids in self.ids_by_month.items() if month >= first_month)
        other_ids = self.lines_by_id.keys() - set().union(*later_ids)
        return {fact_id for fact_id in other_ids if self.lines_by_id[fact_id].month < first_month}

    @cached_property
    def checkpointed_ids(self) -> AbstractSet[str]:
        """The facts that lie in sealed months."""
        return self.ids_before(self.checkpointed_before)

    @cached_property
    def delivered_change_ids(self) -> AbstractSet[str]:
        """The changes that deployments in sight have delivered."""
        records = (self.lines_by_id[fact_id].record for fact_id in self.lines_by_id.keys() - self.checkpointed_ids)
        return {change_id for record in records if isinstance(record, Deployment) for change_id in record.changes or ()}

    @property
    def _counted_ids(self) -> AbstractSet[str]:
        if not self.checkpointed_before:
            return self.lines_by_id.keys()
        return (
            (self.lines_by_id.keys() - self.checkpointed_ids)
            | self.retained_ids
            | (self.delivered_change_ids & self.lines_by_id.keys())
        )


@dataclass(frozen=True)
class MergePlan:
    """What a run does to a ledger.

    `after`: the ledger with what was seen. `news`: the facts that changed it. `changes`: new contents by
    path, in an order in which being interrupted loses nothing; empty contents mean that the file goes.
    """

    after: LedgerContents
    new_facts: tuple[Fact, ...]
    file_changes: dict[str, bytes]


def is_foreign(files: Mapping[str, bytes], folders: FolderListing, sequence: int | None) -> bool:
    """Whether a place is somebody else's: no ledger was ever written there, and its files are not a ledger's.

    `folders`: what lies at the root and below `facts`, where the place could not hold anything else.
    """
    if sequence:
        return False
    if README_FILE in files:
        return not files[README_FILE].startswith(README_TITLE)
    return bool(folders.get("")) and not any(_is_facts_folder(path, names) for path, names in folders.items())


def _is_facts_folder(path: str, names: Sequence[str] | None) -> bool:
    """Whether a folder is one of a ledger's facts; one that nobody has looked into is, if it is a year."""
    if not f"{path}/".startswith(FACTS_FOLDER):
        return False
    if names is None:
        return re.fullmatch(r"facts/\d{4}", path) is not None
    return any(name.endswith(".jsonl") for name in names)


def parse_ledger(
    files: Mapping[str, bytes], retained_facts: Iterable[Fact] = (), until: datetime | None = None
) -> LedgerContents:
    """What lies in a ledger's files, and what is carried of those that were not read."""
    lines_by_id: dict[str, LedgerLine] = {}
    ids_by_month: dict[str, set[str]] = defaultdict(set)
    quarantined: list[QuarantinedLine] = []
    for path in sorted(path for path in files if path.startswith(FACTS_FOLDER)):
        pairs, bad_lines = decode_with_lines(files[path])
        ids_by_month[month_of_path(path)].update(record.id for record, _ in pairs)
        quarantined += [QuarantinedLine(path, bad_line) for bad_line in bad_lines]
        for record, line in pairs:
            _put_if_newer(lines_by_id, LedgerLine(record, line))
    for fact in retained_facts:  # where its month was read, it may lie in a file of another name
        lines_by_id.setdefault(fact.id, LedgerLine(fact, encode_fact(fact)))
    retained_ids = frozenset(fact.id for fact in retained_facts)
    return LedgerContents(
        files, lines_by_id, ids_by_month, tuple(quarantined), month_of_time(until) if until else "", retained_ids
    )


def plan_merge(contents: LedgerContents, observed: Iterable[Fact]) -> MergePlan:
    """The ledger after it has taken in what was seen.

    A file is rewritten only where a fact in it changed or a line of it is no fact; such lines go to
    `quarantine.jsonl`.
    """
    lines_by_id = dict(contents.lines_by_id)
    new_facts = tuple(fact for fact in observed if _put_if_newer(lines_by_id, LedgerLine(fact, encode_fact(fact))))
    after = replace(
        contents, lines_by_id=lines_by_id, retained_ids=contents.retained_ids | {fact.id for fact in new_facts}
    )
    changed_ids = {fact.id for fact in new_facts}
    file_changes = _rewritten_files(after, changed_ids, {month_of_path(line.path) for line in contents.quarantined})
    if contents.quarantined:
        quarantined = b"".join(_encode_quarantined(line) for line in contents.quarantined)
        file_changes = {QUARANTINE_FILE: contents.files.get(QUARANTINE_FILE, b"") + quarantined, **file_changes}
    return MergePlan(replace(after, ids_by_month=_ids_by_month_after(after, changed_ids)), new_facts, file_changes)


def _put_if_newer(lines_by_id: dict[str, LedgerLine], line: LedgerLine) -> bool:
    """Keeps the greater of two records of the same id; whether the new one was kept."""
    current = lines_by_id.get(line.record.id)
    if current is not None and _merge_key(current, line) >= _merge_key(line, current):
        return False
    lines_by_id[line.record.id] = line
    return True


def _merge_key(line: LedgerLine, other: LedgerLine) -> tuple[object, bytes]:
    """The merge key; the costly half only where the other is as old."""
    is_tied = line.record.observed_at == other.record.observed_at
    return line.record.observed_at, canonical_line(line.json) if is_tied else b""


def month_of_time(moment: datetime) -> str:
    """`facts/2026/11`."""
    return f"{FACTS_FOLDER}{moment:%Y/%m}"


def month_of_path(path: str) -> str:
    """`facts/2026/11` for `facts/2026/11.jsonl` and `facts/2026/11-2.jsonl`; a file of another name is its own."""
    return _PART_SUFFIX.sub("", path)


def _rewritten_files(after: LedgerContents, changed_ids: set[str], broken_months: set[str]) -> dict[str, bytes]:
    """New contents of the months that gain, lose or clean a line; those that gain come first."""
    gained_lines: dict[str, list[LedgerLine]] = defaultdict(list)
    for fact_id in changed_ids:
        gained_lines[after.lines_by_id[fact_id].month].append(after.lines_by_id[fact_id])
    losing_months = broken_months | {
        month for month, ids in after.ids_by_month.items() if not changed_ids.isdisjoint(ids)
    }
    file_changes: dict[str, bytes] = {}
    for month in (*sorted(gained_lines), *sorted(losing_months - gained_lines.keys())):
        lines = [*gained_lines.get(month, ()), *_remaining_lines(after, month, changed_ids)]
        parts_by_path = {f"{month}{suffix}.jsonl": content for suffix, content in _split_into_parts(lines)}
        stale_files = {path: b"" for path in after.files if _is_stale(path, month, parts_by_path)}
        contents_by_path = {**parts_by_path, **stale_files}
        file_changes.update(
            (path, content) for path, content in contents_by_path.items() if after.files.get(path) != content
        )
    return file_changes


def _ids_by_month_after(after: LedgerContents, changed_ids: set[str]) -> dict[str, set[str]]:
    """What lies in each month when the files are rewritten."""
    ids_by_month = defaultdict(set, {month: ids - changed_ids for month, ids in after.ids_by_month.items()})
    for fact_id in changed_ids:
        ids_by_month[after.lines_by_id[fact_id].month].add(fact_id)
    return ids_by_month


def _remaining_lines(after: LedgerContents, month: str, changed_ids: set[str]) -> Iterable[LedgerLine]:
    """What stays in a month: a fact that changed lies where it belongs, any other where it was."""
    for fact_id in after.ids_by_month.get(month, set()) - changed_ids:
        line = after.lines_by_id[fact_id]
        if line.month == month or fact_id not in after.ids_by_month.get(line.month, ()):
            yield line


def _is_stale(path: str, month: str, parts_by_path: Mapping[str, bytes]) -> bool:
    return path.startswith(FACTS_FOLDER) and month_of_path(path) == month and path not in parts_by_path


def _split_into_parts(ledger_lines: list[LedgerLine]) -> Iterable[tuple[str, bytes]]:
    """The lines of a month in the order of their times, in parts that stay below the limit."""
    lines = [
        ledger_line.json + b"\n"
        for ledger_line in sorted(
            ledger_lines, key=lambda ledger_line: (ledger_line.record.defining_time, ledger_line.record.id)
        )
    ]
    part: list[bytes] = []
    part_number = size_bytes = 0
    for line in (*lines, None):
        if part and (line is None or size_bytes + len(line) > MAX_FILE_BYTES):
            part_number += 1
            yield "" if part_number == 1 else f"-{part_number}", b"".join(part)
            part, size_bytes = [], 0
        if line is not None:
            part.append(line)
            size_bytes += len(line)


def _encode_quarantined(line: QuarantinedLine) -> bytes:
    text = line.bad_line.text.decode("utf-8", "backslashreplace")
    return (
        canonical_json(
            {"file": line.path, "line": line.bad_line.number, "problem": line.bad_line.problem, "text": text}
        )
        + b"\n"
    )


MAX_BATCH_FACTS = 200


class OutboxEntry(msgspec.Struct, frozen=True):
    """A fact's id, and the month it lies in, so that it is found again when a run no longer reads so far back."""

    id: str
    month: str = ""


_outbox_decoder = msgspec.json.Decoder(OutboxEntry)


def read_outbox(files: Mapping[str, bytes]) -> list[OutboxEntry]:
    """What waits, oldest first; a broken line is left out, since `sync` sends what is missing."""
    return [entry for line in files.get(OUTBOX_FILE, b"").splitlines() for entry in _decode_outbox_line(line)]


def _decode_outbox_line(line: bytes) -> Iterator[OutboxEntry]:
    try:
        yield _outbox_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return


def add_to_outbox(entries: Iterable[OutboxEntry], facts: Iterable[Fact]) -> list[OutboxEntry]:
    """Both, each id once, in the order in which they came, each in its newest month."""
    entries_by_id = {entry.id: entry for entry in entries}
    entries_by_id |= {fact.id: OutboxEntry(fact.id, month_of_time(fact.defining_time)) for fact in facts}
    return list(entries_by_id.values())


def encode_outbox(entries: Iterable[OutboxEntry]) -> bytes:
    """The outbox as a file."""
    return b"".join(canonical_json(entry) + b"\n" for entry in entries)


SITE_PATHS = (PAGE_FILE, HISTORY_FILE, NO_JEKYLL_FILE, BADGES_FOLDER)
"""Where a site lies in a ledger; a folder ends with a slash."""


def git_blob_sha(content: bytes) -> str:
    """The name that git gives to a content: what is compared, since GitHub lists it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def site_changes(site: Mapping[str, bytes], present_shas: Mapping[str, str]) -> dict[str, bytes]:
    """What makes the places hold this site and nothing else; empty contents mean that a file goes.

    Args:
        site: contents by path.
        there: what lies in the places now, by path, as git names it.
    """
    written = {
        path: content for path, content in site.items() if content and present_shas.get(path) != git_blob_sha(content)
    }
    removed = (path for path in present_shas if path.startswith(SITE_PATHS) and not site.get(path))
    return {**written, **dict.fromkeys(removed, b"")}
