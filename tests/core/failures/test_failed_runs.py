"""Change failure rate: its denominator, the rules `health-check` and `failed-run`, and the order of rules."""

import itertools

import pytest

from support.facts import (
    change,
    deployment,
    deployment_id,
    failed_deployment,
    failure_rules,
    incident,
    metrics_of,
    scope_of,
    sha,
)

RULES = ("explicit", "rollback", "revert", "hotfix", "incident", "health-check")

ALL_FAILURES = (
    deployment(1, "03-05T10:00", sha=sha("V1")),
    deployment(2, "03-05T11:00", changes=[1], health="failed"),
    deployment(3, "03-05T12:00", sha=sha("V1")),
    deployment(4, "03-05T13:00", changes=[2, 3]),
    change(1, title="Add it"),
    change(2, reverts=change(1).id),
    incident(1, "03-05T11:30"),
    incident(2, "03-05T11:30", deployment=deployment_id(2)),
)
"""The second deployment failed by every rule but `hotfix`."""

HOTFIXED = (
    deployment(1, "03-05T10:00", changes=[1]),
    deployment(2, "03-05T11:00", changes=[2, 3]),
    change(1),
    change(2, reverts=change(1).id),
    change(3, labels=("hotfix",)),
    incident(1, "03-05T10:30"),
)


@pytest.mark.parametrize(
    ("left", "first"),
    [
        (RULES, "explicit"),
        (RULES[1:], "rollback"),
        (RULES[2:], "revert"),
        (RULES[3:], "incident"),
        (RULES[5:], "health-check"),
        ((), None),
    ],
)
def test_the_first_hit_in_the_order_of_the_table_wins(left: tuple[str, ...], first: str | None) -> None:
    assert failure_rules(*ALL_FAILURES, failure_rules=frozenset(left)).get(2) == first


def test_hotfix_comes_between_revert_and_incident() -> None:
    assert failure_rules(*HOTFIXED)[1] == "revert"
    assert failure_rules(*HOTFIXED, failure_rules=frozenset(RULES[3:]))[1] == "hotfix"
    assert failure_rules(*HOTFIXED, failure_rules=frozenset(RULES[4:]))[1] == "incident"


@pytest.mark.parametrize("facts", [ALL_FAILURES, HOTFIXED])
def test_a_deployment_fails_at_most_once_whatever_rules_are_on(facts: tuple[object, ...]) -> None:
    for size in range(len(RULES) + 1):
        for rules in itertools.combinations(RULES, size):
            failure_rules(*facts, failure_rules=frozenset(rules))  # type: ignore[arg-type]


def test_the_rate_is_failed_deployments_by_those_that_reached_users() -> None:
    facts = (
        deployment(1, "03-05T10:00"),
        deployment(2, "03-05T11:00", health="failed"),
        failed_deployment(3, "03-05T12:00", reached_users=True),
        failed_deployment(4, "03-05T13:00"),
        deployment(5, "03-05T14:00", status="cancelled"),
    )
    found = metrics_of(*facts).change_failure_rate
    assert (found.failed, found.deployments, found.ratio) == (2, 3, 2 / 3)
    found = metrics_of(*facts, count_failed_runs=True).change_failure_rate
    assert (found.failed, found.deployments, found.ratio) == (3, 4, 0.75)


def test_its_interval_is_that_of_wilson() -> None:
    """1 of 10: 1.79 % to 40.42 %."""
    facts = [deployment(n, f"03-1{n}") for n in range(9)]
    found = metrics_of(*facts, deployment(9, "03-20", health="failed")).change_failure_rate
    assert found.interval95 == pytest.approx((0.0179, 0.4042), abs=1e-4)
    assert (found.level, found.level_span) == ("high", ("low", "elite"))


def test_without_a_deployment_that_reached_users_there_is_no_rate() -> None:
    found = metrics_of(failed_deployment(1), deployment(2, status="cancelled"))
    for rate in (found.change_failure_rate, found.rework_rate):
        assert (rate.deployments, rate.ratio, rate.interval95, rate.level) == (0, None, None, None)
        assert rate.reason == "no deployment reached users in the window"


def test_a_failed_health_check_marks_its_deployment() -> None:
    facts = (deployment(1, "03-04", health="passed"), deployment(2, "03-05", health="failed"), deployment(3, "03-06"))
    assert failure_rules(*facts) == {2: "health-check"}
    assert failure_rules(*facts, failure_rules=frozenset(RULES[:5])) == {}


def test_a_failed_run_counts_only_where_the_user_wants_it() -> None:
    assert failure_rules(failed_deployment(1)) == {}
    assert failure_rules(failed_deployment(1), count_failed_runs=True) == {1: "failed-run"}
    assert failure_rules(failed_deployment(1), count_failed_runs=True, failure_rules=frozenset()) == {1: "failed-run"}


@pytest.mark.parametrize("switch", [True, False])
def test_a_failure_that_reached_users_always_counts_as_a_failed_run(switch: bool) -> None:  # noqa: FBT001
    one = failed_deployment(1, reached_users=True)
    assert failure_rules(one, count_failed_runs=switch, failure_rules=frozenset()) == {1: "failed-run"}
    assert metrics_of(one, count_failed_runs=switch).rework_rate.deployments == 1


def test_a_failed_run_that_another_rule_marks_is_that_rules() -> None:
    facts = (failed_deployment(1, health="failed", reached_users=True), failed_deployment(2, "03-06", health="failed"))
    assert failure_rules(*facts) == {1: "health-check"}
    assert failure_rules(*facts, count_failed_runs=True) == {1: "health-check", 2: "health-check"}


def test_a_success_is_no_failure_because_users_are_said_not_to_have_been_reached() -> None:
    found = metrics_of(deployment(1, reached_users=False)).change_failure_rate
    assert (found.failed, found.deployments) == (0, 1)


def test_a_failed_job_inside_a_run_that_passed_is_no_fact_here_and_a_cancelled_run_no_failure() -> None:
    """Trap 11: one attempt, one end."""
    assert failure_rules(deployment(1, status="cancelled", health="failed"), count_failed_runs=True) == {}


def test_the_evidence_stores_rule_and_link() -> None:
    run = failed_deployment(1, url="https://a.example/run", reached_users=True)
    (one,) = scope_of(run).evidence.failed_deployments
    assert (one.deployment, one.rule, one.url) == (deployment_id(1), "failed-run", "https://a.example/run")
    assert one.because
