"""The life of a report issue: created once, updated in place, linked and closed, whatever fails in between."""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.ledger.layout import REPORTS_FILE
from dora_metrics.core.reports.periodic.claims import CLAIM_DURATION, CLAIM_RENEWAL
from dora_metrics.core.reports.periodic.issue_body import marker_in
from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.pipeline.user_templates import read_template
from fakes.faults import custom_answer, dropped, meanwhile, primary_limit, secondary_limit, unavailable
from fakes.github import FakeGitHub
from fakes.records import Issue
from support.branch_shop import BranchShop
from support.reporting_shop import AFTER_CLAIM, MONDAY, PER_SCOPE, SCHEDULE, WEEK, WEEKLY, ReportingShop
from support.runs import ActionRun, deployment_status, incident_issue, run_action


@pytest.fixture
def team(tmp_path: Path) -> Iterator[ReportingShop]:
    with FakeGitHub(now=lambda: MONDAY) as github:
        yield ReportingShop(github, tmp_path)


# Created once


def test_on_monday_the_week_that_has_ended_is_reported_in_an_issue(team: ReportingShop) -> None:
    ran = team.report()
    (issue,) = team.reports
    assert issue.title == "Delivery report · acme/shop · week 47, 2026"
    assert issue.labels == ["dora-report"]
    assert "3 deployments reached production" in issue.body
    assert ran.outputs["report-issue"] == str(issue.number)
    assert f"report ✓ week 47, 2026: [#{issue.number}]({issue.url})" in ran.summary


def test_a_schedule_makes_it_too(team: ReportingShop) -> None:
    ran = team.run_event("schedule", SCHEDULE, WEEKLY, now=MONDAY)
    assert (ran.code, len(team.reports)) == (0, 1)


@pytest.mark.parametrize("inputs", [{}, {"mode": "sync"}, {"mode": "rebuild"}])
def test_no_issue_is_filed_unless_a_report_is_asked_for(team: ReportingShop, inputs: dict[str, str]) -> None:
    ran = team.run_event("schedule", SCHEDULE, inputs, now=MONDAY)
    assert (ran.code, team.issues, ran.outputs["report-issue"]) == (0, [], "")


def test_a_sync_right_after_writes_nothing_though_it_sees_the_issue(team: ReportingShop) -> None:
    team.run_event("schedule", SCHEDULE, WEEKLY, now=MONDAY)
    head = team.repository.head("dora-metrics")
    team.github.requests.clear()
    team.run_event("schedule", SCHEDULE, WEEKLY, now=MONDAY + timedelta(minutes=5))
    assert team.repository.head("dora-metrics") == head
    assert len(team.requested_operations) <= 4


def test_it_costs_four_requests_beside_those_that_read_and_write_the_ledger(team: ReportingShop) -> None:
    team.report()
    team.deploy(4, "2026-11-24T11:00:00Z")
    before = team.repository.head("dora-metrics")
    team.report(MONDAY + WEEK)
    assert team.requested_operations == [
        "POST Ledger",
        f"GET /repos/acme/shop/git/trees/{before}",
        "POST Append",
        "POST Reports",
        "POST /repos/acme/shop/issues",
        f"PATCH /repos/acme/shop/issues/{team.reports[0].number}",
        "POST Append",
    ]


def test_however_often_the_run_repeats_there_is_one_issue_and_it_is_not_touched(team: ReportingShop) -> None:
    first = team.report()
    (issue,) = team.reports
    for hours in (0, 1, 30, 100):
        again = team.report(MONDAY + timedelta(hours=hours))
        assert again.outputs["report-issue"] == first.outputs["report-issue"]
        assert not any(asked.startswith(("PATCH", "POST /")) for asked in team.requested_operations)
    assert team.reports == [issue]


def test_runs_at_the_same_time_make_one_issue(team: ReportingShop) -> None:
    with ThreadPoolExecutor(6) as pool:
        ran = list(pool.map(lambda _: team.report(), range(6)))
    assert [one.code for one in ran] == [0] * 6
    assert len(team.issues) == 1


@pytest.mark.parametrize("fault", [unavailable(502, applied=True), dropped(applied=True)], ids=["502", "dropped"])
def test_an_issue_whose_answer_got_lost_is_found_and_not_made_twice(
    team: ReportingShop, fault: unavailable | dropped
) -> None:
    team.github.fail(fault, to="POST /repos/acme/shop/issues")
    ran = team.report()
    assert len(team.issues) == 1
    assert ran.outputs["report-issue"] == str(team.issues[0].number)


@pytest.mark.parametrize("ahead", [-2 * CLOCK_SKEW, timedelta(seconds=-3), timedelta(seconds=3), 2 * CLOCK_SKEW])
def test_a_run_whose_clock_differs_takes_nothing_over(team: ReportingShop, ahead: timedelta) -> None:
    team.github.fail(meanwhile(lambda: team.report(MONDAY + ahead)), to="POST /repos/acme/shop/issues")
    team.report()
    assert len(team.issues) == 1


LONG_LIMIT = secondary_limit(retry_after=int(CLAIM_DURATION.total_seconds()))
"""A rate limit after whose wait a claim has expired."""

