"""A machine whose clock is wrong: GitHub's time counts where it is known, and what a wrong run left behind heals."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from dora_metrics import cli
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.ledger.layout import CHECKPOINT_FILE, METRICS_FILE, REPORTS_FILE
from dora_metrics.pipeline.clock import clock_problem
from dora_metrics.runtime import Runtime
from fakes.faults import custom_answer, secondary_limit, with_headers
from fakes.github import FakeGitHub
from fakes.records import Issue
from support.branch_shop import BranchShop
from support.github_history import NOW as HISTORY_READ
from support.runs import ActionRun, check_out, deployment_ids, deployment_status
from support.sync_shop import SyncShop

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
YEARS_AHEAD = MONDAY + timedelta(days=3 * 365)
HOURS, NONE = timedelta(hours=5), timedelta()
REPORT = {"mode": "report", "report": "weekly"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[BranchShop]:
    with FakeGitHub(now=lambda: MONDAY) as github:
        shop = BranchShop(github, tmp_path)
        for number in (1, 2, 3):
            shop.run_event("deployment_status", deployment_status(number, at=f"2026-11-1{number + 5}T11:00:00Z"))
        yield shop


def tell_time(shop: BranchShop, now: datetime = MONDAY) -> None:
    """Let GitHub say what time it is, as the real one does in each answer."""
    shop.github.heal()
    shop.github.fail(with_headers({"Date": format_datetime(now, usegmt=True)}), times=None)


def report(shop: BranchShop, now: datetime, **inputs: object) -> ActionRun:
    return shop.run_event("workflow_dispatch", {"inputs": {}}, {**REPORT, **inputs}, now=now)


def titles(shop: BranchShop, *, open_only: bool = False) -> list[str]:
    issues = sorted(shop.repository.records_of(Issue), key=lambda issue: issue.number)
    return [issue.title.rpartition(" · ")[2] for issue in issues if issue.state == "OPEN" or not open_only]


def facts(shop: BranchShop) -> list[dict[str, object]]:
    return [json.loads(line) for content in shop.fact_files().values() for line in content.splitlines()]


# Judging a clock


@pytest.mark.parametrize(
    ("local", "problem"),
    [
        (timedelta(), ""),
        (CLOCK_SKEW, ""),
        (-CLOCK_SKEW, ""),
        (
            timedelta(minutes=11),
            "this machine's clock shows 2026-11-23 06:11 UTC, but GitHub's shows 2026-11-23 06:00 UTC",
        ),
        (
            -timedelta(hours=5),
            "this machine's clock shows 2026-11-23 01:00 UTC, but GitHub's shows 2026-11-23 06:00 UTC",
        ),
    ],
    ids=["right", "minutes ahead", "minutes behind", "ahead", "behind"],
)
def test_a_clock_is_wrong_more_than_ten_minutes_from_githubs(local: timedelta, problem: str) -> None:
    assert clock_problem(MONDAY + local, MONDAY) == problem


def test_without_githubs_time_no_clock_is_judged() -> None:
    assert clock_problem(YEARS_AHEAD, None) == ""


# GitHub's time is taken


def test_a_run_years_ahead_reports_the_week_that_has_ended_and_says_so(shop: BranchShop) -> None:
    tell_time(shop)
    ran = report(shop, YEARS_AHEAD)
    assert titles(shop) == ["week 47, 2026"]
    assert "this machine's clock shows 2029-11-22 06:00 UTC, but GitHub's shows 2026-11-23 06:00 UTC" in ran.summary
    assert "::warning title=dora-metrics%3A clock::" in ran.log
    assert json.loads(shop.read(METRICS_FILE) or b"")["generated_at"].startswith("2026-11-23")


def test_a_clock_behind_is_replaced_too(shop: BranchShop) -> None:
    tell_time(shop)
    ran = report(shop, MONDAY - timedelta(hours=7))
    assert "this machine's clock shows 2026-11-22 23:00 UTC, but GitHub's shows 2026-11-23 06:00 UTC" in ran.log
    assert titles(shop) == ["week 47, 2026"]


@pytest.mark.parametrize("workspace", [None, {}], ids=["without a checkout", "with a checkout"])
def test_the_time_comes_with_what_is_read_anyway(shop: BranchShop, workspace: dict[str, str] | None) -> None:
    tell_time(shop)
    shop.github.requests.clear()
    shop.run_event("deployment_status", deployment_status(4), now=YEARS_AHEAD, workspace=workspace)
    assert shop.github.requests[0].operation == "Ledger"
    assert len(shop.github.requests_matching("Ledger")) == 1
    assert json.loads(shop.read(METRICS_FILE) or b"")["generated_at"].startswith("2026-11-23")


@pytest.mark.parametrize(
    "date",
    ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"],
)
def test_a_time_that_cannot_be_is_none(shop: BranchShop, date: str) -> None:
    shop.github.fail(with_headers({"Date": date}), times=None)
    ran = shop.run_event("deployment_status", deployment_status(4))
    assert ran.code == 0
    assert "clock" not in ran.log
    assert shop.fact_ids() == deployment_ids(1, 2, 3, 4)


@pytest.mark.parametrize("status", [502, 404, 200], ids=str)
@pytest.mark.parametrize("workspace", [None, {}], ids=["without a checkout", "with a checkout"])
def test_a_time_beside_an_answer_that_is_not_githubs_is_none(
    shop: BranchShop, status: int, workspace: dict[str, str] | None
) -> None:
    date = format_datetime(YEARS_AHEAD, usegmt=True)
    shop.github.fail(custom_answer(status, b"<html>Sign in</html>", {"Date": date}))
    ran = shop.run_event("deployment_status", deployment_status(4), now=MONDAY, workspace=workspace)
    assert "clock" not in ran.log


def test_a_few_minutes_are_borne_without_a_word(shop: BranchShop) -> None:
    tell_time(shop)
    assert "clock" not in report(shop, MONDAY + timedelta(minutes=9)).log


def test_a_wait_for_a_rate_limit_makes_no_clock_wrong(shop: BranchShop) -> None:
    """GitHub's first usable answer may come long after a run began."""
    began = shop.clock.seconds
    shop.github.heal()
    shop.github.fail(secondary_limit(retry_after=3000))
    shop.github.fail(with_headers({"Date": format_datetime(MONDAY + timedelta(seconds=3000), usegmt=True)}), times=None)
    ran = report(shop, MONDAY, **{"max-rate-limit-wait": "1h"})
    assert shop.clock.seconds - began >= 3000
    assert "clock" not in ran.log
    assert json.loads(shop.read(METRICS_FILE) or b"")["generated_at"].startswith("2026-11-23T06:00")


