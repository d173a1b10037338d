"""How long GitHub has worked for a run in the last minute, to stay below what it allows."""

from collections import deque
from dataclasses import dataclass, field
from threading import Lock

_MINUTE_SECONDS = 60


@dataclass
class ResponseTime:
    """The seconds that GitHub took for its last answers to all clients of a run, which share it.

    GitHub estimates its own work by the time to its answers.
    """

    _answers: deque[tuple[float, float]] = field(default_factory=deque)
    _lock: Lock = field(default_factory=Lock)

    def add(self, seconds: float, now: float) -> None:
        """Note an answer."""
        with self._lock:
            self._answers.append((now, seconds))

    def seconds_at(self, now: float) -> float:
        """Return the sum of the last minute."""
        with self._lock:
            while self._answers and self._answers[0][0] < now - _MINUTE_SECONDS:
                self._answers.popleft()
            return sum(seconds for _, seconds in self._answers)
