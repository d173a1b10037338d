"""Properties of rows, whatever the facts: keys, order, and that a window of them is the evidence of the document."""

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.document import build_document
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.core.rows.ndjson import encode_rows
from dora_metrics.core.rows.tables import TABLES
from dora_metrics.core.windows import Window, parse_window
from support.facts import MARCH, at
from support.property_cases import cases
from support.strategies import fact_lists

NOW = at("04-01")
BY_NAME = {table.name: table for table in TABLES}
POLICIES = st.sampled_from([
    Policy(),
    Policy(zone=ZoneInfo("Europe/Berlin"), lead_time_start="commit", count_failed_runs=True),
    Policy(zone=ZoneInfo("America/New_York"), lead_time_start="merged", exclude_bots=False),
])  # fmt: skip


def judged(facts: Sequence[Fact], policy: Policy) -> JudgedFacts:
    return JudgedFacts.of(evaluate_facts(facts, policy), facts, policy, parse_window(MARCH, policy.zone), NOW)


def content(source: JudgedFacts) -> dict[str, bytes]:
    return {table.name: b"".join(encode_rows(table, source.rows(table))) for table in TABLES}


@given(fact_lists(), POLICIES)
def test_a_key_names_one_row(facts: list[Fact], policy: Policy) -> None:
    source = judged(facts, policy)
    for table in TABLES:
        keys = [tuple(getattr(row, name) for name in table.key) for row in source.rows(table)]
        assert len(set(keys)) == len(keys), table.name


