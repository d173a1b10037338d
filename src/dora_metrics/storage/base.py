"""The port of all ledger storage: read what a run needs, write it back only if nobody wrote in between."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from dora_metrics.core.ledger.layout import ALL_MONTHS, MonthSelection
from dora_metrics.core.ledger.snapshot import Snapshot


class Storage(Protocol):
    """Reading, and writing by compare-and-swap; every failure is a LedgerError."""

    @property
    def name(self) -> str:
        """The place as messages name it, such as `branch:dora-metrics`."""
        ...

    @property
    def is_persistent(self) -> bool:
        """Whether the next run reads what this one writes."""
        ...

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        """Read the newest state."""
        ...

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        """Read further months of the same state."""
        ...

    def blob_ids(self, snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, str]:
        """List files that no run reads, by path, each with the id that git gives to its content.

        Args:
            snapshot: the state to list.
            paths: files, and folders with a slash at the end.
        """
        ...

    def has_changed_since(self, snapshot: Snapshot) -> bool:
        """Whether another run has written since this state was read."""
        ...

    def write(self, snapshot: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:
        """Write files on top of a state; None if that is no longer the newest one.

        Args:
            snapshot: the state that the changes were decided from.
            changes: new contents by path; empty contents remove the file.
            message: what was recorded, for storage that keeps such a message.
        """
        ...


def attempts(tries: int, pause: Callable[[int], None] | None = None) -> Iterator[int]:
    """Yield the numbers of attempts to read, decide and write, from 0; pause after each one but the last.

    A writer loops over them and ends the loop once its write has succeeded: a compare-and-swap. If another run wrote
    in between, the next attempt reads and decides again.
    """
    for attempt in range(tries):
        yield attempt
        if pause and attempt + 1 < tries:
            pause(attempt)


class _NonPersistent:
    """Storage whose content ends with the run, so that no other run can change it."""

    is_persistent = False

    def write(self, snapshot: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:  # noqa: ARG002
        return snapshot

    def blob_ids(self, snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def has_changed_since(self, snapshot: Snapshot) -> bool:  # noqa: ARG002
        return False


class NoStorage(_NonPersistent):
    """`ledger: none`: the run knows its event alone."""

    name = "none"

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        return Snapshot(months=months)

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        return replace(snapshot, months=months)


@dataclass(frozen=True)
class ReadOnlyStorage(_NonPersistent):
    """Storage that can be read and not written: the run shows history and its own facts, and keeps nothing."""

    storage: Storage

    @property
    def name(self) -> str:
        return self.storage.name

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        return self.storage.read(months)

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        return self.storage.read_more(snapshot, months)
