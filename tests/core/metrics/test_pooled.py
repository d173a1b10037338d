"""Several scopes together: sums of counts, and medians over all values, whatever scopes they are in."""

from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.pooled import PooledMetrics, pool, pool_by_team
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.teams import Teams
from support.facts import change, deployment, failed_deployment, results_of
from support.property_cases import cases
from support.strategies import fact_lists

TEAMS = Teams.parse({"first": "api", "second": ["shop", "acme/api"], "nobody": "nothing"})


def pooled(results: Results) -> PooledMetrics:
    pairs = zip(results.evaluation.histories, results.document.scopes, strict=True)
    return pool([(history, scope.metrics) for history, scope in pairs], results.window, results.policy)


def test_a_median_is_over_all_values_and_no_mean_of_medians() -> None:
    """Changes of 1, 1, 1 and 9 days; the medians of the two scopes are 1 and 9."""
    results = results_of(
        deployment(90, "02-20", service="web"),
        deployment(91, "02-20", service="api"),
        *(change(number, "03-04") for number in (1, 2, 3)),
        deployment(1, "03-05", service="web", changes=[1, 2, 3]),
        change(4, "03-01"),
        deployment(2, "03-10", service="api", changes=[4]),
        failed_deployment(3, "03-11", service="api", reached_users=True),
    )
    together = pooled(results)
    assert together.scope_count == 2
    assert together.deployments == 2
    assert together.lead_time_p50_seconds == 86_400
    assert (together.failure_rate.failed, together.failure_rate.deployments) == (1, 3)
    assert together.failure_rate.ratio == 1 / 3
    assert together.recovery_p50_seconds is None


def test_without_records_in_the_window_no_deployment_is_known_rather_than_none() -> None:
    assert pooled(results_of(deployment(1, "04-10"), now="04-20")).deployments is None
    assert pooled(results_of(deployment(1, "02-10"))).deployments == 0


@settings(max_examples=cases(60))
@given(facts=fact_lists())
def test_one_scope_pooled_has_its_own_numbers(facts: list[Fact]) -> None:
    results = results_of(*facts)
    for history, scope in zip(results.evaluation.histories, results.document.scopes, strict=True):
        alone, metrics = pool([(history, scope.metrics)], results.window, results.policy), scope.metrics
        assert alone.lead_time_p50_seconds == metrics.lead_time.p50_seconds
        assert alone.recovery_p50_seconds == metrics.recovery_time.p50_seconds
        assert alone.failure_rate.failed == metrics.change_failure_rate.failed
        assert alone.failure_rate.ratio == metrics.change_failure_rate.ratio
        assert (alone.deployments is None) == (metrics.deployment_frequency.per_day is None)


@settings(max_examples=cases(60))
@given(facts=fact_lists(), patterns=st.permutations(["shop", "api", "acme/api"]))
def test_teams_are_pooled_from_the_evidence_of_their_scopes(facts: list[Fact], patterns: list[str]) -> None:
    teams = Teams.parse({f"team {pattern}": pattern for pattern in patterns})
    results = results_of(*facts, teams=teams)
    by_team = {team.team: team.metrics for team in pool_by_team(results)}
    assert list(by_team) == [name for name in teams.names if name in by_team]
    for name in teams.names:
        scopes = [scope for scope in results.document.scopes if scope.team == name]
        assert (name in by_team) == bool(scopes)
        if scopes:
            seconds = [entry.seconds for scope in scopes for entry in scope.evidence.lead_times]
            failures = [failure for scope in scopes for failure in scope.evidence.failed_deployments]
            assert by_team[name].scope_count == len(scopes)
            assert by_team[name].lead_time_p50_seconds == (median(sorted(seconds)) if seconds else None)
            assert by_team[name].failure_rate.failed == len(failures)


@given(facts=fact_lists())
def test_scopes_without_a_team_are_in_none(facts: list[Fact]) -> None:
    results = results_of(*facts, teams=TEAMS)
    assert {team.team for team in pool_by_team(results)} <= {"first", "second"}
    in_teams = sum(team.metrics.scope_count for team in pool_by_team(results))
    assert in_teams == sum(bool(scope.team) for scope in results.document.scopes)
