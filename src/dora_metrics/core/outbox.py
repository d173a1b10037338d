"""Facts that an endpoint has not acknowledged: remembered by id, oldest first, sent in bounded batches."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from dora_metrics.core.ledger import OUTBOX
from dora_metrics.core.records import canonical

LARGEST_BATCH = 200


class _Owed(msgspec.Struct, frozen=True):
    id: str


_decoder = msgspec.json.Decoder(_Owed)


def owed(files: Mapping[str, bytes]) -> list[str]:
    """The ids that wait, oldest first; a broken line is left out, since `sync` sends what is missing."""
    return [identity for line in files.get(OUTBOX, b"").splitlines() for identity in _decoded(line)]


def _decoded(line: bytes) -> Iterator[str]:
    try:
        yield _decoder.decode(line).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return


def added(waiting: Iterable[str], new: Iterable[str]) -> list[str]:
    """Both, each id once, in order."""
    return list(dict.fromkeys((*waiting, *new)))


def contents(waiting: Iterable[str]) -> bytes:
    """The outbox as a file."""
    return b"".join(canonical(_Owed(identity)) + b"\n" for identity in waiting)
