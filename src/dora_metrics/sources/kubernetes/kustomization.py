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
from dora_metrics.core.gitops.commits import sha_in_revision, version_in_revision
from dora_metrics.core.gitops.flux import KUSTOMIZATION_FAILURES, KUSTOMIZATION_SUCCESSES
from dora_metrics.core.gitops.metadata import environment_in, images_in
from dora_metrics.core.gitops.occurrence import NoOccurrence, Occurrence
from dora_metrics.sources.kubernetes.artefacts import SourceReference
from dora_metrics.sources.kubernetes.objects import (
    ClusterObject,
    ClusterView,
    Condition,
    ObjectReading,
    condition_of,
    short_reason,
    usable,
)

(_SUCCEEDED,) = KUSTOMIZATION_SUCCESSES

_REPORT_MARGIN = timedelta(minutes=1)
"""How far the time of an event that reports a rollout may be from that in the history, which has whole seconds."""


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


def read_kustomization(text: bytes, cluster: ClusterView) -> ObjectReading:
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
    return _rollout(kustomization, ready, cluster)


def _why_unread(kustomization: _Kustomization, ready: Condition) -> str:
    """Return why the status says nothing about a rollout that ended; empty if it does."""
    if kustomization.spec.suspend:
        return "suspended"
    if not kustomization.is_observed(kustomization.status.observed_generation, ready):
        return "its newest generation is not reconciled yet"
    if ready.status not in ("True", "False"):
        return "in progress"
    if ready.status == "False" and ready.reason not in KUSTOMIZATION_FAILURES:
        return f"nothing was applied ({short_reason(ready.reason)})"
    return "" if _revision(kustomization.status, ready) else "nothing was applied yet"


def _revision(status: _KustomizationStatus, ready: Condition) -> str:
    return status.last_applied_revision if ready.status == "True" else status.last_attempted_revision


def _rollout(kustomization: _Kustomization, ready: Condition, cluster: ClusterView) -> ObjectReading:
    revision = _revision(kustomization.status, ready)
    outcome = _SUCCEEDED if ready.status == "True" else ready.reason
    history = kustomization.status.history or ()
    snapshot = next((each for each in history if each.is_of(revision, outcome)), None)
    if snapshot is None:
        return [_occurrence(kustomization, ready, None, cluster)]
    if outcome != _SUCCEEDED and _was_successful_before(snapshot, history):
        return NoOccurrence("what is failing had been applied successfully before")
    return [_occurrence(kustomization, ready, _ending(snapshot, history), cluster)]


def _ending(snapshot: _HistorySnapshot, history: Sequence[_HistorySnapshot]) -> _Ending | None:
    """Return when the manifests of an entry were applied last; None if it has no usable time."""
    first, last = usable(snapshot.first_reconciled), usable(snapshot.last_reconciled)
    if first is None or last is None:
        return None
    others = [time for each in history if each.digest != snapshot.digest and (time := usable(each.last_reconciled))]
    last_other = max(others, default=None)
    if last_other is None or last_other <= first:
        return _Ending(first, _earliest_report(first, last_other))
    return _Ending(max(last, last_other), last_other + _REPORT_MARGIN)


def _earliest_report(first: datetime, last_other: datetime | None) -> datetime:
    """Return when an event may have reported an entry at the earliest, after the last one of other manifests."""
    earliest = first - _REPORT_MARGIN
    return earliest if last_other is None else max(earliest, last_other + timedelta(seconds=1))


def _was_successful_before(failed: _HistorySnapshot, history: Sequence[_HistorySnapshot]) -> bool:
    """Whether the manifests of an entry that failed were applied successfully before, and no others since then."""
    successes = (each for each in history if each.digest == failed.digest and each.last_reconciled_status == _SUCCEEDED)
    success = next(successes, None)
    if success is None or success.first_reconciled >= failed.first_reconciled:
        return False
    return all(each.digest == failed.digest or each.last_reconciled <= success.first_reconciled for each in history)


def _occurrence(
    kustomization: _Kustomization, ready: Condition, ending: _Ending | None, cluster: ClusterView
) -> Occurrence:
    spec, status = kustomization.spec, kustomization.status
    has_succeeded, revision = ready.status == "True", _revision(status, ready)
    artefact = cluster.artefacts.of(spec.source_ref, kustomization.metadata.namespace)
    origin = status.last_applied_origin_revision if has_succeeded else ""
    if artefact.revision == revision:
        origin = origin or artefact.origin_revision or ""
    return Occurrence(
        deployer=kustomization.deployer("flux", "Kustomization"),
        revision=revision,
        succeeded=has_succeeded,
        finished_at=ending.finished_at if ending else cluster.read_at,
        observed_at=cluster.read_at,
        sha=sha_in_revision(origin or revision),
        version=version_in_revision(origin or revision),
        reached_users=KUSTOMIZATION_FAILURES.get(ready.reason, False) and not has_succeeded,
        source_repository=artefact.repository,
        environment=environment_in(kustomization.event_metadata),
        images=_images(kustomization),
        annotations=(*kustomization.annotations, *(artefact.annotations if artefact.revision == revision else ())),
        is_time_of_asking=ending is None,
        unchanged_since=ending.unchanged_since if ending else None,
    )


def _images(kustomization: _Kustomization) -> tuple[str, ...]:
    """Return the images that annotations for events name, and those whose tags the Kustomization sets."""
    set_here = (image.text for image in kustomization.spec.images or () if image.new_tag)
    return tuple(dict.fromkeys((*images_in(kustomization.event_metadata), *set_here)))
