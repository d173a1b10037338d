"""Changes that a deployment delivered, read from a fake GitHub: squash, merge, rebase, direct commits, few requests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from fakes.faults import Fault, RequestInFlight, unavailable
from fakes.github import FakeGitHub
from fakes.routing import Answer
from support.monorepo import at
from support.runs import ActionRun, deployment_ids, deployment_status, run_action


class EnrichedShop:
    """A repository with one recorded deployment, and event runs in it."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")
        self.first = self.repository.commit({"README.md": "shop"}, message="Begin", author_date=at(-100))
        self.deploy(1, self.first, at(0))

    def deploy(self, number: int, sha: str | None, finished_at: datetime, **inputs: object) -> ActionRun:
        payload = deployment_status(number, at=f"{finished_at:%Y-%m-%dT%H:%M:%SZ}", sha=sha)
        return self.run_event("deployment_status", payload, **inputs)

    def run_event(self, name: str, payload: dict[str, object], **inputs: object) -> ActionRun:
        given = {"ledger": "branch:dora-metrics", "github-token": self.github.token, **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url}
        return run_action(self.folder, name, payload, given, environment=environment)

    def merge_pull_request(
        self, title: str, *, method: str = "squash", hours: float = 1, **pull_fields: object
    ) -> None:
        made = self.repository.pull(title, files={f"{title}.txt": title}, created_at=at(hours), **pull_fields)  # type: ignore[arg-type]
        self.repository.merge_pull(made, method=method, at=at(hours + 1))  # type: ignore[arg-type]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[EnrichedShop]:
    with FakeGitHub(now=lambda: at(24)) as github:
        yield EnrichedShop(github, tmp_path)


def recorded_changes(ran: ActionRun) -> dict[str, dict[str, object]]:
    return {str(fact["id"]): fact for fact in ran.facts if fact["kind"] == "change"}


def recorded_deployment(ran: ActionRun) -> dict[str, object]:
    return next(fact for fact in ran.facts if fact["kind"] == "deployment")


@pytest.mark.parametrize("how", ["squash", "merge", "rebase"])
def test_a_pull_request_is_one_change_however_it_was_merged(shop: EnrichedShop, how: str) -> None:
    shop.merge_pull_request("Faster", method=how)
    ran = shop.deploy(2, shop.repository.head(), at(6))
    assert list(recorded_changes(ran)) == ["github:pull:acme/shop#1"]
    assert recorded_deployment(ran)["changes"] == ["github:pull:acme/shop#1"]
    assert recorded_deployment(ran)["previous"] == "github:deployment:1"
    assert float(ran.outputs["lead-time-seconds"]) > 0


def test_a_branch_that_waited_behind_many_commits_is_still_one_change(shop: EnrichedShop) -> None:
    waited = shop.repository.pull("Slow", files={"slow.txt": "1"}, created_at=at(-50))
    for number in range(150):
        shop.repository.commit({"n.txt": str(number)}, author_date=at(-40 + number / 10))
    shop.deploy(2, shop.repository.head(), at(0.5))
    shop.repository.merge_pull(waited, method="merge", at=at(1))
    assert list(recorded_changes(shop.deploy(3, shop.repository.head(), at(6)))) == ["github:pull:acme/shop#1"]


def test_a_direct_commit_is_a_change_by_itself(shop: EnrichedShop) -> None:
    sha = shop.repository.commit({"b.txt": "b"}, message="By hand", author_date=at(2))
    ran = shop.deploy(2, sha, at(6))
    assert list(recorded_changes(ran)) == [f"commit:{sha}"]
    assert (ran.outputs["lead-time-seconds"], ran.outputs["lead-time"]) == (str(4 * 3600), "4 h")


def test_three_changes_need_no_more_requests_than_one(shop: EnrichedShop) -> None:
    shop.merge_pull_request("One")
    shop.merge_pull_request("Two", hours=2)
    shop.merge_pull_request("Three", hours=3, method="merge")
    shop.github.requests.clear()
    ran = shop.deploy(2, shop.repository.head(), at(8))
    assert len(recorded_changes(ran)) == 3
    assert len(shop.github.requests) == 4
    assert "GitHub ✓ 4 requests" in ran.summary


def test_more_than_two_hundred_and_fifty_commits_are_all_seen(shop: EnrichedShop) -> None:
    for number in range(260):
        shop.repository.commit({"n.txt": str(number)}, message=f"Commit {number}", author_date=at(number / 100))
    shop.github.requests.clear()
    ran = shop.deploy(2, shop.repository.head(), at(8))
    assert len(recorded_changes(ran)) == 260
    assert recorded_deployment(ran)["commit_count"] == 260


