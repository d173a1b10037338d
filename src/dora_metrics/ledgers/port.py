"""The port of all ledgers: read everything that a run needs, write it back only if nobody wrote between."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Snapshot:
    """A ledger's files at one version.

    `sequence` grows by one with every change of its facts; None for a ledger that remembers nothing.
    `version` names the state exactly, where the ledger has a name for it.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    sequence: int | None = None
    version: str = ""


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

    def read(self) -> Snapshot: ...

    def overtaken(self, seen: Snapshot) -> bool:
        """Whether another run has changed the ledger since."""
        ...

    def write(self, seen: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:
        """The ledger with these files changed (empty contents: removed); None if it is no longer as it was seen.

        `message` says what was recorded, where the ledger keeps such a thing.
        """
        ...
