"""Which earlier deployment a deployment is compared with."""

from typing import Any

from dora_metrics.core.linking.link import previous_success
from support.facts import change, deployment, deployment_id, failed_deployment


def test_a_deployment_is_compared_with_the_latest_success_before_it_in_its_scope_whose_changes_are_known() -> None:
    facts: list[Any] = [
        deployment(1, "03-01"),
        deployment(2, "03-02"),
        deployment(3, "03-03", changes=None),
        failed_deployment(4, "03-04"),
        deployment(5, "03-05", retracted=True),
        deployment(6, "03-05", service="api"),
        deployment(7, "03-05", environment="staging"),
        deployment(9, "03-09"),
        change(1),
    ]
    latest = deployment(8, "03-06")
    for order in (facts, facts[::-1]):
        before = previous_success(latest, [*order, latest])
        assert before is not None
        assert before.id == deployment_id(2)


def test_without_known_changes_it_is_compared_with_the_first_success_there_is() -> None:
    facts: list[Any] = [deployment(2, "03-02", changes=None), deployment(1, "03-01", changes=None)]
    before = previous_success(deployment(3, "03-03"), facts)
    assert before is not None
    assert before.id == deployment_id(1)


def test_what_a_failed_comparison_left_open_is_compared_again_by_the_next_deployment() -> None:
    first, known, gap = (
        deployment(1, "03-01", changes=None),
        deployment(2, "03-02"),
        deployment(3, "03-03", changes=None),
    )
    assert previous_success(deployment(4, "03-04"), [first, known, gap]) == known
    assert previous_success(deployment(4, "03-04"), [first, gap]) == first
    assert previous_success(first, []) is None
