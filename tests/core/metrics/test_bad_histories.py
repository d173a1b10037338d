"""Degenerate histories: nothing recorded, all failed, contradictory facts, cycles; and random ones."""

import re
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports import render, summary
from dora_metrics.core.reports.explain.context import build_context
from dora_metrics.core.reports.explain.explain import explain
from dora_metrics.core.reports.explain.find import NoMatch
from dora_metrics.core.targets import units
from dora_metrics.core.windows import Window
from dora_metrics.pipeline.evaluate import check_thresholds, evaluate
from dora_metrics.settings.model import Settings
from dora_metrics.templates import load_parts, load_template
from support.facts import (
    at,
    change,
    deployment,
    deployment_id,
    direct_commit,
    failed_deployment,
    failure_rules,
    incident,
    issue_id,
    metrics_of,
    pull_id,
)
from support.property_cases import cases
from support.strategies import changes, deployments, fact_lists, incidents

GOALS = {
    "deployment_frequency": {"target": "2/w", "by": date(2024, 6, 1)},
    "lead_time": {"target": "1h", "by": date(2024, 6, 1), "from": "9d"},
    "change_failure_rate": {"target": 0.1, "by": date(2024, 6, 1)},
    "recovery_time": {"target": "1h", "by": date(2024, 3, 1)},
    "rework_rate": {"target": 0},
}
THRESHOLDS = ("regression", "lead_time > 1h", "rework_rate <= 0", "deployment_frequency < 9/d", "lead_time worse by 5%")


def spread_over_weeks(fact: Fact) -> st.SearchStrategy[Fact]:
    """The same fact up to twenty weeks later, so that weeks can be compared."""
    times = {
        name: getattr(fact, name)
        for name in (
            "finished_at", "started_at", "first_commit_at", "opened_at", "first_review_at", "merged_at",
            "detected_at", "resolved_at",
        )
        if getattr(fact, name, None) and getattr(fact, name).year < 9999
    }  # fmt: skip

    def moved(weeks: int) -> Fact:
        return replace(fact, **{name: time + timedelta(weeks=weeks) for name, time in times.items()})

    return st.integers(0, 20).map(moved)


def with_unique_ids(facts: list[Fact]) -> list[Fact]:
    """The facts with unique ids, as the strategy has only seven of each kind."""
    kinds = {Deployment: deployment_id, Change: pull_id, Incident: issue_id}
    return [replace(fact, id=kinds[type(fact)](number)) for number, fact in enumerate(facts)]


long_histories = st.lists(
    st.one_of(deployments, deployments, changes, incidents).flatmap(spread_over_weeks), max_size=40
).map(with_unique_ids)  # fmt: skip


def results_and_settings(facts: list[Fact], window: str, zone: str = "UTC") -> tuple[Results, Settings]:
    given = Settings(window=window, timezone=zone, goals=GOALS, warn_on=THRESHOLDS, fail_on=THRESHOLDS[:1])
    return evaluate(facts, given, at("06-20")), given


@settings(max_examples=cases(40))
@given(st.one_of(fact_lists(), long_histories), st.sampled_from(("30d", "all", "90d", "20w", "2024-03-01..2024-04-01")))
def test_goals_trends_advice_and_thresholds_bear_whatever_history(facts: list[Fact], window: str) -> None:
    found, given = results_and_settings(facts, window, "Europe/Berlin")
    for scope in found.document.scopes:
        for goal in scope.outlook.goals:
            assert goal.progress is None or 0 <= goal.progress <= 1
            assert goal.distance is None or goal.distance >= 0
            assert goal.expected is None or goal.expected >= 0
            assert not goal.metric.endswith("_rate") or goal.expected is None or goal.expected <= 1
            assert (goal.met is None) == (goal.reason is not None)
        for name, one in scope.outlook.trends.items():
            assert name in units.METRIC_NAMES
            assert 5 <= one.weeks <= 53
            assert 0 < one.p <= 1
        for advice in scope.outlook.advice:
            assert advice.evidence
            assert len(advice.measures) <= 3
            assert not re.search(r"(?<!\w)-", "".join(advice.evidence))
    every = check_thresholds(found, given, [record.scope for record in found.evaluation.histories])
    assert len(every.violations) + every.passed_count + len(every.not_evaluated) >= bool(found.document.scopes)
    msgspec.json.encode(found.document)
    for record in found.evaluation.histories:
        built = summary.build(found, record.scope, None, None)
        assert render.summary_markdown(built, load_template("summary.md.j2"), load_parts())


@settings(max_examples=cases(15))
@given(long_histories)
def test_every_fact_of_a_long_history_is_explained(facts: list[Fact]) -> None:
    asked = build_context(facts, Policy(zone=ZoneInfo("Asia/Tokyo")), Window(at("03-01"), at("04-01")))
    for fact in facts:
        found = explain(asked, fact.id)
        assert not isinstance(found, NoMatch)
        assert render.markdown(load_template("explain.md.j2"), explanations=found).startswith("### ")


@given(long_histories, st.randoms(use_true_random=False))
def test_the_order_of_the_facts_changes_no_outlook(facts: list[Fact], chance: Any) -> None:  # noqa: ANN401
    def outlooks(some: list[Fact]) -> list[schema.Outlook]:
        return [scope.outlook for scope in results_and_settings(some, "90d")[0].document.scopes]

    shuffled = list(facts)
    chance.shuffle(shuffled)
    assert outlooks(shuffled) == outlooks(facts)


