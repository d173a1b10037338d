"""Generators that are read in parallel."""

import threading
from collections.abc import Iterator

import pytest

from dora_metrics.github.history.streams import iterate_concurrently


def test_all_items_come_and_those_of_a_stream_in_their_order() -> None:
    found = list(iterate_concurrently([iter("abc"), iter("123"), iter("")]))
    assert sorted(found) == list("123abc")
    assert [item for item in found if item.isalpha()] == list("abc")


def test_no_stream_waits_for_another() -> None:
    """Each waits until the other has begun; one after the other they would wait forever."""
    both = threading.Barrier(2, timeout=5)

    def stream(name: str) -> Iterator[str]:
        both.wait()
        yield name

    assert sorted(iterate_concurrently([stream("a"), stream("b")])) == ["a", "b"]


def test_what_breaks_in_a_stream_breaks_for_who_listens() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(iterate_concurrently([broken(), iter("b")]))


def test_streams_end_when_nobody_listens_any_more() -> None:
    ended = threading.Event()

    def endless() -> Iterator[int]:
        number = 0
        try:
            while True:
                yield (number := number + 1)
        finally:
            ended.set()

    listening = iterate_concurrently([endless()])
    assert next(listening) == 1
    listening.close()  # type: ignore[attr-defined]
    assert ended.wait(5)
