"""Each query of the dashboards, asked of a real Prometheus as Grafana would.

The Prometheus has 190 days of the demo history: the windows before the windows of 90 days have an answer too. It ends
at midnight, so that a step of a curve, which Grafana moves to midnight, is a day of facts.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO, StringIO

import demo_history
import pytest

from dora_metrics.cli import run
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Deployment, Fact, Incident
from dora_metrics.runtime import Runtime
from support.grafana import DAY, RANGE, PanelQuery, Vector, Viewer, all_queries, label_values, points
from support.past_metrics import filled_prometheus, past_text, with_samples
from support.paths import ROOT

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DEMO_SETTINGS = ROOT / "monitoring" / "demo.yml"
SHOP = {"repository": ("acme/shop",)}
PAY_EU = {"repository": ("acme/pay",), "service": ("ledger",), "environment": ("production-eu",)}
SCOPE = ("repository", "service", "environment")

each_query = pytest.mark.parametrize("query", all_queries(), ids=str)


@cache
def facts() -> list[Fact]:
    return demo_history.history(NOW)


def pushed_samples() -> Iterator[str]:
    """What a Pushgateway, a ledger with states and the rules add to metrics that were computed from facts."""
    for repository in {team.repository for team in demo_history.TEAMS}:
        labels = f'{{job="dora",repository="{repository}"}}'
        yield f"push_time_seconds{labels} {NOW.timestamp() - 7200:.0f}"
        yield f"push_failure_time_seconds{labels} {NOW.timestamp() if repository == 'acme/web' else 0:.0f}"
        yield f"dora_ledger_sequence{labels} 812"
    scope = 'repository="acme/shop",service="shop",environment="production"'
    alert = f'alertname="DoraRecoverySlow",severity="critical",{scope}'
    yield f"ALERTS_FOR_STATE{{{alert}}} {(NOW - timedelta(hours=30)).timestamp():.0f}"
    yield f'ALERTS{{alertstate="firing",{alert}}} 1'
    yield 'ALERTS_FOR_STATE{alertname="HighLatency",severity="page"} 1'
    yield 'ALERTS{alertstate="firing",alertname="HighLatency",severity="page"} 1'


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    text = with_samples(past_text(facts(), NOW, "190d", "--config", str(DEMO_SETTINGS)), pushed_samples(), NOW)
    with filled_prometheus(tmp_path_factory.mktemp("demo"), text) as server:
        yield Viewer(server, NOW)


def viewing(demo: Viewer, window: str = "30d", selected: Mapping[str, tuple[str, ...]] | None = None) -> Viewer:
    return Viewer(demo.server, NOW, window, selected or {})


# --- All queries ---


@each_query
@pytest.mark.parametrize("window", ["30d", "90d"])
def test_no_query_is_empty_on_the_demo(query: PanelQuery, window: str, demo: Viewer) -> None:
    assert viewing(demo, window).ask(query) != []


@each_query
def test_no_query_returns_what_is_not_a_number(query: PanelQuery, demo: Viewer) -> None:
    results = demo.ask(query)
    values = [value for result in results for _, value in result.get("values", [result.get("value")])]
    assert not {"NaN", "+Inf", "-Inf"} & set(values)


def test_the_variables_offer_what_is_left_by_those_before_them(demo: Viewer) -> None:
    assert label_values(demo, "repository") == ["acme/legacy", "acme/pay", "acme/shop", "acme/web"]
    assert label_values(viewing(demo, selected={"repository": ("acme/pay",)}), "service") == ["ledger"]
    assert label_values(viewing(demo, selected={"repository": ("acme/pay",)}), "environment") == [
        "production",
        "production-eu",
    ]
    assert label_values(demo, "cluster") == []


def test_special_characters_of_a_selected_value_are_not_a_pattern(demo: Viewer) -> None:
    assert viewing(demo, selected={"service": (".*", "shop")}).number("dora-overview", "Open incidents") == 1
    assert viewing(demo, selected={"service": ("s.op",)}).number("dora-overview", "Open incidents") is None


# --- Numbers of Overview ---


@cache
def computed(window: str) -> dict[tuple[str, ...], dict[str, dict[str, float | None]]]:
    """What `compute --format json` says of each scope."""
    lines, out = b"".join(encode_fact(fact) + b"\n" for fact in facts()), StringIO()
    command = ["compute", "--facts", "-", "--format", "json", "--now", NOW.isoformat(), "--window", window]
    command += ["--config", str(DEMO_SETTINGS)]
    assert run(command, Runtime({}, BytesIO(lines), out, StringIO(), NOW, lambda _: None)) == 0
    return {tuple(scope[label] for label in SCOPE): scope["metrics"] for scope in json.loads(out.getvalue())["scopes"]}


SCOPES = [(team.repository, team.service, team.environment) for team in demo_history.TEAMS]
FIELDS = {
    "Deployment frequency": ("deployment_frequency", "per_day"),
    "Lead time, median": ("lead_time", "p50_seconds"),
    "Change failure rate": ("change_failure_rate", "ratio"),
    "Recovery, median": ("recovery_time", "p50_seconds"),
    "Rework rate": ("rework_rate", "ratio"),
}


@pytest.mark.parametrize("scope", SCOPES, ids="-".join)
@pytest.mark.parametrize("window", ["7d", "30d", "90d"])
def test_the_numbers_of_one_scope_are_those_of_compute(scope: tuple[str, ...], window: str, demo: Viewer) -> None:
    viewer = viewing(demo, window, {label: (value,) for label, value in zip(SCOPE, scope, strict=True)})
    for title, (metric, field) in FIELDS.items():
        expected = computed(window)[scope][metric][field]
        assert viewer.number("dora-overview", title) == (expected and pytest.approx(expected, rel=1e-9)), title


@pytest.mark.parametrize("window", ["7d", "30d", "90d"])
def test_rates_of_several_scopes_are_pooled(window: str, demo: Viewer) -> None:
    metrics = computed(window).values()
    deployments = sum(each["change_failure_rate"]["deployments"] or 0 for each in metrics)
    failed = sum(each["change_failure_rate"]["failed"] or 0 for each in metrics)
    rework = sum(each["rework_rate"]["rework"] or 0 for each in metrics)
    per_day = sum(each["deployment_frequency"]["per_day"] or 0 for each in metrics)
    viewer = viewing(demo, window)
    assert viewer.number("dora-overview", "Change failure rate") == pytest.approx(failed / deployments, rel=1e-9)
    assert viewer.number("dora-overview", "Rework rate") == pytest.approx(rework / deployments, rel=1e-9)
    assert viewer.number("dora-overview", "Deployment frequency") == pytest.approx(per_day, rel=1e-9)


def test_a_number_is_shown_for_a_day_after_its_sample(demo: Viewer) -> None:
    """Back-filled history and remote write have one sample a day."""
    a_day_later, later = (Viewer(demo.server, NOW + timedelta(hours=hours)) for hours in (25, 27))
    for title in ("Deployment frequency", "Change failure rate", "Rework rate", "Open incidents"):
        assert a_day_later.number("dora-overview", title) == demo.number("dora-overview", title) is not None
        assert later.number("dora-overview", title) is None


def test_the_median_of_several_scopes_says_that_it_is_about_right(demo: Viewer) -> None:
    for title in ("Lead time, median", "Recovery, median"):
        (several,) = demo.panel("dora-overview", title)["A"]
        (single,) = viewing(demo, selected=SHOP).panel("dora-overview", title)["A"]
        assert several["metric"] == {"precision": "about"}
        assert single["metric"] == {"precision": "exact"}
        medians = [value for each in computed("30d").values() if (value := each[FIELDS[title][0]]["p50_seconds"])]
        assert min(medians) < float(several["value"][1]) < max(medians)


def scopes_of(results: Vector) -> list[tuple[str, ...]]:
    return sorted(tuple(result["metric"][label] for label in SCOPE) for result in results)


def test_the_table_has_a_row_for_each_scope_with_its_levels(demo: Viewer) -> None:
    columns = demo.panel("dora-overview", "Every scope")
    assert scopes_of(columns["A"]) == sorted(SCOPES)
    levels = {(*scope, result["metric"]["lead_time_level"]) for result in columns["E"] for scope in scopes_of([result])}
    expected = {(*scope, each["lead_time"]["level"]) for scope, each in computed("30d").items()}
    assert levels == {row for row in expected if row[-1]}
    assert len({level for *_, level in levels}) > 1


def test_all_columns_of_the_table_have_the_same_labels_to_be_merged_by(demo: Viewer) -> None:
    labels = {
        frozenset(result["metric"]) - {name for name in result["metric"] if name.endswith("_level")}
        for results in demo.panel("dora-overview", "Every scope").values()
        for result in results
    }
    assert labels == {frozenset(SCOPE)}


def test_the_levels_say_the_benchmark(demo: Viewer) -> None:
    for results in demo.panel("dora-overview", "Levels").values():
        assert {result["metric"]["benchmark"] for result in results} == {"2023"}


def test_only_our_alerts_are_listed_with_the_time_since_when(demo: Viewer) -> None:
    (alert,) = demo.panel("dora-overview", "Firing alerts")["A"]
    assert alert["metric"]["alertname"] == "DoraRecoverySlow"
    assert float(alert["value"][1]) == 1000 * (NOW - timedelta(hours=30)).timestamp()


def test_the_ledgers_say_how_old_the_last_push_is_and_whether_it_was_refused(demo: Viewer) -> None:
    columns = demo.panel("dora-overview", "Ledgers")
    assert {float(result["value"][1]) for result in columns["A"]} == {7200}
    answers = {(result["metric"]["repository"], result["value"][1]) for result in columns["B"]}
    assert answers == {(repository, "1" if repository == "acme/web" else "0") for repository, *_ in SCOPES}
    assert {result["metric"]["benchmark"] for result in columns["F"]} == {"2023"}


# --- Restores ---


@pytest.mark.parametrize("window", ["30d", "90d"])
def test_the_mean_time_to_restore_is_that_of_the_window(window: str, demo: Viewer) -> None:
    expected = computed(window)["acme/shop", "shop", "production"]["incident_restore"]["mean_seconds"]
    mean = viewing(demo, window, SHOP).number("dora-recovery", "Incident restore, mean (MTTR)")
    assert mean == pytest.approx(expected, rel=1e-6)


# --- Curves of days ---


def days_of(times: list[datetime]) -> Counter[float]:
    """How many of the times are in each day of the dashboard, by the end of the day."""
    ends = [NOW - (NOW - time) // DAY * DAY for time in times if NOW - RANGE - DAY < time <= NOW]
    return Counter(end.timestamp() for end in ends)


def counted(results: Vector) -> Counter[float]:
    assert len(results) == 1
    return Counter({time: int(value) for time, value in points(results) if value})


def deployments(status: str) -> list[Deployment]:
    return [fact for fact in facts() if isinstance(fact, Deployment) and fact.status == status]


def test_the_deployments_of_each_day_are_those_of_the_facts(demo: Viewer) -> None:
    results = demo.panel("dora-trends", "Deployments and failures, each day")
    assert counted(results["A"]) == days_of([each.finished_at for each in deployments("success")])


def test_the_failed_runs_of_each_day_are_those_of_the_facts(demo: Viewer) -> None:
    results = demo.panel("dora-recovery", "Pipeline failures, each day")
    assert counted(results["A"]) == days_of([each.finished_at for each in deployments("failure")])


def test_the_incidents_of_each_day_are_those_of_the_facts(demo: Viewer) -> None:
    results = demo.panel("dora-recovery", "Incidents, each day")
    detected_at = {fact.id: fact.detected_at for fact in facts() if isinstance(fact, Incident)}
    assert counted(results["A"]) == days_of(list(detected_at.values()))


def test_the_restored_incidents_of_each_day_are_those_of_the_facts(demo: Viewer) -> None:
    (all_of_each_day,) = [
        result
        for result in demo.panel("dora-recovery", "Incident restore, distribution")["A"]
        if result["metric"]["le"] == "+Inf"
    ]
    resolved_at = [fact.resolved_at for fact in facts() if isinstance(fact, Incident) and fact.resolved_at]
    assert counted([all_of_each_day]) == days_of(resolved_at)


def test_failures_are_marked_on_their_days(demo: Viewer) -> None:
    marks = points(demo.panel("dora-trends", "Failed deployments")[""])
    failed = counted(demo.panel("dora-trends", "Deployments and failures, each day")["B"])
    assert sum((Counter({time: int(value)}) for time, value in marks), Counter[float]()) == failed
    assert failed


def test_deployments_are_marked_at_their_own_times(demo: Viewer) -> None:
    marks = points(viewing(demo, selected=PAY_EU).panel("dora-trends", "Deployments")[""])
    finished_at = [each.finished_at for each in deployments("success") if each.environment == "production-eu"]
    last_of_days = {NOW - (NOW - time) // DAY * DAY: time for time in sorted(finished_at)}
    expected = [time.timestamp() for end, time in last_of_days.items() if end >= NOW - RANGE]
    assert [value / 1000 for _, value in marks] == pytest.approx(expected, abs=0.01)


def test_the_window_before_ends_where_the_window_begins(demo: Viewer) -> None:
    results = demo.panel("dora-trends", "Failure rate")
    then = Viewer(demo.server, NOW - timedelta(days=30)).number("dora-overview", "Change failure rate")
    assert float(results["A"][0]["value"][1]) == demo.number("dora-overview", "Change failure rate")
    assert float(results["B"][0]["value"][1]) == then


# --- Open incidents ---


def test_the_longest_open_incident_is_three_days_old(demo: Viewer) -> None:
    open_since = NOW - timedelta(days=3, hours=2)
    age = demo.number("dora-recovery", "Longest open")
    assert age is not None
    assert abs(age - (NOW - open_since).total_seconds()) <= DAY.total_seconds()  # the samples are a day apart


def test_open_incidents_are_counted_by_severity_and_the_worst_comes_first(demo: Viewer) -> None:
    results = demo.panel("dora-recovery", "Open incidents by severity")
    assert [int(result[0]["value"][1]) for result in results.values()] == [1, 0, 0, 1, 0]
