"""GitHub's rate limits, on a fake GitHub: what the client waits for, how long, and what it reports."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dora_metrics.github.client import Client, ForbiddenError, GitHubError, RateLimitError
from fakes.faults import Fault, custom_answer, primary_limit, secondary_limit, unavailable, with_headers
from fakes.github import FakeGitHub
from support.runs import ActionRun, deployment_status, run_action

NOON = int(datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp())
SHOP: dict[str, object] = {"owner": "acme", "name": "shop", "ref": "refs/heads/main"}
COMPARE = "/repos/acme/shop/compare/main...main"
MINUTE = timedelta(minutes=1)


class RateLimitedShop:
    """A repository on a fake GitHub, a clock that only waiting advances, and the client's messages."""

    def __init__(self, github: FakeGitHub) -> None:
        self.github, self.now = github, float(NOON)
        self.waits: list[float] = []
        self.messages: list[str] = []
        self.shop = github.repository("acme/shop")

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        for budget in self.github.state.budgets.values():
            budget.used = 0 if self.now >= budget.reset else budget.used

    def client(self, most: timedelta = MINUTE) -> Client:
        address = self.github.api_url
        return Client(self.github.token, address, self.pause, 15, 0, most, lambda: self.now, self.messages.append)

    def with_fault(self, fault: Fault, to: str = "*", times: int | None = 1) -> "RateLimitedShop":
        self.github.fail(fault, to=to, times=times)
        return self

    @property
    def add_file_input(self) -> dict[str, object]:
        """Input of a mutation that adds a file."""
        return {
            "input": {
                "branch": {"repositoryNameWithOwner": "acme/shop", "branchName": "main"},
                "expectedHeadOid": self.shop.head(),
                "message": {"headline": "Add b"},
                "fileChanges": {"additions": [{"path": "b", "contents": "Yg=="}], "deletions": []},
            }
        }


@pytest.fixture
def desk() -> Iterator[RateLimitedShop]:
    with FakeGitHub() as github:
        yield RateLimitedShop(github)


def refusal_message(desk: RateLimitedShop, most: timedelta = MINUTE) -> str:
    """The message when a query is refused for a limit."""
    with pytest.raises(RateLimitError) as told:
        desk.client(most).query("Head", SHOP)
    return str(told.value)


# --- Waits ---


def limit_reported_at_noon(reset_in: int) -> Fault:
    headers = primary_limit(reset=NOON + reset_in).headers(graphql=True)
    body = {"message": "API rate limit exceeded for installation ID 1."}
    return custom_answer(403, body, {**headers, "Date": "Sat, 21 Nov 2026 12:00:00 GMT"})


@pytest.mark.parametrize("clock_error_hours", [-3, 0, 3])
def test_a_wait_for_an_hourly_limit_does_not_depend_on_the_runners_clock(
    desk: RateLimitedShop, clock_error_hours: int
) -> None:
    desk.with_fault(limit_reported_at_noon(reset_in=20))
    one = desk.client()
    one.clock = lambda: desk.now + 3600 * clock_error_hours
    assert one.query("Head", SHOP)["repository"]["ref"]
    assert desk.waits == [21]


@pytest.mark.parametrize("clock_error_hours", [-3, 0, 3])
def test_a_limit_that_lasts_too_long_ends_when_github_says_so(desk: RateLimitedShop, clock_error_hours: int) -> None:
    desk.with_fault(limit_reported_at_noon(reset_in=1200))
    one = desk.client()
    one.clock = lambda: desk.now + 3600 * clock_error_hours
    for minutes in (0, 19):
        desk.now = NOON + 60 * minutes
        with pytest.raises(RateLimitError, match="it resets at 12:20 UTC, in 20 min"):
            one.query("Head", SHOP)
    desk.now = NOON + 60 * 21
    assert one.query("Head", SHOP)["repository"]["ref"]
    assert one.request_count == 2


def test_an_hour_that_is_used_up_is_waited_out_and_announced_first(desk: RateLimitedShop) -> None:
    budget = desk.github.state.budgets["graphql"]
    budget.used, budget.reset = budget.limit, NOON + 12
    one = desk.client()
    assert one.query("Head", SHOP)["repository"]["ref"]
    assert (desk.waits, one.request_count) == ([13], 2), "GitHub does not say when in that second"
    assert desk.messages == ["GitHub's hourly rate limit for GraphQL is used up; waiting 13 s (at most 60 s in a run)"]


@pytest.mark.parametrize("remaining", [0, 2], ids=["nothing left", "counted elsewhere"])
@pytest.mark.parametrize("status", [403, 429])
def test_the_hourly_limit_of_rest_is_waited_out_too(desk: RateLimitedShop, status: int, remaining: int) -> None:
    desk.with_fault(primary_limit(status, reset=NOON + 30, remaining=remaining))
    assert desk.client().get(COMPARE, {})["total_commits"] == 0
    assert desk.waits == [31]
    assert desk.messages[0].startswith("GitHub's hourly rate limit for REST is used up")


