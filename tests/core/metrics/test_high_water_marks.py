"""Counters and histograms never fall, whatever becomes of the facts and the rules; gauges are exact at once."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.counters_file import decode_marks, encode_marks
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, HighWaterMarks, marks_of_totals
from dora_metrics.core.reports.prometheus import LedgerCollector, exposition_text
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families, raised_marks
from dora_metrics.settings.model import Settings
from support.facts import at, change, deployment, deployment_id, failed_deployment, incident, pull_id, vulnerability
from support.prometheus_text import SeriesKey, bucket_values, counter_values, shop_value
from support.property_cases import cases
from support.strategies import fact_lists

NOW = at("04-30")
DEFAULTS: Mapping[str, object] = {}

LedgerState = tuple[Sequence[Fact], Mapping[str, object]]
"""The facts of a ledger, and the settings of the run that reads them."""


def written_text(facts: Iterable[Fact], inputs: Mapping[str, object], marks: HighWaterMarks) -> str:
    fact_list = list(facts)
    results = evaluate(fact_list, Settings.model_validate(inputs), NOW)
    return exposition_text(prometheus_families(results, cumulative_totals(results, fact_list), None, marks=marks))


def raised(marks: HighWaterMarks, facts: Iterable[Fact], inputs: Mapping[str, object]) -> HighWaterMarks:
    """The marks after a run, as the next run reads them."""
    fact_list = list(facts)
    results = evaluate(fact_list, Settings.model_validate(inputs), NOW)
    return decode_marks(encode_marks(raised_marks(marks, results.evaluation, cumulative_totals(results, fact_list))))


def texts_of_runs(*states: LedgerState) -> list[str]:
    """What each of several runs writes, one after another."""
    texts, marks = [], NO_MARKS
    for facts, inputs in states:
        marks = raised(marks, facts, inputs)
        texts.append(written_text(facts, inputs, marks))
    return texts


def values_of_runs(*states: LedgerState) -> list[dict[SeriesKey, float]]:
    return [counter_values(text) for text in texts_of_runs(*states)]


def counter_in_runs(name: str, *states: LedgerState, **labels: str) -> list[float | None]:
    """Values of one series of acme/shop after each of several runs."""
    return [shop_value(values, name, **labels) for values in values_of_runs(*states)]


def with_defaults(*ledgers: Sequence[Fact]) -> list[LedgerState]:
    return [(facts, DEFAULTS) for facts in ledgers]


def deployments_until(last: int) -> list[Fact]:
    return [deployment(number, f"03-{number:02}T12:00") for number in range(1, last + 1)]


def test_a_retracted_deployment_lowers_no_counter_and_the_next_one_makes_up_for_it() -> None:
    retracted = [*deployments_until(2), replace(deployment(3, "03-03T12:00"), retracted=True)]
    ledgers = [deployments_until(3), retracted, [*retracted, deployment(4, "03-04T12:00")]]
    later = [*ledgers[-1], deployment(5, "03-05T12:00")]
    found = counter_in_runs("dora_deployments_total", *with_defaults(*ledgers, later), source="deployments")
    assert found == [3, 3, 3, 4]


def test_a_retracted_incident_lowers_neither_incidents_nor_failures_nor_recoveries() -> None:
    outage = incident(1, "03-02T13:00", resolved_at=at("03-02T15:00"))
    states = with_defaults([*deployments_until(2), outage], [*deployments_until(2), replace(outage, retracted=True)])
    before, after = values_of_runs(*states)
    assert after == before
    assert shop_value(after, "dora_incidents_total") == 1
    assert shop_value(after, "dora_deployment_failures_total") == 1
    assert shop_value(after, "dora_recovery_time_seconds_count") == 1
    assert shop_value(after, "dora_recovery_time_seconds_sum") == 3 * 3600


def test_the_window_gauges_follow_a_retraction_at_once() -> None:
    outage = incident(1, "04-29T13:00")
    served = deployment(1, "04-29T12:00")
    _, after = texts_of_runs(*with_defaults([served, outage], [served, replace(outage, retracted=True)]))
    labels = 'environment="production",repository="acme/shop",service="shop"'
    assert f'dora_change_failure_ratio{{{labels},window="7d"}} 0.0' in after
    assert f"dora_deployment_failures_total{{{labels}}} 1.0" in after


def test_a_failure_that_is_attributed_to_another_deployment_moves_between_scopes_without_a_fall() -> None:
    shop, web = deployment(1, "03-01"), deployment(2, "03-01", service="web")
    outage = incident(1, "03-01T01:00", service="shop")
    moved = replace(outage, deployment=deployment_id(2), observed_at=at("03-02"))
    before, after = values_of_runs(*with_defaults([shop, web, outage], [shop, web, moved]))
    assert shop_value(before, "dora_deployment_failures_total") == 1
    assert shop_value(after, "dora_deployment_failures_total") == 1
    assert shop_value(after, "dora_deployment_failures_total", service="web") == 1


def test_a_duration_that_moves_to_another_bucket_leaves_the_buckets_monotone_and_their_count_the_last() -> None:
    """A first commit that turns out to be older: from the buckets of an hour to those of ten days."""
    delivered = deployment(2, "03-20", changes=(pull_id(1),))
    quick, slow = change(1, "03-19T23:00"), change(1, "03-10")
    first = deployment(1, "03-01")
    before, after = values_of_runs(*with_defaults([first, delivered, quick], [first, delivered, slow]))
    name = "dora_lead_time_seconds"
    assert bucket_values(before, name)[:4] == [0, 0, 0, 1]
    assert bucket_values(after, name) == bucket_values(before, name)
    assert shop_value(after, f"{name}_count") == bucket_values(after, name)[-1] == 1
    assert shop_value(after, f"{name}_sum") == 10 * 86400


@pytest.mark.parametrize(
    ("name", "facts", "wide", "narrow"),
    [
        (
            "dora_deployments_total",
            [deployment(1), failed_deployment(2, "03-06")],
            {"count-failed-runs": True},
            {"count-failed-runs": False},
        ),
        (
            "dora_deployment_failures_total",
            [deployment(1), incident(1, "03-05T13:00")],
            {},
            {"failure-rules": ["explicit"]},
        ),
        (
            "dora_lead_time_seconds_count",
            [deployment(1), deployment(2, "03-06", changes=(pull_id(1),)), change(1, bot=True)],
            {"exclude-bots": False},
            {"exclude-bots": True},
        ),
    ],
)
def test_a_setting_that_counts_less_lowers_no_counter(
    name: str, facts: list[Fact], wide: dict[str, object], narrow: dict[str, object]
) -> None:
    labels = {"source": "deployments"} if name == "dora_deployments_total" else {}
    highest, after = counter_in_runs(name, (facts, wide), (facts, narrow), **labels)
    (without_marks,) = counter_in_runs(name, (facts, narrow), **labels)
    assert highest == after
    assert (without_marks or 0) < (highest or 0)


def test_a_series_that_was_written_stays_when_its_scope_has_no_facts_any_more() -> None:
    other = deployment(9, service="web", source="pushes")
    found = vulnerability(1, service="web")
    before, after = values_of_runs(*with_defaults([deployment(1), other, found], [deployment(1)]))
    assert after == before
    assert shop_value(after, "dora_deployments_total", service="web", source="pushes") == 1
    name = "dora_vulnerability_remediation_seconds_count"
    assert shop_value(after, name, service="web", severity="critical") == 0


def test_a_scope_whose_counters_were_all_zero_stays_at_zero() -> None:
    """So that its first deployment is an increase."""
    cancelled = deployment(1, status="cancelled")
    before, after = values_of_runs(*with_defaults([cancelled], [replace(cancelled, retracted=True)]))
    assert after == before
    assert set(before.values()) == {0}


def test_a_scope_of_another_name_has_no_marks_of_this_one() -> None:
    marks = raised(NO_MARKS, [deployment(1), deployment(2, repository="acme/api", service="api")], DEFAULTS)
    assert {scope.repository for scope in marks.of_repository("acme/api").scopes} == {"acme/api"}
    assert {series.scope.repository for series in marks.of_repository("acme/api").values} == {"acme/api"}


inputs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "count-failed-runs": st.booleans(),
        "exclude-bots": st.booleans(),
        "failure-rules": st.sampled_from([["explicit"], ["explicit", "rollback", "incident"]]),
        "lead-time-start": st.sampled_from(["commit", "merged"]),
        "production-environments": st.sampled_from([["production"], ["staging"]]),
    },
)


@settings(max_examples=cases(15), deadline=None)
@given(st.lists(st.tuples(fact_lists(12), inputs), min_size=1, max_size=5))
def test_whatever_happens_to_facts_and_rules_no_series_falls_and_each_is_its_total_unless_that_fell(
    states: list[LedgerState],
) -> None:
    highest: dict[SeriesKey, float] = {}
    for (facts, used_inputs), written in zip(states, values_of_runs(*states), strict=True):
        exported = {scope_of(series) for series in counter_values(written_text(facts, used_inputs, NO_MARKS))}
        known_scopes = exported | {scope_of(series) for series in highest}
        for series, total in totals_of_all_scopes(facts, used_inputs).items():
            if scope_of(series) in known_scopes:
                highest[series] = max(highest.get(series, 0), total)
        highest = without_invented(highest, exported)
        assert written == highest


def totals_of_all_scopes(facts: Iterable[Fact], inputs: Mapping[str, object]) -> dict[SeriesKey, float]:
    """The totals of facts, also of scopes that only an incident names."""
    fact_list = list(facts)
    results = evaluate(fact_list, Settings.model_validate(inputs), NOW)
    scopes = [history.scope for history in results.evaluation.histories]
    counters = marks_of_totals(cumulative_totals(results, fact_list), scopes)
    families = LedgerCollector([], counters, {}, results.policy, NOW, None, "")
    return counter_values(exposition_text(families))


def without_invented(
    highest: dict[SeriesKey, float], exported: Collection[frozenset[tuple[str, str]]]
) -> dict[SeriesKey, float]:
    """Leave out scopes that never had a deployment: whoever opens an issue may have invented them."""
    counted = [series for series, value in highest.items() if value]
    had_deployments = {scope_of(s) for s in counted if not re.match("dora_(incident|vulnerabilit)", s[0])}
    had_incidents = {scope_of(series) for series in counted if series[0].startswith("dora_incident")}
    invented = had_incidents - had_deployments - set(exported)
    return {series: value for series, value in highest.items() if scope_of(series) not in invented}


def scope_of(series: SeriesKey) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in series[1] if name in ("repository", "service", "environment"))


@settings(max_examples=cases(15), deadline=None)
@given(st.lists(fact_lists(12), min_size=1, max_size=4))
def test_buckets_stay_monotone_and_the_last_one_is_the_count(ledgers: list[list[Fact]]) -> None:
    for written in values_of_runs(*with_defaults(*ledgers)):
        for name, labels in written:
            if name.endswith("_count"):
                buckets = buckets_beside(written, (name, labels))
                assert buckets == sorted(buckets)
                assert buckets[-1] == written[name, labels]


def buckets_beside(written: Mapping[SeriesKey, float], count: SeriesKey) -> list[float]:
    """The buckets of the histogram with this count, smallest first."""
    name, labels = count
    bucket_name = f"{name.removesuffix('_count')}_bucket"
    by_bound = {
        float(dict(all_labels)["le"]): value
        for (series, all_labels), value in written.items()
        if series == bucket_name and labels < all_labels
    }
    return [by_bound[bound] for bound in sorted(by_bound)]
