"""`ledger: dir:PATH`: a folder, for local runs, tests and runners that keep a disk or a cache.

One process at a time writes to a folder. The lock is the operating system's, so it ends with the process that holds it.
The filelock package would do the same, but it imports asyncio, which costs a quarter of a run's start-up time.
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
    ALL_MONTHS,
    CHECKPOINT_FILE,
    FACTS_FOLDER,
    METRICS_FILE,
    ROOT_FILES,
    SEQUENCE_FILE,
    MonthSelection,
    git_blob_sha,
    month_of_path,
)
from dora_metrics.core.ledger.snapshot import Snapshot, is_primary_data, parse_sequence, with_next_sequence
from dora_metrics.errors import LedgerError

_LOCK_FILE = ".lock"
_LOCK_TIMEOUT_SECONDS = 30
_LOCK_RETRY_SECONDS = 0.02


class DirectoryStorage:
    """A ledger in a folder. Each file is replaced as a whole, so a killed run leaves the old or the new content."""

    is_persistent = True

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        return f"dir:{self._root}"

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        """See Storage.

        Raises:
            LedgerError: if the folder cannot be read.
        """
        sequence = self._read_sequence()  # first, so that a concurrent write looks newer than this snapshot
        files = self._read_contents(self._root / name for name in ROOT_FILES if name != SEQUENCE_FILE)
        return self.read_more(Snapshot(files, sequence, written_at=self._written_at()), months)

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        """See Storage. The result may contain later writes of other runs; then `write` refuses.

        Raises:
            LedgerError: if the folder cannot be read.
        """
        paths = (path for path in self._facts_files() if months.includes(month_of_path(self._relative_path(path))))
        facts = self._read_contents(path for path in paths if self._relative_path(path) not in snapshot.files)
        return replace(snapshot, files={**snapshot.files, **facts}, months=months)

    def _facts_files(self) -> Iterator[Path]:
        """Yield all `*.jsonl` files at any depth. A folder that cannot be read is an error, not an empty folder."""
        try:
            for folder, _, names in os.walk(self._root / FACTS_FOLDER, onerror=_raise_unless_missing):
                yield from (Path(folder, name) for name in names if name.endswith(".jsonl"))
        except OSError as problem:
            raise self._ledger_error("read", problem) from None

    def _read_contents(self, paths: Iterable[Path]) -> dict[str, bytes]:
        try:
            return {self._relative_path(path): path.read_bytes() for path in paths if path.is_file()}
        except OSError as problem:
            raise self._ledger_error("read", problem) from None

    def _relative_path(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def write(self, snapshot: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:  # noqa: ARG002
        """See Storage. Files are written in the order of `changes`.

        Raises:
            LedgerError: if the folder cannot be written, or another run holds its lock for 30 seconds.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with file_lock(self._root / _LOCK_FILE, _LOCK_TIMEOUT_SECONDS):
                if self._read_sequence() != snapshot.sequence or self._is_half_written(snapshot, changes):
                    return None
                return self._apply(snapshot, changes)
        except TimeoutError:
            raise LedgerError(
                f"{self.name}: another run has locked it for {_LOCK_TIMEOUT_SECONDS} s, so nothing was written; "
                "run this again later"
            ) from None
        except OSError as problem:
            raise self._ledger_error("written", problem) from None

    def _is_half_written(self, snapshot: Snapshot, changes: Mapping[str, bytes]) -> bool:
        """Return whether a run wrote one of these files and was killed before it wrote the sequence.

        The checkpoint counts too: it is removed first, as a sign that facts of checkpointed months change.
        """
        primary_paths = (path for path in changes if is_primary_data(path) or path == CHECKPOINT_FILE)
        return any(_content_or_empty(self._root / path) != snapshot.files.get(path, b"") for path in primary_paths)

    def blob_ids(self, snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        """See Storage.

        Raises:
            LedgerError: if the folder cannot be read.
        """
        files = (file for listed_path in paths for file in self._files_at(listed_path))
        return {path: git_blob_sha(content) for path, content in self._read_contents(files).items()}

    def _files_at(self, listed_path: str) -> Iterator[Path]:
        path = self._root / listed_path
        yield from sorted(path.rglob("*.json")) if listed_path.endswith("/") else (path,)

    def has_changed_since(self, snapshot: Snapshot) -> bool:
        return self._read_sequence() != snapshot.sequence

    def _apply(self, snapshot: Snapshot, changes: Mapping[str, bytes]) -> Snapshot:
        """Write the files. The old checkpoint is removed first: a run killed here leaves none, not a wrong one."""
        sequence, changes = with_next_sequence(snapshot.sequence, changes)
        if CHECKPOINT_FILE in changes:
            _replace_file(self._root / CHECKPOINT_FILE, b"")
        for path, content in changes.items():
            _replace_file(self._root / path, content)
        return snapshot.with_changes(changes, sequence)

    def _written_at(self) -> datetime | None:
        """Return when the metrics were last computed, None if never."""
        try:
            return datetime.fromtimestamp((self._root / METRICS_FILE).stat().st_mtime, UTC)
        except OSError:
            return None

    def _read_sequence(self) -> int:
        try:
            return parse_sequence((self._root / SEQUENCE_FILE).read_bytes())
        except FileNotFoundError:
            return 0
        except OSError as problem:
            raise self._ledger_error("read", problem) from None

    def _ledger_error(self, participle: str, problem: OSError) -> LedgerError:
        return LedgerError(
            f"{self.name}: cannot be {participle} ({problem.strerror}); check the path and its permissions"
        )


@contextmanager
def file_lock(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold an exclusive lock on a file, which is created if it is missing and stays afterwards.

    Raises:
        TimeoutError: if another process holds the lock until the timeout.
        OSError: if the file cannot be created.
    """
    deadline = time.monotonic() + timeout_seconds
    with path.open("a+b") as file:
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(_LOCK_RETRY_SECONDS)
        yield  # closing the file releases the lock


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _raise_unless_missing(problem: OSError) -> None:
    if not isinstance(problem, FileNotFoundError):
        raise problem


def _content_or_empty(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically, or remove it if `content` is empty."""
    if not content:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")  # a fixed name, so killed runs leave at most one such file
    try:
        _write_synced(temporary, content)
        temporary.chmod(0o644)  # the container writes as root; other steps of the job must be able to read
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _write_synced(path: Path, content: bytes) -> None:
    """Write a file, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
