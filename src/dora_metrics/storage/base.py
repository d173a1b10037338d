"""The port of all ledgers: read what a run needs, write it back only if nobody wrote between.

Ledgers that keep nothing: the one that was asked for, and the one that another becomes when it cannot be written.

How often a ledger has changed: a number in a file of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from dora_metrics.core.ledger.layout import (
    ALL_MONTHS,
    CURSORS_FILE,
    FACTS_FOLDER,
    OUTBOX_FILE,
    QUARANTINE_FILE,
    REPORTS_FILE,
    SEQUENCE_FILE,
    FolderListing,
    MonthSelection,
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
    months: MonthSelection = ALL_MONTHS
    written_at: datetime | None = None
    folders: FolderListing = field(default_factory=dict)


class Storage(Protocol):
    """Reading and a compare-and-swap; every failure is a LedgerError."""

    @property
    def name(self) -> str:
        """How a reader is told where it is."""
        ...

    @property
    def is_persistent(self) -> bool:
        """Whether what is written is there for the next run."""
        ...

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        """The newest state."""
        ...

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        """The same state, as far as it reaches now."""
        ...

    def blob_ids(self, snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, str]:
        """The files in some places, by path, each with the name that git gives to its content.

        For files that no run reads. A place is a file, or a folder with a slash at its end.
        """
        ...

    def has_changed_since(self, snapshot: Snapshot) -> bool:
        """Whether another run has changed the ledger since."""
        ...

    def write(self, snapshot: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:
        """The ledger with these files changed (empty contents: removed); None if it is no longer as it was seen.

        `message` says what was recorded, where the ledger keeps such a thing.
        """
        ...


class _NonPersistent:
    """What is written is gone after the run, so that nobody can overtake it."""

    is_persistent = False

    def write(self, snapshot: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:  # noqa: ARG002
        return snapshot

    def blob_ids(self, snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def has_changed_since(self, snapshot: Snapshot) -> bool:  # noqa: ARG002
        return False


class NoStorage(_NonPersistent):
    """`ledger: none`: the event alone."""

    name = "none"

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        return Snapshot(months=months)

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        return replace(snapshot, months=months)


@dataclass(frozen=True)
class ReadOnlyStorage(_NonPersistent):
    """A ledger that can be read and not written: history is there, and what this run adds is only shown."""

    storage: Storage

    @property
    def name(self) -> str:
        return self.storage.name

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        return self.storage.read(months)

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        return self.storage.read_more(snapshot, months)


def parse_sequence(content: bytes) -> int:
    """The number; 0 for a file that is not there or was edited by hand: the next change writes it anew."""
    text = content.strip()
    return int(text) if text.isdigit() and len(text) < 16 else 0  # noqa: PLR2004 - more is no count


def is_primary_data(path: str) -> bool:
    """Whether a file is more than derived: it cannot be computed again from the others."""
    return path.startswith((FACTS_FOLDER, QUARANTINE_FILE, OUTBOX_FILE, CURSORS_FILE, REPORTS_FILE))


def with_next_sequence(sequence: int | None, changes: Mapping[str, bytes]) -> tuple[int, dict[str, bytes]]:
    """The sequence after these changes, and the changes with it: it grows where more than derived files change."""
    current = sequence or 0
    if not any(map(is_primary_data, changes)):
        return current, dict(changes)
    return current + 1, {**changes, SEQUENCE_FILE: b"%d\n" % (current + 1)}
