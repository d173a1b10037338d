"""What a request of remote write holds, read by hand from its bytes: snappy, protobuf, series, samples.

It is written from the descriptions of the formats and knows nothing of the encoder.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import unpack

from support.servers import Request

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}

Labels = tuple[tuple[str, str], ...]
Point = tuple[float, int]
"""A value, and milliseconds since 1970."""


@dataclass(frozen=True)
class Written:
    """The series of one request."""

    series: list[tuple[Labels, list[Point]]]

    @classmethod
    def of(cls, request: Request) -> "Written":
        assert {name: request.headers.get(name) for name in HEADERS} == HEADERS
        return cls(decode(request.body))

    @property
    def times(self) -> list[datetime]:
        """The times of all samples, each once, in the order of the first series that has most of them."""
        longest = max((points for _, points in self.series), key=len, default=[])
        return [EPOCH + timedelta(milliseconds=milliseconds) for _, milliseconds in longest]

    @property
    def repositories(self) -> set[str]:
        return {dict(labels)["repository"] for labels, _ in self.series}

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of the only series with this name and these labels."""
        wanted = {"__name__": name, **labels}.items()
        (points,) = [points for found, points in self.series if wanted <= dict(found).items()]
        return [value for value, _ in points]


def decode(body: bytes) -> list[tuple[Labels, list[Point]]]:
    """Series of the body of a request, with their samples."""
    message = uncompressed(body)
    return [_series(content) for _, content in fields(message, {1})]


def _series(message: bytes) -> tuple[Labels, list[Point]]:
    labels, samples = [], []
    for number, content in fields(message, {1, 2}):
        if number == 1:
            label = dict(fields(content, {1, 2}))
            labels.append((label.get(1, b"").decode(), label.get(2, b"").decode()))
        else:
            samples.append(_sample(content))
    return tuple(labels), samples


def _sample(message: bytes) -> Point:
    sample = dict(fields(message, {1, 2}))
    (value,) = unpack("<d", sample.get(1, bytes(8)))
    (milliseconds,) = unpack("<q", sample.get(2, bytes(8)))
    return value, milliseconds


def fields(message: bytes, known: set[int]) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field of a protobuf message; a varint as eight bytes, the lowest first."""
    place = 0
    while place < len(message):
        tag, place = varint(message, place)
        number, wire_type = tag >> 3, tag & 7
        assert number in known, f"field {number}"
        if wire_type == 0:
            value, place = varint(message, place)
            yield number, value.to_bytes(8, "little")
            continue
        size, place = (8, place) if wire_type == 1 else varint(message, place)
        assert wire_type in (1, 2), f"wire type {wire_type}"
        assert place + size <= len(message)
        yield number, message[place : place + size]
        place += size


def varint(content: bytes, place: int) -> tuple[int, int]:
    """An integer at a place, and the place after it."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            assert byte or shift == 7, "not the shortest form"
            return value, place


def uncompressed(block: bytes) -> bytes:
    """The content of a snappy block that has literals only."""
    size, place = varint(block, 0)
    content = b""
    while place < len(block):
        tag, place = block[place], place + 1
        assert tag & 3 == 0, "a copy"
        length = tag >> 2
        if length >= 60:
            length_bytes = length - 59
            length = int.from_bytes(block[place : place + length_bytes], "little")
            place += length_bytes
        content += block[place : place + length + 1]
        place += length + 1
    assert len(content) == size
    return content
