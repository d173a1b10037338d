"""Several streams read at the same time, each in a thread of its own."""

import threading
from collections.abc import Iterator, Sequence
from queue import Queue
from typing import TypeVar

T = TypeVar("T")


class _End:
    """A stream is over, or broke."""

    def __init__(self, problem: BaseException | None = None) -> None:
        self.problem = problem


def side_by_side(streams: Sequence[Iterator[T]]) -> Iterator[T]:
    """The items of all streams as they come; those of one stream in their order.

    Whoever stops listening stops the streams, each after the item that it is at. What breaks in a stream breaks here.
    """
    found: Queue[T | _End] = Queue()
    stop = threading.Event()
    for stream in streams:
        threading.Thread(target=_pour, args=(stream, found, stop), daemon=True).start()
    left = len(streams)
    try:
        while left:
            item = found.get()
            if not isinstance(item, _End):
                yield item
                continue
            left -= 1
            if item.problem:
                raise item.problem
    finally:
        stop.set()


def _pour(stream: Iterator[T], found: "Queue[T | _End]", stop: threading.Event) -> None:
    try:
        for item in stream:
            found.put(item)
            if stop.is_set():
                break
    except BaseException as problem:  # noqa: BLE001 - raised again by who listens
        found.put(_End(problem))
    else:
        found.put(_End())
