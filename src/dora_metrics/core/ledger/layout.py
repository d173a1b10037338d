"""The files of a ledger: how facts are laid out by month, and which files a merge and the page change.

All functions are pure. A ledger is a mapping of paths to contents, whatever storage it comes from.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.jsonl import BadLine, canonical_json, canonical_line, encode_fact, share_repeated_values
from dora_metrics.core.facts.model import Deployment, Fact, Repository, StoredFact, UnknownRecord
from dora_metrics.core.ledger import month_files
from dora_metrics.core.ledger.month_files import FACTS_FOLDER, LedgerLine, month_of_path, month_of_time
from dora_metrics.core.linking.former_names import NO_NAMES, RepositoryNames

QUARANTINE_FILE = "quarantine.jsonl"
OUTBOX_FILE = "outbox.jsonl"
ENDPOINTS_OUTBOX_FILE = "outbox-endpoints.jsonl"
NON_FACT_FILES = frozenset({QUARANTINE_FILE, OUTBOX_FILE, ENDPOINTS_OUTBOX_FILE})
"""Files of a ledger that have the suffix of facts files but contain no facts."""

README_FILE = "README.md"
CHECKPOINT_FILE = "checkpoint.json"
NEW_CHECKPOINT_FILE = "checkpoint-new.json"
CHECKPOINT_FILES = (CHECKPOINT_FILE, NEW_CHECKPOINT_FILE)
SEQUENCE_FILE = "sequence"
CURSORS_FILE = "cursors.json"
REPORTS_FILE = "reports.json"
COUNTERS_FILE = "counters.json"
NEW_COUNTERS_FILE = "counters-new.json"
REMOTE_WRITE_FILE = "remote-write.json"
PUBLISHED_FILE = "published"
"""When a run last wrote all that is computed from the facts. A run that adds facts and does not, removes the file."""
METRICS_FILE = "metrics.json"
PROMETHEUS_FILE = "metrics.prom"
PAGE_FILE = "index.html"
HISTORY_FILE = "history.json"
EVIDENCE_FILE = "evidence.json"
BADGES_FOLDER = "badges/"
NO_JEKYLL_FILE = ".nojekyll"
ROOT_FILES = (
    README_FILE,
    SEQUENCE_FILE,
    *CHECKPOINT_FILES,
    CURSORS_FILE,
    REPORTS_FILE,
    COUNTERS_FILE,
    NEW_COUNTERS_FILE,
    REMOTE_WRITE_FILE,
    PUBLISHED_FILE,
    OUTBOX_FILE,
    ENDPOINTS_OUTBOX_FILE,
    QUARANTINE_FILE,
)
"""The files that a run reads besides facts."""

README_TITLE = b"# The ledger of dora-metrics"
"""The first line of a ledger's README, by which the action knows its own."""

SITE_PATHS = (PAGE_FILE, HISTORY_FILE, EVIDENCE_FILE, NO_JEKYLL_FILE, BADGES_FOLDER)
"""The files and folders of the page in a ledger. Folders end with a slash."""

DERIVED_FILES = (METRICS_FILE, PROMETHEUS_FILE, PAGE_FILE, HISTORY_FILE, EVIDENCE_FILE, NO_JEKYLL_FILE)
"""The files in the root that a run writes and no run reads."""

FolderListing = Mapping[str, tuple[str, ...] | None]
"""File names by folder, None for a folder that was not listed. The root, `""`, also has the names of folders."""


class MonthSelection(NamedTuple):
    """The months of a ledger to read: all from `since` on, and the `extra_months` before it. The default is all.

    Months are written as `facts/2026/11`.
    """

    since: str = ""
    extra_months: frozenset[str] = frozenset()

    def includes(self, month: str) -> bool:
        """Whether a month, such as `facts/2026/11`, is selected."""
        return month >= self.since or month in self.extra_months

    def includes_any_of(self, year: str) -> bool:
        """Whether any month of a year's folder, such as `facts/2026`, is selected."""
        return f"{year}/99" >= self.since or any(month.startswith(f"{year}/") for month in self.extra_months)


ALL_MONTHS = MonthSelection()


class QuarantinedLine(NamedTuple):
    """A line in a facts file that could not be decoded, with the path of the file."""

    path: str
    bad_line: BadLine


