"""A `sync` with a longer period or other settings than the one before reads all that is missing."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from fakes import rest_views
from fakes.faults import custom_answer, primary_limit, secondary_limit, unavailable
from support.github_history import NOW, at, deploy
from support.runs import run_action
from support.sync_shop import SyncShop

Inputs = dict[str, Any]
SINCE_ALL: Inputs = {"since": "all"}
FROM_WORKFLOW_RUNS: Inputs = {"deployment-source": "workflow-runs"}


def facts_of_kind(sync_shop: SyncShop, kind: str) -> list[dict[str, object]]:
    return [fact for fact in sync_shop.facts().values() if fact["kind"] == kind]


def test_what_lies_further_back_than_was_asked_for_comes_once_it_is_asked_for(sync_shop: SyncShop) -> None:
    for number in range(200):
        deploy(sync_shop.repository, 151 + 8 * number)
    for number in range(60):
        hours = 151 + 24 * number
        sync_shop.repository.issue(f"Down {number}", labels=["incident"], created_at=at(hours), closed_at=at(hours + 1))
    sync_shop.run(since="4w")
    assert len(facts_of_kind(sync_shop, "deployment")) < 100
    sync_shop.run(**SINCE_ALL)
    assert len(facts_of_kind(sync_shop, "deployment")) == 206
    assert len(facts_of_kind(sync_shop, "incident")) == 60
    sync_shop.run(**SINCE_ALL)
    assert len(sync_shop.requested_operations) <= 4


def test_a_first_reading_that_was_cut_short_goes_on_to_a_shorter_period(sync_shop: SyncShop) -> None:
    for number in range(300):
        deploy(sync_shop.repository, 151 + 5 * number)
    sync_shop.github.fail(primary_limit(), to="DeploymentPage", times=None)
    sync_shop.run(**SINCE_ALL)
    first_count = len(facts_of_kind(sync_shop, "deployment"))
    sync_shop.github.heal()
    sync_shop.run(since="4w")
    assert first_count < len(facts_of_kind(sync_shop, "deployment")) < 306


def test_runs_further_back_come_once_they_are_asked_for(sync_shop: SyncShop) -> None:
    for number in range(150):
        sync_shop.repository.run("Deploy", at=at(12 * number), finished_at=at(12 * number + 0.1))
    sync_shop.run(since="30d", **FROM_WORKFLOW_RUNS)
    sync_shop.run(**SINCE_ALL, **FROM_WORKFLOW_RUNS)
    assert len(facts_of_kind(sync_shop, "deployment")) == 150


def test_incidents_by_another_label_and_runs_of_another_workflow_are_read_from_the_beginning(
    sync_shop: SyncShop,
) -> None:
    for number in range(60):
        sync_shop.repository.issue(f"Out {number}", labels=["outage"], created_at=at(number), closed_at=at(number + 1))
    for number in range(150):
        sync_shop.repository.run("Ship", at=at(12 * number), finished_at=at(12 * number + 0.1))
    sync_shop.run(**SINCE_ALL, **FROM_WORKFLOW_RUNS)
    assert not facts_of_kind(sync_shop, "incident")
    others: Inputs = {"incident-labels": "outage", "deploy-workflows": "Ship"}
    sync_shop.run(**SINCE_ALL, **FROM_WORKFLOW_RUNS, **others)
    assert len(facts_of_kind(sync_shop, "incident")) == 60
    assert len(facts_of_kind(sync_shop, "deployment")) == 150


def test_after_a_change_of_the_rules_runs_are_read_from_the_beginning(
    sync_shop: SyncShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_shop.run(**SINCE_ALL, **FROM_WORKFLOW_RUNS)
    for number in range(150):
        sync_shop.repository.run("Deploy", at=at(12 * number), finished_at=at(12 * number + 0.1))
    sync_shop.run(**SINCE_ALL, **FROM_WORKFLOW_RUNS)
    assert len(facts_of_kind(sync_shop, "deployment")) < 150
    monkeypatch.setattr("dora_metrics.pipeline.sync.RULES_EDITION", 99)
    sync_shop.run(**SINCE_ALL, **FROM_WORKFLOW_RUNS)
    assert len(facts_of_kind(sync_shop, "deployment")) == 150


@pytest.mark.parametrize("is_refused", [True, False])
def test_deployments_that_come_after_the_commits_are_linked_all_the_same(
    sync_shop: SyncShop, *, is_refused: bool
) -> None:
    for number in range(6, 60):
        sync_shop.merge_and_deploy(number)
    if is_refused:
        sync_shop.github.fail(unavailable(502), to="DeploymentPage", times=None)
        sync_shop.github.fail(unavailable(502), to="NewestItems", times=None)
    none: Inputs = {"deployment-source": "none"}
    sync_shop.run(**SINCE_ALL, **({} if is_refused else none))
    assert not facts_of_kind(sync_shop, "deployment")
    sync_shop.github.heal()
    sync_shop.run(**SINCE_ALL)
    assert [fact["changes"] for fact in facts_of_kind(sync_shop, "deployment")].count(None) == 1
    assert not any("compare" in str(asked) for asked in sync_shop.requested_operations)


def test_a_repository_that_deploys_from_another_branch_costs_little_the_second_time(sync_shop: SyncShop) -> None:
    for number in range(300):
        sync_shop.repository.commit({"README.md": str(number)}, message="More", author_date=at(150 + number))
    sync_shop.repository.branch("release")
    sha = sync_shop.repository.commit({"a": "b"}, message="Release", branch="release", author_date=at(500))
    deploy(sync_shop.repository, 501, sha=sha)
    sync_shop.run(**SINCE_ALL)
    sync_shop.run(**SINCE_ALL)
    assert len(sync_shop.requested_operations) <= 4


def test_a_list_that_means_no_repository_is_a_failure_that_is_told(sync_shop: SyncShop) -> None:
    ran = sync_shop.run(repositories="nobody/*", strict=True)
    assert ran.code == 1
    assert "`repositories` (nobody/*) matches no repository that the token can read" in ran.log


def test_all_waits_for_limits_together_are_as_long_as_a_run_may_wait(sync_shop: SyncShop) -> None:
    for number in range(4):
        sync_shop.github.repository(f"acme/other-{number}").commit({"a": "1"}, message="Begin", author_date=at(0))
    for query in ("PullPage", "DeploymentPage"):
        sync_shop.github.fail(secondary_limit(retry_after=50), to=query, times=None)
    sync_shop.github.fail(unavailable(502), to="NewestItems", times=None)
    given = {"ledger": "none", "github-token": sync_shop.github.token, "repositories": "acme/*"}
    environment = {"GITHUB_API_URL": sync_shop.github.api_url}
    waits_seconds: list[float] = []
    both_wait = threading.Barrier(2, timeout=30)

    def pause(seconds: float) -> None:
        if seconds > 10:
            waits_seconds.append(seconds)
            both_wait.wait()

    run_action(sync_shop.folder, "schedule", {}, given, environment=environment, pause=pause)
    assert waits_seconds == [50, 50], "both at the same time, then no more"


def deploy_other_branch(sync_shop: SyncShop, hours: float) -> None:
    """A deployment of another branch, which only a comparison can link."""
    sync_shop.repository.branch("release")
    sha = sync_shop.repository.commit({"x": "y"}, message="Release", branch="release", author_date=at(hours - 1))
    deploy(sync_shop.repository, hours, sha=sha)


def test_deployments_of_no_known_commit_keep_none_from_being_compared(sync_shop: SyncShop) -> None:
    folder = sync_shop.folder / "ledger" / "facts" / "2026"
    folder.mkdir(parents=True)
    said = {"v": 1, "kind": "deployment", "repository": "acme/shop", "environment": "production", "status": "success"}
    times = [at(number).isoformat() for number in range(-40, 0)]
    lines = [json.dumps({**said, "id": f"ext:{time}", "observed_at": time, "finished_at": time}) for time in times]
    (folder / "08.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    deploy_other_branch(sync_shop, 200)
    sync_shop.run(**SINCE_ALL, ledger="dir:ledger")
    facts = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    newest = max((fact for fact in facts if fact["kind"] == "deployment"), key=lambda fact: fact["finished_at"])
    assert len(newest["changes"]) == 1


def test_a_comparison_of_too_many_commits_is_asked_for_once(sync_shop: SyncShop) -> None:
    sync_shop.run()
    deploy_other_branch(sync_shop, 1500)
    endless = {"total_commits": 9_999, "behind_by": 0, "commits": []}
    sync_shop.github.fail(unavailable(502), to="SideCommits", times=None)
    sync_shop.github.fail(custom_answer(200, endless), to="GET /repos/acme/shop/compare/*", times=None)
    assert "stays unknown: more than 3000 commits" in sync_shop.run().log
    sync_shop.run()
    assert len(sync_shop.requested_operations) <= 4


def incident_states(sync_shop: SyncShop) -> list[str]:
    return ["withdrawn" if fact["retracted"] else "counts" for fact in facts_of_kind(sync_shop, "incident")]


@pytest.mark.parametrize("others", [{}, {"deploy-workflows": "Deploy"}, {"since": "all"}])
def test_a_label_that_was_removed_is_seen_whatever_setting_has_changed_since(
    sync_shop: SyncShop, others: Inputs
) -> None:
    issue = sync_shop.repository.issue("Down", labels=["incident"], created_at=NOW - timedelta(days=2))
    sync_shop.run(since="80d")
    assert incident_states(sync_shop) == ["counts"]
    sync_shop.repository.unlabel(issue, "incident", at=NOW + timedelta(minutes=1))
    sync_shop.run(delay=timedelta(hours=1), **{"since": "80d", **others})
    assert incident_states(sync_shop) == ["withdrawn"]


@pytest.mark.parametrize("unread", [("IssuePage",), ("NewestItems", "IssuePage")], ids=["later pages", "all pages"])
def test_an_incident_without_the_labels_of_now_is_withdrawn_even_if_issues_are_read_in_several_syncs(
    sync_shop: SyncShop, unread: tuple[str, ...]
) -> None:
    sync_shop.repository.issue("Down", labels=["incident"], created_at=NOW - timedelta(days=6))
    for number in range(160):
        sync_shop.repository.issue(f"Question {number}", created_at=NOW - timedelta(days=5, minutes=number))
    sync_shop.run()
    assert incident_states(sync_shop) == ["counts"]
    inputs: Inputs = {"incident-labels": "outage"}
    for query in unread:
        sync_shop.github.fail(unavailable(502), to=query, times=None)
    sync_shop.run(delay=timedelta(hours=2), **inputs)
    sync_shop.github.heal()
    assert incident_states(sync_shop) == ["counts"]
    sync_shop.run(delay=timedelta(hours=4), **inputs)
    assert incident_states(sync_shop) == ["withdrawn"]
    sync_shop.run(delay=timedelta(hours=6), **inputs)
    assert "IssuePage" not in sync_shop.requested_operations


def test_the_first_sync_withdraws_an_incident_of_an_event_whose_label_was_removed_unseen(sync_shop: SyncShop) -> None:
    issue = sync_shop.repository.issue("Down", labels=["incident"], created_at=NOW - timedelta(days=2))
    event = {"action": "opened", "issue": rest_views.issue(sync_shop.github.api_url, issue)}
    sync_shop.run("issues", event)
    sync_shop.repository.unlabel(issue, "incident", at=NOW - timedelta(days=1))
    sync_shop.run()
    assert incident_states(sync_shop) == ["withdrawn"]


def test_a_recorded_incident_without_any_label_of_the_settings_is_withdrawn_when_it_changes(
    sync_shop: SyncShop,
) -> None:
    issue = sync_shop.repository.issue("Down", labels=["incident"], created_at=at(2))
    sync_shop.run(**SINCE_ALL)
    sync_shop.repository.close(issue, at=NOW + timedelta(minutes=1))
    event = {"action": "closed", "issue": rest_views.issue(sync_shop.github.api_url, issue)}
    inputs: Inputs = {"incident-labels": "outage"}
    assert "nothing to record" not in sync_shop.run("issues", event, timedelta(hours=1), **inputs).log.lower()
    assert incident_states(sync_shop) == ["withdrawn"]


def test_a_long_pause_leaves_nothing_out_if_a_setting_has_changed_in_it(sync_shop: SyncShop) -> None:
    sync_shop.run(since="60d")
    before = sync_shop.facts().keys()
    begin = (NOW - at(0)).days + 10
    for number in range(begin, begin + 4):
        sync_shop.merge_and_deploy(number)
    others: Inputs = {"incident-labels": "outage"}
    sync_shop.run(delay=timedelta(days=200), since="60d", **others)
    new = [fact for fact_id, fact in sync_shop.facts().items() if fact_id not in before]
    assert sorted(str(fact["kind"]) for fact in new) == ["change"] * 4 + ["deployment"] * 4
