"""Measured values as text: counts for few deployments, rates with an interval for many."""

import pytest

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.targets import units
from support.facts import deployment, incident, scope_of

BEFORE = deployment(0, "2024-02-01")


def deployed(count: int) -> list[Deployment]:
    """Deployments on the first days of March, which has 31 days."""
    return [BEFORE, *(deployment(number, f"03-{number:02}T12:00") for number in range(1, count + 1))]


def metrics_with_failures(failed: int, total: int) -> schema.Metrics:
    incidents = [incident(number, f"03-{number:02}T13:00") for number in range(1, failed + 1)]
    return scope_of(*deployed(total), *incidents).metrics


@pytest.mark.parametrize(
    ("count", "text", "interval"),
    [
        (0, "none", "none to 3.6 a month"),
        (1, "1 in 31 days", "0.03 to 5.6 in 31 days"),
        (2, "2 in 31 days", "0.2 to 7.2 in 31 days"),
        (4, "4 in 31 days", "1.1 to 10 in 31 days"),
        (5, "1.1 a week", "0.4 to 2.6 a week"),
    ],
)
def test_a_frequency_and_its_interval_have_the_same_unit(count: int, text: str, interval: str) -> None:
    frequency = scope_of(*deployed(count)).metrics.deployment_frequency
    assert (units.format_result(frequency), units.format_interval(frequency)) == (text, interval)


@pytest.mark.parametrize(
    ("failed", "total", "brief", "with_counts"),
    [(1, 1, "1 of 1", "100 % (1 of 1)"), (1, 9, "1 of 9", "11.1 % (1 of 9)"), (1, 10, "10 %", "10 % (1 of 10)")],
)
def test_a_rate_of_fewer_than_ten_deployments_is_counts_where_its_interval_is_not_shown(
    failed: int, total: int, brief: str, with_counts: str
) -> None:
    rate = metrics_with_failures(failed, total).change_failure_rate
    assert (units.format_brief(rate), units.format_with_counts(rate)) == (brief, with_counts)
    assert units.format_counts(rate) == f"{failed} of {total}"


@pytest.mark.parametrize(
    "rate",
    [
        schema.ChangeFailureRate(failed=1, deployments=4, ratio=0.25, at_least=True),
        schema.ReworkRate(rework=1, deployments=4, ratio=0.25, interval95=(0.05, 0.7), at_least=True),
    ],
)
def test_a_rate_that_may_be_higher_says_at_least_in_every_form(rate: schema.MetricVerdict) -> None:
    formats = (units.format_result, units.format_brief, units.format_counts, units.format_with_counts)
    assert [each(rate) for each in formats] == [
        "at least 25 %",
        "at least 1 of 4",
        "at least 1 of 4",
        "at least 25 % (1 of 4)",
    ]
    assert units.format_interval(rate) == ""


@pytest.mark.parametrize(
    "rate",
    [
        schema.ChangeFailureRate(failed=0, deployments=12, ratio=0.0, at_least=True),
        schema.ReworkRate(rework=0, deployments=12, ratio=0.0, at_least=True),
    ],
)
def test_a_rate_of_zero_that_may_be_higher_is_none_known(rate: schema.MetricVerdict) -> None:
    assert (units.format_result(rate), units.format_brief(rate)) == ("none known", "none known")
    assert (units.format_counts(rate), units.format_with_counts(rate)) == (
        "none known (0 of 12)",
        "none known (0 of 12)",
    )


def test_without_data_every_form_is_a_dash() -> None:
    metrics = scope_of(incident(1)).metrics
    for result in (metrics.deployment_frequency, metrics.change_failure_rate, metrics.rework_rate, metrics.lead_time):
        for each in (units.format_result, units.format_brief, units.format_counts, units.format_with_counts):
            assert each(result) == "–"
        assert units.format_interval(result) == ""
