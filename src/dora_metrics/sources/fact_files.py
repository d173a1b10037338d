"""Facts from files: one file, all `*.jsonl` below a folder (the root of a ledger works), or standard input."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NoReturn

from dora_metrics.core import formatting
from dora_metrics.core.facts.jsonl import BadLine, decode_line, decode_lines, numbered_lines
from dora_metrics.core.facts.merge import NewestRecords
from dora_metrics.core.facts.model import Fact, FactRecord, Repository, UnknownRecord
from dora_metrics.core.ledger.layout import NON_FACT_FILES
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.errors import FactsError
from dora_metrics.sources import SourceFacts

_CHUNK_BYTES = 8 << 20
_BOM = b"\xef\xbb\xbf"
_MAX_PROBLEMS = 100


@dataclass(frozen=True)
class _FactStream:
    """A named stream of fact lines that can be opened more than once."""

    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]


def read(
    location: str, stdin: BinaryIO, *, with_earlier: bool = False, services: AbstractSet[str] = frozenset()
) -> SourceFacts:
    """Read the facts at `location`: a file, a folder, or `-` for standard input.

    Args:
        location: where they are.
        stdin: standard input.
        with_earlier: also return the records that newer ones have replaced.
        services: the names in the setting `services`.

    Raises:
        FactsError: with every invalid line, as `file:line: problem`.
    """
    newest, problems, streams = NewestRecords(), [], list(_fact_streams(location, stdin))
    repositories: list[Repository] = []
    for stream in streams:
        for decoded, bad_lines in _decode_chunks(stream):
            newest.add(decoded)
            repositories += [record for record in decoded if isinstance(record, Repository)]
            problems += [_problem_text(stream.name, bad_line) for bad_line in bad_lines]
    if problems:
        hidden_count = len(problems) - _MAX_PROBLEMS
        raise FactsError(
            [*problems[:_MAX_PROBLEMS], *([f"and {hidden_count} more such lines"] if hidden_count > 0 else [])]
        )
    names = RepositoryNames.of(repositories, services)
    if not names.are_present(_repositories_and_services(newest.records.values())):
        newest = NewestRecords()
        for stream in streams:
            for decoded, _ in _decode_chunks(stream):
                newest.add(map(names.resolve, decoded))
    if newest.tied_ids:
        pairs = (pair for stream in streams for pair in _records_with_lines(stream))
        newest.resolve_ties((names.resolve(record), line) for record, line in pairs)
    records = list(newest.records.values())
    facts = [record for record in records if not isinstance(record, Repository | UnknownRecord)]
    absence = () if records else (_no_facts_note(location, len(streams)),)
    earlier = tuple(_earlier_facts(streams, newest.records, names)) if with_earlier else ()
    return SourceFacts(facts, (*names.notes, *unknown_kind_notes(records), *absence), names=names, earlier=earlier)


def _earlier_facts(
    streams: Iterable[_FactStream], newest: Mapping[str, FactRecord], names: RepositoryNames
) -> Iterator[Fact]:
    """Yield the records of facts that are older than the newest ones of the same id."""
    for stream in streams:
        for decoded, _ in _decode_chunks(stream):
            for record in map(names.resolve, decoded):
                is_newest = record.observed_at == newest[record.id].observed_at
                if not isinstance(record, Repository | UnknownRecord) and not is_newest:
                    yield record


def _no_facts_note(location: str, file_count: int) -> str:
    """Say that there are no facts, and where some come from."""
    place = "Standard input" if location == "-" else location
    reason = f"{place} holds no facts" if file_count else f"{place} has no *.jsonl file, so there are no facts"
    return f"{reason}. Pass the folder of a ledger; `dora-metrics sync --ledger dir:ledger` creates one."


def _repositories_and_services(records: Iterable[FactRecord]) -> set[tuple[str, str | None]]:
    known = (record for record in records if not isinstance(record, UnknownRecord))
    return {(record.repository, record.service) for record in known}


def _fact_streams(location: str, stdin: BinaryIO) -> Iterator[_FactStream]:
    if location == "-":
        content = stdin.read()
        yield _FactStream("standard input", lambda: BytesIO(content))
        return
    try:
        files = _files_at(Path(location))
    except OSError as problem:
        raise FactsError(f"{location}: cannot be read ({problem.strerror})") from None
    for file in files:
        yield _FactStream(str(file), lambda file=file: file.open("rb"))  # type: ignore[misc]


def _files_at(path: Path) -> list[Path]:
    """Return the files with facts in a folder, or the file itself. Links are followed: a person names the path.

    Raises:
        OSError: if it, or a folder in it, cannot be read.
        FactsError: if nothing is there.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FactsError(f"{path}: no such file or folder") from None
    if not stat.S_ISDIR(mode):
        return [path]
    files = (Path(folder) / name for folder, _, names in os.walk(path, onerror=_raise) for name in names)
    return sorted(file for file in files if _holds_facts(file.name) and file.is_file())


def _holds_facts(name: str) -> bool:
    return name.endswith(".jsonl") and name not in NON_FACT_FILES


def _raise(error: OSError) -> NoReturn:
    raise error


def _decode_chunks(stream: _FactStream) -> Iterator[tuple[list[FactRecord], list[BadLine]]]:
    for line_number, chunk in _chunks(stream):
        yield decode_lines(chunk, line_number)


def _records_with_lines(stream: _FactStream) -> Iterator[tuple[FactRecord, bytes]]:
    for line_number, chunk in _chunks(stream):
        yield from ((decode_line(line), line) for _, line in numbered_lines(chunk, line_number))


def _chunks(stream: _FactStream) -> Iterator[tuple[int, bytes]]:
    """Yield chunks of whole lines of about 8 MiB, each with the number of its first line."""
    line_number = 1
    try:
        with stream.open() as file:
            chunk = file.read(_CHUNK_BYTES).removeprefix(_BOM)
            while chunk:
                chunk += file.readline() if not chunk.endswith(b"\n") else b""
                yield line_number, chunk
                line_number += chunk.count(b"\n")
                chunk = file.read(_CHUNK_BYTES)
    except OSError as problem:
        raise FactsError(f"{stream.name}: cannot be read ({problem.strerror})") from None


def _problem_text(name: str, bad_line: BadLine) -> str:
    return f"{name}:{bad_line.number}: {bad_line.problem}"


def unknown_kind_notes(records: Iterable[FactRecord]) -> tuple[str, ...]:
    """Return a note on the records of kinds that this version does not know."""
    unknown_kinds = [record.kind for record in records if isinstance(record, UnknownRecord)]
    if not unknown_kinds:
        return ()
    kind = "of a kind or version that this program does not know"
    records_are = formatting.count_are(len(unknown_kinds), f"record {kind}", f"records {kind}")
    return (f"{records_are} not counted ({', '.join(sorted(set(unknown_kinds)))}).",)
