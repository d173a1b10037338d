"""The port of all sinks, and what they send."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.core.schema import Document


@dataclass(frozen=True)
class SinkPayload:
    """What a run has to send.

    Attributes:
        repository: the repository of the run.
        event: the event that started it.
        facts: the facts that are still owed, followed by those of this event.
        document: all numbers, as `metrics.json` holds them.
        families: the same for Prometheus.
    """

    repository: str
    event: str
    facts: Sequence[Fact]
    document: Document
    families: LedgerCollector


class Sink(Protocol):
    """One place that metrics are sent to."""

    @property
    def name(self) -> str:
        """The sink as the summary names it."""
        ...

    def send(self, payload: SinkPayload) -> Outcome:
        """Send, within the limits of time and tries; a failure is an outcome that says what to do."""
        ...
