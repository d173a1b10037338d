"""Facts as lines of text and back: canonical JSON, one object a line."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from dora_metrics.core.facts.model import CHOICES, EPOCH, TIME_FIELDS, VERSION, Fact, Record, Unknown

_decoder = msgspec.json.Decoder(Fact)
_plain = msgspec.json.Decoder(dict[str, object])
_times = {kind: attrgetter(*names) for kind, names in TIME_FIELDS.items()}
_ALL_TIMES = frozenset(name for names in TIME_FIELDS.values() for name in names)


class BadLine(NamedTuple):
    """A line that is no fact, and what is wrong with it."""

    number: int
    problem: str
    text: bytes


class NotAFactError(ValueError):
    """The line cannot be read as a fact; the message says what was expected."""


def canonical(value: object) -> bytes:
    """`value` as JSON with sorted keys and no spaces: the form that merging compares."""
    return msgspec.json.encode(value, order="sorted")


def encode(fact: Fact) -> bytes:
    """The line of a fact, without its newline; times in UTC with `Z`."""
    return canonical(fact)


def canonical_line(line: bytes) -> bytes:
    """A decodable line in canonical form, with the keys that this version does not know; times in UTC."""
    plain = _plain.decode(line)
    for name in _ALL_TIMES & plain.keys():
        try:
            plain[name] = msgspec.convert(plain[name], datetime).astimezone(UTC)
        except (msgspec.ValidationError, OverflowError, ValueError):
            continue  # a newer version may mean something else by it
    return canonical(plain)


def decode(line: bytes) -> Record:
    """One line as a record.

    Raises:
        NotAFactError: with what was expected where.
    """
    try:
        return _in_utc(_decoder.decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as problem:
        return _unknown(line, problem)


def decode_many(chunk: bytes, first_number: int = 1) -> tuple[list[Record], list[BadLine]]:
    """All records of a chunk of whole lines, and the lines that are none.

    The fast path decodes the chunk in one call; only a chunk with something unusual is read line by line.
    """
    found = _all_at_once(chunk)
    return (found, []) if found is not None else _decode_each(numbered(chunk, first_number))


def decode_with_lines(chunk: bytes) -> tuple[list[tuple[Record, bytes]], list[BadLine]]:
    """The same, each record with its line."""
    found, lines = _all_at_once(chunk), chunk.rstrip(b"\n").split(b"\n")
    if found is not None and len(found) == len(lines):
        return list(zip(found, lines, strict=True)), []
    bad: list[BadLine] = []
    pairs: list[tuple[Record, bytes]] = []
    for number, line in numbered(chunk):
        records, problems = _decode_each([(number, line)])
        pairs += [(record, line) for record in records]
        bad += problems
    return pairs, bad


def _all_at_once(chunk: bytes) -> list[Record] | None:
    """The facts of a chunk that holds nothing but one fact a line, else None.

    msgspec takes several objects on a line, and one over several. Only between two objects lies `}` newline `{`:
    where all newlines are such, and the objects one more, there is one a line.
    """
    try:
        found: list[Record] = [_in_utc(fact) for fact in _decoder.decode_lines(chunk)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return None
    text = chunk.strip()
    one_a_line = text.count(b"\n") == text.count(b"}\n{") == len(found) - 1
    return found if one_a_line or not text else None


def numbered(chunk: bytes, first_number: int = 1) -> Iterator[tuple[int, bytes]]:
    """The lines of a chunk that are not blank, with their numbers."""
    for number, line in enumerate(chunk.split(b"\n"), first_number):
        if line.strip():
            yield number, line


def _decode_each(lines: Iterable[tuple[int, bytes]]) -> tuple[list[Record], list[BadLine]]:
    records: list[Record] = []
    bad: list[BadLine] = []
    for number, line in lines:
        try:
            records.append(decode(line))
        except NotAFactError as problem:
            bad.append(BadLine(number, str(problem), line))
    return records, bad


def _in_utc(fact: Fact) -> Fact:
    """Other offsets than `Z` are accepted and become UTC, so that dates and comparisons have one clock."""
    times = _times[type(fact)](fact)
    for time in times:
        if time is not None and time.tzinfo is not UTC:
            break
    else:
        return fact
    names = TIME_FIELDS[type(fact)]
    return replace(fact, **{name: time.astimezone(UTC) for name, time in zip(names, times, strict=True) if time})


def _unknown(line: bytes, problem: Exception) -> Unknown:
    """A record of an unknown kind or a newer version; anything else is not a fact."""
    try:
        plain = _plain.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as worse:
        raise NotAFactError(_not_json(line, worse)) from None
    kind, version, known = plain.get("kind"), plain.get("v", VERSION), _kinds()
    newer = isinstance(version, int) and version > VERSION
    if not isinstance(kind, str) or not kind:
        raise NotAFactError(f"kind: expected one of {', '.join(known)}; it is missing or no text")
    if kind in known and not newer:
        raise NotAFactError(_reworded(problem))
    identity = plain.get("id")
    if not isinstance(identity, str) or not identity:
        raise NotAFactError("id: a text is required")
    return Unknown(identity, kind, _time_or_epoch(plain.get("observed_at")))


def _kinds() -> tuple[str, ...]:
    return tuple(str(kind.__struct_config__.tag) for kind in TIME_FIELDS)


def _time_or_epoch(text: object) -> datetime:
    try:
        return msgspec.convert(text, datetime).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return EPOCH


def _not_json(line: bytes, problem: Exception) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as encoding:
        return f"not UTF-8 (byte {encoding.start + 1} of the line); facts files are UTF-8"
    if isinstance(problem, RecursionError):
        return "nested too deeply to be a fact"
    try:
        shape = type(json.loads(line)).__name__
    except (ValueError, RecursionError):
        return f"not a whole JSON object ({problem}); one fact is one object on one line"
    if shape == "dict":
        return f"not usable as JSON: {problem}"
    return f"a JSON {shape}, where one object with `kind` and `id` was expected"


def _reworded(problem: Exception) -> str:
    """Msgspec's `Expected `str`, got `int` - at `$.id`` with the field first and the remedy last."""
    text = str(problem)
    if isinstance(problem, OverflowError):
        return "a time lies outside the years 1 to 9999"
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return f"{missing[1]}: required, and missing"
    place = re.fullmatch(r"(.*) - at `\$\.?(.*)`", text, re.DOTALL)
    what, where = (place[1], place[2]) if place else (text, "")
    if "timezone component" in what or "RFC3339" in what:
        what = "expected a time with an offset, such as 2026-11-21T12:00:00Z"
    elif "0-9a-f" in what:
        what = "expected a full commit sha, 40 characters of 0-9a-f"
    elif what.startswith("Invalid enum value"):
        what = f"{what.removeprefix('Invalid enum value ')} is none of {', '.join(CHOICES.get(where, ()))}"
    return f"{where}: {what[:1].lower()}{what[1:]}" if where else what