PATIENT = {"max-rate-limit-wait": "1h"}


def test_a_claim_that_grew_old_by_waiting_is_made_anew_first(team: ReportingShop) -> None:
    team.github.fail(LONG_LIMIT, to="Reports")
    assert "report ✓" in team.report(**PATIENT).summary
    assert team.requested_operations.count("POST Append") == 3
    assert len(team.issues) == 1


def test_no_issue_is_created_after_a_wait_in_which_the_claim_may_have_passed_on(team: ReportingShop) -> None:
    long_limit = secondary_limit(retry_after=int(CLAIM_RENEWAL.total_seconds()) + 1)
    team.github.fail(long_limit, to="POST /repos/acme/shop/issues")
    assert "report ✗ week 47, 2026 was not filed: " in team.report(**PATIENT).summary
    assert team.issues == []
    team.report(MONDAY + AFTER_CLAIM)
    assert len(team.issues) == 1


def test_a_claim_that_passed_to_another_run_makes_nothing(team: ReportingShop) -> None:
    def taken() -> None:
        theirs = {"acme/shop": {"weekly": {**team.stored_claims["weekly"], "claimed_by": "another"}}}
        team.commit_by_hand({REPORTS_FILE: json.dumps(theirs).encode()})

    team.github.fail(meanwhile(taken), to="Reports")
    team.github.fail(LONG_LIMIT, to="Reports")
    assert "report: week 47, 2026: another run has taken it over" in team.report(**PATIENT).summary
    assert team.issues == []


def test_an_issue_that_could_not_be_made_is_made_by_the_next_run(team: ReportingShop) -> None:
    team.github.fail(unavailable(502), to="POST /repos/acme/shop/issues")
    ran = team.report()
    assert (ran.code, team.issues) == (0, [])
    assert "report ✗ week 47, 2026 was not filed: GitHub answered 502" in ran.summary
    assert "another run is filing it" in team.report(MONDAY + CLAIM_DURATION / 2).summary
    team.report(MONDAY + AFTER_CLAIM)
    assert len(team.issues) == 1


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
def test_a_run_killed_at_any_request_leaves_one_issue_and_the_last_one_closed(tmp_path: Path, *, applied: bool) -> None:
    killed, step = True, 0
    while killed:
        with FakeGitHub(now=lambda: MONDAY) as github:
            team = ReportingShop(github, tmp_path)
            team.report()
            start = partial(
                team.start_process, "workflow_dispatch", {}, {"mode": "report", "report": "weekly"}, now=MONDAY + WEEK
            )
            killed = team.kill_at_request(start, step, applied=applied)
            team.report(MONDAY + WEEK + AFTER_CLAIM)
            assert [(issue.title[-13:], issue.state) for issue in team.issues] == [
                ("week 47, 2026", "CLOSED"),
                ("week 48, 2026", "OPEN"),
            ], step
            assert team.stored_claims["weekly"]["done"]
        step += 1
    assert step == 8


# Updated


def test_what_is_known_later_is_written_into_the_same_issue(team: ReportingShop) -> None:
    team.report()
    team.run_event("issues", incident_issue(9, created_at="2026-11-16T12:00:00Z"), {"report": "off"}, now=MONDAY)
    ran = team.report(MONDAY + timedelta(days=1))
    (issue,) = team.reports
    assert "1 of 3 failed, 1 not recovered yet" in issue.body
    assert "report ✓ week 47, 2026 is up to date" in ran.summary


@pytest.mark.parametrize("body", [{}, {"message": "ok"}])
def test_an_update_that_is_answered_without_being_done_is_done_by_the_next_run(
    team: ReportingShop, body: dict[str, object]
) -> None:
    team.report()
    (issue,) = team.reports
    team.deploy(11, "2026-11-19T11:00:00Z")
    team.github.fail(custom_answer(200, body), to=f"PATCH */issues/{issue.number}")
    ran = team.report(MONDAY + timedelta(hours=1))
    assert "is up to date" not in ran.summary
    assert "not filed: GitHub's answer is not an issue" in ran.summary
    assert "is up to date" in team.report(MONDAY + timedelta(hours=2)).summary
    assert "4 deployments reached production" in issue.body


def test_what_people_wrote_into_it_stays(team: ReportingShop) -> None:
    team.report(datetime(2026, 12, 7, tzinfo=UTC), report="monthly")
    (issue,) = team.reports
    issue.body = "Read this first.\r\n" + issue.body.replace("\n", "\r\n") + "\r\n- [ ] Ask Ann"
    team.run_event("issues", incident_issue(9, created_at="2026-11-16T12:00:00Z"), {"report": "off"}, now=MONDAY)
    team.report(datetime(2026, 12, 8, tzinfo=UTC), report="monthly")
    assert issue.body.startswith("Read this first.\n")
    assert issue.body.endswith("\n- [ ] Ask Ann")
    assert "1 of 3 failed" in issue.body


