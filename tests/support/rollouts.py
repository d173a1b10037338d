"""Rollouts of a Kustomization in a cluster, as tools report them, and what a ledger counts of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.gitops.deployments import new_deployments
from dora_metrics.core.gitops.occurrence import GitOpsObject, Occurrence
from dora_metrics.core.gitops.targets import GitOpsTargets
from dora_metrics.core.linking.duplicates import deduplicate
from dora_metrics.core.policy import Policy
from support.facts import at, sha

SHOP = GitOpsObject("flux", "Kustomization", "flux-system", "shop")
EVERYTHING = GitOpsTargets()


def revision(name: str) -> str:
    """A revision of the branch main."""
    return f"main@sha1:{sha(name)}"


def occurrence(name: str, time: str = "03-05T12:00", **fields: Any) -> Occurrence:  # noqa: ANN401 - any field
    """A rollout of the commit with this name that succeeded."""
    usual: dict[str, Any] = {
        "deployer": SHOP,
        "revision": revision(name),
        "succeeded": True,
        "finished_at": at(time),
        "observed_at": at(time),
        "sha": sha(name),
    }
    return Occurrence(**{**usual, **fields})


def recorded_one_by_one(occurrences: Iterable[Occurrence]) -> list[Deployment]:
    """What a ledger holds after each occurrence was recorded by a run of its own."""
    ledger: list[Deployment] = []
    for each in occurrences:
        ledger += new_deployments([each], ledger, EVERYTHING, "acme/shop").deployments
    return ledger


def counted(ledger: Sequence[Deployment]) -> list[Deployment]:
    """The deployments of a ledger that count, in order of time."""
    deployments = deduplicate(ledger, Policy()).deployments
    return sorted(deployments, key=lambda deployment: (deployment.finished_at, deployment.id))
