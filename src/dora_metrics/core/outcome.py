"""How an effect of a run went; the one type for the ledger, sinks, reports and inputs."""

from typing import Literal

from msgspec import Struct

OutcomeStatus = Literal["done", "failed", "skipped"]

_SYMBOLS: dict[OutcomeStatus, str] = {"done": "✓", "failed": "✗"}


class Outcome(Struct, frozen=True):
    """How one effect of the run went.

    Attributes:
        name: of the effect, such as `ledger`, `Pushgateway` or the name of an input.
        status: whether it is done, has failed, or was not tried on purpose.
        detail: what was done, or why it was not; a failure also says what to do.
    """

    name: str
    status: OutcomeStatus
    detail: str = ""

    @property
    def symbol(self) -> str:
        """A sign for what was done or has failed; empty for what was not tried."""
        return _SYMBOLS.get(self.status, "")