def test_an_issue_whose_marks_were_taken_away_is_left_alone(team: ReportingShop) -> None:
    team.report()
    (issue,) = team.issues
    issue.body = "Ours now."
    team.run_event("issues", incident_issue(9, created_at="2026-11-16T12:00:00Z"), {"report": "off"}, now=MONDAY)
    team.report(MONDAY + timedelta(days=1))
    assert [one.body for one in team.issues] == ["Ours now."]


def test_an_issue_without_its_label_is_still_known(team: ReportingShop) -> None:
    team.report()
    (issue,) = team.issues
    issue.labels.clear()
    for number in range(30):
        team.repository.issue(f"Other {number}")
    team.run_event("issues", incident_issue(99, created_at="2026-11-16T12:00:00Z"), {"report": "off"}, now=MONDAY)
    team.report(MONDAY + timedelta(days=1))
    assert "1 of 3 failed" in issue.body
    team.report(MONDAY + WEEK)
    assert issue.closed
    assert len(team.reports) == 2


def test_an_issue_in_which_people_wrote_much_is_written_anew_with_less_detail(team: ReportingShop) -> None:
    team.report()
    (issue,) = team.reports
    theirs = "\n" + "x" * (65_536 - len(issue.body) - 5)
    issue.body += theirs
    team.run_event("issues", incident_issue(9, created_at="2026-11-16T12:00:00Z"), {"report": "off"}, now=MONDAY)
    team.report(MONDAY + timedelta(days=1), strict="true")
    assert "1 of 3 failed" in issue.body
    assert issue.body.endswith(theirs)
    assert "How these numbers were calculated" in issue.body
    assert "**Lead time**: median over" not in issue.body


def test_an_issue_that_was_transferred_is_let_go(team: ReportingShop) -> None:
    team.report()
    gone = team.issues[0].number
    team.repository.records.remove(team.issues[0])
    team.github.fail(unavailable(301), to=f"GET /repos/acme/shop/issues/{gone}", times=None)
    for days in (7, 8, 14):
        assert "✗" not in team.report(MONDAY + timedelta(days=days)).summary
    assert [issue.title[-13:] for issue in team.reports] == ["week 48, 2026", "week 49, 2026"]


@pytest.mark.parametrize("is_same_number", [False, True], ids=["another number", "the same number"])
@pytest.mark.parametrize("later", [timedelta(days=1), WEEK], ids=["to update", "to close"])
def test_no_issue_is_written_in_place_of_a_transferred_one(
    team: ReportingShop, later: timedelta, *, is_same_number: bool
) -> None:
    """GitHub redirects to the repository that has it now, where it may have a number of an issue of this one."""
    team.report()
    (issue,) = team.issues
    team.repository.records.remove(issue)
    other = team.github.repository("acme/other")
    for _ in range(issue.number if is_same_number else issue.number + 6):
        moved = other.issue("Ours")
    moved.title, moved.body, moved.labels = issue.title, issue.body, list(issue.labels)
    for number in range(10):
        team.repository.issue(f"Own {number}", body="Ours")
    theirs = [*team.issues, moved]
    before = [(each.title, each.body, each.state) for each in theirs]
    location = f"{team.github.api_url}/repositories/{other.database_id}/issues/{moved.number}"
    for method, status in (("GET", 301), ("PATCH", 307)):
        answer = custom_answer(status, {"message": "Moved Permanently"}, {"Location": location})
        team.github.fail(answer, to=f"{method} /repos/acme/shop/issues/{issue.number}", times=None)
    team.run_event("issues", incident_issue(99, created_at="2026-11-16T12:00:00Z"), {"report": "off"}, now=MONDAY)
    team.environment = {"GITHUB_REPOSITORY_ID": str(team.repository.database_id)}
    assert "✗" not in team.report(MONDAY + later).summary
    assert [(each.title, each.body, each.state) for each in theirs] == before


def test_an_issue_that_was_deleted_stays_so(team: ReportingShop) -> None:
    team.report()
    team.repository.records.remove(team.issues[0])
    team.run_event("issues", incident_issue(9, created_at="2026-11-16T12:00:00Z"), {"report": "off"}, now=MONDAY)
    ran = team.report(MONDAY + timedelta(days=1))
    assert "✗" not in ran.summary
    assert "is up to date" not in ran.summary
    assert "✗" not in team.report(MONDAY + WEEK).summary
    assert len(team.reports) == 1


@pytest.mark.parametrize("status", [404, 302], ids=["not found", "a portal"])
def test_an_issue_that_github_does_not_show_once_is_written_by_the_next_run(team: ReportingShop, status: int) -> None:
    team.report()
    (issue,) = team.reports
    team.run_event("issues", incident_issue(9, created_at="2026-11-16T12:00:00Z"), {"report": "off"}, now=MONDAY)
    answer = custom_answer(status, {"message": "Not Found"}, {"Location": "https://portal.example/login"})
    team.github.fail(answer, to=f"GET /repos/acme/shop/issues/{issue.number}")
    ran = team.report(MONDAY + timedelta(hours=1))
    assert "is up to date" not in ran.summary
    assert f"GitHub did not return issue {issue.number} (the report of week 47, 2026)" in ran.summary
    assert "week 47, 2026 is up to date" in team.report(MONDAY + timedelta(hours=2)).summary
    assert "1 of 3 failed" in issue.body


