"""A sync reads first what was not read for longest, so what a rate limit stopped comes first next time."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.faults import custom_answer, primary_limit
from fakes.github import FakeGitHub
from support.github_history import NOW
from support.organisation import HOUR, Organisation

NIGHT = timedelta(days=1)
NAMES = [f"acme/{name}" for name in ("api", "shop", "team-0", "team-1", "team-2", "team-3", "web")]


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Organisation]:
    """Seven repositories, of which nothing was read yet."""
    with FakeGitHub(now=lambda: NOW) as github:
        organisation = Organisation(github, tmp_path)
        github.state.now = lambda: organisation.now
        for number in range(4):
            organisation.add(f"team-{number}")
        yield organisation


def limited_sync(acme: Organisation, readable: int, *, window: str = "30d") -> list[str]:
    """Sync until GitHub's limit is used up after some repositories, all of which may have news."""
    acme.github.fail(custom_answer(403, {"message": "Resource not accessible"}), to="News", times=None)
    acme.github.fail(primary_limit(), to="NewestItems", times=None, skip=readable)
    return acme.order_of_sync(after=NIGHT, window=window)


def test_what_a_limit_stopped_comes_first_in_the_next_sync(acme: Organisation) -> None:
    assert limited_sync(acme, 3) == NAMES[:3]
    assert limited_sync(acme, 3) == NAMES[3:6]
    assert limited_sync(acme, 3) == [NAMES[6], *NAMES[:2]]
    assert limited_sync(acme, 3) == NAMES[2:5]
    assert acme.order_of_sync(after=NIGHT, window="31d") == [NAMES[5], *NAMES[:2], NAMES[6], *NAMES[2:5]]


def test_after_a_sync_that_read_all_the_order_is_that_of_the_names(acme: Organisation) -> None:
    limited_sync(acme, 3)
    acme.sync()
    assert limited_sync(acme, 7, window="31d") == NAMES


def test_a_new_repository_comes_before_all_others(acme: Organisation) -> None:
    acme.sync()
    acme.add("new")
    assert limited_sync(acme, 2) == ["acme/new", "acme/api"]


def test_a_repository_whose_reading_the_limit_cut_short_comes_first_again(acme: Organisation) -> None:
    acme.github.fail(primary_limit(), to="GET /repos/acme/shop/*", times=None)
    acme.sync()
    assert "last-reading" in acme.cursors()["acme/api"]
    assert "last-reading" not in acme.cursors()["acme/shop"]
    acme.github.heal()
    assert acme.order_of_sync(after=HOUR)[0] == "acme/shop"


def test_a_repository_that_github_never_shows_does_not_hold_the_others_up(acme: Organisation) -> None:
    """It is asked for with one request, and waits for its turn like the others."""
    acme.github.fail(custom_answer(403, {"message": "Resource not accessible"}), to="News", times=None)
    orders = []
    for _ in range(3):
        acme.github.fail(primary_limit(), to="NewestItems", times=None, skip=2)
        orders.append(acme.order_of_sync(repositories="acme/gone, acme/shop, acme/api", after=NIGHT, window="30d"))
        assert "RepositoryInfo" not in acme.operations
    assert orders == [["acme/gone", "acme/shop"], ["acme/api", "acme/gone"], ["acme/shop", "acme/gone"]]


def test_the_time_of_an_attempt_ends_with_a_reading(acme: Organisation) -> None:
    names = "acme/late, acme/shop"
    acme.sync(repositories=names)
    assert list(acme.cursors()["acme/late"]) == ["last-attempt"]
    acme.add("late")
    acme.sync(repositories=names, after=NIGHT)
    assert "last-attempt" not in acme.cursors()["acme/late"]
    assert "last-reading" in acme.cursors()["acme/late"]


def test_what_is_left_is_named_and_the_run_ends_with_0(acme: Organisation) -> None:
    acme.github.fail(primary_limit(), to="NewestItems", times=None)
    ran = acme.sync(since="30d")
    assert ran.code == 0
    left = "acme/shop, acme/team-0, acme/team-1, acme/team-2, acme/team-3 and 1 more"
    assert f"stopped before {left}: GitHub's hourly rate limit" in ran.summary


def test_the_time_of_a_reading_alone_is_no_reason_to_write(acme: Organisation) -> None:
    acme.sync()
    head = acme.shop.head("dora-metrics")
    acme.sync(after=timedelta(minutes=30))
    assert acme.shop.head("dora-metrics") == head
