"""The port of all ledgers: read what a run needs, write it back only if nobody wrote between.

Ledgers that keep nothing: the one that was asked for, and the one that another becomes when it cannot be written.

How often a ledger has changed: a number in a file of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from dora_metrics.core.ledger.layout import (
    CURSORS,
    EVERYTHING,
    FACTS,
    OUTBOX,
    QUARANTINE,
    REPORTS,
    SEQUENCE,
    Folders,
    Reach,
)


@dataclass(frozen=True)
class Snapshot:
    """A ledger's files at one version: those beside the facts, and the facts of the months within reach.

    `sequence` grows by one with every change of its facts; None for a ledger that remembers nothing.
    `version` names the state exactly, where the ledger has a name for it.
    `written_at`: when it was last written, if that is known.
    `folders`: what is known to lie at the root and in each folder of facts, where a ledger has such a thing.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    sequence: int | None = None
    version: str = ""
    reach: Reach = EVERYTHING
    written_at: datetime | None = None
    folders: Folders = field(default_factory=dict)


class Ledger(Protocol):
    """Reading and a compare-and-swap; every failure is a LedgerError."""

    @property
    def name(self) -> str:
        """How a reader is told where it is."""
        ...

    @property
    def remembers(self) -> bool:
        """Whether what is written is there for the next run."""
        ...

    def read(self, reach: Reach = EVERYTHING) -> Snapshot:
        """The newest state."""
        ...

    def more(self, seen: Snapshot, reach: Reach) -> Snapshot:
        """The same state, as far as it reaches now."""
        ...

    def listed(self, seen: Snapshot, places: Sequence[str]) -> Mapping[str, str]:
        """The files in some places, by path, each with the name that git gives to its content.

        For files that no run reads. A place is a file, or a folder with a slash at its end.
        """
        ...

    def overtaken(self, seen: Snapshot) -> bool:
        """Whether another run has changed the ledger since."""
        ...

    def write(self, seen: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:
        """The ledger with these files changed (empty contents: removed); None if it is no longer as it was seen.

        `message` says what was recorded, where the ledger keeps such a thing.
        """
        ...


class _Forgetful:
    """What is written is gone after the run, so that nobody can overtake it."""

    remembers = False

    def write(self, seen: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:  # noqa: ARG002
        return seen

    def listed(self, seen: Snapshot, places: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def overtaken(self, seen: Snapshot) -> bool:  # noqa: ARG002
        return False


class NoLedger(_Forgetful):
    """`ledger: none`: the event alone."""

    name = "none"

    def read(self, reach: Reach = EVERYTHING) -> Snapshot:
        return Snapshot(reach=reach)

    def more(self, seen: Snapshot, reach: Reach) -> Snapshot:
        return replace(seen, reach=reach)


@dataclass(frozen=True)
class ReadOnly(_Forgetful):
    """A ledger that can be read and not written: history is there, and what this run adds is only shown."""

    ledger: Ledger

    @property
    def name(self) -> str:
        return self.ledger.name

    def read(self, reach: Reach = EVERYTHING) -> Snapshot:
        return self.ledger.read(reach)

    def more(self, seen: Snapshot, reach: Reach) -> Snapshot:
        return self.ledger.more(seen, reach)


def sequence(content: bytes) -> int:
    """The number; 0 for a file that is not there or was edited by hand: the next change writes it anew."""
    text = content.strip()
    return int(text) if text.isdigit() and len(text) < 16 else 0  # noqa: PLR2004 - more is no count


def is_kept(path: str) -> bool:
    """Whether a file is more than derived: it cannot be computed again from the others."""
    return path.startswith((FACTS, QUARANTINE, OUTBOX, CURSORS, REPORTS))


def counted(seen: int | None, changes: Mapping[str, bytes]) -> tuple[int, dict[str, bytes]]:
    """The sequence after these changes, and the changes with it: it grows where more than derived files change."""
    now = seen or 0
    if not any(map(is_kept, changes)):
        return now, dict(changes)
    return now + 1, {**changes, SEQUENCE: b"%d\n" % (now + 1)}
