"""The port of all ledgers: read what a run needs, write it back only if nobody wrote between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dora_metrics.core.ledger.layout import EVERYTHING, Folders, Reach


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
