"""DEFINITIONS §2.6: vulnerabilities, beside the five metrics."""

from msgspec import Struct

from dora_metrics.core import contract
from support.making import DAY, answer, deployment, metrics_of, vulnerability


def security(*facts: Struct, **settings: object) -> dict[str, contract.Security]:
    return metrics_of(deployment(1), *facts, **settings).security


def test_they_are_counted_by_severity() -> None:
    facts = (
        vulnerability(1, severity="critical", fixed_at="03-07"),
        vulnerability(2, severity="critical"),
        vulnerability(3, severity="low"),
    )
    found = security(*facts)
    assert list(found) == ["critical", "low"]
    assert found["critical"] == contract.Security(detected=2, fixed=1, open=1, remediation_p50_seconds=2 * DAY)
    assert found["low"] == contract.Security(detected=1, fixed=0, open=1, remediation_p50_seconds=None)


def test_a_dismissed_one_is_neither_open_nor_fixed() -> None:
    facts = (vulnerability(1, dismissed_at="03-06"), vulnerability(2, dismissed_at="03-06", fixed_at="03-07"))
    assert security(*facts)["high"] == contract.Security(detected=2, fixed=0, open=0, remediation_p50_seconds=None)


def test_detected_and_open_go_by_detection_and_fixed_by_the_fix() -> None:
    facts = (
        vulnerability(1, "02-20", fixed_at="03-01"),
        vulnerability(2, "02-20"),
        vulnerability(3, "03-30", fixed_at="04-02"),
    )
    found = security(*facts, now="05-01")["high"]
    assert found == contract.Security(detected=1, fixed=1, open=0, remediation_p50_seconds=10 * DAY)


def test_the_window_is_half_open_for_them_too() -> None:
    facts = (
        vulnerability(1, "03-01", fixed_at="04-01"),
        vulnerability(2, "04-01"),
        vulnerability(3, "02-28", fixed_at="03-01"),
    )
    found = security(*facts, now="05-01")["high"]
    assert (found.detected, found.fixed, found.remediation_p50_seconds) == (1, 1, 2 * DAY)  # 29 February lies between


def test_time_to_remediate_is_from_detection_whenever_it_was_introduced() -> None:
    found = security(vulnerability(1, introduced_at="2020-01-01", fixed_at="03-06"))["high"]
    assert found.remediation_p50_seconds == DAY


def test_fixed_before_detected_is_fixed_but_in_no_duration() -> None:
    found = security(vulnerability(1, "03-06", fixed_at="03-05"))["high"]
    assert (found.fixed, found.remediation_p50_seconds) == (1, None)


def test_they_are_shown_in_every_scope_of_their_service() -> None:
    facts = (
        deployment(1),
        deployment(2, environment="prod-eu"),
        deployment(3, service="api"),
        deployment(4, repository="acme/other", service="shop"),
        vulnerability(1),
    )
    found = {(one.repository, one.service, one.environment): one.metrics.security for one in answer(*facts).scopes}
    assert [key for key, value in found.items() if value] == [
        ("acme/shop", "shop", "prod-eu"),
        ("acme/shop", "shop", "production"),
    ]


def test_one_that_names_no_service_is_one_of_all_services_of_its_repository() -> None:
    facts = (deployment(1), deployment(2, service="api"), vulnerability(1, service=None))
    assert [list(one.metrics.security) for one in answer(*facts).scopes] == [["high"], ["high"]]


def test_without_any_there_is_nothing_to_show() -> None:
    """Silence may mean that nobody looks."""
    assert security() == {}
