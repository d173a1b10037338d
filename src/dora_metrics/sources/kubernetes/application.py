"""An Application of Argo CD: the syncs in its history, and the last one if that is not in it; pure.

Argo CD syncs a revision again and again, so only the first sync of a revision after another one is a deployment. Which
that is depends on what is recorded: the history has ten syncs by default, none with `revisionHistoryLimit: 0`, and none
that failed.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import zip_longest

import msgspec
from msgspec import Raw, Struct

from dora_metrics.core.facts.model import Time
from dora_metrics.core.gitops.argocd import FAILURES, SUCCEEDED, SyncedRevision, SyncedSource, synced_revision
from dora_metrics.core.gitops.occurrence import NoOccurrence, Occurrence, start_before
from dora_metrics.sources.kubernetes.objects import (
    ClusterObject,
    ClusterView,
    ObjectReading,
    PartlyRead,
    short_reason,
    usable,
)


class _SyncSource(Struct, frozen=True, rename="camel"):
    repo_url: str = msgspec.field(default="", name="repoURL")
    target_revision: str = ""


_NO_SOURCE = _SyncSource()


class _Synced(Struct, frozen=True, rename="camel"):
    """The revision of a single source, or those of several."""

    revision: str = ""
    revisions: list[str] | None = None
    source: _SyncSource | None = None
    sources: list[_SyncSource] | None = None

    @property
    def synced(self) -> SyncedRevision:
        """What was synced."""
        revisions = self.revisions or [self.revision]
        sources = (self.sources if self.revisions else [self.source or _NO_SOURCE]) or ()
        pairs = zip_longest(revisions, sources)
        return synced_revision(_synced_source(revision or "", source or _NO_SOURCE) for revision, source in pairs)


def _synced_source(revision: str, source: _SyncSource) -> SyncedSource:
    return SyncedSource(revision, source.repo_url, source.target_revision)


MAX_SYNCS = 1_000
"""In the history of an Application. Argo CD keeps ten unless `revisionHistoryLimit` says otherwise."""


class _HistoryItem(_Synced, frozen=True, kw_only=True, rename="camel"):
    deployed_at: Time
    deploy_started_at: Time | None = None


class _AppliedResource(Struct, frozen=True, rename="camel"):
    status: str = ""
    sync_phase: str = ""


class _SyncResult(_Synced, frozen=True, rename="camel"):
    resources: list[_AppliedResource] | None = None


class _RequestedSync(_Synced, frozen=True, rename="camel"):
    dry_run: bool = False
    resources: list[dict[str, object]] | None = None


class _Operation(Struct, frozen=True):
    sync: _RequestedSync | None = None


class _OperationState(Struct, frozen=True, rename="camel"):
    phase: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    operation: _Operation = _Operation()
    sync_result: _SyncResult | None = None


class _Summary(Struct, frozen=True):
    images: list[str] | None = None


class _ApplicationStatus(Struct, frozen=True, rename="camel"):
    history: list[Raw] | None = None
    operation_state: _OperationState | None = None
    summary: _Summary | None = None


class _Application(ClusterObject, frozen=True, rename="camel"):
    status: _ApplicationStatus = _ApplicationStatus()


class _End(Struct, frozen=True):
    """How and when a sync ended."""

    succeeded: bool
    started_at: datetime | None
    finished_at: datetime
    reached_users: bool = False


def read_application(text: bytes, cluster: ClusterView) -> ObjectReading:
    """Return the syncs of an Application: those in its history, and the last one if it failed or there is no history.

    Raises:
        msgspec.DecodeError: if it has another shape.
    """
    application = msgspec.json.decode(text, type=_Application)
    occurrences = [*_successes(application, cluster), *_last_operation(application, cluster)]
    if (count := len(application.status.history or ())) > MAX_SYNCS:
        return PartlyRead(occurrences, f"only the newest {MAX_SYNCS:,} of {count:,} syncs are read")
    state = application.status.operation_state
    return occurrences or NoOccurrence(f"no sync has ended ({short_reason(state.phase if state else '')})")


def _successes(application: _Application, cluster: ClusterView) -> Iterator[Occurrence]:
    newest = (application.status.history or [])[-MAX_SYNCS:]
    history = [msgspec.json.decode(item, type=_HistoryItem) for item in newest]
    for item in history:
        if (deployed_at := usable(item.deployed_at)) and item.synced.text:
            end = _End(succeeded=True, started_at=item.deploy_started_at, finished_at=deployed_at)
            yield _occurrence(application, item.synced, end, cluster, is_present=item is history[-1])


def _last_operation(application: _Application, cluster: ClusterView) -> Iterator[Occurrence]:
    """Yield the last sync if it failed, or succeeded and nothing keeps a history.

    One that was only tried, or only of some resources, is in no history, and is not yielded either.
    """
    state = application.status.operation_state or _OperationState()
    requested = state.operation.sync or _RequestedSync()
    finished_at = usable(state.finished_at)
    ends = FAILURES if application.status.history else (SUCCEEDED, *FAILURES)
    if state.phase not in ends or finished_at is None or requested.dry_run or requested.resources:
        return
    result = state.sync_result or _SyncResult()
    synced = result.synced if result.synced.text else requested.synced
    if synced.text:
        is_applied = any(each.status == "Synced" and each.sync_phase == "Sync" for each in result.resources or ())
        has_failed = state.phase in FAILURES
        end = _End(not has_failed, state.started_at, finished_at, reached_users=has_failed and is_applied)
        yield _occurrence(application, synced, end, cluster, is_present=True)


def _occurrence(
    application: _Application, synced: SyncedRevision, end: _End, cluster: ClusterView, *, is_present: bool
) -> Occurrence:
    """Return a sync as a rollout; the images are those of the present one only."""
    summary = application.status.summary
    return Occurrence(
        deployer=application.deployer("argocd", "Application"),
        revision=synced.text,
        succeeded=end.succeeded,
        started_at=start_before(usable(end.started_at), end.finished_at),
        finished_at=end.finished_at,
        observed_at=cluster.read_at,
        sha=synced.sha,
        version=synced.version,
        reached_users=end.reached_users,
        source_repository=cluster.artefacts.repository_of(synced.url),
        source_commits=synced.commits_by(cluster.artefacts.repository_of),
        images=tuple(summary.images or ()) if summary and is_present else (),
        annotations=application.annotations if is_present else (),
    )