def test_a_time_that_a_person_names_is_no_clock(shop: BranchShop, tmp_path: Path) -> None:
    tell_time(shop)
    log = StringIO()
    environment = {
        "GITHUB_TOKEN": shop.github.token,
        "GITHUB_API_URL": shop.github.api_url,
        "GITHUB_WORKSPACE": str(tmp_path),
    }
    runtime = Runtime(environment, BytesIO(), log, log, MONDAY, lambda _: None)
    arguments = ["rebuild", "--repository", "acme/shop", "--now", "2027-03-01T00:00:00Z"]
    assert cli.run(arguments, runtime) == 0
    assert "clock" not in log.getvalue()
    assert json.loads(shop.read(METRICS_FILE) or b"")["generated_at"].startswith("2027-03-01")


# Nothing is lost because the clock of one run was wrong, such as by a time zone


def dispatched(status: str) -> dict[str, object]:
    deployment = {"id": "shop-1", "status": status, "reached_users": status == "failure", "sha": "a" * 40}
    return {"action": "dora-deployment", "client_payload": deployment}


def test_a_failure_counts_after_a_success_that_a_run_hours_ahead_recorded(shop: BranchShop) -> None:
    for status, time, clock_error in (("success", MONDAY, HOURS), ("failure", MONDAY + timedelta(hours=2), NONE)):
        tell_time(shop, time)
        shop.run_event("repository_dispatch", dispatched(status), now=time + clock_error)
    assert [fact["status"] for fact in facts(shop) if fact["id"] == "dispatch:shop-1"] == ["failure"]


@pytest.fixture
def sync_days() -> Iterator[tuple[FakeGitHub, Callable[[timedelta], None]]]:
    """A GitHub that says what time it is, and a function that lets time pass."""
    days = [HISTORY_READ]

    def let_pass(duration: timedelta) -> None:
        days[0] += duration
        github.heal()
        github.fail(with_headers({"Date": format_datetime(days[0], usegmt=True)}), times=None)

    with FakeGitHub(now=lambda: days[0]) as github:
        let_pass(NONE)
        yield github, let_pass


SyncDays = tuple[FakeGitHub, Callable[[timedelta], None]]


@pytest.mark.parametrize("ledger", ["branch:dora-metrics", "dir:ledger"])
def test_an_incident_after_a_sync_hours_ahead_is_recorded(sync_days: SyncDays, tmp_path: Path, ledger: str) -> None:
    github, let_pass = sync_days
    shop = SyncShop(github, tmp_path)
    check_out(tmp_path, {".github/dora.yml": ""})
    ran = shop.run(delay=HOURS, ledger=ledger)
    assert shop.requested_operations.count("Time") == (ledger == "dir:ledger")
    assert "this machine's clock shows 2026-11-21 17:00 UTC" in ran.log
    let_pass(timedelta(days=1))
    shop.repository.issue("Down", labels=["incident"], created_at=HISTORY_READ + timedelta(hours=1))
    ran = shop.run(delay=timedelta(days=1), ledger=ledger)
    assert "1 incident added" in ran.summary
    assert "clock" not in ran.log


