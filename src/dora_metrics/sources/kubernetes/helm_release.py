"""A HelmRelease of Flux: the releases in its history, one deployment each; pure.

Helm says when a release began, in `lastDeployed`, and not when it ended.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from dora_metrics.core.facts.model import Time
from dora_metrics.core.gitops.commits import sha_in_revision
from dora_metrics.core.gitops.flux import HELM_FAILURES
from dora_metrics.core.gitops.metadata import environment_in, images_in
from dora_metrics.core.gitops.occurrence import NoOccurrence, Occurrence
from dora_metrics.sources.kubernetes.artefacts import UNKNOWN_ARTEFACT, Artefact, SourceReference
from dora_metrics.sources.kubernetes.objects import (
    ClusterObject,
    ClusterView,
    Condition,
    ObjectReading,
    condition_of,
    short_reason,
    usable,
)

_SUCCEEDED = ("deployed", "superseded")
_FAILED = "failed"


class _TestHook(Struct, frozen=True):
    phase: str = ""


class _Release(Struct, frozen=True, rename="camel"):
    version: int
    status: str
    last_deployed: Time
    chart_version: str = ""
    oci_digest: str = ""
    test_hooks: dict[str, _TestHook | None] | None = None

    @property
    def has_failed_test(self) -> bool:
        return any(hook is not None and hook.phase == "Failed" for hook in (self.test_hooks or {}).values())


class _Tests(Struct, frozen=True, rename="camel"):
    ignore_failures: bool = False


class _HelmReleaseSpec(Struct, frozen=True, rename="camel"):
    chart_ref: SourceReference | None = None
    test: _Tests | None = None

    @property
    def counts_failed_tests(self) -> bool:
        return self.test is None or not self.test.ignore_failures


class _HelmReleaseStatus(Struct, frozen=True, rename="camel"):
    observed_generation: int | None = None
    conditions: list[Condition] | None = None
    history: list[_Release] | None = None
    last_applied_revision: str = ""
    last_attempted_revision: str = ""


class _HelmRelease(ClusterObject, frozen=True, rename="camel"):
    spec: _HelmReleaseSpec = _HelmReleaseSpec()
    status: _HelmReleaseStatus = _HelmReleaseStatus()

    @property
    def is_reconciled(self) -> bool:
        """Whether the newest release in the history is of the present generation."""
        ready = condition_of(self.status.conditions, "Ready")
        return self.is_observed(self.status.observed_generation, ready) and (ready is None or ready.status != "Unknown")


def read_helm_release(text: bytes, cluster: ClusterView) -> ObjectReading:
    """Return the releases in the history of a HelmRelease; without a history (Flux before 2.2), its present one.

    Raises:
        msgspec.DecodeError: if it has another shape.
    """
    helm_release = msgspec.json.decode(text, type=_HelmRelease)
    if not helm_release.status.history:
        return _present(helm_release, cluster)
    releases = sorted(helm_release.status.history, key=lambda release: release.version)
    occurrences = [
        occurrence
        for release in releases
        for occurrence in _rollouts(helm_release, release, cluster, is_present=release is releases[-1])
    ]
    return occurrences or NoOccurrence(_why_none(releases[-1]))


def _why_none(newest: _Release) -> str:
    is_without_chart = newest.status in (*_SUCCEEDED, _FAILED) and not newest.chart_version
    if is_without_chart:
        return "its release names no chart version"
    return f"no release of its history has ended ({short_reason(newest.status)})"


def _rollouts(
    helm_release: _HelmRelease, release: _Release, cluster: ClusterView, *, is_present: bool
) -> Iterator[Occurrence]:
    """Yield the rollout of a release that ended, at a known time. Annotations are about the present one only."""
    began_at = usable(release.last_deployed)
    if began_at is None or not release.chart_version or release.status not in (*_SUCCEEDED, _FAILED):
        return
    is_rejected = release.has_failed_test and helm_release.spec.counts_failed_tests
    artefact = _artefact(helm_release, release, cluster)
    describes_release = is_present and helm_release.is_reconciled
    yield Occurrence(
        deployer=helm_release.deployer("flux", "HelmRelease"),
        revision=release.chart_version,
        succeeded=release.status != _FAILED and not is_rejected,
        finished_at=began_at,
        observed_at=cluster.read_at,
        sha=sha_in_revision(artefact.origin_revision or ""),
        version=release.chart_version or None,
        reached_users=release.status == _FAILED or is_rejected,
        environment=environment_in(helm_release.event_metadata),
        source_repository=artefact.repository,
        images=images_in(helm_release.event_metadata) if describes_release else (),
        annotations=(*(helm_release.annotations if describes_release else ()), *artefact.annotations),
    )


def _artefact(helm_release: _HelmRelease, release: _Release, cluster: ClusterView) -> Artefact:
    """Return the OCI artefact that a release was made from; empty if it was another one, or is not known."""
    artefact = cluster.artefacts.of(helm_release.spec.chart_ref, helm_release.metadata.namespace)
    is_same = bool(release.oci_digest) and artefact.revision.endswith(release.oci_digest)
    return artefact if is_same else UNKNOWN_ARTEFACT


def _present(helm_release: _HelmRelease, cluster: ClusterView) -> ObjectReading:
    """Return the present release, whose time is not known."""
    ready = condition_of(helm_release.status.conditions, "Ready")
    has_succeeded, has_failed = _outcome(ready)
    status = helm_release.status
    chart_version = status.last_applied_revision if has_succeeded else status.last_attempted_revision
    if not (has_succeeded or has_failed):
        return NoOccurrence(f"no release has ended ({short_reason(ready.reason if ready else '')})")
    if not chart_version:
        return NoOccurrence("no release has ended")
    return [
        Occurrence(
            deployer=helm_release.deployer("flux", "HelmRelease"),
            revision=chart_version,
            succeeded=has_succeeded,
            finished_at=cluster.read_at,
            observed_at=cluster.read_at,
            version=chart_version,
            reached_users=has_failed,
            environment=environment_in(helm_release.event_metadata),
            images=images_in(helm_release.event_metadata),
            annotations=helm_release.annotations,
            is_time_of_asking=True,
        )
    ]


def _outcome(ready: Condition | None) -> tuple[bool, bool]:
    """Return whether the present release has succeeded, and whether it has failed."""
    if ready is None:
        return False, False
    return ready.status == "True", ready.status == "False" and ready.reason in HELM_FAILURES
