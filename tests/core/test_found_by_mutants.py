"""Details that no other test noticed when the code was changed (`make mutants`)."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dora_metrics.core.linking.link import previous_success
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, default_service, deployment_label, scope_of
from dora_metrics.core.statistics import TrendEstimate, fisher_exact_p, mann_whitney_p, poisson_rates_p
from dora_metrics.core.targets.benchmarks import LEVELLED_METRICS, custom_benchmark
from dora_metrics.core.targets.goals import GoalSpec, MetricState, assess_goal, describe_goal, parse_goals
from support.facts import (
    DAY,
    HOUR,
    at,
    change,
    commit_id,
    deployment,
    deployment_id,
    deployments_of_versions,
    direct_commit,
    document_of,
    failed_deployment,
    failure_rules,
    incident,
    metrics_of,
    number_of,
    sha,
    unmatched_reasons,
    vulnerability,
)

NOW, UTC = at("04-01"), ZoneInfo("UTC")


# Names.


@pytest.mark.parametrize(
    ("ref", "source", "name", "known"),
    [
        ("refs/tags/stable", "deployments", "stable", True),
        ("stable", "releases", "stable", True),
        ("nightly", "git", "nightly", True),
        ("stable", "deployments", "stable", False),
        ("v2", "deployments", "v2", True),
        ("V2", "deployments", "V2", True),
        ("2.1", "pushes", "2.1", True),
        ("app-v2", "pushes", "app-v2", True),
        ("Release-2", "pushes", "Release-2", True),
        ("main", "pushes", "main", False),
        ("refs/heads/v2", "releases", "refs/heads/v2", False),
        (None, "releases", "None", False),
    ],
)
def test_a_tag_names_a_deployment_and_a_branch_does_not(ref: str, source: str, name: str, *, known: bool) -> None:
    facts = (deployment(1, ref=ref, source=source), incident(1, deployment=name))
    assert failure_rules(*facts) == ({1: "explicit"} if known else {})


def test_a_sha_is_compared_in_any_case_and_a_version_as_it_is_written() -> None:
    commit_sha = "abcdef" + "0" * 34
    for written in (commit_sha, commit_sha.upper(), "AbCdEf" + "0" * 34):
        assert failure_rules(deployment(1, sha=commit_sha), incident(1, deployment=written)) == {1: "explicit"}
    assert failure_rules(deployment(1, version="V1"), incident(1, deployment="v1")) == {}
    assert failure_rules(deployment(1, version="V1"), incident(1, deployment="V1")) == {1: "explicit"}


def test_a_name_that_fits_several_is_looked_for_where_it_was_used_then_in_its_repository_then_anywhere() -> None:
    here = deployment(1, "03-04", version="v1")
    beside = deployment(2, "03-03", version="v1", service="api")
    elsewhere = deployment(3, "03-02", version="v1", repository="acme/other", service="other")
    one = incident(1, deployment="v1")
    assert failure_rules(here, beside, elsewhere, one) == {1: "explicit"}
    assert failure_rules(beside, elsewhere, one) == {2: "explicit"}
    assert failure_rules(elsewhere, one) == {3: "explicit"}


# Scopes of incidents.


def scopes_of(*facts: Any) -> dict[str, int]:  # noqa: ANN401
    """How many incidents count in each scope, by its service."""
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


# Links.


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


def test_a_scope_is_named_by_what_was_recorded_and_else_by_the_repository_and_production() -> None:
    assert scope_of(deployment(1, service="api", environment="prod")) == Scope("acme/shop", "api", "prod")
    assert scope_of(deployment(1, service=None, environment=None)) == Scope("acme/shop", "shop", "production")
    assert default_service("host/acme/shop") == "shop"


def test_a_revert_by_the_sha_of_a_commit_that_is_only_listed_finds_it() -> None:
    facts = (
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[commit_id(1)]),
        deployment(2, "03-06", changes=[commit_id(2)]),
        direct_commit(2, reverts=sha(1)),
    )
    assert failure_rules(*facts) == {1: "revert"}


# Numbers.


def test_the_median_of_two_times_to_remediate_lies_between_them() -> None:
    facts = (vulnerability(1, fixed_at="03-05"), vulnerability(2, fixed_at="03-07"))
    found = metrics_of(deployment(1), *facts).security["high"]
    assert found.remediation_p50_seconds == DAY  # of 0 and 2 days


def test_a_goal_that_is_met_is_said_to_be_and_one_with_its_numbers_is_not() -> None:
    def said(value: float, by: str | None = None, line: TrendEstimate | None = None) -> str:
        (goal,) = parse_goals({"change_failure_rate": {"target": 0.1, **({"by": by} if by else {})}})
        return describe_goal(assess_goal(goal, MetricState(value, None, "no value", line, at("01-01")), NOW, UTC))

    assert said(0.05) == "at most 10 %: met"
    assert said(0.2) == "at most 10 %: 10 points to go"
    assert said(0.2, "2024-05-01", TrendEstimate(9, 0.0, 0.1, 0.0, 1.0)) == (
        "at most 10 % by 2024-05-01: 10 points to go, on course (10 % expected then)"
    )
    few = "at most 10 % by 2024-05-01: 10 points to go, too few weeks to say: it takes 5 complete ones with a value"
    assert said(0.2, "2024-05-01") == few


def test_a_goal_of_a_frequency_is_on_course_where_the_line_rises_above_it() -> None:
    (goal,) = parse_goals({"deployment_frequency": {"target": "1/d", "by": "2024-05-01"}})
    rising = MetricState(0.5, None, None, TrendEstimate(9, 0.1, 0.0, 0.8, 0.01), at("01-01"))
    assert assess_goal(goal, rising, NOW, UTC).course == "on course"
    assert assess_goal(goal, MetricState(0.5, None, "unused", None, None), NOW, UTC).reason is None


def test_a_goal_may_be_of_the_first_and_the_last_year() -> None:
    for day in ("1970-01-01", "2199-12-31"):
        assert parse_goals({"lead_time": {"target": "1d", "by": day}}) == (
            GoalSpec("lead_time", DAY, at(f"{day}T00:00").date()),
        )


def test_a_change_that_was_never_merged_has_no_stage_of_delivery() -> None:
    facts = (deployment(0, "03-01"), deployment(1, "03-05", changes=[1]), change(1, "03-02"))
    found = metrics_of(*facts).lead_time
    assert (found.p50_seconds, found.stages.delivery.p50_seconds) == (3 * DAY, None)


def test_a_direct_commit_without_a_sha_is_named_by_its_id_where_each_commit_counts() -> None:
    facts = (
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[commit_id(1)]),
        direct_commit(1, "03-02", sha=None),
    )
    (lead,) = document_of(*facts, lead_time_start="commit").scopes[0].evidence.lead_times
    assert lead.sha == sha(1)


def test_one_failure_is_as_improbable_as_it_is() -> None:
    """One of three against none of thirty: the one may be any of 33."""
    assert fisher_exact_p(1, 3, 0, 30) == pytest.approx(3 / 33)
    assert fisher_exact_p(3, 3, 29, 30) == pytest.approx(1)
    assert mann_whitney_p([], [1.0]) == mann_whitney_p([1.0], []) == 1
    assert poisson_rates_p(0, 30, 0, 30) == 1


def test_a_frequency_that_is_not_known_has_no_days_either() -> None:
    found = metrics_of(incident(1)).deployment_frequency
    assert (found.deployments, found.deployment_days, found.per_day) == (0, 0, None)


def test_a_deployment_is_called_by_its_version_else_by_seven_letters_of_its_sha_else_by_its_id() -> None:
    assert deployment_label(deployment(1, version="v1")) == "v1"
    assert deployment_label(deployment(1, sha="abcdef0123" + "0" * 30)) == "abcdef0"
    assert deployment_label(deployment(1, sha=None)) == deployment_id(1)


@pytest.mark.parametrize(
    ("detected", "said"),
    [("03-05T12:59", "59 min"), ("03-05T13:59:59", "119 min"), ("03-05T14:00", "2 h"), ("03-05T14:59", "2 h")],
)
def test_how_long_after_a_deployment_an_incident_was_detected_is_told_in_minutes_up_to_two_hours(
    detected: str, said: str
) -> None:
    facts = (deployment(1, "03-05T12:00"), incident(1, detected))
    (failure,) = document_of(*facts).scopes[0].evidence.failed_deployments
    assert failure.because == f"github:issue:acme/shop#1 detected {said} after it"


def test_what_an_incident_names_is_told_as_it_named_it() -> None:
    (failure,) = (
        document_of(deployment(1, version="v1"), incident(1, deployment="v1")).scopes[0].evidence.failed_deployments
    )
    assert failure.because == "github:issue:acme/shop#1 names v1"


def test_six_recoveries_have_an_interval_and_five_have_none() -> None:
    """Of six, the least and the greatest: at most 1/64 lies outside on each side."""
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


def test_the_evidence_of_a_failure_says_what_was_seen_and_where() -> None:
    def seen(*facts: Any, **policy: Any) -> tuple[str, str | None]:  # noqa: ANN401
        (one,) = document_of(*facts, **policy).scopes[0].evidence.failed_deployments
        return one.because, one.url

    fix = deployment(2, "03-06", remediates=deployment_id(1), url="https://a.example/fix")
    assert seen(deployment(1), fix) == ("github:deployment:2 says that it remediates it", "https://a.example/fix")
    ill = deployment(1, health="failed", url="https://a.example/1")
    assert seen(ill) == ("its health check failed", "https://a.example/1")
    run = failed_deployment(1, url="https://a.example/1")
    assert seen(run, count_failed_runs=True) == ("the run itself failed", "https://a.example/1")


def test_what_made_a_deployment_rework_is_kept_with_it() -> None:
    facts = (*deployments_of_versions("V1 V2 V1"), deployment(9, "03-09", remediates="github:issue:acme/shop#1"))
    (record,) = evaluate_facts(facts, Policy()).histories
    assert record.rework_reasons == {
        deployment_id(3): "rollback: V1 was deployed again",
        deployment_id(9): "explicit: it remediates github:issue:acme/shop#1",
    }


# Custom benchmarks.


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"speed": [], "lead_time": "fast"},
            "'speed' is none of "
            + ", ".join(LEVELLED_METRICS)
            + "; lead_time: expected a list of [name, edge], best first, the last edge null",
        ),
        ({"lead_time": [["a", "1h"], ["b", "2h"]]}, "lead_time: the last edge, and no other, is null"),
        (
            {"deployment_frequency": [["a", 1], ["b", 2], ["c", None]]},
            "deployment_frequency: edges must grow strictly smaller, best first",
        ),
        (
            {"lead_time": [["a", "2h"], ["b", "1h"], ["c", None]]},
            "lead_time: edges must grow strictly greater, best first",
        ),
        ({"change_failure_rate": [["a", 1.5], ["b", None]]}, "change_failure_rate: edges are ratios, 0.15 for 15 %"),
        ({"lead_time": [["a", "1h"], ["a", None]]}, "lead_time: a level is named twice"),
        (
            {"lead_time": [["a", 1], ["b", None]]},
            "lead_time: ['a', 1] is no [name, edge]; an edge is a duration such as 6h, or null for the last",
        ),
        (
            {"deployment_frequency": [["a", "1h"], ["b", None]]},
            "deployment_frequency: ['a', '1h'] is no [name, edge]; an edge is a number, or null for the last",
        ),
    ],
)
def test_what_is_wrong_with_a_custom_benchmark_is_said_word_for_word(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="e") as caught:
        custom_benchmark(table)
    assert str(caught.value) == said


def test_the_widest_edges_of_a_custom_benchmark_are_allowed() -> None:
    table = {"change_failure_rate": [["best", 0], ["good", 1], ["none", None]]}
    found = custom_benchmark(table)
    assert (found.name, dict(found.ranks)) == ("custom", {"none": 0, "good": 1, "best": 2})
    assert [found.level_of("change_failure_rate", value) for value in (0, 0.5, 1)] == ["best", "good", "good"]


def test_rollbacks_of_one_version_are_each_a_failure_of_what_came_after_it() -> None:
    facts = deployments_of_versions("V1 V2 V1 V3 V4 V1")
    assert failure_rules(*facts) == {2: "rollback", 4: "rollback"}
    assert unmatched_reasons(*facts) == {}
    assert number_of(facts[0].id) == 1
