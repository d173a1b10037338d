"""The shape `otlp`: all numbers as metrics of OpenTelemetry, in the JSON encoding of OTLP/HTTP.

The names are those of docs/prometheus.md. A receiver that translates names for Prometheus removes `_total` from a
counter and the unit from a name before it appends them, so the series are the ones that a Pushgateway has: with
`_total`, without a second unit, and with `job="dora"`, which the receiver takes from `service.name`.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import EPOCH
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.shapes.shape import Shape, ShapedRequest, ShapeInput, content_key

ProtoJson = dict[str, Any]

TOTALS_SINCE = datetime(2000, 1, 1, tzinfo=UTC)
"""When the counters were zero.

It is the same for all runs, since another start means that a counter was reset. The first fact of a run is not: most
runs do not read old months, whose counts they have from the checkpoint.
"""

_SERVICE_NAME = "dora"
_CUMULATIVE = 2
"""AGGREGATION_TEMPORALITY_CUMULATIVE; the JSON encoding has numbers for enumerations."""

_UNIT_SUFFIX, _UNIT = "_seconds", "s"
"""No other unit: `1` would append `_ratio` to a gauge in Prometheus."""

_MICROSECOND = timedelta(microseconds=1)


def _requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    """One request with all metrics that have a value."""
    families = shape_input.families
    points = _Points(shape_input.repository, shape_input.results.now)
    metrics = [metric for family in families.collect() if (metric := _metric(family, points))]
    content = {
        "resourceMetrics": [
            {
                "resource": {"attributes": _attributes({"service.name": _SERVICE_NAME})},
                "scopeMetrics": [
                    {"scope": {"name": "dora-metrics", "version": families.version}, "metrics": metrics},
                ],
            }
        ]
    }
    return [ShapedRequest(body=canonical_json(content), key=content_key(content))]


def _metric(family: Metric, points: "_Points") -> ProtoJson | None:
    """Return a family as a metric; None without a value."""
    if not family.samples:
        return None
    name = f"{family.name}_total" if family.type == "counter" else family.name
    described = {"name": name, "description": family.documentation}
    if name.endswith(_UNIT_SUFFIX):
        described["unit"] = _UNIT
    return {**described, **points.of(family)}


class _Points:
    """Makes the data points of one moment.

    What is about the whole ledger names the repository of the run, as the group of a Pushgateway does.
    """

    def __init__(self, repository: str, time: datetime) -> None:
        self._default_labels = {"repository": repository}
        self._time = {"timeUnixNano": _nanoseconds(time)}
        self._time_range = {"startTimeUnixNano": _nanoseconds(TOTALS_SINCE), **self._time}

    def of(self, family: Metric) -> ProtoJson:
        """Return the data of a metric: `sum`, `histogram` or `gauge`."""
        match family.type:
            case "counter":
                points = [self._counter_point(sample) for sample in family.samples]
                return {"sum": {"dataPoints": points, "aggregationTemporality": _CUMULATIVE, "isMonotonic": True}}
            case "histogram":
                points = [self._histogram_point(samples) for samples in _samples_by_histogram(family)]
                return {"histogram": {"dataPoints": points, "aggregationTemporality": _CUMULATIVE}}
            case _:
                return {"gauge": {"dataPoints": [self._gauge_point(sample) for sample in family.samples]}}

    def _counter_point(self, sample: Sample) -> ProtoJson:
        return {**self._labelled(sample.labels), **self._time_range, "asInt": str(int(sample.value))}

    def _gauge_point(self, sample: Sample) -> ProtoJson:
        return {**self._labelled(sample.labels), **self._time, "asDouble": _double(float(sample.value))}

    def _histogram_point(self, samples: Sequence[Sample]) -> ProtoJson:
        """Return a point with the count of each bucket alone; in Prometheus a bucket includes the smaller ones."""
        buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
        (total,) = (sample.value for sample in samples if sample.name.endswith("_sum"))
        labels = {name: value for name, value in buckets[0].labels.items() if name != "le"}
        counts = [int(bucket.value) for bucket in buckets]
        return {
            **self._labelled(labels),
            **self._time_range,
            "count": str(counts[-1]),
            "sum": float(total),
            "bucketCounts": [str(count - smaller) for smaller, count in zip([0, *counts], counts, strict=False)],
            "explicitBounds": [float(bucket.labels["le"]) for bucket in buckets[:-1]],
        }

    def _labelled(self, labels: Mapping[str, str]) -> ProtoJson:
        return {"attributes": _attributes({**self._default_labels, **labels})}


def _samples_by_histogram(family: Metric) -> Iterator[Sequence[Sample]]:
    """Yield the samples of each histogram of a family: its buckets in order, its count and its sum."""
    samples: defaultdict[tuple[tuple[str, str], ...], list[Sample]] = defaultdict(list)
    for sample in family.samples:
        samples[tuple((name, value) for name, value in sample.labels.items() if name != "le")].append(sample)
    yield from samples.values()


def _attributes(labels: Mapping[str, str]) -> list[ProtoJson]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in labels.items()]


def _nanoseconds(time: datetime) -> str:
    """Return a time since 1970; numbers of 64 bits are strings in this encoding."""
    return str((time - EPOCH) // _MICROSECOND * 1000)


def _double(value: float) -> float | str:
    """Return a number as the encoding has it: JSON has no infinity, which is the limit of a level without one."""
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


class _PartialSuccess(msgspec.Struct, rename="camel"):
    rejected_data_points: int = 0


class _ExportAnswer(msgspec.Struct, rename="camel"):
    partial_success: _PartialSuccess | None = None


def _refusal(_status: int, body: bytes) -> str:
    """Return how many points a receiver rejected although it answered with a success; empty if it rejected none.

    Its reason is not quoted: servers may repeat what they were sent.
    """
    try:
        answer = msgspec.json.decode(body, type=_ExportAnswer, strict=False)
    except UNREADABLE_JSON:
        return ""  # the status of a success says all, and some receivers answer with protobuf
    rejected = answer.partial_success.rejected_data_points if answer.partial_success else 0
    return f"the receiver rejected {rejected} data points; its log says why" if rejected else ""


OTLP = Shape("otlp", events=frozenset(), requests=_requests, sends_numbers=True, refusal=_refusal)
