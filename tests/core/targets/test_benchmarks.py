"""Levels, custom benchmarks and the overall level (docs/definitions.md, "Levels")."""

import math
from datetime import timedelta
from typing import Any

import pytest

from dora_metrics.core.targets.benchmarks import LEVELLED_METRICS, LevelledMetric, custom_benchmark, published_benchmark
from support.facts import change, deployment, document_of, failed_deployment, incident, metrics_of

HOUR = 3600.0
MONTH, HALF_YEAR = 730, 4380

LEVELS = ("elite", "high", "medium", "low")
HOURS: dict[tuple[str, str], list[tuple[float, str, str]]] = {
    ("2019", "lead_time"): [(24, "elite", "high"), (168, "high", "medium"), (MONTH, "medium", "low")],
    ("2019", "recovery_time"): [(1, "elite", "high"), (24, "high", "low")],
    ("2021", "lead_time"): [(1, "elite", "high"), (168, "high", "medium"), (HALF_YEAR, "medium", "low")],
    ("2021", "recovery_time"): [(1, "elite", "high"), (24, "high", "medium"), (168, "medium", "low")],
    ("2022", "lead_time"): [(168, "high", "medium"), (MONTH, "medium", "low")],
    ("2022", "recovery_time"): [(24, "high", "medium"), (168, "medium", "low")],
    ("2023", "lead_time"): [(24, "elite", "high"), (168, "high", "medium"), (MONTH, "medium", "low")],
    ("2023", "recovery_time"): [(1, "elite", "high"), (24, "high", "medium"), (168, "medium", "low")],
    ("2024", "lead_time"): [(24, "elite", "high"), (168, "high", "medium"), (MONTH, "medium", "low")],
    ("2024", "recovery_time"): [(1, "elite", "high"), (24, "high", "low")],
}
"""Edge in hours, the level below it, the level at it."""

PERCENT: dict[str, list[tuple[int, str, str]]] = {
    "2019": [(15, "elite", "low")],
    "2021": [(15, "elite", "high"), (30, "high", "low")],
    "2022": [(15, "high", "medium"), (30, "medium", "low")],
    "2023": [(5, "elite", "high"), (10, "high", "medium"), (15, "medium", "low")],
    "2024": [(5, "elite", "high"), (20, "high", "low")],
}
"""Edge, the level at it, the level above it."""

FREQUENCY: dict[str, list[tuple[int, str, str]]] = {
    "2019": [(24, "elite", "high"), (168, "high", "medium"), (MONTH, "medium", "low")],
    "2021": [(24, "elite", "high"), (MONTH, "high", "medium"), (HALF_YEAR, "medium", "low")],
    "2022": [(24, "high", "medium"), (MONTH, "medium", "low")],
    "2023": [(24, "elite", "high"), (168, "high", "medium"), (MONTH, "medium", "low")],
    "2024": [(24, "elite", "high"), (168, "high", "medium"), (MONTH, "medium", "low")],
}
"""One deployment in this many hours, the level at it, the level below it."""


@pytest.mark.parametrize(("table", "metric"), HOURS)
def test_a_duration_has_a_level_while_it_is_below_its_edge(table: str, metric: LevelledMetric) -> None:
    for hours, below, at in HOURS[table, metric]:
        level = published_benchmark(table).level_of
        assert (level(metric, math.nextafter(hours * HOUR, 0)), level(metric, hours * HOUR)) == (below, at)
    assert published_benchmark(table).level_of(metric, 0) == HOURS[table, metric][0][1]
    assert published_benchmark(table).level_of(metric, 1e12) == "low"


