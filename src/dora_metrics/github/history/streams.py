"""What is read at the same time: several streams of items, each in a thread of its own."""

import threading
from collections.abc import Iterator, Sequence
from queue import Queue
from typing import TypeVar

T = TypeVar("T")


class _StreamEnd:
    """The end of a stream, or the exception that ended it."""

    def __init__(self, problem: BaseException | None = None) -> None:
        self.problem = problem


def iterate_concurrently(streams: Sequence[Iterator[T]]) -> Iterator[T]:
    """Yield the items of all streams as they arrive, each stream in its own thread. The order within a stream is kept.

    Closing the generator stops the streams, each after its current item. An exception in a stream is raised here.
    """
    queue: Queue[T | _StreamEnd] = Queue()
    stop_requested = threading.Event()
    for stream in streams:
        threading.Thread(target=_fill_queue, args=(stream, queue, stop_requested), daemon=True).start()
    running_count = len(streams)
    try:
        while running_count:
            item = queue.get()
            if not isinstance(item, _StreamEnd):
                yield item
                continue
            running_count -= 1
            if item.problem:
                raise item.problem
    finally:
        stop_requested.set()


def _fill_queue(stream: Iterator[T], queue: "Queue[T | _StreamEnd]", stop_requested: threading.Event) -> None:
    try:
        for item in stream:
            queue.put(item)
            if stop_requested.is_set():
                break
    except BaseException as problem:  # noqa: BLE001 - raised in the consumer's thread
        queue.put(_StreamEnd(problem))
    else:
        queue.put(_StreamEnd())
