"""Rule `rollback`: an earlier sha is deployed again."""

import pytest

from support.facts import (
    deployment,
    deployments_of_versions,
    failed_deployment,
    failure_rules,
    metrics_of,
    number_of,
    scope_of,
    sha,
    unmatched_reasons,
)

OTHER_RULES = frozenset({"explicit", "revert", "hotfix", "incident", "health-check"})


@pytest.mark.parametrize(
    ("versions", "failed_ones"),
    [
        ("V1 V2 V3", []),
        ("V1 V2 V3 V1", [2]),  # the first one that delivered what was rolled back
        ("V1 V2 V1", [2]),
        ("V1 V2 V1 V2", [2]),  # trap 32: the re-release is not a second rollback
        ("V1 V2 V1 V2 V1", [2, 4]),  # what was re-released can be rolled back again
        ("V1 V2 V1 V2 V3", [2]),
        ("V1 V2 V1 V2 V3 V2", [2, 5]),
        ("V1 V2 V3 V2 V1", [2, 3]),  # nested
        ("V1 V2 V3 V4 V3 V2 V1", [2, 3, 4]),
        ("V1 V2 V3 V1 V3", [2]),
        ("V1 V2 V3 V1 V2 V3", [2]),
        ("V1 V2 V3 V1 V4 V2", [2]),  # V2 and V3 were both rolled back
        ("V1 V2 V3 V1 V4 V1", [2, 5]),
        ("V1 V1", []),  # redeployments
        ("V1 V1 V1 V2 V2", []),
        ("V1 V2 V2 V1", [2]),
        ("V1 V1 V2 V1 V1", [3]),
        ("V1 V2 V1 V1 V2", [2]),
        ("V1 V2 V1 V3 V1", [2, 4]),
        ("- - -", []),  # without a sha nothing can be deployed again
        ("V1 - V1", []),  # the one between them may have been V1
        ("V1 - - V2 -", []),
    ],
)
def test_what_came_directly_after_the_last_one_of_that_sha_failed(versions: str, failed_ones: list[int]) -> None:
    assert failure_rules(*deployments_of_versions(versions)) == dict.fromkeys(failed_ones, "rollback")


def test_it_is_recovered_by_the_rollback() -> None:
    """V2 at 06:00, V1 again at 12:00."""
    (one,) = scope_of(*deployments_of_versions("V1 V2 V3 V1")).evidence.failed_deployments
    assert one.remediated_by == "github:deployment:4"
    assert metrics_of(*deployments_of_versions("V1 V2 V3 V1")).recovery_time.p50_seconds == 6 * 3600
    assert "V1" in one.because


def test_runs_that_failed_or_were_cancelled_are_not_in_the_sequence() -> None:
    v1, v2 = sha("V1"), sha("V2")
    between = (failed_deployment(2, "03-02", sha=v2), deployment(3, "03-03", sha=v2, status="cancelled"))
    assert failure_rules(deployment(1, "03-01", sha=v1), *between, deployment(4, "03-04", sha=v1)) == {}
    assert (
        failure_rules(
            failed_deployment(1, "03-01", sha=v1), deployment(2, "03-02", sha=v2), deployment(3, "03-03", sha=v1)
        )
        == {}
    )


def test_a_sha_comes_back_only_in_its_own_scope() -> None:
    v1, v2 = sha("V1"), sha("V2")
    facts = (
        deployment(1, "03-01", sha=v1),
        deployment(2, "03-02", sha=v2),
        deployment(3, "03-03", sha=v1, environment="prod-eu"),
        deployment(4, "03-04", sha=v1, service="api"),
    )
    assert failure_rules(*facts) == {}


def test_the_order_is_that_of_the_finishes_whatever_arrives_first() -> None:
    facts = deployments_of_versions("V1 V2 V3 V1")
    assert failure_rules(*reversed(facts)) == {2: "rollback"}


def test_a_long_history_is_judged_at_once() -> None:
    """Two thousand versions alternating: every one but the first was rolled back."""
    forth = [f"V{n}" for n in range(1000)]
    versions = " ".join((*forth, *reversed(forth[:-1])))
    assert (
        len(
            failure_rules(
                *deployments_of_versions(versions, hours=1), window="2024-03-01..2024-12-01", now="2024-12-01"
            )
        )
        == 999
    )


def test_switched_off_it_marks_nothing_but_the_rollback_stays_rework() -> None:
    facts = deployments_of_versions("V1 V2 V1")
    assert failure_rules(*facts, failure_rules=OTHER_RULES) == {}
    assert metrics_of(*facts, failure_rules=OTHER_RULES).rework_rate.rework == 1


def test_rollbacks_of_one_version_are_each_a_failure_of_what_came_after_it() -> None:
    facts = deployments_of_versions("V1 V2 V1 V3 V4 V1")
    assert failure_rules(*facts) == {2: "rollback", 4: "rollback"}
    assert unmatched_reasons(*facts) == {}
    assert number_of(facts[0].id) == 1
