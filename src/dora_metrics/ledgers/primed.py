"""A ledger that was read already: the first look at it needs no second request."""

from collections.abc import Mapping
from dataclasses import dataclass

from dora_metrics.core.ledger import EVERYTHING, Reach
from dora_metrics.ledgers.port import Ledger, Snapshot


@dataclass
class Primed:
    """Another ledger, with its newest state as far as it is known; if that is stale, `write` tells."""

    ledger: Ledger
    seen: Snapshot | None

    @property
    def name(self) -> str:
        return self.ledger.name

    @property
    def remembers(self) -> bool:
        return self.ledger.remembers

    def read(self, reach: Reach = EVERYTHING) -> Snapshot:
        seen, self.seen = self.seen, None
        return self.ledger.more(seen, reach) if seen else self.ledger.read(reach)

    def more(self, seen: Snapshot, reach: Reach) -> Snapshot:
        return self.ledger.more(seen, reach)

    def overtaken(self, seen: Snapshot) -> bool:
        return self.ledger.overtaken(seen)

    def write(self, seen: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:
        return self.ledger.write(seen, changes, message)
