"""The port of all ledger storage: read what a run needs, write it back only if nobody wrote in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from dora_metrics.core.ledger.layout import ALL_MONTHS, MonthSelection
from dora_metrics.core.ledger.snapshot import Snapshot

State = TypeVar("State")
Decision = TypeVar("Decision")


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


@dataclass(frozen=True)
class Change(Generic[Decision]):
    """What a writer decided from one state. Without files there is nothing to write."""

    base: Snapshot
    files: Mapping[str, bytes]
    message: str
    decision: Decision


def no_pause(_attempt: int) -> None:
    """Try again at once."""


def update(  # noqa: PLR0913 - the parts of one compare-and-swap loop
    storage: Storage,
    read: Callable[[], State],
    decide: Callable[[State], Change[Decision]],
    *,
    first: State | None = None,
    tries: int,
    pause: Callable[[int], None] = no_pause,
) -> tuple[Snapshot, Decision] | None:
    """Read, decide and write; again if another run wrote in between.

    Args:
        storage: where to write.
        read: reads the newest state.
        decide: turns a state into a change; called again for each new state.
        first: a state that was read already; if it is out of date, the write says so.
        tries: how often to try.
        pause: waits after a failed attempt, which it gets the number of (from 0).

    Returns:
        The state that was written, and the decision behind it; None if others were faster every time.

    Raises:
        LedgerError: if the ledger cannot be read or written.
    """
    for attempt in range(tries):
        change = decide(first if attempt == 0 and first is not None else read())
        saved = storage.write(change.base, change.files, change.message) if change.files else change.base
        if saved is not None:
            return saved, change.decision
        pause(attempt)
    return None


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
