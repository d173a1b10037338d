"""Which files hold the facts of a month: large ones in the order of time, and up to three short ones with news.

A commit on GitHub sends whole files. So a few facts are added to a short file, and each time that the short ones are
full they are merged into a large one: what a run sends grows with its facts, not with the month. A record that replaces
another one may be in another file than that; whoever reads the month takes the newest of each id.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice

from msgspec import Struct

from dora_metrics.core.facts.jsonl import BadLine, decode_with_lines
from dora_metrics.core.facts.model import FactRecord

FACTS_FOLDER = "facts/"

MAX_FILE_BYTES = 400_000
"""Facts files are split to stay below this size, because GraphQL truncates blobs at 512,000 bytes."""

MAX_ONLY_FILE_BYTES = 32_000
"""A month is a single file until that has this size."""

MAX_SHORT_FILE_BYTES = 8_000
"""A file of at most this size takes more facts. A fact has about 500 bytes."""

MAX_SHORT_FILES = 3
"""Of a month, before they are merged. Each is one more file that a run reads."""

_LARGE_FILE_BYTES = MAX_FILE_BYTES // 2
"""A file of at least this size stays as it is when short files are merged."""

_MAX_REPLACED_SHARE = 0.25
"""Of the lines that are added to a month without rewriting it."""

_SUFFIX = re.compile(r"(?:-(\d+))?\.jsonl$")


def month_of_time(moment: datetime) -> str:
    """Return the month of a time, such as `facts/2026/11`."""
    return f"{FACTS_FOLDER}{moment:%Y/%m}"


def month_of_path(path: str) -> str:
    """Return the month of a facts file: `facts/2026/11` for `facts/2026/11.jsonl` and `facts/2026/11-2.jsonl`.

    A file that is not named like a month is a month of its own.
    """
    return _SUFFIX.sub("", path)


class LedgerLine(Struct, frozen=True, gc=False):
    """A record with its line of JSON, which contains the keys that this version does not know.

    The record has the present names of repositories, the line those that it was written with. The line is a part of
    the file that it was read from, or all of `content`: of hundreds of thousands, none is in memory twice.
    """

    record: FactRecord
    content: bytes
    start: int = 0

    @property
    def json(self) -> bytes:
        end = self.content.find(b"\n", self.start)
        return self.content[self.start :] if end < 0 else self.content[self.start : end]

    @property
    def month(self) -> str:
        """The month of the record's defining time, in which the line is stored."""
        return month_of_time(self.record.defining_time)


IsNewest = Callable[[LedgerLine], bool]
"""Whether a line is the newest of its id."""


def lines_of(content: bytes) -> tuple[list[LedgerLine], list[BadLine]]:
    """Return the lines of a facts file with their records as they were written, and those that are not records."""
    pairs, bad_lines = decode_with_lines(content)
    lines: list[LedgerLine] = []
    start = 0
    for record, json in pairs:
        start = content.index(json, start)
        lines.append(LedgerLine(record, content, start))
        start += len(json)
    return lines, bad_lines


def first_paths(month: str) -> list[str]:
    """Return the files of a month that is not large: the first one, and the short ones after it."""
    return list(islice(_numbered_paths(month), 1 + MAX_SHORT_FILES))