# Linked and closed


def test_the_next_report_links_to_the_last_one_and_closes_it(team: ReportingShop) -> None:
    team.report()
    team.report(MONDAY + WEEK)
    last, this = team.reports
    assert (last.state, last.state_reason, this.state) == ("CLOSED", "completed", "OPEN")
    assert f"Previous report: #{last.number}" in this.body


def test_a_report_that_somebody_opens_again_stays_open(team: ReportingShop) -> None:
    team.report()
    team.report(MONDAY + WEEK)
    team.reports[0].closed_at = None
    team.report(MONDAY + WEEK + timedelta(days=1))
    assert team.reports[0].state == "OPEN"


def test_the_last_report_of_a_scope_that_died_is_closed_once(team: ReportingShop) -> None:
    team.deploy(11, "2026-11-19T11:00:00Z", service="web")
    team.report(**PER_SCOPE)
    team.deploy(12, "2027-02-23T11:00:00Z")
    february = datetime(2027, 3, 1, 6, tzinfo=UTC)
    team.report(february, **PER_SCOPE)
    dead = next(issue for issue in team.reports if "web" in issue.title)
    assert dead.closed
    dead.closed_at = None
    team.deploy(13, "2027-03-03T11:00:00Z")
    team.report(february + WEEK, **PER_SCOPE)
    assert not dead.closed


def test_no_other_issue_is_closed_whatever_its_number(team: ReportingShop) -> None:
    team.report()
    team.issues[0].body = "Login is broken"
    team.report(MONDAY + WEEK)
    assert team.issues[0].state == "OPEN"


@pytest.mark.parametrize("fault", [unavailable(502), custom_answer(200, {})], ids=["502", "an empty answer"])
def test_a_last_report_that_cannot_be_closed_is_closed_by_the_next_run(
    team: ReportingShop, fault: unavailable | custom_answer
) -> None:
    team.report()
    team.github.fail(fault, to="PATCH /repos/acme/shop/issues/*", times=None)
    ran = team.report(MONDAY + WEEK)
    last = team.reports[0].number
    assert (ran.code, [issue.state for issue in team.reports]) == (0, ["OPEN", "OPEN"])
    assert "report ✓ week 48" in ran.summary
    assert f"report ✗ issue {last} of an earlier report is still open: GitHub" in ran.summary
    assert team.stored_claims["weekly"]["done"]
    again = team.report(MONDAY + WEEK + timedelta(hours=1))
    assert f"issue {last} of an earlier report is still open" in again.summary
    team.github.heal()
    assert "still open" not in team.report(MONDAY + WEEK + timedelta(hours=2)).summary
    assert [issue.state for issue in team.reports] == ["CLOSED", "OPEN"]
    team.report(MONDAY + WEEK + timedelta(hours=3))
    assert not any(asked.startswith(("PATCH", "GET /repos/acme/shop/issues")) for asked in team.requested_operations)


def test_a_report_that_could_not_be_closed_in_its_week_is_closed_with_the_report_after_it(team: ReportingShop) -> None:
    team.report()
    team.github.fail(unavailable(502), to="PATCH /repos/acme/shop/issues/*", times=3)
    team.report(MONDAY + WEEK)
    team.deploy(11, "2026-12-04T11:00:00Z")
    team.report(MONDAY + 2 * WEEK)
    assert [issue.state for issue in team.reports] == ["CLOSED", "CLOSED", "OPEN"]


def leave_last_report_open(team: ReportingShop) -> str:
    """Make a report that cannot close the one before it; return the path of that one."""
    team.report()
    team.github.fail(unavailable(502), to="PATCH /repos/acme/shop/issues/*", times=3)
    team.report(MONDAY + WEEK)
    return f"/repos/acme/shop/issues/{team.reports[0].number}"


def test_a_last_report_that_github_does_not_show_once_is_closed_by_the_next_run(team: ReportingShop) -> None:
    path = leave_last_report_open(team)
    team.github.fail(custom_answer(404, {"message": "Not Found"}), to=f"GET {path}", times=1)
    ran = team.report(MONDAY + WEEK + timedelta(hours=1))
    assert "GitHub did not return issue 1 of an earlier report, so it was not closed" in ran.summary
    assert "the next scheduled run looks again" in ran.summary
    assert "did not return issue" not in team.report(MONDAY + WEEK + timedelta(hours=2)).summary
    assert [issue.state for issue in team.reports] == ["CLOSED", "OPEN"]


def test_a_last_report_that_github_never_shows_counts_as_gone_after_three_runs(team: ReportingShop) -> None:
    path = leave_last_report_open(team)
    team.github.fail(custom_answer(404, {"message": "Not Found"}), to=f"GET {path}", times=None)
    summaries = [team.report(MONDAY + WEEK + timedelta(hours=hours)).summary for hours in range(1, 5)]
    assert ["looks again" in summary for summary in summaries] == [True, True, False, False]
    assert ["close it by hand" in summary for summary in summaries] == [False, False, True, False]
    assert f"GET {path}" not in team.requested_operations


