"""Two windows are compared by statistical tests; the default is "no clear change" (docs/definitions.md)."""

from typing import Any

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.metrics.comparison import Verdict, compare_windows
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.windows import Window
from support.facts import at, change, deployment, document_of

FEBRUARY, MARCH = at("02-01"), at("03-01")
WINDOW = Window(MARCH, at("03-30"))
"""29 days, as many as February has. The scope began long before."""

LONG_AGO = deployment(9999, "2023-01-01")


def verdicts(*facts: Any, before: Deployment = LONG_AGO) -> dict[str, Verdict]:  # noqa: ANN401
    (record,) = evaluate_facts((before, *facts), Policy()).histories
    (scope,) = document_of(before, *facts, window="2024-03-01..2024-03-30").scopes
    assert isinstance(scope.previous, schema.Metrics)
    return compare_windows(record, WINDOW, scope.metrics, scope.previous)


def deployments_in_month(month: str, count: int, first: int, hours: float = 0, health: str | None = None) -> list[Fact]:
    """`count` deployments in a month, each with a change that took about `hours`."""
    facts: list[Fact] = []
    for n in range(first, first + count):
        day, hour = divmod(n - first, 20)
        finished = f"{month}-{day + 2:02}T{hour:02}:{n % 60:02}"
        start = at(finished).timestamp() - hours * 3600 - n
        facts.append(deployment(n, finished, changes=[n], health=health))
        facts.append(change(n, at("1970-01-01").fromtimestamp(start, tz=FEBRUARY.tzinfo).isoformat()))
    return facts


def test_more_deployments_are_better_only_where_chance_is_unlikely() -> None:
    """30 against 10: p = 0.002; 12 against 10: p = 0.83."""
    assert (
        verdicts(*deployments_in_month("02", 10, 1), *deployments_in_month("03", 30, 100))["deployment_frequency"]
        == "better"
    )
    assert (
        verdicts(*deployments_in_month("02", 30, 1), *deployments_in_month("03", 10, 100))["deployment_frequency"]
        == "worse"
    )
    assert (
        verdicts(*deployments_in_month("02", 10, 1), *deployments_in_month("03", 12, 100))["deployment_frequency"]
        == "no clear change"
    )


def test_a_frequency_is_compared_with_no_window_of_which_only_a_part_is_known() -> None:
    """A scope first recorded in the middle of February may have had deployments before."""
    facts = [*deployments_in_month("02", 10, 1), *deployments_in_month("03", 30, 101)]
    assert verdicts(*facts)["deployment_frequency"] == "better"
    assert "deployment_frequency" not in verdicts(*facts, before=deployment(9999, "02-01T12:00"))
    assert verdicts(*facts, before=deployment(9999, "02-01T00:00"))["deployment_frequency"] == "better"


def test_shorter_lead_times_are_better() -> None:
    assert (
        verdicts(*deployments_in_month("02", 10, 1, hours=50), *deployments_in_month("03", 10, 100, hours=5))[
            "lead_time"
        ]
        == "better"
    )
    assert (
        verdicts(*deployments_in_month("02", 10, 1, hours=5), *deployments_in_month("03", 10, 100, hours=50))[
            "lead_time"
        ]
        == "worse"
    )
    assert (
        verdicts(*deployments_in_month("02", 2, 1, hours=50), *deployments_in_month("03", 2, 100, hours=5))["lead_time"]
        == "no clear change"
    )


def test_fewer_failures_are_better() -> None:
    """10 of 10 against none of 10."""
    bad, good = "failed", "passed"
    assert (
        verdicts(*deployments_in_month("02", 10, 1, health=bad), *deployments_in_month("03", 10, 100, health=good))[
            "change_failure_rate"
        ]
        == "better"
    )
    assert (
        verdicts(*deployments_in_month("02", 10, 1, health=good), *deployments_in_month("03", 10, 100, health=bad))[
            "change_failure_rate"
        ]
        == "worse"
    )
    assert (
        verdicts(*deployments_in_month("02", 10, 1), *deployments_in_month("03", 10, 100))["change_failure_rate"]
        == "no clear change"
    )


def test_a_metric_without_a_value_in_either_window_is_not_compared() -> None:
    assert set(verdicts(*deployments_in_month("03", 10, 100))) == {"deployment_frequency"}
    assert set(verdicts()) == {"deployment_frequency"}
