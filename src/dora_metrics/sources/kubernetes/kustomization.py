"""A Kustomization of Flux: whether its newest revision was applied, and when; pure.

`lastTransitionTime` of its condition Ready is never the time of a deployment, since it moves with every reconciliation.
`status.history` has the times (Flux 2.7 and later). It has one entry for each digest of manifests and outcome, so:

- A commit that changes no manifest takes over the entry of the revision before it. What it delivers is there already.
- A return to former manifests takes over their old entry. When it happened is known only within bounds.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from dora_metrics.core.facts.model import Time
from dora_metrics.core.gitops.commits import sha_in_revision
from dora_metrics.core.gitops.occurrence import NoOccurrence, Occurrence
from dora_metrics.sources.kubernetes.artefacts import SourceReference
from dora_metrics.sources.kubernetes.objects import (
    Asked,
    ClusterObject,
    Condition,
    ObjectReading,
    condition_of,
    short_reason,
    usable,
    version_in,
)

_SUCCEEDED = "ReconciliationSucceeded"

_REACHED_USERS = {
    "HealthCheckFailed": True,
    "ReconciliationFailed": True,
    "PruneFailed": True,
    "BuildFailed": False,
}
"""The reasons of a revision that was tried and has failed, and whether any of it was applied."""

_LATE_REPORT = timedelta(minutes=1)
"""How much later than the history says a rollout may be reported by an event."""


class _HistorySnapshot(Struct, frozen=True, rename="camel"):
    """An entry of the history: manifests, by their digest, and one outcome of applying them."""

    digest: str
    first_reconciled: Time
    last_reconciled: Time
    last_reconciled_status: str = ""
    metadata: dict[str, str] | None = None

    def is_of(self, revision: str, outcome: str) -> bool:
        return (self.metadata or {}).get("revision") == revision and self.last_reconciled_status == outcome


class _Image(Struct, frozen=True, rename="camel"):
    name: str
    new_name: str = ""
    new_tag: str = ""

    @property
    def text(self) -> str:
        return f"{self.new_name or self.name}:{self.new_tag}"


class _KustomizationSpec(Struct, frozen=True, rename="camel"):
    suspend: bool = False
    source_ref: SourceReference | None = None
    images: list[_Image] | None = None


class _KustomizationStatus(Struct, frozen=True, rename="camel"):
    observed_generation: int | None = None
    conditions: list[Condition] | None = None
    last_applied_revision: str = ""
    last_applied_origin_revision: str = ""
    last_attempted_revision: str = ""
    history: list[_HistorySnapshot] | None = None


class _Kustomization(ClusterObject, frozen=True, rename="camel"):
    spec: _KustomizationSpec = _KustomizationSpec()
    status: _KustomizationStatus = _KustomizationStatus()


class _Ending(Struct, frozen=True):
    """When a rollout ended, and since when the manifests have been the same with the same outcome."""

    finished_at: datetime
    unchanged_since: datetime


def read_kustomization(text: bytes, asked: Asked) -> ObjectReading:
    """Return the rollout of the revision that a Kustomization has now.

    Raises:
        msgspec.DecodeError: if it has another shape.
    """
    kustomization = msgspec.json.decode(text, type=_Kustomization)
    ready = condition_of(kustomization.status.conditions, "Ready")
    if ready is None:
        return NoOccurrence("not reconciled yet")
    if reason := _why_unread(kustomization, ready):
        return NoOccurrence(reason)
    return _rollout(kustomization, ready, asked)


def _why_unread(kustomization: _Kustomization, ready: Condition) -> str:
    """Return why the status says nothing about a rollout that ended; empty if it does."""
    if kustomization.spec.suspend:
        return "suspended"
    if not _is_of_newest_generation(kustomization, ready):
        return "its newest generation is not reconciled yet"
    if ready.status not in ("True", "False"):
        return "in progress"
    if ready.status == "False" and ready.reason not in _REACHED_USERS:
        return f"nothing was applied ({short_reason(ready.reason)})"
    return "" if _revision(kustomization.status, ready) else "nothing was applied yet"


def _is_of_newest_generation(kustomization: _Kustomization, ready: Condition) -> bool:
    """Whether the status is of the present generation. After a failure only the condition says so."""
    observed = max(kustomization.status.observed_generation or 0, ready.observed_generation or 0)
    return observed >= (kustomization.metadata.generation or 0)


def _revision(status: _KustomizationStatus, ready: Condition) -> str:
    return status.last_applied_revision if ready.status == "True" else status.last_attempted_revision


def _rollout(kustomization: _Kustomization, ready: Condition, asked: Asked) -> ObjectReading:
    revision = _revision(kustomization.status, ready)
    outcome = _SUCCEEDED if ready.status == "True" else ready.reason
    history = kustomization.status.history or ()
    snapshot = next((each for each in history if each.is_of(revision, outcome)), None)
    if snapshot is None:
        return [_occurrence(kustomization, ready, None, asked)]
    if outcome != _SUCCEEDED and _was_successful_before(snapshot, history):
        return NoOccurrence("what is failing had been applied successfully before")
    return [_occurrence(kustomization, ready, _ending(snapshot, history), asked)]


def _ending(snapshot: _HistorySnapshot, history: Sequence[_HistorySnapshot]) -> _Ending | None:
    """Return when the manifests of an entry were applied last; None if it has no usable time."""
    first, last = usable(snapshot.first_reconciled), usable(snapshot.last_reconciled)
    if first is None or last is None:
        return None
    others = (usable(each.last_reconciled) for each in history if each.digest != snapshot.digest)
    last_other = max((time for time in others if time and time > first), default=None)
    if last_other is None:
        return _Ending(first, first)
    return _Ending(max(last, last_other), last_other + _LATE_REPORT)


def _was_successful_before(failed: _HistorySnapshot, history: Sequence[_HistorySnapshot]) -> bool:
    """Whether the manifests of an entry that failed were applied successfully before, and no others since then."""
    successes = (each for each in history if each.digest == failed.digest and each.last_reconciled_status == _SUCCEEDED)
    success = next(successes, None)
    if success is None or success.first_reconciled >= failed.first_reconciled:
        return False
    return all(each.digest == failed.digest or each.last_reconciled <= success.first_reconciled for each in history)


def _occurrence(kustomization: _Kustomization, ready: Condition, ending: _Ending | None, asked: Asked) -> Occurrence:
    spec, status = kustomization.spec, kustomization.status
    has_succeeded, revision = ready.status == "True", _revision(status, ready)
    artefact = asked.artefacts.of(spec.source_ref, kustomization.metadata.namespace)
    origin = status.last_applied_origin_revision if has_succeeded else ""
    if artefact.revision == revision:
        origin = origin or artefact.origin_revision or ""
    return Occurrence(
        deployer=kustomization.deployer("flux", "Kustomization"),
        revision=revision,
        succeeded=has_succeeded,
        finished_at=ending.finished_at if ending else asked.at,
        observed_at=asked.at,
        sha=sha_in_revision(origin or revision),
        version=version_in(origin or revision),
        reached_users=_REACHED_USERS.get(ready.reason, False) and not has_succeeded,
        source_repository=artefact.repository,
        images=tuple(image.text for image in spec.images or () if image.new_tag),
        annotations=(*kustomization.annotations, *(artefact.annotations if artefact.revision == revision else ())),
        is_time_of_asking=ending is None,
        unchanged_since=ending.unchanged_since if ending else None,
    )
