"""The files below one folder, reached without following links.

A checkout may bring links into a ledger's folder: to the runner's secrets, to files outside, to a device that never
ends. So each name is opened relative to the folder that holds it, and nothing but folders and regular files is opened.
Where the system has no such calls (Windows), each name on the way is looked at first.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from dora_metrics.errors import LedgerError

MAX_FILE_BYTES = 100_000_000
"""Of a file that is read. GitHub takes no larger one either."""

_MAX_DEPTH = 30
"""Of folders in folders. Each is opened by way of all above it."""

_LINK = "is a link, which could lead out of the folder; remove it, or put the file itself in its place"
_NOT_REGULAR = "is a pipe, a socket or a device; remove it"
_TOO_DEEP = f"is more than {_MAX_DEPTH} folders deep; remove it"
_TOO_LARGE = f"is larger than {MAX_FILE_BYTES:,} bytes, so a run did not write it; remove it"


class _Position(NamedTuple):
    """An open folder.

    Attributes:
        path: its path.
        descriptor: what the names in it are relative to; None where the system knows no such names.
    """

    path: Path
    descriptor: int | None

    def at(self, name: str) -> str:
        """Return a name in this folder as calls with `dir_fd=descriptor` take it."""
        return str(self.path / name) if self.descriptor is None else name

    @property
    def listed(self) -> Path | int:
        """This folder as `os.scandir` takes it."""
        return self.path if self.descriptor is None else self.descriptor

    def make(self, name: str) -> None:
        """Make a folder, unless something has this name."""
        with suppress(FileExistsError):
            os.mkdir(self.at(name), dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a file, or a link itself; it may be missing."""
        with suppress(FileNotFoundError):
            os.unlink(self.at(name), dir_fd=self.descriptor)

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, in place of the file that has it."""
        os.replace(self.at(name), self.at(new_name), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def open(self, name: str, flags: int) -> int:
        """Open a file without following a link, and without waiting for the other end of a pipe."""
        return os.open(self.at(name), flags | _flags("NOFOLLOW", "NONBLOCK", "BINARY"), 0o666, dir_fd=self.descriptor)


class _Entry(NamedTuple):
    """What a folder holds under a name."""

    name: str
    is_folder: bool
    is_file: bool


class Folder:
    """Reads and replaces files below a folder. The folder itself may be a link; paths below it have slashes.

    A link, a device, or a file of another kind raises LedgerError. Whatever else goes wrong raises OSError.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """The folder as messages name it."""
        return f"dir:{self._root}"

    def make(self) -> None:
        """Make the folder itself, unless it is there."""
        self._root.mkdir(parents=True, exist_ok=True)

    def names(self) -> tuple[str, ...]:
        """Return what is in the folder itself; nothing if it is missing."""
        return tuple(entry.name for entry in self._scan(""))

    def walk(self, folder: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the path of each folder from this one down, with the names of the files in it.

        Raises:
            LedgerError: if there is anything but folders and regular files, or folders that are too deep.
            OSError: if a folder cannot be read.
        """
        pending = [folder]
        while pending:
            current = pending.pop()
            if current.count("/") > _MAX_DEPTH:
                raise self.refusal(current, _TOO_DEEP)
            entries = self._scan(current)
            others = (entry.name for entry in entries if not entry.is_folder and not entry.is_file)
            self.refuse_irregular(f"{current}/{name}" for name in others)
            pending += [f"{current}/{entry.name}" for entry in entries if entry.is_folder]
            yield current, tuple(entry.name for entry in entries if not entry.is_folder)

    def refuse_irregular(self, paths: Iterable[str]) -> None:
        """Accept these paths if each is missing, a folder or a regular file."""
        for path in paths:
            folder, _, name = path.rpartition("/")
            with suppress(FileNotFoundError), self._opened(folder) as position:
                self._look_at(position, name)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None if it is missing."""
        try:
            with self.opened_file(path, os.O_RDONLY) as file:
                size_bytes = os.fstat(file.fileno()).st_size
                if size_bytes > MAX_FILE_BYTES:
                    raise self.refusal(path, _TOO_LARGE)
                return file.read(size_bytes)
        except FileNotFoundError:
            return None

    @contextmanager
    def opened_file(self, path: str, flags: int) -> Iterator[BinaryIO]:
        """Open a regular file with the flags of `os.open`."""
        folder, _, name = path.rpartition("/")
        with self._opened(folder) as position:
            with suppress(FileNotFoundError):  # opening it says so, or makes it
                _refuse_folder(self._look_at(position, name))
            with os.fdopen(position.open(name, flags), "r+b" if flags & os.O_RDWR else "rb") as file:
                self._refuse_unusable(path, os.fstat(file.fileno()))  # it may have changed since
                yield file

    def replace(self, path: str, content: bytes) -> None:
        """Replace a file as a whole, and wait until it is on the disk. Missing folders are made."""
        self.replace_by_parts(path, (content,))

    def replace_by_parts(self, path: str, parts: Iterable[bytes]) -> None:
        """Replace a file as `replace` does, by content that need not be in memory as a whole."""
        folder, _, name = path.rpartition("/")
        temporary = f".{name}.new"  # a fixed name, so killed runs leave at most one such file
        with self._opened(folder, is_made=True) as position:
            try:
                position.remove(temporary)  # may be a link: it goes, and what it leads to stays
                _write_new_file(position, temporary, parts)
                position.rename(temporary, name)
            except OSError:
                position.remove(temporary)
                raise

    def remove(self, path: str) -> None:
        """Remove a file; it may be missing."""
        folder, _, name = path.rpartition("/")
        with suppress(FileNotFoundError), self._opened(folder) as position:
            position.remove(name)

    @contextmanager
    def _opened(self, folder: str, *, is_made: bool = False) -> Iterator[_Position]:
        """Open a folder by way of each folder above it; `is_made`: those that are missing are made."""
        with ExitStack() as stack:
            position = _Position(self._root, _open_folder(stack, str(self._root), None))
            for name in PurePosixPath(folder).parts:
                if is_made:
                    position.make(name)
                self._look_at(position, name)
                descriptor = _open_folder(stack, name, position.descriptor, _flags("NOFOLLOW"))
                position = _Position(position.path / name, descriptor)
            yield position

    def _scan(self, folder: str) -> list[_Entry]:
        """Return what is in a folder; nothing if it is missing."""
        try:
            with self._opened(folder) as position, os.scandir(position.listed) as entries:
                return [
                    _Entry(each.name, each.is_dir(follow_symlinks=False), each.is_file(follow_symlinks=False))
                    for each in entries
                ]
        except FileNotFoundError:
            return []

    def _look_at(self, position: _Position, name: str) -> os.stat_result:
        """Return the status of a folder or a regular file."""
        status = os.stat(position.at(name), dir_fd=position.descriptor, follow_symlinks=False)
        self._refuse_unusable((position.path / name).relative_to(self._root).as_posix(), status)
        return status

    def _refuse_unusable(self, path: str, status: os.stat_result) -> None:
        if stat.S_ISLNK(status.st_mode) or _is_junction(status):
            raise self.refusal(path, _LINK)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise self.refusal(path, _NOT_REGULAR)

    def refusal(self, path: str, problem: str) -> LedgerError:
        """Return why the folder cannot be used: the problem of something in it, and what to do."""
        printable = os.fsencode(path).decode("utf-8", "backslashreplace")
        return LedgerError(f"{self.name}: cannot be used: {printable} {problem}")


def _is_junction(status: os.stat_result) -> bool:
    """Whether it is Windows' other kind of link, which leads to a folder."""
    if sys.platform == "win32":
        return status.st_reparse_tag == stat.IO_REPARSE_TAG_MOUNT_POINT
    return False


def _refuse_folder(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _open_folder(stack: ExitStack, name: str, parent: int | None, flags: int = 0) -> int | None:
    """Open a folder until the stack is closed; None where names cannot be relative to it."""
    if os.open not in os.supports_dir_fd:
        return None
    descriptor = os.open(name, os.O_RDONLY | _flags("DIRECTORY") | flags, dir_fd=parent)
    stack.callback(os.close, descriptor)
    return descriptor


def _write_new_file(position: _Position, name: str, parts: Iterable[bytes]) -> None:
    """Write a file that is not there yet, and wait until it is on the disk."""
    with os.fdopen(position.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        if sys.platform != "win32":
            os.fchmod(file.fileno(), 0o644)  # the container writes as root; other steps of the job must be able to read
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _flags(*names: str) -> int:
    """Combine flags of `os.open`; the system may lack some of them."""
    return sum(getattr(os, f"O_{name}", 0) for name in names)
