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

    def goes_on(self, since: datetime | None) -> bool:
        """Whether older things are left that were asked for."""
        return self.after is not None and (since is None or self.reached is None or self.reached > since)


Cursors = dict[str, dict[str, Cursor]]
"""By repository and kind."""


def decoded(content: bytes) -> Cursors:
    """How far each repository was read; nothing for a file that is not there or is broken: then all is read again."""
    try:
        return msgspec.json.decode(content or b"{}", type=Cursors)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def encoded(cursors: Cursors) -> bytes:
    kept = {repository: own for repository, own in cursors.items() if own}
    return msgspec.json.encode(kept, order="sorted") + b"\n" if kept else b""


def is_no_further(one: bytes, other: bytes) -> bool:
    """Whether two readings differ at most in how new the newest thing was: the next one finds that again."""
    return _without_newest(one) == _without_newest(other)


def _without_newest(content: bytes) -> Cursors:
    found = decoded(content).items()
    return {name: {kind: replace(cursor, newest=None) for kind, cursor in own.items()} for name, own in found}
