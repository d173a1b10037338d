"""Ledgers that keep nothing: the one that was asked for, and the one that another becomes when it cannot be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dora_metrics.core.ledger.layout import EVERYTHING, Reach
from dora_metrics.storage.base import Ledger, Snapshot


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
