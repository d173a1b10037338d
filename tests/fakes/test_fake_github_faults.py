"""Faults of the fake GitHub as a client sees them, and its permissions and limits."""

import time

import pytest
import requests
from github import Github, GithubException

from fakes.faults import (
    Fault,
    dropped,
    hang,
    latency,
    meanwhile,
    partial_errors,
    primary_limit,
    secondary_limit,
    unavailable,
)
from fakes.github import FakeGitHub
from fakes.plain_requests import COMMIT_MUTATION, HEAD_QUERY, commit_input, get, post_graphql
from fakes.repository import Repository


def test_what_a_token_may_not_do_is_forbidden_and_named_as_on_github(github: FakeGitHub, shop: Repository) -> None:
    token = github.grant(contents="read", issues="none")
    found = post_graphql(github, COMMIT_MUTATION, token, input=commit_input(shop.head(), a="1"))
    assert found["errors"][0]["type"] == "FORBIDDEN"
    assert found["errors"][0]["message"] == "Resource not accessible by integration"
    assert "errors" not in post_graphql(github, HEAD_QUERY, token)
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.post(f"{github.root_url}/repos/acme/shop/issues", json={"title": "x"}, headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["message"]) == (403, "Resource not accessible by integration")


def test_a_private_repository_is_hidden_from_strangers_and_read_only_with_permission(github: FakeGitHub) -> None:
    github.repository("acme/shop", private=True).deployment()
    assert get(github, "", github.grant(repositories={"acme/other"})).status_code == 404
    token = github.grant(deployments="none")
    assert [get(github, path, token).status_code for path in ("/deployments", "/pulls")] == [403, 200]
    query = '{ repository(owner: "acme", name: "shop") { name deployments(first: 1) { totalCount } } }'
    assert post_graphql(github, query, token)["errors"][0]["type"] == "FORBIDDEN"


def test_without_a_valid_token_there_is_no_answer(github: FakeGitHub, shop: Repository) -> None:
    assert get(github, f"/branches/{shop.default_branch}", "ghs_wrong").json()["message"] == "Bad credentials"


def test_the_price_of_a_query_is_taken_from_the_hour_s_budget(github: FakeGitHub, shop: Repository) -> None:
    query = f'{{ rateLimit {{ cost remaining limit }} repository(owner: "acme", name: "{shop.name}") {{ id }} }}'
    assert post_graphql(github, query)["data"]["rateLimit"] == {"cost": 1, "remaining": 999, "limit": 1000}
    github.state.budgets["graphql"].used = 1000
    assert post_graphql(github, query)["errors"][0]["type"] == "RATE_LIMITED"
    github.state.budgets["core"].used = 1000
    assert get(github, "").headers["X-RateLimit-Remaining"] == "0"


def test_a_fault_meets_the_next_requests_of_its_kind_and_no_others(github: FakeGitHub, shop: Repository) -> None:
    github.fail(unavailable(503), to="GET /repos/*/pulls", times=2)
    paths = ["/deployments", "/pulls", "/pulls", "/pulls"]
    assert [get(github, path).status_code for path in paths] == [200, 503, 503, 200]
    assert [logged.status for logged in github.requests_matching("GET *")] == [200, 503, 503, 200]
    assert shop.head()


def test_pygithub_tries_a_read_again_after_502(github: FakeGitHub, client: Github, shop: Repository) -> None:
    github.fail(unavailable(502))
    assert client.get_repo("acme/shop").id == shop.database_id
    assert len(github.requests) == 2


def test_latency_delays_and_a_hanging_request_gets_no_answer(github: FakeGitHub, shop: Repository) -> None:
    github.fail(latency(0.2), to="Head")
    start = time.monotonic()
    assert post_graphql(github, HEAD_QUERY)["data"]["repository"]["id"] == shop.id
    assert time.monotonic() - start >= 0.2
    github.fail(hang(), to="Head")
    with pytest.raises(requests.exceptions.ReadTimeout):
        post_graphql(github, HEAD_QUERY, timeout=0.2)


@pytest.mark.parametrize(
    ("fault", "commits"),
    [
        (dropped(), 1),
        (dropped(applied=True), 2),
        (unavailable(), 1),
        (unavailable(applied=True), 2),
        (hang(seconds=0.1), 1),
        (hang(seconds=0.1, applied=True), 2),
    ],
)
def test_a_write_may_be_lost_before_or_after_it_was_done(
    github: FakeGitHub, shop: Repository, fault: Fault, commits: int
) -> None:
    given = commit_input(shop.head(), a="1")
    github.fail(fault, to="createCommitOnBranch")
    with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.HTTPError)):
        post_graphql(github, COMMIT_MUTATION, input=given)
    assert len(shop.log()) == commits


def test_the_primary_limit_is_403_in_rest_and_200_in_graphql(
    github: FakeGitHub, client: Github, shop: Repository
) -> None:
    github.fail(primary_limit(reset_in=60), times=2)
    answer = get(github, "/pulls")
    assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert post_graphql(github, HEAD_QUERY)["errors"][0]["type"] == "RATE_LIMITED"
    github.fail(primary_limit(status=429), to="GET /repos/acme/shop")
    with pytest.raises(GithubException) as limited:
        client.get_repo(shop.name_with_owner)
    assert limited.value.status == 429


def test_the_secondary_limit_says_when_to_come_back(github: FakeGitHub, shop: Repository) -> None:
    github.fail(secondary_limit(retry_after=7))
    answer = get(github, f"/branches/{shop.default_branch}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (403, "7")
    assert answer.json()["message"].startswith("You have exceeded a secondary rate limit")


def test_an_answer_may_hold_data_and_errors(github: FakeGitHub, shop: Repository) -> None:
    github.fail(partial_errors("repository.defaultBranchRef"), to="Head")
    found = post_graphql(github, HEAD_QUERY)
    assert found["data"] == {"repository": {"id": shop.id, "defaultBranchRef": None}}
    assert found["errors"][0]["path"] == ["repository", "defaultBranchRef"]
    github.fail(partial_errors(), to="Head")
    assert post_graphql(github, HEAD_QUERY)["data"] is None


def test_a_fault_may_wait_for_a_later_request(github: FakeGitHub, shop: Repository) -> None:
    seen: list[int] = []
    github.fail(meanwhile(lambda: seen.append(len(shop.log())), applied=True), to="createCommitOnBranch", skip=1)
    for _ in range(2):
        post_graphql(github, COMMIT_MUTATION, input=commit_input(shop.head(), a="1"))
    assert seen == [3]


def test_something_else_may_happen_just_before(github: FakeGitHub, shop: Repository) -> None:
    shop.branch("data")
    github.fail(meanwhile(lambda: shop.delete_branch("data")), to="createCommitOnBranch")
    assert (
        post_graphql(github, COMMIT_MUTATION, input=commit_input(shop.head(), "data", a="1"))["errors"][0]["type"]
        == "NOT_FOUND"
    )


def test_the_log_tells_operation_size_and_status(github: FakeGitHub, shop: Repository) -> None:
    post_graphql(github, COMMIT_MUTATION, input=commit_input(shop.head(), a="1"))
    (logged,) = github.requests_matching("createCommitOnBranch")
    assert (logged.operation, logged.fields, logged.status) == ("Record", ("createCommitOnBranch",), 200)
    assert logged.received_bytes > len(COMMIT_MUTATION)
    assert 0 < logged.sent_bytes < 500
