"""Everything real that a command may touch, made once in `__main__` and passed down.

How long a sink may take.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, TextIO


@dataclass(frozen=True)
class HttpLimits:
    """Seconds to connect, seconds for an answer, tries; seconds before the second try, then doubled."""

    connect_seconds: float = 5
    read_seconds: float = 10
    tries: int = 3
    pause_seconds: float = 1

    @property
    def description(self) -> str:
        return f"{self.tries} tries of {self.read_seconds:g} s"


@dataclass(frozen=True)
class Runtime:
    """Environment, streams, the clock as it was read at the start, and how to wait."""

    environment: Mapping[str, str] = field(repr=False)
    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    now: datetime
    sleep: Callable[[float], None]
    http_limits: HttpLimits = HttpLimits()
