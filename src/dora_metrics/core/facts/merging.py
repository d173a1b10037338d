"""Many records of the same things become one state each.

A fact's state is its record with the greatest (observed_at, canonical JSON). Merging is therefore
commutative, associative and idempotent, whatever arrives twice, late or out of order.
"""

from collections.abc import Iterable

from dora_metrics.core.facts.jsonl import canonical_line
from dora_metrics.core.facts.model import Record


class State:
    """The newest record of each id.

    Decoded records do not hold the keys that this version does not know, so two different records of
    the same instant cannot be told apart here: their ids wait in `ties` until `settle` is given the lines.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.ties: set[str] = set()

    def add(self, records: Iterable[Record]) -> None:
        known = self.records
        for record in records:
            other = known.get(record.id)
            if other is None or record.observed_at > other.observed_at:
                known[record.id] = record
            elif record.observed_at == other.observed_at and record != other:
                self.ties.add(record.id)

    def settle(self, pairs: Iterable[tuple[Record, bytes]]) -> None:
        """Decides the ties from all records with their lines, which need not be in the same order as before."""
        best: dict[str, tuple[bytes, Record]] = {}
        for record, line in pairs:
            if record.id in self.ties and record.observed_at == self.records[record.id].observed_at:
                candidate = (canonical_line(line), record)
                if record.id not in best or candidate[0] > best[record.id][0]:
                    best[record.id] = candidate
        self.records.update((identity, record) for identity, (_, record) in best.items())
        self.ties.clear()
