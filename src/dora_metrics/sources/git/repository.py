"""Runs git on a repository that is not trusted, and finds out the repository's name.

No repository can make git run another program, write, or reach the network: what its configuration could start is
switched off, and so is what git does by itself, such as fetching objects that a partial clone lacks, taking locks or
starting a pager. Only plumbing commands are used; `log.*` settings do not affect them.
"""

import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import NamedTuple

from dora_metrics.core.facts import ids
from dora_metrics.errors import GitError
from dora_metrics.sources.paths import is_folder

_CHUNK_BYTES = 1 << 18

_SAFE_CONFIG = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.sshCommand=false",
    "credential.helper=",
    "diff.external=",
    "log.showSignature=false",
    "submodule.recurse=false",  # otherwise `grep` opens `.gitmodules`, maybe a pipe
)

_REPOSITORY_VARIABLES = frozenset({
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_REPLACE_REF_BASE",
})  # fmt: skip
"""Variables that point git to another repository, set inside a hook for example (`git rev-parse --local-env-vars`)."""

_SAFE_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",  # also prevents lazy fetches by git before 2.45, which lacks GIT_NO_LAZY_FETCH
    "GIT_FLUSH": "0",  # otherwise `rev-list` flushes after each commit, which takes as long as reading it
    "GIT_GRAFT_FILE": os.devnull,  # other parents than a commit has can make a history without an end
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",  # as above; whoever may push can add such refs, and a mirror has them
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",  # messages are matched below
}


_MAX_PLACES = 50_000
"""Folders, and files that refer to folders, in which pipes are looked for."""
_MAX_REFERENCES = 1_000
"""Lines of an `alternates` file."""
_MAX_REFERENCE_BYTES = 100_000
_REFERRING_NAMES = frozenset({"alternates", "commondir"})
_OBJECT_FOLDER = re.compile("info|pack|[0-9a-f]{2}")

MAX_SILENCE_SECONDS = 300
"""How long git may show nothing. A walk through the largest public histories begins after a few seconds."""


class Git:
    """A repository, for reading."""

    def __init__(
        self, path: str, environment: Mapping[str, str], max_silence_seconds: float = MAX_SILENCE_SECONDS
    ) -> None:
        """Open a repository.

        Args:
            path: a folder in it.
            environment: the process's, with PATH, HOME and the user's git settings.
            max_silence_seconds: how long git may show nothing before it is stopped.

        Raises:
            GitError: if there is no such folder, or if git would wait for a pipe or a device in it.
        """
        if not is_folder(path):
            raise GitError(f"{path}: no such folder; --git takes a checkout, a bare repository or a mirror")
        if special_file := _first_special_file(Path(path)):
            raise GitError(
                f"{special_file}: this is a pipe or a device, for which git would wait; remove it, or the link to it"
            )
        self.path = path
        self._max_silence_seconds = max_silence_seconds
        config_options = (argument for setting in _SAFE_CONFIG for argument in ("-c", setting))
        self._command = ("git", "--no-pager", *config_options, "-C", path)
        inherited = {name: value for name, value in environment.items() if name not in _REPOSITORY_VARIABLES}
        self._environment = {**inherited, **_SAFE_ENVIRONMENT}

    def read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return the output of a git command; `stdin` is its input.

        Raises:
            GitError: if git fails; the message says why and what to do.
        """
        return b"".join(self.stream(*arguments, stdin=stdin))

    def stream(self, *arguments: str, stdin: bytes = b"") -> Iterator[bytes]:
        """Yield the output of a git command in chunks while git is working.

        `stdin` reaches git as a file: while a pipe is written, nobody would read what git answers meanwhile.

        Raises:
            GitError: if git fails or falls silent, possibly after some output.
        """
        with TemporaryFile() as stdin_file, TemporaryFile() as stderr:
            stdin_file.write(stdin)
            stdin_file.seek(0)
            try:
                process = subprocess.Popen(
                    [*self._command, *arguments],
                    stdin=stdin_file,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=self._environment,
                )
            except OSError as problem:
                raise GitError(_GIT_NOT_INSTALLED.format(problem.strerror)) from None
            with process:
                watchdog = _Watchdog(process, self._max_silence_seconds)
                try:
                    yield from _read_chunks(process, watchdog)
                finally:
                    process.kill()  # no effect if it has ended
            if watchdog.has_killed:
                raise GitError(_GIT_IS_SILENT.format(self.path, self._max_silence_seconds))
            stderr.seek(0)
            if process.returncode:
                raise GitError(self._describe_failure(stderr.read().decode("utf-8", "replace")))

    def _describe_failure(self, stderr_text: str) -> str:
        if "not a git repository" in stderr_text:
            return f"{self.path}: not a git repository; --git takes a checkout, a bare repository or a mirror"
        if "dubious ownership" in stderr_text:
            match = re.search(r"safe\.directory (.+)", stderr_text)
            return _DUBIOUS_OWNERSHIP.format(self.path, match[1].strip() if match else self.path)
        messages = re.findall(r"^(?:fatal|error): (.+)$", stderr_text, re.MULTILINE)
        return f"{self.path}: git cannot read it: {' / '.join(messages[:3]) or 'it gives no reason'}"


def _first_special_file(path: Path) -> Path | None:
    """Return a file in the data folders of the repository around `path` whose reading may never end."""
    for folder in (path, *path.resolve().parents):
        if os.path.lexists(folder / ".git"):
            return next(filter(_is_endless, _data_files(folder / ".git")), None)
        if _is_bare(folder):
            return next(filter(_is_endless, _data_files(folder)), None)
    return None


def _is_bare(folder: Path) -> bool:
    return is_folder(folder / "objects") and is_folder(folder / "refs") and os.path.lexists(folder / "HEAD")


def _data_files(start: Path) -> Iterator[Path]:
    """Yield the files that git may read in a repository: of its data folder, and of those that this one refers to.

    A worktree and a submodule refer to theirs by a file `.git` and by `commondir`, a clone with shared objects by
    `alternates`. What cannot be looked at is passed over, as git passes over it or reports it. So is what lies beyond
    the bounds: if git waits for it, its silence is noticed.
    """
    pending, visited = [start], set[tuple[int, int]]()
    for _ in range(_MAX_PLACES):
        if not pending:
            return
        place = pending.pop()
        if (identity := _identity(place)) is None or identity in visited:
            continue
        visited.add(identity)
        if not is_folder(place):
            yield place
            pending += _references(place)
            continue
        folders, files = _names_in(place)
        pending += (place / name for name in (*folders, *_REFERRING_NAMES.intersection(files)))
        yield from (place / name for name in files if name not in _REFERRING_NAMES)


def _identity(place: Path) -> tuple[int, int] | None:
    """Return what a path leads to, None if that is nothing or cannot be reached."""
    try:
        status = place.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _names_in(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the folders and of the files in a folder, links included; none if it cannot be listed."""
    _, folders, files = next(os.walk(folder), ("", [], []))
    return folders, files