@pytest.mark.parametrize("kind", ["RATE_LIMITED", "RATE_LIMIT"])
def test_a_query_that_costs_more_than_is_left_meets_the_hourly_limit(desk: RateLimitedShop, kind: str) -> None:
    desk.with_fault(primary_limit(kind=kind, reset=NOON + 5, remaining=3))
    assert desk.client().query("Head", SHOP)
    assert desk.waits == [6]


@pytest.mark.parametrize("status", [200, 403, 429])
def test_a_secondary_limit_is_waited_for_as_long_as_it_asks(desk: RateLimitedShop, status: int) -> None:
    desk.with_fault(secondary_limit(5, status))
    assert desk.client().query("Head", SHOP)
    assert desk.waits == [5]
    assert desk.messages == [
        "GitHub's secondary rate limit is reached (too many requests at once); waiting 5 s (at most 60 s in a run)"
    ]


def test_a_secondary_limit_that_asks_for_nothing_gets_the_minute_of_the_documentation(desk: RateLimitedShop) -> None:
    desk.with_fault(secondary_limit(None))
    assert desk.client().get(COMPARE, {})
    assert desk.waits == [60]


def test_a_mutation_that_was_refused_is_sent_again_and_done_once(desk: RateLimitedShop) -> None:
    before = len(desk.shop.log())
    desk.with_fault(secondary_limit(5), to="createCommitOnBranch")
    assert (
        desk.client().mutate("Append", desk.add_file_input)["createCommitOnBranch"]["commit"]["oid"] == desk.shop.head()
    )
    assert len(desk.shop.log()) == before + 1
    assert (len(desk.github.requests_matching("createCommitOnBranch")), desk.waits) == (2, [5])


def test_a_post_that_was_refused_is_sent_again_and_done_once(desk: RateLimitedShop) -> None:
    desk.with_fault(primary_limit(reset=NOON + 3))
    ref = {"ref": "refs/heads/new", "sha": desk.shop.head()}
    assert desk.client().post("/repos/acme/shop/git/refs", ref)["ref"] == "refs/heads/new"
    assert desk.waits == [4]


def test_a_limit_after_a_failure_leaves_a_read_its_three_tries(desk: RateLimitedShop) -> None:
    for earlier, fault in enumerate((unavailable(502), secondary_limit(5), unavailable(502))):
        desk.github.fail(fault, skip=earlier)
    assert desk.client().query("Head", SHOP)
    assert desk.waits == [1, 5, 2]


# --- Does not wait ---


def test_a_limit_that_lasts_longer_is_told_at_once_with_its_end_and_what_to_do(desk: RateLimitedShop) -> None:
    desk.now = NOON + 18 * 60
    desk.with_fault(primary_limit(reset=NOON + 41 * 60), times=None)
    assert refusal_message(desk) == (
        "GitHub's hourly rate limit for GraphQL is used up; it resets at 12:41 UTC, in 23 min, and this run may "
        "wait 60 s more. The next run continues; to continue now, run this one again later or raise "
        "`max-rate-limit-wait` (now 60 s)"
    )
    assert (desk.waits, desk.messages, len(desk.github.requests)) == ([], [], 1)


def test_a_run_may_be_given_more_time(desk: RateLimitedShop) -> None:
    desk.with_fault(primary_limit(reset=NOON + 23 * 60))
    assert desk.client(timedelta(minutes=30)).query("Head", SHOP)
    assert desk.waits == [23 * 60 + 1]
    assert desk.messages[0].endswith("waiting 23 min (at most 30 min in a run)")


def test_the_waits_of_all_requests_together_are_bounded(desk: RateLimitedShop) -> None:
    one = desk.client()
    for asked in (25, 24):
        desk.with_fault(secondary_limit(asked))
        one.query("Head", SHOP)
    desk.with_fault(secondary_limit(12))
    with pytest.raises(RateLimitError, match=r"secondary rate limit is reached .* this run may wait 11 s more"):
        one.get(COMPARE, {})
    desk.now += 12
    desk.with_fault(secondary_limit(11))
    assert one.get(COMPARE, {})
    assert desk.waits == [25, 24, 11]


@pytest.mark.parametrize("asked", [0, 1])
def test_a_limit_that_never_ends_is_asked_few_times_and_given_up(desk: RateLimitedShop, asked: int) -> None:
    desk.with_fault(secondary_limit(asked), times=None)
    assert "may wait 29 s more" in refusal_message(desk)
    assert desk.waits == [1, 2, 4, 8, 16]


def test_a_permission_that_is_missing_at_the_last_request_of_the_hour_is_no_limit(desk: RateLimitedShop) -> None:
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOON + 5)}
    desk.with_fault(custom_answer(403, {"message": "Resource not accessible by integration"}, spent))
    with pytest.raises(ForbiddenError, match="Resource not accessible"):
        desk.client().get(COMPARE, {})


