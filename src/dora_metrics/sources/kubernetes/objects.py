"""What the objects of all kinds have in common: names, conditions and times; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

from dora_metrics.core.facts.model import Time
from dora_metrics.core.gitops.metadata import event_annotations, short_texts
from dora_metrics.core.gitops.occurrence import OBJECT_NAME, GitOpsObject, NoOccurrence, Occurrence, Tool
from dora_metrics.sources.kubernetes.artefacts import Artefacts

Name = Annotated[str, Meta(pattern=rf"^{OBJECT_NAME}\Z")]
"""A name of an object or a namespace."""


class PartlyRead(Struct, frozen=True):
    """Some of the rollouts that an object says, and what is left out."""

    occurrences: Sequence[Occurrence]
    left_out: str


ObjectReading = Sequence[Occurrence] | PartlyRead | NoOccurrence
"""What an object says: the rollouts that ended, or why there are none."""

_MAX_REASON_LENGTH = 60
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


class ObjectMetadata(Struct, frozen=True, rename="camel"):
    """Name and generation of an object. Without a namespace it is in `default`, as kubectl takes it."""

    name: Name
    namespace: Name = "default"
    generation: int | None = None
    annotations: dict[str, str] | None = None


class Condition(Struct, frozen=True, rename="camel"):
    """One of the conditions in an object's status."""

    type: str
    status: str
    reason: str = ""
    last_transition_time: Time | None = None
    observed_generation: int | None = None


class ClusterObject(Struct, frozen=True, rename="camel"):
    """An object of a kind that is read."""

    metadata: ObjectMetadata

    def deployer(self, tool: Tool, kind: str) -> GitOpsObject:
        """Return how facts name the object."""
        return GitOpsObject(tool, kind, self.metadata.namespace, self.metadata.name)

    @property
    def annotations(self) -> tuple[tuple[str, str], ...]:
        """The annotations of the object that may name a commit, also under the names that Flux's events give them."""
        annotations = short_texts(self.metadata.annotations or {})
        return tuple(sorted({**annotations, **event_annotations(annotations)}.items()))

    @property
    def event_metadata(self) -> Mapping[str, str]:
        """What Flux adds to the events of the object."""
        return event_annotations(short_texts(self.metadata.annotations or {}))

    def is_observed(self, generation: int | None, condition: Condition | None) -> bool:
        """Whether a status is of the present generation: one that it names, or that of a condition in it."""
        in_condition = condition.observed_generation if condition else None
        return max(generation or 0, in_condition or 0) >= (self.metadata.generation or 0)


class ClusterView(Struct, frozen=True):
    """What the reading of every object needs: when the cluster was read, and what its sources hold."""

    read_at: datetime
    artefacts: Artefacts


ObjectReader = Callable[[bytes, ClusterView], ObjectReading]
"""Reads an object of one kind from its JSON. A `msgspec.DecodeError` says that it has another shape."""


def condition_of(conditions: Iterable[Condition] | None, name: str) -> Condition | None:
    """Return the condition of a type; None if the object has none."""
    return next((condition for condition in conditions or () if condition.type == name), None)


def usable(time: datetime | None) -> datetime | None:
    """Return a time in UTC; None for a missing one, and for one like Go's zero time in the year 1."""
    if time is None or not _FIRST_YEAR < time.year < _LAST_YEAR:
        return None
    return time.astimezone(UTC)


def short_reason(reason: str) -> str:
    """Return a reason or phase of a status at a length that fits into a message."""
    return reason[:_MAX_REASON_LENGTH] or "no reason"
