"""What deployments delivered after the history of the code was rewritten, as after a secret was removed from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from fakes.github import FakeGitHub
from support.deploying_shop import DeployingShop, Source
from support.github_history import NOW, at

LEDGERS = ("events", "both", "sync")
"""By events; by a sync in between, events and then a sync; by a sync alone."""


@pytest.fixture(params=["deployments", "releases", "workflow-runs"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeployingShop]:
    source: Source = request.param
    with FakeGitHub(now=lambda: NOW) as github:
        yield DeployingShop(github, tmp_path, source, source)


def rewrite(shop: DeployingShop) -> str:
    """Remove a file from every commit of main, as `git filter-repo` does; return the new head."""
    git, parents = shop.repository.git, list[str]()
    for commit in reversed(shop.repository.log("main")):
        tree = git.amend_tree(commit.tree, {"begin.txt": None})
        parents = [git.write_commit(tree, parents, commit.author, commit.committer, commit.message)]
    shop.repository.branch("main", parents[0])
    return parents[0]


def deploy_before(shop: DeployingShop) -> str:
    """Deploy three commits, and record them by a sync as well; return the head."""
    begin = shop.commit("begin", [], at(-4000))
    first = shop.commit("first", [begin], at(-10))
    shop.deploy(first, at(0), "v1.0.0")
    second = shop.commit("second", [first], at(5))
    shop.deploy(second, at(10), "v1.1.0")
    shop.copy_ledger("events", "both")
    shop.sync("both")
    return second


def deploy_after(shop: DeployingShop, head: str) -> None:
    """Deploy two commits after a history was rewritten, and record them by syncs as well."""
    third = shop.commit("third", [head], at(20))
    shop.deploy(third, at(30), "v1.2.0")
    fourth = shop.commit("fourth", [third], at(36))
    shop.deploy(fourth, at(40), "v1.3.0")
    for name, payload, sha in shop.events[-2:]:
        shop.run("both", name, payload, sha)
    for ledger in ("both", "sync"):
        shop.sync(ledger)


def test_the_next_deployment_is_a_new_baseline_for_events_and_syncs(shop: DeployingShop) -> None:
    deploy_before(shop)
    deploy_after(shop, rewrite(shop))
    expected = {"second": ("v1.1.0", 5.0), "fourth": ("v1.3.0", 4.0)}
    assert {ledger: shop.lead_times(ledger) for ledger in LEDGERS} == dict.fromkeys(LEDGERS, expected)


def test_a_sync_alone_after_the_rewrite_finds_the_same(shop: DeployingShop) -> None:
    deploy_before(shop)
    shop.copy_ledger("both", "sync")
    deploy_after(shop, rewrite(shop))
    assert shop.lead_times("sync") == {"second": ("v1.1.0", 5.0), "fourth": ("v1.3.0", 4.0)}


def test_a_note_says_why_it_has_no_lead_time(shop: DeployingShop) -> None:
    deploy_before(shop)
    deploy_after(shop, rewrite(shop))
    for ledger in LEDGERS:
        notes = " ".join(evaluate_facts(shop.facts(ledger), Policy()).notes)
        assert "1 deployment has no commit in common with any earlier one" in notes
        assert "not known yet" not in notes


def test_it_stays_recorded_and_is_not_requested_again(shop: DeployingShop) -> None:
    deploy_before(shop)
    deploy_after(shop, rewrite(shop))
    facts = {ledger: shop.facts(ledger) for ledger in LEDGERS}
    name, payload, sha = shop.events[-2]
    for ledger in LEDGERS:
        shop.github.requests.clear()
        shop.run(ledger, name, payload, sha)
        assert not [request for request in shop.github.requests if "/compare/" in request.path]
        shop.sync(ledger)
        assert shop.facts(ledger) == facts[ledger]
        (baseline,) = (each for each in facts[ledger] if isinstance(each, Deployment) and each.is_new_baseline)
        assert baseline.sha == sha


def test_where_a_common_commit_is_left_the_rewritten_ones_count_again(shop: DeployingShop) -> None:
    begin = shop.commit("begin", [], at(-4000))
    first = shop.commit("first", [begin], at(-10))
    shop.deploy(first, at(0), "v1.0.0")
    shop.deploy(shop.commit("second", [first], at(5)), at(10), "v1.1.0")
    shop.copy_ledger("events", "both")
    shop.sync("both")
    deploy_after(shop, shop.commit("second, again", [first], at(6)))
    expected = {"second": ("v1.1.0", 5.0), "second, again": ("v1.2.0", 24.0), "third": ("v1.2.0", 10.0)}
    expected["fourth"] = ("v1.3.0", 4.0)
    assert {ledger: shop.lead_times(ledger) for ledger in LEDGERS} == dict.fromkeys(LEDGERS, expected)
