"""A long sync writes what it has read in steps, and everything that is computed from it once, at the end."""

from datetime import timedelta

import pytest

from dora_metrics.core.ledger.layout import (
    CHECKPOINT_FILE,
    CURSORS_FILE,
    EVIDENCE_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    PAGE_FILE,
    PUBLISHED_FILE,
)
from dora_metrics.pipeline import sync
from fakes.faults import unavailable
from support.github_history import NOW
from support.sync_shop import SyncShop

BRANCH = "dora-metrics"


@pytest.fixture(autouse=True)
def _write_after_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "_MAX_UNSAVED_FACTS", 1)


def written_files(shop: SyncShop) -> list[set[str]]:
    """The files that each commit of the ledger has changed or removed, the oldest commit first."""
    git = shop.repository.git
    shas = git.rev_list("--reverse", str(shop.repository.head(BRANCH)))
    return [set(git.run("show", "--format=", "--name-only", "-m", "--root", sha).split()) for sha in shas]


def test_steps_write_facts_and_cursors_and_the_end_writes_the_rest(sync_shop: SyncShop) -> None:
    sync_shop.run(since="all")
    *steps, end = written_files(sync_shop)
    allowed = {"README.md", "sequence", CURSORS_FILE}
    assert len(steps) > 1
    assert all(path in allowed or path.startswith("facts/") for step in steps for path in step)
    assert {METRICS_FILE, PAGE_FILE} <= end
    assert len(sync_shop.github.requests_matching("Ledger")) == 1


def test_a_later_sync_without_news_reads_the_ledger_once_and_writes_nothing(sync_shop: SyncShop) -> None:
    sync_shop.run(since="all")
    commits = len(written_files(sync_shop))
    sync_shop.run(since="all")
    assert len(written_files(sync_shop)) == commits
    assert len(sync_shop.github.requests_matching("Ledger")) == 1


@pytest.mark.parametrize("writes", range(4))
def test_a_sync_that_is_stopped_after_any_step_loses_and_doubles_nothing(sync_shop: SyncShop, writes: int) -> None:
    sync_shop.run(since="all", ledger="branch:unbroken")
    expected = sync_shop.repository.read(METRICS_FILE, "unbroken")
    sync_shop.github.fail(unavailable(502), to="createCommitOnBranch", times=None, skip=writes)
    sync_shop.run(since="all")
    sync_shop.github.heal()
    sync_shop.run(since="all")
    assert len(sync_shop.facts()) == 12
    assert all(fact["changes"] for fact in list(sync_shop.facts().values()) if fact.get("previous"))
    assert sync_shop.repository.read(METRICS_FILE, BRANCH) == expected


def test_a_checkpoint_that_does_not_fit_the_facts_any_more_is_removed_with_the_first_step(sync_shop: SyncShop) -> None:
    later = timedelta(days=200)
    sync_shop.run(delay=later, since="all")
    assert sync_shop.repository.read(CHECKPOINT_FILE, BRANCH)
    before = len(written_files(sync_shop))
    pull = sync_shop.repository.pull("Late", files={"late.txt": "x"}, created_at=NOW - timedelta(days=80))
    sync_shop.repository.merge_pull(pull, at=NOW - timedelta(days=80))
    pull.updated_at = NOW + later
    sync_shop.run(delay=later, since="all")
    first, *_, last = written_files(sync_shop)[before:]
    assert CHECKPOINT_FILE in first
    assert PAGE_FILE not in first
    assert CHECKPOINT_FILE in last
    assert sync_shop.repository.read(CHECKPOINT_FILE, BRANCH)


def test_the_sync_after_an_event_brings_the_page_up_to_date_though_the_ledger_was_just_written(
    sync_shop: SyncShop,
) -> None:
    sync_shop.run()
    deployed = {
        "environment": "production", "service": "web", "status": "success", "version": "9.1",
        "sha": sync_shop.repository.head("main"), "finished_at": f"{NOW + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip
    payload = {"action": "dora-deployment", "client_payload": deployed}
    sync_shop.run("repository_dispatch", payload, delay=timedelta(days=1))
    assert b'"9.1"' not in (sync_shop.repository.read(PAGE_FILE, BRANCH) or b"")
    sync_shop.run(delay=timedelta(days=1, minutes=17))
    assert b'"9.1"' in (sync_shop.repository.read(PAGE_FILE, BRANCH) or b"")
    assert {PAGE_FILE, HISTORY_FILE, EVIDENCE_FILE, PUBLISHED_FILE} <= written_files(sync_shop)[-1]
    commits = len(written_files(sync_shop))
    sync_shop.run(delay=timedelta(days=1, minutes=34))
    assert len(written_files(sync_shop)) == commits
