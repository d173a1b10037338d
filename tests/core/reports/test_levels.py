"""Levels are named with the levels that they could be, by the 95 % intervals of the metrics."""

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.reports.sections import ShownLevel, overall_level_name, overall_level_text
from dora_metrics.core.targets.benchmarks import published_benchmark
from support.facts import deployment, incident, scope_of

BENCHMARK = published_benchmark("2023")
BEFORE = deployment(0, "2024-02-01")


def daily(count: int) -> list[Deployment]:
    return [BEFORE, *(deployment(number, f"03-{number:02}T12:00") for number in range(1, count + 1))]


def test_the_overall_level_could_be_as_low_as_the_lowest_that_an_interval_reaches() -> None:
    """Ten deployments are high, whatever chance did; none of ten failed, which could be up to 28 %: low."""
    metrics = scope_of(*daily(10)).metrics
    assert metrics.deployment_frequency.level_span == ("high", "high")
    assert metrics.change_failure_rate.level_span == ("low", "elite")
    assert overall_level_text(metrics, BENCHMARK) == (
        "high (possibly down to low), set by deployment frequency, "
        "which has the lowest level of the 2 metrics that have one"
    )


def test_the_overall_level_could_be_no_higher_than_the_metric_that_reaches_least() -> None:
    """One of ten failed: 2 to 40 %. The rate could be elite, but the frequency cannot."""
    metrics = scope_of(*daily(10), incident(1, "03-01T13:00")).metrics
    assert metrics.change_failure_rate.level_span == ("low", "elite")
    assert metrics.overall_level is not None
    assert overall_level_name(metrics, BENCHMARK) == "high (possibly down to low)"


def test_a_level_that_intervals_decide_has_no_doubt() -> None:
    """Fourteen in March are 0.25 to 0.76 a day, and fourteen failures of fourteen 78 to 100 %."""
    incidents = [incident(number, f"03-{number:02}T13:00") for number in range(1, 15)]
    assert overall_level_name(scope_of(*daily(14), *incidents).metrics, BENCHMARK) == "low"


def test_a_metric_without_an_interval_could_have_any_level() -> None:
    """The median of one recovery has no interval. The frequency is high, so the overall level is at most that."""
    slow = incident(1, "03-01T13:00", resolved_at="03-20T13:00")
    metrics = scope_of(*daily(10), slow).metrics
    assert overall_level_text(metrics, BENCHMARK) == (
        "low (possibly up to high), set by recovery time, which has the lowest level of the 3 metrics that have one"
    )


def test_metrics_that_share_the_lowest_level_all_decide() -> None:
    """All deployments failed, and one recovery took 18 days: both low. The frequency is high."""
    slow = (incident(number, f"03-{number:02}T13:00", resolved_at="03-28T13:00") for number in range(1, 11))
    metrics = scope_of(*daily(10), *slow).metrics
    assert overall_level_text(metrics, BENCHMARK).endswith(
        "low, set by change failure rate and recovery time, which share the lowest level of 3 metrics"
    )
    both_high = scope_of(*daily(10), incident(1, "03-01T13:00")).metrics
    assert overall_level_text(both_high, BENCHMARK).endswith(
        "set by deployment frequency and change failure rate, which share the lowest level"
    )


def test_without_an_overall_level_there_is_no_name() -> None:
    assert overall_level_name(scope_of(incident(1)).metrics, BENCHMARK) == ""


def test_two_levels_are_adjacent_where_a_metric_has_none_between_them() -> None:
    """In 2019 a change failure rate is elite or low; other metrics have all four levels."""
    benchmark = published_benchmark("2019")
    assert ShownLevel("low", ("low", "elite"), benchmark.ladder("change_failure_rate")).text == "low (possibly elite)"
    assert ShownLevel("low", ("low", "elite"), benchmark.ladder()).text == "low (possibly up to elite)"


@pytest.mark.parametrize(
    ("span", "text", "is_open"),
    [
        (("high", "high"), "high", False),
        (("high", "elite"), "high (possibly elite)", True),
        (("medium", "high"), "high (possibly medium)", True),
        (("low", "high"), "high (possibly down to low)", True),
        (("low", "elite"), "high (possibly low to elite)", True),
        (None, "high (too few values to be sure)", True),
    ],
)
def test_a_level_is_open_where_another_one_is_possible(
    span: tuple[str, str] | None,
    text: str,
    is_open: bool,  # noqa: FBT001
) -> None:
    level = ShownLevel("high", span, BENCHMARK.ladder())
    assert (level.text, level.is_open) == (text, is_open)
