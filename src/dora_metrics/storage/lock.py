"""One process at a time in a folder.

The operating system's own locks, which end with the process that holds them. filelock would do the same, but it
imports asyncio, which costs a quarter of a run's start.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_PAUSE_SECONDS = 0.02


@contextmanager
def locked(path: Path, patience_seconds: float) -> Iterator[None]:
    """Holds the lock of a file, which is made if it is not there and stays afterwards.

    Raises:
        TimeoutError: if another process holds it all the time.
        OSError: if the file cannot be made.
    """
    end = time.monotonic() + patience_seconds
    with path.open("a+b") as file:
        while not _taken(file):
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(_PAUSE_SECONDS)
        yield  # closing the file ends the lock


if sys.platform == "win32":
    import msvcrt

    def _taken(file: BinaryIO) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _taken(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
