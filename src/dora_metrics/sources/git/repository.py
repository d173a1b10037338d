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

from dora_metrics.core.facts import ids
from dora_metrics.errors import GitError

_CHUNK_BYTES = 1 << 18

_SAFE_CONFIG = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.sshCommand=false",
    "credential.helper=",
    "diff.external=",
    "log.showSignature=false",
)

_REPOSITORY_VARIABLES = frozenset({
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_REPLACE_REF_BASE",
})  # fmt: skip
"""Set inside a hook, say, and then about the repository that this runs in: see `git rev-parse --local-env-vars`."""

_SAFE_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",  # also forbids the fetches that git before 2.45, without the next one, would do
    "GIT_FLUSH": "0",  # else `rev-list` writes each commit by itself, which takes as long as reading it
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",  # its messages are read below
}


class Git:
    """One repository, read only."""

    def __init__(self, path: str, environment: Mapping[str, str]) -> None:
        """`environment` is the process's: PATH, HOME and the user's own settings of git come from there.

        Raises:
            GitError: if there is no such folder.
        """
        if not _is_folder(path):
            raise GitError(f"{path}: there is no such folder; --git names a checkout, a bare repository or a mirror")
        self.path = path
        config_options = (argument for setting in _SAFE_CONFIG for argument in ("-c", setting))
        self._command = ("git", "--no-pager", *config_options, "-C", path)
        inherited = {name: value for name, value in environment.items() if name not in _REPOSITORY_VARIABLES}
        self._environment = {**inherited, **_SAFE_ENVIRONMENT}

    def read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What git says.

        Raises:
            GitError: if it fails, with why and what to do.
        """
        return b"".join(self.stream(*arguments, stdin=stdin))

    def stream(self, *arguments: str, stdin: bytes = b"") -> Iterator[bytes]:
        """The same piece by piece, while git is still working; `given` is its standard input, which it reads first.

        Raises:
            GitError: if it fails, also after it has said something.
        """
        with TemporaryFile() as stderr:
            try:
                process = subprocess.Popen(
                    [*self._command, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=self._environment,
                )
            except OSError as problem:
                raise GitError(_GIT_NOT_INSTALLED.format(problem.strerror)) from None
            with process:
                try:
                    yield from _read_chunks(process, stdin)
                finally:
                    process.kill()  # of a process that has ended nothing is left to kill
            stderr.seek(0)
            if process.returncode:
                raise GitError(self._describe_failure(stderr.read().decode("utf-8", "replace")))

    def _describe_failure(self, stderr_text: str) -> str:
        if "not a git repository" in stderr_text:
            return f"{self.path}: not a git repository; --git names a checkout, a bare repository or a mirror"
        if "dubious ownership" in stderr_text:
            match = re.search(r"safe\.directory (.+)", stderr_text)
            return _DUBIOUS_OWNERSHIP.format(self.path, match[1].strip() if match else self.path)
        messages = re.findall(r"^(?:fatal|error): (.+)$", stderr_text, re.MULTILINE)
        return f"{self.path}: git cannot read it: {' / '.join(messages[:3]) or 'it does not say why'}"


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # one that this user may not look into, or no name that a file can have
        return False


def _read_chunks(process: subprocess.Popen[bytes], stdin: bytes) -> Iterator[bytes]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError
    with suppress(BrokenPipeError):  # git has ended already, and says why
        process.stdin.write(stdin)
    with suppress(BrokenPipeError):
        process.stdin.close()
    while chunk := process.stdout.read(_CHUNK_BYTES):
        yield chunk
    process.wait()


_GIT_NOT_INSTALLED = (
    "git: the program cannot be started ({}); `report --git` reads a repository with it: install git, on the PATH"
)
_DUBIOUS_OWNERSHIP = (
    "{}: the repository belongs to another user, and git reads such a one only where you say that you trust it: "
    "git config --global --add safe.directory {}"
)


@dataclass(frozen=True)
class RepositoryIdentity:
    """A name, whether it is more than a folder's, the address of its pages where GitHub has them, and origin's host."""

    repository: str
    is_from_remote: bool
    web_url: str | None = None
    host: str | None = None

    def pull_request_id(self, number: int) -> str:
        """The id of a pull request."""
        return ids.pull_request(self.repository, number)

    def page_url(self, kind: str, name: object) -> str | None:
        return f"{self.web_url}/{kind}/{name}" if self.web_url else None


@dataclass(frozen=True)
class GitDirectory:
    """Where a repository keeps its data, and the commits at which its history is cut off."""

    folder: Path
    shallow_shas: frozenset[str]


def git_directory(git: Git) -> GitDirectory:
    """The place of a repository.

    Raises:
        GitError: if it is no repository that git reads.
    """
    output = git.read("rev-parse", "--is-shallow-repository", "--git-common-dir")
    is_shallow_text, _, common_dir = os.fsdecode(output).partition("\n")
    folder = (Path(git.path) / common_dir.removesuffix("\n")).resolve()
    return GitDirectory(
        folder, frozenset((folder / "shallow").read_text("ascii").split() if is_shallow_text == "true" else ())
    )


def identify_repository(git: Git, folder: Path) -> RepositoryIdentity:
    """The name by the remote `origin`; passwords in its address are not kept."""
    try:
        origin = git.read("remote", "get-url", "--", "origin").decode("utf-8", "replace").strip()
    except GitError:  # there is no such remote
        origin = ""
    match = _REMOTE_URL.fullmatch(origin) or _SCP_ADDRESS.fullmatch(origin)
    if not match:
        return RepositoryIdentity(f"local/{_folder_name(folder)}", is_from_remote=False)
    host, name = _GITHUB_COM_ALIAS.sub("github.com", match["host"].lower()), match["name"]
    return RepositoryIdentity(
        name, is_from_remote=True, web_url=f"https://{host}/{name}" if _GITHUB_HOST.fullmatch(host) else None, host=host
    )


_NAME_PATTERN = r"(?:.*/)?(?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/*"
_REMOTE_URL = re.compile(
    rf"(?:https?|ssh|git|git\+ssh)://(?:[^/]*@)?(?P<host>[\w.-]+)(?::\d+)?/+{_NAME_PATTERN}", re.ASCII
)
_SCP_ADDRESS = re.compile(rf"(?:[^@/:]+@)?(?P<host>[\w.-]{{2,}}):(?!//)/*{_NAME_PATTERN}", re.ASCII)
_GITHUB_COM_ALIAS = re.compile(r"^(?:(?:ssh|www)\.github\.com|github\.com-[\w-]+)$")
"""Other hosts of github.com, and what people call it in ssh's configuration to choose a key."""
_GITHUB_HOST = re.compile(r"github\.com|github\.[\w.-]+|[\w-]+\.ghe\.com")


def _folder_name(folder: Path) -> str:
    """The folder that holds `.git`, or a bare repository's own."""
    name = folder.parent.name if folder.name == ".git" else folder.name.removesuffix(".git")
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "repository"
