"""The page's data: texts of the numbers, the facts behind them, all within a size limit."""

import re
from datetime import timedelta

import msgspec
from hypothesis import given, settings
from msgspec.structs import replace

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.formatting import NO_VALUE
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports.sections import METRIC_TITLES
from dora_metrics.core.reports.site.cards import rank_of_level
from dora_metrics.core.reports.site.evidence import script_safe_json
from dora_metrics.core.reports.site.feeds import weeks_of_all_scopes
from dora_metrics.core.reports.site.model import (
    DeploymentEntry,
    MetricCard,
    OverviewRow,
    PageData,
    ScopeEntry,
    ScopeInWindow,
    WeekSeries,
)
from dora_metrics.core.reports.site.page import build_page
from dora_metrics.core.targets.benchmarks import custom_benchmark
from dora_metrics.core.teams import Teams
from dora_metrics.pipeline import publish
from dora_metrics.templates import load_template
from support.facts import at, change, commit_id, deployment, failed_deployment, incident, metrics_of, results_of, sha
from support.property_cases import cases
from support.strategies import fact_lists

LARGEST_PAGE = 1_500_000


def make_page(numbers: Results, **limits: int) -> PageData:
    return build_page(numbers, weeks_of_all_scopes(numbers), **limits)


def scope_of(numbers: Results) -> ScopeEntry:
    (scope,) = make_page(numbers).scopes
    return scope


def card_of(numbers: Results, metric: str, window: int = 0) -> MetricCard:
    return scope_of(numbers).windows[window].cards[list(METRIC_TITLES).index(metric)]


def deployments_within(scope: ScopeEntry, span: ScopeInWindow) -> list[DeploymentEntry]:
    start, end = span.deployments
    return scope.deployments[start - scope.first : end - scope.first]


# --- Teams


def test_a_scope_has_its_team_and_only_if_it_has_one() -> None:
    facts = [deployment(1, service="web"), deployment(2, "03-06", service="till")]
    teams = Teams.parse({"pay and more": "web"})
    entries = make_page(results_of(*facts, teams=teams)).scopes
    assert [(entry.name, entry.team) for entry in entries] == [
        ("till · production", ""),
        ("web · production", "pay and more"),
    ]
    assert b'"team"' not in msgspec.json.encode(make_page(results_of(*facts)))


# --- Windows and cards


def test_the_windows_are_that_of_the_settings_and_the_usual_ones_once_each() -> None:
    old = deployment(1, "2023-01-01")
    assert [one.key for one in make_page(results_of(old, window="7d")).windows] == ["7d", "30d", "90d", "365d", "all"]
    assert [one.key for one in make_page(results_of(old, window="90d")).windows] == ["90d", "30d", "365d", "all"]
    assert [one.key for one in make_page(results_of(old, window="52w")).windows] == ["52w", "30d", "90d", "all"]
    labels = [one.label for one in make_page(results_of(old)).windows]
    assert labels == ["2024-03-01 – 2024-04-01", "30 days", "90 days", "365 days", "all"]


def test_before_the_first_deployment_there_is_no_window_for_all() -> None:
    assert [one.key for one in make_page(results_of(incident(1), window="30d")).windows] == ["30d"]


def test_a_window_that_begins_before_a_scopes_first_known_deployment_is_not_offered() -> None:
    shop, web = deployment(1, "2023-12-01"), deployment(2, "03-02", service="web")
    found = make_page(results_of(shop, deployment(3, "03-20"), web, window="7d"))
    keys = {one.name: [found.windows[span.window].key for span in one.windows] for one in found.scopes}
    assert keys == {"production": ["7d", "30d", "90d", "all"], "web · production": ["7d", "30d", "all"]}


def test_where_all_time_holds_nothing_yet_there_is_a_window_all_the_same() -> None:
    assert [one.key for one in make_page(results_of(incident(1), window="all")).windows] == ["30d"]
    assert [one.key for one in make_page(results_of(deployment(1, "04-01"), window="all", now="04-01")).windows] == [
        "30d"
    ]


def test_the_settings_window_is_always_there_and_says_since_when_its_deployments_are_known() -> None:
    numbers = results_of(deployment(1, "03-20"), deployment(2, "03-21"), window="30d")
    assert [one.key for one in make_page(numbers).windows] == ["30d", "all"]
    card = card_of(numbers, "deployment_frequency")
    assert card.n == "2 deployments on 2 days; records start on 2024-03-20"
    text = "records start on 2024-03-20, and the 18 days before it count as days without a deployment"
    assert card.details[0] == ("Days without records", text)
    assert card_of(numbers, "deployment_frequency", 1).n == "2 deployments on 2 days"
    assert card_of(numbers, "lead_time").n == ""


