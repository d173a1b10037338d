"""The shape `otlp`: what OpenTelemetry's own messages read in it is what the Prometheus families have."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, pairwise
from math import inf, isinf
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric, NumberDataPoint
from prometheus_client import CollectorRegistry

from dora_metrics.core.facts.model import EPOCH, Fact
from dora_metrics.core.shapes.otlp import OTLP, TOTALS_SINCE
from dora_metrics.core.shapes.shape import ShapedRequest, ShapeInput
from dora_metrics.core.shapes.shipped import shipped_shape
from support import strategies
from support.facts import at, deployment
from support.golden_cases import CASES
from support.property_cases import cases
from support.shaped import golden_input, shape_input

Value = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Numbers by the name and labels of their series."""

NOW = at("04-01")


def sent(inputs: ShapeInput) -> ShapedRequest:
    (request,) = OTLP.requests(inputs)
    return request


def message_of(request: ShapedRequest) -> ExportMetricsServiceRequest:
    return json_format.Parse(request.body, ExportMetricsServiceRequest())


def metrics_of(request: ShapedRequest) -> Sequence[Metric]:
    ((scope_metrics,),) = ([*each.scope_metrics] for each in message_of(request).resource_metrics)
    return scope_metrics.metrics


def series_in(request: ShapedRequest) -> Value:
    """The series that a receiver makes of a message for Prometheus."""
    values: Value = {}
    for metric in metrics_of(request):
        kind = metric.WhichOneof("data")
        for point in getattr(metric, str(kind)).data_points:
            labels = {attribute.key: attribute.value.string_value for attribute in point.attributes}
            if kind == "histogram":
                bounds = [*point.explicit_bounds, inf]
                for bound, count in zip(bounds, accumulate(point.bucket_counts), strict=True):
                    values[f"{metric.name}_bucket", frozenset({**labels, "le": str(bound)}.items())] = count
                values[f"{metric.name}_count", frozenset(labels.items())] = point.count
                values[f"{metric.name}_sum", frozenset(labels.items())] = point.sum
            else:
                values[metric.name, frozenset(labels.items())] = number_of(point)
    return values


def number_of(point: NumberDataPoint) -> float:
    return point.as_int if point.WhichOneof("value") == "as_int" else point.as_double


def pushed_series(inputs: ShapeInput) -> Value:
    """The same series as the group of a Pushgateway has them."""
    registry = CollectorRegistry()
    registry.register(inputs.families)
    values: Value = {}
    for family in registry.collect():
        for sample in family.samples:
            labels = {"repository": inputs.repository, **sample.labels}
            if "le" in labels:
                labels["le"] = str(float(labels["le"]))
            values[sample.name, frozenset(labels.items())] = sample.value
    return values


@pytest.mark.parametrize("name", CASES)
def test_a_receiver_reads_the_series_of_every_golden_case(name: str) -> None:
    inputs = golden_input(name)
    assert series_in(sent(inputs)) == pushed_series(inputs)


@settings(max_examples=cases(30))
@given(st.lists(strategies.any_facts, max_size=12, unique_by=lambda fact: fact.id))
def test_a_receiver_reads_the_series_of_any_facts(facts: list[Fact]) -> None:
    inputs = shape_input(facts, NOW)
    request = sent(inputs)
    assert series_in(request) == pushed_series(inputs)
    assert request == sent(shape_input(facts, NOW)), "the same facts have the same bytes"
    assert b"NaN" not in request.body


def test_counters_are_monotonic_and_cumulative_since_a_time_that_never_changes() -> None:
    metrics = metrics_of(sent(golden_input("demo")))
    sums = [metric for metric in metrics if metric.WhichOneof("data") == "sum"]
    histograms = [metric for metric in metrics if metric.WhichOneof("data") == "histogram"]
    assert {metric.name.endswith("_total") and metric.sum.is_monotonic for metric in sums} == {True}
    temporalities = {metric.sum.aggregation_temporality for metric in sums}
    temporalities |= {metric.histogram.aggregation_temporality for metric in histograms}
    assert temporalities == {AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE}
    starts = {point.start_time_unix_nano for metric in sums for point in metric.sum.data_points}
    starts |= {point.start_time_unix_nano for metric in histograms for point in metric.histogram.data_points}
    assert starts == {unix_nanoseconds(TOTALS_SINCE)}


def unix_nanoseconds(time: datetime) -> int:
    return int((time - EPOCH).total_seconds()) * 10**9


def test_each_point_is_of_the_time_of_the_run() -> None:
    for metric in metrics_of(sent(shape_input([deployment(1)], NOW))):
        data = getattr(metric, str(metric.WhichOneof("data")))
        assert {point.time_unix_nano for point in data.data_points} == {unix_nanoseconds(NOW)}


