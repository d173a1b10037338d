"""`ledger: dir:PATH`: a folder, for local runs, tests and runners that keep a disk or a cache.

One process at a time writes to a folder. The lock is the operating system's, so it ends with the process that holds it.
The filelock package would do the same, but it imports asyncio, which costs a quarter of a run's start-up time.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from dora_metrics.core.ledger.layout import (
    ALL_MONTHS,
    BADGES_FOLDER,
    CHECKPOINT_FILE,
    CHECKPOINT_FILES,
    DERIVED_FILES,
    NEW_CHECKPOINT_FILE,
    ROOT_FILES,
    SEQUENCE_FILE,
    MonthSelection,
    git_blob_sha,
)
from dora_metrics.core.ledger.month_files import FACTS_FOLDER, changes_one_by_one, month_of_path
from dora_metrics.core.ledger.snapshot import Snapshot, is_primary_data, parse_sequence, with_next_sequence
from dora_metrics.errors import LedgerError
from dora_metrics.storage.folder import Folder

_LOCK_FILE = ".lock"
_LOCK_TIMEOUT_SECONDS = 30
_LOCK_RETRY_SECONDS = 0.02

_FACTS, _BADGES = FACTS_FOLDER.rstrip("/"), BADGES_FOLDER.rstrip("/")
_UNFINISHED = b"{}\n"
_PLACEHOLDERS = frozenset({_LOCK_FILE, ".git", ".gitignore", ".gitkeep"})


class DirectoryStorage:
    """A ledger in a folder. Each file is replaced as a whole, so a killed run leaves the old or the new content."""

    is_persistent = True

    def __init__(self, root: Path) -> None:
        self._folder = Folder(root)

    @property
    def name(self) -> str:
        return self._folder.name

    def read(self, months: MonthSelection = ALL_MONTHS) -> Snapshot:
        """See Storage. A link in a place of the ledger refuses it as a whole, wherever the link leads.

        Raises:
            LedgerError: if the folder cannot be read, or holds links.
        """
        with self._as_ledger_error("read"):
            sequence = self._read_sequence()  # first, so that a concurrent write looks newer than this snapshot
            self._refuse_irregular()
            folders = self._list_folders()  # before the README, which is the first file of a new ledger
            files = self._read_contents(name for name in ROOT_FILES if name != SEQUENCE_FILE)
            snapshot = Snapshot(files, sequence, folders=folders)
            return self.read_more(snapshot, months)

    def read_more(self, snapshot: Snapshot, months: MonthSelection) -> Snapshot:
        """See Storage. The result may contain later writes of other runs; then `write` refuses.

        Raises:
            LedgerError: if the folder cannot be read, or holds links.
        """
        with self._as_ledger_error("read"):
            paths = [path for path in self._paths_below(_FACTS) if path.endswith(".jsonl")]
            selected = (path for path in paths if months.includes(month_of_path(path)) and path not in snapshot.files)
            return replace(snapshot, files={**snapshot.files, **self._read_contents(selected)}, months=months)

    def _refuse_irregular(self) -> None:
        """Accept the places that runs read and write. Facts are looked at when they are listed.

        Raises:
            LedgerError: if a link, a pipe or a device is in one of them.
        """
        self._folder.refuse_irregular((*ROOT_FILES, *DERIVED_FILES, _FACTS, _BADGES, _LOCK_FILE))
        deque(self._folder.walk(_BADGES), maxlen=0)

    def _list_folders(self) -> dict[str, tuple[str, ...]]:
        """Return what is in the folder, and the files in each folder of facts, apart from empty folders.

        Raises:
            LedgerError: if a folder has the name of a file of facts, whose facts would be missing without a word.
        """
        names = tuple(name for name in self._folder.names() if not _is_placeholder(name))
        folders = {"": names, **dict(self._folder.walk(_FACTS))}
        for path in folders:
            if path.endswith(".jsonl"):
                raise self._folder.refusal(path, "is a folder in the place of a file of facts; remove it")
        return {path: names for path, names in folders.items() if names}

    def _paths_below(self, folder: str) -> Iterator[str]:
        return (f"{path}/{name}" for path, names in self._folder.walk(folder) for name in names)

    def _read_contents(self, paths: Iterable[str]) -> dict[str, bytes]:
        contents = ((path, self._folder.read(path)) for path in paths)
        return {path: content for path, content in contents if content is not None}

    def write(self, snapshot: Snapshot, changes: Mapping[str, bytes], message: str) -> Snapshot | None:  # noqa: ARG002
        """See Storage. Files are written in the order of `changes`, but facts files gain lines before any loses one.

        Raises:
            LedgerError: if the folder cannot be written, or another run holds its lock for 30 seconds.
        """
        with self._as_ledger_error("written"), self._lock():
            if self._read_sequence() != snapshot.sequence or self._is_half_written(snapshot, changes):
                return None
            return self._apply(snapshot, changes)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the folder's lock. Its file stays afterwards."""
        self._folder.make()
        with self._folder.opened_file(_LOCK_FILE, os.O_RDWR | os.O_CREAT) as file:
            if not _is_locked_within(file, _LOCK_TIMEOUT_SECONDS):
                problem = f"another run has held it for {_LOCK_TIMEOUT_SECONDS} s; it is not written"
                raise LedgerError(f"{self.name}: {problem}")
            yield  # closing the file releases the lock

    def _is_half_written(self, snapshot: Snapshot, changes: Mapping[str, bytes]) -> bool:
        """Return whether a run wrote one of these files and was killed before it wrote the sequence.

        The checkpoint counts too: it is made invalid first, as a sign that facts of checkpointed months change.
        """
        primary_paths = [path for path in changes if is_primary_data(path) or path in CHECKPOINT_FILES]
        contents = self._read_contents(primary_paths)
        return any(contents.get(path, b"") != snapshot.files.get(path, b"") for path in primary_paths)

    def blob_ids(self, snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        """See Storage.

        Raises:
            LedgerError: if the folder cannot be read.
        """
        with self._as_ledger_error("read"):
            files = (file for listed_path in paths for file in self._paths_at(listed_path))
            contents = ((file, self._folder.read(file)) for file in files)
            return {file: git_blob_sha(content) for file, content in contents if content is not None}

    def _paths_at(self, listed_path: str) -> Iterable[str]:
        return self._paths_below(listed_path.rstrip("/")) if listed_path.endswith("/") else (listed_path,)

    def has_changed_since(self, snapshot: Snapshot) -> bool:
        """See Storage.

        Raises:
            LedgerError: if the folder cannot be read.
        """
        with self._as_ledger_error("read"):
            return self._read_sequence() != snapshot.sequence

    def _apply(self, snapshot: Snapshot, changes: Mapping[str, bytes]) -> Snapshot:
        """Write the files. The old checkpoint is made invalid first: a run killed here leaves none, not a wrong one."""
        sequence, changes = with_next_sequence(snapshot.sequence, changes)
        if CHECKPOINT_FILE in changes:
            self._folder.remove(CHECKPOINT_FILE)
        elif NEW_CHECKPOINT_FILE in changes:
            self._folder.replace(NEW_CHECKPOINT_FILE, _UNFINISHED)
        for path, content in changes_one_by_one(changes, snapshot.files):
            if content:
                self._folder.replace(path, content)
            else:
                self._folder.remove(path)
        return snapshot.with_changes(changes, sequence)

    def _read_sequence(self) -> int:
        return parse_sequence(self._folder.read(SEQUENCE_FILE) or b"")

    @contextmanager
    def _as_ledger_error(self, participle: str) -> Iterator[None]:
        """Turn the system's errors into a LedgerError; `participle` completes "cannot be ..."."""
        try:
            yield
        except OSError as problem:
            raise LedgerError(
                f"{self.name}: cannot be {participle} ({problem.strerror}); check the path and its permissions"
            ) from None


def _is_placeholder(name: str) -> bool:
    """Whether a name does not count as content: git's, the lock, or a file that a killed run was writing."""
    return name in _PLACEHOLDERS or (name.startswith(".") and name.endswith(".new"))


def _is_locked_within(file: BinaryIO, timeout_seconds: float) -> bool:
    """Take an exclusive lock on a file, which lasts until it is closed; False if another process keeps it."""
    deadline = time.monotonic() + timeout_seconds
    while not _try_lock(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOCK_RETRY_SECONDS)
    return True


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
