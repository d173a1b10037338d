"""Branches and refs of the fake GitHub: no write is lost when several clients write at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from github import Github, GithubException

from fakes.faults import (
    stale_head,
)
from fakes.git import NULL_OID
from fakes.github import FakeGitHub
from fakes.plain_requests import (
    COMMIT_MUTATION,
    UPDATE_REFS_MUTATION,
    commit_input,
    post,
    post_graphql,
    repository_fields,
)
from fakes.repository import Repository


def test_a_commit_on_a_branch_adds_and_removes_whole_files(github: FakeGitHub, shop: Repository) -> None:
    head = shop.commit({"old.txt": "1", "facts/2026/11.jsonl": "{}\n"})
    given = commit_input(head, new="2") | {"message": {"headline": "Record 1 fact", "body": "Why"}}
    given["fileChanges"]["deletions"] = [{"path": "old.txt"}]
    made = post_graphql(github, COMMIT_MUTATION, input=given)["data"]["createCommitOnBranch"]["commit"]
    assert made == {"oid": shop.head(), "message": "Record 1 fact\n\nWhy", "parents": {"nodes": [{"oid": head}]}}
    assert (shop.read("new"), shop.read("old.txt"), shop.read("facts/2026/11.jsonl")) == (b"2", None, b"{}\n")


def test_a_stale_head_is_told_by_type_and_changes_nothing(github: FakeGitHub, shop: Repository) -> None:
    head = shop.head()
    github.fail(stale_head(shop, "main"), to="createCommitOnBranch")
    found = post_graphql(github, COMMIT_MUTATION, input=commit_input(head, a="1"))
    assert found["data"] == {"createCommitOnBranch": None}
    assert found["errors"][0]["type"] == "STALE_DATA"
    assert found["errors"][0]["message"].startswith(f'Expected branch to point to "{head}" but it did not.')
    assert [made.message for made in shop.log()] == ["Another writer", "Initial commit"]


def test_of_many_writers_from_one_head_one_gets_through(github: FakeGitHub, shop: Repository) -> None:
    given = [commit_input(shop.head(), **{f"file{number}": "1"}) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: post_graphql(github, COMMIT_MUTATION, input=one), given))
    kinds = sorted(one["errors"][0]["type"] if "errors" in one else "" for one in found)
    assert kinds == ["", *["STALE_DATA"] * 7]
    assert len(shop.log()) == 2


def test_a_branch_that_is_not_there_takes_no_commit(github: FakeGitHub, shop: Repository) -> None:
    found = post_graphql(github, COMMIT_MUTATION, input=commit_input(shop.head(), "dora-metrics", a="1"))
    assert found["errors"][0]["type"] == "NOT_FOUND"


def test_a_protected_branch_refuses_commits_and_refs(github: FakeGitHub, shop: Repository) -> None:
    shop.protect("main")
    found = post_graphql(github, COMMIT_MUTATION, input=commit_input(shop.head(), a="1"))
    assert found["errors"][0]["type"] == "BRANCH_PROTECTION_RULE_VIOLATION"
    assert "Changes must be made through a pull request." in found["errors"][0]["message"]
    assert len(shop.log()) == 1


def test_of_two_creators_of_an_orphan_branch_the_second_finds_it_there(client: Github, shop: Repository) -> None:
    repository = client.get_repo("acme/shop")

    def create(name: str) -> str:
        from_api = post_tree(name)
        try:
            repository.create_git_ref("refs/heads/dora-metrics", from_api)
        except GithubException as error:
            return f"{error.status} {error.message}"
        return "created"

    def post_tree(name: str) -> str:
        tree = repository.create_git_tree([_element(name)])
        return repository.create_git_commit(f"By {name}", tree, []).sha

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(create, ("a", "b")))
    assert found == ["422 Reference already exists", "created"]
    assert [made.parents for made in shop.log("dora-metrics")] == [()]


def _element(name: str) -> Any:  # noqa: ANN401 - PyGithub's type
    from github import InputGitTreeElement  # noqa: PLC0415 - used only here

    return InputGitTreeElement(name, "100644", "blob", content="1")


def test_refs_move_together_and_only_from_where_they_were(github: FakeGitHub, shop: Repository) -> None:
    head = shop.head()
    moves = [("refs/heads/new", head, NULL_OID), ("refs/heads/main", head, "f" * 40)]
    updates = [{"name": name, "afterOid": after, "beforeOid": before} for name, after, before in moves]
    found = post_graphql(github, UPDATE_REFS_MUTATION, input={"repositoryId": shop.id, "refUpdates": updates})
    assert "errors" in found
    assert shop.head("new") is None
    assert "errors" not in post_graphql(
        github, UPDATE_REFS_MUTATION, input={"repositoryId": shop.id, "refUpdates": updates[:1]}
    )
    assert shop.head("new") == head
    assert "errors" in post_graphql(
        github, UPDATE_REFS_MUTATION, input={"repositoryId": shop.id, "refUpdates": updates[:1]}
    )


def test_a_ref_is_not_wound_back_without_force(client: Github, shop: Repository) -> None:
    first = shop.head()
    shop.commit({"a": "1"})
    ref = client.get_repo("acme/shop").get_git_ref("heads/main")
    with pytest.raises(GithubException, match="Update is not a fast forward"):
        ref.edit(str(first))
    ref.edit(str(first), force=True)
    assert shop.head() == first


def test_a_repository_without_commits_has_no_head_and_takes_no_refs(github: FakeGitHub) -> None:
    github.repository("acme/shop", empty=True)
    assert repository_fields(github, 'isEmpty defaultBranchRef { name } object(expression: "HEAD") { oid }') == {
        "isEmpty": True,
        "defaultBranchRef": None,
        "object": None,
    }
    answer = post(github, "/git/blobs", {"content": "1"})
    assert (answer.status_code, answer.json()["message"]) == (409, "Git Repository is empty.")
