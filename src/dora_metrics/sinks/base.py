"""The port of the sinks of series, and what they send."""

from dataclasses import dataclass
from typing import Protocol

from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports.prometheus import LedgerCollector


@dataclass(frozen=True)
class SinkPayload:
    """What a run has to send.

    Attributes:
        repository: the repository of the run.
        families: all numbers, for Prometheus.
    """

    repository: str
    families: LedgerCollector


class Sink(Protocol):
    """One place that all numbers are sent to."""

    @property
    def name(self) -> str:
        """The sink as the summary names it."""
        ...

    def send(self, payload: SinkPayload) -> Outcome:
        """Send, within the limits of time and tries; a failure is an outcome that says what to do."""
        ...
