"""The metrics at past times: at each time what the facts of that time say, and no counter ever falls."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from prometheus_client.parser import text_string_to_metric_families

from dora_metrics.core.facts.as_of import PastFacts
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.prometheus import exposition_text
from dora_metrics.core.windows import PastSteps
from dora_metrics.pipeline.backfill import past_families
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.model import Settings
from support.facts import at, deployment, deployments_of_versions, failed_deployment, incident, vulnerability
from support.prometheus_text import SeriesKey, counter_values, shop_value
from support.property_cases import cases
from support.strategies import fact_lists

NOW = at("04-02")
STEPS = tuple(PastSteps(NOW, timedelta(days=42), timedelta(days=7)))
DAYS = tuple(PastSteps(at("03-10"), timedelta(days=9), timedelta(days=1)))

Values = dict[SeriesKey, float]


def exposition_of(facts: Sequence[Fact], now: datetime) -> str:
    """What `compute --format prometheus` prints."""
    results = evaluate(facts, Settings(), now)
    return exposition_text(prometheus_families(results, cumulative_totals(results, facts), None))


def past_expositions(past: PastFacts, steps: Sequence[datetime]) -> list[str]:
    return [exposition_text(families) for families in past_families(past, Policy(), steps)]


def values_by_day(*facts: Fact) -> list[Values]:
    """Counters and histograms from 1 to 10 March."""
    return [counter_values(text) for text in past_expositions(PastFacts.happened(facts), DAYS)]


def gauge_values(text: str) -> Values:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        if family.type == "gauge"
        for sample in family.samples
    }


each_meaning = pytest.mark.parametrize("index", [PastFacts.happened, PastFacts.known])


@each_meaning
@settings(max_examples=cases(15))
@given(facts=fact_lists())
def test_gauges_are_those_of_the_facts_of_that_time(
    index: Callable[[Sequence[Fact]], PastFacts], facts: list[Fact]
) -> None:
    past = index(facts)
    for moment, text in zip(STEPS, past_expositions(past, STEPS), strict=True):
        expected = gauge_values(exposition_of(past.at(moment), moment))
        assert gauge_values(text) == expected


@each_meaning
@settings(max_examples=cases(15))
@given(facts=fact_lists())
def test_counters_are_the_highest_totals_so_far_that_the_end_still_has(
    index: Callable[[Sequence[Fact]], PastFacts], facts: list[Fact]
) -> None:
    past, highest = index(facts), Values()
    *_, end = (counter_values(exposition_of(past.at(moment), moment)) for moment in STEPS)
    for moment, text in zip(STEPS, past_expositions(past, STEPS), strict=True):
        totals = counter_values(exposition_of(past.at(moment), moment))
        highest = {key: max(highest.get(key, 0), totals.get(key, 0)) for key in highest | totals}
        values = counter_values(text)
        assert values == {key: min(highest.get(key, 0), end[key]) for key in values}
        assert values.keys() <= end.keys()
    assert values == end


@each_meaning
@settings(max_examples=cases(15))
@given(facts=fact_lists())
def test_no_counter_falls(index: Callable[[Sequence[Fact]], PastFacts], facts: list[Fact]) -> None:
    texts = past_expositions(index(facts), STEPS)
    before = Values()
    for text in texts:
        values = counter_values(text)
        assert before.keys() <= values.keys()
        assert all(values[key] >= value for key, value in before.items())
        before = values


def test_each_deployment_is_counted_on_its_day_the_first_one_too() -> None:
    versions = deployments_of_versions("V1 V2 V3 V4", hours=24)
    counts = [shop_value(values, "dora_deployments_total", source="deployments") for values in values_by_day(*versions)]
    assert counts == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4]


def test_what_turns_out_to_be_no_failure_is_none_at_any_time() -> None:
    """A run that failed and succeeded when it was run again. The next push has no failure, and may not be a fall."""
    run = {"url": "https://github.com/acme/shop/actions/runs/7", "run_id": "7"}
    failed = failed_deployment(1, "03-03", run_attempt=1, **run)
    repeated = deployment(2, "03-05", run_attempt=2, **run)
    assert [shop_value(values, "dora_pipeline_failures_total") for values in values_by_day(failed, repeated)] == [
        0
    ] * 10


def test_an_incident_is_open_until_it_is_resolved() -> None:
    facts: list[Fact] = [
        deployment(1, "03-01T06:00"),
        incident(1, "03-03T06:00", severity="high", resolved_at="03-05T06:00"),
    ]
    texts = past_expositions(PastFacts.happened(facts), DAYS)
    open_incidents = [shop_value(gauge_values(text), "dora_open_incidents", severity="high") for text in texts]
    assert open_incidents == [None, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def test_a_vulnerability_has_no_series_before_it_is_found_and_is_fixed_when_it_was() -> None:
    found = vulnerability(1, "03-03T06:00", fixed_at="03-05T06:00")
    name = "dora_vulnerability_remediation_seconds_count"
    counts = [shop_value(each, name, severity="high") for each in values_by_day(deployment(1, "03-01"), found)]
    assert counts == [None, None, None, 0, 0, 1, 1, 1, 1, 1]


def test_a_retracted_deployment_was_never_there() -> None:
    facts = [deployment(1, "03-01T06:00"), deployment(2, "03-03", retracted=True)]
    last = values_by_day(*facts)[-1]
    assert shop_value(last, "dora_deployments_total", source="deployments") == 1


class AskedFacts(PastFacts):
    """Facts that remember for which times they were asked."""

    def at(self, moment: datetime) -> list[Fact]:
        self.asked.append(moment)
        return super().at(moment)

    asked: list[datetime]


def test_nothing_is_evaluated_again_while_no_fact_changes() -> None:
    past = AskedFacts.happened([deployment(1, "03-03"), deployment(2, "03-08")])
    assert isinstance(past, AskedFacts)
    past.asked = []
    assert len(past_expositions(past, DAYS)) == 10
    assert past.asked == [at("03-10"), at("03-01"), at("03-03"), at("03-08")]