def test_an_answer_that_took_the_last_request_of_the_hour_is_an_answer(desk: RateLimitedShop) -> None:
    desk.with_fault(with_headers({"X-RateLimit-Remaining": "0"}), times=None)
    one = desk.client()
    assert one.query("Head", SHOP)
    assert one.get(COMPARE, {})
    with pytest.raises(GitHubError, match="Could not resolve") as told:
        one.query("Head", {**SHOP, "name": "other"})
    assert not isinstance(told.value, RateLimitError)


def test_words_about_rate_limits_in_what_was_asked_for_are_no_limit(desk: RateLimitedShop) -> None:
    desk.with_fault(custom_answer(200, {"message": "Wait for the secondary rate limit", "sha": "1"}))
    assert desk.client().get(COMPARE, {})["sha"] == "1"


# --- Broken headers ---


@pytest.mark.parametrize("reset", ["soon", "", "nan", "inf", "-1", "1e99", NOON - 1, NOON + 10**9, "9" * 400])
def test_an_end_that_cannot_be_is_a_minute(desk: RateLimitedShop, reset: object) -> None:
    desk.with_fault(primary_limit(reset=reset))
    assert desk.client().query("Head", SHOP)
    assert desk.waits == [60]


@pytest.mark.parametrize("asked", ["soon", "-5", "", "nan", "1e99", 10**9, "Sat, 21 Nov 2026 12:00:05 GMT", "²"])
def test_a_wait_that_cannot_be_is_a_minute(desk: RateLimitedShop, asked: object) -> None:
    desk.with_fault(secondary_limit(asked))
    assert desk.client().get(COMPARE, {})
    assert desk.waits == [60]


def test_nonsense_beside_an_answer_does_no_harm_to_it(desk: RateLimitedShop) -> None:
    nonsense = {f"X-RateLimit-{name}": "many" for name in ("Limit", "Remaining", "Reset")}
    desk.with_fault(with_headers({**nonsense, "Retry-After": "later"}), times=None)
    one = desk.client()
    assert one.mutate("Append", desk.add_file_input)
    assert one.get(COMPARE, {})
    assert one.request_count == 2


# --- In a run ---


def run_deployment(desk: RateLimitedShop, folder: Path, **inputs: object) -> ActionRun:
    given = {"ledger": "branch:dora-metrics", "github-token": desk.github.token, **inputs}
    environment = {"GITHUB_API_URL": desk.github.api_url}
    return run_action(
        folder, "deployment_status", deployment_status(), given, environment=environment, pause=desk.pause
    )


def test_a_run_says_in_its_log_that_it_waits_and_records_all_the_same(desk: RateLimitedShop, tmp_path: Path) -> None:
    desk.with_fault(secondary_limit(7), to="Ledger").with_fault(secondary_limit(8), to="POST */git/trees")
    ran = run_deployment(desk, tmp_path)
    assert ran.code == 0
    assert ran.log.splitlines()[:2] == [
        "GitHub's secondary rate limit is reached (too many requests at once); "
        f"waiting {seconds} s (at most 60 s in a run)"
        for seconds in (7, 8)
    ]
    assert "::warning" not in ran.log
    (fact,) = (desk.shop.read("facts/2026/11.jsonl", "dora-metrics") or b"").splitlines()
    assert json.loads(fact)["id"] == "github:deployment:1"


def test_a_run_waits_no_longer_than_its_setting_and_warns_with_the_end_of_the_limit(
    desk: RateLimitedShop, tmp_path: Path
) -> None:
    desk.with_fault(secondary_limit(200), to="Ledger", times=None)
    ran = run_deployment(desk, tmp_path, **{"max-rate-limit-wait": "3m"})
    assert ran.code == 0
    assert desk.waits == []
    assert "so nothing is recorded: GitHub's secondary rate limit is reached" in ran.log
    assert "UTC, in 4 min, and this run may wait 3 min more" in ran.log
    assert "Nothing was recorded, sent or reported: the settings could not be read" in ran.summary


# After a limit that lasts longer than the run


def test_no_read_is_sent_until_a_limit_that_lasts_is_over(desk: RateLimitedShop) -> None:
    client = desk.with_fault(primary_limit(reset=NOON + 3600), times=None).client()
    for _ in range(3):
        with pytest.raises(RateLimitError, match="it resets at 13:00 UTC"):
            client.query("Head", SHOP)
    assert len(desk.github.requests) == 1
    desk.github.heal()
    desk.now += 3601
    assert client.query("Head", SHOP)["repository"]


def test_a_limit_of_one_api_stops_neither_the_other_nor_writes(desk: RateLimitedShop) -> None:
    client = desk.with_fault(primary_limit(reset=NOON + 3600), to="Head").client()
    with pytest.raises(RateLimitError):
        client.query("Head", SHOP)
    assert client.get(COMPARE, {})["status"] == "identical"
    assert client.mutate("Append", desk.add_file_input)["createCommitOnBranch"]
