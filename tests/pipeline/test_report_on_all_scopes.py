"""One issue for all scopes: which form a week has, also after an update from a version that filed one for each."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dora_metrics.core.ledger.layout import REPORTS_FILE
from dora_metrics.core.reports.periodic.issue_body import marker_in
from fakes.faults import custom_answer
from fakes.github import FakeGitHub
from support.reporting_shop import AFTER_CLAIM, MONDAY, PER_SCOPE, WEEK, ReportingShop
from support.runs import deployment_status, incident_issue, run_action

DAY = timedelta(days=1)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[ReportingShop]:
    """A repository with two scopes."""
    with FakeGitHub(now=lambda: MONDAY) as github:
        shop = ReportingShop(github, tmp_path)
        shop.deploy(11, "2026-11-19T11:00:00Z", service="web")
        yield shop


def titles(team: ReportingShop) -> list[tuple[str, str]]:
    return [(issue.title.removeprefix("Delivery report · acme/shop · "), issue.state) for issue in team.reports]


def test_all_scopes_of_a_repository_are_in_one_issue(team: ReportingShop) -> None:
    ran = team.report()
    (issue,) = team.reports
    assert issue.title == "Delivery report · acme/shop · week 47, 2026"
    assert issue.body.splitlines()[1] == (
        "**None of 2 scopes needs attention.** 4 deployments reached production; 0 of 4 failed."
    )
    assert "| [production](https://github.com/acme/shop) | 3 | 0 |" in issue.body
    assert "| [web · production](https://github.com/acme/shop) | 1 | 0 |" in issue.body
    assert "| **All scopes** | 4 | 0 |" in issue.body
    assert ran.outputs["report-issue"] == str(issue.number)


def test_all_repositories_that_a_workflow_reads_are_in_one_issue(team: ReportingShop) -> None:
    team.github.repository("acme/till", empty=True).commit({"README.md": "till"}, message="Begin")
    payload = deployment_status(71, at="2026-11-17T12:00:00Z")
    payload["repository"] = {"name": "till", "full_name": "acme/till", "default_branch": "main"}
    environment = {"GITHUB_API_URL": team.github.api_url, "GITHUB_REPOSITORY": "acme/till"}
    inputs = {"ledger": "branch:dora-metrics@acme/shop", "github-token": team.github.token}
    run_action(team.folder, "deployment_status", payload, inputs, now=MONDAY, environment=environment)
    ran = team.report(repositories="acme/*")
    (issue,) = team.reports
    assert issue.title == "Delivery report · acme · week 47, 2026"
    for name in ("acme/shop", "acme/shop · web · production", "acme/till"):
        assert f"| [{name}](https://github.com/" in issue.body
    assert ran.outputs["report-issue"] == str(issue.number)


def test_the_same_ledger_in_other_words_gets_no_second_issue(team: ReportingShop) -> None:
    team.report()
    team.report(MONDAY + DAY, ledger="branch:dora-metrics@acme/shop")
    team.report(MONDAY + 2 * DAY, ledger="branch:dora-metrics@Acme/Shop")
    assert len(team.reports) == 1


def test_it_links_to_the_page(team: ReportingShop) -> None:
    team.report()
    assert (
        "[index.html](https://github.com/acme/shop/blob/dora-metrics/index.html) in the ledger" in team.issues[0].body
    )
    team.report(MONDAY + WEEK, **{"page-url": "https://acme.github.io/shop/"})
    published = "https://acme.github.io/shop/#scope=acme%2Fshop%2Fweb%2Fproduction"
    assert f"[web · production]({published})" in team.issues[1].body
    assert "on the [page](https://acme.github.io/shop/)" in team.issues[1].body


def test_a_scope_that_comes_later_is_added_to_the_issue(tmp_path: Path) -> None:
    """Also to that of a repository that had one scope so far, whose report says more of it."""
    with FakeGitHub(now=lambda: MONDAY) as github:
        shop = ReportingShop(github, tmp_path)
        shop.report()
        assert "3 deployments reached production" in shop.reports[0].body
        shop.deploy(11, "2026-11-19T11:00:00Z", service="web")
        assert "report ✓ week 47, 2026 is up to date" in shop.report(MONDAY + DAY).summary
        assert titles(shop) == [("week 47, 2026", "OPEN")]
        assert "| [web · production]" in shop.reports[0].body


def test_what_needs_attention_comes_first(team: ReportingShop) -> None:
    team.report()
    incident = incident_issue(9, created_at="2026-11-16T12:00:00Z")
    team.run_event("issues", incident, {"report": "off"}, now=MONDAY)
    team.report(MONDAY + DAY)
    (issue,) = team.reports
    assert issue.body.splitlines()[1].startswith("**1 of 2 scopes needs attention.** ")
    assert (
        "- **[production](https://github.com/acme/shop)**: 1 incident open, since Mon 16 Nov, 12:00; "
        "1 of 3 failed, 1 not recovered yet." in issue.body
    )


# After an update


def test_a_week_that_an_older_version_reported_gets_no_second_issue(team: ReportingShop) -> None:
    """It filed an issue for each scope."""
    team.report(**PER_SCOPE)
    before = titles(team)
    incident = incident_issue(9, created_at="2026-11-16T12:00:00Z")
    team.run_event("issues", incident, {"report": "off"}, now=MONDAY)
    ran = team.report(MONDAY + DAY)
    assert titles(team) == before == [("web · production · week 47, 2026", "OPEN"), ("week 47, 2026", "OPEN")]
    assert "1 of 3 failed" in team.reports[1].body
    assert ran.outputs["report-issue"] in {str(issue.number) for issue in team.reports}


def test_also_where_its_scopes_are_gone(team: ReportingShop) -> None:
    """Such as after another name for the service. The new scope gets an issue in the form of that week."""
    team.report(**PER_SCOPE)
    claims = team.read(REPORTS_FILE) or b""
    markers = [marker_in(issue.body) or "" for issue in team.reports]
    for number, marker in enumerate(markers):
        claims = claims.replace(marker.encode(), f"weekly:2026-W47:{number:016}".encode())
    team.commit_by_hand({REPORTS_FILE: claims})
    team.report(MONDAY + DAY)
    assert titles(team) == [("web · production · week 47, 2026", "OPEN"), ("week 47, 2026", "OPEN")]


def test_its_issues_are_closed_by_the_next_report(team: ReportingShop) -> None:
    team.report(**PER_SCOPE)
    team.report(MONDAY + WEEK)
    assert titles(team) == [
        ("web · production · week 47, 2026", "CLOSED"),
        ("week 47, 2026", "CLOSED"),
        ("week 48, 2026", "OPEN"),
    ]
    assert f"Previous report: #{team.reports[1].number}" in team.reports[2].body


def test_what_an_older_version_began_is_finished_in_its_form(team: ReportingShop) -> None:
    """It created an issue for one scope and was killed before it wrote that into the ledger."""
    team.report(**PER_SCOPE)
    team.repository.records.remove(team.issues[1])
    team.commit_by_hand({REPORTS_FILE: b""})
    team.report(MONDAY + AFTER_CLAIM)
    assert titles(team) == [("web · production · week 47, 2026", "OPEN"), ("week 47, 2026", "OPEN")]
    team.report(MONDAY + WEEK)
    assert [state for _, state in titles(team)] == ["CLOSED", "CLOSED", "OPEN"]


def test_the_setting_takes_effect_with_the_next_report(team: ReportingShop) -> None:
    team.report()
    team.report(MONDAY + DAY, **PER_SCOPE)
    assert titles(team) == [("week 47, 2026", "OPEN")]
    team.report(MONDAY + WEEK, **PER_SCOPE)
    assert titles(team) == [
        ("week 47, 2026", "CLOSED"),
        ("web · production · week 48, 2026", "OPEN"),
        ("week 48, 2026", "OPEN"),
    ]
    assert all(f"Previous report: #{team.reports[0].number}" in issue.body for issue in team.reports[1:])


def test_issues_of_the_last_week_stay_open_where_the_new_one_is_refused(team: ReportingShop) -> None:
    team.report(**PER_SCOPE)
    team.github.fail(custom_answer(422, {"message": "Validation Failed"}), to="POST */issues")
    ran = team.report(MONDAY + WEEK)
    assert "report ✗ week 48, 2026, 2 scopes was not filed" in ran.summary
    assert [state for _, state in titles(team)] == ["OPEN", "OPEN"]
    team.report(MONDAY + WEEK)
    assert [state for _, state in titles(team)] == ["CLOSED", "CLOSED", "OPEN"]


# People


def test_what_people_wrote_stays_and_their_tasks_keep_it_open(team: ReportingShop) -> None:
    december = MONDAY + 2 * WEEK
    team.report(december, report="monthly")
    (issue,) = team.reports
    assert issue.body.endswith("- [ ] … (owner: … , due: …)\n")
    issue.body += "- [ ] Split the deployment (owner: Ann, due: Friday)"
    team.deploy(12, "2026-11-20T11:00:00Z", service="web")
    team.report(december + DAY, report="monthly")
    assert "| **All scopes** | 5 |" in issue.body
    assert issue.body.endswith("- [ ] Split the deployment (owner: Ann, due: Friday)")
    team.report(december + 5 * WEEK, report="monthly")
    assert [state for _, state in titles(team)] == ["OPEN", "OPEN"]


def test_a_template_for_one_scope_is_left_aside_and_the_summary_says_how_to_use_it(team: ReportingShop) -> None:
    team.repository.commit({"mine.md.j2": "We deployed {{ report.delivered.count }} times."}, message="Template")
    template = {"report-template": "mine.md.j2"}
    ran = team.report(**template)
    assert "`report-template` is for the report of one scope; set `report-per-scope: true` to use it" in ran.summary
    team.report(MONDAY + WEEK, **template, **PER_SCOPE)
    assert sorted(issue.body.splitlines()[1] for issue in team.reports[1:]) == ["We deployed 0 times."] * 2
