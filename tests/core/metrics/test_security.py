"""Vulnerabilities, which are counted in addition to the five metrics (docs/security-metrics.md)."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from msgspec import Struct

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.metrics.security import has_deployable_fix, security_sentence
from dora_metrics.core.policy import Policy
from dora_metrics.core.windows import Window
from support.facts import (
    DAY,
    at,
    deployment,
    deployment_id,
    document_of,
    failed_deployment,
    incident,
    metrics_of,
    scope_of,
    vulnerability,
)
from support.strategies import fact_lists

MARCH = Window(at("03-01"), at("04-01"))


def security_of(*facts: Struct, **settings: object) -> dict[str, schema.Security]:
    return metrics_of(deployment(1), *facts, **settings).security


def test_they_are_counted_by_severity() -> None:
    facts = (
        vulnerability(1, severity="critical", fixed_at="03-07"),
        vulnerability(2, severity="critical"),
        vulnerability(3, severity="low"),
    )
    found = security_of(*facts)
    assert list(found) == ["critical", "low"]
    assert found["critical"] == schema.Security(detected=2, fixed=1, open=1, remediation_p50_seconds=2 * DAY)
    assert found["low"] == schema.Security(detected=1, fixed=0, open=1, remediation_p50_seconds=None)


def test_a_dismissed_one_is_neither_open_nor_fixed() -> None:
    facts = (vulnerability(1, dismissed_at="03-06"), vulnerability(2, dismissed_at="03-06", fixed_at="03-07"))
    assert security_of(*facts)["high"] == schema.Security(detected=2, fixed=0, open=0, remediation_p50_seconds=None)


def test_detected_and_open_go_by_detection_and_fixed_by_the_fix() -> None:
    facts = (
        vulnerability(1, "02-20", fixed_at="03-01"),
        vulnerability(2, "02-20"),
        vulnerability(3, "03-30", fixed_at="04-02"),
    )
    found = security_of(*facts, now="05-01")["high"]
    assert found == schema.Security(detected=1, fixed=1, open=0, remediation_p50_seconds=10 * DAY)


def test_the_window_is_half_open_for_them_too() -> None:
    facts = (
        vulnerability(1, "03-01", fixed_at="04-01"),
        vulnerability(2, "04-01"),
        vulnerability(3, "02-28", fixed_at="03-01"),
    )
    found = security_of(*facts, now="05-01")["high"]
    assert (found.detected, found.fixed, found.remediation_p50_seconds) == (
        1,
        1,
        2 * DAY,
    )  # 29 February is between them


def test_time_to_remediate_is_from_detection_whenever_it_was_introduced() -> None:
    found = security_of(vulnerability(1, introduced_at="2020-01-01", fixed_at="03-06"))["high"]
    assert found.remediation_p50_seconds == DAY


def test_fixed_before_detected_is_fixed_but_in_no_duration() -> None:
    found = security_of(vulnerability(1, "03-06", fixed_at="03-05"))["high"]
    assert (found.fixed, found.remediation_p50_seconds) == (1, None)


def test_they_are_shown_in_every_scope_of_their_service() -> None:
    facts = (
        deployment(1),
        deployment(2, environment="prod-eu"),
        deployment(3, service="api"),
        deployment(4, repository="acme/other", service="shop"),
        vulnerability(1),
    )
    found = {(one.repository, one.service, one.environment): one.metrics.security for one in document_of(*facts).scopes}
    assert [key for key, value in found.items() if value] == [
        ("acme/shop", "shop", "prod-eu"),
        ("acme/shop", "shop", "production"),
    ]


def test_one_that_names_no_service_is_one_of_all_services_of_its_repository() -> None:
    facts = (deployment(1), deployment(2, service="api"), vulnerability(1, service=None))
    assert [list(one.metrics.security) for one in document_of(*facts).scopes] == [["high"], ["high"]]


def scopes_with_alerts(*facts: Struct) -> list[tuple[str, str]]:
    return [(each.service, each.environment) for each in document_of(*facts).scopes if each.metrics.security]


def test_a_scope_that_only_an_incident_names_has_none_of_what_was_deployed() -> None:
    """Whoever opens an issue can name any service and environment in it."""
    invented = [incident(1, service="spam"), incident(2, environment="prod-spam"), incident(3, service="api")]
    facts = (deployment(1), *invented, vulnerability(1), vulnerability(2, service=None))
    assert len(document_of(*facts).scopes) == 4
    assert scopes_with_alerts(*facts) == [("shop", "production")]


def test_what_nothing_deployed_has_is_in_one_scope_at_most() -> None:
    outages = [
        incident(number, service=service, environment=environment)
        for number, (service, environment) in enumerate(product(("shop", "api", "spam"), ("production", "prod-spam")))
    ]
    assert scopes_with_alerts(*outages, vulnerability(1, service=None)) == [("shop", "production")]
    assert scopes_with_alerts(*outages, vulnerability(1, service="api")) == [("api", "production")]
    deployed = deployment(1, service="api", environment="prod-eu")
    assert scopes_with_alerts(deployed, *outages, vulnerability(1, service="api")) == [("api", "prod-eu")]
    assert scopes_with_alerts(deployed, *outages, vulnerability(1, service=None)) == [("api", "prod-eu")]
    assert scopes_with_alerts(deployed, *outages, vulnerability(1)) == [("shop", "production")]


def test_without_any_there_is_nothing_to_show() -> None:
    """Without findings nobody may be scanning."""
    assert security_of() == {}


def test_one_of_unknown_severity_is_in_no_number_and_the_notes_say_so() -> None:
    facts = (deployment(1), vulnerability(1, severity=None), vulnerability(2, severity=None, retracted=True))
    found = document_of(*facts)
    assert found.scopes[0].metrics.security == {}
    assert "1 vulnerability is not in the counts by severity, because its severity is unknown." in found.notes


# Deployments that delivered a fix


def attributed_vulnerabilities(*facts: Struct, **settings: Any) -> list[tuple[str, float | None]]:  # noqa: ANN401
    found = scope_of(*facts, **settings).evidence.fixed_vulnerabilities
    return [(one.deployment, one.seconds) for one in found]


def test_a_fix_goes_live_with_the_first_success_that_ends_at_or_after_it() -> None:
    facts = (
        deployment(1, "03-06"),
        failed_deployment(2, "03-07T12:00"),
        deployment(3, "03-08"),
        deployment(4, "03-09"),
    )
    assert attributed_vulnerabilities(*facts, vulnerability(1, "03-05", fixed_at="03-07")) == [
        (deployment_id(3), 3 * DAY)
    ]
    assert attributed_vulnerabilities(*facts, vulnerability(1, "03-05", fixed_at="03-08")) == [
        (deployment_id(3), 3 * DAY)
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"fixed_at": "03-10"},
        {"fixed_at": "03-06", "dismissed_at": "03-07"},
        {"fixed_at": "03-06", "retracted": True},
        {"fixed_at": "03-06", "service": "api"},
        {"fixed_at": "03-06", "id": "github:secret-scanning:acme/shop#1"},
    ],
    ids=["open", "not live yet", "dismissed", "withdrawn", "of another service", "a secret, which is revoked"],
)
def test_what_no_deployment_brings_is_no_fix_of_one(fields: dict[str, Any]) -> None:
    assert attributed_vulnerabilities(deployment(1, "03-09"), vulnerability(1, **fields)) == []


def test_a_fix_is_evidence_of_the_window_in_which_it_went_live() -> None:
    facts = (deployment(1, "03-31"), deployment(2, "04-01"), vulnerability(1, "02-01", fixed_at="02-02"))
    assert attributed_vulnerabilities(*facts) == [(deployment_id(1), 59 * DAY)]
    assert attributed_vulnerabilities(*facts, vulnerability(2, fixed_at="03-31T00:00:01")) == [
        (deployment_id(1), 59 * DAY)
    ]


def test_live_before_it_was_detected_is_a_contradiction_without_a_duration() -> None:
    assert attributed_vulnerabilities(deployment(1, "03-07"), vulnerability(1, "03-09", fixed_at="03-06")) == [
        (deployment_id(1), None)
    ]


def test_live_at_the_moment_of_its_detection_is_no_contradiction() -> None:
    assert attributed_vulnerabilities(deployment(1, "03-07"), vulnerability(1, "03-07", fixed_at="03-06")) == [
        (deployment_id(1), 0)
    ]


@given(fact_lists())
def test_each_fix_goes_live_once_in_a_scope_and_never_before_it_was_there(facts: list[Fact]) -> None:
    for record in evaluate_facts(facts, Policy()).histories:
        assert len({fix.vulnerability.id for fix in record.fixes}) == len(record.fixes)
        for fix in record.fixes:
            assert has_deployable_fix(fix.vulnerability)
            assert fix.vulnerability.fixed_at is not None
            assert fix.deployment.finished_at >= fix.vulnerability.fixed_at
            assert fix.seconds_to_live is None or fix.seconds_to_live >= 0


# Sentences


def test_one_sentence_says_what_was_detected_is_open_and_was_fixed() -> None:
    facts = [
        vulnerability(1, "03-01", fixed_at="03-02"),
        vulnerability(2, "03-01", severity="low", fixed_at="03-06"),
        vulnerability(3, severity="critical"),
        vulnerability(4, severity="critical"),
        vulnerability(5),
    ]
    assert security_sentence(facts, MARCH) == (
        "Security: 5 alerts detected, 3 still open (2 critical, 1 high); 2 fixed (median 3 d)."
    )
    assert security_sentence(facts[:1], MARCH) == ("Security: 1 alert detected, none still open; 1 fixed (median 1 d).")
    assert security_sentence(facts[2:4], MARCH) == "Security: 2 alerts detected, 2 still open (critical)."


def test_the_numbers_of_the_sentence_add_up() -> None:
    facts = [
        vulnerability(1, "03-01"),
        vulnerability(2, "03-02", dismissed_at="03-03"),
        vulnerability(3, "03-03", fixed_at="04-03"),
        vulnerability(4, "03-04", fixed_at="03-05"),
        vulnerability(5, "02-28", fixed_at="03-06"),
    ]
    assert security_sentence(facts, MARCH) == (
        "Security: 4 alerts detected, 1 still open (high), 1 dismissed, 1 fixed outside the window; "
        "2 fixed (1 detected earlier, median 4 d)."
    )


def test_without_anything_in_the_window_no_sentence_claims_a_nought() -> None:
    assert security_sentence([], MARCH) == ""
    assert security_sentence([vulnerability(1, "02-01")], MARCH) == ""
    assert security_sentence([vulnerability(1, severity=None)], MARCH) == ""


def test_the_median_is_of_those_that_are_counted() -> None:
    facts = [vulnerability(1, fixed_at="03-06"), vulnerability(2, severity=None, fixed_at="03-30")]
    assert security_sentence(facts, MARCH).endswith("1 fixed (median 1 d).")


def test_a_fix_before_the_detection_has_no_time_to_remediate() -> None:
    assert security_sentence([vulnerability(1, "04-02", fixed_at="03-06")], MARCH) == "Security: 1 alert fixed."


def test_the_median_of_two_times_to_remediate_lies_between_them() -> None:
    facts = (vulnerability(1, fixed_at="03-05"), vulnerability(2, fixed_at="03-07"))
    found = metrics_of(deployment(1), *facts).security["high"]
    assert found.remediation_p50_seconds == DAY  # of 0 and 2 days