def test_a_last_report_that_somebody_deleted_is_not_named(team: ReportingShop) -> None:
    path = leave_last_report_open(team)
    team.github.fail(custom_answer(410, {"message": "This issue was deleted"}), to=f"GET {path}", times=None)
    assert "issue 1" not in team.report(MONDAY + WEEK + timedelta(hours=1)).summary
    assert team.stored_claims["weekly"]["left_open"] == []


def test_one_that_people_gave_a_task_meanwhile_is_not_closed(team: ReportingShop) -> None:
    team.report()
    team.github.fail(unavailable(502), to="PATCH /repos/acme/shop/issues/*", times=3)
    team.report(MONDAY + WEEK)
    team.reports[0].body += "\n- [ ] Split the deployment (owner: Ann, due: Friday)"
    ran = team.report(MONDAY + WEEK + timedelta(hours=1))
    assert "still open" not in ran.summary
    assert team.reports[0].state == "OPEN"
    assert team.stored_claims["weekly"]["left_open"] == []


def test_another_report_day_makes_no_older_report(team: ReportingShop) -> None:
    team.report(MONDAY + timedelta(days=1))
    for days in (1, 4):
        team.report(MONDAY + timedelta(days=days, hours=2), **{"report-day": "friday"})
    assert [(issue.title[-13:], issue.state) for issue in team.issues] == [("week 47, 2026", "OPEN")]


def test_a_report_with_work_left_in_it_is_not_closed(team: ReportingShop) -> None:
    team.report(datetime(2026, 12, 7, tzinfo=UTC), report="monthly")
    team.reports[0].body += "\n- [ ] Split the deployment (owner: Ann, due: Friday)"
    team.report(datetime(2027, 1, 4, tzinfo=UTC), report="monthly")
    assert [issue.state for issue in team.reports] == ["OPEN", "OPEN"]


def test_after_weeks_without_a_run_the_newest_report_is_made(team: ReportingShop) -> None:
    team.report()
    team.report(MONDAY + 3 * WEEK)
    assert [issue.title[-13:] for issue in team.reports] == ["week 47, 2026", "week 50, 2026"]
    assert team.reports[0].closed


# Several scopes


def test_weekly_and_monthly_reports_are_issues_of_their_own(team: ReportingShop) -> None:
    team.report(datetime(2027, 1, 4, 12, tzinfo=UTC), report="weekly, monthly, quarterly")
    assert min(marker_in(issue.body or "") or "" for issue in team.reports).startswith("monthly:2026-12:")
    assert len(team.reports) == 3


def test_each_scope_has_an_issue_and_a_dead_one_has_none(team: ReportingShop) -> None:
    team.deploy(11, "2026-11-19T11:00:00Z", service="web")
    team.deploy(12, "2026-06-19T11:00:00Z", service="old")
    ran = team.report(**PER_SCOPE)
    assert sorted(issue.title for issue in team.reports) == [
        "Delivery report · acme/shop · web · production · week 47, 2026",
        "Delivery report · acme/shop · week 47, 2026",
    ]
    assert ran.outputs["report-issue"] in {str(issue.number) for issue in team.reports}


def test_a_scope_that_comes_later_gets_its_report_with_the_next_run(team: ReportingShop) -> None:
    team.report(**PER_SCOPE)
    team.deploy(11, "2026-11-19T11:00:00Z", service="web")
    for days in (1, 2):
        team.report(MONDAY + timedelta(days=days), **PER_SCOPE)
    assert sorted(issue.title for issue in team.reports) == [
        "Delivery report · acme/shop · web · production · week 47, 2026",
        "Delivery report · acme/shop · week 47, 2026",
    ]


def test_repositories_that_share_a_ledger_have_reports_of_their_own(team: ReportingShop) -> None:
    other = team.github.repository("acme/web", empty=True)
    other.commit({"README.md": "web"}, message="Begin")
    payload = deployment_status(71, at="2026-11-17T12:00:00Z")
    payload["repository"] = {"name": "web", "full_name": "acme/web", "default_branch": "main"}
    shared = {"ledger": "branch:dora-metrics@acme/shop", "report": "weekly"}
    environment = {"GITHUB_API_URL": team.github.api_url, "GITHUB_REPOSITORY": "acme/web"}
    inputs = {**shared, "github-token": team.github.token}
    run_action(
        team.folder, "deployment_status", payload, {**inputs, "report": "off"}, now=MONDAY, environment=environment
    )
    team.report()
    run_action(team.folder, "workflow_dispatch", {}, {**inputs, "mode": "report"}, now=MONDAY, environment=environment)
    assert [issue.title for issue in team.reports] == ["Delivery report · acme/shop · week 47, 2026"]
    assert [issue.title for issue in other.records_of(Issue)] == ["Delivery report · acme/web · week 47, 2026"]


# Runs of events


def test_a_run_of_an_event_makes_no_first_report(team: ReportingShop) -> None:
    ran = team.run_event("deployment_status", deployment_status(9, at="2026-11-23T05:00:00Z"), WEEKLY, now=MONDAY)
    assert not team.issues
    assert "report" not in ran.summary.partition("<details>")[2].partition("How these")[0]


