"""Rule `rollback`: an earlier sha is deployed again."""

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment
from support.facts import (
    at,
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


def runs(*lines: str) -> list[Deployment]:
    """Successes as `run version start-end`, numbered from 1; `?` for a run or a start that is not known.

    `70.2` is the second attempt of run 70.
    """
    return [_run(number, *line.replace("-", " ").split()) for number, line in enumerate(lines, 1)]


def _run(number: int, run: str, version: str, start: str, end: str) -> Deployment:
    run_id, _, attempt = run.partition(".")
    job = {} if run == "?" else {"run_id": run_id, "run_attempt": int(attempt or 1)}
    started_at = None if start == "?" else at(f"03-05T{start}")
    return deployment(number, f"03-05T{end}", sha=sha(version), version=version, started_at=started_at, **job)


BESIDE_EACH_OTHER = {
    "a slow workflow ends after the fast one has deployed the next commit": [
        "? V1 08:00-08:10",
        "? V2 09:00-09:05",  # the fast one
        "? V3 09:10-09:15",  # the fast one
        "? V2 09:00-10:00",  # the slow one
        "? V3 09:12-10:10",  # the slow one
    ],
    "the slow one waited for its own run before, and began after the next commit was deployed": [
        "70 V1 08:00-08:10",
        "72 V2 09:00-09:05",
        "74 V3 09:10-09:15",
        "73 V2 09:30-10:00",
        "75 V3 10:00-10:30",
    ],
    "the start of the slow one is not known, but its number is": [
        "70 V1 ?-08:10",
        "72 V2 ?-09:05",
        "74 V3 ?-09:15",
        "73 V2 ?-10:00",
        "75 V3 ?-10:30",
    ],
}


@pytest.mark.parametrize("lines", BESIDE_EACH_OTHER.values(), ids=BESIDE_EACH_OTHER.keys())
def test_a_workflow_that_runs_beside_a_faster_one_rolls_nothing_back(lines: list[str]) -> None:
    facts = runs(*lines)
    assert failure_rules(*facts) == {}
    assert metrics_of(*facts).rework_rate.rework == 0


ROLLBACKS = {
    "that began while what it rolled back was still in its last checks": [
        "? V1 08:00-08:10",
        "? V2 09:00-09:30",
        "? V1 09:10-09:40",
    ],
    "by a new run": ["70 V1 08:00-08:10", "71 V2 09:00-09:30", "72 V1 10:00-10:10"],
    "by the old run, which has a lower number": ["70 V1 08:00-08:10", "71 V2 09:00-09:30", "70.2 V1 10:00-10:10"],
    "by the old run, without a start": ["70 V1 ?-08:10", "71 V2 ?-09:30", "70.2 V1 ?-10:10"],
    "by a run whose number is no number": ["a V1 08:00-08:10", "b V2 09:00-09:30", "0x1 V1 10:00-10:10"],
}


@pytest.mark.parametrize("lines", ROLLBACKS.values(), ids=ROLLBACKS.keys())
def test_a_deployment_that_began_after_what_it_undid_rolls_it_back(lines: list[str]) -> None:
    assert failure_rules(*runs(*lines)) == {2: "rollback"}


def test_what_began_after_the_rollback_is_not_what_it_rolled_back() -> None:
    beside = "? V3 09:20-09:25"
    assert failure_rules(*runs("? V1 08:00-08:10", "? V2 09:00-09:05", beside, "? V1 09:10-09:40")) == {2: "rollback"}
    assert failure_rules(*runs("? V1 08:00-08:10", beside, "? V1 09:10-09:40")) == {}


def test_numbers_of_runs_are_compared_on_one_github_only() -> None:
    """A run of another GitHub with a high number says nothing of when this one began."""
    before, bad, back = runs("? V1 08:00-08:10", "? V2 09:00-09:30", "? V1 10:00-10:10")
    addresses = (
        "https://github.com/acme/shop/actions/runs/900/job/1",
        "https://github.com/acme/shop/actions/runs/901/job/2",
        "https://github.acme.example/acme/shop/actions/runs/5/job/3",
    )
    facts = [replace(fact, url=url) for fact, url in zip((before, bad, back), addresses, strict=True)]
    assert failure_rules(*facts) == {2: "rollback"}
