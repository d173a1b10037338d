"""Failed deployment recovery time (docs/definitions.md, "The five metrics")."""

from typing import Any

import pytest
from msgspec import Struct

from dora_metrics.core import schema
from support.facts import (
    DAY,
    HOUR,
    change,
    deployment,
    deployment_id,
    deployments_of_versions,
    document_of,
    failed_deployment,
    incident,
    metrics_of,
    scope_of,
)

FAILED = deployment(1, "03-05T12:00")


def recovery_numbers(*facts: Struct, **settings: object) -> tuple[int, int, float | None]:
    """Recovered, open, and the median in hours."""
    found = metrics_of(*facts, **settings).recovery_time
    return found.recovered, found.open, None if found.p50_seconds is None else found.p50_seconds / HOUR


def failure_evidence(*facts: Struct, **settings: object) -> schema.FailureEvidence:
    """Evidence of the first failure."""
    return scope_of(*facts, **settings).evidence.failed_deployments[0]


def test_it_goes_from_the_finish_of_the_deployment_to_the_end_of_the_incident() -> None:
    """Measured from the deployment, not from the detection an hour later."""
    facts = (FAILED, incident(1, "03-05T13:00", resolved_at="03-05T18:00"))
    assert recovery_numbers(*facts) == (1, 0, 6)
    assert failure_evidence(*facts).remediated_by == incident(1).id


@pytest.mark.parametrize("rule", ["rollback", "revert", "hotfix"])
def test_it_goes_to_the_finish_of_the_deployment_that_remediated_it(rule: str) -> None:
    repairs: dict[str, list[Any]] = {
        "rollback": deployments_of_versions("V1 V2 V1"),
        "revert": [
            deployment(1, "03-01", changes=[1]),
            deployment(2, "03-01T03:00", changes=[2]),
            change(2, reverts=change(1).id),
        ],
        "hotfix": [deployment(1, "03-01"), deployment(2, "03-01T03:00", changes=[1]), change(1, branch="hotfix/1")],
    }
    assert failure_evidence(*repairs[rule]).rule == rule
    assert recovery_numbers(*repairs[rule]) == (1, 0, 3)


def test_open_ones_are_counted_and_listed_and_not_averaged_in() -> None:
    facts = (FAILED, incident(1, resolved_at="03-05T14:00"), deployment(2, "03-07"), incident(2, "03-07T01:00"))
    assert recovery_numbers(*facts) == (1, 1, 2)
    open_one = scope_of(*facts).evidence.failed_deployments[1]
    assert (open_one.deployment, open_one.remediated_by, open_one.recovered_at) == (deployment_id(2), None, None)


def test_with_several_incidents_it_is_the_end_of_the_last_one() -> None:
    facts = (
        FAILED,
        incident(1, "03-05T13:00", resolved_at="03-05T20:00"),
        incident(2, "03-05T14:00", resolved_at="03-05T15:00"),
        incident(3, "03-08", resolved_at="03-05T16:00", deployment=deployment_id(1)),
    )
    assert recovery_numbers(*facts) == (1, 0, 8)
    assert failure_evidence(*facts).remediated_by == incident(1).id


def test_with_several_incidents_it_is_open_while_one_is() -> None:
    facts = (FAILED, incident(1, resolved_at="03-05T20:00"), incident(2, "03-05T14:00"))
    assert recovery_numbers(*facts) == (0, 1, None)


def test_a_deployment_that_remediates_the_incident_ends_it() -> None:
    facts = (FAILED, incident(1), deployment(2, "03-05T15:00", remediates=incident(1).id))
    assert recovery_numbers(*facts) == (1, 0, 3)
    assert failure_evidence(*facts).remediated_by == deployment_id(2)


def test_of_the_end_of_the_incident_and_the_deployment_that_remediates_it_the_earlier_counts() -> None:
    for resolved, hours in (("03-05T14:00", 2), ("03-05T20:00", 3)):
        one = incident(1, resolved_at=resolved)
        assert recovery_numbers(FAILED, one, deployment(2, "03-05T15:00", remediates=one.id)) == (1, 0, hours)
        assert recovery_numbers(FAILED, one, deployment(2, "03-05T15:00", remediates=deployment_id(1))) == (1, 0, hours)


