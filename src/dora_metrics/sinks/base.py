"""The port of all sinks, its data and its outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.core.schema import Document


@dataclass(frozen=True)
class SinkPayload:
    """What a run has to send. `facts`: those of this event, after those that are still owed."""

    repository: str
    event: str
    facts: Sequence[Fact]
    document: Document
    families: LedgerCollector


@dataclass(frozen=True)
class Sent:
    """It arrived."""

    sink: str
    detail: str = ""


@dataclass(frozen=True)
class NotSent:
    """It did not arrive, and why, and what to do."""

    sink: str
    reason: str


@dataclass(frozen=True)
class Skipped:
    """It was not tried, on purpose, and why."""

    sink: str
    reason: str


SinkOutcome = Sent | NotSent | Skipped


class Sink(Protocol):
    """One place that metrics go to."""

    @property
    def name(self) -> str: ...

    def send(self, payload: SinkPayload) -> SinkOutcome: ...
