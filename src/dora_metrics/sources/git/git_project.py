"""What a repository is called: `owner/name` from where it was cloned, else `local/` and its folder's name."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from dora_metrics.errors import GitError
from dora_metrics.sources.git.repository import Git


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
