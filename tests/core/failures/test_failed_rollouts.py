"""Failures that a GitOps tool states are failures in the numbers, and the next success of the tool is the recovery."""

from collections.abc import Sequence

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.gitops.deployments import new_deployments
from dora_metrics.core.gitops.occurrence import GitOpsObject, Occurrence
from dora_metrics.core.gitops.targets import GitOpsTargets
from support.facts import deployment, metrics_of
from support.rollouts import occurrence

SHOP = GitOpsTargets.parse({"*": {"service": "shop"}})
CANARY = GitOpsObject("flagger", "Canary", "apps", "shop")
APPLICATION = GitOpsObject("argocd", "Application", "argocd", "shop")


def recorded(*occurrences: Occurrence) -> Sequence[Deployment]:
    return new_deployments(occurrences, [], SHOP, "acme/shop").deployments


def failed(name: str, time: str, *, reached_users: bool = True, deployer: GitOpsObject | None = None) -> Occurrence:
    made = {"succeeded": False, "reached_users": reached_users, **({"deployer": deployer} if deployer else {})}
    return occurrence(name, time, **made)


KUSTOMIZATION = (
    occurrence("A", "03-05T10:00"),
    failed("B", "03-06T10:00"),  # HealthCheckFailed
    failed("B", "03-06T10:20"),  # tried again
    occurrence("B", "03-06T10:45"),
    failed("C", "03-07T09:00", reached_users=False),  # BuildFailed
    occurrence("C", "03-07T09:30"),
)
"""Five deployments, since B failed once. Four reached users: A, B, B and C; the failure of C did not."""


def test_a_failed_health_check_is_a_failure_and_the_next_success_recovers() -> None:
    metrics = metrics_of(*recorded(*KUSTOMIZATION))
    assert metrics.change_failure_rate.deployments == 4
    assert metrics.change_failure_rate.failed == 1
    assert metrics.change_failure_rate.ratio == 0.25
    assert metrics.recovery_time.recovered == 1
    assert metrics.recovery_time.p50_seconds == 45 * 60


def test_with_failed_runs_the_others_count_too() -> None:
    """Two of five failed: B for 45 minutes, C for 30; half way between are 37.5."""
    metrics = metrics_of(*recorded(*KUSTOMIZATION), count_failed_runs=True)
    assert metrics.change_failure_rate.deployments == 5
    assert metrics.change_failure_rate.ratio == 0.4
    assert metrics.recovery_time.p50_seconds == 37.5 * 60


def test_a_canary_recovers_with_its_own_next_success_and_not_with_that_of_another_source() -> None:
    """It failed at 10:00, the canary was promoted at 12:00; at 11:00 somebody else deployed."""
    canary = (
        occurrence("A", "03-05T10:00", deployer=CANARY, revision="1", sha=None),
        failed("B", "03-06T10:00", deployer=CANARY),
        occurrence("C", "03-06T12:00", deployer=CANARY, revision="3", sha=None),
    )
    other = deployment(9, "03-06T11:00", service="shop", source="deployments")
    metrics = metrics_of(*recorded(*canary), other)
    assert (metrics.change_failure_rate.failed, metrics.change_failure_rate.deployments) == (1, 4)
    assert metrics.recovery_time.p50_seconds == 2 * 3600


def test_a_failure_that_no_success_follows_is_open() -> None:
    sync = (
        occurrence("A", "03-05T10:00", deployer=APPLICATION),
        failed("B", "03-06T10:00", deployer=APPLICATION),
    )
    metrics = metrics_of(*recorded(*sync))
    assert metrics.change_failure_rate.ratio == 0.5
    assert (metrics.recovery_time.recovered, metrics.recovery_time.open) == (0, 1)


def test_a_helm_rollback_recovers_what_the_upgrade_broke() -> None:
    """The chart is that of the release before, which is deployed again."""
    helm = GitOpsObject("flux", "HelmRelease", "apps", "shop")
    releases = (
        occurrence("A", "03-05T10:00", deployer=helm, revision="1.0.0", sha=None, version="1.0.0"),
        occurrence("B", "03-06T10:00", deployer=helm, revision="1.1.0", sha=None, succeeded=False, reached_users=True),
        occurrence("A", "03-06T10:06", deployer=helm, revision="1.0.0", sha=None, version="1.0.0"),
    )
    metrics = metrics_of(*recorded(*releases))
    assert (metrics.change_failure_rate.failed, metrics.change_failure_rate.deployments) == (1, 3)
    assert metrics.recovery_time.p50_seconds == 6 * 60