@pytest.mark.parametrize("ledger", ["branch:dora-metrics", "dir:ledger"])
def test_workflow_runs_after_a_sync_hours_ahead_are_recorded(sync_days: SyncDays, tmp_path: Path, ledger: str) -> None:
    github, let_pass = sync_days
    shop = SyncShop(github, tmp_path)
    check_out(tmp_path, {".github/dora.yml": ""})
    inputs = {"deployment-source": "workflow-runs", "ledger": ledger}
    shop.repository.run("Deploy", at=HISTORY_READ - timedelta(hours=2), finished_at=HISTORY_READ - timedelta(hours=1))
    shop.run(delay=HOURS, **inputs)
    for number in range(130):
        began = HISTORY_READ + timedelta(hours=1, minutes=number)
        shop.repository.run("Deploy", at=began, finished_at=began + timedelta(seconds=30))
    let_pass(timedelta(days=1))
    assert "130 deployments" in shop.run(delay=timedelta(days=1), **inputs).summary


# What a wrong run left behind


def test_a_report_claimed_from_the_future_stops_no_later_one(shop: BranchShop) -> None:
    report(shop, MONDAY)
    shop.run_event("deployment_status", deployment_status(9, at="2029-11-15T11:00:00Z"), now=YEARS_AHEAD)
    report(shop, YEARS_AHEAD)
    assert titles(shop, open_only=True) == ["week 46, 2029"]
    shop.run_event("deployment_status", deployment_status(4, at="2026-11-24T11:00:00Z"), now=MONDAY + timedelta(days=1))
    report(shop, MONDAY + timedelta(weeks=1))
    assert titles(shop, open_only=True) == ["week 48, 2026"]
    (claim,) = json.loads(shop.read(REPORTS_FILE) or b"")["acme/shop"].values()
    assert claim["period"] == "2026-W48"


def test_months_sealed_from_the_future_are_opened_again(shop: BranchShop) -> None:
    before = json.loads(shop.read(METRICS_FILE) or b"")
    shop.run_event("workflow_dispatch", {"inputs": {}}, {"mode": "rebuild"}, now=YEARS_AHEAD)
    assert shop.read(CHECKPOINT_FILE)
    shop.run_event("deployment_status", deployment_status(3, at="2026-11-18T11:00:00Z"))
    shop.run_event("workflow_dispatch", {"inputs": {}}, {"mode": "rebuild"})
    assert not shop.read(CHECKPOINT_FILE)
    assert json.loads(shop.read(METRICS_FILE) or b"")["scopes"] == before["scopes"]
    assert shop.fact_ids() == deployment_ids(1, 2, 3)


def test_an_incident_opened_in_the_future_can_be_resolved(shop: BranchShop) -> None:
    opened = {"id": "ops:1", "title": "Down"}
    resolved = {**opened, "detected_at": "2026-11-20T10:00:00Z", "resolved_at": "2026-11-20T11:00:00Z"}
    for payload, now in ((opened, YEARS_AHEAD), (resolved, MONDAY), (resolved, MONDAY)):
        event = {"action": "dora-incident", "client_payload": payload}
        shop.run_event("repository_dispatch", event, now=now)
    (incident,) = (fact for fact in facts(shop) if fact["id"] == "ops:1")
    assert incident["resolved_at"] == "2026-11-20T11:00:00Z"


def test_refused_alerts_are_asked_for_again_though_they_were_refused_in_the_future(sync_shop: SyncShop) -> None:
    token = sync_shop.github.grant(vulnerability_alerts="none")
    for delay in (timedelta(days=1000), timedelta()):
        sync_shop.run("schedule", None, delay, **{"github-token": token, "since": "all"})
    assert any("dependabot/alerts" in str(name) for name in sync_shop.requested_operations)


@pytest.mark.parametrize("source", ["auto", "workflow-runs"])
def test_a_sync_in_the_future_hides_nothing_from_those_after_it(sync_shop: SyncShop, source: str) -> None:
    inputs = {"deployment-source": source, "incident-labels": "incident"}
    for delay in (NONE, timedelta(days=40)):
        sync_shop.run(delay=delay, **inputs)
    number = len(sync_shop.facts())
    at = HISTORY_READ + timedelta(hours=2)
    sync_shop.repository.issue("Down", labels=["incident"], created_at=at)
    for n in range(130):
        sync_shop.repository.run("Deploy", at=at + timedelta(minutes=n), finished_at=at + timedelta(minutes=n))
    sync_shop.run(delay=timedelta(days=1), **inputs)
    assert len(sync_shop.facts()) - number == 1 + (130 if source == "workflow-runs" else 0)