@pytest.mark.parametrize("table", PERCENT)
def test_a_rate_has_a_level_up_to_its_edge(table: str) -> None:
    for percent, at, above in PERCENT[table]:
        level = published_benchmark(table).level_of
        for whole in (20, 100, 1000):  # 3 of 20 are 15 %
            assert level("change_failure_rate", percent * whole // 100 / whole) == at
        assert level("change_failure_rate", math.nextafter(percent / 100, 1)) == above
    assert published_benchmark(table).level_of("change_failure_rate", 0) == PERCENT[table][0][1]
    assert published_benchmark(table).level_of("change_failure_rate", 1) == "low"


@pytest.mark.parametrize("table", FREQUENCY)
def test_a_frequency_has_a_level_from_its_edge_on(table: str) -> None:
    for hours, at, below in FREQUENCY[table]:
        level = published_benchmark(table).level_of
        for periods in (1, 2, 3, 7, 12):  # this many deployments in as many times the hours
            days = timedelta(hours=hours * periods) / timedelta(days=1)
            assert level("deployment_frequency", periods / days) == at
        assert level("deployment_frequency", math.nextafter(24 / hours, 0)) == below
    assert published_benchmark(table).level_of("deployment_frequency", 50) == FREQUENCY[table][0][1]
    assert published_benchmark(table).level_of("deployment_frequency", 0) == "low"


def test_every_edge_of_the_table_is_tested() -> None:
    for table in ("2019", "2021", "2022", "2023", "2024"):
        found = {
            metric: [edge for _, edge in edges if edge is not None]
            for metric, edges in published_benchmark(table).edges.items()
        }
        assert found == {
            "deployment_frequency": [24 / hours for hours, *_ in FREQUENCY[table]],
            "lead_time": [hours * HOUR for hours, *_ in HOURS[table, "lead_time"]],
            "change_failure_rate": [percent / 100 for percent, *_ in PERCENT[table]],
            "recovery_time": [hours * HOUR for hours, *_ in HOURS[table, "recovery_time"]],
        }


def test_the_default_is_the_newest_published_table_whose_rows_are_monotone() -> None:
    assert document_of(deployment(1)).benchmark == "2023"


def test_none_and_a_metric_left_out_have_no_level() -> None:
    found = metrics_of(deployment(1), benchmark=published_benchmark("none"))
    frequency = found.deployment_frequency
    assert (frequency.level, frequency.level_span, found.overall_level) == (None, None, None)
    for metric in LEVELLED_METRICS:
        assert custom_benchmark({}).level_of(metric, 0.5) is None


GOLD = {
    "deployment_frequency": [["gold", 1], ["silver", 0.2], ["bronze", None]],
    "lead_time": [["gold", "6h"], ["silver", "24h"], ["bronze", None]],
    "recovery_time": [["gold", "90m"], ["bronze", None]],
    "change_failure_rate": [["gold", 0.1], ["silver", 0.2], ["bronze", None]],
}


def test_a_custom_benchmark_has_its_own_names_and_edges() -> None:
    found = custom_benchmark(GOLD)
    assert [found.level_of("deployment_frequency", value) for value in (1, 0.99, 0.2, 0.19, 0)] == [
        "gold", "silver", "silver", "bronze", "bronze"
    ]  # fmt: skip
    assert [found.level_of("lead_time", h * HOUR) for h in (5.99, 6, 23.99, 24)] == [
        "gold",
        "silver",
        "silver",
        "bronze",
    ]
    assert [found.level_of("recovery_time", h * HOUR) for h in (1.49, 1.5)] == ["gold", "bronze"]
    assert [found.level_of("change_failure_rate", r) for r in (0.1, 0.11, 0.2, 0.21)] == [
        "gold",
        "silver",
        "silver",
        "bronze",
    ]


@pytest.mark.parametrize(
    ("metric", "rows", "said"),
    [
        ("deployment_frequency", [["a", 1], ["b", 2], ["c", None]], "smaller"),
        ("deployment_frequency", [["a", 1], ["b", 1], ["c", None]], "smaller than the one before"),
        ("lead_time", [["a", "6h"], ["b", "360m"], ["c", None]], "greater than the one before"),
        ("lead_time", [["a", "2d"], ["b", "6h"], ["c", None]], "greater"),
        ("change_failure_rate", [["a", 0.2], ["b", 0.1], ["c", None]], "greater"),
        ("change_failure_rate", [["a", 15], ["b", None]], "ratios"),
        ("lead_time", [["a", "6h"]], "the last limit must be null, and only the last"),
        ("lead_time", [["a", None], ["b", None]], "and only the last"),
        ("lead_time", [["a", "6h"], ["a", None]], "named twice"),
        ("lead_time", [["a", 6], ["b", None]], "a duration such as 6h"),
        ("lead_time", [["a", "soon"], ["b", None]], "is not a valid duration"),
        ("change_failure_rate", [["a", "10%"], ["b", None]], "a number"),
        ("change_failure_rate", [["a", -0.1], ["b", None]], "a number"),
        ("change_failure_rate", [["a", True], ["b", None]], "a number"),
        ("change_failure_rate", [["a", math.nan], ["b", None]], "a number"),
        ("change_failure_rate", [[1, 0.1], ["b", None]], "not a pair [name, limit]"),
        ("change_failure_rate", [["a", 0.1, 2], ["b", None]], "not a pair [name, limit]"),
        ("change_failure_rate", ["a"], "not a pair [name, limit]"),
        ("change_failure_rate", [], "expected a list"),
        ("change_failure_rate", {"a": 1}, "expected a list"),
        ("change_failure_rate", None, "expected a list"),
        ("rework_rate", [["a", 0.1], ["b", None]], "is not one of"),
        (7, [["a", 0.1], ["b", None]], "is not one of"),
    ],
)  # fmt: skip
def test_an_error_in_a_custom_benchmark_is_named(metric: str, rows: object, said: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared below
        custom_benchmark({metric: rows})
    assert said in str(error.value)
    assert str(metric) in str(error.value)


def test_all_errors_of_a_custom_benchmark_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"rework_rate.*lead_time.*recovery_time"):
        custom_benchmark({"rework_rate": [], "lead_time": [], "recovery_time": []})


def test_a_single_level_is_enough() -> None:
    assert custom_benchmark({"lead_time": [["fine", None]]}).level_of("lead_time", 1e9) == "fine"


# The level of an interval, and the overall level


def test_the_span_is_from_the_lowest_to_the_highest_level_inside_the_interval() -> None:
    found = published_benchmark("2023")
    assert found.level_range("lead_time", (2 * HOUR, 200 * HOUR)) == ("medium", "elite")
    assert found.level_range("change_failure_rate", (0.01, 0.5)) == ("low", "elite")
    assert found.level_range("deployment_frequency", (0.2, 0.9)) == ("high", "high")
    assert found.level_range("deployment_frequency", (0.01, 2)) == ("low", "elite")
    assert found.level_range("lead_time", None) is None
    assert published_benchmark("none").level_range("lead_time", (1, 2)) is None


def test_a_value_without_an_interval_has_a_level_and_no_span() -> None:
    found = metrics_of(deployment(0, "02-01"), deployment(1, changes=[1]), change(1)).lead_time
    assert (found.level, found.interval95, found.level_span) == ("high", None, None)


def test_overall_is_the_lowest_level_of_the_metrics_that_have_data() -> None:
    """Frequency 2 in 31 days: medium; lead time 12 h: elite; failure rate 0: elite; no recovery."""
    facts = (deployment(0, "03-01"), deployment(1, "03-05", changes=[1]), change(1, "03-04T12:00"))
    found = metrics_of(*facts).overall_level
    assert found is not None
    assert (found.level, found.rests_on) == ("medium", ["deployment_frequency", "lead_time", "change_failure_rate"])


def test_overall_is_absent_when_fewer_than_two_metrics_have_data() -> None:
    assert metrics_of(failed_deployment(1, "02-01")).overall_level is None  # frequency 0 alone
    assert metrics_of(deployment(1), benchmark=custom_benchmark({"lead_time": [["a", None]]})).overall_level is None


def test_rework_rate_is_no_part_of_it() -> None:
    found = metrics_of(deployment(1), incident(1)).overall_level
    assert found is not None
    assert "rework_rate" not in found.rests_on


def test_overall_of_a_custom_benchmark_goes_by_its_order() -> None:
    found = metrics_of(deployment(1), incident(1), benchmark=custom_benchmark(GOLD)).overall_level
    assert found is not None
    assert (found.level, found.rests_on) == ("bronze", ["deployment_frequency", "change_failure_rate"])


def test_the_levels_of_lists_of_different_lengths_are_comparable() -> None:
    """`bronze` is below `silver`, also where a list has no `silver` and where `bronze` is in no other."""
    found = custom_benchmark(GOLD)
    assert found.lowest_level(["gold", "silver", "bronze"]) == "bronze"
    assert found.lowest_level(["gold", "silver"]) == "silver"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"speed": [], "lead_time": "fast"},
            "'speed' is not one of "
            + ", ".join(LEVELLED_METRICS)
            + "; lead_time: expected a list of [name, limit], best first, the last limit null",
        ),
        ({"lead_time": [["a", "1h"], ["b", "2h"]]}, "lead_time: the last limit must be null, and only the last"),
        (
            {"deployment_frequency": [["a", 1], ["b", 2], ["c", None]]},
            "deployment_frequency: each limit must be smaller than the one before it, best first",
        ),
        (
            {"lead_time": [["a", "2h"], ["b", "1h"], ["c", None]]},
            "lead_time: each limit must be greater than the one before it, best first",
        ),
        (
            {"change_failure_rate": [["a", 1.5], ["b", None]]},
            "change_failure_rate: limits must be ratios; write 0.15 for 15 %",
        ),
        ({"lead_time": [["a", "1h"], ["a", None]]}, "lead_time: a level is named twice"),
        (
            {"lead_time": [["a", 1], ["b", None]]},
            "lead_time: ['a', 1] is not a pair [name, limit]; a limit is a duration such as 6h, or null for the last",
        ),
        (
            {"deployment_frequency": [["a", "1h"], ["b", None]]},
            "deployment_frequency: ['a', '1h'] is not a pair [name, limit]; a limit is a number, or null for the last",
        ),
    ],
)
def test_what_is_wrong_with_a_custom_benchmark_is_said_word_for_word(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="e") as caught:
        custom_benchmark(table)
    assert str(caught.value) == said


def test_the_widest_edges_of_a_custom_benchmark_are_allowed() -> None:
    table = {"change_failure_rate": [["best", 0], ["good", 1], ["none", None]]}
    found = custom_benchmark(table)
    assert (found.name, dict(found.ranks)) == ("custom", {"none": 0, "good": 1, "best": 2})
    assert [found.level_of("change_failure_rate", value) for value in (0, 0.5, 1)] == ["best", "good", "good"]
