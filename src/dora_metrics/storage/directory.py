"""`ledger: dir:PATH`: a folder, for local runs, tests and runners that keep a disk or a cache.

One process at a time in a folder.

The operating system's own locks, which end with the process that holds them. filelock would do the same, but it
imports asyncio, which costs a quarter of a run's start.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from dora_metrics.core.ledger.layout import (
    CHECKPOINT,
    EVERYTHING,
    FACTS,
    METRICS,
    ROOT_FILES,
    SEQUENCE,
    Reach,
    blob,
    month_of,
)
from dora_metrics.errors import LedgerError
from dora_metrics.storage.base import Snapshot, counted, is_kept, sequence

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


_LOCK = ".lock"
_LOCK_SECONDS = 30


class DirectoryLedger:
    """A ledger in a folder. Each file is replaced whole, so that a killed run leaves old or new, never half."""

    remembers = True

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        return f"dir:{self._root}"

    def read(self, reach: Reach = EVERYTHING) -> Snapshot:
        """See the port.

        Raises:
            LedgerError: if the folder cannot be read.
        """
        sequence = self._sequence()  # first: what is written meanwhile must look newer, never older
        files = self._contents(self._root / name for name in ROOT_FILES if name != SEQUENCE)
        return self.more(Snapshot(files, sequence, written_at=self._written_at()), reach)

    def more(self, seen: Snapshot, reach: Reach) -> Snapshot:
        """See the port. What was written since may be among it; then `write` refuses.

        Raises:
            LedgerError: if the folder cannot be read.
        """
        paths = (path for path in self._facts_files() if reach.holds(month_of(self._path(path))))
        facts = self._contents(path for path in paths if self._path(path) not in seen.files)
        return replace(seen, files={**seen.files, **facts}, reach=reach)

    def _facts_files(self) -> Iterator[Path]:
        """All `*.jsonl`, at any depth; a folder that cannot be read is an error, never an empty one."""
        try:
            for place, _, names in os.walk(self._root / FACTS, onerror=_raise):
                yield from (Path(place, name) for name in names if name.endswith(".jsonl"))
        except OSError as problem:
            raise self._unusable("read", problem) from None

    def _contents(self, paths: Iterable[Path]) -> dict[str, bytes]:
        try:
            return {self._path(path): path.read_bytes() for path in paths if path.is_file()}
        except OSError as problem:
            raise self._unusable("read", problem) from None

    def _path(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def write(self, seen: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:  # noqa: ARG002
        """See the port; `changes` are made in their order.

        Raises:
            LedgerError: if the folder cannot be written, or another run holds it for half a minute.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with locked(self._root / _LOCK, _LOCK_SECONDS):
                if self._sequence() != seen.sequence or self._torn(seen, changes):
                    return None
                return self._changed(seen, changes)
        except TimeoutError:
            raise LedgerError(
                f"{self.name}: another run has held it for {_LOCK_SECONDS} s; it is not written"
            ) from None
        except OSError as problem:
            raise self._unusable("written", problem) from None

    def _torn(self, seen: Snapshot, changes: Mapping[str, bytes]) -> bool:
        """Whether a run that was killed before it could count its change has written one of these files.

        The checkpoint among them: it went first, and says that facts of sealed months have changed.
        """
        kept = (path for path in changes if is_kept(path) or path == CHECKPOINT)
        return any(_content(self._root / path) != seen.files.get(path, b"") for path in kept)

    def listed(self, seen: Snapshot, places: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        """See the port.

        Raises:
            LedgerError: if the folder cannot be read.
        """
        found = (path for place in places for path in self._files_of(place))
        return {path: blob(content) for path, content in self._contents(found).items()}

    def _files_of(self, place: str) -> Iterator[Path]:
        path = self._root / place
        yield from sorted(path.rglob("*.json")) if place.endswith("/") else (path,)

    def overtaken(self, seen: Snapshot) -> bool:
        """See the port."""
        return self._sequence() != seen.sequence

    def _changed(self, seen: Snapshot, changes: Mapping[str, bytes]) -> Snapshot:
        """A checkpoint that no longer holds goes first: a run that is killed here leaves none, not a wrong one."""
        number, changes = counted(seen.sequence, changes)
        if CHECKPOINT in changes:
            _replace(self._root / CHECKPOINT, b"")
        for path, content in changes.items():
            _replace(self._root / path, content)
        files = {path: content for path, content in {**seen.files, **changes}.items() if content and path != SEQUENCE}
        return replace(seen, files=files, sequence=number)

    def _written_at(self) -> datetime | None:
        """When the numbers were computed last."""
        try:
            return datetime.fromtimestamp((self._root / METRICS).stat().st_mtime, UTC)
        except OSError:
            return None

    def _sequence(self) -> int:
        try:
            return sequence((self._root / SEQUENCE).read_bytes())
        except FileNotFoundError:
            return 0
        except OSError as problem:
            raise self._unusable("read", problem) from None

    def _unusable(self, done: str, problem: OSError) -> LedgerError:
        return LedgerError(f"{self.name}: cannot be {done} ({problem.strerror}); check the path and its permissions")


def _raise(problem: OSError) -> None:
    if not isinstance(problem, FileNotFoundError):
        raise problem


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _replace(path: Path, content: bytes) -> None:
    """The file with this content, whole or not at all; without content the file goes."""
    if not content:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")  # one name, so that killed runs leave one such file at most
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # the container's root writes, other steps of the job read
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
