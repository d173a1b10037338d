"""Everything real that a command may touch, made once in `__main__` and passed down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, TextIO

from dora_metrics.patience import Patience


@dataclass(frozen=True)
class World:
    """Environment, streams, the clock as it was read at the start, and how to wait."""

    environment: Mapping[str, str] = field(repr=False)
    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    now: datetime
    pause: Callable[[float], None]
    patience: Patience = Patience()
