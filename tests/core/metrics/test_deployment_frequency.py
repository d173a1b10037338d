"""Deployment frequency (docs/definitions.md, "The five metrics")."""

import pytest

from support.facts import deployment, document_of, failed_deployment, incident, metrics_of


def test_only_successes_count() -> None:
    facts = (
        deployment(1),
        failed_deployment(2),
        failed_deployment(3, reached_users=True),
        deployment(4, status="cancelled"),
    )
    assert metrics_of(*facts, count_failed_runs=True).deployment_frequency.deployments == 1


def test_it_is_shown_per_day_and_per_week_without_rounding() -> None:
    """9 in 30 days are 2.1 a week, not 2."""
    found = metrics_of(*(deployment(n, f"03-{n + 1:02}") for n in range(1, 10)), window="30d").deployment_frequency
    assert (found.deployments, found.deployment_days) == (9, 9)
    assert found.per_day == 0.3
    assert found.per_week == pytest.approx(2.1)


def test_thirty_deployments_in_a_day_are_one_day_with_a_deployment() -> None:
    """Trap 7: 30 in 31 days, but one day of one week of the four complete ones (W10 to W13)."""
    facts = [deployment(n, f"03-05T{n % 24:02}:{n:02}") for n in range(30)]
    found = metrics_of(deployment(99, "01-01"), *facts).deployment_frequency
    assert (found.deployments, found.deployment_days, found.median_deployment_days_per_week) == (30, 1, 0)
    assert found.per_day == 30 / 31


def test_a_silence_since_the_last_deployment_is_in_the_rate() -> None:
    """Trap 24: two deployments at the beginning of ten days are 0.2 a day, whatever happened between them."""
    facts = (deployment(1, "03-01"), deployment(2, "03-02"))
    assert metrics_of(*facts, window="10d", now="03-11").deployment_frequency.per_day == 0.2


def test_a_redeployment_of_the_same_sha_is_a_deployment() -> None:
    facts = (deployment(1, sha="a" * 40), deployment(2, sha="a" * 40))
    assert metrics_of(*facts).deployment_frequency.deployments == 2


def test_a_window_of_less_than_seven_months_has_a_level_all_the_same() -> None:
    """Trap 5, where another tool shows N/A: 2 in 31 days are at least one in 730 h."""
    assert metrics_of(deployment(1), deployment(2)).deployment_frequency.level == "medium"


def test_without_history_it_is_null_with_a_reason_and_no_level() -> None:
    (scope,) = document_of(deployment(1, "03-20")).scopes
    assert scope.previous is not None
    found = scope.previous.deployment_frequency
    assert (found.deployments, found.per_day, found.interval95, found.level) == (0, None, None, None)
    assert found.reason


def test_a_scope_that_only_ever_failed_has_a_history_and_frequency_nought() -> None:
    found = metrics_of(failed_deployment(1, "02-01")).deployment_frequency
    assert (found.per_day, found.level) == (0, "low")


def test_its_interval_is_that_of_garwood_per_day() -> None:
    """3 in 30 days: Garwood gives 0.6187 to 8.7673 for a count of 3."""
    found = metrics_of(*(deployment(n, f"03-1{n}") for n in range(3)), window="30d").deployment_frequency
    assert found.interval95 == pytest.approx((0.6187 / 30, 8.7673 / 30), abs=1e-5)


def test_its_level_span_are_the_levels_at_the_ends_of_the_interval() -> None:
    """0.0206 a day is below 24/730, so low; 0.2922 is at least 1/7, so high; 0.1 itself is medium."""
    found = metrics_of(*(deployment(n, f"03-1{n}") for n in range(3)), window="30d").deployment_frequency
    assert (found.level_span, found.level) == (("low", "high"), "medium")


def test_a_frequency_that_is_not_known_has_no_days_either() -> None:
    found = metrics_of(incident(1)).deployment_frequency
    assert (found.deployments, found.deployment_days, found.per_day) == (0, 0, None)
