"""Facts from files: one file, all `*.jsonl` of a folder (a ledger's root works), or standard input."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from dora_metrics.core.facts.jsonl import BadLine, decode, decode_many, numbered
from dora_metrics.core.facts.merge import State
from dora_metrics.core.facts.model import Record, Unknown
from dora_metrics.core.ledger.layout import NOT_FACTS
from dora_metrics.errors import FactsError
from dora_metrics.sources import Read

_CHUNK = 8 << 20
_BOM = b"\xef\xbb\xbf"
_MOST_PROBLEMS = 100


@dataclass(frozen=True)
class _Source:
    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]


def read(place: str, stdin: BinaryIO) -> Read:
    """The facts at `place`: a file, a folder, or `-` for standard input.

    Raises:
        FactsError: with every line that is no fact, as `file:line: what`.
    """
    state, problems, sources = State(), [], list(_sources(place, stdin))
    for source in sources:
        for records, bad in _decoded(source):
            state.add(records)
            problems += [_worded(source.name, one) for one in bad]
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        raise FactsError([*problems[:_MOST_PROBLEMS], *([f"and {more} more such lines"] if more > 0 else [])])
    if state.ties:
        state.settle(pair for source in sources for pair in _pairs(source))
    facts = [record for record in state.records.values() if not isinstance(record, Unknown)]
    return Read(facts, _notes(list(state.records.values())))


def _sources(place: str, stdin: BinaryIO) -> Iterator[_Source]:
    if place == "-":
        content = stdin.read()
        yield _Source("standard input", lambda: BytesIO(content))
        return
    path = Path(place)
    if not path.exists():
        raise FactsError(f"{place}: there is no such file or folder")
    files = sorted(p for p in path.rglob("*.jsonl") if p.is_file() and p.name not in NOT_FACTS)
    for file in files if path.is_dir() else [path]:
        yield _Source(str(file), lambda file=file: file.open("rb"))  # type: ignore[misc]


def _decoded(source: _Source) -> Iterator[tuple[list[Record], list[BadLine]]]:
    for number, chunk in _chunks(source):
        yield decode_many(chunk, number)


def _pairs(source: _Source) -> Iterator[tuple[Record, bytes]]:
    for number, chunk in _chunks(source):
        yield from ((decode(line), line) for _, line in numbered(chunk, number))


def _chunks(source: _Source) -> Iterator[tuple[int, bytes]]:
    """Whole lines of about 8 MiB at a time, with the number of their first line."""
    number = 1
    try:
        with source.open() as file:
            chunk = file.read(_CHUNK).removeprefix(_BOM)
            while chunk:
                chunk += file.readline() if not chunk.endswith(b"\n") else b""
                yield number, chunk
                number += chunk.count(b"\n")
                chunk = file.read(_CHUNK)
    except OSError as problem:
        raise FactsError(f"{source.name}: cannot be read ({problem.strerror})") from None


def _worded(name: str, bad: BadLine) -> str:
    return f"{name}:{bad.number}: {bad.problem}"


def _notes(records: list[Record]) -> tuple[str, ...]:
    unknown = [record.kind for record in records if isinstance(record, Unknown)]
    if not unknown:
        return ()
    kinds = ", ".join(sorted(set(unknown)))
    return (
        f"Records of a kind or version that this program does not know, and in no number: {len(unknown)} ({kinds}).",
    )