def _references(file: Path) -> list[Path]:
    """Return the folders with data that a file `.git`, `commondir` or `alternates` names, as git understands it."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_REFERENCE_BYTES)
    except OSError:
        return []
    if file.name == "alternates":
        stores = (file.parent.parent / os.fsdecode(line) for line in content.split(b"\n")[:_MAX_REFERENCES] if line)
        return [folder for store in stores for folder in _object_folders(store)]
    target = file.parent / os.fsdecode(content.removeprefix(b"gitdir: ").rstrip(b"\r\n"))
    return [target] if any(os.path.lexists(target / name) for name in ("HEAD", "objects")) else []


def _object_folders(store: Path) -> list[Path]:
    """Return the folders in which git looks for objects; a line of `alternates` may name any folder."""
    return [store / name for name in _names_in(store)[0] if _OBJECT_FOLDER.fullmatch(name)]


def _is_endless(path: Path) -> bool:
    """Whether a file is a pipe or a device. A socket is not: git's own file monitor has one, and opening it fails."""
    try:
        mode = path.stat().st_mode
    except OSError:  # a link to nothing, or not accessible: git reports it
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


class _Watchdog:
    """Kills a process that leaves its reader waiting for too long."""

    def __init__(self, process: subprocess.Popen[bytes], max_silence_seconds: float) -> None:
        self._process = process
        self._max_silence_seconds = max_silence_seconds
        self.has_killed = False

    def _kill(self) -> None:
        self.has_killed = True
        self._process.kill()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Watch while the process is waited for."""
        timer = Timer(self._max_silence_seconds, self._kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _read_chunks(process: subprocess.Popen[bytes], watchdog: _Watchdog) -> Iterator[bytes]:
    if process.stdout is None:
        raise AssertionError
    with watchdog.waiting():
        chunk = process.stdout.read(_CHUNK_BYTES)
    while chunk:
        yield chunk
        with watchdog.waiting():
            chunk = process.stdout.read(_CHUNK_BYTES)
    with watchdog.waiting():
        process.wait()


_GIT_NOT_INSTALLED = "git: cannot be started ({}); `report --git` needs it: install git and add it to the PATH"
_GIT_IS_SILENT = (
    "{}: git wrote nothing for {:g} s and was stopped; look for a pipe or a device that its settings or alternates "
    "name, or for a disk that does not answer"
)
_DUBIOUS_OWNERSHIP = (
    "{}: the repository belongs to another user, so git does not read it. If you trust it, run: "
    "git config --global --add safe.directory {}"
)


@dataclass(frozen=True)
class RepositoryIdentity:
    """What a repository is called.

    Attributes:
        repository: `owner/name` from the remote `origin`, otherwise `local/` and the folder's name.
        is_from_remote: whether the name comes from `origin`.
        web_url: address of its pages on GitHub, None for other hosts.
        host: host of `origin`.
        https_port: its port in an address with https; None for other addresses, whose ports are not those of pages.
    """

    repository: str
    is_from_remote: bool
    web_url: str | None = None
    host: str | None = None
    https_port: int | None = None

    def pull_request_id(self, number: int) -> str:
        """Return the fact id of a pull request."""
        return ids.pull_request(self.repository, number)

    def page_url(self, kind: str, name: object) -> str | None:
        """Return the address of a page such as `pull/7`, None if GitHub has none."""
        return f"{self.web_url}/{kind}/{name}" if self.web_url else None


@dataclass(frozen=True)
class GitDirectory:
    """A repository's data folder (`.git`), and the commits at which a shallow history ends."""

    folder: Path
    shallow_shas: frozenset[str]