def test_a_deployment_that_remediates_one_of_two_incidents_leaves_it_open() -> None:
    facts = (FAILED, incident(1), incident(2), deployment(2, "03-05T15:00", remediates=incident(1).id))
    assert recovery_numbers(*facts) == (0, 1, None)


def test_a_deployment_that_remediates_the_deployment_ends_it_whatever_incidents_are_open() -> None:
    facts = (FAILED, incident(1), incident(2), deployment(2, "03-05T15:00", remediates=deployment_id(1)))
    assert recovery_numbers(*facts) == (1, 0, 3)


def test_the_first_success_that_remediates_it_counts() -> None:
    facts = (
        FAILED,
        failed_deployment(2, "03-05T13:00", remediates=deployment_id(1), reached_users=True),
        deployment(3, "03-05T14:00", remediates=deployment_id(1), status="cancelled"),
        deployment(4, "03-05T16:00", remediates=deployment_id(1)),
        deployment(5, "03-05T15:00", remediates=deployment_id(1)),
    )
    assert failure_evidence(*facts).remediated_by == deployment_id(5)


def test_a_fix_may_come_in_another_scope() -> None:
    facts = (FAILED, deployment(2, "03-05T15:00", service="infra", remediates=deployment_id(1)))
    from_shop = [one for one in document_of(*facts).scopes if one.service == "shop"]
    assert from_shop[0].metrics.recovery_time.p50_seconds == 3 * HOUR


def test_a_negative_span_is_dropped_and_is_neither_recovered_nor_open() -> None:
    facts = (FAILED, incident(1, "03-04", resolved_at="03-05T11:59", deployment=deployment_id(1)))
    assert recovery_numbers(*facts) == (0, 0, None)
    assert metrics_of(*facts).change_failure_rate.failed == 1
    assert metrics_of(*facts).recovery_time.reason


def test_a_span_of_nought_is_one() -> None:
    assert recovery_numbers(FAILED, incident(1, "03-05T12:00", resolved_at="03-05T12:00")) == (1, 0, 0)


def test_the_remediation_may_lie_beyond_the_window_and_beyond_now() -> None:
    facts = (deployment(1, "03-31T12:00"), incident(1, "03-31T13:00", resolved_at="05-10T12:00"))
    assert recovery_numbers(*facts) == (1, 0, 40 * 24)


def test_a_failed_health_check_is_over_with_the_next_success_of_the_scope_that_is_not_unhealthy() -> None:
    facts = (
        deployment(1, "03-05T12:00", health="failed", source="a"),
        deployment(2, "03-05T13:00", health="failed", source="a"),
        failed_deployment(3, "03-05T13:30"),
        deployment(4, "03-05T13:40", service="api"),
        deployment(5, "03-05T14:00", health="passed", source="b"),
        deployment(6, "03-05T15:00"),
    )
    shop = [fact for fact in facts if fact.service == "shop"]
    assert recovery_numbers(*shop) == (2, 0, 1.5)  # 2 h and 1 h
    assert failure_evidence(*shop).remediated_by == deployment_id(5)


def test_a_success_without_a_health_check_is_not_unhealthy() -> None:
    facts = (deployment(1, "03-05T12:00", health="failed"), deployment(2, "03-05T14:00", health=None))
    assert recovery_numbers(*facts) == (1, 0, 2)


def test_a_failed_run_is_over_with_the_next_success_of_the_same_source() -> None:
    facts = (
        failed_deployment(1, "03-05T12:00", source="a"),
        deployment(2, "03-05T13:00", source="b"),
        deployment(3, "03-05T14:00", source="a", health="failed"),
        deployment(4, "03-05T15:00", source="a", status="cancelled"),
        deployment(5, "03-05T16:00", source="a"),
    )
    runs = metrics_of(*facts, count_failed_runs=True, failure_rules=frozenset()).recovery_time
    assert (runs.recovered, runs.open, runs.p50_seconds) == (1, 0, 4 * HOUR)
    unnamed = (
        failed_deployment(1, source=None),
        deployment(2, "03-05T13:00", source="b"),
        deployment(3, "03-05T14:00", source=None),
    )
    assert recovery_numbers(*unnamed, count_failed_runs=True) == (1, 0, 2)


