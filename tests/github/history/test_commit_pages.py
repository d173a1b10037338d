"""Pages of commits are read side by side as long as GitHub's tokens are what they were foreseen to be."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from fakes.faults import changed_answer, primary_limit, unavailable
from fakes.github import FakeGitHub
from fakes.repository import Repository
from fakes.routing import Request
from support.github_history import at, read_fake_history

COMMITS = 420


@pytest.fixture
def shop(github: FakeGitHub) -> Repository:
    repository = github.repository("acme/shop", empty=True)
    for number in range(COMMITS):
        repository.commit({"a.txt": str(number)}, message=f"Commit {number}", author_date=at(number))
    return repository


def shas(github: FakeGitHub, since: datetime | None = None) -> list[str]:
    return list(read_fake_history(github, since=since).gathered.graph.commits_by_sha)


def change_page(change: Callable[[dict[str, Any]], object]) -> changed_answer:
    def change_answer(body: dict[str, Any], _request: Request) -> None:
        change(body["data"]["repository"]["object"]["history"])

    return changed_answer(change_answer)


def test_all_commits_come_once_and_newest_first(github: FakeGitHub, shop: Repository) -> None:
    assert shas(github) == list(shop.git.rev_list(str(shop.head())))
    assert len(github.requests_matching("CommitPage")) == 4


def no_more(history: dict[str, Any]) -> None:
    history["nodes"], history["pageInfo"]["hasNextPage"] = [], False


def shorter(history: dict[str, Any]) -> None:
    del history["nodes"][-1]


@pytest.mark.parametrize("change", [no_more, shorter])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_page_that_ends_elsewhere_is_read_again_by_githubs_own_token(
    github: FakeGitHub, shop: Repository, change: Callable[[dict[str, Any]], object], skip: int
) -> None:
    github.fail(change_page(change), to="CommitPage", skip=skip)
    assert shas(github) == list(shop.git.rev_list(str(shop.head())))


def test_without_foreseeable_tokens_pages_are_read_one_after_another(github: FakeGitHub, shop: Repository) -> None:
    def change_answer(body: dict[str, Any], _request: Request) -> None:
        page_info = body["data"]["repository"]["defaultBranchRef"]["target"]["history"]["pageInfo"]
        page_info["endCursor"] = page_info["endCursor"].replace(" ", "  ")  # as good, and not foreseen

    github.fail(changed_answer(change_answer), to="NewestItems")
    assert shas(github) == list(shop.git.rev_list(str(shop.head())))


@pytest.mark.parametrize("skip", [0, 1, 3])
def test_a_page_that_github_cannot_return_in_time_is_read_by_halves(
    github: FakeGitHub, shop: Repository, skip: int
) -> None:
    github.fail(unavailable(502), to="CommitPage", times=3, skip=skip)
    assert shas(github) == list(shop.git.rev_list(str(shop.head())))


def test_a_limit_that_lasts_ends_the_reading(github: FakeGitHub, shop: Repository) -> None:
    del shop
    github.fail(primary_limit(), to="CommitPage", times=None)
    found = read_fake_history(github)
    assert "rate limit" in str(found.gathered.failures)
    assert found.linked.cursor is None
    assert len(github.requests_matching("CommitPage")) <= 4


def test_no_more_is_read_than_was_asked_for(github: FakeGitHub, shop: Repository) -> None:
    read = shas(github, since=at(COMMITS - 60))
    assert read == list(shop.git.rev_list(str(shop.head())))[: len(read)]
    assert 60 <= len(read) <= 260
