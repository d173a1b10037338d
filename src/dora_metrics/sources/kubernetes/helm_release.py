"""A HelmRelease of Flux: the releases in its history, one deployment each; pure.

Helm says when a release began, in `lastDeployed`, and not when it ended.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from dora_metrics.core.facts.model import Time
from dora_metrics.core.gitops.commits import sha_in_revision
from dora_metrics.core.gitops.occurrence import NoOccurrence, Occurrence
from dora_metrics.sources.kubernetes.artefacts import UNKNOWN_ARTEFACT, Artefact, SourceReference
from dora_metrics.sources.kubernetes.objects import (
    Asked,
    ClusterObject,
    Condition,
    ObjectReading,
    condition_of,
    short_reason,
    usable,
)

_SUCCEEDED = ("deployed", "superseded")
_FAILED = "failed"
_GAVE_UP = ("InstallFailed", "UpgradeFailed", "TestFailed")


class _TestHook(Struct, frozen=True):
    phase: str = ""


class _Release(Struct, frozen=True, rename="camel"):
    chart_version: str
    version: int
    status: str
    last_deployed: Time
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
    conditions: list[Condition] | None = None
    history: list[_Release] | None = None
    last_applied_revision: str = ""
    last_attempted_revision: str = ""


class _HelmRelease(ClusterObject, frozen=True, rename="camel"):
    spec: _HelmReleaseSpec = _HelmReleaseSpec()
    status: _HelmReleaseStatus = _HelmReleaseStatus()


def read_helm_release(text: bytes, asked: Asked) -> ObjectReading:
    """Return the releases in the history of a HelmRelease; without a history (Flux before 2.2), its present one.

    Raises:
        msgspec.DecodeError: if it has another shape.
    """
    helm_release = msgspec.json.decode(text, type=_HelmRelease)
    if not helm_release.status.history:
        return _present(helm_release, asked)
    occurrences = [
        occurrence
        for release in sorted(helm_release.status.history, key=lambda release: release.version)
        for occurrence in _rollouts(helm_release, release, asked)
    ]
    return occurrences or NoOccurrence("no release of its history has ended")


def _rollouts(helm_release: _HelmRelease, release: _Release, asked: Asked) -> Iterator[Occurrence]:
    """Yield the rollout of a release that ended, at a known time."""
    began_at = usable(release.last_deployed)
    if began_at is None or release.status not in (*_SUCCEEDED, _FAILED):
        return
    is_rejected = release.has_failed_test and helm_release.spec.counts_failed_tests
    artefact = _artefact(helm_release, release, asked)
    yield Occurrence(
        deployer=helm_release.deployer("flux", "HelmRelease"),
        revision=release.chart_version,
        succeeded=release.status != _FAILED and not is_rejected,
        finished_at=began_at,
        observed_at=asked.at,
        sha=sha_in_revision(artefact.origin_revision or ""),
        version=release.chart_version or None,
        reached_users=release.status == _FAILED or is_rejected,
        source_repository=artefact.repository,
        annotations=(*helm_release.annotations, *artefact.annotations),
    )


def _artefact(helm_release: _HelmRelease, release: _Release, asked: Asked) -> Artefact:
    """Return the OCI artefact that a release was made from; empty if it was another one, or is not known."""
    artefact = asked.artefacts.of(helm_release.spec.chart_ref, helm_release.metadata.namespace)
    is_same = bool(release.oci_digest) and artefact.revision.endswith(release.oci_digest)
    return artefact if is_same else UNKNOWN_ARTEFACT


def _present(helm_release: _HelmRelease, asked: Asked) -> ObjectReading:
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
            finished_at=asked.at,
            observed_at=asked.at,
            version=chart_version,
            reached_users=has_failed,
            annotations=helm_release.annotations,
            is_time_of_asking=True,
        )
    ]


def _outcome(ready: Condition | None) -> tuple[bool, bool]:
    """Return whether the present release has succeeded, and whether it has failed."""
    if ready is None:
        return False, False
    return ready.status == "True", ready.status == "False" and ready.reason in _GAVE_UP