def test_each_window_has_the_numbers_that_the_answer_has_for_it() -> None:
    facts = [
        deployment(1, "01-10"),
        change(7, "01-11"),
        deployment(2, "03-20", changes=[7]),
        incident(1, "03-20T01:00"),
    ]
    numbers = results_of(*facts, window="30d")
    for place, window in enumerate(make_page(numbers).windows):
        found = metrics_of(*facts, window=window.key)
        rate = card_of(numbers, "change_failure_rate", place)
        assert rate.n == f"{found.change_failure_rate.failed} of {found.change_failure_rate.deployments}"
        assert card_of(numbers, "deployment_frequency", place).n.startswith(
            f"{found.deployment_frequency.deployments} deployment"
        )


def test_no_data_has_a_reason_and_nothing_else() -> None:
    found = card_of(results_of(deployment(1)), "lead_time")
    assert found == MetricCard(
        value="–",
        reason="the first recorded deployment is the baseline and has no lead time",
        before="–",
    )


def test_a_card_says_what_the_answer_says() -> None:
    daily = (deployment(n, f"03-{n:02}") for n in range(1, 31))
    numbers = results_of(deployment(100, "01-05"), *daily, window="30d")
    found = card_of(numbers, "deployment_frequency")
    assert (found.value, found.level, found.rank) == ("6.8 a week", "high (possibly elite)", None)
    assert (found.interval, found.n) == ("4.5 to 9.7 a week", "29 deployments on 29 days")
    assert (found.before, found.verdict) == ("1 in 30 days", "better")


def test_the_trend_of_each_metric_is_a_sentence_of_its_own() -> None:
    numbers = results_of(deployment(100, "01-05"), *(deployment(n, f"03-{n:02}") for n in range(1, 31)), window="30d")
    configured, *others = scope_of(numbers).windows
    assert configured.trends[0] == "Trend over 12 weeks: rose from about 0 a week to about 7 a week."
    assert configured.trends[1:] == [
        "",
        "Trend over 12 weeks (5 with a value): no clear change.",
        "",
        "Trend over 12 weeks (5 with a value): no clear change.",
    ]
    assert [one.trends for one in others] == [[]]


def test_levels_of_ones_own_are_ranked_from_the_lowest_to_the_highest() -> None:
    levels: list[tuple[str, float | None]] = [
        ("gold", 2),
        ("silver", 1),
        ("bronze", 0.1),
        ("tin", 0.001),
        ("none", None),
    ]
    benchmark = custom_benchmark({"deployment_frequency": [list(level) for level in levels]})
    assert [rank_of_level(name, benchmark) for name, _ in levels] == [4, 3, 2, 1, 0]


def test_a_level_that_may_be_another_has_no_rank_and_so_no_colour() -> None:
    no_failure = [deployment(n, f"03-{n:02}") for n in range(1, 6)]
    few, many = results_of(*no_failure), results_of(*no_failure, *(deployment(n, "03-20") for n in range(6, 90)))
    assert card_of(few, "change_failure_rate").level.startswith("elite")
    assert card_of(few, "change_failure_rate").rank is None
    assert card_of(many, "change_failure_rate").rank == 4


def test_every_scope_has_a_key_of_its_own_whatever_its_names() -> None:
    names = [("x/y", "production"), ("x", "production/y"), ("x%2Fy", "production"), ("", "production/x"), ("x", "prod")]
    facts = [deployment(n, service=service, environment=name) for n, (service, name) in enumerate(names)]
    found = [scope.key for scope in make_page(results_of(*facts)).scopes]
    assert len(set(found)) == len(found) == 5
    assert "acme/shop/x/prod" in found


# --- Weeks


def test_the_stages_of_a_week_are_means_that_follow_each_other() -> None:
    times = {"opened_at": at("03-02"), "first_review_at": at("03-03"), "merged_at": at("03-05")}
    direct = change(9, "03-05", id=commit_id(9))
    facts = [
        deployment(1, "02-20"),
        change(7, "03-01", **times),
        direct,
        deployment(2, "03-06", changes=[7, direct.id]),
    ]
    weeks = scope_of(results_of(*facts, now="03-08", window="30d")).weeks
    assert weeks
    assert weeks.stages[-1] == [86400, 86400, 2 * 86400, 86400], "the direct commit has no coding and no review"