def deployed_later(team: ReportingShop, hours: int, **inputs: object) -> ActionRun:
    """Run of an event `hours` after the report of week 48 is due."""
    now = MONDAY.replace(hour=0) + WEEK + timedelta(hours=hours)
    payload = deployment_status(9, at=(now - timedelta(hours=1)).isoformat())
    return team.run_event("deployment_status", payload, {**WEEKLY, **inputs}, now=now)


def test_a_run_of_an_event_makes_the_report_that_a_schedule_has_missed_for_a_day(team: ReportingShop) -> None:
    team.report()
    deployed_later(team, 23)
    assert len(team.reports) == 1
    deployed_later(team, 25)
    assert [issue.title[-13:] for issue in team.reports] == ["week 47, 2026", "week 48, 2026"]


def test_a_run_of_an_event_that_may_not_is_no_failure_and_tries_once(team: ReportingShop) -> None:
    team.report()
    token = {"github-token": team.github.grant(issues="none")}
    ran = deployed_later(team, 25, **token)
    assert "report: week 48" in ran.log
    assert "title=dora-metrics%3A report" not in ran.log
    assert "report: week 48, 2026 was not filed" in ran.summary
    assert "week 48" not in deployed_later(team, 26, **token).log


def test_a_run_of_an_event_that_may_not_keeps_nobody_from_making_it(team: ReportingShop) -> None:
    team.report()
    deployed_later(team, 25, **{"github-token": team.github.grant(issues="none")})
    team.report(MONDAY.replace(hour=1, minute=2) + WEEK + timedelta(days=1))
    assert len(team.reports) == 2


# Failures


def test_without_the_permission_the_rest_runs_and_the_summary_says_what_to_grant(team: ReportingShop) -> None:
    ran = team.report(token=team.github.grant(issues="read"))
    assert (ran.code, team.issues) == (0, [])
    assert "give the job `permissions: issues: write`, or set `report: off`" in ran.summary
    assert ran.outputs["report-issue"] == ""
    assert "3 deployments" in ran.summary


def test_with_strict_a_missing_permission_fails_the_job(team: ReportingShop) -> None:
    assert team.report(token=team.github.grant(issues="read"), strict="true").code == 1


def test_where_issues_are_switched_off_the_summary_says_where_to_switch_them_on(team: ReportingShop) -> None:
    team.repository.has_issues_enabled = False
    ran = team.report()
    assert ran.code == 0
    assert "issues are switched off; switch issues on under Settings → General → Features" in ran.summary


def test_a_rate_limit_leaves_it_to_the_next_run(team: ReportingShop) -> None:
    team.github.fail(primary_limit(), to="Reports")
    assert "the next run tries again" in team.report(**{"max-rate-limit-wait": "1m"}).summary
    team.report(MONDAY + AFTER_CLAIM)
    assert len(team.issues) == 1


REFUSAL = custom_answer(422, {"message": "Validation Failed"})


def test_an_issue_that_github_refuses_does_not_stop_the_others(team: ReportingShop) -> None:
    team.deploy(11, "2026-11-19T11:00:00Z", service="web")
    team.deploy(12, "2026-11-18T11:00:00Z", service="api")
    team.github.fail(REFUSAL, to="POST */issues")
    ran = team.report(**PER_SCOPE)
    assert sorted(issue.title for issue in team.reports) == [
        "Delivery report · acme/shop · api · production · week 47, 2026",
        "Delivery report · acme/shop · week 47, 2026",
    ]
    assert "week 47, 2026, acme/shop · web · production was not filed" in ran.summary
    assert ran.code == 0
    assert team.report(strict="true", **PER_SCOPE).code == 0
    assert len(team.reports) == 3


def test_with_strict_a_refused_issue_fails_the_job(team: ReportingShop) -> None:
    team.github.fail(REFUSAL, to="POST */issues")
    assert team.report(strict="true").code == 1


def test_the_last_report_of_a_refused_one_stays_open_until_there_is_a_new_one(team: ReportingShop) -> None:
    team.report()
    team.github.fail(REFUSAL, to="POST */issues")
    team.report(MONDAY + WEEK)
    assert [issue.state for issue in team.reports] == ["OPEN"]
    team.report(MONDAY + WEEK)
    assert [issue.state for issue in team.reports] == ["CLOSED", "OPEN"]


def test_a_report_that_github_refuses_to_change_does_not_stop_the_others(team: ReportingShop) -> None:
    team.deploy(11, "2026-11-19T11:00:00Z", service="web")
    team.report(**PER_SCOPE)
    bodies = {issue.number: issue.body for issue in team.reports}
    for number, service in ((12, "web"), (13, "shop")):
        team.deploy(number, f"2026-11-20T{number}:00:00Z", service=service)
    team.github.fail(REFUSAL, to="PATCH */issues/*")
    ran = team.report(**PER_SCOPE)
    assert "not filed" in ran.summary
    assert sum(issue.body != bodies[issue.number] for issue in team.reports) == 1
    assert "not filed" not in team.report(**PER_SCOPE).summary
    assert all(issue.body != bodies[issue.number] for issue in team.reports)


