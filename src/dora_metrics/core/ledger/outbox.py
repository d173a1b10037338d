"""Facts that an endpoint has not acknowledged: remembered by id, oldest first, sent in bounded batches."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from dora_metrics.core.facts.jsonl import canonical
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import OUTBOX, month_at

LARGEST_BATCH = 200


class Owed(msgspec.Struct, frozen=True):
    """A fact's id, and the month it lies in, so that it is found again when a run no longer reads so far back."""

    id: str
    month: str = ""


_decoder = msgspec.json.Decoder(Owed)


def owed(files: Mapping[str, bytes]) -> list[Owed]:
    """What waits, oldest first; a broken line is left out, since `sync` sends what is missing."""
    return [one for line in files.get(OUTBOX, b"").splitlines() for one in _decoded(line)]


def _decoded(line: bytes) -> Iterator[Owed]:
    try:
        yield _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return


def added(waiting: Iterable[Owed], new: Iterable[Fact]) -> list[Owed]:
    """Both, each id once, in the order in which they came, each in its newest month."""
    found = {one.id: one for one in waiting}
    found |= {fact.id: Owed(fact.id, month_at(fact.defining_time)) for fact in new}
    return list(found.values())


def contents(waiting: Iterable[Owed]) -> bytes:
    """The outbox as a file."""
    return b"".join(canonical(one) + b"\n" for one in waiting)
