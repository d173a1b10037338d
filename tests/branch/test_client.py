"""What GitHub's failures mean, on a GitHub of our own with faults to switch on."""

from collections.abc import Iterator

import pytest

from dora_metrics.github.client import Client, ForbiddenError, GitHubError, NotFoundError, UnsureError
from fakes.faults import Fault, dropped, hang, partial_errors, primary_limit, secondary_limit, unavailable
from fakes.github import FakeGitHub

SHOP = {"owner": "acme", "name": "shop", "ref": "refs/heads/main"}


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as made:
        made.repository("acme/shop").commit({"a": "1"}, message="Begin")
        yield made


def client(github: FakeGitHub, token: str | None = None, url: str | None = None) -> Client:
    return Client(token or github.token, url or github.api_url, lambda _: None, timeout_seconds=1)


def test_a_query_works_on_a_server_of_ones_own_and_on_github_com(github: FakeGitHub) -> None:
    for url in (github.api_url, github.root_url):
        assert client(github, url=url).query("Head", SHOP)["repository"]["ref"]["target"]["oid"]


@pytest.mark.parametrize("fault", [unavailable(502), unavailable(503), dropped(), hang(2)])
def test_a_query_is_asked_three_times_before_it_is_given_up(github: FakeGitHub, fault: Fault) -> None:
    github.fail(fault, to="Head", times=2)
    one = client(github)
    assert one.query("Head", SHOP)["repository"]["ref"]
    assert one.requests == 3


def test_a_server_that_stays_down_is_said_to_be_down(github: FakeGitHub) -> None:
    github.fail(unavailable(502), to="Head", times=None)
    with pytest.raises(UnsureError, match="502"):
        client(github).query("Head", SHOP)


def test_a_mutation_is_never_sent_twice(github: FakeGitHub) -> None:
    github.fail(unavailable(502), to="*", times=None)
    one = client(github)
    with pytest.raises(UnsureError):
        one.mutate("Append", {"input": {}})
    assert len(github.requests) == 1


@pytest.mark.parametrize(
    "fault", [primary_limit(), primary_limit(kind="RATE_LIMIT"), secondary_limit(retry_after=None)], ids=repr
)
def test_a_rate_limit_is_told_and_not_waited_for(github: FakeGitHub, fault: Fault) -> None:
    github.fail(fault, to="Head", times=None)
    with pytest.raises(GitHubError, match="rate limit"):
        client(github).query("Head", SHOP)


def test_a_partial_answer_is_no_answer(github: FakeGitHub) -> None:
    github.fail(partial_errors("repository"), to="Head")
    with pytest.raises(GitHubError):
        client(github).query("Head", SHOP)


def test_a_wrong_token_is_forbidden_and_not_shown(github: FakeGitHub) -> None:
    one = client(github, token="ghs_wrong")
    with pytest.raises(ForbiddenError) as told:
        one.query("Head", SHOP)
    assert "ghs_wrong" not in str(told.value) + repr(one)


def test_a_repository_that_the_token_may_not_see_is_not_found(github: FakeGitHub) -> None:
    with pytest.raises(NotFoundError):
        client(github).query("Head", {**SHOP, "name": "other"})