def test_the_next_deployment_delivers_only_what_is_new(shop: EnrichedShop) -> None:
    shop.merge_pull_request("One")
    shop.deploy(2, shop.repository.head(), at(6))
    shop.merge_pull_request("Two", hours=7)
    assert list(recorded_changes(shop.deploy(3, shop.repository.head(), at(12)))) == ["github:pull:acme/shop#2"]


def test_a_rollback_delivers_nothing(shop: EnrichedShop) -> None:
    shop.merge_pull_request("One")
    shop.deploy(2, shop.repository.head(), at(6))
    ran = shop.deploy(3, shop.first, at(8))
    assert recorded_deployment(ran)["changes"] == []
    assert "It counts as rework" in ran.summary


def test_labels_branch_and_bots_are_known(shop: EnrichedShop) -> None:
    shop.merge_pull_request("Fix", labels=["hotfix"], branch="hotfix/total")
    shop.merge_pull_request("Bump", hours=2, author="dependabot[bot]")
    found = recorded_changes(shop.deploy(2, shop.repository.head(), at(8)))
    fix, bump = found["github:pull:acme/shop#1"], found["github:pull:acme/shop#2"]
    assert (fix["labels"], fix["branch"], fix["bot"]) == (["hotfix"], "hotfix/total", False)
    assert bump["bot"] is True


def test_a_redelivery_asks_nothing_and_changes_nothing(shop: EnrichedShop) -> None:
    shop.merge_pull_request("One")
    sha = shop.repository.head()
    shop.deploy(2, sha, at(6))
    before = shop.repository.read("facts/2026/11.jsonl", "dora-metrics")
    shop.github.requests.clear()
    shop.deploy(2, sha, at(6))
    assert {logged.operation for logged in shop.github.requests} == {"Ledger", "Append"}
    assert shop.repository.read("facts/2026/11.jsonl", "dora-metrics") == before


def test_a_first_deployment_only_bounds_the_next_one(tmp_path: Path) -> None:
    with FakeGitHub() as github:
        shop = EnrichedShop(github, tmp_path)
        assert [logged.operation for logged in github.requests if logged.operation] == ["Ledger"]
        assert shop.repository.head() is not None


def test_a_commit_that_is_gone_leaves_the_changes_unknown_and_says_so(shop: EnrichedShop) -> None:
    ran = shop.deploy(2, "e" * 40, at(6))
    assert ran.code == 0
    assert recorded_deployment(ran)["changes"] is None
    assert "GitHub did not return what was delivered" in ran.log


def test_an_api_that_is_down_spares_the_job(shop: EnrichedShop) -> None:
    shop.merge_pull_request("One")
    shop.github.fail(unavailable(502), to="PullsByCommit", times=None)
    ran = shop.deploy(2, shop.repository.head(), at(6))
    assert ran.code == 0
    assert recorded_deployment(ran)["changes"] is None
    assert "What it delivered is not known yet." in ran.summary


def test_what_was_unknown_is_found_when_the_event_comes_again(shop: EnrichedShop) -> None:
    shop.merge_pull_request("One")
    sha = shop.repository.head()
    shop.github.fail(unavailable(502), to="PullsByCommit", times=None)
    shop.deploy(2, sha, at(6))
    shop.github.heal()
    ran = shop.deploy(2, sha, at(6))
    assert recorded_deployment(ran)["changes"] == ["github:pull:acme/shop#1"]
    assert float(ran.outputs["lead-time-seconds"]) > 0


def test_open_pull_requests_that_hold_a_commit_do_not_hide_the_one_that_brought_it(shop: EnrichedShop) -> None:
    """GitHub lists all of a commit, the oldest first unless asked otherwise."""
    waiting = [
        shop.repository.pull(f"Wait {number}", files={f"{number}.txt": ""}, created_at=at(number))
        for number in range(5)
    ]
    shop.merge_pull_request("Faster", hours=8)
    merged = shop.repository.head()
    shop.repository.pulls_by_commit[str(merged)][:0] = waiting
    ran = shop.deploy(2, merged, at(20))
    assert list(recorded_changes(ran)) == ["github:pull:acme/shop#6"]


def commit_on(shop: EnrichedShop, branch: str, hours: float) -> str:
    """Commit on a branch of its own, from the first commit on or the branch's head."""
    parents = [shop.repository.head(branch) or shop.first]
    return shop.repository.commit(
        {f"{branch}.txt": str(hours)},
        message=f"{branch} {hours}",
        branch=branch,
        parents=parents,
        author_date=at(hours),
    )


