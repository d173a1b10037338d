"""A `sync` that is asked for more than the one before, or by other settings, reads all of that."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.faults import custom_answer, secondary_limit, unavailable
from fakes.github import FakeGitHub
from support.github_history import NOW, at, deploy
from support.runs import run_action
from support.sync_shop import SyncShop

Inputs = dict[str, Any]
WHOLE: Inputs = {"since": "all"}
RUNS: Inputs = {"deployment-source": "workflow-runs"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SyncShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield SyncShop(github, tmp_path)


def of(shop: SyncShop, kind: str) -> list[dict[str, object]]:
    return [fact for fact in shop.facts().values() if fact["kind"] == kind]


def test_what_lies_further_back_than_was_asked_for_comes_once_it_is_asked_for(shop: SyncShop) -> None:
    for number in range(200):
        deploy(shop.repository, 151 + 8 * number)
    for number in range(60):
        hours = 151 + 24 * number
        shop.repository.issue(f"Down {number}", labels=["incident"], created_at=at(hours), closed_at=at(hours + 1))
    shop.run(since="4w")
    assert len(of(shop, "deployment")) < 100
    shop.run(**WHOLE)
    assert len(of(shop, "deployment")) == 206
    assert len(of(shop, "incident")) == 60
    shop.run(**WHOLE)
    assert len(shop.requested_operations) <= 4


def test_runs_further_back_come_once_they_are_asked_for(shop: SyncShop) -> None:
    for number in range(150):
        shop.repository.run("Deploy", at=at(12 * number), finished_at=at(12 * number + 0.1))
    shop.run(since="30d", **RUNS)
    shop.run(**WHOLE, **RUNS)
    assert len(of(shop, "deployment")) == 150


def test_incidents_by_another_label_and_runs_of_another_workflow_are_read_from_the_beginning(shop: SyncShop) -> None:
    for number in range(60):
        shop.repository.issue(f"Out {number}", labels=["outage"], created_at=at(number), closed_at=at(number + 1))
    for number in range(150):
        shop.repository.run("Ship", at=at(12 * number), finished_at=at(12 * number + 0.1))
    shop.run(**WHOLE, **RUNS)
    assert not of(shop, "incident")
    others: Inputs = {"incident-labels": "outage", "deploy-workflows": "Ship"}
    shop.run(**WHOLE, **RUNS, **others)
    assert len(of(shop, "incident")) == 60
    assert len(of(shop, "deployment")) == 150


@pytest.mark.parametrize("is_refused", [True, False])
def test_deployments_that_come_after_the_commits_are_linked_all_the_same(shop: SyncShop, *, is_refused: bool) -> None:
    for number in range(6, 60):
        shop.merge_and_deploy(number)
    if is_refused:
        shop.github.fail(unavailable(502), to="DeploymentPage", times=None)
        shop.github.fail(unavailable(502), to="NewestItems", times=None)
    none: Inputs = {"deployment-source": "none"}
    shop.run(**WHOLE, **({} if is_refused else none))
    assert not of(shop, "deployment")
    shop.github.heal()
    shop.run(**WHOLE)
    assert [fact["changes"] for fact in of(shop, "deployment")].count(None) == 1
    assert not any("compare" in str(asked) for asked in shop.requested_operations)


def test_a_repository_that_deploys_from_another_branch_costs_little_the_second_time(shop: SyncShop) -> None:
    for number in range(300):
        shop.repository.commit({"README.md": str(number)}, message="More", author_date=at(150 + number))
    shop.repository.branch("release")
    sha = shop.repository.commit({"a": "b"}, message="Release", branch="release", author_date=at(500))
    deploy(shop.repository, 501, sha=sha)
    shop.run(**WHOLE)
    shop.run(**WHOLE)
    assert len(shop.requested_operations) <= 4


def test_a_list_that_means_no_repository_is_a_failure_that_is_told(shop: SyncShop) -> None:
    ran = shop.run(repositories="nobody/*", strict=True)
    assert ran.code == 1
    assert "`repositories` (nobody/*) names no repository that the token may see" in ran.log


def test_all_waits_for_limits_together_are_as_long_as_a_run_may_wait(shop: SyncShop) -> None:
    for number in range(4):
        shop.github.repository(f"acme/other-{number}").commit({"a": "1"}, message="Begin", author_date=at(0))
    for query in ("PullPage", "DeploymentPage"):
        shop.github.fail(secondary_limit(retry_after=50), to=query, times=None)
    shop.github.fail(unavailable(502), to="NewestItems", times=None)
    given = {"ledger": "none", "github-token": shop.github.token, "repositories": "acme/*"}
    environment = {"GITHUB_API_URL": shop.github.api_url}
    waits: list[float] = []
    run_action(shop.folder, "schedule", {}, given, environment=environment, pause=waits.append)
    assert sorted(wait for wait in waits if wait > 10) == [50, 50], "both at the same time, then no more"


def side_by_side(shop: SyncShop, hours: float) -> None:
    """A deployment of another branch, which only a comparison can link."""
    shop.repository.branch("release")
    sha = shop.repository.commit({"x": "y"}, message="Release", branch="release", author_date=at(hours - 1))
    deploy(shop.repository, hours, sha=sha)


def test_deployments_of_no_known_commit_keep_none_from_being_compared(shop: SyncShop) -> None:
    folder = shop.folder / "ledger" / "facts" / "2026"
    folder.mkdir(parents=True)
    said = {"v": 1, "kind": "deployment", "repository": "acme/shop", "environment": "production", "status": "success"}
    times = [at(number).isoformat() for number in range(-40, 0)]
    lines = [json.dumps({**said, "id": f"ext:{time}", "observed_at": time, "finished_at": time}) for time in times]
    (folder / "08.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    side_by_side(shop, 200)
    shop.run(**WHOLE, ledger="dir:ledger")
    facts = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    newest = max((fact for fact in facts if fact["kind"] == "deployment"), key=lambda fact: fact["finished_at"])
    assert len(newest["changes"]) == 1


def test_a_comparison_of_too_many_commits_is_asked_for_once(shop: SyncShop) -> None:
    shop.run()
    side_by_side(shop, 1500)
    endless = {"total_commits": 9_999, "commits": []}
    shop.github.fail(custom_answer(200, endless), to="GET /repos/acme/shop/compare/*", times=None)
    assert "stays unknown: more than 3000 commits" in shop.run().log
    shop.run()
    assert len(shop.requested_operations) <= 4
