"""The program git, asked in a way that no repository can make it run another program, write, or reach the network.

What a repository's own configuration could start is switched off, and so is what git could do of itself: fetch the
objects that a partial clone lacks, take locks, start a pager. Only plumbing is asked, which obeys no `log.*` setting.

What a repository is called: `owner/name` from where it was cloned, else `local/` and its folder's name.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from dora_metrics.errors import GitError

_PIECE = 1 << 18

_HARMLESS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.sshCommand=false",
    "credential.helper=",
    "diff.external=",
    "log.showSignature=false",
)

_OF_ANOTHER_REPOSITORY = frozenset({
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_REPLACE_REF_BASE",
})  # fmt: skip
"""Set inside a hook, say, and then about the repository that this runs in: see `git rev-parse --local-env-vars`."""

_CAREFUL = {
    "GIT_ALLOW_PROTOCOL": "none",  # also forbids the fetches that git before 2.45, without the next one, would do
    "GIT_FLUSH": "0",  # else `rev-list` writes each commit by itself, which takes as long as reading it
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",  # its messages are read below
}


class Git:
    """One repository, read only."""

    def __init__(self, place: str, environment: Mapping[str, str]) -> None:
        """`environment` is the process's: PATH, HOME and the user's own settings of git come from there.

        Raises:
            GitError: if there is no such folder.
        """
        if not _is_folder(place):
            raise GitError(f"{place}: there is no such folder; --git names a checkout, a bare repository or a mirror")
        self.place = place
        settings = (part for one in _HARMLESS for part in ("-c", one))
        self._command = ("git", "--no-pager", *settings, "-C", place)
        kept = {name: value for name, value in environment.items() if name not in _OF_ANOTHER_REPOSITORY}
        self._environment = {**kept, **_CAREFUL}

    def read(self, *arguments: str, given: bytes = b"") -> bytes:
        """What git says.

        Raises:
            GitError: if it fails, with why and what to do.
        """
        return b"".join(self.stream(*arguments, given=given))

    def stream(self, *arguments: str, given: bytes = b"") -> Iterator[bytes]:
        """The same piece by piece, while git is still working; `given` is its standard input, which it reads first.

        Raises:
            GitError: if it fails, also after it has said something.
        """
        with TemporaryFile() as complaints:
            try:
                process = subprocess.Popen(
                    [*self._command, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    env=self._environment,
                )
            except OSError as problem:
                raise GitError(_NO_GIT.format(problem.strerror)) from None
            with process:
                try:
                    yield from _pieces(process, given)
                finally:
                    process.kill()  # of a process that has ended nothing is left to kill
            complaints.seek(0)
            if process.returncode:
                raise GitError(self._worded(complaints.read().decode("utf-8", "replace")))

    def _worded(self, complaint: str) -> str:
        if "not a git repository" in complaint:
            return f"{self.place}: not a git repository; --git names a checkout, a bare repository or a mirror"
        if "dubious ownership" in complaint:
            named = re.search(r"safe\.directory (.+)", complaint)
            return _NOT_YOURS.format(self.place, named[1].strip() if named else self.place)
        fatal = re.findall(r"^(?:fatal|error): (.+)$", complaint, re.MULTILINE)
        return f"{self.place}: git cannot read it: {' / '.join(fatal[:3]) or 'it does not say why'}"


def _is_folder(place: str) -> bool:
    try:
        return Path(place).is_dir()
    except (OSError, ValueError):  # one that this user may not look into, or no name that a file can have
        return False


def _pieces(process: subprocess.Popen[bytes], given: bytes) -> Iterator[bytes]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError
    with suppress(BrokenPipeError):  # git has ended already, and says why
        process.stdin.write(given)
    with suppress(BrokenPipeError):
        process.stdin.close()
    while piece := process.stdout.read(_PIECE):
        yield piece
    process.wait()


_NO_GIT = "git: the program cannot be started ({}); `report --git` reads a repository with it: install git, on the PATH"
_NOT_YOURS = (
    "{}: the repository belongs to another user, and git reads such a one only where you say that you trust it: "
    "git config --global --add safe.directory {}"
)


@dataclass(frozen=True)
class Project:
    """A name, whether it is more than a folder's, the address of its pages where GitHub has them, and origin's host."""

    repository: str
    known: bool
    web: str | None = None
    host: str | None = None

    def pull(self, number: int) -> str:
        """The id of a pull request."""
        return f"github:pull:{self.repository}#{number}"

    def page(self, kind: str, name: object) -> str | None:
        return f"{self.web}/{kind}/{name}" if self.web else None


@dataclass(frozen=True)
class Place:
    """Where a repository keeps its data, and the commits at which its history is cut off."""

    folder: Path
    cut: frozenset[str]


def place(git: Git) -> Place:
    """The place of a repository.

    Raises:
        GitError: if it is no repository that git reads.
    """
    said = git.read("rev-parse", "--is-shallow-repository", "--git-common-dir")
    shallow, _, where = os.fsdecode(said).partition("\n")
    folder = (Path(git.place) / where.removesuffix("\n")).resolve()
    return Place(folder, frozenset((folder / "shallow").read_text("ascii").split() if shallow == "true" else ()))


def project(git: Git, folder: Path) -> Project:
    """The name by the remote `origin`; passwords in its address are not kept."""
    try:
        origin = git.read("remote", "get-url", "--", "origin").decode("utf-8", "replace").strip()
    except GitError:  # there is no such remote
        origin = ""
    found = _URL.fullmatch(origin) or _SCP.fullmatch(origin)
    if not found:
        return Project(f"local/{_local(folder)}", known=False)
    host, name = _PUBLIC.sub("github.com", found["host"].lower()), found["name"]
    return Project(name, known=True, web=f"https://{host}/{name}" if _GITHUB.fullmatch(host) else None, host=host)


_NAME = r"(?:.*/)?(?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/*"
_URL = re.compile(rf"(?:https?|ssh|git|git\+ssh)://(?:[^/]*@)?(?P<host>[\w.-]+)(?::\d+)?/+{_NAME}", re.ASCII)
_SCP = re.compile(rf"(?:[^@/:]+@)?(?P<host>[\w.-]{{2,}}):(?!//)/*{_NAME}", re.ASCII)
_PUBLIC = re.compile(r"^(?:(?:ssh|www)\.github\.com|github\.com-[\w-]+)$")
"""Other hosts of github.com, and what people call it in ssh's configuration to choose a key."""
_GITHUB = re.compile(r"github\.com|github\.[\w.-]+|[\w-]+\.ghe\.com")


def _local(folder: Path) -> str:
    """The folder that holds `.git`, or a bare repository's own."""
    name = folder.parent.name if folder.name == ".git" else folder.name.removesuffix(".git")
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "repository"