class LedgerContents(msgspec.Struct, frozen=True, dict=True):
    """The parsed files of a ledger.

    `lines_by_id`: the newest record of each id. `ids_by_month`: the ids in the files of each month. `quarantined`:
    lines that are not facts. `checkpointed_before`: facts in months before this one are in the checkpoint; of these,
    `retained_ids` and the changes of later deployments still count. `names`: those of the repositories, by which
    records and ids have present names. `recorded_names`: those that the ledger holds.
    """

    files: Mapping[str, bytes]
    lines_by_id: Mapping[str, LedgerLine]
    ids_by_month: Mapping[str, set[str]]
    quarantined: tuple[QuarantinedLine, ...]
    checkpointed_before: str = ""
    retained_ids: frozenset[str] = frozenset()
    names: RepositoryNames = NO_NAMES
    recorded_names: RepositoryNames = NO_NAMES

    def is_newest(self, line: LedgerLine) -> bool:
        """Whether a line of a file is the one that counts for its id."""
        newest = self.lines_by_id.get(self.names.resolve(line.record).id)
        return newest is None or newest.json == line.json

    @cached_property
    def facts(self) -> list[Fact]:
        """The facts to evaluate."""
        counted_ids = self._counted_ids
        return [
            line.record
            for fact_id, line in self.lines_by_id.items()
            if fact_id in counted_ids and not isinstance(line.record, Repository | UnknownRecord)
        ]

    def facts_of(self, repository: str) -> Sequence[Fact]:
        """Return the facts to evaluate of one repository, by its present name."""
        return self._facts_by_repository.get(repository, ())

    @cached_property
    def _facts_by_repository(self) -> Mapping[str, Sequence[Fact]]:
        facts_by_repository: defaultdict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            facts_by_repository[fact.repository].append(fact)
        return facts_by_repository

    def fact_by_id(self, fact_id: str) -> Fact | None:
        """Return the newest record of an id, also of one with a former name; None if no number is made from it."""
        line = self.lines_by_id.get(fact_id) or self.lines_by_id.get(self.names.present_id(fact_id))
        return None if line is None or isinstance(line.record, Repository | UnknownRecord) else line.record

    def records_named_like(self, fact_id: str) -> list[Fact]:
        """Return the newest records of an id, and of the other occurrences of that deployment."""
        first_id = ids.first_occurrence(fact_id)
        prefix = ":".join(first_id.split(":", 3)[:3])
        candidates = [other for other in self.lines_by_id if other.startswith(prefix)]
        same = (other for other in candidates if ids.first_occurrence(other) == first_id)
        return [fact for other in same if (fact := self.fact_by_id(other))]

    def ids_before(self, first_month: str) -> AbstractSet[str]:
        """Return the ids of facts that are only in months before `first_month`."""
        later_ids = (ids for month, ids in self.ids_by_month.items() if month >= first_month)
        other_ids = self.lines_by_id.keys() - set().union(*later_ids)
        return {fact_id for fact_id in other_ids if self.lines_by_id[fact_id].month < first_month}

    @cached_property
    def checkpointed_ids(self) -> AbstractSet[str]:
        """The ids of facts that are only in checkpointed months."""
        return self.ids_before(self.checkpointed_before)

    @cached_property
    def delivered_change_ids(self) -> AbstractSet[str]:
        """The ids of the changes that deployments after the checkpoint delivered."""
        records = (self.lines_by_id[fact_id].record for fact_id in self.lines_by_id.keys() - self.checkpointed_ids)
        return {change_id for record in records if isinstance(record, Deployment) for change_id in record.changes or ()}

    @property
    def _counted_ids(self) -> AbstractSet[str]:
        if not self.checkpointed_before:
            return self.lines_by_id.keys()
        open_ids = self.lines_by_id.keys() - self.checkpointed_ids
        return open_ids | self.retained_ids | (self.delivered_change_ids & self.lines_by_id.keys())


class MergePlan(msgspec.Struct, frozen=True):
    """The effect of merging facts into a ledger.

    `after`: the ledger with the facts. `new_facts`: those that changed it, without names of repositories.
    `file_changes`: new contents by path; empty contents delete the file.
    """

    after: LedgerContents
    new_facts: tuple[Fact, ...]
    file_changes: dict[str, bytes]


def is_foreign(files: Mapping[str, bytes], folders: FolderListing, sequence: int | None) -> bool:
    """Whether a branch or directory contains something other than a ledger.

    Args:
        files: its root files by path.
        folders: the names at the root, and the file names in the folders below `facts`.
        sequence: the ledger's sequence number, None or 0 if no ledger was ever written there.
    """
    if sequence:
        return False
    if README_FILE in files:
        return not files[README_FILE].startswith(README_TITLE)
    return bool(folders.get("")) and not any(_is_facts_folder(path, names) for path, names in folders.items())


