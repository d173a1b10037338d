"""Rollouts of Argo Rollouts: newest pods that became the stable ones, and rollouts that were aborted."""

import pytest

from support.cluster import ReadLedger, condition, read_objects, rollout, time_text
from support.facts import at

COMPLETED = condition("Completed", "True", "RolloutCompleted", "03-05T12:00")
LATER_HEALTHY = condition("Healthy", "True", "RolloutHealthy", "03-09T12:00")


def test_newest_pods_that_are_the_stable_ones_are_deployed() -> None:
    (occurrence,) = read_objects(
        rollout("aaaa", "aaaa", phase="Healthy", conditions=[LATER_HEALTHY, COMPLETED])
    ).occurrences
    assert (occurrence.succeeded, occurrence.finished_at) == (True, at("03-05T12:00"))
    assert (occurrence.revision, occurrence.version) == ("aaaa", "sha-aaaa")
    assert occurrence.images == ("registry.example/shop:sha-aaaa",)


def test_pods_that_crash_later_are_no_failed_deployment() -> None:
    timed_out = condition("Progressing", "False", "ProgressDeadlineExceeded", "03-09T12:00")
    (occurrence,) = read_objects(
        rollout("aaaa", "aaaa", phase="Degraded", conditions=[timed_out, COMPLETED])
    ).occurrences
    assert (occurrence.succeeded, occurrence.finished_at) == (True, at("03-05T12:00"))


def test_an_aborted_rollout_and_the_return_after_it() -> None:
    ledger = ReadLedger()
    aborted = condition("Completed", "False", "RolloutCompleted", "03-06T11:00")
    returned = condition("Completed", "True", "RolloutCompleted", "03-06T13:00")
    for _ in range(100):
        ledger.read(rollout("aaaa", "aaaa", conditions=[COMPLETED]))
    for _ in range(100):
        ledger.read(rollout("bbbb", "aaaa", abort=True, abortedAt=time_text("03-06T12:00"), conditions=[aborted]))
    for _ in range(100):
        ledger.read(rollout("aaaa", "aaaa", conditions=[returned]))
    assert ledger.rollouts == [
        ("03-05T12:00", "sha-aaaa", "success"),
        ("03-06T12:00", "sha-bbbb", "failure"),
        ("03-06T13:00", "sha-aaaa", "success"),
    ]
    assert [each.reached_users for each in ledger.deployments] == [False, True, False]


def test_a_blue_green_rollout_has_traffic_after_its_promotion_only() -> None:
    made = rollout("bbbb", "aaaa", abort=True, abortedAt=time_text("03-06T12:00"))
    made["spec"]["strategy"] = {"blueGreen": {"activeService": "shop"}}
    (before,) = read_objects(made).occurrences
    made["status"]["blueGreen"] = {"postPromotionAnalysisRunStatus": {"name": "smoke", "status": "Failed"}}
    (after,) = read_objects(made).occurrences
    assert (before.reached_users, after.reached_users) == (False, True)


def test_one_without_progress_in_time_has_failed() -> None:
    timed_out = condition("Progressing", "False", "ProgressDeadlineExceeded", "03-06T12:00")
    (occurrence,) = read_objects(rollout("bbbb", "aaaa", phase="Degraded", conditions=[timed_out])).occurrences
    assert (occurrence.succeeded, occurrence.finished_at, occurrence.reached_users) == (False, at("03-06T12:00"), False)


@pytest.mark.parametrize(
    "status", [{"phase": "Progressing"}, {"phase": "Paused"}, {"phase": "Healthy", "stableRS": ""}]
)
def test_one_that_has_not_ended_is_none(status: dict[str, object]) -> None:
    assert not read_objects(rollout("bbbb", "aaaa", **status)).occurrences


def test_the_status_must_be_of_the_newest_generation() -> None:
    old = read_objects(rollout("aaaa", "aaaa", observedGeneration="2", conditions=[COMPLETED]))
    assert old.idle_counts == {"Rollout: its newest generation is not reconciled yet": 1}
    hashed = read_objects(rollout("aaaa", "aaaa", observedGeneration="58b949649c", conditions=[COMPLETED]))
    assert len(hashed.occurrences) == 1


def test_without_the_condition_it_is_the_time_of_asking() -> None:
    ledger = ReadLedger()
    for day in range(1, 10):
        ledger.read(rollout("aaaa", "aaaa", phase="Healthy"), asked_at=f"03-0{day}T04:00")
    assert ledger.rollouts == [("03-01T04:00", "sha-aaaa", "success")]


def test_when_it_began_and_images_of_several_containers() -> None:
    made = rollout("aaaa", "aaaa", conditions=[COMPLETED], duration={"rolloutStartedAt": time_text("03-05T11:00")})
    made["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "envoy:1.31"})
    (occurrence,) = read_objects(made).occurrences
    assert occurrence.started_at == at("03-05T11:00")
    assert (occurrence.version, len(occurrence.images)) == ("aaaa", 2)


def test_a_rollout_of_another_workload_has_no_template() -> None:
    made = rollout("aaaa", "aaaa", conditions=[COMPLETED])
    made["spec"] = {"workloadRef": {"kind": "Deployment", "name": "shop"}}
    (occurrence,) = read_objects(made).occurrences
    assert (occurrence.version, occurrence.images) == ("aaaa", ())