@settings(max_examples=cases(20))
@given(fact_lists(), POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_facts_changes_no_byte(facts: list[Fact], policy: Policy, random: Random) -> None:
    assert content(judged(facts, policy)) == content(judged(random.sample(facts, len(facts)), policy))


@given(fact_lists(), POLICIES)
def test_the_rows_in_a_window_are_the_evidence_of_the_document(facts: list[Fact], policy: Policy) -> None:
    evaluation = evaluate_facts(facts, policy)
    document = build_document(evaluation, policy, parse_window(MARCH, policy.zone), NOW)
    source, window = judged(facts, policy), Window(document.window.start, document.window.end)
    for scope in document.scopes:
        rows = RowsOfScope(source, scope, window)
        assert rows.deployments() == [
            (each.deployment, each.sha, each.status, each.commit_count) for each in scope.evidence.deployments
        ]
        assert rows.failures() == [
            (each.deployment, each.rule, each.because, each.remediated_by, each.recovered_at)
            for each in scope.evidence.failed_deployments
        ]
        assert rows.lead_times() == [
            (each.change, each.deployment, each.seconds, each.sha or None) for each in scope.evidence.lead_times
        ]
        assert rows.exclusions() == msgspec.structs.asdict(scope.metrics.lead_time.excluded)
        assert rows.unmatched() == [(each.incident, each.because) for each in scope.evidence.unmatched_incidents]
        assert rows.security() == {
            severity: (counts.detected, counts.fixed, counts.open)
            for severity, counts in scope.metrics.security.items()
        }


@given(fact_lists(), POLICIES)
def test_the_row_of_the_settings_window_has_the_metrics_of_the_document(facts: list[Fact], policy: Policy) -> None:
    document = build_document(evaluate_facts(facts, policy), policy, parse_window(MARCH, policy.zone), NOW)
    rows = [row for row in map(_untyped, judged(facts, policy).rows(BY_NAME["metrics"])) if row.window_name == MARCH]
    assert len(rows) == len(document.scopes)
    for row, scope in zip(rows, document.scopes, strict=True):
        columns = msgspec.structs.asdict(row)
        frequency, lead_time = scope.metrics.deployment_frequency, scope.metrics.lead_time
        assert (row.deployments, row.deployment_frequency_per_day) == (frequency.deployments, frequency.per_day)
        assert (row.changes, row.lead_time_p50_seconds) == (lead_time.changes, lead_time.p50_seconds)
        failures, recovery, rework = (
            scope.metrics.change_failure_rate,
            scope.metrics.recovery_time,
            scope.metrics.rework_rate,
        )
        assert (row.failed_deployments, row.counted_deployments) == (failures.failed, failures.deployments)
        assert (row.change_failure_ratio, row.rework_ratio) == (failures.ratio, rework.ratio)
        assert (row.rework_deployments, row.reached_deployments) == (rework.rework, rework.deployments)
        assert (row.recovered, row.open_failures) == (recovery.recovered, recovery.open)
        assert row.recovery_time_p50_seconds == recovery.p50_seconds
        assert row.overall_level == (scope.metrics.overall_level.level if scope.metrics.overall_level else None)
        for verdict, prefix, low, high in (
            (
                frequency,
                "deployment_frequency",
                "deployment_frequency_low_per_day",
                "deployment_frequency_high_per_day",
            ),
            (lead_time, "lead_time", "lead_time_low_seconds", "lead_time_high_seconds"),
            (failures, "change_failure_rate", "change_failure_ratio_low", "change_failure_ratio_high"),
            (recovery, "recovery_time", "recovery_time_low_seconds", "recovery_time_high_seconds"),
            (rework, "rework_rate", "rework_ratio_low", "rework_ratio_high"),
        ):
            assert (columns[low], columns[high]) == (verdict.interval95 or (None, None))
            assert columns.get(f"{prefix}_level") == verdict.level
            assert columns[f"{prefix}_reason"] == verdict.reason


class RowsOfScope:
    """The rows of one scope in a window, selected as SQL would."""

    def __init__(self, source: JudgedFacts, scope: schema.ScopeMetrics, window: Window) -> None:
        self._source, self._scope, self._window = source, scope, window

    def _rows(self, table: str, time_name: str = "") -> Iterator[Any]:
        for row in map(_untyped, self._source.rows(BY_NAME[table])):
            is_own = all(
                getattr(row, name) == getattr(self._scope, name) for name in ("repository", "service", "environment")
            )
            if is_own and (not time_name or self._window.contains(getattr(row, time_name))):
                yield row

    def deployments(self) -> list[tuple[object, ...]]:
        rows = self._rows("deployments", "finished_at")
        return [(row.id, row.sha, row.status, row.commit_count) for row in rows]

    def failures(self) -> list[tuple[object, ...]]:
        return [
            (row.id, row.failure_rule, row.failure_because, row.remediated_by, row.recovered_at)
            for row in self._rows("deployments", "finished_at")
            if row.failed
        ]

    def lead_times(self) -> list[tuple[object, ...]]:
        rows = self._rows("lead_times", "deployed_at")
        return [(row.change, row.deployment, row.seconds, row.sha) for row in rows if row.excluded is None]

    def exclusions(self) -> dict[str, int]:
        counts = dict.fromkeys(schema.Excluded.__struct_fields__, 0)
        for row in self._rows("lead_times", "deployed_at"):
            if row.excluded:
                counts[row.excluded] += row.changes
        return counts

    def unmatched(self) -> list[tuple[object, ...]]:
        rows = self._rows("incidents", "detected_at")
        return [(row.id, row.because) for row in rows if row.deployment is None]

    def security(self) -> dict[str, tuple[int, int, int]]:
        """Counts of the detected, the fixed and the open ones by severity."""
        counts: dict[str, Counter[str]] = {}
        for row in self._rows("vulnerabilities"):
            if row.severity:
                is_detected = self._window.contains(row.detected_at)
                counted = counts.setdefault(row.severity, Counter())
                counted.update(
                    detected=is_detected, fixed=self._window.contains(row.fixed_at), open=is_detected and row.open
                )
        return {name: (counted["detected"], counted["fixed"], counted["open"]) for name, counted in counts.items()}


def _untyped(row: Any) -> Any:  # noqa: ANN401 - the tests know the columns of their table
    return row
