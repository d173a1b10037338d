"""Properties of the document that hold for any facts, contradictory ones included."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core import schema, windows
from dora_metrics.core.facts.model import TIME_FIELDS, Fact
from dora_metrics.core.metrics.document import build_document
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import FAILURE_RULES, Policy
from dora_metrics.core.targets.benchmarks import published_benchmark
from support.facts import at, change, deployment, incident, vulnerability
from support.property_cases import cases
from support.strategies import fact_lists

NOWS = [at(text) for text in ("03-20", "04-01", "05-01T10:00", "1970-01-01")]
WINDOWS = [
    "30d",
    "all",
    "90m",
    "2024-03-01..2024-04-01",
    "2024-03-05T12:00:00Z..2024-03-05T12:00:01Z",
    "2015-01-01..2199-01-01",
]

policies = st.builds(
    Policy,
    failure_rules=st.frozensets(st.sampled_from(FAILURE_RULES)),
    count_failed_runs=st.booleans(),
    incident_window=st.sampled_from([timedelta(minutes=1), timedelta(hours=24), timedelta(days=1000)]),
    hotfix_window=st.sampled_from([timedelta(minutes=1), timedelta(hours=24)]),
    lead_time_start=st.sampled_from(["first-commit", "commit", "opened", "merged"]),
    exclude_bots=st.booleans(),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"]).map(ZoneInfo),
    benchmark=st.sampled_from(["2019", "2022", "2023", "none"]).map(published_benchmark),
)


def checked_document(facts: list[Fact], policy: Policy, window: str, now: int = 2) -> schema.Document:
    spec = windows.parse_window(window, policy.zone)
    return build_document(evaluate_facts(facts, policy), policy, spec, NOWS[now])


def parse_strictly(text: bytes) -> Any:  # noqa: ANN401
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Every leaf of a JSON value with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


_COUNTED = re.compile("seconds|ratio|per_|deployment|days|incidents|open|fixed|excluded")
"""Fields that are never negative; a trend may be."""


@settings(max_examples=cases(40))
@given(fact_lists(), policies, st.sampled_from(WINDOWS), st.integers(0, 3))
def test_it_is_strict_json_without_a_negative_number(facts: list[Fact], policy: Policy, window: str, now: int) -> None:
    try:
        found = checked_document(facts, policy, window, now)
    except ValueError as error:
        if "ends before it starts" in str(error) or "starts in the future" in str(error):
            return  # a window in the future is the only possible error
        raise
    plain = parse_strictly(msgspec.json.encode(found))
    for path, value in leaves(plain):
        if ".trends." not in path and _COUNTED.search(path) and isinstance(value, float):
            assert value >= 0, path
    assert msgspec.json.decode(msgspec.json.encode(found), type=schema.Document) == found


@settings(max_examples=cases(40))
@given(fact_lists(), policies, st.sampled_from(WINDOWS[:4]))
def test_every_number_is_consistent_with_its_neighbours(facts: list[Fact], policy: Policy, window: str) -> None:
    for scope in checked_document(facts, policy, window).scopes:
        for metrics in filter(None, (scope.metrics, scope.previous)):
            check_rates(metrics)
            check_reasons(metrics)
            check_quantiles(metrics)
        check_evidence(scope)
        check_weeks(scope)


def check_rates(metrics: schema.Metrics) -> None:
    failure, rework = metrics.change_failure_rate, metrics.rework_rate
    for part, rate in ((failure.failed, failure), (rework.rework, rework)):
        assert rate.ratio == (part / rate.deployments if rate.deployments else None)
        assert rate.ratio is None or 0 <= rate.ratio <= 1
        assert rate.interval95 is None or rate.interval95[0] <= (rate.ratio or 0) <= rate.interval95[1]
    assert metrics.deployment_frequency.deployments <= rework.deployments <= failure.deployments
    recovery = metrics.recovery_time
    assert recovery.recovered + recovery.open <= failure.failed
    restore = metrics.incident_restore
    assert max(restore.open or 0, restore.unmatched or 0) <= (restore.incidents or 0)


def check_reasons(metrics: schema.Metrics) -> None:
    deciding = {
        "deployment_frequency": metrics.deployment_frequency.per_day,
        "lead_time": metrics.lead_time.p50_seconds,
        "change_failure_rate": metrics.change_failure_rate.ratio,
        "recovery_time": metrics.recovery_time.p50_seconds,
        "rework_rate": metrics.rework_rate.ratio,
    }
    leveled = set()
    for name, value in deciding.items():
        metric: schema.MetricVerdict = getattr(metrics, name)
        assert (value is None) == bool(metric.reason), name
        if value is None:
            assert (metric.level, metric.level_span, metric.interval95) == (None, None, None)
        if metric.level:
            leveled.add(name)
    overall = metrics.overall_level
    assert (overall is None) == (len(leveled) < 2)
    assert overall is None or set(overall.rests_on) == leveled


def check_quantiles(metrics: schema.Metrics) -> None:
    lead, recovery = metrics.lead_time, metrics.recovery_time
    for found in (
        [lead.p50_seconds, lead.p75_seconds, lead.p90_seconds, lead.p95_seconds],
        [recovery.p50_seconds, recovery.p90_seconds],
    ):
        known = [value for value in found if value is not None]
        assert known == sorted(known)
        assert len(known) in (0, len(found))
    assert (lead.p50_seconds is None) == (lead.changes == 0)
    assert (recovery.p50_seconds is None) == (recovery.recovered == 0)


def check_evidence(scope: schema.ScopeMetrics) -> None:
    failed = [one.deployment for one in scope.evidence.failed_deployments]
    assert len(set(failed)) == len(failed) == scope.metrics.change_failure_rate.failed
    assert set(failed) <= {one.deployment for one in scope.evidence.deployments}
    assert all(one.because for one in scope.evidence.failed_deployments)
    assert all((one.remediated_by is None) == (one.recovered_at is None) for one in scope.evidence.failed_deployments)
    leads = [(one.change, one.sha) for one in scope.evidence.lead_times]
    assert len(set(leads)) == len(leads) == scope.metrics.lead_time.changes
    assert len(scope.evidence.unmatched_incidents) == scope.metrics.incident_restore.unmatched
    assert all(one.because for one in scope.evidence.unmatched_incidents)


def check_weeks(scope: schema.ScopeMetrics) -> None:
    found = scope.weeks
    assert sum(week.deployments for week in found) == scope.metrics.deployment_frequency.deployments
    assert sum(week.incidents or 0 for week in found) == scope.metrics.incident_restore.incidents
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(week.deployment_days <= 7 for week in found)


@settings(max_examples=cases(15))
@given(st.data())
def test_the_order_of_the_facts_does_not_matter(data: st.DataObject) -> None:
    facts, policy = data.draw(fact_lists()), data.draw(policies)
    assert checked_document(data.draw(st.permutations(facts)), policy, "all") == checked_document(facts, policy, "all")


def additive_counts(metrics: schema.Metrics) -> list[int]:
    """Counts of two consecutive windows that add up."""
    plain = msgspec.to_builtins(metrics)
    return [value for path, value in leaves(plain) if isinstance(value, int) and not path.endswith("deployment_days")]


@given(fact_lists(), policies, st.integers(1, 30))
def test_the_counts_of_two_windows_in_a_row_add_up(facts: list[Fact], policy: Policy, day: int) -> None:
    middle = f"2024-03-{day + 1:02}"
    one, other, both = (
        checked_document(facts, policy, text).scopes
        for text in (f"2024-03-01..{middle}", f"{middle}..2024-04-01", "2024-03-01..2024-04-01")
    )
    for first, second, whole in zip(one, other, both, strict=True):
        added = [a + b for a, b in zip(additive_counts(first.metrics), additive_counts(second.metrics), strict=True)]
        assert added == additive_counts(whole.metrics)


@given(fact_lists(), policies)
def test_facts_of_another_repository_change_nothing(facts: list[Fact], policy: Policy) -> None:
    """Unless they are named explicitly, which no fact here does."""
    unnamed = [f for f in facts if not getattr(f, "deployment", None) and not getattr(f, "remediates", None)]
    own = [fact for fact in unnamed if fact.repository == "acme/shop"]
    alone = checked_document(own, policy, "30d").scopes
    together = [scope for scope in checked_document(unnamed, policy, "30d").scopes if scope.repository == "acme/shop"]
    assert {scope.environment: scope.metrics.deployment_frequency for scope in alone} == {
        scope.environment: scope.metrics.deployment_frequency for scope in together
    }


IMPOSSIBLE = [at(text) for text in ("0001-01-01T00:00", "1969-12-31T23:59:59", "9999-12-31T23:59:59.999999")]
FACTS: list[Fact] = [
    deployment(1, "02-01"),
    deployment(2, "03-05", started_at="03-04", changes=[1], remediates="github:deployment:1"),
    change(1, opened_at="03-02", first_review_at="03-03", merged_at="03-04"),
    incident(1, "03-05T01:00", resolved_at="03-05T02:00"),
    vulnerability(1, introduced_at="03-01", fixed_at="03-06", dismissed_at="03-07"),
]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("impossible", IMPOSSIBLE)
def test_a_time_that_cannot_be_is_borne_wherever_it_stands(impossible: datetime, zone: str) -> None:
    for position, fact in enumerate(FACTS):
        for name in TIME_FIELDS[type(fact)]:
            facts = [*FACTS[:position], replace(fact, **{name: impossible}), *FACTS[position + 1 :]]
            for window in ("all", "30d"):
                assert parse_strictly(
                    msgspec.json.encode(checked_document(facts, Policy(zone=ZoneInfo(zone)), window))
                )["scopes"]
