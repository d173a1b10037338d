"""Cost of reading a history: requests and GraphQL points; a second read costs almost nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from dora_metrics.core.facts.merge import changed_facts
from dora_metrics.github import queries
from fakes import schema
from fakes.github import FakeGitHub
from support.github_history import NOW, at, deploy, ledger_after, read_fake_history
from support.large_repository import DEPLOYMENT_COUNT, ISSUE_COUNT, PULL_COUNT, fill_repository
from support.many_repositories import fill_organisation

REQUEST_BUDGET = 25
WIDEST_VARIABLES: dict[str, Any] = {"first": 100, "owner": "acme", "name": "shop", "ids": [], "open": []}


@pytest.fixture(scope="module")
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(now=lambda: NOW) as made:
        fill_repository(made.repository("acme/shop"))
        yield made


def test_a_year_of_work_is_read_in_25_requests(github: FakeGitHub) -> None:
    """The time that it takes is measured by `make bench`."""
    github.requests.clear()
    used = github.state.budgets["graphql"].used
    found = read_fake_history(github)
    assert found.gathered.failures == []
    assert found.requests == len(github.requests) <= REQUEST_BUDGET
    assert github.state.budgets["graphql"].used - used <= 50, "of 1,000 an hour"
    assert sum(1 for fact in found.changes if fact.startswith("github:pull:")) == PULL_COUNT - PULL_COUNT // 10
    assert len(found.deployments) == DEPLOYMENT_COUNT
    assert len(found.incidents) == ISSUE_COUNT
    production = [one for one in found.deployments.values() if one.environment == "production"]
    assert sum(1 for one in production if one.changes is not None) == len(production) - 1


def test_the_second_reading_is_one_request_that_finds_nothing_new(github: FakeGitHub) -> None:
    first = read_fake_history(github)
    ledger = ledger_after({}, first)
    second = read_fake_history(github, cursors=first.cursors, ledger=ledger, known_sources=frozenset({"deployments"}))
    assert second.requests == 1
    assert changed_facts(ledger, second.facts.values()) == ()


def test_security_alerts_cost_one_request_more(github: FakeGitHub) -> None:
    """With the two requests that read the ledger, a second sync makes four in total."""
    first = read_fake_history(github, security="auto")
    assert first.requests <= REQUEST_BUDGET - 4, "what reads and begins a ledger comes on top"
    second = read_fake_history(github, cursors=first.cursors, known_sources=frozenset({"deployments"}), security="auto")
    assert second.requests == 2


def test_later_a_few_changes_cost_no_more(github: FakeGitHub) -> None:
    first = read_fake_history(github)
    ledger = ledger_after({}, first)
    home = github.state.repositories["acme/shop"]
    pull = home.pull("One more", files={"more.txt": "1"}, created_at=at(500))
    sha = home.merge_pull(pull, at=at(501))
    identity = deploy(home, 502, sha=sha)
    second = read_fake_history(github, cursors=first.cursors, ledger=ledger, known_sources=frozenset({"deployments"}))
    assert second.requests <= 4
    found = {fact.id: fact for fact in changed_facts(ledger, second.facts.values())}
    assert f"github:pull:acme/shop#{pull.number}" in (second.deployments[identity].changes or ())
    assert {identity, f"github:pull:acme/shop#{pull.number}"} <= found.keys()


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("NewestItems", 3),
        ("RepositoryInfo", 1),
        ("PullPage", 3),
        ("CommitPage", 2),
        ("DeploymentPage", 1),
        ("ReleasePage", 1),
        ("IssuePage", 2),
        ("AssociatedPulls", 1),
    ],
)
def test_no_query_comes_near_githubs_limits(name: str, points: int) -> None:
    """https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api."""
    variables = {**WIDEST_VARIABLES, **({"first": 40, "extent": True} if name == "NewestItems" else {})}
    size = schema.query_size(schema.parse_query(queries.load(name)), name, variables)
    assert size.nodes <= schema.NODE_LIMIT / 20
    assert size.cost <= points


def test_a_small_repository_is_first_read_in_three_requests() -> None:
    """One for the newest items, one for older commits, and one for alerts."""
    with FakeGitHub(now=lambda: NOW) as github:
        fill_organisation(github, 1)
        found = read_fake_history(github, security="auto")
    assert found.requests == 3
    assert len([fact for fact in found.changes if fact.startswith("github:pull:")]) == 30
    assert len(found.deployments) == 30
