"""Applications of Argo CD: syncs in the history, and the last one if it failed."""

from typing import Any

import pytest

from dora_metrics.core.gitops.deployments import new_deployments
from dora_metrics.core.gitops.targets import GitOpsTargets
from dora_metrics.sources.kubernetes.application import MAX_SYNCS
from support.cluster import ArgoApplication, ReadLedger, every_ten_minutes, read_objects, time_text
from support.facts import at, sha


def test_a_hundred_syncs_of_one_revision_are_one_deployment() -> None:
    shop, ledger = ArgoApplication(), ReadLedger()
    for time in every_ten_minutes("03-05T12:00", 100):
        shop.sync("A", time)
        ledger.read(shop.object)
    assert ledger.rollouts == [("03-05T12:00", "A", "success")]


def test_a_return_to_an_older_revision_is_a_deployment() -> None:
    shop, ledger = ArgoApplication(), ReadLedger()
    for commit, hour in (("A", 1), ("A", 2), ("B", 3), ("A", 4), ("A", 5)):
        shop.sync(commit, f"03-05T{hour:02}:00")
    ledger.read(shop.object)
    assert ledger.rollouts == [
        (f"03-05T{hour:02}:00", name, "success") for hour, name in ((1, "A"), (3, "B"), (4, "A"))
    ]


def test_the_history_forgets_the_first_sync_and_the_ledger_does_not() -> None:
    shop, ledger = ArgoApplication(), ReadLedger()
    shop.sync("A", "03-05T00:00")
    ledger.read(shop.object)
    for hour in range(1, 20):
        shop.sync("A", f"03-05T{hour:02}:00")
    shop.sync("B", "03-06T00:00")
    ledger.read(shop.object)
    assert ledger.rollouts == [("03-05T00:00", "A", "success"), ("03-06T00:00", "B", "success")]


def test_a_sync_that_failed_and_the_return_after_it() -> None:
    shop, ledger = ArgoApplication(), ReadLedger()
    shop.sync("A", "03-05T00:00")
    shop.fail("B", "03-05T01:00")
    for _ in range(10):
        ledger.read(shop.object)
    shop.sync("A", "03-05T02:00")
    ledger.read(shop.object)
    assert ledger.rollouts == [
        ("03-05T00:00", "A", "success"),
        ("03-05T01:00", "B", "failure"),
        ("03-05T02:00", "A", "success"),
    ]


@pytest.mark.parametrize("sync", [{"dryRun": True}, {"resources": [{"kind": "Deployment", "name": "shop"}]}])
def test_what_was_only_tried_or_only_a_part_is_no_deployment(sync: dict[str, Any]) -> None:
    shop = ArgoApplication()
    shop.fail("A", "03-05T01:00", **sync)
    assert not read_objects(shop.object).occurrences


@pytest.mark.parametrize("phase", ["Running", "Terminating"])
def test_no_other_phase_is_an_end(phase: str) -> None:
    shop = ArgoApplication()
    shop.fail("A", "03-05T01:00", phase)
    assert not read_objects(shop.object).occurrences


def test_a_failure_reached_users_if_resources_were_applied() -> None:
    shop = ArgoApplication()
    shop.fail("A", "03-05T01:00")
    (applied,) = read_objects(shop.object).occurrences
    shop.operation["syncResult"]["resources"] = [
        {"status": "SyncFailed", "syncPhase": "Sync"},
        {"status": "Synced", "syncPhase": "PreSync"},
    ]
    (refused,) = read_objects(shop.object).occurrences
    assert (applied.reached_users, refused.reached_users) == (True, False)


def test_a_failure_without_a_result_names_the_revision_that_was_asked_for() -> None:
    shop = ArgoApplication()
    shop.fail("A", "03-05T01:00", "Error", revision=sha("B"))
    del shop.operation["syncResult"]
    (occurrence,) = read_objects(shop.object).occurrences
    assert occurrence.sha == sha("B")
    shop.fail("A", "03-05T01:00", "Error")
    del shop.operation["syncResult"]
    assert not read_objects(shop.object).occurrences


def test_several_sources_are_one_revision() -> None:
    shop = ArgoApplication()
    chart = {"repoURL": "https://charts.example", "chart": "shop", "targetRevision": "1.2.0"}
    values = {"repoURL": "git@github.com:acme/values.git", "ref": "values"}
    fields = {"revision": "", "revisions": ["1.2.0", sha("A")], "sources": [chart, values], "source": {}}
    shop.sync("A", "03-05T01:00", **fields)
    (occurrence,) = read_objects(shop.object).occurrences
    assert occurrence.revision == f"1.2.0,{sha('A')}"
    assert (occurrence.sha, occurrence.source_repository, occurrence.version) == (sha("A"), "acme/values", "1.2.0")


