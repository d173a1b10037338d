"""Many pull requests that are all to be read are read from both ends."""

from datetime import timedelta

import pytest

from dora_metrics.github.history import HistoryPart
from fakes.faults import dropped, meanwhile, primary_limit, unavailable
from fakes.github import FakeGitHub
from fakes.records import PullRequest
from fakes.repository import Repository
from support.github_history import NOW, ledger_after, read_fake_history
from support.many_repositories import add_merged_pull

PULLS = 720


@pytest.fixture
def shop(github: FakeGitHub) -> Repository:
    repository = github.repository("acme/shop")
    for number in range(PULLS):
        add_merged_pull(repository, f"Pull {number}", NOW - timedelta(hours=PULLS - number))
    return repository


def test_each_pull_request_is_read_and_nothing_is_left(github: FakeGitHub, shop: Repository) -> None:
    found = read_fake_history(github)
    assert len(found.changes) == PULLS
    assert found.cursors["pulls"].after is None
    assert found.cursors["pulls"].newest == max(pull.updated_at for pull in shop.records_of(PullRequest))
    assert 7 <= len(github.requests_matching("PullPage")) <= 9


@pytest.mark.parametrize("skip", [0, 3, 6])
@pytest.mark.parametrize("fault", [unavailable(502), dropped(), primary_limit()], ids=["down", "dropped", "limit"])
def test_whatever_page_fails_the_next_reading_has_the_rest(
    github: FakeGitHub, shop: Repository, fault: object, skip: int
) -> None:
    del shop
    github.fail(fault, to="PullPage", times=None, skip=skip)  # type: ignore[arg-type]
    first = read_fake_history(github)
    ledger = ledger_after({}, first)
    github.heal()
    second = read_fake_history(github, cursors=first.cursors, ledger=ledger)
    changes = [fact for fact in ledger_after(ledger, second) if fact.startswith("github:pull:")]
    assert len(changes) == PULLS


@pytest.mark.parametrize("skip", [0, 2, 4, 6])
def test_what_changes_while_it_is_read_comes_with_the_next_reading(
    github: FakeGitHub, shop: Repository, skip: int
) -> None:
    pulls = sorted(shop.records_of(PullRequest), key=lambda pull: pull.updated_at)

    def change_one_in_the_middle() -> None:
        pull = pulls[PULLS // 2 + skip]
        pull.title, pull.updated_at = "Changed", NOW

    github.fail(meanwhile(change_one_in_the_middle), to="PullPage", skip=skip)
    first = read_fake_history(github)
    ledger = ledger_after({}, first)
    second = read_fake_history(github, cursors=first.cursors, ledger=ledger)
    after = ledger_after(ledger, second)
    assert len([fact for fact in after if fact.startswith("github:pull:")]) == PULLS
    assert "Changed" in {getattr(fact, "title", "") for fact in after.values()}


def test_if_some_are_too_old_they_are_read_from_the_newest_on(github: FakeGitHub, shop: Repository) -> None:
    del shop
    found = read_fake_history(github, since=NOW - timedelta(hours=600))
    reached = [part.reached for part in found.parts if isinstance(part, HistoryPart) and part.kind == "pulls"]
    assert reached == sorted(filter(None, reached), reverse=True)
    assert len(github.requests_matching("PullPage")) == 6