def test_a_week_has_no_stages_where_only_one_of_them_is_known() -> None:
    merged = change(7, "03-01", merged_at=at("03-05"))
    facts = [deployment(1, "02-20"), merged, deployment(2, "03-06", changes=[7])]
    weeks = scope_of(results_of(*facts, now="03-08", window="30d")).weeks
    assert weeks
    assert set(weeks.stages) == {None}
    assert weeks.stages[:-1] == [None] * (len(weeks.stages) - 1)


def test_values_that_are_the_same_in_every_week_are_there_once() -> None:
    weeks = scope_of(results_of(deployment(1, "03-01"), deployment(2, "03-20"), window="30d")).weeks
    assert weeks
    assert (weeks.hours, weeks.failed, weeks.recovery_time) == (168.0, 0, None)
    assert (sum(weeks.deployments), sum(weeks.reached), weeks.rework) == (2, 2, 0)


def test_a_card_has_no_median_of_a_stage_where_only_the_last_is_known() -> None:
    opened = change(7, "03-01", opened_at=at("03-02"), merged_at=at("03-05"))
    unopened = change(8, "03-01", merged_at=at("03-05"))
    wait = "Waiting for deployment (median)"
    for changes, shown in (([opened], "1 d"), ([unopened], NO_VALUE)):
        listed = [each.id for each in changes]
        facts = [deployment(1, "02-20"), *changes, deployment(2, "03-06", changes=listed)]
        card = card_of(results_of(*facts, now="03-08", window="30d"), "lead_time")
        assert dict(card.details)[wait] == shown


# --- The overview


def row_of(page: PageData, name: str) -> OverviewRow:
    (row,) = (scope.row for scope in page.scopes if scope.name == name)
    return row


def test_a_row_has_the_last_deployment_and_what_needs_attention() -> None:
    shop = [deployment(1, "01-01"), deployment(2, "03-10"), incident(1, "03-10T01:00", resolved_at=None)]
    quiet = deployment(3, "01-05", service="web")
    page = make_page(results_of(*shop, quiet, window="30d"))
    assert row_of(page, "production").latest == at("03-10").timestamp()
    assert row_of(page, "production").attention == ["1 open failure"]
    assert row_of(page, "web · production").attention == ["no deployment in the window"]
    assert page.highlights == [
        "Worse, or with an open failure: production (1 of 2 scopes)",
        "No deployment in the window: web · production (1 of 2 scopes)",
    ]


def test_a_metric_that_clearly_changed_is_in_the_row_and_above_the_table() -> None:
    def weekly(service: str, days: list[int], month: str, first: int) -> list[Fact]:
        return [deployment(first + n, f"{month}-{n:02}", service=service) for n in days]

    every, few = list(range(2, 29)), [3, 20]
    faster = [deployment(1, "01-01", service="a"), *weekly("a", few, "02", 100), *weekly("a", every, "03", 200)]
    slower = [deployment(2, "01-01", service="b"), *weekly("b", every, "02", 300), *weekly("b", few, "03", 400)]
    page = make_page(results_of(*faster, *slower, window="28d", now="03-29"))
    assert row_of(page, "a · production").improved == ["deployment frequency"]
    assert row_of(page, "b · production").attention == ["deployment frequency worse"]
    assert page.highlights[0] == "Better than in the previous window: a · production (1 of 2 scopes)"


def test_more_than_three_scopes_are_counted_and_not_all_named() -> None:
    many = [deployment(n, "01-01", repository=f"acme/r{n}", service=f"r{n}") for n in range(5)]
    page = make_page(results_of(*many, window="30d"))
    names = "acme/r0, acme/r1, acme/r2 and 2 more"
    assert page.highlights == [f"No deployment in the window: {names} (5 of 5 scopes)"]


def test_several_repositories_with_one_environment_do_not_name_it() -> None:
    two = [deployment(n, repository=f"acme/r{n}", service=f"r{n}") for n in range(2)]
    staging = deployment(3, repository="acme/r1", service="r1", environment="prod")
    assert {scope.name for scope in make_page(results_of(*two)).scopes} == {"acme/r0", "acme/r1"}
    assert "acme/r1 · prod" in {scope.name for scope in make_page(results_of(*two, staging)).scopes}


# --- Evidence