def rewritten_month(month: str, lines: Iterable[LedgerLine], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the file changes after which a month has these lines and no others.

    Args:
        month: the month.
        lines: all its lines.
        files: its present files, by path. Empty contents in the result delete one.
    """
    contents = dict(zip(_numbered_paths(month), _parts(lines), strict=False))
    return _changes({**contents, **dict.fromkeys(files.keys() - contents.keys(), b"")}, files)


def extended_month(
    month: str, lines: Sequence[LedgerLine], files: Mapping[str, bytes], is_newest: IsNewest
) -> dict[str, bytes]:
    """Return the file changes that add some lines to a month.

    Args:
        month: the month.
        lines: the lines to add, all of them the newest of their ids.
        files: its present files, by path; at least one, and each line in them is a record.
        is_newest: tells which of their lines still count.
    """
    paths = sorted(files, key=_number)
    max_bytes = MAX_ONLY_FILE_BYTES if len(paths) == 1 else MAX_SHORT_FILE_BYTES
    if len(files[paths[-1]]) <= max_bytes:
        extended = _joined((*_newest_lines(files[paths[-1]], is_newest), *lines))
        if len(extended) <= max_bytes:
            return {paths[-1]: extended}
    added, short_count = _joined(lines), sum(len(files[path]) <= MAX_SHORT_FILE_BYTES for path in paths)
    if len(added) <= MAX_SHORT_FILE_BYTES and short_count < MAX_SHORT_FILES:
        return {f"{month}-{_number(paths[-1]) + 1}.jsonl": added}
    return _with_merged_files(month, lines, {path: files[path] for path in paths}, is_newest)


def _with_merged_files(
    month: str, lines: Iterable[LedgerLine], files: Mapping[str, bytes], is_newest: IsNewest
) -> dict[str, bytes]:
    """Return the file changes that add lines to a month and merge its files that are not large with them."""
    merged_paths = [path for path in files if len(files[path]) < _LARGE_FILE_BYTES]
    merged_lines = chain(lines, *(_newest_lines(files[path], is_newest) for path in merged_paths))
    free_paths = chain(merged_paths, (path for path in _numbered_paths(month) if path not in files))
    contents = dict(zip(free_paths, _parts(merged_lines), strict=False))
    return _changes({**contents, **dict.fromkeys(merged_paths[len(contents) :], b"")}, files)


def is_addition(lines: Sequence[LedgerLine], files: Mapping[str, bytes], replaced_count: int) -> bool:
    """Whether some lines are added to a month with these files, so that its large files need not be rewritten.

    `replaced_count` of the lines replace others. These stay in their files, so they may be few or short only.
    """
    is_within_limit = all(len(content) <= MAX_FILE_BYTES for content in files.values())
    is_short = sum(len(line.json) + 1 for line in lines) <= MAX_SHORT_FILE_BYTES
    has_mostly_new = replaced_count <= len(lines) * _MAX_REPLACED_SHARE
    return bool(files) and is_within_limit and (is_short or has_mostly_new)


def changes_one_by_one(changes: Mapping[str, bytes], files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield file changes in the order for storage that makes one after another, and may be stopped between any two.

    Where several facts files change, lines may move from any to any other. So each of them gains its lines before any
    of them loses one: in between, a line may be in two files, which is read as one.
    """
    facts_changes = {path: content for path, content in changes.items() if path.startswith(FACTS_FOLDER)}
    if len(facts_changes) < 2:  # noqa: PLR2004 - nothing can move between files
        yield from changes.items()
        return
    first_facts_path = next(iter(facts_changes))
    for path, content in changes.items():
        if path == first_facts_path:
            yield from _gains_before_losses(facts_changes, files)
        elif path not in facts_changes:
            yield path, content


def _gains_before_losses(changes: Mapping[str, bytes], files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    losing_paths = []
    for path, content in changes.items():
        old_lines, new_lines = files.get(path, b"").splitlines(), content.splitlines()
        lost_lines = sorted(set(old_lines) - set(new_lines))
        if set(new_lines) - set(old_lines):
            yield path, content + b"".join(line + b"\n" for line in lost_lines)
        if lost_lines:
            losing_paths.append(path)
    yield from ((path, changes[path]) for path in losing_paths)


def _changes(contents: Mapping[str, bytes], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the contents that differ from the present files."""
    return {path: content for path, content in contents.items() if files.get(path) != content}


def _number(path: str) -> int:
    """Return which file of its month it is: 1 for `11.jsonl`, 2 for `11-2.jsonl`."""
    match = _SUFFIX.search(path)
    return int(match[1] or 1) if match else 1


def _numbered_paths(month: str) -> Iterator[str]:
    yield f"{month}.jsonl"
    number = 1
    while True:
        number += 1
        yield f"{month}-{number}.jsonl"


def _newest_lines(content: bytes, is_newest: IsNewest) -> list[LedgerLine]:
    """Return the lines of a file that count."""
    return [line for line in lines_of(content)[0] if is_newest(line)]


def _ordered(lines: Iterable[LedgerLine]) -> list[LedgerLine]:
    each_once = {line.json: line for line in lines}.values()
    return sorted(each_once, key=lambda line: (line.record.defining_time, line.record.id))


def _joined(lines: Iterable[LedgerLine]) -> bytes:
    return b"".join(line.json + b"\n" for line in _ordered(lines))


def _parts(lines: Iterable[LedgerLine]) -> Iterator[bytes]:
    """Yield lines in the order of time, in contents below the size limit of a file."""
    part: list[bytes] = []
    size_bytes = 0
    for line in _ordered(lines):
        encoded = line.json + b"\n"
        if part and size_bytes + len(encoded) > MAX_FILE_BYTES:
            yield b"".join(part)
            part, size_bytes = [], 0
        part.append(encoded)
        size_bytes += len(encoded)
    if part:
        yield b"".join(part)
