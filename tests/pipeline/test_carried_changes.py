"""Pull requests that only carry others, and merges without one: events and `sync` find what reverts them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from fakes.github import FakeGitHub
from support.deploying_shop import DeployingShop
from support.github_history import NOW, at

LEDGERS = ("events", "sync")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[DeployingShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        shop = DeployingShop(github, tmp_path, "deployments", "deployments")
        shop.deploy(shop.commit("begin", [], at(0)), at(1), "v1.0.0")
        yield shop


def failed_versions(shop: DeployingShop, ledger: str) -> list[str | None]:
    (history,) = evaluate_facts(shop.facts(ledger), Policy()).histories
    return [failure.deployment.version for failure in history.failures]


def deploy_release(shop: DeployingShop) -> str:
    """Merge two features into `develop`, and that into `main` with pull request #3; return the merge."""
    develop = str(shop.repository.head("main"))
    shop.repository.branch("develop", develop)
    for title, hours in (("one", 10), ("two", 34)):
        shop.commit(title, [str(shop.repository.head("develop"))], at(hours), f"feature-{title}")
        pull = shop.repository.pull(title, branch=f"feature-{title}", base="develop", created_at=at(hours + 1))
        shop.repository.merge_pull(pull, method="squash", at=at(hours + 2))
    promotion = shop.repository.pull("Release", branch="develop", created_at=at(80))
    merged = shop.repository.merge_pull(promotion, method="merge", at=at(81))
    shop.deploy(merged, at(82), "v1.1.0")
    return merged


@pytest.mark.parametrize("named", ["#1", "#3"])
def test_a_release_pull_request_is_reverted_as_its_parts_are(shop: DeployingShop, named: str) -> None:
    shop.commit("undo", [deploy_release(shop)], at(83), "revert-3-develop")
    body = f"Reverts acme/shop{named}"
    undo = shop.repository.pull("Undo", branch="revert-3-develop", created_at=at(84), body=body)
    shop.deploy(shop.repository.merge_pull(undo, method="merge", at=at(85)), at(86), "v1.1.1")
    shop.sync("sync")
    assert [failed_versions(shop, ledger) for ledger in LEDGERS] == [["v1.1.0"]] * 2


def test_a_deployed_merge_without_a_pull_request_is_reverted_where_it_came(shop: DeployingShop) -> None:
    begin = str(shop.repository.head("main"))
    merged = shop.commit("Merge branch 'feature'", [begin, shop.commit("work", [begin], at(10), "feature")], at(12))
    shop.deploy(merged, at(13), "v1.1.0")
    message = f"Take it back\n\nThis reverts commit {merged}, reversing\nchanges made to {begin}."
    shop.deploy(shop.commit(message, [merged], at(20)), at(21), "v1.1.1")
    shop.sync("sync")
    assert [failed_versions(shop, ledger) for ledger in LEDGERS] == [["v1.1.0"]] * 2