def test_a_deployment_carries_its_failure_repair_and_changes() -> None:
    facts = [
        deployment(1, "03-01", version="v1", sha="a" * 40),
        change(7, "03-02", title="Add it", url="https://github.com/acme/shop/pull/7"),
        change(8, "03-02", bot=True, title="Bump"),
        deployment(2, "03-03", version="v2", changes=[7, 8]),
        deployment(3, "03-04", version="v1", sha="a" * 40, url="https://github.com/acme/shop/deployments/3"),
    ]
    first, second, third = scope_of(results_of(*facts)).deployments
    assert (first.name, first.at, first.changes) == ("v1", int(at("03-01").timestamp()), [])
    assert second.failed
    assert (second.failed.rule, second.failed.because, second.failed.seconds) == (
        "rollback",
        "v1 was deployed again",
        86400,
    )
    assert second.failed.by == "v1"
    measured, bot = second.changes
    assert (measured[:2], measured[3]) == (("#7", "Add it"), 86400)
    assert bot == ("#8", "Bump", None, "by a bot")
    assert second.lead == 86400
    assert third.rework == "rollback: v1 was deployed again"


def test_changes_of_a_failed_attempt_stand_with_the_deployment_that_delivered_them() -> None:
    facts = [
        deployment(1, "03-01"),
        change(7, "03-02"),
        failed_deployment(2, "03-03", changes=[7]),
        deployment(3, "03-04", changes=[]),
    ]
    _, attempt, success = scope_of(results_of(*facts)).deployments
    assert (attempt.status, attempt.counted, attempt.changes) == ("failure", False, [])
    assert [one[0] for one in success.changes] == ["#7"]


def test_of_very_many_changes_the_slowest_are_shown_and_the_others_counted() -> None:
    changes = [change(n, f"02-{n % 25 + 1:02}T{n // 25:02}:00", bot=n >= 100) for n in range(110)]
    facts = [deployment(1, "02-01"), *changes, deployment(2, "03-03", changes=list(range(110)))]
    found = scope_of(results_of(*facts)).deployments[1]
    assert (len(found.changes), found.more, found.more_excluded) == (40, 60, 10)
    seconds = [int(one[3]) for one in found.changes]
    since = sorted(at(f"02-{n % 25 + 1:02}T{n // 25:02}:00") for n in range(100))
    assert seconds == [int((at("03-03") - moment).total_seconds()) for moment in since[:40]]


def test_what_has_no_lead_time_is_shown_where_there_is_room() -> None:
    changes = [change(n, "03-02", bot=n >= 30) for n in range(50)]
    found = scope_of(results_of(deployment(1, "03-01"), *changes, deployment(2, "03-03", changes=list(range(50)))))
    (_, second) = found.deployments
    assert [one[3] for one in second.changes][-11:] == [86400, *["by a bot"] * 10]
    assert (second.more, second.more_excluded) == (0, 10)


def test_what_a_window_counts_is_what_lies_in_its_span() -> None:
    facts = [deployment(n, f"03-{n:02}") for n in range(1, 29)]
    numbers = results_of(*facts, incident(1, "03-10T01:00"), window="7d", now="03-28T12:00")
    scope = scope_of(numbers)
    assert len(deployments_within(scope, scope.windows[0])) == 7
    assert scope.weeks
    assert [
        end - start for start, end in zip(scope.weeks.at, scope.weeks.at[1:], strict=False)
    ] == scope.weeks.deployments
    assert isinstance(scope.weeks.failed, list)
    assert sum(scope.weeks.failed) == 1


def test_failed_runs_that_count_in_the_failure_rate_are_no_deployments_of_a_week() -> None:
    facts = [deployment(1, "03-04"), deployment(2, "03-05"), failed_deployment(3, "03-06"), incident(1, "03-05T01:00")]
    weeks = scope_of(results_of(*facts, count_failed_runs=True, now="03-08", window="30d")).weeks
    assert weeks
    assert (weeks.deployments, weeks.deployments_failed) == ([2], 1)
    assert (weeks.counted, weeks.failed) == ([3], 2)


@settings(max_examples=cases(15))
@given(fact_lists())
def test_for_any_facts_what_is_listed_is_what_was_counted(facts: list[Fact]) -> None:
    numbers = results_of(*facts, window="30d")
    for scope in make_page(numbers).scopes:
        for span in scope.windows:
            mine, cards = deployments_within(scope, span), span.cards
            assert len([one for one in mine if one.failed]) == int(
                cards[2].n.split(" ")[0] if cards[2].n[:1].isdigit() else 0
            )
            if not cards[0].reason:
                assert sum(one.status == "success" for one in mine) == int(cards[0].n.split(" ")[0])
            measured = [one for deployment in mine for one in deployment.changes if isinstance(one[3], int)]
            assert len(measured) == (0 if cards[1].reason else int(cards[1].n.split(" ")[0]))


