"""How far GitHub's history was read, as plain data that a ledger can keep."""

from datetime import datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace


class Cursor(Struct, frozen=True, omit_defaults=True):
    """How far one kind of things was read.

    `newest`: everything that changed up to then is known, back to `reached`; `after`: GitHub's place where older ones
    follow, None where there are none. `open`: GitHub's ids of things that had not ended; of commits those that were
    deployed and are not in the history. `anchors`: commits behind which nothing needs to be read again.

    Of security alerts: `read_at` is the day when they were last read to the end, None where there were none; `refused`
    why GitHub did not tell, and `refused_at` when it was last asked for that; `unread` the numbers of those that could
    not be read (`?` where one has none), and `unread_because` why.
    """

    newest: datetime | None = None
    reached: datetime | None = None
    after: str | None = None
    open: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    read_at: datetime | None = None
    refused: str | None = None
    refused_at: datetime | None = None
    unread: tuple[str, ...] = ()
    unread_because: str | None = None

    def has_more(self, since: datetime | None) -> bool:
        """Whether older things are left that were asked for."""
        return self.after is not None and (since is None or self.reached is None or self.reached > since)


Cursors = dict[str, dict[str, Cursor]]
"""By repository and kind."""


def decode_cursors(content: bytes) -> Cursors:
    """How far each repository was read; nothing for a file that is not there or is broken: then all is read again."""
    try:
        return msgspec.json.decode(content or b"{}", type=Cursors)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def encode_cursors(cursors: Cursors) -> bytes:
    non_empty = {
        repository: repository_cursors for repository, repository_cursors in cursors.items() if repository_cursors
    }
    return msgspec.json.encode(non_empty, order="sorted") + b"\n" if non_empty else b""


def differs_only_in_newest(before: bytes, after: bytes) -> bool:
    """Whether two readings differ at most in how new the newest thing was: the next one finds that again."""
    return _without_newest(before) == _without_newest(after)


def _without_newest(content: bytes) -> Cursors:
    cursors = decode_cursors(content).items()
    return {
        repository: {kind: replace(cursor, newest=None) for kind, cursor in repository_cursors.items()}
        for repository, repository_cursors in cursors
    }
