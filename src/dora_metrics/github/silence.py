"""How long GitHub has given no usable answer, to all clients of a run together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class Silence:
    """The time in which at least one client has waited for GitHub since its last usable answer to any of them.

    Clients in several threads share it: what they wait for at the same time counts once. What a run does between two
    requests does not count. Times are seconds of a clock that never goes back.
    """

    _closed_seconds: float = 0
    _since: float = 0
    _waiting_count: int = 0
    _lock: Lock = field(default_factory=Lock)

    def seconds_at(self, now: float) -> float:
        """Return how long it has lasted; 0 after a usable answer."""
        with self._lock:
            return self._closed_seconds + (now - self._since if self._waiting_count else 0)

    def end(self, now: float) -> None:
        """Begin at zero: GitHub gave a usable answer, or said when it will give one."""
        with self._lock:
            self._closed_seconds, self._since = 0, now

    def shorten(self, max_seconds: float, now: float) -> None:
        """Take it as no longer than this."""
        with self._lock:
            lasted = self._closed_seconds + (now - self._since if self._waiting_count else 0)
            self._closed_seconds, self._since = min(lasted, max_seconds), now

    @contextmanager
    def counting(self, clock: Callable[[], float]) -> Iterator[None]:
        """Count the time of the block, in which a client waits for an answer or pauses before another try."""
        self._count(clock(), 1)
        try:
            yield
        finally:
            self._count(clock(), -1)

    def _count(self, now: float, change: int) -> None:
        """Take one more or one less client as waiting, after adding what has passed since the last change."""
        with self._lock:
            if self._waiting_count:
                self._closed_seconds += now - self._since
            self._since = now
            self._waiting_count += change