def test_what_has_no_value_is_absent() -> None:
    names = {metric.name for metric in metrics_of(sent(shape_input([], NOW)))}
    assert names.isdisjoint({"dora_deployments_total", "dora_lead_time_seconds", "dora_change_failure_ratio"})
    assert "dora_build_info" in names


def test_the_limit_of_a_level_without_one_is_infinite() -> None:
    values = series_in(sent(shape_input([deployment(1)], NOW)))
    edges = {value for (name, _), value in values.items() if name == "dora_benchmark_edge"}
    assert any(isinf(edge) for edge in edges)
    assert b'"Infinity"' in sent(shape_input([deployment(1)], NOW)).body


def test_prometheus_stores_the_names_that_a_pushgateway_has() -> None:
    """As Prometheus translates by default: the unit is appended unless a part of the name has it, and `_total`."""
    for metric in metrics_of(sent(golden_input("demo"))):
        is_monotonic = metric.WhichOneof("data") == "sum"
        parts = [part for part in metric.name.split("_") if not (is_monotonic and part == "total")]
        parts += ["seconds"] if metric.unit == "s" and "seconds" not in parts else []
        assert "_".join([*parts, "total"] if is_monotonic else parts) == metric.name
        assert metric.unit in ("", "s"), "`1` would append `_ratio`"
    (resource,) = (each.resource for each in message_of(sent(golden_input("demo"))).resource_metrics)
    assert [(each.key, each.value.string_value) for each in resource.attributes] == [("service.name", "dora")]


def test_it_is_sent_in_each_run_as_json_to_the_address_itself() -> None:
    request = sent(golden_input("demo"))
    assert (request.method, request.path, request.content_type) == ("POST", "", "application/json")
    assert shipped_shape("otlp") is OTLP
    assert (request.delivers, OTLP.events, OTLP.sends_numbers) == ((), frozenset(), True)
    assert OTLP.token_headers.of("t0ken:x") == {"Authorization": "Bearer t0ken:x"}


@pytest.mark.parametrize(
    ("body", "rejected"),
    [
        (b"", 0),
        (b"{}", 0),
        (b'{"partialSuccess": {}}', 0),
        (b'{"partialSuccess": null}', 0),
        (b'{"partialSuccess": {"errorMessage": "deprecated"}}', 0),
        (b'{"partialSuccess": {"rejectedDataPoints": "3", "errorMessage": "t0ken"}}', 3),
        (b'{"partialSuccess": {"rejectedDataPoints": 3}}', 3),
        (b"\x0a\x02\x08\x03", 0),
        (b"<html>", 0),
        (b'{"other": ' + b"[" * 100_000, 0),
        (b'{"partialSuccess": {"errorMessage": "\xff"}}', 0),
    ],
)
def test_a_success_that_rejects_points_is_a_refusal(body: bytes, rejected: int) -> None:
    refusal = f"the receiver rejected {rejected} data points; its log says why" if rejected else ""
    assert OTLP.refusal(200, body) == refusal


def planted_faults(content: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Mistakes that the messages of OpenTelemetry, or the comparison of series, must find; by what is wrong."""
    (scope_metrics,) = content["resourceMetrics"][0]["scopeMetrics"]
    metrics = {metric["name"]: metric for metric in scope_metrics["metrics"]}
    counter = metrics["dora_deployments_total"]["sum"]["dataPoints"][0]
    histogram = metrics["dora_lead_time_seconds"]["histogram"]["dataPoints"][0]
    running = [str(sum(map(int, histogram["bucketCounts"][:end]))) for end in range(1, 21)]
    return {
        "a field with another name": lambda: counter.update(as_int=1),
        "a number that is no integer": lambda: counter.update(asInt="1.5"),
        "another value": lambda: counter.update(asInt=str(int(counter["asInt"]) + 1)),
        "buckets that include the smaller ones": lambda: histogram.update(bucketCounts=running),
        "one bound too few": histogram["explicitBounds"].pop,
        "a label too few": counter["attributes"].pop,
        "two values": lambda: counter.update(asDouble=1),
    }


@pytest.mark.parametrize("fault", planted_faults(json.loads(sent(golden_input("demo")).body)))
def test_the_comparison_finds_planted_faults(fault: str) -> None:
    inputs = golden_input("demo")
    content = json.loads(sent(inputs).body)
    planted_faults(content)[fault]()
    with pytest.raises((json_format.ParseError, ValueError, AssertionError)):
        assert series_in(ShapedRequest(body=json.dumps(content).encode(), key="")) == pushed_series(inputs)


def test_no_bucket_is_negative() -> None:
    for metric in metrics_of(sent(golden_input("demo"))):
        for point in metric.histogram.data_points:
            assert all(bound < next_bound for bound, next_bound in pairwise(point.explicit_bounds))
            assert sum(point.bucket_counts) == point.count
