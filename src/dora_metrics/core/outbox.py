"""Facts that an endpoint has not acknowledged: remembered by id, oldest first, sent in bounded batches."""

from collections.abc import Iterable, Mapping

import msgspec

from dora_metrics.core.ledger import OUTBOX
from dora_metrics.core.records import canonical

LARGEST_BATCH = 200


class _Owed(msgspec.Struct, frozen=True):
    id: str


_decoder = msgspec.json.Decoder(_Owed)


def owed(files: Mapping[str, bytes]) -> list[str]:
    """The ids that wait, oldest first; a broken outbox is an empty one, since `sync` sends what is missing."""
    try:
        return [one.id for one in _decoder.decode_lines(files.get(OUTBOX, b""))]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def added(waiting: Iterable[str], new: Iterable[str]) -> list[str]:
    """Both, each id once, in order."""
    return list(dict.fromkeys((*waiting, *new)))


def contents(waiting: Iterable[str]) -> bytes:
    """The outbox as a file."""
    return b"".join(canonical(_Owed(identity)) + b"\n" for identity in waiting)