def test_four_release_lines_need_at_most_eight_requests(shop: EnrichedShop) -> None:
    for number, branch in enumerate(("one", "two", "three", "four"), 2):
        shop.deploy(number, commit_on(shop, branch, number), at(number + 0.5))
    sha = commit_on(shop, "one", 8)
    shop.github.requests.clear()
    ran = shop.deploy(9, sha, at(9))
    assert recorded_deployment(ran)["changes"] == [f"commit:{sha}"]
    assert recorded_deployment(ran)["descends_from"] == ["github:deployment:2"]
    assert len(shop.github.requests) <= 8


def test_a_deployment_that_arrives_late_corrects_the_one_after_it(shop: EnrichedShop) -> None:
    late, last = commit_on(shop, "main", 2), commit_on(shop, "main", 4)
    shop.deploy(3, last, at(6))
    ran = shop.deploy(2, late, at(3))
    deployments = {fact["id"]: fact for fact in ran.facts if fact["kind"] == "deployment"}
    assert deployments["github:deployment:2"]["changes"] == [f"commit:{late}"]
    corrected = deployments["github:deployment:3"]
    assert (corrected["changes"], corrected["commit_count"]) == ([f"commit:{last}"], 1)


def test_a_late_deployment_costs_one_more_comparison_however_many_came_after_it(shop: EnrichedShop) -> None:
    shas = [commit_on(shop, "main", hours) for hours in range(2, 14)]
    for number, sha in enumerate(shas[1:], 3):
        shop.deploy(number, sha, at(number + 0.5))
    shop.github.requests.clear()
    ran = shop.deploy(2, shas[0], at(2.5))
    assert len(shop.github.requests) <= 8
    assert [fact["id"] for fact in ran.facts if fact["kind"] == "deployment"] == deployment_ids(2, 3)


def test_a_deployment_before_the_first_known_one_makes_its_changes_known(shop: EnrichedShop) -> None:
    sha = commit_on(shop, "main", -20)
    shop.deploy(2, sha, at(-10))
    ran = shop.deploy(3, shop.first, at(-12))
    deployments = {fact["id"]: fact for fact in ran.facts if fact["kind"] == "deployment"}
    assert deployments["github:deployment:2"]["changes"] == [f"commit:{sha}"]


def test_the_next_deployment_makes_up_for_a_comparison_that_failed(shop: EnrichedShop) -> None:
    missed, last = commit_on(shop, "main", 2), commit_on(shop, "main", 4)
    shop.github.fail(unavailable(502), to="GET /repos/acme/shop/compare/*", times=None)
    shop.deploy(2, missed, at(3))
    shop.github.heal()
    ran = shop.deploy(3, last, at(6))
    deployments = {fact["id"]: fact for fact in ran.facts if fact["kind"] == "deployment"}
    assert deployments["github:deployment:2"]["changes"] == [f"commit:{missed}"]
    assert deployments["github:deployment:3"]["changes"] == [f"commit:{last}"]


def test_a_deployment_that_was_not_compared_with_all_says_so(shop: EnrichedShop) -> None:
    shop.deploy(2, commit_on(shop, "two", 2), at(3))
    shop.deploy(3, "e" * 40, at(4))
    ran = shop.deploy(4, commit_on(shop, "two", 5), at(6))
    assert "v1.4.0 was not compared with 1 earlier deployment (v1.3.0)" in ran.log
    assert "GitHub did not return" not in ran.log


DEFAULT_BRANCH = "defaultBranchRef"


@dataclass(frozen=True)
class with_default_branch(Fault):  # noqa: N801 - read as a verb
    """The answer shows something else as the default branch."""

    shown: Mapping[str, object]

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        others = {key: value for key, value in answer.body["data"]["repository"].items() if key != DEFAULT_BRANCH}
        return replace(answer, body={"data": {"repository": {**others, **self.shown}}})


@pytest.mark.parametrize("shown", [{}, *({DEFAULT_BRANCH: value} for value in ("main", -1, {"name": 5}, {}))], ids=str)
def test_an_odd_default_branch_costs_the_changes_and_not_the_fact(
    shop: EnrichedShop, shown: Mapping[str, object]
) -> None:
    shop.merge_pull_request("Faster")
    shop.github.fail(with_default_branch(shown), to="PullsByCommit", times=None)
    ran = shop.deploy(2, shop.repository.head(), at(6))
    assert "GitHub's answer to PullsByCommit is not what its documentation describes" in ran.log
    assert deployment_ids(2)[0] in {fact["id"] for fact in ran.facts}
    assert "+1 fact" in ran.summary