# Named cases


def test_nothing_at_all_has_no_scope_and_no_outlook() -> None:
    found, given = results_and_settings([], "30d")
    assert found.document.scopes == []
    assert check_thresholds(found, given, []).violations == ()


def test_one_deployment_only_has_no_trend_no_advice_and_nothing_to_mention() -> None:
    (scope,) = results_and_settings([deployment(1, "06-10")], "30d")[0].document.scopes
    assert scope.outlook.trends == {}
    assert scope.outlook.achievements == []
    assert [one.metric for one in scope.outlook.advice] == []
    assert [(goal.metric, goal.met, goal.course) for goal in scope.outlook.goals][1] == ("lead_time", None, None)


def test_where_all_failed_the_rate_is_one_and_stays_one() -> None:
    facts = [deployment(n, f"06-{n:02}", health="failed") for n in range(1, 15)]
    (scope,) = results_and_settings([deployment(0, "02-01"), *facts], "30d")[0].document.scopes
    assert scope.metrics.change_failure_rate.ratio == 1
    assert scope.metrics.recovery_time.open == 14
    goal = scope.outlook.goals[2]
    assert (goal.met, goal.distance, goal.progress) == (False, 0.9, None)  # no deployment in the previous window


def test_where_no_run_ever_succeeded_there_is_no_rate_but_a_reason() -> None:
    facts: list[Fact] = [failed_deployment(n, f"06-{n:02}") for n in range(1, 15)]
    (scope,) = results_and_settings(facts, "30d")[0].document.scopes
    assert scope.metrics.change_failure_rate.ratio is None
    assert scope.outlook.goals[2].reason == "no deployment reached users in the window"
    assert scope.outlook.advice[0].metric == "deployment_frequency"


def test_a_cycle_of_reverts_marks_nothing_and_is_explained() -> None:
    facts: list[Fact] = [
        deployment(0, "03-01"),
        deployment(1, "03-05", changes=[1]),
        deployment(2, "03-06", changes=[2]),
        deployment(3, "03-07", changes=[3]),
        change(1, reverts=pull_id(3), title='Revert "C"'),
        change(2, reverts=pull_id(1), title='Revert "A"'),
        change(3, reverts=pull_id(2), title='Revert "B"'),
    ]
    assert failure_rules(*facts) == {}
    (one,) = explain(build_context(facts, Policy(), Window(at("03-01"), at("04-01"))), pull_id(1))  # type: ignore[misc]
    assert one.sections[-1].lines == (
        (
            "It is a revert, but marks no deployment as failed: what it reverts is itself a revert, "
            "or no earlier deployment is known to have delivered it."
        ),
    )
    itself = [*facts[:2], change(1, reverts=pull_id(1))]
    assert failure_rules(*itself) == {}


def test_ten_incidents_on_one_deployment_are_one_failure_that_ends_with_the_last() -> None:
    ten = [incident(n, "03-05T13:00", resolved_at=f"03-05T{13 + n}:00") for n in range(1, 11)]
    found = metrics_of(deployment(1, "03-05T12:00"), *ten)
    assert (found.change_failure_rate.failed, found.change_failure_rate.ratio) == (1, 1)
    assert found.recovery_time.p50_seconds == 11 * 3600
    assert found.incident_restore.incidents == 10


def test_equal_times_are_ordered_by_id_and_delivered_once() -> None:
    facts: list[Fact] = [deployment(n, "03-05", changes=[1]) for n in (3, 1, 2)]
    facts += [change(1, "03-04"), deployment(0, "03-01"), incident(1, "03-05")]
    assert failure_rules(*facts) == {3: "incident"}
    records = evaluate_facts(facts, Policy()).histories
    assert [lead.deployment_id for lead in records[0].lead_times.measured] == [deployment_id(1)]


@pytest.mark.parametrize("name", ["v9", "f" * 40, "github:deployment:99", issue_id(9), " "])
def test_a_link_to_something_unknown_is_listed_and_never_replaced_by_a_guess(name: str) -> None:
    found = metrics_of(deployment(1), incident(1, deployment=name))
    assert (found.change_failure_rate.failed, found.incident_restore.unmatched) == (0, 1)
    assert metrics_of(deployment(0, "03-01"), deployment(1, remediates=name)).rework_rate.rework == 1


def test_contradicting_times_leave_no_negative_duration_anywhere() -> None:
    facts: list[Fact] = [
        deployment(0, "03-01"),
        deployment(1, "03-05", started_at="03-09", changes=[1, 2]),
        change(1, "03-08", opened_at="03-07", first_review_at="03-06", merged_at="03-05T01:00"),
        direct_commit(2, "03-09"),
        incident(1, "03-06", resolved_at="03-02"),
        incident(2, "03-04", resolved_at="03-03", deployment=deployment_id(1)),
    ]
    found = metrics_of(*facts)
    assert (
        found.lead_time.reason
        == "every delivered change is excluded (1 without a known start, 1 that started after its deployment)"
    )
    assert found.recovery_time.reason == "every recorded recovery is before its failure"
    assert found.incident_restore.p50_seconds is None
    asked = build_context(facts, Policy(), Window(at("03-01"), at("04-01")))
    said = str([explain(asked, fact.id) for fact in facts])
    assert "excluded, because it would end before it begins" in said
    assert "excluded from lead time: its recorded start is after its deployment" in said
