"""A sync when GitHub never answers one kind of request in time: what it read otherwise is recorded."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.faults import Fault, ReplacedAnswer, RequestInFlight
from fakes.github import FakeGitHub
from fakes.routing import Answer
from support.runs import NOW, ActionRun, PausedClock, run_action
from support.sync_shop import SyncShop

ALERTS = "GET /repos/acme/shop/*/alerts"


@dataclass
class too_slow(Fault):  # noqa: N801 - read as a verb
    """GitHub gives up after some seconds, with 502; pages of at most `max_page_size` items it answers at once."""

    clock: PausedClock
    seconds: float = 10
    max_page_size: int = 0
    page_sizes: list[int] = field(default_factory=list)

    def before(self, in_flight: RequestInFlight) -> None:
        body = in_flight.request.body
        page_size = json.loads(body)["variables"]["first"] if self.max_page_size else 1
        self.page_sizes.append(page_size)
        if page_size > self.max_page_size:
            self.clock.seconds += self.seconds
            raise ReplacedAnswer(Answer(502, {"message": "Server Error"}))


@dataclass
class gone_after(Fault):  # noqa: N801 - read as a noun
    """GitHub answers nothing any more from the first request on whose path has some text: 502 after ten seconds."""

    clock: PausedClock
    first: str
    has_begun: bool = False

    def before(self, in_flight: RequestInFlight) -> None:
        self.has_begun |= self.first in in_flight.request.path
        if self.has_begun:
            self.clock.seconds += 10
            raise ReplacedAnswer(Answer(502, {"message": "Server Error"}))


class SlowShop(SyncShop):
    """A repository, and syncs of it by a clock that its GitHub advances."""

    clock: PausedClock

    def sync(self, **inputs: object) -> ActionRun:
        self.github.requests.clear()
        all_inputs = {"ledger": "branch:dora-metrics", "github-token": self.github.token, "report": "off", **inputs}
        return run_action(
            self.folder,
            "schedule",
            {"schedule": "17 5 * * *"},
            all_inputs,
            now=NOW,
            environment={"GITHUB_API_URL": self.github.api_url, "GITHUB_REPOSITORY": "acme/shop"},
            pause=self.clock.pause,
            monotonic=self.clock.monotonic,
        )

    def count(self, pattern: str) -> int:
        return sum(request.matches(pattern) for request in self.github.requests)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SlowShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        slow_shop = SlowShop(github, tmp_path)
        slow_shop.clock = PausedClock()
        yield slow_shop


@pytest.mark.parametrize("query", ["PullPage", "CommitPage"])
def test_a_page_that_takes_too_long_is_halved_at_once(shop: SlowShop, query: str) -> None:
    """Three tries at each size would be 66 s of silence, and nothing would be recorded."""
    for number in range(6, 60):
        shop.merge_and_deploy(number)
    slow = too_slow(shop.clock, max_page_size=30)
    shop.github.fail(slow, to=query, times=None)
    ran = shop.sync()
    assert slow.page_sizes[:3] == [100, 50, 25]
    assert "did not return" not in ran.log
    assert sum("pull" in fact_id for fact_id in shop.facts()) == 60


def test_a_list_that_takes_too_long_is_requested_once(shop: SlowShop) -> None:
    shop.github.fail(too_slow(shop.clock), to=ALERTS, times=None)
    ran = shop.sync(security="dependabot, code-scanning")
    assert shop.count(ALERTS) == 2
    assert "GitHub did not return Dependabot alerts: GitHub answered 502" in ran.log
    assert len(shop.facts()) == 12


def test_a_minute_of_silence_to_one_kind_of_request_loses_nothing_that_was_read(shop: SlowShop) -> None:
    shop.github.fail(too_slow(shop.clock, seconds=70), to=ALERTS, times=None)
    shop.sync(security="dependabot")
    assert len(shop.facts()) == 12
    assert shop.repository.read("cursors.json", "dora-metrics")


def test_a_repository_is_read_after_a_minute_of_silence_for_the_one_before_it(shop: SlowShop) -> None:
    other = shop.github.repository("acme/other", empty=True)
    other.commit({"README.md": "other"}, message="Begin")
    made = other.deployment("production", at=NOW - timedelta(days=3), finished_at=NOW - timedelta(days=3))
    shop.github.fail(too_slow(shop.clock, seconds=70), to=ALERTS, times=None)
    ran = shop.sync(security="dependabot", repositories="acme/shop, acme/other")
    assert f"github:deployment:{made.database_id}" in shop.facts()
    assert "acme/other: GitHub did not return" not in ran.log


def test_a_github_that_fails_in_the_middle_of_a_sync_gets_little_more(shop: SlowShop) -> None:
    """Of further repositories only the next is tried, and the ledger: for 20 s each, with what was begun by then."""
    for name in ("second", "third", "fourth"):
        shop.github.repository(f"acme/{name}", empty=True).commit({"README.md": name}, message="Begin")
    shop.github.fail(gone_after(shop.clock, first="alerts"), times=None)
    ran = shop.sync(security="dependabot", repositories="acme/shop, acme/second, acme/third, acme/fourth")
    assert shop.clock.seconds <= 60 + 2 * 20 + 10
    assert "acme/fourth: GitHub did not return the repository: GitHub gave no usable answer for 60 s" in ran.log
    assert "12 facts of this run are not in the ledger" in ran.log
