"""Rule `incident`: an incident that names no deployment is attributed to the latest one before it."""

from datetime import timedelta
from typing import Any

import pytest

from support.facts import (
    deployment,
    document_of,
    failed_deployment,
    failure_rules,
    incident,
    metrics_of,
    unmatched_reasons,
)

OTHER_RULES = frozenset({"explicit", "rollback", "revert", "hotfix", "health-check"})
EARLIER = deployment(1, "03-04T12:00")
LATEST = deployment(2, "03-05T12:00")


def incidents_by_scope(*facts: Any, **settings: Any) -> dict[str, int | None]:  # noqa: ANN401
    """Number of incidents in each scope, as service/environment."""
    scopes = document_of(*facts, **settings).scopes
    return {f"{one.service}/{one.environment}": one.metrics.incident_restore.incidents for one in scopes}


def test_it_is_attributed_to_the_latest_success_before_it() -> None:
    later = deployment(3, "03-05T13:30")
    assert failure_rules(later, LATEST, EARLIER, incident(1, "03-05T13:00")) == {2: "incident"}


def test_a_deployment_in_the_second_of_the_detection_is_before_it() -> None:
    """Trap 8."""
    assert failure_rules(EARLIER, LATEST, incident(1, "03-05T12:00")) == {2: "incident"}
    assert failure_rules(EARLIER, LATEST, incident(1, "03-05T11:59:59.999999")) == {1: "incident"}


def test_the_age_limit_includes_its_end() -> None:
    assert failure_rules(EARLIER, LATEST, incident(1, "03-06T12:00")) == {2: "incident"}
    facts = (EARLIER, LATEST, incident(1, "03-06T12:00:00.000001"))
    assert failure_rules(*facts) == {}
    too_late = "the latest deployment before it was 24 h 1 min earlier, more than the limit of 24 h (`incident-window`)"
    assert unmatched_reasons(*facts) == {1: too_late}
    assert failure_rules(*facts, incident_window=timedelta(days=2)) == {2: "incident"}


def test_before_the_first_deployment_it_is_attributed_to_none() -> None:
    facts = (EARLIER, incident(1, "03-04T11:59"))
    assert failure_rules(*facts) == {}
    assert unmatched_reasons(*facts) == {1: "no successful production deployment is recorded before it"}
    assert incidents_by_scope(*facts) == {"shop/production": 1}


@pytest.mark.parametrize("status", ["failure", "cancelled"])
def test_what_did_not_succeed_is_passed_over(status: str) -> None:
    between = deployment(3, "03-05T12:30", status=status, reached_users=True)
    assert failure_rules(LATEST, between, incident(1))[2] == "incident"


def test_a_deployment_before_the_window_is_marked_too_but_counts_where_it_was() -> None:
    """Trap: the last deployment of February, and an incident of March."""
    facts = (deployment(1, "02-29T23:00"), incident(1, "03-01T01:00"))
    (scope,) = document_of(*facts).scopes
    assert scope.metrics.change_failure_rate.failed == 0
    assert (scope.metrics.incident_restore.incidents, scope.metrics.incident_restore.unmatched) == (1, 0)
    assert scope.previous is not None
    assert scope.previous.change_failure_rate.failed == 1


def test_an_incident_that_was_detected_after_the_window_is_known_all_the_same() -> None:
    facts = (deployment(1, "03-31T23:00"), incident(1, "04-01T01:00"))
    found = metrics_of(*facts, now="05-01")
    assert (found.change_failure_rate.failed, found.incident_restore.incidents) == (1, 0)


def test_ten_incidents_of_one_deployment_are_one_failure() -> None:
    """Trap 3: 1 of 2, not 10 of 2."""
    found = metrics_of(EARLIER, LATEST, *(incident(n, f"03-05T13:{n:02}") for n in range(10)))
    assert (found.change_failure_rate.failed, found.change_failure_rate.ratio) == (1, 0.5)
    assert found.incident_restore.incidents == 10


def test_the_first_incident_is_the_one_that_the_evidence_names() -> None:
    facts = (LATEST, incident(2, "03-05T13:00"), incident(1, "03-05T14:00"))
    (scope,) = document_of(*facts).scopes
    assert scope.evidence.failed_deployments[0].because == "github:issue:acme/shop#2 detected 1 h after it"


def test_it_is_attributed_within_its_scope_only() -> None:
    facts = (
        EARLIER,
        deployment(2, "03-05T12:10", service="api"),
        deployment(3, "03-05T12:20", environment="prod-eu"),
        deployment(4, "03-05T12:30", repository="acme/other", service="shop"),
        incident(1, "03-05T11:00"),
        incident(2, "03-05T13:00", environment="prod-eu"),
    )
    assert failure_rules(*facts) == {1: "incident", 3: "incident"}
    assert incidents_by_scope(*facts) == {"shop/production": 1, "api/production": 0, "shop/prod-eu": 1}


def test_one_that_names_no_service_is_attributed_to_the_latest_among_all_services_and_counts_there() -> None:
    facts = (EARLIER, deployment(2, "03-05T12:10", service="api"), deployment(3, "03-05T12:20", environment="prod-eu"))
    for missing in (None, ""):
        one = incident(1, service=missing)
        assert failure_rules(*facts, one) == {2: "incident"}
        assert incidents_by_scope(*facts, one) == {"shop/production": 0, "api/production": 1, "shop/prod-eu": 0}


