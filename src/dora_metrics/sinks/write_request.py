"""Time series as the body of a request of Prometheus' remote write 1.0: a protobuf message, compressed by snappy.

https://prometheus.io/docs/specs/prw/remote_write_spec/ has the rules, `prompb/remote.proto` and `prompb/types.proto` of
Prometheus the messages. One message and literals are all that is needed of both formats, so no library is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from math import isnan
from struct import pack
from typing import NamedTuple

from msgspec import Struct

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name; the name of a metric is the label `__name__`."""

_TIME_SERIES = 1
"""Field of the message `WriteRequest`."""
_LABEL, _SAMPLE = 1, 2
"""Fields of the message `TimeSeries`."""
_LABEL_NAME, _LABEL_VALUE = 1, 2
"""Fields of the message `Label`."""
_SAMPLE_VALUE, _SAMPLE_TIMESTAMP = 1, 2
"""Fields of the message `Sample`."""

_VARINT, _FIXED64, _LENGTH_DELIMITED = 0, 1, 2
"""Wire types of protobuf (https://protobuf.dev/programming-guides/encoding/#structure)."""

_NORMAL_NAN = b"\x01\x00\x00\x00\x00\x00\xf8\x7f"
"""Prometheus' NaN (`model/value/value.go`). Others may be taken for its mark of a series that has ended."""

_METRIC_NAME = "__name__"
_VALID_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_VALID_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Sample(NamedTuple):
    """A value at a time in milliseconds since 1970."""

    value: float
    milliseconds: int


class TimeSeries(Struct, frozen=True):
    """A series with its samples, oldest first."""

    labels: Labels
    samples: tuple[Sample, ...]


def labels_of(name: str, labels: Mapping[str, str]) -> Labels:
    """Return the labels of a series in the order of the format, without empty ones, which are the same as none.

    Raises:
        ValueError: if a name is not valid. Prometheus takes a series without a name, and nobody finds it again.
    """
    if not _VALID_METRIC_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a metric")
    for label in labels:
        if not _VALID_LABEL_NAME.fullmatch(label):
            raise ValueError(f"{label!r} is not the name of a label")
    pairs = {**{label: value for label, value in labels.items() if value}, _METRIC_NAME: name}
    return tuple(sorted(pairs.items()))


def write_request(series: Iterable[TimeSeries]) -> bytes:
    """Return the body of a request with some series."""
    return _snappy(b"".join(_bytes_field(_TIME_SERIES, _time_series(each)) for each in series))


def _time_series(series: TimeSeries) -> bytes:
    labels = (_bytes_field(_LABEL, _label(name, value)) for name, value in series.labels)
    samples = (_bytes_field(_SAMPLE, _sample(sample)) for sample in series.samples)
    return b"".join((*labels, *samples))


def _label(name: str, value: str) -> bytes:
    return _bytes_field(_LABEL_NAME, name.encode()) + _bytes_field(_LABEL_VALUE, value.encode())


def _sample(sample: Sample) -> bytes:
    value = _NORMAL_NAN if isnan(sample.value) else pack("<d", sample.value)
    timestamp = _varint(sample.milliseconds % 2**64)  # a negative int64 is its two's complement
    return _tag(_SAMPLE_VALUE, _FIXED64) + value + _tag(_SAMPLE_TIMESTAMP, _VARINT) + timestamp


def _bytes_field(number: int, content: bytes) -> bytes:
    return _tag(number, _LENGTH_DELIMITED) + _varint(len(content)) + content


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(number: int) -> bytes:
    """Return seven bits a byte, the lowest first; all bytes but the last have their highest bit set."""
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))


_LITERAL_WITH_TWO_LENGTH_BYTES = 61 << 2
"""The tag of a literal whose length, minus one, follows in two bytes, the lower one first."""

_MAX_LITERAL_BYTES = 2**16


def _snappy(content: bytes) -> bytes:
    """Return the content in snappy's block format: its length, and then literals, which are not compressed.

    https://github.com/google/snappy/blob/main/format_description.txt
    """
    return _varint(len(content)) + b"".join(_literals(content))


def _literals(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _MAX_LITERAL_BYTES):
        literal = content[start : start + _MAX_LITERAL_BYTES]
        yield pack("<BH", _LITERAL_WITH_TWO_LENGTH_BYTES, len(literal) - 1) + literal
