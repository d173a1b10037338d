"""Open pull requests that hold the commits of a release branch: anybody may open them, and they change no number."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.github import associated_pulls
from fakes.github import FakeGitHub
from support.deploying_shop import DeployingShop
from support.github_history import NOW, at


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[DeployingShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        shop = DeployingShop(github, tmp_path, "deployments", "deployments")
        begin = shop.commit("begin", [], at(0))
        shop.repository.branch("prod", begin)
        shop.deploy(begin, at(1), "v1")
        shop.deploy(shop.commit("first", [begin], at(2), "prod"), at(3), "v2")
        yield shop


def open_pulls_of_strangers(shop: DeployingShop, sha: str, count: int, hours: float) -> None:
    """Open pull requests into the default branch, all from the same commit."""
    for number in range(count):
        branch = f"fork-{hours}-{number}"
        shop.repository.branch(branch, sha)
        shop.repository.pull(f"Mine {number}", branch=branch, created_at=at(hours + number / 1_000), author="stranger")


def merge_fix(shop: DeployingShop, method: Literal["squash", "merge"], before: int = 0, after: int = 0) -> str:
    """Merge a pull request of three commits into the release branch; strangers open others before and after that."""
    head = str(shop.repository.head("prod"))
    for number in range(3):
        head = shop.commit(f"part {number}", [head], at(4 + number), "fix")
    open_pulls_of_strangers(shop, head, before, hours=8)
    pull = shop.repository.pull("Fix", branch="fix", base="prod", created_at=at(10), labels=["hotfix"])
    sha = shop.repository.merge_pull(pull, method, at=at(12))
    open_pulls_of_strangers(shop, sha, after, hours=13)
    shop.deploy(sha, at(20), "v3")
    return f"github:pull:acme/shop#{pull.number}"


def delivered(shop: DeployingShop, ledger: str) -> tuple[str, ...] | None:
    """What the newest deployment delivered."""
    deployments = [fact for fact in shop.facts(ledger) if isinstance(fact, Deployment)]
    return max(deployments, key=lambda deployment: deployment.finished_at).changes


def failed_versions(shop: DeployingShop, ledger: str) -> list[str | None]:
    (history,) = evaluate_facts(shop.facts(ledger), Policy()).histories
    return [failure.deployment.version for failure in history.failures]


@pytest.mark.parametrize(
    ("method", "before", "after"),
    [("squash", 0, 10), ("merge", 0, 10), ("merge", 10, 0), ("squash", 0, 115), ("merge", 115, 115)],
)
def test_a_deployed_release_branch_delivered_what_was_merged_however_many_pull_requests_strangers_open(
    shop: DeployingShop, method: Literal["squash", "merge"], before: int, after: int
) -> None:
    change_id = merge_fix(shop, method, before, after)
    shop.sync("sync")
    for ledger in ("events", "sync"):
        assert delivered(shop, ledger) == (change_id,)
        assert failed_versions(shop, ledger) == ["v2"], "what the hotfix repaired"


def test_no_more_requests_are_sent_where_there_are_only_a_few(shop: DeployingShop) -> None:
    merge_fix(shop, "merge", before=4, after=5)
    shop.sync("sync")
    assert not shop.github.requests_matching("AssociatedPulls")


def test_if_they_are_more_than_a_run_may_read_what_was_delivered_is_unknown_until_they_are_fewer(
    shop: DeployingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(associated_pulls, "_MAX_REQUESTS", 1)
    change_id = merge_fix(shop, "squash", after=115)
    ran = shop.sync("sync")
    assert "more pull requests hold its commits than 1 requests can list" in ran.summary
    for ledger in ("events", "sync"):
        assert delivered(shop, ledger) is None
    monkeypatch.undo()
    for ledger in ("events", "sync"):
        shop.sync(ledger)
        assert delivered(shop, ledger) == (change_id,)
