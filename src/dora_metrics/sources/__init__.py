"""Where facts come from besides GitHub's events.

What every source gives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core.facts.model import Fact
from dora_metrics.settings.model import Settings


@dataclass(frozen=True)
class SourceFacts:
    """Facts, each in its newest state, and what a reader must know about the rest."""

    facts: list[Fact]
    notes: tuple[str, ...]


FactSource = Callable[[Settings, datetime], SourceFacts]
"""Reads facts, by the settings and as of a moment."""
