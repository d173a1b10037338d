"""How an effect of a run went."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Told:
    """How one effect of the run went: a sink, the ledger, an input."""

    name: str
    how: Literal["done", "failed", "skipped"]
    text: str

    @property
    def mark(self) -> str:
        return {"done": "✓", "failed": "✗", "skipped": "–"}[self.how]