def git_directory(git: Git) -> GitDirectory:
    """Find the data folder of a repository.

    Raises:
        GitError: if it is not a repository that git can read.
    """
    output = git.read("rev-parse", "--is-shallow-repository", "--git-common-dir")
    is_shallow, _, common_dir = os.fsdecode(output).partition("\n")
    folder = (Path(git.path) / common_dir.removesuffix("\n")).resolve()
    return GitDirectory(folder, _shallow_shas(folder / "shallow") if is_shallow == "true" else frozenset())


def _shallow_shas(file: Path) -> frozenset[str]:
    try:
        return frozenset(file.read_bytes().decode("ascii", "replace").split())
    except OSError as problem:
        raise GitError(f"{file}: cannot be read ({problem.strerror})") from None


def identify_repository(git: Git, folder: Path) -> RepositoryIdentity:
    """Return the name from the remote `origin`, without any password in its address."""
    try:
        origin = git.read("remote", "get-url", "--", "origin").decode("utf-8", "replace").strip()
    except GitError:  # no such remote
        origin = ""
    address = _parse_address(origin)
    if not address:
        return RepositoryIdentity(f"local/{_folder_name(folder)}", is_from_remote=False)
    host, name = _GITHUB_COM_ALIAS.sub("github.com", address.host.lower()), address.name
    web_url = f"{https_url(host, address.https_port)}/{name}" if _GITHUB_HOST.fullmatch(host) else None
    return RepositoryIdentity(name, is_from_remote=True, web_url=web_url, host=host, https_port=address.https_port)


def https_url(host: str, port: int | None) -> str:
    """Return the address of a host's pages; without a port they are at the usual one."""
    return f"https://{host}" if port in (None, _HTTPS_PORT) else f"https://{host}:{port}"


_HTTPS_PORT = 443


class _Address(NamedTuple):
    """Where a remote is: its host, `owner/name` there, and its port if the address has https."""

    host: str
    name: str
    https_port: int | None


def _parse_address(text: str) -> _Address | None:
    """Read the address of a remote, `https://host/owner/name.git` or `git@host:owner/name`; None for any other text.

    By code, not by one pattern: a pattern for all of it takes very long for some texts, and strangers choose them.
    """
    if len(text) > _MAX_ADDRESS_LENGTH or "\n" in text:
        return None
    https_port = None
    scheme, separator, rest = text.partition("://")
    if separator and scheme in _REMOTE_SCHEMES:
        authority, _, path = rest.partition("/")
        host, colon, port = authority.rpartition("@")[2].partition(":")
        is_valid = _is_word(host) and (not colon or bool(_PORT.fullmatch(port)))
        https_port = int(port or _HTTPS_PORT) if is_valid and scheme == "https" else None
    else:
        place, _, path = text.partition(":")
        user, at_sign, host = place.rpartition("@")
        is_user_valid = not at_sign or (user != "" and not set("@/") & set(user))
        is_valid = is_user_valid and _is_word(host) and len(host) > 1 and not path.startswith("//")
    name = _repository_name(path)
    return _Address(host, name, https_port) if is_valid and name else None


def _repository_name(path: str) -> str | None:
    """Return the last two parts of a path, without the suffix `.git`; None if there are no two."""
    owner, _, name = "/".join(path.rstrip("/").split("/")[-2:]).partition("/")
    name = name if name == ".git" else name.removesuffix(".git")
    return f"{owner}/{name}" if _is_word(owner) and _is_word(name) else None


def _is_word(text: str) -> bool:
    return bool(_WORD.fullmatch(text))


_MAX_ADDRESS_LENGTH = 2_000
_REMOTE_SCHEMES = frozenset({"http", "https", "ssh", "git", "git+ssh"})
_PORT = re.compile(r"\d+", re.ASCII)
_WORD = re.compile(r"[\w.-]+", re.ASCII)
_GITHUB_COM_ALIAS = re.compile(r"^(?:(?:ssh|www)\.github\.com|github\.com-[\w-]+)$")
"""Other hosts of github.com, and aliases that people define in ssh's configuration to choose a key."""
_GITHUB_HOST = re.compile(r"github\.com|github\.[\w.-]+|[\w-]+\.ghe\.com")


def _folder_name(folder: Path) -> str:
    """Return the name of the folder that holds `.git`, or of a bare repository without its suffix."""
    name = folder.parent.name if folder.name == ".git" else folder.name.removesuffix(".git")
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "repository"