# --- Size


def daily_deployments(
    days: int, repository: str = "acme/shop", title: str = "Make the basket keep its contents"
) -> list[Fact]:
    """A deployment a day with two changes, up to now."""
    facts: list[Fact] = []
    name = repository.partition("/")[2]
    for number in range(days):
        moment = at("04-01") - timedelta(days=days - number)
        ids = [f"github:pull:{repository}#{2 * number + n}" for n in (0, 1)]
        more = {"repository": repository, "service": name}
        facts += [
            change(
                1,
                str(moment - timedelta(hours=9)),
                id=one,
                title=title,
                url=f"https://github.com/{repository}/pull/{one}",
                **more,
            )
            for one in ids
        ]
        made = deployment(1, str(moment), id=f"{repository}:{number}", sha=sha(f"{repository} {number}"), **more)
        address = f"https://github.com/{repository}/deployments/{number}"
        facts.append(replace(made, version=f"v1.{number}.0", changes=tuple(ids), url=address))
    return facts


def test_five_years_of_daily_deployments_are_all_there_and_within_the_budget() -> None:
    numbers = results_of(*daily_deployments(1826))
    scope = scope_of(numbers)
    assert (scope.first, len(scope.deployments)) == (0, 1826)
    assert len(publish.page_html(numbers).encode()) < LARGEST_PAGE


def test_where_there_is_no_room_the_oldest_deployments_are_left_out() -> None:
    (scope,) = make_page(results_of(*daily_deployments(600)), max_data_bytes=60_000).scopes
    assert scope.first + len(scope.deployments) == 600
    assert 0 < scope.first < 600
    assert scope.deployments[-1].name == "v1.599.0"


def test_only_the_newest_weeks_are_on_the_page() -> None:
    numbers = results_of(*daily_deployments(100))
    (whole,) = make_page(numbers).scopes
    (short,) = make_page(numbers, max_weeks=5).scopes
    assert whole.weeks is not None
    assert short.weeks is not None
    assert short.weeks.deployments == whole.weeks.deployments[-5:]


def test_five_hundred_scopes_and_hostile_texts_stay_within_the_budget() -> None:
    many = [fact for n in range(520) for fact in daily_deployments(3, f"acme/service-{n}", "<" * 300)]
    many += [
        incident(n, "03-31T01:00", repository=f"acme/service-{n}", service=f"service-{n}", title="<" * 300)
        for n in range(520)
    ]
    found = make_page(results_of(*many))
    assert (len(found.scopes), found.more) == (500, 20)
    assert len(publish.page_html(results_of(*many)).encode()) < LARGEST_PAGE


def test_no_text_makes_the_page_larger_than_its_budget() -> None:
    facts = daily_deployments(900, title="\u2028<&>" * 80)
    assert len(publish.page_html(results_of(*facts)).encode()) < LARGEST_PAGE


# --- The same facts, the same page


def test_the_page_differs_only_in_its_time_when_nothing_has_changed() -> None:
    facts = daily_deployments(30)
    one, other = (publish.page_html(results_of(*order, now="04-01")) for order in (facts, facts[::-1]))
    assert one == other


def test_what_is_always_the_same_comes_before_what_changes() -> None:
    html = publish.page_html(results_of(*daily_deployments(3)))
    assert html.index("Chart.js v4") < html.index('id="data"')
    assert html.index("Released under the MIT License") < html.index('id="data"')


def test_every_style_and_script_is_allowed_by_its_hash() -> None:
    html = publish.page_html(results_of())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy[1].count("sha256-") == 3
    assert "default-src &#39;none&#39;" in policy[1]
    assert not re.search(r"\bon\w+=|style=", html.partition("<script>")[0])


def test_the_data_are_those_that_the_page_reads_by_place() -> None:
    """data.js names the fields of arrays that have no names."""
    script = load_template("page/data.js")
    kinds = (ScopeInWindow, MetricCard, OverviewRow, WeekSeries)
    for kind, name in zip(kinds, ("WINDOW_FIELDS", "CARD_FIELDS", "ROW_FIELDS", "WEEK_FIELDS"), strict=True):
        (written,) = re.findall(rf"const {name} = \[(.*?)\];", script, re.DOTALL)
        assert re.findall(r'"(\w+)"', written) == list(kind.__struct_fields__)
    assert msgspec.json.decode(
        script_safe_json(msgspec.json.encode(make_page(results_of(*daily_deployments(3))))).encode()
    )
