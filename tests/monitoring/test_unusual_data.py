"""The queries of the dashboards where a Prometheus has no series of ours, one scope, 500 scopes, or unusual ones."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.core.facts.model import Fact
from support.facts import change, deployment
from support.grafana import DAY, PanelQuery, Viewer, all_queries, label_values, points
from support.past_metrics import filled_prometheus, past_text

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def week(repository: str, count: int, failed: int, *, first: int = 1, service: str = "api") -> list[Fact]:
    """Deployments of the week before now, of which the last ones failed, each with a change that took a day."""
    facts: list[Fact] = []
    for index in range(count):
        number = first + index
        finished_at = NOW - timedelta(days=6.5 - index * 6 / count)
        fields: dict[str, Any] = {"repository": repository, "service": service, "changes": [number]}
        if index >= count - failed:
            fields |= {"status": "failure", "reached_users": True}
        began_at, merged_at = ((finished_at - age).isoformat() for age in (DAY, DAY / 2))
        facts += [
            deployment(number, finished_at.isoformat(), **fields),
            change(number, began_at, merged_at=merged_at, repository=repository),
        ]
    return facts


def viewing(folder: Path, *texts: str) -> Iterator[Viewer]:
    with filled_prometheus(folder, *texts) as server:
        yield Viewer(server, NOW, "7d")


def assert_no_error(viewer: Viewer) -> None:
    for query in all_queries():
        viewer.ask(query)


# --- Without any series ---


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    yield from viewing(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("query", all_queries(), ids=str)
def test_without_our_series_a_query_is_empty_and_no_error(query: PanelQuery, empty: Viewer) -> None:
    assert empty.ask(query) == []


# --- One scope ---


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    yield from viewing(tmp_path_factory.mktemp("single"), past_text(week("acme/shop", 4, 1), NOW, "30d"))


def test_one_scope_has_exact_numbers(single: Viewer) -> None:
    assert_no_error(single)
    assert single.number("dora-overview", "Change failure rate") == 1 / 4
    assert single.number("dora-overview", "Lead time, median") == DAY.total_seconds()


def test_what_was_never_recorded_is_empty_and_not_zero(single: Viewer) -> None:
    assert single.number("dora-overview", "Recovery, median") is None
    assert single.number("dora-recovery", "Incident restore, mean (MTTR)") is None
    assert single.number("dora-recovery", "Longest open") is None
    fixed = single.panel("dora-recovery", "Vulnerabilities fixed, by severity")
    assert {len(results) for results in fixed.values()} == {0}


# --- 500 scopes ---


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    facts = [fact for n in range(500) for fact in week(f"acme/r{n // 5}", 2, n % 2, first=10 * n + 1, service=f"s{n}")]
    yield from viewing(tmp_path_factory.mktemp("many"), past_text(facts, NOW, "14d", "--step", "7d"))


def test_500_scopes_are_pooled_and_listed(many: Viewer) -> None:
    assert_no_error(many)
    assert many.number("dora-overview", "Change failure rate") == 250 / 1000
    assert len(many.panel("dora-overview", "Every scope")["A"]) == 500
    assert len(many.panel("dora-overview", "Ledgers")["C"]) == 100
    assert len(label_values(many, "service")) == 500


# --- Two clusters with the same repository ---


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    eu = past_text(week("acme/shop", 4, 1), NOW, "30d", "--labels", "cluster=eu")
    us = past_text(week("acme/shop", 6, 3), NOW, "30d", "--labels", "cluster=us")
    yield from viewing(tmp_path_factory.mktemp("clusters"), eu, us)


def test_clusters_with_the_same_repository_are_pooled_and_stay_apart(clusters: Viewer) -> None:
    assert_no_error(clusters)
    assert label_values(clusters, "cluster") == ["eu", "us"]
    assert clusters.number("dora-overview", "Change failure rate") == 4 / 10
    rows = clusters.panel("dora-overview", "Every scope")["F"]
    assert {row["metric"]["cluster"]: float(row["value"][1]) for row in rows} == {"eu": 1 / 4, "us": 3 / 6}
    (median,) = clusters.panel("dora-overview", "Lead time, median")["A"]
    assert median["metric"] == {"precision": "about"}


@pytest.mark.parametrize(("cluster", "expected"), [("eu", 1 / 4), ("us", 3 / 6)])
def test_a_cluster_can_be_selected(cluster: str, expected: float, clusters: Viewer) -> None:
    viewer = Viewer(clusters.server, NOW, "7d", {"cluster": (cluster,)})
    assert viewer.number("dora-overview", "Change failure rate") == expected
    assert len(viewer.panel("dora-overview", "Every scope")["A"]) == 1


# --- Teams ---


SCOPES_OF_TEAMS = [fact for n in (1, 2, 3) for fact in week(f"acme/r{n % 2}", n + 1, 1, first=10 * n, service=f"s{n}")]


def past_of_teams(folder: Path, now: datetime, *teams: str) -> str:
    """The past of three scopes, of which the first ones are in a team each."""
    config = folder / "dora.yml"
    patterns = {team: f"s{number}" for number, team in enumerate(teams, 1)}
    config.write_text(json.dumps({"teams": patterns, "goals": {"lead_time": {"target": "2h"}}}), "utf-8")
    return past_text(SCOPES_OF_TEAMS, now, "30d", "--config", str(config))


def answers(viewer: Viewer) -> dict[str, list[tuple[str, str]]]:
    """What each query returns: labels except `team`, and values."""
    return {str(query): sorted(map(_without_team, viewer.ask(query))) for query in all_queries()}


def _without_team(result: Mapping[str, Any]) -> tuple[str, str]:
    labels = sorted((name, value) for name, value in result["metric"].items() if name != "team")
    return str(labels), str(result.get("values", result.get("value")))


def shown_with(folder: Path, *teams: str) -> dict[str, list[tuple[str, str]]]:
    past = past_of_teams(folder, NOW, *teams)
    assert all(f'team="{team}"' in past for team in teams)
    (shown,) = [answers(viewer) for viewer in viewing(folder, past)]
    return shown


def test_with_teams_every_panel_shows_what_it_shows_without(tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    without = shown_with(tmp_path / "without")
    assert any("lead_time" in labels for results in without.values() for labels, _ in results)
    assert shown_with(tmp_path, "pay", "web") == without


def test_a_team_with_a_new_name_is_no_error_and_no_second_row(tmp_path: Path) -> None:
    past = past_of_teams(tmp_path, NOW - DAY / 2, "pay", "web")
    for viewer in viewing(tmp_path, past, past_of_teams(tmp_path, NOW, "payments", "web")):
        assert_no_error(viewer)
        rows = viewer.panel("dora-overview", "Every scope")["A"]
        assert sorted(row["metric"]["service"] for row in rows) == ["s1", "s2", "s3"]


# --- Benchmarks ---


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """Repositories with a custom and a published benchmark, and two that changed theirs within the last day."""
    folder = tmp_path_factory.mktemp("benchmarks")

    def past(repository: str, now: datetime, *levels: str) -> str:
        config = folder / "dora.yml"
        limits = [[level, limit] for level, limit in zip(levels, ("28h", "7d"), strict=False)]
        settings = {"custom": {"lead_time": [*limits, ["slow", None]]}, "benchmark": "custom"}
        config.write_text(json.dumps(settings if levels else {}), "utf-8")
        return past_text(week(repository, 4, 1), now, "30d", "--config", str(config))

    texts = [
        past("acme/own", NOW, "swift", "fine"),
        past("acme/published", NOW),
        past("acme/renamed", NOW - DAY / 2, "quick", "good"),
        past("acme/renamed", NOW, "swift", "fine"),
        past("acme/changed", NOW - DAY / 2, "quick", "good"),
        past("acme/changed", NOW),
    ]
    yield from viewing(folder, *texts)


def test_a_custom_benchmark_has_its_own_names(benchmarks: Viewer) -> None:
    assert_no_error(benchmarks)
    rows = benchmarks.panel("dora-overview", "Every scope")["E"]
    levels = {row["metric"]["repository"]: row["metric"]["lead_time_level"] for row in rows}
    assert levels.pop("acme/renamed") in ("quick", "swift")
    assert levels.pop("acme/changed") in ("quick", "high")
    assert levels == {"acme/own": "swift", "acme/published": "high"}


def test_the_ranks_of_a_custom_benchmark_are_told_apart_from_published_levels(benchmarks: Viewer) -> None:
    """The panel has no texts for the series of a custom benchmark."""
    results = benchmarks.panel("dora-overview", "Levels")["B"]
    names = {result["metric"]["repository"]: result["metric"]["benchmark"] for result in results}
    assert names.pop("acme/changed") in ("custom", "2023")
    assert names == {"acme/own": "custom", "acme/renamed": "custom", "acme/published": "2023"}


def test_the_lines_of_custom_benchmarks_are_not_mixed(benchmarks: Viewer) -> None:
    results = benchmarks.panel("dora-trends", "Lead time for changes")["D"]
    lines = {(result["metric"]["level"], result["metric"]["benchmark"]) for result in results}
    assert {("swift", "custom of acme/own"), ("elite", "2023")} <= lines


def test_a_level_far_above_the_values_has_no_line(benchmarks: Viewer) -> None:
    """A lead time of a day; `medium` ends at a month."""
    results = benchmarks.panel("dora-trends", "Lead time for changes")["D"]
    assert {result["metric"]["level"] for result in results} == {"elite", "swift", "quick"}


# --- Counters with a past that Prometheus does not know ---


def counter_text(repository: str, values: Mapping[float, int]) -> str:
    """Totals of deployments by the day of their push, at noon: how many days before the last one that day is."""
    labels = f'repository="{repository}",service="api",environment="production",source="deployments",job="dora"'
    lines = (
        f"dora_deployments_total{{{labels}}} {value} {(NOW - timedelta(days=age + 0.5)).timestamp():.0f}\n"
        for age, value in sorted(values.items(), reverse=True)
    )
    return f"# TYPE dora_deployments counter\n{''.join(lines)}# EOF\n"


def deployments_by_age(viewer: Viewer) -> dict[float, float]:
    results = viewer.panel("dora-trends", "Deployments and failures, each day")["A"]
    return {(NOW.timestamp() - time) / 86_400: value for time, value in points(results) if value}


def test_a_repository_that_joins_with_its_history_has_not_deployed_all_of_it_on_that_day(tmp_path: Path) -> None:
    known, joined = counter_text("acme/known", {4: 10, 3: 11, 2: 12, 1: 12}), counter_text("acme/new", {2: 500, 1: 501})
    for viewer in viewing(tmp_path, known, joined):
        assert deployments_by_age(viewer) == {3: 1, 2: 1, 1: 1}


def test_a_day_without_a_push_hides_no_deployments_and_invents_none(tmp_path: Path) -> None:
    steady, paused = counter_text("acme/a", {5: 0, 4: 1, 3: 2, 2: 3}), counter_text("acme/b", {5: 100, 4: 101, 2: 104})
    for viewer in viewing(tmp_path, steady, paused):
        assert deployments_by_age(viewer) == {4: 2, 3: 1, 2: 4}
