"""Rework rate: deployments made to repair production (docs/definitions.md, "The five metrics")."""

from datetime import timedelta

import pytest
from msgspec import Struct

from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from support.facts import (
    change,
    deployment,
    deployment_id,
    deployments_of_versions,
    failed_deployment,
    incident,
    metrics_of,
)


def rework_numbers(*facts: Struct, **settings: object) -> tuple[int, int, float | None]:
    found = metrics_of(*facts, **settings).rework_rate
    return found.rework, found.deployments, found.ratio


def test_a_rollback_is_rework_and_a_re_release_is_not() -> None:
    assert rework_numbers(*deployments_of_versions("V1 V2 V3 V1")) == (1, 4, 0.25)
    assert rework_numbers(*deployments_of_versions("V1 V2 V1 V2")) == (1, 4, 0.25)
    assert rework_numbers(*deployments_of_versions("V1 V1 V2 V2")) == (0, 4, 0)


def test_a_deployment_that_delivers_a_revert_or_a_hotfix_of_something_deployed_is_rework() -> None:
    facts = (deployment(1, "03-01", changes=[1]), deployment(2, "03-02", changes=[2]), change(1))
    assert rework_numbers(*facts, change(2, reverts=change(1).id)) == (1, 2, 0.5)
    assert rework_numbers(*facts, change(2, labels=("hotfix",))) == (1, 2, 0.5)
    assert rework_numbers(*facts, change(2)) == (0, 2, 0)


def test_a_revert_of_what_was_never_deployed_is_no_rework() -> None:
    facts = (deployment(1, "03-01"), deployment(2, "03-02", changes=[1, 2]), change(1), change(2, reverts=change(1).id))
    assert rework_numbers(*facts) == (0, 2, 0)


@pytest.mark.parametrize("target", [deployment_id(1), incident(1).id])
def test_a_deployment_that_remediates_another_or_an_incident_is_rework(target: str) -> None:
    facts = (deployment(1, "03-01"), incident(1, "03-01T01:00"), deployment(2, "03-02", remediates=target))
    assert rework_numbers(*facts) == (1, 2, 0.5)


def test_a_deployment_that_remediates_itself_is_none() -> None:
    assert rework_numbers(deployment(1, remediates=deployment_id(1))) == (0, 1, 0)


def test_it_follows_the_marks_whatever_the_windows_and_switches_are() -> None:
    """A hotfix after a month, a fix of a named deployment, a rollback, a revert."""
    facts = (
        *deployments_of_versions("V1 V2 V1"),
        deployment(4, "03-02", changes=[1]),
        deployment(5, "03-03", changes=[2]),
        deployment(6, "03-30", changes=[3]),
        deployment(7, "03-31", remediates=deployment_id(6)),
        change(1),
        change(2, reverts=change(1).id),
        change(3, labels=("hotfix",)),
    )
    settings = {
        "failure_rules": frozenset[str](),
        "hotfix_window": timedelta(minutes=1),
        "incident_window": timedelta(minutes=1),
    }
    assert rework_numbers(*facts)[0] == rework_numbers(*facts, **settings)[0] == 4


def test_a_deployment_is_rework_once_however_much_it_repairs() -> None:
    facts = (
        deployment(1, "03-01", changes=[1]),
        deployment(2, "03-02", changes=[2, 3], remediates=deployment_id(1)),
        change(1),
        change(2, reverts=change(1).id),
        change(3, labels=("hotfix",)),
    )
    assert rework_numbers(*facts) == (1, 2, 0.5)


def test_it_counts_by_its_own_finish_whenever_what_it_repairs_was_deployed() -> None:
    facts = (deployment(1, "02-20"), deployment(2, "03-02", remediates=deployment_id(1)))
    assert rework_numbers(*facts) == (1, 1, 1)


def test_it_is_over_the_deployments_that_reached_users_whatever_the_switch_says() -> None:
    facts = (
        deployment(1, "03-01"),
        failed_deployment(2, "03-02", remediates=deployment_id(1)),
        failed_deployment(3, "03-03", remediates=deployment_id(1), reached_users=True),
        deployment(4, "03-04", status="cancelled", remediates=deployment_id(1)),
    )
    assert rework_numbers(*facts) == rework_numbers(*facts, count_failed_runs=True) == (1, 2, 0.5)


def test_it_has_an_interval_and_never_a_level() -> None:
    found = metrics_of(*deployments_of_versions("V1 V2 V1")).rework_rate
    assert found.interval95 == pytest.approx((0.0615, 0.7923), abs=1e-4)  # Wilson, 1 of 3
    assert (found.level, found.level_span) == (None, None)


def test_what_made_a_deployment_rework_is_kept_with_it() -> None:
    facts = (*deployments_of_versions("V1 V2 V1"), deployment(9, "03-09", remediates="github:issue:acme/shop#1"))
    (record,) = evaluate_facts(facts, Policy()).histories
    assert record.rework_reasons == {
        deployment_id(3): "rollback: V1 was deployed again",
        deployment_id(9): "explicit: it remediates github:issue:acme/shop#1",
    }
