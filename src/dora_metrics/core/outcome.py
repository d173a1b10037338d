"""How an effect of a run went."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """How one effect of the run went: a sink, the ledger, an input."""

    name: str
    status: Literal["done", "failed", "skipped"]
    detail: str

    @property
    def symbol(self) -> str:
        return {"done": "✓", "failed": "✗", "skipped": "–"}[self.status]
