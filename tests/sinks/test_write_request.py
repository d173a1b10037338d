"""The body of a request of remote write: known bytes, and a decoder by hand that gives back what was encoded."""

from math import inf, isnan, nan
from struct import pack, unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.sinks.write_request import Sample, TimeSeries, labels_of, write_request
from support.written_series import decode, fields, uncompressed

UP = TimeSeries((("__name__", "up"), ("job", "dora")), (Sample(1.5, 1_000),))

UP_MESSAGE = bytes.fromhex(
    "0a 2b"  # WriteRequest.timeseries, 43 bytes
    "0a 0e 0a 08 5f5f6e616d655f5f 12 02 7570"  # TimeSeries.labels: __name__, up
    "0a 0b 0a 03 6a6f62 12 04 646f7261"  # TimeSeries.labels: job, dora
    "12 0c 09 000000000000f83f 10 e807"  # TimeSeries.samples: 1.5 as a double, 1000 as a varint
)


def test_the_bytes_are_those_of_the_format() -> None:
    """The message was written by hand from Prometheus' `types.proto` and the encoding of protobuf."""
    literal = bytes.fromhex("2d f4 2c00")  # 45 bytes in all; a literal with two length bytes, of 44 + 1 bytes
    assert write_request([UP]) == literal + UP_MESSAGE


def test_nothing_is_an_empty_message() -> None:
    assert write_request([]) == b"\x00"


@pytest.mark.parametrize("size", [2**16 - 1, 2**16, 2**16 + 1, 3 * 2**16])
def test_a_large_message_is_several_literals(size: int) -> None:
    overhead = len(uncompressed(write_request([series_with_text("x" * size)]))) - size
    body = write_request([series_with_text("x" * (size - overhead))])
    assert len(uncompressed(body)) == size
    assert decode(body) == [((("__name__", "up"), ("text", "x" * (size - overhead))), [])]


def series_with_text(text: str) -> TimeSeries:
    return TimeSeries((("__name__", "up"), ("text", text)), ())


@pytest.mark.parametrize("value", [nan, -nan, unpack("<d", pack("<Q", 0x7FF0000000000002))[0]])
def test_no_value_is_the_mark_of_a_series_that_has_ended(value: float) -> None:
    """Prometheus has one NaN of its own for that (`StaleNaN`), and another one for values."""
    ((_, series),) = fields(uncompressed(write_request([TimeSeries((), (Sample(value, 0),))])), {1})
    ((_, sample),) = fields(series, {2})
    assert dict(fields(sample, {1, 2}))[1] == pack("<Q", 0x7FF8000000000001)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.floats(allow_nan=False)
samples = st.builds(Sample, numbers, st.integers(-(2**63), 2**63 - 1))
series = st.builds(
    TimeSeries, st.lists(st.tuples(texts, texts), max_size=4).map(tuple), st.lists(samples, max_size=4).map(tuple)
)


@given(st.lists(series, max_size=5))
def test_what_is_encoded_is_decoded(written: list[TimeSeries]) -> None:
    assert decode(write_request(written)) == [(each.labels, list(each.samples)) for each in written]


def test_infinities_and_nan_stay_what_they_are() -> None:
    written = TimeSeries(UP.labels, (Sample(inf, 1), Sample(-inf, 2), Sample(nan, 3), Sample(-0.0, 4)))
    ((_, points),) = decode(write_request([written]))
    assert [str(value) for value, _ in points] == ["inf", "-inf", "nan", "-0.0"]
    assert isnan(points[2][0])


def test_labels_are_sorted_and_empty_ones_left_out() -> None:
    labels = labels_of("dora_level", {"window": "7d", "environment": "", "Zone": "eu", "metric": "lead_time"})
    assert labels == (("Zone", "eu"), ("__name__", "dora_level"), ("metric", "lead_time"), ("window", "7d"))


@pytest.mark.parametrize("name", ["", "1_metric", "dora level", "dora-level", "dora_level\n", "dörá"])
def test_a_series_without_a_valid_name_is_refused(name: str) -> None:
    """Prometheus takes one without a name, and nobody finds it again."""
    with pytest.raises(ValueError, match="is not the name of a metric"):
        labels_of(name, {"job": "dora"})


@pytest.mark.parametrize("label", ["", "1st", "a:b", "bad-label"])
def test_a_label_without_a_valid_name_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a label"):
        labels_of("up", {label: "x"})


def test_no_label_takes_the_place_of_the_name() -> None:
    assert labels_of("up", {"__name__": "down"}) == (("__name__", "up"),)
