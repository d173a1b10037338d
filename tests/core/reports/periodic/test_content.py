"""Content of a periodic report: headline, five metrics, failures, delivered changes, and their limits."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dora_metrics.core.reports.periodic.content import has_activity
from dora_metrics.core.reports.periodic.issue_body import MAX_BODY_UTF16_LENGTH, utf16_length
from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.core.targets.goals import parse_goals
from support.facts import at, change, deployment, deployment_id, failed_deployment, incident, sha, vulnerability
from support.periodic_reports import render_report, report_input

FIRST = deployment(0, "01-02T12:00")


def deployments_from(day: int, count: int, first: int, **fields: Any) -> list[Any]:  # noqa: ANN401
    """`count` deployments from a day of March on, six hours apart, each with its own change."""
    facts: list[Any] = []
    for number in range(first, first + count):
        moment = (at(f"03-{day:02}T06:00") + timedelta(hours=6 * (number - first))).isoformat()
        facts += [deployment(number, moment, changes=[number], **fields), change(number, f"03-{day:02}T00:00")]
    return facts


# Headline


def test_a_week_like_the_last_one_shows_no_clear_change_and_says_what_happened() -> None:
    found = render_report(FIRST, *deployments_from(4, 3, 1), *deployments_from(11, 3, 11))
    assert found.headline == (
        "**No clear change.** 3 deployments reached production with 3 changes, median lead time 12 h; "
        "no known failures."
    )


def test_a_git_history_without_known_failures_says_what_it_does_not_record() -> None:
    first = deployment(0, "02-20", source="git")
    found = render_report(first, *deployments_from(4, 3, 1, source="git"), *deployments_from(11, 3, 11, source="git"))
    assert found.headline.endswith("; no known failures (a git history has no incidents).")


def test_many_more_deployments_are_told_as_more_often() -> None:
    many = [deployment(number, f"03-12T{number:02}:00") for number in range(1, 21)]
    assert render_report(FIRST, deployment(100, "03-05"), *many).headline.startswith(
        "**Deployment frequency improved.**"
    )


def test_opposite_directions_are_joined_by_but() -> None:
    slow = [
        fact
        for number in range(1, 21)
        for fact in (
            deployment(100 + number, f"03-12T{number:02}:00", changes=[100 + number]),
            change(100 + number, "02-01"),
        )
    ]
    assert render_report(FIRST, *deployments_from(4, 4, 1), *slow).headline.startswith(
        "**Deployment frequency improved, but lead time got worse.**"
    )


def test_a_failure_that_is_over_and_one_that_is_not() -> None:
    bad = incident(1, "03-11T07:00", resolved_at="03-11T08:00")
    over = render_report(FIRST, *deployments_from(11, 3, 11), bad)
    still = render_report(FIRST, *deployments_from(11, 3, 11), bad, incident(2, "03-11T13:00"))
    assert "1 of 3 failed and recovered in 2 h" in over.headline
    assert "2 of 3 failed, median recovery 2 h, 1 not recovered yet; 1 incident open" in still.headline


def test_a_week_without_a_deployment_says_so_and_has_no_ratio() -> None:
    found = render_report(FIRST, deployment(1, "03-05T12:00"))
    assert "No deployment reached production" in found.headline
    assert found.row("Change failure rate")[0] == "– (no deployment reached users in the window)"


def test_a_week_of_failures_alone_is_no_quiet_week() -> None:
    lost = [failed_deployment(number, f"03-12T{number:02}:00") for number in (1, 2)]
    assert "No deployment reached production; 2 runs failed." in render_report(FIRST, *lost).headline
    seen = [failed_deployment(number, f"03-12T{number:02}:00", reached_users=True) for number in (1, 2)]
    assert (
        "No deployment to production succeeded; 2 of 2 attempts failed, 2 not recovered yet."
        in render_report(FIRST, *seen).headline
    )


def test_an_incident_after_the_week_is_none_of_it() -> None:
    found = render_report(FIRST, *deployments_from(11, 1, 11), incident(7, "03-18T03:00"))
    assert "Open incidents" not in found.text
    assert "incident" not in found.headline


def test_the_first_week_of_all_has_nothing_to_compare_with() -> None:
    assert render_report(deployment(1, "03-12T12:00")).headline.startswith("**Nothing to compare with yet.**")


# Table


def test_few_deployments_are_told_as_counts_and_many_as_a_share_as_well() -> None:
    cause = incident(1, "03-11T07:00", resolved_at="03-11T08:00")
    assert render_report(FIRST, *deployments_from(11, 3, 11), cause).row("Change failure rate")[0] == "**1 of 3**"
    assert (
        render_report(FIRST, *deployments_from(11, 20, 11), cause).row("Change failure rate")[0] == "**5 % (1 of 20)**"
    )


@pytest.mark.parametrize(
    ("first", "earlier_days"),
    [
        ("2023-12-20", "The day before it counts as a day without a deployment."),
        ("03-05", "The 77 days before it count as days without a deployment."),
    ],
)
def test_records_that_start_inside_the_ninety_days_are_noted(first: str, earlier_days: str) -> None:
    found = render_report(deployment(1, first), deployment(2, "03-13"))
    date = first if first.startswith("2023") else f"2024-{first}"
    assert f"Records start on {date}, inside the last 90 days. {earlier_days}" in found.text


@pytest.mark.parametrize("first", ["2023-12-01", "2023-12-19", "2023-12-19T23:59"])
def test_nothing_is_noted_if_records_start_before_the_ninety_days_or_on_their_first_day(first: str) -> None:
    assert "Records start" not in render_report(deployment(1, first), deployment(2, "03-13")).text


def test_levels_and_goals_are_read_from_ninety_days() -> None:
    aims = parse_goals({"deployment_frequency": {"target": "2/d"}, "lead_time": {"target": "1d"}})
    found = render_report(FIRST, *deployments_from(4, 3, 1), *deployments_from(11, 3, 11), goals=aims)
    assert found.row("Deployments") == [
        "**3 on 1 day**",
        "3 on 1 day · no clear change",
        "2.4 a month",
        "medium (possibly low to high)",
        "at least 2 a day: 13 a week to go",
    ]
    assert found.row("Lead time, median (p90)")[-1] == "at most 1 d: met"
    assert "Levels and goals use the last 90 days." in found.text


def test_a_quarter_is_its_own_measure() -> None:
    found = render_report(FIRST, *deployments_from(4, 3, 1), kind="quarterly", now="04-08T06:00")
    assert "| | Q1 | vs. previous 91 days | level (2023) |" in found.text
    assert "read from" not in found.text


# Failed and open


def test_a_failure_names_its_rule_its_evidence_and_its_end() -> None:
    url = "https://github.com/acme/shop/issues/7"
    found = render_report(
        FIRST, *deployments_from(11, 1, 11), incident(7, "03-11T08:00", resolved_at="03-11T09:00", url=url)
    )
    (line,) = found.section("What failed")
    why = f"[#\u200b7 detected 2 h after it]({url})"
    assert line == (
        f"- `{sha(deployment_id(11))[:7]}`, Mon 11 Mar, 06:00 (rule `incident`): {why}; "
        "recovered after 3 h (incident #\u200b7 resolved)"
    )


def test_incidents_that_are_open_are_listed_however_old_they_are() -> None:
    found = render_report(
        FIRST, *deployments_from(11, 1, 11), incident(7, "01-20T08:00", title="Slow since January", severity="high")
    )
    assert found.section("Open incidents") == ["- Slow since January, high, since Sat 20 Jan, 08:00"]


def test_where_nothing_failed_there_is_no_such_section() -> None:
    assert "What failed" not in render_report(FIRST, *deployments_from(11, 1, 11)).text


def test_vulnerabilities_of_the_week_are_one_sentence() -> None:
    found = render_report(FIRST, *deployments_from(11, 1, 11), vulnerability(1, "03-12"))
    assert "\nSecurity: 1 alert detected, 1 still open (high).\n" in found.text
    assert "Security" not in render_report(FIRST, *deployments_from(11, 1, 11), vulnerability(1, "03-02")).text


# Delivered


def test_deployments_are_listed_with_the_changes_they_were_the_first_to_bring() -> None:
    lost = failed_deployment(1, "03-11T06:00", changes=[1])
    found = render_report(
        FIRST, lost, deployment(2, "03-11T07:00", changes=[2]), change(1, title="One"), change(2, title="Two")
    )
    assert "<summary>Delivered: 1 deployment, 2 changes</summary>" in found.text
    assert "  - #\u200b1 One\n" in found.text
    assert "  - #\u200b2 Two\n" in found.text


def test_changes_by_bots_are_delivered_too() -> None:
    found = render_report(FIRST, deployment(2, "03-11T07:00", changes=[2]), change(2, title="Bump", bot=True))
    assert "  - #\u200b2 Bump\n" in found.text


def test_the_first_known_deployment_lists_no_months_of_changes() -> None:
    found = render_report(deployment(1, "03-12T12:00", changes=[1]), change(1, title="Old"))
    assert "the first recorded deployment, the baseline" in found.text


@pytest.mark.parametrize(
    "title", ["@all look", "fixes #12", "<img src=x>", "| a | b |", "[x](javascript:1)", "www.x.org"]
)
def test_a_hostile_title_is_text(title: str) -> None:
    found = render_report(FIRST, deployment(2, "03-11T07:00", changes=[2]), change(2, title=title))
    (line,) = (line for line in found.text.splitlines() if line.startswith("  - #\u200b2 "))
    assert not re.search(r"@\w|#1|<img|(?<!\\)\||(?<!\\)\[|www\.x", line.removeprefix("  - #\u200b2 "))


# Size limits


def test_two_thousand_deployments_fit_and_what_is_left_out_is_said() -> None:
    facts: list[Any] = [FIRST]
    for number in range(1, 2001):
        moment = (at("03-11") + timedelta(seconds=300 * number)).isoformat()
        facts += [
            deployment(number, moment, changes=[number], version=f"v{number}"),
            change(number, "03-10", title="x" * 300),
            *([incident(number, moment)] if number % 4 == 0 else []),
        ]
    found = render_report(*facts)
    assert utf16_length(found.issue_body.text_of_new_issue(12)) <= MAX_BODY_UTF16_LENGTH
    assert "Delivered: 2,000 deployments, 2,000 changes" in found.text
    assert re.search(r"- and 1,?\d{3} more deployments", found.text)
    assert "Some lists are cut, since an issue holds at most 65,536 characters." in found.text


def test_what_fits_is_whole_and_nothing_is_said_of_it() -> None:
    assert "not whole" not in render_report(FIRST, *deployments_from(11, 20, 11)).text


def test_letters_that_take_two_units_count_twice() -> None:
    assert utf16_length("🚀") == 2


# Months and quarters


def test_a_month_proposes_action_items_below_the_line_that_is_never_written_over() -> None:
    facts = [FIRST, *deployments_from(4, 3, 1), *(incident(n, f"03-04T{6 * n + 1:02}:00") for n in (1, 2, 3))]
    found = render_report(*facts, kind="monthly", now="04-01T06:00", goals=parse_goals({"lead_time": {"target": "1h"}}))
    assert "Action items" not in found.text
    assert "- **Lead time for changes**: at most 1 h: " in found.text
    assert found.issue_body.user_section.startswith("### Action items\n")
    assert found.issue_body.user_section.rstrip().endswith("- [ ] … (owner: … , due: …)")


def test_a_quarter_reviews_its_goals() -> None:
    aims = parse_goals({"lead_time": {"target": "1h"}})
    with_goals = render_report(FIRST, *deployments_from(4, 3, 1), kind="quarterly", now="04-01T06:00", goals=aims)
    without = render_report(FIRST, *deployments_from(4, 3, 1), kind="quarterly", now="04-01T06:00")
    assert with_goals.section("Goals")[0].startswith("- **Lead time for changes**: at most 1 h: 11 h to go")
    assert "keep, raise or drop it" in with_goals.issue_body.user_section
    assert without.section("Goals")[0].startswith("No goal is set.")


# The user's templates


def test_a_template_of_ones_own_may_take_what_it_likes() -> None:
    found = render_report(
        FIRST,
        *deployments_from(11, 3, 11),
        text='{{ report.title }}\n{% include "chart.md.j2" %}\n<!-- yours -->\nNotes:',
    )
    assert found.headline == "Delivery report · acme/shop · week 11, 2024"
    assert "xychart-beta" in found.text
    assert found.issue_body.user_section == "Notes:"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a\n{% if %}", "line 2: Expected an expression, got 'end of statement block'"),
        ("{{ report.nothing }}", "has no attribute 'nothing'"),
        ("{{ report.__class__.__mro__ }}", "is unsafe"),
        ('{% include "x" %}', "x"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ report.lines + 1 }}", "can only concatenate list"),
        ("x" * 70_000, "the report does not fit into an issue, even without its lists"),
    ],
)
def test_a_template_that_cannot_be_used_says_why(text: str, why: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(why)):
        render_report(FIRST, *deployments_from(11, 1, 11), text=text)


# Scopes


def test_a_scope_without_anything_for_ninety_days_is_not_reported_on() -> None:
    alive, dead = report_input(deployment(1, "03-12T12:00")), report_input(deployment(1, "2023-10-12T12:00"))
    assert has_activity(alive.history, alive.period)
    assert not has_activity(dead.history, dead.period)


def test_a_scope_that_was_never_deployed_is_not_reported_on() -> None:
    """Whoever may open an issue can name a service and an environment in it."""
    outage = incident(9, "03-12T12:00")
    only_incidents = report_input(deployment(1, "03-12T12:00", environment="production"), outage)
    never_deployed = replace(only_incidents.history, deployments=[])
    assert never_deployed.incidents
    assert not has_activity(never_deployed, only_incidents.period)


@pytest.mark.parametrize(
    ("service", "shown"),
    [
        ("@acme/team", "@\u200bacme/team"),
        ("acme/api#12", "acme/api#\u200b12"),
        ("GH-12", "GH\u200b-12"),
        ("https://evil.example", "https\u200b://evil.example"),
        ("a\nb\x1b\u202e", "a b"),
    ],
)
def test_the_title_mentions_nobody_and_references_nothing(service: str, shown: str) -> None:
    title = render_report(deployment(1, "03-12", service=service)).issue_body.title
    assert title == f"Delivery report · acme/shop · {shown} · production · week 11, 2024"


@pytest.mark.parametrize("length", [199, 200, 300, 10_000])
def test_the_title_is_cut_in_the_name_of_the_scope(length: int) -> None:
    title = render_report(deployment(1, "03-12", service="x" * length)).issue_body.title
    whole = f"Delivery report · acme/shop · {'x' * length} · production · week 11, 2024"
    assert title == (whole if len(whole) <= 256 else f"{whole[:239]}… · week 11, 2024")
    assert len(title) <= 256
    assert title.endswith(" · week 11, 2024")


def test_the_title_names_a_service_where_it_is_not_simply_the_repository() -> None:
    assert render_report(deployment(1, "03-12", service="web")).issue_body.title == (
        "Delivery report · acme/shop · web · production · week 11, 2024"
    )


def test_the_same_facts_make_the_same_report_at_any_time_of_the_week() -> None:
    facts = [FIRST, *deployments_from(4, 3, 1), *deployments_from(11, 3, 11), incident(7, "03-11T08:00")]
    assert render_report(*facts).issue_body == render_report(*facts, now="03-22T23:00").issue_body
