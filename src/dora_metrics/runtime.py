"""What a command needs of the real world: environment, streams, clocks. `__main__` builds it once, for all."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, TextIO


@dataclass(frozen=True)
class HttpLimits:
    """Limits of one request to a sink or a health check.

    Attributes:
        connect_seconds: how long connecting may take.
        read_seconds: how long each part of an answer may take.
        tries: how often a request is sent at most.
        pause_seconds: the pause before the second try; doubled before each further one.
        total_seconds: what all sinks of a run may take together, with all tries and pauses.
    """

    connect_seconds: float = 5
    read_seconds: float = 10
    tries: int = 3
    pause_seconds: float = 1
    total_seconds: float = 60

    @property
    def description(self) -> str:
        return f"{self.tries} tries of {self.read_seconds:g} s"


@dataclass
class Deadline:
    """The end of a time that several exchanges share; it begins when this is made."""

    seconds: float
    monotonic: Callable[[], float] = time.monotonic
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = self.monotonic() + self.seconds

    @property
    def seconds_left(self) -> float:
        """The seconds until the end, 0 after it."""
        return max(0.0, self._end - self.monotonic())


@dataclass(frozen=True)
class Runtime:
    """The real world as one process sees it.

    Attributes:
        environment: of the process; it may hold secrets.
        stdin: binary, since facts are UTF-8 whatever the locale is.
        stdout: results and the log of a workflow's step.
        stderr: problems and progress.
        now: the time at the start, in UTC.
        sleep: waits for some seconds.
        monotonic: the seconds of a clock that never goes back.
        http_limits: for sinks and the health check.
    """

    environment: Mapping[str, str] = field(repr=False)
    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    now: datetime
    sleep: Callable[[float], None]
    monotonic: Callable[[], float] = time.monotonic
    http_limits: HttpLimits = HttpLimits()
