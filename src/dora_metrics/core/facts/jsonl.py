"""Encode facts as JSON Lines and decode them: canonical JSON, one object per line."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple, get_args

import msgspec
from msgspec.structs import force_setattr, replace

from dora_metrics.core.facts.ids import ID_RULE, MAX_LENGTH, NAME_RULE
from dora_metrics.core.facts.model import (
    CHOICES,
    EPOCH,
    JOB_FIELDS,
    RECORD_VERSION,
    TIME_FIELDS,
    Deployment,
    FactRecord,
    Incident,
    Repository,
    StoredFact,
    UnknownRecord,
)
from dora_metrics.core.json_errors import UNREADABLE_JSON

_fact_decoder = msgspec.json.Decoder(StoredFact)
_object_decoder = msgspec.json.Decoder(dict[str, object])
_time_getters = {kind: attrgetter(*names) for kind, names in TIME_FIELDS.items()}
_ALL_TIME_FIELDS = frozenset(name for names in TIME_FIELDS.values() for name in names)
_LEFT_OUT_IF_UNKNOWN = frozenset({*JOB_FIELDS, "descends_from"})
_LEFT_OUT_IF_EMPTY = frozenset({"also", "corrected", "reported_at"})


_REPEATED_FIELDS = ("repository", "service", "source", "environment", "branch", "labels")
"""Fields whose values many facts have in common."""
_repeated_fields: dict[type[FactRecord], tuple[str, ...]] = {
    kind: tuple(name for name in _REPEATED_FIELDS if name in kind.__struct_fields__) for kind in TIME_FIELDS
}


class BadLine(NamedTuple):
    """A line that could not be decoded as a fact, and the reason.

    `number` is the 1-based line number in its file.
    """

    number: int
    problem: str
    text: bytes


class NotAFactError(ValueError):
    """The line is not a valid fact. The message says what was expected."""


def canonical_json(value: object) -> bytes:
    """Encode `value` as JSON with sorted keys and no spaces, the form that merging compares."""
    return msgspec.json.encode(value, order="sorted")


def encode_fact(fact: StoredFact) -> bytes:
    """Encode a fact as one line, without its newline. Times are in UTC with `Z`.

    Most deployments are by no job. Theirs leave out the fields of a job, which would be a quarter of each line. Most
    incidents are reported once and not corrected. Theirs leave out `also`, `corrected` and `reported_at`, as lines of
    earlier versions do.
    """
    if not isinstance(fact, Deployment | Incident):
        return canonical_json(fact)
    fields: dict[str, object] = msgspec.to_builtins(fact)
    for name in _left_out(fields):
        del fields[name]
    return canonical_json(fields)


def _left_out(fields: Mapping[str, object]) -> list[str]:
    """Return the names of the fields that a line does not have."""
    unknown = [name for name in _LEFT_OUT_IF_UNKNOWN if name in fields and fields[name] is None]
    return unknown + [name for name in _LEFT_OUT_IF_EMPTY if name in fields and not fields[name]]


def canonical_line(line: bytes) -> bytes:
    """Return a decodable line in canonical form: times in UTC, unknown keys retained.

    Unknown keys may hold what no JSON value can be, such as `1e999`. Such a line is its own canonical form.
    """
    try:
        fields = _object_decoder.decode(line)
    except UNREADABLE_JSON:
        return line
    for name in _ALL_TIME_FIELDS & fields.keys():
        try:
            fields[name] = msgspec.convert(fields[name], datetime).astimezone(UTC)
        except (msgspec.ValidationError, OverflowError, ValueError):
            continue  # a newer version may give the field another meaning
    return canonical_json(fields)


def decode_line(line: bytes) -> FactRecord:
    """Decode one line.

    Raises:
        NotAFactError: if the line is not a fact, with the field and what was expected.
    """
    try:
        return _with_times_in_utc(_fact_decoder.decode(line))
    except (*UNREADABLE_JSON, OverflowError) as error:
        return _decode_unknown(line, error)


def decode_lines(chunk: bytes, first_number: int = 1) -> tuple[list[FactRecord], list[BadLine]]:
    """Decode a chunk of whole lines into records and invalid lines.

    A chunk of valid facts is decoded in one call. Any other chunk is decoded line by line.
    """
    records = _decode_all_at_once(chunk)
    return (records, []) if records is not None else _decode_each(numbered_lines(chunk, first_number))


def decode_with_lines(chunk: bytes) -> tuple[list[tuple[FactRecord, bytes]], list[BadLine]]:
    """Decode a chunk of whole lines like `decode_lines`, pairing each record with its line."""
    all_records, lines = _decode_all_at_once(chunk), chunk.rstrip(b"\n").split(b"\n")
    if all_records is not None and len(all_records) == len(lines):
        return list(zip(all_records, lines, strict=True)), []
    bad_lines: list[BadLine] = []
    pairs: list[tuple[FactRecord, bytes]] = []
    for number, line in numbered_lines(chunk):
        records, new_bad_lines = _decode_each([(number, line)])
        pairs += [(record, line) for record in records]
        bad_lines += new_bad_lines
    return pairs, bad_lines


def _decode_all_at_once(chunk: bytes) -> list[FactRecord] | None:
    """Decode a chunk that has exactly one valid fact per line; otherwise return None.

    msgspec also accepts several objects on one line, and one object across several lines. The sequence `}` newline
    `{` occurs only between two objects. There is one object per line if every newline is part of such a sequence
    and there is one object more than there are newlines.
    """
    try:
        facts: list[FactRecord] = [_with_times_in_utc(fact) for fact in _fact_decoder.decode_lines(chunk)]
    except (*UNREADABLE_JSON, OverflowError):
        return None
    text = chunk.strip()
    is_one_per_line = text.count(b"\n") == text.count(b"}\n{") == len(facts) - 1
    return facts if is_one_per_line or not text else None


def share_repeated_values(records: Iterable[FactRecord], shared: dict[object, object]) -> None:
    """Let decoded records have equal names, branches and labels once in memory: an eighth of what a large ledger takes.

    Args:
        records: just decoded, and used by nobody yet.
        shared: the values so far, by themselves; new ones are added.
    """
    for record in records:
        for name in _repeated_fields.get(type(record), ()):
            value = getattr(record, name)
            first = shared.setdefault(value, value)
            if first is not value:
                force_setattr(record, name, first)


def numbered_lines(chunk: bytes, first_number: int = 1) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a chunk that are not blank, with their line numbers."""
    for number, line in enumerate(chunk.split(b"\n"), first_number):
        if line.strip():
            yield number, line


