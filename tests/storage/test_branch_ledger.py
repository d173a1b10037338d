"""Event runs with `ledger: branch:dora-metrics` against a fake GitHub: real HTTP, real git, real GraphQL."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakes.faults import custom_answer, dropped, secondary_limit, stale_head, unavailable
from fakes.github import FakeGitHub
from support.branch_shop import BRANCH, FACTS_FILE, BranchShop
from support.events import dispatch
from support.runs import deployment_ids, deployment_status, incident_issue, run_action


def test_the_first_run_begins_an_orphan_branch_that_says_what_it_is(shop: BranchShop) -> None:
    ran = shop.run(1)
    assert ran.code == 0
    assert shop.fact_ids() == ["github:deployment:1"]
    log = shop.repository.log(BRANCH)
    assert [commit.parents for commit in log] == [()]
    assert b"ledger of dora-metrics" in (shop.repository.read("README.md", BRANCH) or b"")


def test_every_later_run_reads_once_and_writes_once(shop: BranchShop) -> None:
    shop.run(1)
    shop.github.requests.clear()
    ran = shop.run(2, state="failure")
    assert ran.code == 0
    assert [logged.operation for logged in shop.github.requests] == ["Ledger", "Append"]
    assert shop.fact_ids() == ["github:deployment:1", "github:deployment:2"]


def test_the_commit_says_what_was_recorded_and_stands_on_the_one_before(shop: BranchShop) -> None:
    shop.run(1)
    head = shop.repository.head(BRANCH)
    shop.run(2)
    newest = shop.repository.log(BRANCH)[0]
    assert newest.message.startswith("Record github:deployment:2")
    assert newest.parents == (head,)


def test_the_commit_references_no_issue_and_mentions_nobody(shop: BranchShop) -> None:
    """GitHub would show such a commit in the issue, each time the fact changes."""
    shop.run_event("issues", incident_issue(12))
    assert shop.repository.log(BRANCH)[0].message.startswith("Record github:issue:acme/shop#\u200b12")
    shop.run_event("repository_dispatch", dispatch("dora-deployment", id="GH-7:@acme/team", version="v1"))
    assert shop.repository.log(BRANCH)[0].message.startswith("Record GH\u200b-7:@\u200bacme/team")


def test_the_numbers_are_those_of_the_whole_branch(shop: BranchShop) -> None:
    shop.run(1)
    assert "2 deployments on 1 day" in shop.run(2).summary


def test_a_stale_head_is_read_again_and_nobodys_facts_are_lost(shop: BranchShop) -> None:
    shop.run(1)
    other = {"facts/2026/10.jsonl": '{"id":"x","kind":"note","observed_at":"2026-10-01T00:00:00Z"}\n'}
    shop.github.fail(stale_head(shop.repository, BRANCH, other), to="createCommitOnBranch")
    assert shop.run(2).code == 0
    assert shop.fact_ids() == [*deployment_ids(1, 2), "x"]
    assert shop.repository.read("facts/2026/10.jsonl", BRANCH) == other["facts/2026/10.jsonl"].encode()


def test_an_answer_that_got_lost_after_the_write_records_nothing_twice(shop: BranchShop) -> None:
    shop.run(1)
    shop.github.fail(dropped(applied=True), to="createCommitOnBranch")
    assert shop.run(2).code == 0
    assert shop.fact_ids() == ["github:deployment:1", "github:deployment:2"]


def test_a_read_that_fails_is_asked_again(shop: BranchShop) -> None:
    shop.run(1)
    shop.github.fail(unavailable(502), to="Ledger", times=2)
    assert "+1 fact" in shop.run(2).summary


def test_twelve_writers_at_once_lose_nothing(shop: BranchShop) -> None:
    with ThreadPoolExecutor(12) as pool:
        codes = {ran.code for ran in pool.map(shop.run, range(1, 13))}
    assert codes == {0}
    assert sorted(shop.fact_ids()) == sorted(f"github:deployment:{number}" for number in range(1, 13))


def test_a_token_that_may_only_read_still_shows_the_history_and_names_the_permission(shop: BranchShop) -> None:
    shop.run(1)
    ran = shop.run(2, token=shop.github.grant(contents="read"))
    assert ran.code == 0
    assert "2 deployments on 1 day" in ran.summary
    assert "permissions: contents: write" in ran.log
    assert shop.fact_ids() == ["github:deployment:1"]


def test_a_wrong_token_ends_the_run_and_is_not_shown(shop: BranchShop) -> None:
    ran = shop.run(1, token="ghs_wrong")
    assert ran.code == 0
    assert "Nothing was recorded" in ran.summary
    assert "the token is not valid" in ran.log
    assert "ghs_wrong" not in ran.log + ran.summary


def test_a_protected_branch_is_a_clear_message_and_stays_as_it_is(shop: BranchShop) -> None:
    shop.run(1)
    shop.repository.protect(BRANCH)
    ran = shop.run(2)
    assert ran.code == 0
    assert "cannot be written" in ran.log
    assert shop.fact_ids() == ["github:deployment:1"]


def test_foreign_files_on_the_branch_are_left_alone(shop: BranchShop) -> None:
    shop.run(1)
    shop.repository.commit({"notes/mine.txt": "keep me"}, message="By hand", branch=BRANCH)
    shop.run(2)
    assert shop.repository.read("notes/mine.txt", BRANCH) == b"keep me"


def test_a_repository_without_commits_is_a_clear_message(tmp_path: Path) -> None:
    with FakeGitHub() as github:
        github.repository("acme/shop", empty=True)
        given = {"ledger": "branch:x", "github-token": github.token}
        environment = {"GITHUB_API_URL": github.api_url}
        ran = run_action(tmp_path, "deployment_status", deployment_status(1), given, environment=environment)
    assert ran.code == 0
    assert "the repository is empty" in ran.log


def test_a_central_repository_can_hold_the_ledger(shop: BranchShop) -> None:
    central = shop.github.repository("acme/metrics")
    central.commit({"README.md": "metrics"}, message="Begin")
    shop.run(1, ledger="branch:all@acme/metrics")
    assert b"github:deployment:1" in (central.read(FACTS_FILE, "all") or b"")


def test_writes_that_are_never_answered_are_given_up_within_a_minute(shop: BranchShop) -> None:
    shop.run(1)
    shop.clock.seconds = 0
    shop.github.fail(unavailable(502), to="createCommitOnBranch", times=None)
    ran = shop.run(2, state="failure")
    assert ran.code == 0
    assert 5 <= len(shop.github.requests_matching("createCommitOnBranch")) <= 7, "the pauses between runs are random"
    assert shop.clock.seconds < 60
    assert "cannot be written: GitHub answered 502" in ran.log


def test_a_write_is_tried_again_after_half_a_minute_of_silence(shop: BranchShop) -> None:
    shop.run(1)
    shop.github.fail(unavailable(502), to="createCommitOnBranch", times=5)
    ran = shop.run(2)
    assert shop.fact_ids() == deployment_ids(1, 2)
    assert ran.outputs["unrecorded-facts"] == ""


@pytest.mark.parametrize("to", ["createCommitOnBranch", "Ledger"], ids=["the write", "the read after it"])
@pytest.mark.parametrize("wait_seconds", [60, 120])
def test_an_announced_wait_takes_nothing_of_the_minute_of_a_write(shop: BranchShop, to: str, wait_seconds: int) -> None:
    shop.run(1)
    shop.clock.seconds = 0
    if to == "Ledger":
        shop.github.fail(unavailable(502), to="createCommitOnBranch", times=3)
    shop.github.fail(secondary_limit(wait_seconds), to=to, skip=2 if to == "Ledger" else 0)
    ran = shop.run(2, **{"max-rate-limit-wait": "10m"})
    assert shop.clock.seconds >= wait_seconds
    assert shop.fact_ids() == deployment_ids(1, 2)
    assert ran.outputs["unrecorded-facts"] == ""


@pytest.mark.parametrize("request_name", ["trees", "commits", "refs"])
def test_a_new_ledger_counts_as_begun_only_if_every_answer_says_so(shop: BranchShop, request_name: str) -> None:
    shop.github.fail(custom_answer(200, {}), to=f"POST /repos/acme/shop/git/{request_name}", times=None)
    ran = shop.run(1)
    assert shop.repository.head(BRANCH) is None
    assert "in a new ledger" not in ran.summary
    assert f"GitHub's answer to POST /repos/acme/shop/git/{request_name} is not what" in ran.log
    shop.github.heal()
    assert "+1 fact, in a new ledger" in shop.run(1).summary


def test_a_new_branch_counts_as_made_only_if_it_is_the_one_that_was_asked_for(shop: BranchShop) -> None:
    other = {"ref": f"refs/heads/{BRANCH}", "object": {"sha": "0" * 40}}
    shop.github.fail(custom_answer(200, other), to="POST /repos/acme/shop/git/refs", times=None)
    ran = shop.run(1)
    assert "in a new ledger" not in ran.summary
    assert "GitHub's answer does not show the new branch" in ran.log


def test_a_commit_counts_as_made_only_if_the_answer_shows_a_new_one(shop: BranchShop) -> None:
    shop.run(1)
    same = {"data": {"createCommitOnBranch": {"commit": {"oid": shop.repository.head(BRANCH)}}}}
    shop.github.fail(custom_answer(200, same), to="createCommitOnBranch", times=None)
    ran = shop.run(2)
    assert "+1 fact" not in ran.summary
    assert "GitHub's answer does not show the new commit" in ran.log
    shop.github.heal()
    shop.run(2)
    assert shop.fact_ids() == deployment_ids(1, 2)


def test_a_branch_of_code_is_refused_and_stays_as_it_is(shop: BranchShop) -> None:
    head = shop.repository.head("main")
    ran = shop.run(1, ledger="branch:main")
    assert ran.code == 0
    assert "holds other files" in ran.log
    assert shop.repository.head("main") == head


def test_who_is_overtaken_forty_times_gives_up_and_says_what_to_do(shop: BranchShop) -> None:
    shop.run(1)
    shop.github.fail(stale_head(shop.repository, BRANCH), to="createCommitOnBranch", times=None)
    ran = shop.run(2, state="failure")
    assert ran.code == 0
    assert len(shop.github.requests_matching("createCommitOnBranch")) == 40
    assert "40 tries failed, because other runs wrote to it each time; run this job again when they are done" in ran.log
    assert shop.fact_ids() == deployment_ids(1)
