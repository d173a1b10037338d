"""The metrics at past times: at each time what the facts of that time say, and no counter ever falls."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from dora_metrics.core.facts.as_of import PastFacts
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.totals import Series
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.prometheus import exposition_text
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import PastSteps
from dora_metrics.pipeline.backfill import past_families, past_moments
from dora_metrics.pipeline.evaluate import cumulative_totals, evaluate, prometheus_families
from dora_metrics.settings.model import Settings
from support.facts import at, deployment, deployments_of_versions, failed_deployment, incident, vulnerability
from support.prometheus_text import SeriesKey, counter_values, shop_value
from support.property_cases import cases
from support.strategies import any_facts, fact_lists

STEPS = tuple(PastSteps(at("02-25"), timedelta(days=5), timedelta(hours=15)))
"""While most facts of `support.strategies` happen."""

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


pasts = fact_lists().map(PastFacts.happened) | st.lists(any_facts, max_size=30).map(PastFacts.known)
"""What had happened, and what was known by records of which several may be of one fact."""


@settings(max_examples=cases(30))
@given(pasts)
def test_gauges_are_those_of_the_facts_of_that_time(past: PastFacts) -> None:
    for moment, text in zip(STEPS, past_expositions(past, STEPS), strict=True):
        expected = gauge_values(exposition_of(past.at(moment), moment))
        assert gauge_values(text) == expected


@settings(max_examples=cases(30))
@given(pasts)
def test_counters_are_the_highest_totals_so_far_that_the_end_still_has(past: PastFacts) -> None:
    highest = Values()
    *_, end = (counter_values(exposition_of(past.at(moment), moment)) for moment in STEPS)
    for moment, text in zip(STEPS, past_expositions(past, STEPS), strict=True):
        totals = counter_values(exposition_of(past.at(moment), moment))
        highest = {key: max(highest.get(key, 0), totals.get(key, 0)) for key in highest | totals}
        values = counter_values(text)
        assert values == {key: min(highest.get(key, 0), end[key]) for key in values}
        assert values.keys() <= end.keys()
    assert values == end


@settings(max_examples=cases(30))
@given(pasts)
def test_no_counter_falls(past: PastFacts) -> None:
    texts = past_expositions(past, STEPS)
    before = Values()
    for text in texts:
        values = counter_values(text)
        assert before.keys() <= values.keys()
        assert all(values[key] >= value for key, value in before.items())
        before = values


@settings(max_examples=cases(30))
@given(pasts, st.integers(1, len(STEPS)))
def test_in_two_parts_the_numbers_are_those_of_one(past: PastFacts, count: int) -> None:
    whole = [exposition_text(moment.families) for moment in past_moments(past, Policy(), STEPS)]
    *_, last = islice(past_moments(past, Policy(), STEPS), count)
    rest = past_moments(past, Policy(), STEPS[count - 1 :], last.fallen)
    assert [exposition_text(moment.families) for moment in rest] == whole[count - 1 :]


def test_what_had_fallen_before_the_second_part_is_not_lower_in_it() -> None:
    facts = [*run_that_succeeded_when_it_was_repeated(2), failed_deployment(1, "03-08")]
    past = PastFacts.happened(facts)
    *_, last = islice(past_moments(past, Policy(), DAYS), 5)
    name = "dora_pipeline_failures_total"
    assert last.fallen.values == {Series(name, Scope("acme/shop", "shop", "production")): 1}
    rest = past_moments(past, Policy(), DAYS[4:], last.fallen)
    counts = [shop_value(counter_values(exposition_text(moment.families)), name) for moment in rest]
    assert counts == [1] * 6


def test_each_deployment_is_counted_on_its_day_the_first_one_too() -> None:
    versions = deployments_of_versions("V1 V2 V3 V4", hours=24)
    counts = [shop_value(values, "dora_deployments_total", source="deployments") for values in values_by_day(*versions)]
    assert counts == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4]


def run_that_succeeded_when_it_was_repeated(number: int) -> list[Fact]:
    run = {"url": f"https://github.com/acme/shop/actions/runs/{number}", "run_id": str(number)}
    first = failed_deployment(number, f"03-0{number}", run_attempt=1, **run)
    return [first, deployment(number + 10, f"03-0{number + 1}", run_attempt=2, **run)]


def test_a_counter_is_never_above_its_total_at_the_end_since_the_first_push_would_be_a_fall() -> None:
    """Two runs failed until they succeeded, and another one failed for good."""
    repeated = [*run_that_succeeded_when_it_was_repeated(2), *run_that_succeeded_when_it_was_repeated(4)]
    by_day = values_by_day(*repeated, failed_deployment(1, "03-04"))
    counts = [shop_value(values, "dora_pipeline_failures_total") for values in by_day]
    assert counts == [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    by_day = values_by_day(*repeated)
    counts = [shop_value(values, "dora_pipeline_failures_total") for values in by_day]
    assert counts == [0] * 10


def test_what_is_retracted_stays_counted_until_the_total_has_caught_up() -> None:
    wrong = deployment(2, "03-03")
    retracted = replace(wrong, retracted=True, observed_at=at("03-05"))
    records = [deployment(1, "03-01"), wrong, retracted, deployment(3, "03-07"), deployment(4, "03-09")]
    by_day = [counter_values(text) for text in past_expositions(PastFacts.known(records), DAYS)]
    counts = [shop_value(values, "dora_deployments_total", source="deployments") for values in by_day]
    assert counts == [1, 1, 2, 2, 2, 2, 2, 2, 3, 3]


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
