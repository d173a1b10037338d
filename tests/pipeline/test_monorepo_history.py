"""A sync of a monorepo: which services its commits touch comes with the pages of commits that are read anyway."""

import json
from collections.abc import Iterable
from typing import Literal

import pytest

from dora_metrics.pipeline import sync
from fakes.faults import unavailable
from support.github_history import at, deploy
from support.many_repositories import DEPLOYMENTS_OF_SERVICE, MONOREPO_CONFIG, SERVICES, fill_monorepo
from support.sync_shop import SyncShop, records_on_branch

PATHS = {"checkout": ["services/checkout/**", "libs/payments/**", "!**/*.md"], "web": "web/**"}


class MonorepoShop:
    """acme/shop with two services, from hour 300 on."""

    def __init__(self, shop: SyncShop) -> None:
        self.shop, self.repository, self.hours = shop, shop.repository, 300.0
        self.commit(".github/dora.yml", content=json.dumps({"services": PATHS}))
        for service in ("web", "checkout", None):
            self.deploy(service)

    def commit(self, *paths: str, content: str = "") -> None:
        self.hours += 1
        files = {path: content or f"{path} {self.hours}" for path in paths}
        self.repository.commit(files, message=f"Commit {self.hours}", author_date=at(self.hours))

    def pull(self, *paths: str, method: Literal["squash", "merge", "rebase"] = "squash") -> None:
        self.hours += 1
        files = {path: f"{path} {self.hours}" for path in paths}
        pull = self.repository.pull(f"Pull {self.hours}", files=files, created_at=at(self.hours - 1))
        self.repository.merge_pull(pull, method=method, at=at(self.hours))

    def deploy(self, service: str | None, sha: str | None = None) -> None:
        self.hours += 1
        deploy(self.repository, self.hours, sha=sha, payload={"service": service} if service else "")

    def sync(self, branch: str) -> dict[str, dict[str, object]]:
        """Sync into a ledger; return of its deployments and changes what does not depend on when they were read."""
        ran = self.shop.run(ledger=f"branch:{branch}", security="none")
        assert ran.code == 0
        keys = ("changes", "previous", "commit_count", "descends_from", "service")
        records = records_on_branch(self.repository, branch)
        return {fact_id: {key: fact.get(key) for key in keys} for fact_id, fact in records.items()}

    def requests_of(self, *operations: str) -> int:
        return sum(operation in operations for operation in self.shop.requested_operations)


COMPARISONS = ("PullsByCommit", "CommitsByPath")


def deliver_changes_of_all_kinds(monorepo: MonorepoShop) -> None:
    monorepo.commit("web/direct.txt")
    monorepo.commit("web/both.txt", "services/checkout/both.txt")
    monorepo.commit("README.md")
    monorepo.pull("web/a.txt")
    monorepo.deploy("web")
    monorepo.pull("libs/payments/a.txt", "libs/payments/b.md", method="merge")
    monorepo.pull("services/checkout/notes.md")
    monorepo.pull(*(f"web/{number}.txt" for number in range(101)))
    monorepo.pull("web/b.txt", "services/checkout/b.txt", method="rebase")
    monorepo.deploy("checkout")
    monorepo.deploy(None)
    monorepo.commit("libs/payments/c.txt")
    monorepo.deploy("web")
    monorepo.deploy("checkout")


def deployed_changes(facts: Iterable[dict[str, object]]) -> list[object]:
    return [fact["changes"] for fact in facts if fact["previous"]]


def test_the_pages_of_commits_tell_what_comparisons_tell(sync_shop: SyncShop) -> None:
    monorepo = MonorepoShop(sync_shop)
    deliver_changes_of_all_kinds(monorepo)
    by_pages = monorepo.sync("pages")
    assert monorepo.requests_of(*COMPARISONS) == 0
    sync_shop.github.fail(unavailable(502), to="CommitPageWithFolders", times=None)
    by_comparisons = monorepo.sync("comparisons")
    assert monorepo.requests_of(*COMPARISONS) > 0
    assert by_pages == by_comparisons
    assert all(deployed_changes(by_pages.values()))


def test_a_later_sync_reads_the_files_of_pull_requests_that_an_earlier_one_read(
    sync_shop: SyncShop,
) -> None:
    monorepo = MonorepoShop(sync_shop)
    monorepo.commit("web/direct.txt")
    monorepo.deploy("web")
    monorepo.sync("later")
    for number in range(30):
        monorepo.pull(f"web/{number}.txt", f"services/checkout/{number}.txt")
    monorepo.sync("later")
    for number in range(26):
        monorepo.pull(f"README{number}.md")
    monorepo.sync("later")
    monorepo.deploy("web")
    later = monorepo.sync("later")
    assert monorepo.requests_of(*COMPARISONS) == 0
    assert monorepo.requests_of("PullsById") == 1
    assert max(len(changes) for fact in later.values() if isinstance(changes := fact["changes"], list)) == 30


def test_a_commit_beside_the_default_branch_is_compared(sync_shop: SyncShop) -> None:
    monorepo = MonorepoShop(sync_shop)
    side = monorepo.repository.commit(
        {"web/side.txt": "x"}, message="Side", branch="release", author_date=at(monorepo.hours)
    )
    monorepo.commit("web/main.txt")
    monorepo.deploy("web", side)
    synced = monorepo.sync("side")
    assert monorepo.requests_of(*COMPARISONS) > 0
    assert [f"commit:{side}"] in deployed_changes(synced.values())


def test_corrected_paths_correct_what_was_compared_also_if_the_sync_that_first_sees_them_is_killed(
    sync_shop: SyncShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_MAX_UNSAVED_FACTS", 1)
    monorepo = MonorepoShop(sync_shop)
    side = monorepo.repository.commit(
        {"site/side.txt": "x"}, message="Side", branch="release", author_date=at(monorepo.hours)
    )
    monorepo.deploy("web", side)
    assert [f"commit:{side}"] not in deployed_changes(monorepo.sync("killed").values())
    monorepo.commit(".github/dora.yml", content=json.dumps({"services": {**PATHS, "web": ["web/**", "site/**"]}}))
    monorepo.pull("web/a.txt")
    sync_shop.github.fail(unavailable(502), to="createCommitOnBranch", times=None, skip=1)
    sync_shop.run(ledger="branch:killed", security="none")
    sync_shop.github.heal()
    corrected = monorepo.sync("killed")
    assert [f"commit:{side}"] in deployed_changes(corrected.values())
    assert corrected == monorepo.sync("whole")
    monorepo.sync("killed")
    assert monorepo.requests_of(*COMPARISONS) == 0


def test_a_monorepo_of_ten_services_costs_few_requests(sync_shop: SyncShop) -> None:
    sync_shop.repository.commit({".github/dora.yml": MONOREPO_CONFIG}, message="Services")
    fill_monorepo(sync_shop.github.repository("acme/mono"))
    sync_shop.run(repositories="acme/mono")
    assert len(sync_shop.github.requests) <= 45
    facts = records_on_branch(sync_shop.repository, "dora-metrics").values()
    compared = [fact for fact in facts if fact["kind"] == "deployment" and fact["changes"]]
    assert len(compared) == SERVICES * (DEPLOYMENTS_OF_SERVICE - 1)
    sync_shop.run(repositories="acme/mono")
    assert len(sync_shop.github.requests) <= 4