def _decode_each(lines: Iterable[tuple[int, bytes]]) -> tuple[list[FactRecord], list[BadLine]]:
    records: list[FactRecord] = []
    bad_lines: list[BadLine] = []
    for number, line in lines:
        try:
            records.append(decode_line(line))
        except NotAFactError as error:
            bad_lines.append(BadLine(number, str(error), line))
    return records, bad_lines


def _with_times_in_utc(fact: StoredFact) -> StoredFact:
    """Convert a fact's times to UTC, so that dates and comparisons use one time zone."""
    if isinstance(fact, Repository):
        seen_at = tuple(time.astimezone(UTC) for time in fact.seen_at)
        return replace(fact, observed_at=fact.observed_at.astimezone(UTC), seen_at=seen_at)
    times = _time_getters[type(fact)](fact)
    for time in times:
        if time is not None and time.tzinfo is not UTC:
            break
    else:
        return fact
    names = TIME_FIELDS[type(fact)]
    return replace(fact, **{name: time.astimezone(UTC) for name, time in zip(names, times, strict=True) if time})


def _decode_unknown(line: bytes, error: Exception) -> UnknownRecord:
    """Decode a line that is not a fact of this version, after `error`.

    Raises:
        NotAFactError: unless the line is a record of an unknown kind or of a newer version.
    """
    try:
        fields = _object_decoder.decode(line)
    except UNREADABLE_JSON as json_error:
        raise NotAFactError(_describe_json_error(line, json_error)) from None
    kind, version, kinds = fields.get("kind"), fields.get("v", RECORD_VERSION), _fact_kinds()
    is_newer = isinstance(version, int) and version > RECORD_VERSION
    if not isinstance(kind, str) or not kind:
        raise NotAFactError(f"kind: expected one of {', '.join(kinds)}; it is missing or not a string")
    if kind in kinds and not is_newer:
        raise NotAFactError(_describe_error(error))
    fact_id = fields.get("id")
    if not isinstance(fact_id, str) or not fact_id:
        raise NotAFactError("id: a string is required")
    return UnknownRecord(fact_id, kind, _time_or_epoch(fields.get("observed_at")))


def _fact_kinds() -> tuple[str, ...]:
    return tuple(str(kind.__struct_config__.tag) for kind in get_args(StoredFact))


def _time_or_epoch(value: object) -> datetime:
    try:
        return msgspec.convert(value, datetime).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return EPOCH


def _describe_json_error(line: bytes, error: Exception) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as encoding_error:
        return f"not UTF-8 (byte {encoding_error.start + 1} of the line); facts files are UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply to be a fact"
    try:
        type_name = type(json.loads(line)).__name__
    except (ValueError, RecursionError):
        return f"not a complete JSON object ({error}); write each fact as one object on one line"
    if type_name == "dict":
        return f"cannot be read as JSON: {error}"
    return f"a JSON {type_name}, not an object with `kind` and `id`"


def _describe_error(error: Exception) -> str:
    """Reword an error such as msgspec's `Expected `str`, got `int` - at `$.id``: the field first, then the remedy."""
    text = str(error)
    if isinstance(error, OverflowError):
        return "a time is outside the years 1 to 9999"
    if missing_match := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return f"{missing_match[1]}: required, but missing"
    path_match = re.fullmatch(r"(.*) - at `\$\.?(.*)`", text, re.DOTALL)
    message, field_path = (path_match[1], path_match[2]) if path_match else (text, "")
    if "timezone component" in message or "RFC3339" in message:
        message = "expected a time with an offset, such as 2026-11-21T12:00:00Z"
    elif "0-9a-f" in message:
        message = "expected a full commit sha, 40 characters of 0-9a-f"
    elif "matching regex" in message or f"length <= {MAX_LENGTH}" in message:
        message = f"expected {ID_RULE}" if field_path == "id" else f"expected ids, {NAME_RULE}"
    elif message.startswith("Invalid enum value"):
        choices = ", ".join(CHOICES.get(field_path, ()))
        message = f"{message.removeprefix('Invalid enum value ')} is not one of {choices}"
    return f"{field_path}: {message[:1].lower()}{message[1:]}" if field_path else message
