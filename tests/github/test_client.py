"""Errors of the GitHub client, on a fake GitHub with faults to switch on."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from dora_metrics.github import shapes
from dora_metrics.github.client import (
    Client,
    ForbiddenError,
    GitHubError,
    MovedError,
    NotFoundError,
    UncertainOutcomeError,
    UnexpectedAnswerError,
)
from dora_metrics.github.silence import Silence
from dora_metrics.runtime import Deadline
from fakes.faults import (
    Fault,
    custom_answer,
    dropped,
    hang,
    meanwhile,
    partial_errors,
    primary_limit,
    secondary_limit,
    unavailable,
)
from fakes.github import FakeGitHub
from support.runs import PausedClock

SHOP = {"owner": "acme", "name": "shop", "ref": "refs/heads/main"}
REFS = "/repos/acme/shop/git/refs"
COMPARE = "/repos/acme/shop/compare/main...main"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as made:
        made.repository("acme/shop").commit({"a": "1"}, message="Begin")
        yield made


def client(
    github: FakeGitHub,
    token: str | None = None,
    url: str | None = None,
    pause: Callable[[float], None] = lambda _: None,
    timeout: int = 15,
) -> Client:
    return Client(token or github.token, url or github.api_url, pause, timeout_seconds=timeout)


def test_a_query_works_on_a_server_of_ones_own_and_on_github_com(github: FakeGitHub) -> None:
    for url in (github.api_url, github.root_url):
        assert client(github, url=url).query("Head", SHOP)["repository"]["ref"]["target"]["oid"]


LOST_ANSWERS = [unavailable(502), unavailable(503), dropped(), hang(2), custom_answer(200, b"<html>Sign in</html>")]


@pytest.mark.parametrize("fault", LOST_ANSWERS, ids=repr)
def test_a_query_is_asked_three_times_before_it_is_given_up(github: FakeGitHub, fault: Fault) -> None:
    github.fail(fault, to="Head", times=2)
    one = client(github, timeout=1)
    assert one.query("Head", SHOP)["repository"]["ref"]
    assert one.request_count == 3


@pytest.mark.parametrize("fault", [*LOST_ANSWERS, custom_answer(202, {})], ids=repr)
def test_a_get_is_asked_three_times_too_and_waits_by_the_pause_it_was_given(github: FakeGitHub, fault: Fault) -> None:
    github.fail(fault, times=2)
    waits: list[float] = []
    one = client(github, pause=waits.append, timeout=1)
    assert one.get(COMPARE, {"per_page": 100})["total_commits"] == 0
    assert (one.request_count, len(github.requests), waits) == (3, 3, [1, 2])


def test_a_server_that_stays_down_is_said_to_be_down(github: FakeGitHub) -> None:
    github.fail(unavailable(502), times=None)
    one = client(github)
    with pytest.raises(UncertainOutcomeError, match="502"):
        one.query("Head", SHOP)
    with pytest.raises(UncertainOutcomeError, match="502"):
        one.get(COMPARE, {})
    assert (one.request_count, len(github.requests)) == (6, 6)


@pytest.mark.parametrize("fault", [*LOST_ANSWERS, *(kind(applied=True) for kind in (unavailable, dropped))], ids=repr)
def test_a_write_that_may_have_been_done_is_never_sent_twice(github: FakeGitHub, fault: Fault) -> None:
    github.fail(fault, times=None)
    one = client(github, timeout=1)
    with pytest.raises(UncertainOutcomeError):
        one.mutate("Append", {"input": {}})
    assert len(github.requests) == 1
    with pytest.raises(UncertainOutcomeError):
        one.post(REFS, {"ref": "refs/heads/new"})
    assert len(github.requests) == one.request_count == 2


def test_a_request_with_the_former_name_of_a_repository_is_sent_on(github: FakeGitHub) -> None:
    repository = github.state.repositories["acme/shop"]
    repository.commit({"a.txt": "1"})
    github.state.rename("acme/shop", "acme/store")
    one = client(github)
    assert one.get("/repos/acme/shop", {})["full_name"] == "acme/store"
    page, _ = one.get_page("/repos/acme/shop/deployments", {"per_page": 1})
    assert page == []
    assert one.post("/repos/acme/shop/issues", {"title": "Slow"})["number"] == 1
    assert [request.status for request in github.requests] == [301, 200, 301, 200, 307, 201]
    assert one.request_count == len(github.requests)


def test_a_redirect_after_a_redirect_is_not_followed(github: FakeGitHub) -> None:
    location = f"{github.api_url}/repositories/1/compare/main...main"
    github.fail(custom_answer(301, {}, {"Location": location}), times=None)
    one = client(github)
    with pytest.raises(GitHubError, match="renamed"):
        one.get(COMPARE, {})
    assert len(github.requests) == 2


@pytest.mark.parametrize("number", [None, 9])
def test_what_was_moved_out_of_a_repository_is_not_followed(github: FakeGitHub, number: int | None) -> None:
    """GitHub answers so for an issue that was transferred; it may have any number there, even the same one."""
    rest = "issues/7" if number is None else "issues/1"
    one = client(github)
    one.repository_numbers = {} if number is None else {"acme/shop": number}
    for status in (301, 307):
        location = f"{github.api_url}/repositories/1003/{rest}"
        github.fail(custom_answer(status, {"message": "Moved Permanently"}, {"Location": location}))
        with pytest.raises(MovedError):
            one.get("/repos/acme/Shop/issues/1", {})
    assert one.request_count == len(github.requests) == 2


def test_the_rest_of_a_path_may_be_quoted_in_another_way(github: FakeGitHub) -> None:
    location = f"{github.api_url}/repositories/5/git/ref/heads/a%20b?per_page=1"
    github.fail(custom_answer(301, {}, {"Location": location}))
    with pytest.raises(NotFoundError):
        client(github).get("/repos/acme/shop/git/ref/heads%2Fa%20b", {})
    assert github.requests[-1].path == "/repositories/5/git/ref/heads/a b"


@pytest.mark.parametrize(
    ("status", "location"),
    [
        (301, "{api}/user"),
        (301, "{api}/repositories/1"),
        (301, "{api}/repositories/1/issues/7"),
        (301, "{api}/repositories/1/compare/main...main/.."),
        (301, "{api}/repositories/../user"),
        (301, "{api}/repositories/1x/compare/main...main"),
        (301, "https://evil.example/repositories/1/compare/main...main"),
        (302, "{api}/repositories/1/compare/main...main"),
        (307, ""),
    ],
)
def test_no_other_redirect_is_followed(github: FakeGitHub, status: int, location: str) -> None:
    target = location.format(api=github.api_url)
    github.fail(custom_answer(status, {"message": "Moved"}, {"Location": target}), times=None)
    one = client(github)
    with pytest.raises(GitHubError, match="renamed"):
        one.get(COMPARE, {})
    with pytest.raises(GitHubError, match="renamed"):
        one.post(REFS, {})
    assert len(github.requests) == one.request_count == 2


def test_a_partial_answer_is_no_answer(github: FakeGitHub) -> None:
    github.fail(partial_errors("repository", "SOME_TYPE"), to="Head")
    with pytest.raises(GitHubError):
        client(github).query("Head", SHOP)


def test_something_that_went_wrong_without_a_type_is_asked_again_as_a_502_is(github: FakeGitHub) -> None:
    github.fail(partial_errors("repository"), to="Head", times=2)
    one = client(github)
    assert one.query("Head", SHOP)["repository"]["ref"]
    assert one.request_count == 3
    github.fail(custom_answer(200, {"errors": [{"message": "Something went wrong."}]}), to="Append")
    with pytest.raises(UncertainOutcomeError, match="Something went wrong"):
        one.mutate("Append", {"input": {}})


def client_after_a_silent_minute(github: FakeGitHub) -> Client:
    """A client whose 20 queries all got a 502; with the pauses of 1 and 2 s between three tries they fill the 60 s."""
    github.fail(unavailable(502), times=None)
    clock = PausedClock()
    one = client(github, pause=clock.pause)
    one.monotonic = clock.monotonic
    for _ in range(20):
        with pytest.raises(UncertainOutcomeError, match="502"):
            one.query("Head", SHOP)
    return one


def test_a_github_that_is_silent_for_a_minute_is_asked_nothing_more(github: FakeGitHub) -> None:
    one = client_after_a_silent_minute(github)
    sent_count = len(github.requests)
    with pytest.raises(UncertainOutcomeError, match="no usable answer for 60 s, so this run sends no"):
        one.query("Head", SHOP)
    assert len(github.requests) == sent_count


def test_something_else_may_be_tried_for_twenty_seconds_after_the_minute(github: FakeGitHub) -> None:
    one = client_after_a_silent_minute(github)
    one.try_something_else()
    assert one.seconds_left == 20
    github.heal()
    assert one.query("Head", SHOP)["repository"]["ref"]
    assert one.seconds_left == 60


def test_a_usable_answer_begins_the_minute_anew(github: FakeGitHub) -> None:
    github.fail(unavailable(502), times=58)
    clock = PausedClock()
    one = client(github, pause=clock.pause)
    one.monotonic = clock.monotonic
    for _ in range(19):
        with pytest.raises(UncertainOutcomeError):
            one.query("Head", SHOP)
    assert one.query("Head", SHOP)["repository"]["ref"]
    assert one.silence.seconds_at(clock.seconds) == 0


def test_the_minute_is_one_for_the_clients_that_work_in_parallel(github: FakeGitHub) -> None:
    github.fail(unavailable(502), times=None)
    clock = PausedClock()
    one = client(github, pause=clock.pause)
    one.monotonic = clock.monotonic
    streams = [replace(one, request_count=0) for _ in range(5)]
    for number in range(20):
        with pytest.raises(UncertainOutcomeError, match="502"):
            streams[number % 5].query("Head", SHOP)
    sent_count = len(github.requests)
    for each in (one, *streams):
        with pytest.raises(UncertainOutcomeError, match="no usable answer for 60 s, so this run sends no"):
            each.query("Head", SHOP)
    assert len(github.requests) == sent_count


def test_what_clients_wait_for_at_the_same_time_is_counted_once() -> None:
    silence, clock = Silence(), PausedClock()
    with silence.counting(clock.monotonic):
        clock.pause(10)
        with silence.counting(clock.monotonic), silence.counting(clock.monotonic):
            clock.pause(10)
        assert silence.seconds_at(clock.seconds) == 20
    clock.pause(100)
    assert silence.seconds_at(clock.seconds) == 20, "between requests nobody waits"
    with silence.counting(clock.monotonic):
        clock.pause(5)
        silence.end(clock.seconds)
        clock.pause(7)
    assert silence.seconds_at(clock.seconds) == 7


def test_one_exchange_with_its_retries_ends_with_the_minute(github: FakeGitHub) -> None:
    """Each answer takes 29.5 s, and the pause between two tries 1 s, so there is no time for a third."""
    clock = PausedClock()
    github.fail(meanwhile(lambda: clock.pause(29.5)), times=None)
    github.fail(unavailable(502), times=None)
    one = client(github, pause=clock.pause)
    one.monotonic = clock.monotonic
    with pytest.raises(UncertainOutcomeError, match="502"):
        one.query("Head", SHOP)
    assert (len(github.requests), clock.seconds) == (2, 60)


@pytest.mark.parametrize("name", ["shop", "store"], ids=["renamed", "its own name"])
def test_an_exchange_with_a_renamed_repository_has_the_same_minute(github: FakeGitHub, name: str) -> None:
    """A redirect is no usable answer: here each comes at once, and what is behind it takes half a minute to fail."""
    clock = PausedClock()
    github.state.rename("acme/shop", "acme/store")
    for to in ("GET /repositories/*", "GET /repos/acme/store/*"):
        github.fail(meanwhile(lambda: clock.pause(29.5)), to=to, times=None)
        github.fail(unavailable(502), to=to, times=None)
    one = client(github, pause=clock.pause)
    one.monotonic = clock.monotonic
    for _ in range(3):
        with pytest.raises(UncertainOutcomeError):
            one.get(f"/repos/acme/{name}/compare/main...main", {})
        assert clock.seconds == 60


def test_limits_that_answer_late_do_not_prolong_an_exchange(github: FakeGitHub) -> None:
    """Each answer takes 25 s, and the wait that it asks for 5 s, which are not counted."""
    clock = PausedClock()
    github.fail(meanwhile(lambda: clock.pause(25)), times=None)
    github.fail(secondary_limit(5), times=None)
    one = client(github, pause=clock.pause)
    one.monotonic = clock.monotonic
    with pytest.raises(UncertainOutcomeError, match="no time left for this request"):
        one.query("Head", SHOP)
    assert (len(github.requests), clock.seconds) == (3, 90)


def test_a_block_with_a_deadline_sends_nothing_after_it(github: FakeGitHub) -> None:
    clock = PausedClock()
    github.fail(meanwhile(lambda: clock.pause(10)), times=None)
    one = client(github)
    one.monotonic = clock.monotonic
    with one.within(Deadline(15, one.working_seconds)):
        one.query("Head", SHOP)
        one.query("Head", SHOP)
        with pytest.raises(UncertainOutcomeError, match="no time left for this request"):
            one.query("Head", SHOP)
    assert len(github.requests) == 2
    assert one.query("Head", SHOP)


def test_a_block_within_a_block_has_the_time_of_both(github: FakeGitHub) -> None:
    clock = PausedClock()
    github.fail(meanwhile(lambda: clock.pause(10)), times=None)
    one = client(github)
    one.monotonic = clock.monotonic
    with one.within(Deadline(25, one.working_seconds)):
        with one.within(Deadline(5, one.working_seconds)):
            one.query("Head", SHOP)
            with pytest.raises(UncertainOutcomeError):
                one.query("Head", SHOP)
        one.query("Head", SHOP)
        one.query("Head", SHOP)
        with pytest.raises(UncertainOutcomeError):
            one.query("Head", SHOP)
    assert len(github.requests) == 3


def test_an_announced_wait_is_no_part_of_the_time_of_a_block(github: FakeGitHub) -> None:
    clock = PausedClock()
    github.fail(secondary_limit(40), to="Head")
    one = client(github, pause=clock.pause)
    one.monotonic = clock.monotonic
    with one.within(Deadline(15, one.working_seconds)):
        assert one.query("Head", SHOP)
    assert clock.seconds == 40


def test_the_time_of_a_run_is_what_it_waits_for_github(github: FakeGitHub) -> None:
    """Here each request takes 10 s; what else a run does in between, such as a health check, does not count."""
    clock = PausedClock()
    github.fail(meanwhile(lambda: clock.pause(10)), times=None)
    one = client(github)
    one.monotonic = clock.monotonic
    one.query("Head", SHOP)
    with one.until(25):
        clock.pause(1000)
        one.query("Head", SHOP)
        one.query("Head", SHOP)
        with pytest.raises(UncertainOutcomeError, match="no time left for this request"):
            one.query("Head", SHOP)
    assert len(github.requests) == 3


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"repository": None}, "Expected `object`, got `null` - at `$.repository`"),
        ({"repository": []}, "Expected `object`, got `array` - at `$.repository`"),
        ({"repository": {}}, "Object missing required field `ref` - at `$.repository`"),
        ({"repository": {"ref": {"target": {"oid": 7}}}}, "Expected `str`, got `int`"),
        ({}, "Object missing required field `repository`"),
        (None, "Expected `object`, got `null` - at `$.data`"),
    ],
    ids=repr,
)
def test_an_answer_of_another_shape_is_an_error_that_says_what_was_asked_and_what_came(
    github: FakeGitHub, data: object, problem: str
) -> None:
    github.fail(custom_answer(200, {"data": data}), times=None)
    with pytest.raises(UnexpectedAnswerError) as raised:
        client(github).query("Head", SHOP)
    assert "GitHub's answer to Head is not what its documentation describes" in str(raised.value)
    assert problem in str(raised.value)
    assert "try again later" in str(raised.value)
    assert len(github.requests) == 3


def test_a_write_whose_answer_does_not_say_that_it_was_done_is_uncertain(github: FakeGitHub) -> None:
    github.fail(custom_answer(200, {}), to=f"POST {REFS}")
    with pytest.raises(UncertainOutcomeError, match="missing required field `ref`"):
        client(github).post(REFS, {"ref": "refs/heads/new"}, shapes.CreatedRef)


ECHOED_TOKEN = custom_answer(400, {"message": "unknown header: Authorization: token SECRET"})


@pytest.mark.parametrize(
    "fault", [None, unavailable(), dropped(), primary_limit(), partial_errors(), ECHOED_TOKEN], ids=repr
)
def test_the_token_is_in_nothing_that_is_shown_or_raised(github: FakeGitHub, fault: Fault | None) -> None:
    if fault:
        github.fail(fault, times=None)
    one = client(github, token="SECRET")
    asks = [partial(one.query, "Head", SHOP), partial(one.get, COMPARE, {}), partial(one.mutate, "Append", SHOP)]
    for ask in asks:
        with pytest.raises(GitHubError) as told:
            ask()
        assert (told.value.__context__, told.value.__cause__) == (None, None), "the request would hang on them"
        assert "SECRET" not in "".join(traceback.format_exception(told.value)) + repr(told.value) + repr(one)


def test_a_wrong_token_is_forbidden(github: FakeGitHub) -> None:
    with pytest.raises(ForbiddenError, match="the token is not valid"):
        client(github, token="ghs_wrong").query("Head", SHOP)


def test_a_token_is_used_without_the_line_break_behind_it(github: FakeGitHub) -> None:
    assert client(github, token=f" {github.token}\n").query("Head", SHOP)


@pytest.mark.parametrize("token", ["ghs\nSECRET", "SECRET ✓", " ", "SECRET\r\nX: y"])
def test_a_token_that_no_header_can_hold_is_forbidden_and_not_shown(github: FakeGitHub, token: str) -> None:
    one = client(github, token=token)
    with pytest.raises(ForbiddenError, match="the token has spaces") as told:
        one.query("Head", SHOP)
    assert "SECRET" not in str(told.value)
    assert one.request_count == len(github.requests) == 0


def test_a_repository_that_the_token_may_not_see_is_not_found(github: FakeGitHub) -> None:
    with pytest.raises(NotFoundError):
        client(github).query("Head", {**SHOP, "name": "other"})