def test_a_failed_run_without_a_success_after_it_is_open() -> None:
    facts = (deployment(1, "03-05T11:00"), failed_deployment(2, "03-05T12:00"))
    assert recovery_numbers(*facts, count_failed_runs=True) == (0, 1, None)


def test_a_failure_belongs_to_the_window_of_its_deployment() -> None:
    facts = (deployment(1, "02-29T23:00"), incident(1, "02-29T23:30", resolved_at="03-02"))
    assert recovery_numbers(*facts) == (0, 0, None)


def test_the_rule_that_marked_it_names_the_remediation() -> None:
    """Rolled back after 6 h while its incident is open: resolved by `rollback`, open by `incident`."""
    facts = (*deployments_of_versions("V1 V2 V3 V1"), incident(1, "03-01T08:00"))
    both = {one.deployment: one.rule for one in scope_of(*facts).evidence.failed_deployments}
    assert both == {deployment_id(2): "rollback"}
    assert recovery_numbers(*facts) == (1, 0, 6)
    assert recovery_numbers(*facts, failure_rules=frozenset({"incident"})) == (0, 1, None)


def test_quantiles_and_mean_are_over_the_recovered_ones() -> None:
    """1, 2, 3 and 10 h: p50 2.5, p90 at 2.7 of 0..3 = 3 + 0.7 x 7, mean 4."""
    facts = []
    for n, hours in enumerate((1, 2, 3, 10)):
        facts += [deployment(n, f"03-1{n}T00:00"), incident(n, f"03-1{n}T00:30", resolved_at=f"03-1{n}T{hours:02}:00")]
    found = metrics_of(*facts).recovery_time
    assert found.p50_seconds == 2.5 * HOUR
    assert found.p90_seconds == pytest.approx(7.9 * HOUR)
    assert found.mean_seconds == 4 * HOUR
    assert (found.level, found.interval95, found.reason) == ("high", None, None)


def test_without_a_failure_or_a_recovery_it_is_null_with_the_reason() -> None:
    assert metrics_of(FAILED).recovery_time.reason == "no failed deployment in the window"
    found = metrics_of(FAILED, incident(1)).recovery_time
    assert (found.p50_seconds, found.level) == (None, None)
    assert found.reason == "no failed deployment has recovered yet (1 open)"


# A separate metric: incident time to restore


def test_incident_restore_is_from_detection_to_resolution_of_all_incidents_of_the_scope() -> None:
    """Unmatched incidents count too: 1 h, and 3 days."""
    facts = (
        FAILED,
        incident(1, "03-05T13:00", resolved_at="03-05T14:00"),
        incident(2, "03-10", resolved_at="03-13"),
        incident(3, "03-20"),
    )
    found = metrics_of(*facts).incident_restore
    assert (found.incidents, found.resolved, found.open, found.unmatched) == (3, 2, 1, 2)
    assert found.p50_seconds == found.mean_seconds == (HOUR + 3 * DAY) / 2


def test_incidents_count_by_detection_and_durations_by_resolution() -> None:
    facts = (
        FAILED,
        incident(1, "02-28", resolved_at="03-02"),
        incident(2, "03-30", resolved_at="04-02"),
        incident(3, "02-20"),
    )
    found = metrics_of(*facts, now="05-01").incident_restore
    assert (found.incidents, found.resolved, found.open, found.unmatched) == (1, 1, 0, 1)
    assert found.p50_seconds == 3 * DAY


def test_the_window_is_half_open_for_incidents_too() -> None:
    facts = (
        FAILED,
        incident(1, "02-29", resolved_at="03-01"),
        incident(2, "03-01", resolved_at="04-01"),
        incident(3, "04-01"),
    )
    found = metrics_of(*facts, now="05-01").incident_restore
    assert (found.incidents, found.resolved, found.p50_seconds) == (1, 1, DAY)


def test_resolved_before_detected_is_in_no_duration() -> None:
    found = metrics_of(FAILED, incident(1, "03-05T13:00", resolved_at="03-05T12:30")).incident_restore
    assert (found.incidents, found.resolved, found.open, found.p50_seconds) == (1, 1, 0, None)


