"""`ledger: none`, and any ledger that cannot be used: the event alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from dora_metrics.ledgers.port import Snapshot


@dataclass(frozen=True)
class NoLedger:
    """Remembers nothing."""

    name: str = "none"

    def read(self) -> Snapshot:
        return Snapshot()

    def sequence(self) -> int | None:
        return None

    def write(self, seen: Snapshot, changes: Mapping[str, bytes]) -> Snapshot | None:  # noqa: ARG002 - the port's
        return seen
