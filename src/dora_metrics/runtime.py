"""What a command needs of the real world: environment, streams, clocks. `__main__` builds it once, for all."""

import errno
import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, TextIO

from msgspec import Struct


class HttpLimits(Struct, frozen=True):
    """Limits of one request to a sink, a health check or a system that has incidents.

    Attributes:
        connect_seconds: how long connecting may take.
        read_seconds: how long each part of an answer may take.
        tries: how often a request is sent at most.
        pause_seconds: the pause before the second try; doubled before each further one.
        total_seconds: what all sinks of a run may take together, with all tries and pauses.
        page_seconds: how long one page of a list of incidents may take.
        list_seconds: what the lists of all incident systems may take together, with all tries and pauses.
        past_seconds: after which a run begins no further day of the past for a target of remote write.
        upload_seconds: how long a warehouse may take for its answer to one request.
        warehouse_seconds: what all requests to a warehouse may take together, with all tries, pauses and jobs.
    """

    connect_seconds: float = 5
    read_seconds: float = 10
    tries: int = 3
    pause_seconds: float = 1
    total_seconds: float = 60
    page_seconds: float = 30
    list_seconds: float = 300
    past_seconds: float = 60
    upload_seconds: float = 60
    warehouse_seconds: float = 600

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


class OutputStream(io.TextIOWrapper):
    """Standard output or error as UTF-8. It drops what cannot be written, so that no effect of a run depends on it.

    Attributes:
        problem: the first failure; None as long as everything was written.
    """

    problem: OSError | None = None

    def __init__(self, binary: BinaryIO, *, line_buffering: bool = False, write_through: bool = False) -> None:
        super().__init__(binary, "utf-8", "backslashreplace", "\n", line_buffering, write_through)

    @classmethod
    def of(cls, stream: TextIO | None) -> "OutputStream":
        """Take the place of a stream of the process, buffered as it is; None if it was closed before the start."""
        if isinstance(stream, io.TextIOWrapper):
            line_buffering, write_through = stream.line_buffering, stream.write_through
            return cls(stream.detach(), line_buffering=line_buffering, write_through=write_through)
        closed = cls(io.BytesIO())
        closed.problem = OSError(errno.EBADF, "it is closed")
        return closed

    def write(self, text: str) -> int:
        with self._noting_problems():
            return len(text) if self.problem else super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._noting_problems():
            super().flush()

    @contextmanager
    def _noting_problems(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            self.problem = self.problem or problem


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
