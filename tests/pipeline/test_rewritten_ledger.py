"""The ledger branch is deleted, or an older one is put in its place, while a sync reads what is new."""

from datetime import timedelta

import pytest

from fakes.faults import Fault, meanwhile, unavailable
from support.github_history import deploy
from support.sync_shop import SyncShop

BRANCH, HOUR = "dora-metrics", timedelta(hours=1)
HOURS_UNTIL_NOW = 81 * 24
APPEND = "createCommitOnBranch"


def deploy_many(shop: SyncShop, number: int, hours: float) -> None:
    """Deploy as many times as pages of the newest items do not show, from so many hours after `NOW` on."""
    for minute in range(number):
        deploy(shop.repository, HOURS_UNTIL_NOW + hours + minute / 100)


def linked_facts(shop: SyncShop) -> dict[str, dict[str, object]]:
    """The facts as they are counted: `observed_at` only says which record of a fact is the later one."""
    return {fact_id: {**fact, "observed_at": None} for fact_id, fact in shop.facts().items()}


@pytest.mark.parametrize("way", ["deleted", "put back"])
def test_what_a_rewritten_ledger_lacks_comes_back(sync_shop: SyncShop, way: str) -> None:
    shop, repository = sync_shop, sync_shop.repository
    shop.run()
    older = str(repository.head(BRANCH))
    deploy_many(shop, 150, hours=1)
    shop.merge_and_deploy(HOURS_UNTIL_NOW // 24 + 1)
    shop.run(delay=40 * HOUR)
    before = linked_facts(shop)
    deploy_many(shop, 1, hours=41)

    def rewrite() -> None:
        repository.delete_branch(BRANCH) if way == "deleted" else repository.git.set_ref(f"refs/heads/{BRANCH}", older)

    shop.github.fail(meanwhile(rewrite), to=APPEND)
    ran = shop.run(delay=43 * HOUR)
    assert "The ledger was rewritten during this run" in ran.summary
    shop.run(delay=67 * HOUR)
    after = linked_facts(shop)
    assert len(after) == len(before) + 1
    assert {fact_id: after[fact_id] for fact_id in before} == before


@pytest.mark.parametrize("fault", [unavailable(502, applied=True), meanwhile(lambda: None)], ids=["unanswered", "none"])
def test_a_ledger_that_nobody_rewrote_is_not_read_again(sync_shop: SyncShop, fault: Fault) -> None:
    shop = sync_shop
    shop.run()
    deploy_many(shop, 150, hours=1)
    shop.github.fail(fault, to=APPEND)
    shop.run(delay=40 * HOUR)
    shop.run(delay=64 * HOUR)
    assert "DeploymentPage" not in shop.requested_operations
