"""The page in headless Chromium: content, choices, keyboard, accessibility."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playwright.sync_api import Browser, Locator, Page, expect

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports.site.feeds import weeks_of_all_scopes
from dora_metrics.core.teams import Teams
from dora_metrics.pipeline import publish
from support.browser import open_watched_page
from support.facts import (
    at,
    change,
    deployment,
    deployment_id,
    failed_deployment,
    incident,
    pull_id,
    results_of,
    vulnerability,
)
from support.metrics_page import PHONE_VIEWPORT, MetricsPage, demo_results, open_page, texts
from support.property_cases import cases
from support.strategies import fact_lists

METRICS = ["deployment_frequency", "lead_time", "change_failure_rate", "recovery_time", "rework_rate"]
TITLES = ["Deployment frequency", "Lead time for changes", "Change failure rate", "Recovery time", "Rework rate"]


def chart_script(metric: str) -> str:
    """JavaScript expression for the chart of a metric."""
    return f"Chart.getChart(document.querySelector('#{metric} .canvas canvas'))"


BROKEN_NUMBER = re.compile("NaN|undefined|null|Infinity|Invalid")


def test_the_five_numbers_stand_with_level_interval_n_and_the_window_before(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        assert texts(seen.page.locator(".card h2")) == TITLES
        said = seen.card("Change failure rate").inner_text().replace("\u00a0", " ").splitlines()
        open_level = seen.card("Change failure rate").locator(".level")
        assert open_level.get_attribute("class") == "level open", "what the data leave open has no colour"
    assert [line for line in said if line] == [
        "Change failure rate",
        "22.2 %",
        "low (possibly up to high)",
        "95 % interval 6.3 to 54.7 %",
        "2 of 9",
        "1 of 7 in the previous 30 days · no clear change",
        "Copy as image",
    ]


def test_the_charts_are_drawn(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        assert all(seen.coloured_pixels(metric) > 2_000 for metric in METRICS)
        for metric in METRICS:
            chart = seen.page.locator(f"#{metric} .canvas canvas")
            assert re.match(
                r"Chart of 13 weeks, \d+ with values: first .+, last ", chart.get_attribute("aria-label") or ""
            )
        description = seen.page.locator("#recovery_time .canvas canvas").get_attribute("aria-label") or ""
        assert "first median 6 h 30 min, last median 41 min, highest median 6 h 30 min." in description


def test_each_chart_has_its_definition_and_a_table_of_the_same_numbers(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        for metric in METRICS:
            section = seen.page.locator(f"#{metric}")
            assert len(section.locator(".definition").first.inner_text()) > 50
            section.get_by_text("Show as a table").click()
            expect(section.locator("tbody tr")).to_have_count(13)
        newest = seen.page.locator("#change_failure_rate tbody tr").first
        assert newest.inner_text().split("\t") == [
            "16 Nov – 22 Nov 2026 (incomplete week)",
            "1 of 3",
            "33.3 %",
            "22.2 %",
        ]


def test_another_window_changes_the_numbers_the_address_and_what_is_announced(browser: Browser, tmp_path: Path) -> None:
    facts = [deployment(1, "2023-12-01"), *(deployment(n, f"02-{n:02}") for n in range(2, 7)), deployment(7, "03-20")]
    with open_page(browser, tmp_path, results_of(*facts, window="30d")) as seen:
        seen.page.get_by_text("90 days", exact=True).click()
        expect(seen.card("Deployment frequency")).to_contain_text("6 deployments on")
        assert seen.page.url.endswith("#window=90d")
        expect(seen.page.get_by_role("status")).to_contain_text("90 days: Deployment frequency 2 a month")
        seen.page.go_back()
        expect(seen.card("Deployment frequency")).to_contain_text("1 deployment on")


def test_the_address_keeps_what_was_chosen(browser: Browser, tmp_path: Path) -> None:
    two = results_of(deployment(1), deployment(2, "03-09", service="web"), now="04-01")
    with open_page(browser, tmp_path, two, "scope=acme/shop/shop/production&window=all&theme=dark") as seen:
        assert seen.page.get_by_label("Scope", exact=True).input_value() == "acme/shop/shop/production"
        expect(seen.page.get_by_label("all time")).to_be_checked()
        assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize(
    "fragment",
    [
        "scope=gone&window=7y&show=week:99&theme=x",
        "show=constructor",
        "show=deployment:-1",
        "show=week:-1",
        "show=week:",
    ],
)
def test_an_address_that_names_nothing_shows_what_there_is(browser: Browser, tmp_path: Path, fragment: str) -> None:
    with open_page(browser, tmp_path, demo_results(), fragment) as seen:
        expect(seen.card("Change failure rate")).to_contain_text("22.2 %")
        expect(seen.dialog).to_be_hidden()


def test_the_scope_that_was_deployed_last_comes_first_and_others_can_be_chosen(
    browser: Browser, tmp_path: Path
) -> None:
    two = results_of(
        deployment(1, "03-20"), deployment(2, "03-09", service="web"), deployment(3, "03-10", service="web")
    )
    with open_page(browser, tmp_path, two, "scope=acme/shop/shop/production") as seen:
        choice = seen.page.get_by_label("Scope", exact=True)
        assert texts(choice.locator("option")) == ["production", "web · production"]
        expect(seen.card("Deployment frequency")).to_contain_text("1 deployment on 1 day")
        choice.select_option("web · production")
        expect(seen.card("Deployment frequency")).to_contain_text("2 deployments on 2 days")


# --- The overview of all scopes


def shop_and_web() -> Results:
    """Two scopes: the shop with a deployment in March and an open failure, web with two older ones and none since."""
    shop = [deployment(1, "03-10"), deployment(2, "03-20"), incident(1, "03-20T01:00", resolved_at=None)]
    web = [deployment(3, "02-09", service="web"), deployment(4, "03-28", service="web")]
    return results_of(*shop, *web, window="30d", now="04-01")


def row_names(page: Page) -> Sequence[str]:
    return texts(page.locator("#rows th a"))


def test_with_several_scopes_the_overview_comes_first_with_what_needs_attention_on_top(
    browser: Browser, tmp_path: Path
) -> None:
    with open_page(browser, tmp_path, shop_and_web()) as seen:
        assert row_names(seen.page) == ["production", "web · production"]
        shop = seen.page.locator("#rows tr").first
        assert shop.locator(".attention").inner_text() == "1 open failure"
        assert [text.replace("\u00a0", " ") for text in texts(shop.locator("td"))] == [
            "2 in 30 days\nmedium",
            "–",
            "50 %\nlow · 1 of 2",
            "–",
            "0 %\n0 of 2",
            "2024-03-20 00:00",
        ]
        assert shop.locator("svg.spark").count() == 2
        assert seen.page.locator(".card").count() == 0


def test_a_scope_is_opened_from_the_overview_and_back_leads_to_where_one_was(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, shop_and_web()) as seen:
        name = seen.page.get_by_role("link", name="web · production")
        name.press("Enter")
        expect(seen.page.get_by_role("heading", name="web · production")).to_be_focused()
        expect(seen.card("Deployment frequency")).to_contain_text("1 deployment on 1 day")
        assert seen.page.title() == "Delivery · acme/shop · web · production"
        seen.page.go_back()
        expect(name).to_be_focused()
        assert "scope=" not in seen.page.url
        seen.page.go_forward()
        seen.page.get_by_role("link", name="All 2 scopes").press("Enter")
        expect(name).to_be_focused()


def test_a_scope_that_was_opened_by_its_address_leads_to_its_row(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, shop_and_web(), "scope=acme/shop/web/production") as seen:
        seen.page.get_by_role("link", name="All 2 scopes").click()
        expect(seen.page.get_by_role("link", name="web · production")).to_be_focused()


def test_each_number_of_the_overview_is_reached_by_keyboard_and_opens_its_evidence(
    browser: Browser, tmp_path: Path
) -> None:
    with open_page(browser, tmp_path, shop_and_web()) as seen:
        seen.page.get_by_role("link", name="web · production").focus()
        for key, focused in (
            ("ArrowRight", "1 in 30 days"),
            ("ArrowRight", "0 %"),
            ("ArrowUp", "50 %"),
            ("ArrowRight", "0 %"),
            ("ArrowRight", "0 %"),
            ("ArrowLeft", "50 %"),
        ):
            seen.page.keyboard.press(key)
            assert seen.page.evaluate("document.activeElement.textContent.replaceAll('\u00a0', ' ')") == focused
        seen.page.keyboard.press("Enter")
        expect(seen.dialog).to_contain_text("1 failed deployment · 30 days")
        seen.page.keyboard.press("Escape")
        expect(seen.page.get_by_role("button", name="Change failure rate: 50 %")).to_be_focused()


def test_the_overview_is_sorted_by_any_column_in_both_directions(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, shop_and_web()) as seen:
        title = seen.page.get_by_role("button", name="Deployments")
        header = seen.page.get_by_role("columnheader", name="Deployments")
        for direction, names in (
            ("descending", ["production", "web · production"]),
            ("ascending", ["web · production", "production"]),
        ):
            title.press("Enter")
            expect(header).to_have_attribute("aria-sort", direction)
            assert row_names(seen.page) == names
            expect(title).to_be_focused()
        assert seen.page.url.endswith("#sort=-deployment_frequency")
        seen.page.get_by_label("Sort by").select_option("Last deployment")
        expect(seen.page.locator("#rows th a").first).to_have_text("web · production")
        seen.page.get_by_role("button", name="Reverse order").click()
        expect(seen.page.locator("#rows th a").first).to_have_text("production")


def test_many_scopes_are_filtered_and_the_address_keeps_the_filter(browser: Browser, tmp_path: Path) -> None:
    many = results_of(*(deployment(n, repository=f"acme/r{n}", service=f"r{n}") for n in range(60)))
    with open_page(browser, tmp_path, many) as seen:
        expect(seen.page.locator("#rows tr")).to_have_count(60)
        seen.page.get_by_label("Filter").fill("R5")
        expect(seen.page.locator("#rows tr")).to_have_count(11)
        expect(seen.page.locator("#shown")).to_have_text("11 of 60 scopes")
        assert set(row_names(seen.page)) == {"acme/r5", *(f"acme/r{n}" for n in range(50, 60))}
        assert seen.page.url.endswith("#filter=R5")
        seen.page.get_by_role("link", name="acme/r59").click()
        seen.page.go_back()
        expect(seen.page.locator("#rows tr")).to_have_count(11)


def of_teams(*names: str, **patterns: str) -> Results:
    """A scope of each name in one repository, as teams."""
    facts = [deployment(number, f"03-{number:02}", service=name) for number, name in enumerate(names, 1)]
    return results_of(*facts, teams=Teams.parse(patterns) if patterns else None)


def test_scopes_are_filtered_by_team_and_the_address_keeps_the_team(browser: Browser, tmp_path: Path) -> None:
    with open_page(
        browser, tmp_path, of_teams("web", "till", "cash", "dns", **{"7": "web", "pay": "till, cash"})
    ) as seen:
        assert seen.page.locator("#columns th").nth(1).inner_text() == "Team"
        assert texts(seen.page.locator("#rows td.team")) == ["–", "pay", "pay", "7"]
        choice = seen.page.get_by_label("Team")
        assert texts(choice.locator("option")) == ["All", "7", "pay", "No team"]
        choice.select_option("pay")
        assert row_names(seen.page) == ["cash · production", "till · production"]
        expect(seen.page.locator("#shown")).to_have_text("2 of 4 scopes")
        assert seen.page.url.endswith("#team=pay")
        choice.select_option("No team")
        assert row_names(seen.page) == ["dns · production"]
        seen.page.go_back()
        expect(choice).to_have_value("pay")
        seen.page.get_by_role("link", name="till · production").click()
        seen.page.go_back()
        assert row_names(seen.page) == ["cash · production", "till · production"]


def test_scopes_are_sorted_by_team_and_those_without_are_last(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, of_teams("a", "b", "c", "d", One="b", two="a, d"), "sort=team") as seen:
        assert texts(seen.page.locator("#rows td.team")) == ["One", "two", "two", "–"]
        seen.page.get_by_role("button", name="Team").click()
        assert texts(seen.page.locator("#rows td.team")) == ["two", "two", "One", "–"]


@pytest.mark.parametrize("patterns", [{}, {"pay": "nothing"}], ids=["none set", "none matches"])
@pytest.mark.parametrize("fragment", ["", "team=pay", "sort=team"])
def test_without_a_team_the_overview_has_nothing_about_teams(
    browser: Browser, tmp_path: Path, patterns: dict[str, str], fragment: str
) -> None:
    with open_page(browser, tmp_path, of_teams("web", "till", **patterns), fragment) as seen:
        assert len(row_names(seen.page)) == 2
        assert "team" not in seen.page.locator("#overview").inner_text().lower()
        expect(seen.page.locator("#columns th")).to_have_count(7)
        expect(seen.page.get_by_label("Team")).to_be_hidden()


def test_where_every_scope_has_a_team_no_choice_is_empty(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, of_teams("a", "b", pay="*"), "team=+") as seen:
        assert texts(seen.page.get_by_label("Team").locator("option")) == ["All", "pay"]
        assert len(row_names(seen.page)) == 2


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 720}, PHONE_VIEWPORT])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_with_teams_is_accessible_and_no_wider_than_the_screen(
    browser: Browser, tmp_path: Path, scheme: str, viewport: dict[str, int]
) -> None:
    results = of_teams("web", "till", **{"W" * 80: "web"})
    with open_page(browser, tmp_path, results, color_scheme=scheme, viewport=viewport) as seen:
        assert seen.serious_violations() == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def test_the_overview_says_what_is_left_out(browser: Browser, tmp_path: Path) -> None:
    many = results_of(*(deployment(n, repository=f"acme/r{n}", service=f"r{n}") for n in range(505)))
    with open_page(browser, tmp_path, many) as seen:
        help_text = seen.page.locator("#overview-help").inner_text()
        assert "The 20 scopes with the latest deployments have all windows, weeks and stages." in help_text
        assert help_text.endswith("The 5 scopes that were deployed least recently are not on this page.")


# --- From a number to the facts behind it


def test_a_number_opens_its_deployments_changes_and_incidents_with_links(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        seen.page.get_by_role("button", name="Change failure rate: 22.2 %").click()
        said = seen.dialog.inner_text()
        assert "2 failed deployments · 30 days" in said
        assert "Failed (rule rollback): v2.18.0 was deployed again; recovered after 41 min (v2.18.0)." in said
        assert "Resolved after 52 min; attributed to v2.13.0: detected 2 h after it." in said
        link = seen.dialog.get_by_role("link", name="v2.19.0", exact=True)
        assert link.get_attribute("href") == "https://github.com/acme/shop/deployments/2119"
        assert link.get_attribute("rel") == "noopener noreferrer"
        assert (
            seen.dialog.get_by_role("link", name="#451").get_attribute("href")
            == "https://github.com/acme/shop/pull/451"
        )


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Deployment frequency", "9 deployments, 1 unsuccessful attempt · 30 days"),
        ("Lead time for changes", "29 changes, 3 excluded · 30 days · longest first"),
        ("Recovery time", "2 failed deployments"),
        ("Rework rate", "1 rework deployment"),
    ],
)
def test_what_is_listed_is_what_was_counted(browser: Browser, tmp_path: Path, title: str, said: str) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        seen.page.get_by_role("button", name=f"{title}: ").click()
        expect(seen.dialog).to_contain_text(said)
        assert not BROKEN_NUMBER.search(seen.dialog.inner_text())


def test_changes_of_a_deployment_with_very_many_are_counted_where_they_are_not_listed(
    browser: Browser, tmp_path: Path
) -> None:
    changes = [change(n, f"02-{n % 28 + 1:02}T{n // 28:02}:00") for n in range(120)]
    facts = [deployment(1, "02-01"), *changes, deployment(2, "03-03", changes=list(range(120)))]
    with open_page(browser, tmp_path, results_of(*facts), "show=lead_time") as seen:
        expect(seen.dialog).to_contain_text("40 of 120 changes listed · ")
        expect(seen.dialog.locator(".evidence > li").first).to_contain_text("#0")
        expect(unlisted_note(seen)).to_have_text(
            "For 1 deployment with many changes, only the slowest are listed. 80 changes are not listed."
        )


def unlisted_note(seen: MetricsPage) -> Locator:
    return seen.dialog.locator("p", has_text="not listed")


def test_changes_that_are_not_listed_are_counted_with_and_without_a_lead_time(browser: Browser, tmp_path: Path) -> None:
    human, bot = ([change(n, "02-01", bot=n >= 60) for n in part] for part in (range(60), range(60, 90)))
    facts = [deployment(1, "02-01"), *human, *bot, deployment(2, "03-03", changes=list(range(90)))]
    with open_page(browser, tmp_path, results_of(*facts), "show=lead_time") as seen:
        expect(seen.dialog).to_contain_text("40 of 60 changes listed · ")
        expect(unlisted_note(seen)).to_have_text(
            "For 1 deployment with many changes, only the slowest are listed. "
            "50 changes are not listed: 20 with a lead time, 30 excluded."
        )


def test_where_only_excluded_changes_are_not_listed_the_others_are_not_called_the_slowest(
    browser: Browser, tmp_path: Path
) -> None:
    changes = [change(n, "02-01", bot=n > 0) for n in range(42)]
    facts = [deployment(1, "02-01"), *changes, deployment(2, "03-03", changes=list(range(42)))]
    with open_page(browser, tmp_path, results_of(*facts), "show=lead_time") as seen:
        expect(seen.dialog).to_contain_text("1 change, 41 excluded · ")
        expect(unlisted_note(seen)).to_have_text(
            "For 1 deployment with many changes, only some are listed. 2 excluded changes are not listed."
        )


@pytest.mark.parametrize(("is_in_ledger", "where"), [(False, ""), (True, "; see facts/ in the ledger")])
def test_where_all_deployments_of_a_number_are_left_out_none_are_said_to_be_none(
    browser: Browser, tmp_path: Path, *, is_in_ledger: bool, where: str
) -> None:
    path = tmp_path / "index.html"
    results = replace(results_of(deployment(1, "03-20"), deployment(2, "03-21")), is_in_ledger=is_in_ledger)
    html = publish.page_html(results)
    path.write_text(re.sub(r'"deployments":\[\{.*\}\](?=\})', '"first":2', html), "utf-8")
    with open_watched_page(browser) as watched:
        watched.page.goto(f"{path.as_uri()}#show=deployment_frequency")
        expect(watched.page.locator("#evidence-body > p")).to_have_text(f"2 deployments are not on this page{where}.")


def test_a_click_on_a_bar_opens_its_week(browser: Browser, tmp_path: Path) -> None:
    one = results_of(deployment(1, "03-20"), deployment(2, "03-21"), deployment(3, "03-29"))
    with open_page(browser, tmp_path, one) as seen:
        bar = seen.page.evaluate(
            "(({x, y}) => ({x, y: y + 5}))(" + chart_script("deployment_frequency") + ".getDatasetMeta(0).data[0])"
        )
        seen.page.locator("#deployment_frequency .canvas canvas").click(position=bar)
        expect(seen.dialog.get_by_role("heading", level=2)).to_have_text("18 Mar – 24 Mar 2024")
        assert "2 deployments" in seen.dialog.inner_text()


def test_bars_table_and_hover_count_deployments_alike_where_failed_runs_count_as_failures(
    browser: Browser, tmp_path: Path
) -> None:
    facts = [deployment(1, "03-25"), deployment(2, "03-26"), failed_deployment(3, "03-27"), incident(1, "03-26T01:00")]
    with open_page(browser, tmp_path, results_of(*facts, count_failed_runs=True)) as seen:
        bars = seen.page.evaluate(
            f"{chart_script('deployment_frequency')}.data.datasets.map(({{data}}) => data.at(-1).y)"
        )
        assert bars == [1, 1]
        seen.page.locator("#deployment_frequency summary").click()
        row = seen.page.locator("#deployment_frequency tbody tr").first
        assert row.inner_text().split("\t")[1:] == ["2", "1"]


def test_a_rate_of_a_git_history_is_not_drawn_as_zero_percent_where_none_is_known(
    browser: Browser, tmp_path: Path
) -> None:
    facts = [deployment(number, day, source="git") for number, day in ((1, "03-05"), (2, "03-12"))]
    with open_page(browser, tmp_path, results_of(*facts, window="30d")) as seen:
        section = seen.page.locator("#change_failure_rate")
        expect(section.locator(".nothing")).to_have_text("No failure is known; a git history has no incidents")
        rework = seen.page.locator("#rework_rate .nothing")
        expect(rework).to_have_text("No rework is known; a git history records no rollbacks")
        expect(seen.page.locator("#deployment_frequency .legend")).to_contain_text("no known failure")
        section.locator("summary").click()
        assert section.locator("tbody tr").nth(2).inner_text().split("\t")[1:] == ["0 of 1", "–", "–"]
    reverted = [change(1, "03-04"), change(2, "03-11", reverts=pull_id(1))]
    tags = [deployment(number, f"03-{5 + number:02}", source="git", changes=[number]) for number in (1, 2)]
    history = results_of(deployment(0, "03-01", source="git"), *reverted, *tags, window="30d")
    with open_page(browser, tmp_path, history) as seen:
        for rate in ("#change_failure_rate", "#rework_rate"):
            seen.page.locator(f"{rate} summary").click()
            assert "at least 50 %" in seen.page.locator(f"{rate} tbody").inner_text()


def test_a_fixed_window_ends_with_its_last_week_where_clocks_change(browser: Browser, tmp_path: Path) -> None:
    facts = [deployment(1, "2023-08-01"), deployment(2, "2023-11-10"), deployment(3, "2023-11-21")]
    fixed = results_of(*facts, window="2023-10-09..2023-11-20", zone="America/New_York", now="2023-11-25T12:00")
    with open_page(browser, tmp_path, fixed) as seen:
        drawn = seen.page.evaluate(f"(({{min, max}}) => [min, max])({chart_script('deployment_frequency')}.scales.x)")
        shaded = seen.page.evaluate(f"{chart_script('deployment_frequency')}.options.plugins.shading.until")
    assert drawn[1] == shaded == 16  # Monday, 31 July, to Monday, 20 November


@pytest.mark.parametrize("backfilled", [(), (deployment(9, "2023-06-01"),)])
def test_an_address_shows_the_same_week_and_deployment_after_a_backfill(
    browser: Browser, tmp_path: Path, backfilled: tuple[Fact, ...]
) -> None:
    shop = results_of(*backfilled, deployment(1, "2023-12-31"), deployment(2, "03-20", version="v2"))
    for fragment, title in (
        ("show=week:2024-W12", "18 Mar – 24 Mar 2024"),
        ("show=week:2023-W52", "25 Dec – 31 Dec 2023"),
        ("show=deployment:github:deployment:2", "v2"),
    ):
        with open_page(browser, tmp_path, shop, fragment) as seen:
            expect(seen.dialog.get_by_role("heading", level=2)).to_have_text(title)


def test_a_chart_says_its_values_where_the_mouse_is(browser: Browser, tmp_path: Path) -> None:
    found = chart_script("lead_time")
    with open_page(
        browser, tmp_path, demo_results(), bypass_csp=True
    ) as seen:  # for `wait_for_function`, which needs `eval`
        for place, title, said in (
            ("0).data.at(-1)", "16 Nov – 22 Nov 2026", ["median 1 d 8 h", "incomplete week"]),
            ("1).data.at(-4)", "v2.17.0", ["2026-11-10 13:40", "5 changes, median 1 d 12 h"]),
        ):
            at = seen.page.evaluate(f"(({{x, y}}) => ({{x, y}}))({found}.getDatasetMeta({place})")
            seen.page.locator("#lead_time .canvas canvas").hover(position=at)
            seen.page.wait_for_function(f"{found}.tooltip.title?.[0] === '{title}'")
            assert seen.page.evaluate(f"{found}.tooltip.body.flatMap(part => part.lines)") == said


def test_rates_are_drawn_over_four_weeks_with_each_week_behind(browser: Browser, tmp_path: Path) -> None:
    weeks = [deployment(n, f"03-{4 + 7 * n:02}T12:00") for n in range(4)]
    with open_page(browser, tmp_path, results_of(*weeks, incident(1, "03-25T13:00"), window="30d")) as seen:
        script = f"{chart_script('change_failure_rate')}.data.datasets.map(({{data}}) => data.map(({{y}}) => y))"
        rolling, single, failed = seen.page.evaluate(script)
    assert rolling == [0, 0, 0, 0.25]
    assert single == [0, 0, 0, 1]
    assert failed == [0]


def test_the_legend_names_every_mark_and_a_partial_week_looks_partial(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        legends = {metric: texts(seen.page.locator(f"#{metric} .legend").first.locator("span")) for metric in METRICS}
        first, *_, last = seen.page.evaluate(
            f"{chart_script('deployment_frequency')}.getDatasetMeta(0).data"
            ".map(({options}) => [options.borderWidth, options.backgroundColor])"
        )[1:]
    common = ["incomplete week", "outside the window"]
    assert legends == {
        "deployment_frequency": ["did not fail", "failed", *common],
        "lead_time": ["weekly median", "deployment", *common],
        "change_failure_rate": ["four weeks", "one week", "deployment that failed", *common],
        "recovery_time": ["weekly median", "deployment that failed", *common],
        "rework_rate": ["four weeks", "one week", "rework deployment", *common],
    }
    assert (first[0], last[0]) == (0, 1)
    assert first[1] != last[1]


def test_the_stages_of_lead_time_are_shares_of_each_week(browser: Browser, tmp_path: Path) -> None:
    times = {"opened_at": at("03-02"), "first_review_at": at("03-03"), "merged_at": at("03-05")}
    facts = [deployment(1, "02-20"), change(7, "03-01", **times), deployment(2, "03-06", changes=[7])]
    with open_page(browser, tmp_path, results_of(*facts, now="03-08", window="30d")) as seen:
        shares = seen.page.evaluate(
            "Chart.getChart(document.querySelector('#stages canvas[role]'))"
            ".data.datasets.map(({data}) => data.at(-1).y)"
        )
        assert shares == [0.2, 0.2, 0.4, 0.2]
        assert texts(seen.page.locator("#stages .legend span"))[:4] == [
            "coding",
            "waiting for review",
            "review",
            "waiting for deployment",
        ]
        seen.page.locator("#lead_time summary").click()
        cells = seen.page.locator("#lead_time tbody tr").first.inner_text().split("\t")[3:]
        assert cells == ["1 d", "1 d", "2 d", "1 d"]


@pytest.mark.parametrize(
    ("values", "ends"),
    [([0.02], (0, 0.05)), ([0.0, 0.3], (0, 0.4)), ([1.0], (0, 1))],
)
def test_the_axis_of_a_rate_ends_at_the_round_number_above_its_values(
    browser: Browser, tmp_path: Path, values: list[float], ends: tuple[float, float]
) -> None:
    failures = {round(100 * value) for value in values}
    deployments = [deployment(n, "03-06T12:00") for n in range(1, 101)]
    incidents = [incident(n, "03-07", deployment=deployment_id(n)) for n in range(1, max(failures) + 1)]
    with open_page(browser, tmp_path, results_of(*deployments, *incidents, now="03-20", window="30d")) as seen:
        script = (
            f"(({{min, max, ticks}}) => [min, max, ticks.at(-1).value])({chart_script('change_failure_rate')}.scales.y)"
        )
        low, high, last_tick = seen.page.evaluate(script)
    assert ((low, high), last_tick) == (ends, ends[1])


# --- A card or chart as an image


def test_a_card_and_a_chart_are_copied_as_images(browser: Browser, tmp_path: Path) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with open_page(browser, tmp_path, demo_results(), permissions=permissions) as seen:
        for name, least in (("Lead time for changes", (700, 300)), ("Median lead time of each week", (1_600, 500))):
            seen.page.get_by_role("button", name=f"Copy as image: {name}").click()
            expect(seen.page.get_by_role("button", name=f"Copy as image: {name}")).to_have_text(
                "Copied", timeout=30_000
            )
            width, height = seen.page.evaluate(
                """async () => {
                    const [item] = await navigator.clipboard.read();
                    const { width, height } = await createImageBitmap(await item.getType("image/png"));
                    return [width, height];
                }"""
            )
            assert width > least[0]
            assert height > least[1]


def test_without_a_clipboard_the_image_is_saved(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        seen.page.evaluate("delete Navigator.prototype.clipboard")
        with seen.page.expect_download() as download:
            seen.page.get_by_role("button", name="Copy as image: Deployments per week").click()
        assert download.value.suggested_filename == "deployment_frequency.png"
        assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_a_long_list_shows_fifty_and_more_on_demand(browser: Browser, tmp_path: Path) -> None:
    many = results_of(*(deployment(n, f"03-{n % 28 + 1:02}T{n // 28:02}:00") for n in range(120)))
    with open_page(browser, tmp_path, many, "show=deployment_frequency") as seen:
        expect(seen.dialog.locator(".evidence > li")).to_have_count(50)
        seen.dialog.get_by_role("button", name="Show 50 more of 70").click()
        expect(seen.dialog.locator(".evidence > li")).to_have_count(100)


# --- Keyboard


def test_everything_is_reached_by_keyboard_and_focus_comes_back(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        seen.page.keyboard.press("Tab")
        expect(seen.page.get_by_role("link", name="Skip to the numbers")).to_be_focused()
        seen.page.keyboard.press("Enter")
        for _ in range(2):  # heading of the card, its number
            seen.page.keyboard.press("Tab")
        number = seen.page.get_by_role("button", name="Deployment frequency: ")
        expect(number).to_be_focused()
        seen.page.keyboard.press("Enter")
        expect(seen.dialog.get_by_role("heading", level=2)).to_be_focused()
        seen.page.keyboard.press("Escape")
        expect(seen.dialog).to_be_hidden()
        expect(number).to_be_focused()


def test_each_number_of_a_scope_is_reached_with_tab_and_opens_its_evidence(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        opened = []
        for _ in range(30):
            seen.page.keyboard.press("Tab")
            if seen.page.evaluate("document.activeElement.matches('button.value')"):
                seen.page.keyboard.press("Enter")
                expect(seen.dialog).to_be_visible()
                opened.append(seen.dialog.get_by_role("heading", level=2).inner_text())
                seen.page.keyboard.press("Escape")
                expect(seen.dialog).to_be_hidden()
    assert opened == TITLES


def test_windows_are_chosen_with_arrows_and_keep_the_focus(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, results_of(deployment(1, "2023-12-01"), window="30d")) as seen:
        seen.page.get_by_label("30 days").focus()
        seen.page.keyboard.press("ArrowRight")
        expect(seen.page.get_by_label("90 days")).to_be_checked()
        expect(seen.page.get_by_label("90 days")).to_be_focused()


def test_a_number_keeps_the_focus_when_the_system_changes_its_colours(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results(), color_scheme="light") as seen:
        number = seen.page.get_by_role("button", name="Lead time for changes: ")
        number.focus()
        number.evaluate("number => { window.oldNumber = number }")
        seen.page.emulate_media(color_scheme="dark")
        seen.page.wait_for_function("() => !window.oldNumber.isConnected")  # the cards are drawn anew
        expect(number).to_be_focused()


def test_a_week_of_the_table_has_the_focus_again_after_its_evidence(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results(), color_scheme="light") as seen:
        seen.page.locator("#lead_time summary").click()
        week = seen.page.get_by_role("button", name="16 Nov – 22 Nov 2026")
        week.press("Enter")
        expect(seen.dialog).to_be_visible()
        seen.page.emulate_media(color_scheme="dark")
        seen.page.keyboard.press("Escape")
        expect(week).to_be_focused()


def test_a_week_is_opened_from_the_table(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        seen.page.locator("#lead_time summary").press("Enter")
        seen.page.get_by_role("button", name="16 Nov – 22 Nov 2026").press("Enter")
        expect(seen.dialog).to_contain_text("v2.19.0")


# --- Accessibility and appearance


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shown", ["", "show=change_failure_rate"])
def test_axe_finds_nothing_serious(browser: Browser, tmp_path: Path, scheme: str, shown: str) -> None:
    with open_page(browser, tmp_path, demo_results(), shown, color_scheme=scheme) as seen:
        for summary in seen.page.locator("summary").all() if not shown else ():
            summary.click()
        assert seen.serious_violations() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 720}, PHONE_VIEWPORT])
def test_axe_finds_nothing_serious_in_the_overview(
    browser: Browser, tmp_path: Path, scheme: str, viewport: dict[str, int]
) -> None:
    with open_page(browser, tmp_path, shop_and_web(), color_scheme=scheme, viewport=viewport) as seen:
        assert seen.serious_violations() == []


def test_axe_finds_nothing_serious_on_a_phone_and_where_there_is_nothing(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results(), viewport=PHONE_VIEWPORT) as seen:
        assert seen.serious_violations() == []
    with open_page(browser, tmp_path, results_of()) as seen:
        assert seen.serious_violations() == []


def test_it_follows_the_systems_colours_and_can_be_told_otherwise(browser: Browser, tmp_path: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with open_page(browser, tmp_path, demo_results(), color_scheme="dark") as seen:
        assert seen.page.evaluate(background) == "rgb(13, 17, 23)"
        dark = seen.page.locator("#lead_time .canvas canvas").screenshot()
        seen.page.get_by_role("button", name="Theme: system").click()
        expect(seen.page.get_by_role("button", name="Theme: light")).to_be_visible()
        assert seen.page.evaluate(background) == "rgb(255, 255, 255)"
        assert seen.page.locator("#lead_time .canvas canvas").screenshot() != dark
        seen.page.emulate_media(color_scheme="light")


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, tmp_path: Path) -> None:
    long = results_of(deployment(1, service="a" * 90, version="v" * 90), change(3, title="x" * 300))
    several = results_of(deployment(1, service="a" * 90), deployment(2, service="b" * 90))
    for numbers in (demo_results(), long, several):
        for fragment in ("", "show=deployment_frequency"):
            with open_page(browser, tmp_path, numbers, fragment, viewport=PHONE_VIEWPORT) as seen:
                assert seen.page.evaluate("document.documentElement.scrollWidth") == PHONE_VIEWPORT["width"]


def test_the_reason_of_an_unmatched_incident_has_its_setting_as_code(browser: Browser, tmp_path: Path) -> None:
    unmatched = incident(1, "03-22T12:00", resolved_at="03-22T13:00")
    with open_page(browser, tmp_path, results_of(deployment(1, "03-20"), unmatched), "show=week:2024-W12") as seen:
        assert "incident-window" in texts(seen.dialog.locator(".why code"))


def test_names_in_backticks_are_code(browser: Browser, tmp_path: Path) -> None:
    note = "Set `report: weekly`, then run <b>it</b>."
    numbers = results_of(deployment(1))
    noted = msgspec.structs.replace(numbers, document=msgspec.structs.replace(numbers.document, notes=[note]))
    with open_page(browser, tmp_path, noted) as seen:
        assert seen.page.locator(".note").inner_text() == "Set report: weekly, then run <b>it</b>."
        assert texts(seen.page.locator(".note code")) == ["report: weekly"]


def test_it_can_be_printed(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, demo_results()) as seen:
        seen.page.emulate_media(media="print")
        assert not seen.page.locator("#choice").is_visible()
        assert seen.page.locator("#cards").is_visible()


@pytest.mark.parametrize("is_in_ledger", [False, True])
def test_only_a_page_in_a_ledger_says_that_the_ledger_has_the_numbers(
    browser: Browser, tmp_path: Path, *, is_in_ledger: bool
) -> None:
    results = replace(demo_results(), is_in_ledger=is_in_ledger)
    with open_page(browser, tmp_path, results, java_script_enabled=False) as seen:
        without_script = seen.page.locator("noscript").inner_text()
        assert without_script.startswith("This page needs JavaScript.")
        for text in (without_script, seen.page.locator("footer").inner_text()):
            assert ("metrics.json" in text) == is_in_ledger


# --- Little data, and much data


def test_an_empty_ledger_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, results_of()) as seen:
        assert "No production deployments yet" in seen.page.inner_text("main")
        assert "first recorded deployment" in seen.page.inner_text("main")


def test_no_data_is_told_with_its_reason_and_is_no_button(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, results_of(deployment(1))) as seen:
        card = seen.card("Lead time for changes")
        assert card.inner_text().split("\n\n")[1:] == [
            "no data",
            "the first recorded deployment is the baseline and has no lead time",
        ]
        assert card.get_by_role("button").count() == 0
        expect(seen.page.locator("#lead_time .nothing")).to_have_text(
            "No data: the first recorded deployment is the baseline and has no lead time"
        )


def test_one_deployment_is_a_point_to_be_seen(browser: Browser, tmp_path: Path) -> None:
    one = results_of(change(3, "03-20"), deployment(1, "03-28", changes=[3], previous="github:deployment:0"))
    with open_page(browser, tmp_path, one) as seen:
        points = seen.page.evaluate(
            f"{chart_script('lead_time')}.getDatasetMeta(0).data.map(point => [point.options.radius, point.skip])"
        )
    assert points == [[3.5, False]]


def test_a_week_alone_among_years_is_seen_as_well(browser: Browser, tmp_path: Path) -> None:
    facts = [deployment(1, "2019-01-01"), change(3, "2021-01-01"), deployment(2, "2021-01-05", changes=[3])]
    with open_page(browser, tmp_path, results_of(*facts, deployment(3, "03-20")), "window=all") as seen:
        radii: list[float] = seen.page.evaluate(
            f"{chart_script('lead_time')}.getDatasetMeta(0).data"
            ".filter(point => !point.skip).map(point => point.options.radius)"
        )
    assert radii == [3.5]


def test_years_have_names_of_years_on_their_axis(browser: Browser, tmp_path: Path) -> None:
    facts = [deployment(n, f"{2019 + n // 12}-{n % 12 + 1:02}-10") for n in range(60)]
    with open_page(browser, tmp_path, results_of(*facts), "window=all") as seen:
        ticks = seen.page.evaluate(f"{chart_script('deployment_frequency')}.scales.x.ticks.map(tick => tick.label)")
    assert ticks == ["2019", "2020", "2021", "2022", "2023", "2024"]


def test_a_scope_with_incidents_only_has_reasons_for_numbers(browser: Browser, tmp_path: Path) -> None:
    with open_page(browser, tmp_path, results_of(incident(1), vulnerability(1))) as seen:
        assert texts(seen.page.locator(".card .value")) == ["no data"] * 5
        assert "Vulnerabilities, high" in seen.page.inner_text("#security")
        assert not BROKEN_NUMBER.search(seen.page.inner_text("body"))


@pytest.mark.parametrize(("is_in_ledger", "where"), [(False, ""), (True, "; see history.json in the ledger")])
def test_weeks_that_are_not_on_the_page_are_said_to_be_elsewhere(
    browser: Browser, tmp_path: Path, *, is_in_ledger: bool, where: str
) -> None:
    old = results_of(deployment(1, "2023-03-01"), deployment(2, "03-20"), window="2023-02-01..2023-04-01")
    newest = {scope: weeks[-5:] for scope, weeks in weeks_of_all_scopes(old).items()}
    with open_page(browser, tmp_path, replace(old, is_in_ledger=is_in_ledger), weeks=newest) as seen:
        expect(seen.card("Deployment frequency")).to_contain_text("1 deployment on 1 day")
        expect(seen.page.locator("#deployment_frequency .nothing")).to_have_text(
            f"The weeks of this window are not on this page{where}"
        )


@settings(
    max_examples=cases(4), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(fact_lists(), st.sampled_from(["30d", "all", "90m", "2019-01-01..2019-02-01", "2024-02-25..2024-03-10"]))
def test_whatever_was_recorded_can_be_looked_at(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, facts: list[Fact], window: str
) -> None:
    with open_page(browser, tmp_path_factory.mktemp("page"), results_of(*facts, window=window)) as seen:
        fragments = [f"window={key}&show={show}" for key in ("30d", "all") for show in (*METRICS, "week:0")]
        for fragment in fragments:
            seen.page.evaluate(
                "fragment => { location.hash = fragment; dispatchEvent(new Event('hashchange')) }", fragment
            )
        assert not BROKEN_NUMBER.search(seen.page.inner_text("body"))


# --- The page formats numbers as the program does

SECONDS_SAMPLES = [
    0,
    0.5,
    1.5,
    59,
    59.5,
    60,
    61,
    90,
    150,
    3569,
    3570,
    3599,
    3600,
    3659,
    5400,
    86399,
    86400,
    90000,
    100000,
]
RATIO_SAMPLES = [0, 0.0004, 0.0005, 0.001, 0.1225, 0.125, 1 / 3, 0.5, 0.66666, 0.9995, 1]


def test_a_time_zone_that_a_browser_does_not_know_is_no_blank_page(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(publish.page_html(demo_results()).replace('"zone":"UTC"', '"zone":"Mars/Olympus"'), "utf-8")
    with open_watched_page(browser) as found:
        found.page.goto(path.as_uri())
        expect(found.page.locator(".card")).to_have_count(5)
        assert found.complaints == []


def test_its_words_are_those_of_the_program(browser: Browser, tmp_path: Path) -> None:
    seconds = [*SECONDS_SAMPLES, *(n * 977.0 for n in range(1, 2_000)), *(n * 40_009.5 for n in range(1, 600))]
    ratios = [*RATIO_SAMPLES, *(part / whole for whole in range(1, 60) for part in range(whole + 1))]
    zoned = results_of(deployment(1), zone="America/St_Johns")
    moments = [zoned.now.timestamp() + n * 10_000_019 // 60 * 60 for n in range(-40, 40)]
    with open_page(browser, tmp_path, zoned) as seen:
        said = seen.page.evaluate(
            "([s, r, m]) => [s.map(dora.duration), r.map(dora.percent), m.map(dora.minute)]", [seconds, ratios, moments]
        )
    zone = zoned.policy.zone
    assert said[0] == [formatting.duration(one) for one in seconds]
    assert said[1] == [formatting.percent(one) for one in ratios]
    assert said[2] == [formatting.date_time(datetime.fromtimestamp(one, UTC), zone) for one in moments]
