"""The port of all ledgers: read everything that a run needs, write it back only if nobody wrote between."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Snapshot:
    """A ledger's files at one version.

    `sequence` grows by one with every change of its facts; None for a ledger that remembers nothing.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    sequence: int | None = None


class Ledger(Protocol):
    """Reading and a compare-and-swap; every failure is a LedgerError."""

    @property
    def name(self) -> str:
        """How a reader is told where it is."""
        ...

    def read(self) -> Snapshot: ...

    def sequence(self) -> int | None:
        """The ledger's present sequence: greater than that of a snapshot if a newer run has changed it."""
        ...

    def write(self, seen: Snapshot, changes: Mapping[str, bytes]) -> Snapshot | None:
        """The ledger with these files changed (empty contents: removed); None if it is no longer as it was seen."""
        ...
