"""The words with which Flux says how a rollout ended, in events and in the conditions of objects."""

from collections.abc import Mapping

KUSTOMIZATION_SUCCESSES = ("ReconciliationSucceeded",)

KUSTOMIZATION_FAILURES: Mapping[str, bool] = {
    "HealthCheckFailed": True,
    "ReconciliationFailed": True,
    "PruneFailed": True,
    "BuildFailed": False,
}
"""The reasons of a revision that was tried and has failed, and whether any of it was applied."""

HELM_SUCCESSES = ("InstallSucceeded", "UpgradeSucceeded", "RollbackSucceeded")

HELM_FAILURES: Mapping[str, bool] = {
    "InstallFailed": True,
    "UpgradeFailed": True,
    "RollbackFailed": True,
    "TestFailed": True,
}
"""The reasons of a release that failed. Helm has changed the cluster by then."""