def test_a_service_that_only_a_stranger_names_gets_no_report(team: ReportingShop) -> None:
    body = "### Service\n\nevil-@acme/team #12\n\n### Environment\n\nproduction\n"
    team.run_event("issues", incident_issue(body=body), {"report": "off"}, now=MONDAY)
    team.report()
    assert [issue.title for issue in team.reports] == ["Delivery report · acme/shop · week 47, 2026"]


def test_a_marker_that_a_stranger_wrote_is_no_report(team: ReportingShop) -> None:
    team.report()
    forged = team.issues[0].body
    team.repository.records.remove(team.issues[0])
    team.commit_by_hand({REPORTS_FILE: b""})
    team.repository.issue("Mine", body=forged, labels=["dora-report"], author="mallory")
    team.report()
    theirs, ours = team.issues
    assert (theirs.body, theirs.state) == (forged, "OPEN")
    assert marker_in(ours.body) == marker_in(forged)


def test_a_report_made_by_two_accounts_after_a_kill_leaves_one_and_says_which(team: ReportingShop) -> None:
    """A run of the workflow's token creates the issue and is killed; a person's token cannot trust what it finds."""
    team.report()
    (first,) = team.issues
    team.commit_by_hand({REPORTS_FILE: b""})
    ran = team.report(token=team.github.grant(account="ann"))
    assert [issue.state for issue in team.issues] == ["OPEN", "OPEN"]
    assert (
        f"report ✓ week 47, 2026: [#{team.issues[1].number}]({team.issues[1].url}); [#{first.number}]({first.url}), "
        "by another account, claims to be the same report: close it unless you want both" in ran.summary
    )
    team.deploy(4, "2026-11-24T11:00:00Z")
    team.report(MONDAY + WEEK)
    assert [issue.state for issue in team.issues] == ["CLOSED", "CLOSED", "OPEN"]


def test_a_second_report_that_cannot_be_closed_is_named(team: ReportingShop) -> None:
    team.report()
    (first,) = team.issues
    team.commit_by_hand({REPORTS_FILE: b""})
    team.report(token=team.github.grant(account="ann"))
    team.deploy(4, "2026-11-24T11:00:00Z")
    team.github.fail(custom_answer(200, {}), to=f"PATCH */issues/{first.number}", times=None)
    ran = team.report(MONDAY + WEEK)
    assert f"report ✗ issue {first.number} holds the same report as another one and could not be closed" in ran.summary


@pytest.mark.parametrize("kept_by", ["a task", "opening it again"])
def test_a_second_report_that_people_use_stays_open(team: ReportingShop, kept_by: str) -> None:
    team.report()
    (first,) = team.issues
    team.commit_by_hand({REPORTS_FILE: b""})
    team.report(token=team.github.grant(account="ann"))
    if kept_by == "a task":
        first.body += "\n- [ ] Split the deployment (owner: Ann, due: Friday)"
    else:
        first.state_reason = "reopened"
    team.deploy(4, "2026-11-24T11:00:00Z")
    team.report(MONDAY + WEEK)
    assert [issue.state for issue in team.issues] == ["OPEN", "CLOSED", "OPEN"]


def test_a_report_file_that_people_broke_costs_nothing_but_a_look(team: ReportingShop) -> None:
    team.report()
    team.commit_by_hand({REPORTS_FILE: b"{"})
    team.report()
    assert len(team.issues) == 1


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"report": "off"}, "report ✗ `report` is `off`; set `report: weekly` to file one"),
        ({"github-token": ""}, ""),
        ({"ledger": "none"}, "report: a report needs a ledger that this run can write"),
    ],
    ids=["off", "no token", "no ledger"],
)
def test_where_no_report_can_be_made_that_is_said(team: ReportingShop, inputs: dict[str, object], said: str) -> None:
    ran = team.report(**inputs)
    assert ran.code == 0
    assert not team.issues
    assert said in re.sub(r"\\", "", ran.summary)


def test_nothing_known_yet_makes_no_empty_report(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: MONDAY) as github:
        shop = BranchShop(github, tmp_path)
        ran = shop.run_event("workflow_dispatch", {"inputs": {}}, {"mode": "report", "report": "weekly"}, now=MONDAY)
        assert "report: none for week 47, 2026: no production deployment is recorded" in ran.summary
        assert not shop.repository.records_of(Issue)


# The user's templates


def run_own_template(team: ReportingShop, text: str | None, name: str = "mine.md.j2") -> ActionRun:
    """Run with a template, None if the default branch has none; the checkout has another one."""
    team.repository.commit({"mine.md.j2": text, "README.md": "shop"}, message="Configure")
    inputs = {"mode": "report", "report": "weekly", "report-template": name}
    checkout = {"mine.md.j2": "@octocat in the checkout"}
    return team.run_event("workflow_dispatch", {"inputs": {}}, inputs, now=MONDAY, workspace=checkout)


