"""What a reading costs: requests, points of GraphQL, time; and that a second reading costs next to nothing."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from dora_metrics.core.reconciling import news
from dora_metrics.github import queries
from fakes import schema
from fakes.faults import latency
from fakes.github import FakeGitHub
from fakes.records import Deployment
from fakes.repository import Repository
from support.worlds import NOW, after, at, deployed, read

PULLS, COMMITS, DEPLOYMENTS, ISSUES = 350, 900, 150, 70
BUDGET = 25
HOWS = ("squash", "merge", "rebase")
WIDEST: dict[str, Any] = {"first": 100, "owner": "acme", "name": "shop", "ids": [], "open": []}


@pytest.fixture(scope="module")
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(now=lambda: NOW) as made:
        grown(made.repository("acme/shop"))
        yield made


def grown(shop: Repository) -> None:
    """350 closed pull requests, a tenth of them not merged; 900 commits, 150 deployments, 70 issues."""
    for number in range(PULLS):
        hours = number + 1.0
        direct = [] if number % 10 == 9 else range(2 if number % 3 == 1 else 1)
        for _ in direct:
            shop.commit({"direct.txt": str(time.time_ns())}, message="By hand", author_date=at(hours - 0.9))
        pull = shop.pull(f"Pull {number}", files={f"{number % 50}.txt": str(number)}, created_at=at(hours - 1))
        if number % 10 == 9:
            pull.closed_at = pull.updated_at = at(hours)
            continue
        shop.review(pull, at=at(hours - 0.5))
        shop.merge_pull(pull, how=HOWS[number % 3], at=at(hours))  # type: ignore[arg-type]
        if number % 7 == 0:
            deployed(shop, hours + 0.2)
    while len(shop.git.walk(str(shop.head()))) < COMMITS:
        shop.commit({"direct.txt": str(time.time_ns())}, message="By hand", author_date=at(PULLS + 1))
    for number in range(DEPLOYMENTS - len(shop.every(Deployment))):
        deployed(shop, number * 3 + 1.5, environment="staging")
    for number in range(ISSUES):
        shop.issue(f"Issue {number}", labels=["incident"], created_at=at(number), closed_at=at(number + 1))


def test_a_year_of_work_is_read_in_25_requests_and_5_seconds_at_100_ms_each(github: FakeGitHub) -> None:
    github.fail(latency(0.1), times=None)
    github.requests.clear()
    used = github.world.budgets["graphql"].used
    began = time.monotonic()
    found = read(github)
    took = time.monotonic() - began
    github.heal()
    assert found.gathered.failures == []
    assert found.requests == len(github.requests) <= BUDGET
    assert took <= 5
    assert github.world.budgets["graphql"].used - used <= 50, "of 1,000 an hour"
    assert sum(1 for fact in found.changes if fact.startswith("github:pull:")) == PULLS - PULLS // 10
    assert len(found.deployments) == DEPLOYMENTS
    assert len(found.incidents) == ISSUES
    production = [one for one in found.deployments.values() if one.environment == "production"]
    assert sum(1 for one in production if one.changes is not None) == len(production) - 1


def test_the_second_reading_is_one_request_that_finds_nothing_new(github: FakeGitHub) -> None:
    first = read(github)
    ledger = after({}, first)
    second = read(github, cursors=first.cursors, ledger=ledger, known=frozenset({"deployments"}))
    assert second.requests == 1
    assert news(ledger, second.facts.values()) == ()


def test_later_a_few_changes_cost_no_more(github: FakeGitHub) -> None:
    first = read(github)
    ledger = after({}, first)
    home = github.world.repositories["acme/shop"]
    pull = home.pull("One more", files={"more.txt": "1"}, created_at=at(500))
    sha = home.merge_pull(pull, at=at(501))
    identity = deployed(home, 502, sha=sha)
    second = read(github, cursors=first.cursors, ledger=ledger, known=frozenset({"deployments"}))
    assert second.requests <= 4
    found = {fact.id: fact for fact in news(ledger, second.facts.values())}
    assert f"github:pull:acme/shop#{pull.number}" in (second.deployments[identity].changes or ())
    assert {identity, f"github:pull:acme/shop#{pull.number}"} <= found.keys()


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("News", 3),
        ("Home", 1),
        ("PastPulls", 3),
        ("PastCommits", 2),
        ("PastDeployments", 1),
        ("PastReleases", 1),
        ("PastIssues", 2),
    ],
)
def test_no_query_comes_near_githubs_limits(name: str, points: int) -> None:
    """https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api."""
    size = schema.size(schema.read(queries.text(name)), name, WIDEST)
    assert size.nodes <= schema.NODE_LIMIT / 20
    assert size.cost <= points
