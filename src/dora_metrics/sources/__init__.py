"""Where facts come from besides GitHub: files and git histories. The health check asks a service instead."""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.linking.former_names import NO_NAMES, RepositoryNames
from dora_metrics.settings.model import Settings


class SourceFacts(Struct, frozen=True):
    """What a source returns: facts, each in its newest state, and notes for readers on what is missing or assumed.

    `selection` says what was taken as deployments and what else there is; empty if everything was taken. `names` are
    those of renamed repositories. `records_incidents`: whether the source could have an incident at all.
    `is_undeployed_commit` says whether the first digits of a sha are those of a commit that is in no deployment; False
    where the source does not know. `earlier` are records that newer ones of the same fact have replaced.
    """

    facts: list[Fact]
    notes: tuple[str, ...]
    selection: str = ""
    names: RepositoryNames = NO_NAMES
    records_incidents: bool = True
    is_undeployed_commit: Callable[[str], bool] = lambda _: False
    earlier: tuple[Fact, ...] = ()


FactSource = Callable[[Settings, datetime], SourceFacts]
"""Reads facts by the settings; the second argument is the time at which the run started."""