def test_a_template_of_the_users_is_taken(team: ReportingShop) -> None:
    run_own_template(team, "We deployed {{ report.delivered.count }} times.\n<!-- yours -->\nComments:")
    assert "We deployed 3 times." in team.issues[0].body
    assert team.issues[0].body.endswith("Comments:")


def test_it_is_the_default_branchs_with_and_without_a_checkout(team: ReportingShop) -> None:
    """A checkout may be a pull request's, and the text of a template is Markdown that is not escaped."""
    template = "We deployed {{ report.delivered.count }} times."
    config = "report: weekly\nreport-template: .github/mine.md.j2\n"
    team.repository.commit({".github/mine.md.j2": template, ".github/dora.yml": config}, message="Configure")
    team.run_event("workflow_dispatch", {"inputs": {}}, {"mode": "report", "report": "weekly"}, now=MONDAY)
    assert "We deployed 3 times." in team.issues[0].body


@pytest.mark.parametrize("path", ["mine.md.j2", ".git/config"])
def test_a_file_of_a_checkout_is_in_no_issue(team: ReportingShop, path: str) -> None:
    workspace = {path: "AUTHORIZATION: basic @octocat", ".github/dora.yml": f"report-template: {path}"}
    inputs = {"mode": "report", "report": "weekly"}
    ran = team.run_event("workflow_dispatch", {"inputs": {}}, inputs, now=MONDAY, workspace=workspace)
    assert "there is no such file on the default branch" in ran.summary
    assert "AUTHORIZATION" not in team.issues[0].body


def test_one_that_github_does_not_show_gives_way_to_the_usual_one(team: ReportingShop) -> None:
    team.github.fail(unavailable(502), to="GitObjects", times=None)
    ran = run_own_template(team, None)
    assert "3 deployments reached production" in team.issues[0].body
    assert (
        "report-template mine.md.j2 cannot be used: GitHub does not show it on the default branch: GitHub answered 502"
        in ran.summary
    )


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        (None, "mine.md.j2", "there is no such file on the default branch, from which it is read"),
        ("{% if %}", "mine.md.j2", "line 1: Expected an expression, got 'end of statement block'"),
        ("x", ".", "there is no such file on the default branch"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "mine.md.j2", "it repeats without end"),
        ("{{ 'x' * 3000000000 }}", "mine.md.j2", "line 1: \\* is for small numbers only"),
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "mine.md.j2",
            "line 1: its `range` calls count beyond 100,000",
        ),
        ("{% set x = 'x' %}" + "{% set x = x ~ x %}" * 40, "mine.md.j2", "it repeats without end (MemoryError)"),
        ("x" * 1_000_001, "mine.md.j2", "it has more than 1,000,000 bytes"),
    ],
    ids=["missing", "broken", "folder", "recursion", "huge", "endless", "doubled", "large"],
)
def test_a_template_that_cannot_be_used_gives_way_to_the_usual_one(
    team: ReportingShop, text: str | None, name: str, why: str
) -> None:
    ran = run_own_template(team, text, name)
    assert ran.code == 0
    assert "3 deployments reached production" in team.issues[0].body
    assert f"report ✗ report-template {name} cannot be used: {why}" in ran.summary


def test_a_template_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.md.j2")
    with pytest.raises(TemplateError, match="not a regular file"):
        read_template(tmp_path, Path("mine.md.j2"))


def test_a_template_is_no_way_to_read_other_files(team: ReportingShop) -> None:
    for name in ("/etc/passwd", "../secret"):
        ran = run_own_template(team, None, name)
        assert ran.code == 2
        assert f"input report-template: '{name}' is not a path in the repository" in ran.log


@pytest.mark.parametrize("title", ["x" * 70_000, "y\n" * 30_000])
def test_titles_of_any_length_leave_room_for_the_report(team: ReportingShop, title: str) -> None:
    """A ledger may hold titles that another program wrote; those of events are cut when they are recorded."""
    fact = {
        "kind": "incident", "id": "pagerduty:1", "repository": "acme/shop", "title": title,
        "observed_at": "2026-11-17T00:00:00Z", "detected_at": "2026-11-17T00:00:00Z",
    }  # fmt: skip
    facts = team.read("facts/2026/11.jsonl") or b""
    team.commit_by_hand({"facts/2026/11.jsonl": facts + json.dumps(fact).encode() + b"\n"})
    ran = team.report(report="weekly")
    assert ran.code == 0
    assert len(team.issues[0].body) < 65_536


def test_a_report_that_cannot_fit_is_a_failure_that_is_said(team: ReportingShop) -> None:
    fact = {
        "kind": "incident", "id": "pagerduty:1", "repository": "acme/shop", "deployment": "z" * 300,
        "service": "s" * 80_000, "environment": "production",
        "observed_at": "2026-11-17T00:00:00Z", "detected_at": "2026-11-17T00:00:00Z",
    }  # fmt: skip
    facts = team.read("facts/2026/11.jsonl") or b""
    team.commit_by_hand({"facts/2026/11.jsonl": facts + json.dumps(fact).encode() + b"\n"})
    ran = team.report(report="weekly")
    assert ran.code == 0
    assert "Traceback" not in ran.log