def test_a_missing_environment_is_treated_like_a_missing_service() -> None:
    facts = (EARLIER, deployment(2, "03-05T12:10", service="api"), deployment(3, "03-05T12:20", environment="prod-eu"))
    assert incidents_by_scope(*facts, incident(1, environment=None))["shop/prod-eu"] == 1
    assert incidents_by_scope(*facts, incident(1, environment=None, service=None))["shop/prod-eu"] == 1
    assert incidents_by_scope(*facts, incident(1, environment="", service="api"))["api/production"] == 1
    other = deployment(9, "03-05T12:30", repository="acme/other", environment="staging")
    assert failure_rules(*facts, other, incident(1, environment=None, service=None)) == {3: "incident"}


def test_one_that_is_attributed_to_none_counts_where_the_latest_deployment_before_it_was() -> None:
    facts = (
        deployment(1, "03-01"),
        deployment(2, "03-02", service="api"),
        deployment(3, "03-20"),
        incident(1, "03-10", service=None),
    )
    assert failure_rules(*facts) == {}
    assert incidents_by_scope(*facts) == {"shop/production": 0, "api/production": 1}


def test_one_that_names_its_scope_counts_there_even_where_nothing_was_deployed() -> None:
    assert incidents_by_scope(EARLIER, incident(1, service="api")) == {"shop/production": 0, "api/production": 1}
    assert list(unmatched_reasons(EARLIER, incident(1, service="api"))) == [1]


def test_an_incident_outside_production_is_in_no_number_and_the_notes_say_so() -> None:
    found = document_of(EARLIER, LATEST, incident(1, environment="staging"))
    assert found.scopes[0].metrics.incident_restore.incidents == 0
    assert found.scopes[0].metrics.change_failure_rate.failed == 0
    assert found.notes == ["1 incident outside production is not counted."]


def test_open_incidents_count() -> None:
    found = metrics_of(LATEST, incident(1, resolved_at=None))
    assert (found.change_failure_rate.ratio, found.recovery_time.open) == (1, 1)


def test_switched_off_it_marks_nothing_and_its_incidents_are_listed() -> None:
    assert failure_rules(LATEST, incident(1), failure_rules=OTHER_RULES) == {}
    assert unmatched_reasons(LATEST, incident(1), failure_rules=OTHER_RULES) == {
        1: "the rule `incident` is switched off"
    }
    assert incidents_by_scope(LATEST, incident(1), failure_rules=OTHER_RULES) == {"shop/production": 1}


def test_six_incidents_on_four_of_23_deployments_are_17_percent() -> None:
    """Not 26 %, as it would be if incidents were divided by deployments."""
    facts = [deployment(n, f"03-{n:02}T12:00") for n in range(1, 24)]
    incidents = [incident(n, f"03-{day:02}T13:00") for n, day in enumerate((3, 3, 8, 8, 15, 22))]
    found = metrics_of(*facts, *incidents).change_failure_rate
    assert (found.failed, found.deployments, found.ratio) == (4, 23, 4 / 23)


def test_incidents_of_one_second_are_listed_by_id_whichever_came_first() -> None:
    tied = [incident(n, "03-01") for n in (1, 2, 3)]
    for order in (tied, tied[::-1]):
        assert list(unmatched_reasons(EARLIER, *order)) == [1, 2, 3]


def test_the_direction_is_from_the_deployment_to_the_incident() -> None:
    """Trap 14: an incident right before a deployment is not attributed to it."""
    assert failure_rules(deployment(1, "03-05T13:00:01"), incident(1, "03-05T13:00")) == {}


def scopes_of(*facts: Any) -> dict[str, int | None]:  # noqa: ANN401
    """Number of incidents in each scope, by its service."""
    return {scope.service: scope.metrics.incident_restore.incidents for scope in document_of(*facts).scopes}


def test_an_incident_before_any_success_counts_where_the_first_success_came() -> None:
    facts = (
        deployment(1, "03-06", service="web"),
        deployment(2, "03-07", service="api"),
        incident(1, "03-05", service=None),
    )
    assert scopes_of(*facts) == {"api": 0, "web": 1}


def test_where_nothing_has_succeeded_yet_it_counts_where_the_latest_attempt_was_made() -> None:
    facts = (
        failed_deployment(1, "03-07", service="api"),
        failed_deployment(2, "03-06", service="web"),
        incident(1, service=None),
    )
    assert scopes_of(*facts) == {"api": 1, "web": 0}
    other = (
        failed_deployment(1, "03-05", service="api"),
        failed_deployment(2, "03-06", service="web"),
        incident(1, service=None),
    )
    assert scopes_of(*other) == {"api": 0, "web": 1}


def test_without_any_deployment_it_counts_for_the_repository_itself() -> None:
    (scope,) = document_of(incident(1, service=None, environment=None)).scopes
    assert (scope.repository, scope.service, scope.environment) == ("acme/shop", "shop", "production")
    (live,) = document_of(incident(1, service=None, environment="live")).scopes
    assert live.environment == "live"


@pytest.mark.parametrize(
    ("detected", "said"),
    [("03-05T12:59", "59 min"), ("03-05T13:00", "1 h"), ("03-05T14:00", "2 h"), ("03-05T14:59", "2 h 59 min")],
)
def test_the_time_from_a_deployment_to_an_incident_is_written_as_every_duration_is(detected: str, said: str) -> None:
    facts = (deployment(1, "03-05T12:00"), incident(1, detected))
    (failure,) = document_of(*facts).scopes[0].evidence.failed_deployments
    assert failure.because == f"github:issue:acme/shop#1 detected {said} after it"