def _is_facts_folder(path: str, names: Sequence[str] | None) -> bool:
    """Whether a folder contains facts files. A folder that was not listed does if it is named like a year."""
    if not f"{path}/".startswith(FACTS_FOLDER):
        return False
    if names is None:
        return re.fullmatch(r"facts/\d{4}", path) is not None
    return any(name.endswith(".jsonl") for name in names)


def parse_ledger(
    files: Mapping[str, bytes],
    retained_facts: Iterable[Fact] = (),
    until: datetime | None = None,
    recorded: Iterable[Repository] = (),
    known: RepositoryNames = NO_NAMES,
) -> LedgerContents:
    """Parse the files of a ledger.

    Args:
        files: contents by path.
        retained_facts: facts of the checkpoint that still count.
        until: end of the checkpointed months, None without a checkpoint.
        recorded: names of repositories in the checkpoint.
        known: what the run knows besides: names of repositories, and the setting `services`.
    """
    lines_by_path, quarantined = _decode_files(files)
    records = (line.record for lines in lines_by_path.values() for line in lines)
    recorded_names = RepositoryNames.of(records, known.services).including(recorded)
    names = recorded_names.including(known.repositories.values())
    ids_by_month: dict[str, set[str]] = defaultdict(set)
    lines_by_id: dict[str, LedgerLine] = {}
    for path, lines in lines_by_path.items():
        resolved = [_line_with_present_names(line, names) for line in lines]
        ids_by_month[month_of_path(path)].update(line.record.id for line in resolved)
        for line in resolved:
            _put_if_newer(lines_by_id, line)
    for fact in retained_facts:  # its month may also have been read, from a file of another name
        lines_by_id.setdefault(fact.id, LedgerLine(fact, encode_fact(fact)))
    return LedgerContents(
        files=files,
        lines_by_id=lines_by_id,
        ids_by_month=ids_by_month,
        quarantined=quarantined,
        checkpointed_before=month_of_time(until) if until else "",
        retained_ids=frozenset(fact.id for fact in retained_facts),
        names=names,
        recorded_names=recorded_names,
    )


def _line_with_present_names(line: LedgerLine, names: RepositoryNames) -> LedgerLine:
    record = names.resolve(line.record)
    return line if record is line.record else replace(line, record=record)


def _decode_files(files: Mapping[str, bytes]) -> tuple[dict[str, list[LedgerLine]], tuple[QuarantinedLine, ...]]:
    """Return the lines of each facts file as they were written, and those that are not facts."""
    lines_by_path: dict[str, list[LedgerLine]] = {}
    quarantined: list[QuarantinedLine] = []
    shared: dict[object, object] = {}
    for path in sorted(path for path in files if path.startswith(FACTS_FOLDER)):
        lines_by_path[path], bad_lines = month_files.lines_of(files[path])
        share_repeated_values((line.record for line in lines_by_path[path]), shared)
        quarantined += [QuarantinedLine(path, bad_line) for bad_line in bad_lines]
    return lines_by_path, tuple(quarantined)


def plan_merge(contents: LedgerContents, observed: Iterable[StoredFact]) -> MergePlan:
    """Plan the merge of observed facts into a ledger, whose contents know all names of repositories among them.

    A month is rewritten only if many of its facts are replaced, if one has left it, or if a line of it is not a fact.
    Such lines are moved to `quarantine.jsonl`. Otherwise facts are added to it, and its large files stay as they are.
    """
    lines_by_id = dict(contents.lines_by_id)
    changed = [
        fact
        for fact in (_with_present_names(fact, contents.names) for fact in observed)
        if _put_if_newer(lines_by_id, LedgerLine(fact, encode_fact(fact)))
    ]
    changed_ids = {fact.id for fact in changed}
    after = replace(contents, lines_by_id=lines_by_id, retained_ids=contents.retained_ids | changed_ids)
    file_changes = _rewritten_files(after, changed_ids, {month_of_path(line.path) for line in contents.quarantined})
    if contents.quarantined:
        quarantined = b"".join(_encode_quarantined(line) for line in contents.quarantined)
        file_changes = {QUARANTINE_FILE: contents.files.get(QUARANTINE_FILE, b"") + quarantined, **file_changes}
    after = replace(after, ids_by_month=_ids_by_month_after(after, changed_ids))
    return MergePlan(after, tuple(fact for fact in changed if not isinstance(fact, Repository)), file_changes)