def test_only_the_present_sync_has_the_present_images() -> None:
    shop = ArgoApplication(images=["ghcr.io/acme/shop:sha-1234567"])
    shop.sync("A", "03-05T01:00")
    shop.sync("B", "03-06T01:00")
    earlier, present = read_objects(shop.object).occurrences
    assert (earlier.images, present.images) == ((), ("ghcr.io/acme/shop:sha-1234567",))


def test_start_end_and_repository_of_a_sync() -> None:
    shop = ArgoApplication()
    shop.sync("A", "03-05T01:00", deployStartedAt=time_text("03-05T00:58"))
    (occurrence,) = read_objects(shop.object).occurrences
    assert (occurrence.started_at, occurrence.finished_at) == (at("03-05T00:58"), at("03-05T01:00"))
    assert (occurrence.sha, occurrence.source_repository, occurrence.version) == (sha("A"), "acme/shop", None)


def test_one_that_was_never_synced() -> None:
    reading = read_objects(ArgoApplication().object)
    assert reading.idle_counts == {"Application: no sync has ended (no reason)": 1}


def succeed_without_history(shop: ArgoApplication, commit: str, time: str, **sync: Any) -> None:  # noqa: ANN401 - any field
    shop.fail(commit, time, "Succeeded", **sync)


def test_without_a_history_the_last_sync_counts() -> None:
    """As `revisionHistoryLimit: 0` leaves it."""
    shop, ledger = ArgoApplication(), ReadLedger()
    for commit, hour in (("A", 1), ("A", 2), ("B", 3), ("A", 4), ("A", 5)):
        succeed_without_history(shop, commit, f"03-05T{hour:02}:00")
        ledger.read(shop.object)
    assert ledger.rollouts == [
        (f"03-05T{hour:02}:00", name, "success") for hour, name in ((1, "A"), (3, "B"), (4, "A"))
    ]
    assert not any(each.reached_users for each in ledger.deployments)


@pytest.mark.parametrize("sync", [{"dryRun": True}, {"resources": [{"kind": "Deployment", "name": "shop"}]}])
def test_a_trial_or_a_part_does_not_count_without_a_history_either(sync: dict[str, Any]) -> None:
    shop = ArgoApplication()
    succeed_without_history(shop, "A", "03-05T01:00", **sync)
    assert not read_objects(shop.object).occurrences


def test_with_a_history_the_last_sync_is_in_it_or_was_none() -> None:
    shop = ArgoApplication()
    shop.sync("A", "03-05T01:00")
    succeed_without_history(shop, "B", "03-05T02:00")
    assert [each.sha for each in read_objects(shop.object).occurrences] == [sha("A")]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ({}, ("acme/shop", "B")),
        ({"*": {"repository": "acme/conf"}}, ("acme/conf", "A")),
        ({"*": {"repository": "acme/pay", "commit": "revision"}}, ("acme/pay", "B")),
    ],
    ids=["of-the-run", "of-the-setting", "of-neither"],
)
def test_of_several_git_sources_the_one_of_the_deployments_repository_counts(
    targets: dict[str, object], expected: tuple[str, str]
) -> None:
    shop = ArgoApplication()
    sources = [{"repoURL": f"https://github.com/acme/{name}"} for name in ("conf", "Shop")]
    shop.sync("A", "03-05T01:00", revision="", revisions=[sha("A"), sha("B")], sources=sources, source={})
    occurrences = read_objects(shop.object).occurrences
    (made,) = new_deployments(occurrences, [], GitOpsTargets.parse(targets), "acme/shop").deployments
    assert (made.repository.lower(), made.sha) == (expected[0], sha(expected[1]))


def test_of_a_long_history_the_newest_syncs_are_read_and_that_is_said() -> None:
    shop = ArgoApplication()
    shop.sync("A", "03-05T01:00")
    made = shop.object
    made["status"]["history"] = [{**shop.history[0], "deployedAt": "none"}] * 3_000 + shop.history * MAX_SYNCS
    reading = read_objects(made)
    assert len(reading.occurrences) == MAX_SYNCS
    assert reading.partly_read == ("Application argocd/shop: only the newest 1,000 of 4,000 syncs are read",)
