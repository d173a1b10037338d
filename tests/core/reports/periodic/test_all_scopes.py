"""The report on all scopes: its table, what needs attention and why, and that it fits into an issue."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt

from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.periods import PeriodKind, due_period
from dora_metrics.core.reports.periodic.all_scopes import MAX_DESCRIBED_SCOPES
from dora_metrics.core.reports.periodic.content import ReportInput
from dora_metrics.core.reports.periodic.issue_body import MAX_BODY_UTF16_LENGTH, render_all_scopes_body, utf16_length
from dora_metrics.core.reports.periodic.page_address import NO_PAGE, PageAddress
from dora_metrics.core.targets.goals import GoalSpec
from dora_metrics.core.teams import Teams
from dora_metrics.pipeline.reports import render_reports
from dora_metrics.settings.model import Settings
from dora_metrics.templates import load_template
from support.facts import change, deployment, failed_deployment, incident, results_of
from support.hostile_text import HOSTILE

PUBLISHED = PageAddress("https://acme.github.io/shop/")
DAILY_FOR_WEEKS = [f"02-{day:02}T{hour:02}" for day in range(1, 29) for hour in (9, 15)]


def bodies_of(
    *facts: Fact,
    kind: PeriodKind = "weekly",
    now: str = "03-18T06:00",
    page_url: str = "",
    **policy: Any,  # noqa: ANN401
) -> list[str]:
    """The reports as a command line shows them. Week 11 begins on 11 March."""
    results = results_of(*facts, window="30d", now=now, **policy)
    period = due_period(kind, results.now, ZoneInfo("UTC"), "monday")
    settings = Settings.model_validate({"page-url": page_url} if page_url else {})
    rendered = render_reports(results, period, settings, lambda path: path.read_text())
    return [f"# {body.title}\n{body.text_of_new_issue(None)}" for body in rendered.bodies.values()]


def report_on(*facts: Fact, **options: Any) -> str:  # noqa: ANN401
    (body,) = bodies_of(*facts, **options)
    return body


def rows_of(report: str) -> dict[str, list[str]]:
    """The cells of the table, by the name in the first one."""
    lines = [line for line in report.splitlines() if line.startswith("| ") and not line.startswith("| scope")]
    cells = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    return {name: others for name, *others in cells}


def needs_of(report: str) -> list[str]:
    """The lines below `What needs attention`."""
    section = report.partition("### What needs attention\n\n")[2].partition("\n\n")[0]
    return [line.removeprefix("- ") for line in section.splitlines()]


def services(count: int, *, prefix: str = "service") -> list[Deployment]:
    """Two deployments each, in week 11 and in the week before."""
    return [
        deployment(2 * number + week, f"03-{6 + 7 * week:02}", service=f"{prefix}-{number:03}")
        for number in range(count)
        for week in (0, 1)
    ]


def test_a_row_says_what_a_scope_did_and_the_last_row_is_of_all_together() -> None:
    report = report_on(
        deployment(1, "03-06"),
        change(7, "03-12"),
        deployment(2, "03-13", changes=[7]),
        deployment(3, "03-14T12:00", service="web"),
        deployment(4, "03-15T12:00", service="web"),
        incident(1, "03-14T13:00", service="web", resolved_at="03-14T13:41"),
    )
    assert report.splitlines()[0] == "# Delivery report · acme/shop · week 11, 2024"
    assert rows_of(report) == {
        "web · production": ["2", "0", "–", "1 of 2", "1 h 41 min", "2024-03-15", "1 of 2 failed"],
        "production": ["1", "1", "1 d", "0 of 1", "–", "2024-03-13", ""],
        "**All scopes**": ["3", "1", "1 d", "1 of 3", "1 h 41 min", "", ""],
    }


@pytest.mark.parametrize(
    ("repositories", "title", "name"),
    [
        (["acme/shop", "acme/web"], "acme", "acme/web"),
        (["acme/shop", "acme/web", "other/till"], "3 repositories", "other/till"),
    ],
)
def test_it_is_about_an_owner_or_many_repositories(repositories: list[str], title: str, name: str) -> None:
    facts = [
        deployment(number, "03-13", repository=repository, service=None)
        for number, repository in enumerate(repositories)
    ]
    report = report_on(*facts)
    assert report.startswith(f"# Delivery report · {title} · week 11, 2024\n")
    assert name in rows_of(report)


def test_a_single_scope_has_the_whole_report() -> None:
    report = report_on(deployment(1, "03-13"))
    assert "| Change failure rate | **0 of 1** |" in report
    assert "All scopes" not in report


def test_without_any_scope_there_is_no_report() -> None:
    assert bodies_of(deployment(1, "03-13"), now="2025-03-17T06:00") == []


# What needs attention


CALM = [deployment(100, "03-06", service="calm"), deployment(101, "03-13", service="calm")]


def test_where_nothing_needs_attention_the_report_says_so() -> None:
    report = report_on(*CALM, deployment(1, "03-13"))
    assert "**None of 2 scopes needs attention.** 2 deployments reached production; 0 of 2 failed." in report
    assert needs_of(report) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ([incident(1, "03-01T13:00")], "1 incident open, since Fri 1 Mar, 13:00"),
        ([incident(1, "03-01"), incident(2, "03-02")], "2 incidents open, the oldest since Fri 1 Mar, 00:00"),
        ([incident(1, "03-13T13:00", resolved_at="03-13T14:00")], "1 of 1 failed"),
        ([incident(1, "03-13T13:00")], "1 incident open, since Wed 13 Mar, 13:00; 1 of 1 failed, 1 not recovered yet"),
        ([failed_deployment(5, "03-13T14:00", reached_users=True)], "1 of 2 attempts failed, 1 not recovered yet"),
    ],
    ids=["open", "several open", "failed", "not recovered", "attempt"],
)
def test_incidents_and_failures_need_attention(facts: list[Fact], reason: str) -> None:
    report = report_on(*CALM, deployment(0, "02-20"), deployment(1, "03-13T12:00"), *facts)
    assert needs_of(report) == [f"**production**: {reason}."]
    assert rows_of(report)["production"][-1] == reason.partition("; ")[0]


def test_a_scope_that_usually_is_deployed_and_was_not_needs_attention() -> None:
    """56 deployments in the 38.6 days from the first one to the quiet week, whatever was before."""
    frequent = [deployment(number, when) for number, when in enumerate(DAILY_FOR_WEEKS)]
    assert needs_of(report_on(*CALM, *frequent)) == ["**production**: no deployment in week 11, usually 10 a week."]


def test_a_clear_change_for_the_worse_needs_attention() -> None:
    before = [deployment(number, f"03-{number % 7 + 4:02}T{number % 24:02}:00") for number in range(40)]
    report = report_on(*CALM, deployment(90, "02-01"), *before, deployment(91, "03-13"))
    assert needs_of(report) == [
        "**production**: deployment frequency got worse: 1 on 1 day, compared with 40 on 7 days in the previous week."
    ]


@pytest.mark.parametrize(
    ("goal", "is_needy"),
    [
        (GoalSpec("deployment_frequency", 1.0), True),
        (GoalSpec("deployment_frequency", 0.001), False),
        (GoalSpec("lead_time", 3600.0), False),
    ],
    ids=["missed", "met", "no value"],
)
def test_a_goal_that_is_missed_needs_attention(goal: GoalSpec, is_needy: bool) -> None:  # noqa: FBT001
    report = report_on(*CALM, deployment(1, "03-13"), goals=(goal,))
    described = [
        "**calm · production**: deployment frequency 2 in 90 days, goal at least 1 a day.",
        "**production**: deployment frequency 1 in 90 days, goal at least 1 a day.",
    ]
    assert needs_of(report) == (described if is_needy else [])
    if goal.metric == "deployment_frequency":
        assert f"met by {0 if is_needy else 2} of 2 scopes with data" in report


def test_the_three_that_need_it_most_are_described_and_the_others_counted() -> None:
    failing = services(5)
    incidents = [
        incident(number, "03-13T13:00", service=f"service-{number:03}", resolved_at=None if number == 4 else "03-14")
        for number in range(5)
    ]
    report = report_on(*CALM, *failing, *incidents)
    assert "**5 of 6 scopes need attention.**" in report
    assert "**All 5 scopes need attention.**" in report_on(*failing, *incidents)
    assert "**Both scopes need attention.**" in report_on(*services(2), *incidents[:2])
    needs = needs_of(report)
    assert [need.partition(" · production")[0] for need in needs[:3]] == [
        "**service-004",
        "**service-000",
        "**service-001",
    ]
    assert needs[MAX_DESCRIBED_SCOPES:] == ["2 more, see the last column of the table."]
    assert list(rows_of(report))[:5] == [f"service-00{number} · production" for number in (4, 0, 1, 2, 3)]


def test_what_is_clearly_better_and_what_has_gone_quiet_is_named() -> None:
    busy = [deployment(number, f"03-{number % 7 + 11:02}T{number % 24:02}:00") for number in range(40)]
    quiet = [deployment(200 + number, "02-01", service=f"quiet-{number}") for number in range(5)]
    report = report_on(deployment(90, "02-01"), *busy, *quiet)
    assert "Clearly better than in the previous week: production (deployment frequency)." in report
    names = ", ".join(f"quiet-{number} · production" for number in range(3))
    assert f"No deployment for 30 days or more: {names} and 2 more." in report


# Teams


TEAMS = Teams.parse({"web": "web-*", "till": ["till", "cash"], "empty": "nothing"})


def team_rows_of(report: str) -> dict[str, list[str]]:
    section = report.partition("### Teams\n\n")[2].partition("\n\n")[0]
    return {name: cells for name, cells in rows_of(section).items() if name not in ("team", "---")}


def test_a_team_is_pooled_from_the_values_of_its_scopes() -> None:
    """Changes of 1, 1 and 9 days: their median is 1 day; a mean of the medians of the scopes would be 5 days."""
    report = report_on(
        *(
            deployment(number, "03-01", service=service)
            for number, service in enumerate(("web-a", "web-b", "cash"), 90)
        ),
        *(change(number, began) for number, began in ((1, "03-12"), (2, "03-12"), (3, "03-04"), (4, "03-10"))),
        deployment(1, "03-13", service="web-a", changes=[1, 2]),
        deployment(2, "03-13T01", service="web-b", changes=[3]),
        failed_deployment(3, "03-13T02", service="web-b", reached_users=True),
        deployment(4, "03-13T04", service="web-b"),
        deployment(5, "03-13", service="cash", changes=[4]),
        deployment(6, "03-13", service="other"),
        teams=TEAMS,
    )
    assert team_rows_of(report) == {
        "web": ["3", "0", "1 d", "1 of 4", "2 h", "1 of 2 scopes"],
        "till": ["1", "0", "3 d", "0 of 1", "–", "0 of 1 scope"],
    }
    teams = {name: cells[0] for name, cells in rows_of(report.partition("### Teams")[0]).items()}
    assert teams == {
        "web-a · production": "web",
        "web-b · production": "web",
        "cash · production": "till",
        "other · production": "–",
        "**All scopes**": "",
    }
    assert "Without a team: other · production." in report


def test_without_teams_the_report_has_neither_column_nor_section() -> None:
    for teams in (None, Teams.parse({"elsewhere": "other/*"})):
        report = report_on(*services(3), teams=teams)
        assert report == report_on(*services(3))
        assert "team" not in report


def test_where_every_scope_has_a_team_no_sentence_says_otherwise() -> None:
    report = report_on(*services(3), teams=Teams.parse({"all": "*"}))
    assert "Without a team" not in report
    assert list(team_rows_of(report)) == ["all"]


def test_teams_are_in_the_order_of_the_file_and_at_most_fifty() -> None:
    names = [f"team-{number:02}" for number in reversed(range(60))]
    teams = Teams.parse({name: f"service-0{name[-2:]}" for name in names})
    report = report_on(*services(60), teams=teams)
    assert list(team_rows_of(report)) == names[:50]
    assert "10 more teams have no row here." in report


@pytest.mark.parametrize("name", [text for text in HOSTILE if text.isprintable()])
def test_hostile_names_of_teams_stay_in_their_cells(name: str) -> None:
    names = [f"{number}{name}"[:80].strip() for number in range(10)]
    teams = Teams.parse({each: f"service-00{number}" for number, each in enumerate(names)})
    report = report_on(*services(10), teams=teams, page_url=PUBLISHED.published)
    tokens = MarkdownIt("commonmark").enable("table").parse(report)
    assert sum(token.type == "td_open" for token in tokens) == 11 * 9 + 10 * 7


# Longer periods


@pytest.mark.parametrize("kind", ["monthly", "quarterly"])
def test_longer_periods_ask_for_action_items(kind: PeriodKind) -> None:
    report = report_on(*CALM, deployment(1, "03-13"), incident(1, "03-13T13:00"), kind=kind, now="04-01T06:00")
    assert "- [ ] production: … (owner: … , due: …)\n- [ ] … (owner: … , due: …)\n" in report


# Links


def test_a_scope_links_to_the_page_otherwise_to_its_repository() -> None:
    hosted = [
        deployment(number, "03-13", service=service, url="https://github.com/acme/shop/deployments/1")
        for number, service in enumerate(("web", "a b/c"))
    ]
    assert "| [web · production](https://github.com/acme/shop) |" in report_on(*hosted)
    published = report_on(*hosted, page_url="https://acme.github.io/shop/")
    for address in ("acme%2Fshop%2Fweb%2Fproduction", "acme%2Fshop%2Fa%2520b%252Fc%2Fproduction"):
        assert f"](https://acme.github.io/shop/#scope={address})" in published


# It fits


@pytest.mark.parametrize("page", [NO_PAGE, PUBLISHED], ids=["no page", "page"])
@pytest.mark.parametrize(("count", "row_count"), [(3, 3), (40, 40), (500, 500), (700, 500)])
def test_every_scope_up_to_500_has_a_row(count: int, row_count: int, page: PageAddress) -> None:
    report = report_on(*services(count), page_url=page.published)
    assert utf16_length(report) <= MAX_BODY_UTF16_LENGTH
    assert len(rows_of(report)) == row_count + 1
    assert ("more scopes have no row here, since an issue holds at most 65,536 characters." in report) == (
        count > row_count
    )
    assert f"<summary>{row_count - 10} more scopes</summary>" in report or count == 3


@pytest.mark.parametrize("name", [*HOSTILE, "x" * 10_000, "|" * 10_000], ids=range(len(HOSTILE) + 2))
def test_hostile_names_of_many_scopes_fit_and_stay_in_their_cells(name: str) -> None:
    report = report_on(*services(30, prefix=name), page_url=PUBLISHED.published)
    assert utf16_length(report) <= MAX_BODY_UTF16_LENGTH
    tokens = MarkdownIt("commonmark").enable("table").parse(report)
    assert sum(token.type == "td_open" for token in tokens) == 31 * 8


def test_in_an_issue_that_people_have_filled_it_has_fewer_rows() -> None:
    results = results_of(*services(100), window="30d", now="03-18T06:00")
    period = due_period("weekly", results.now, ZoneInfo("UTC"), "monday")
    inputs = [ReportInput.of(results, history, period) for history in results.evaluation.histories]
    body = render_all_scopes_body(inputs, "weekly:x:y", NO_PAGE, load_template("scopes.md.j2"), 60_000)
    assert utf16_length(body.generated) <= MAX_BODY_UTF16_LENGTH - 60_000
    assert len(rows_of(body.generated)) == 50 + 1


def test_where_scopes_have_fewer_rows_teams_have_no_more() -> None:
    teams = Teams.parse({f"a team with a long name {number:02}": f"service-0{number:02}" for number in range(60)})
    results = results_of(*services(100), window="30d", now="03-18T06:00", teams=teams)
    period = due_period("weekly", results.now, ZoneInfo("UTC"), "monday")
    inputs = [ReportInput.of(results, history, period) for history in results.evaluation.histories]
    body = render_all_scopes_body(inputs, "weekly:x:y", NO_PAGE, load_template("scopes.md.j2"), 61_500)
    assert utf16_length(body.generated) <= MAX_BODY_UTF16_LENGTH - 61_500
    assert len(team_rows_of(body.generated)) == 10