def _with_present_names(fact: StoredFact, names: RepositoryNames) -> StoredFact:
    return fact if isinstance(fact, Repository) else names.observed_now(fact)


def _put_if_newer(lines_by_id: dict[str, LedgerLine], line: LedgerLine) -> bool:
    """Store a line unless the stored record of the same id is as new. Return whether it was stored."""
    current = lines_by_id.get(line.record.id)
    if current is not None and _merge_key(current, line) >= _merge_key(line, current):
        return False
    lines_by_id[line.record.id] = line
    return True


def _merge_key(line: LedgerLine, other: LedgerLine) -> tuple[object, bytes]:
    """Return the merge key of a line. The canonical JSON is computed only if both records have the same time."""
    is_tied = line.record.observed_at == other.record.observed_at
    return line.record.observed_at, canonical_line(line.json) if is_tied else b""


def _rewritten_files(after: LedgerContents, changed_ids: set[str], broken_months: set[str]) -> dict[str, bytes]:
    """Return the new contents of the months that gain or lose a line. Those that gain one come first."""
    gained_lines: dict[str, list[LedgerLine]] = defaultdict(list)
    for fact_id in changed_ids:
        gained_lines[after.lines_by_id[fact_id].month].append(after.lines_by_id[fact_id])
    losing_months = {
        month
        for month, ids in after.ids_by_month.items()
        if any(after.lines_by_id[fact_id].month != month for fact_id in ids & changed_ids)
    }
    other_months = losing_months | broken_months
    file_changes: dict[str, bytes] = {}
    for month in (*sorted(gained_lines), *sorted(other_months - gained_lines.keys())):
        lines = gained_lines.get(month, [])
        files = {path: after.files[path] for path in after.files if _is_of_month(path, month)}
        replaced_count = len(after.ids_by_month.get(month, set()) & changed_ids)
        if month not in other_months and month_files.is_addition(lines, files, replaced_count):
            file_changes |= month_files.extended_month(month, lines, files, after.is_newest)
        else:
            all_lines = [*lines, *_remaining_lines(after, month, changed_ids)]
            file_changes |= month_files.rewritten_month(month, all_lines, files)
    return file_changes


def _is_of_month(path: str, month: str) -> bool:
    return path.startswith(FACTS_FOLDER) and month_of_path(path) == month


def _ids_by_month_after(after: LedgerContents, changed_ids: set[str]) -> dict[str, set[str]]:
    """Return the ids in the files of each month after the rewrite."""
    ids_by_month = defaultdict(set, {month: ids - changed_ids for month, ids in after.ids_by_month.items()})
    for fact_id in changed_ids:
        ids_by_month[after.lines_by_id[fact_id].month].add(fact_id)
    return ids_by_month


def _remaining_lines(after: LedgerContents, month: str, changed_ids: set[str]) -> Iterable[LedgerLine]:
    """Yield the lines that stay in a month: its unchanged facts, unless they are in the month of their time too."""
    for fact_id in after.ids_by_month.get(month, set()) - changed_ids:
        line = after.lines_by_id[fact_id]
        if line.month == month or fact_id not in after.ids_by_month.get(line.month, ()):
            yield line


def _encode_quarantined(line: QuarantinedLine) -> bytes:
    """Return the line of `quarantine.jsonl` for an invalid line."""
    number, problem, content = line.bad_line
    text = content.decode("utf-8", "backslashreplace")
    return canonical_json({"file": line.path, "line": number, "problem": problem, "text": text}) + b"\n"


def git_blob_sha(content: bytes) -> str:
    """Return git's object id of a file with this content, as GitHub lists it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def is_at_one_of(path: str, listed_paths: Iterable[str]) -> bool:
    """Whether a path is one of these files, or below one of these folders, which end with a slash."""
    return any(path.startswith(each) if each.endswith("/") else path == each for each in listed_paths)


def site_changes(site: Mapping[str, bytes], present_shas: Mapping[str, str]) -> dict[str, bytes]:
    """Return the file changes that replace the present page by this one. Empty contents delete a file.

    The page is large and no run reads it, so the present files are compared by their git blob sha.

    Args:
        site: contents of the page by path.
        present_shas: git blob shas of the present files of the page by path.
    """
    site_files = {path: content for path, content in site.items() if content}
    written = {path: content for path, content in site_files.items() if present_shas.get(path) != git_blob_sha(content)}
    removed = (path for path in present_shas if not site.get(path))
    return {**written, **dict.fromkeys(removed, b"")}