def test_the_same_incident_seen_ten_times_is_one_and_a_retracted_one_none() -> None:
    """Trap 2. That the last state counts is tested with the merge."""
    assert metrics_of(FAILED, incident(1), incident(2, retracted=True)).incident_restore.incidents == 1


# A separate metric: pipeline recovery


def test_a_streak_goes_from_its_first_failed_run_to_the_next_success() -> None:
    facts = (
        failed_deployment(1, "03-05T12:00"),
        failed_deployment(2, "03-05T15:00"),
        deployment(3, "03-05T16:00"),
        deployment(4, "03-05T17:00"),
    )
    found = metrics_of(*facts).pipeline
    assert (found.failed_runs, found.recovery_p50_seconds) == (2, 4 * HOUR)


def test_cancelled_runs_neither_start_nor_end_a_streak() -> None:
    facts = (
        deployment(1, "03-05T11:00", status="cancelled"),
        failed_deployment(2, "03-05T12:00"),
        deployment(3, "03-05T13:00", status="cancelled"),
        deployment(4, "03-05T14:00"),
    )
    assert metrics_of(*facts).pipeline.recovery_p50_seconds == 2 * HOUR


def test_each_source_and_each_scope_has_its_own_streaks() -> None:
    facts = (
        failed_deployment(1, "03-05T12:00", source="a"),
        failed_deployment(2, "03-05T12:30", source="b"),
        deployment(3, "03-05T13:00", source="b"),
        deployment(4, "03-05T13:10", source="a", environment="prod-eu"),
        deployment(5, "03-05T15:00", source="a"),
    )
    answered = metrics_of(*(fact for fact in facts if fact.environment == "production")).pipeline
    assert answered.recovery_p50_seconds == (3 * HOUR + HOUR / 2) / 2


def test_a_streak_counts_in_the_window_of_its_first_failure_wherever_it_ends() -> None:
    facts = (
        failed_deployment(1, "02-29T12:00"),
        failed_deployment(2, "03-01T12:00"),
        deployment(3, "03-02T12:00"),
        failed_deployment(4, "03-31T12:00"),
        deployment(5, "04-02T12:00"),
    )
    found = metrics_of(*facts, now="05-01").pipeline
    assert (found.failed_runs, found.recovery_p50_seconds) == (2, 2 * DAY)


def test_a_streak_that_is_not_over_is_in_no_duration() -> None:
    assert metrics_of(failed_deployment(1)).pipeline.recovery_p50_seconds is None


def test_an_unhealthy_success_ends_a_streak_and_a_failure_that_reached_users_starts_one() -> None:
    facts = (failed_deployment(1, "03-05T12:00", reached_users=True), deployment(2, "03-05T13:00", health="failed"))
    found = metrics_of(*facts).pipeline
    assert (found.failed_runs, found.recovery_p50_seconds) == (1, HOUR)


def test_pipelines_that_never_failed_do_not_average_in() -> None:
    assert metrics_of(deployment(1)).pipeline.recovery_p50_seconds is None


def test_six_recoveries_have_an_interval_and_five_have_none() -> None:
    """Of six values, the least and the greatest: at most 1/64 is outside on each side."""
    facts: list[Any] = []
    for n in range(1, 7):
        day = f"03-{n * 3:02}"
        facts += [deployment(n, day), incident(n, day, resolved_at=f"{day}T0{n}:00")]
    assert metrics_of(*facts).recovery_time.interval95 == (HOUR, 6 * HOUR)
    assert metrics_of(*facts[2:]).recovery_time.interval95 is None
    assert metrics_of(deployment(1)).recovery_time.interval95 is None


def test_an_incident_that_ended_in_the_second_of_its_detection_took_no_time_at_all() -> None:
    found = metrics_of(
        deployment(1), incident(1, "03-06", resolved_at="03-06"), incident(2, "03-06", resolved_at="03-08")
    )
    assert found.incident_restore.p50_seconds == DAY


def test_two_sources_that_fail_at_the_same_time_are_two_streaks() -> None:
    facts = (
        failed_deployment(1, "03-05", source="a"),
        failed_deployment(2, "03-05", source="b"),
        deployment(3, "03-06", source="a"),
    )
    assert metrics_of(*facts).pipeline.recovery_p50_seconds == DAY
