"""What each tag was the first to bring: every commit is met once, whatever the number of tags.

A walk goes down the first parents before the others, and comes back up. So the oldest commits land first, and what a
merge's other parents bring is what its first parent does not reach.

The commits behind some tips, read in one go while git is still walking.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from dora_metrics.errors import GitError
from dora_metrics.sources.git.repository import Git

# Nothing of it needs a tree or a file, which a partial clone lacks. git ends each field of a text at a NUL, so that
# seven of them make a commit; `rev-list` writes the line `commit <sha>` before it.
_FORMAT = "%P%x00%at%x00%ct%x00%an%x00%ae%x00%ce%x00%B%x00"
_FIELDS = 7
_GITHUB = "noreply@github.com"

EARLIEST, LATEST = 631_152_000, 7_258_118_400
"""Times before 1990 or after 2199 are those of a wrong clock, or of none: no program of today is older."""


class Commit(Struct, frozen=True, gc=False):
    """What a commit says of itself; times in seconds since 1970, None where they cannot be.

    `by_github`: GitHub made the commit, as it does when somebody presses one of its buttons. `body` is empty where
    nothing can be read from it, for the texts of a long history are most of it.
    """

    sha: str
    parents: tuple[str, ...]
    authored_at: int | None
    committed_at: int | None
    bot: bool
    by_github: bool
    subject: str
    body: str


@dataclass(frozen=True)
class Log:
    """Commits by their sha."""

    commits: dict[str, Commit]

    @cached_property
    def _shas(self) -> list[str]:
        return sorted(self.commits)

    def full(self, beginning: str) -> str | None:
        """The only sha that begins so."""
        place = bisect_left(self._shas, beginning)
        found = [sha for sha in self._shas[place : place + 2] if sha.startswith(beginning)]
        return found[0] if len(found) == 1 else None


def log(git: Git, tips: Iterable[str]) -> Log:
    """Everything that the tips reach.

    Raises:
        GitError: if git cannot read it.
    """
    given = "".join(f"{tip}\n" for tip in sorted(set(tips))).encode()
    if not given:
        return Log({})
    pieces = git.stream("rev-list", "--encoding=UTF-8", f"--format=tformat:{_FORMAT}", "--stdin", "--", given=given)
    return Log({commit.sha: commit for fields in _fields(pieces) for commit in _commits(fields)})


def _fields(pieces: Iterable[bytes]) -> Iterator[list[str]]:
    """The fields of whole commits at a time."""
    begun, fields = [b""], list[str]()
    for piece in pieces:
        end, nul, beginning = piece.rpartition(b"\0")
        if not nul:
            begun.append(piece)
            continue
        fields += b"".join((*begun, end)).decode("utf-8", "replace").split("\0")
        begun = [beginning]
        ready = len(fields) - len(fields) % _FIELDS
        yield fields[:ready]
        del fields[:ready]
    if fields or b"".join(begun).strip():
        raise GitError("git's answer ends in the middle of a commit; `git fsck` may say why")


def _commits(fields: list[str]) -> Iterator[Commit]:
    rows = zip(*(fields[place::_FIELDS] for place in range(_FIELDS)), strict=True)
    for head, authored_at, committed_at, name, email, committer, message in rows:
        _, sha, *parents = head.split()
        subject, _, body = message.lstrip("\n").partition("\n")
        bot = name.endswith("[bot]") or "[bot]@users.noreply." in email
        times = _time(authored_at), _time(committed_at)
        kept = body if "everts" in body or subject.startswith("Merge pull request ") else ""
        yield Commit(sha, tuple(parents), *times, bot, committer == _GITHUB, subject.strip(), kept)


def _time(seconds: str) -> int | None:
    at = int(seconds) if seconds.isdecimal() else 0
    return at if EARLIEST <= at < LATEST else None


_MERGED = re.compile(r"Merge pull request #(\d{1,18}) from (?:[^/\s]+/)?(\S+)", re.ASCII)
_NUMBERED = re.compile(r".*\(#(\d{1,18})\)", re.ASCII | re.DOTALL)
_BRANCH = re.compile(r"Merge (?:remote-tracking )?branch '(?:origin/)?([^']+)'")


@dataclass(slots=True)
class Landing:
    """One change as it landed: a pull request, or a commit without one.

    `brought` are its commits without merges; `began` is when the first of them was authored, those of pull requests
    included that had been merged into its branch.
    """

    commit: Commit
    number: int | None
    branch: str | None
    brought: list[Commit] = field(default_factory=list)
    began: int | None = None

    @property
    def squashed(self) -> bool:
        """Whether one commit is all that is left of a pull request's branch."""
        return self.number is not None and len(self.commit.parents) <= 1

    def bring(self, *commits: Commit) -> None:
        self.brought += commits
        for commit in commits:
            self.begin(commit.authored_at)

    def begin(self, at: int | None) -> None:
        if at is not None and (self.began is None or at < self.began):
            self.began = at

    def join(self, later: "Landing") -> None:
        """Several commits of one deployment with one number are one change, which ends with the last of them."""
        self.commit, self.branch = later.commit, later.branch or self.branch
        self.brought += later.brought
        self.begin(later.began)


@dataclass(slots=True)
class Newly:
    """What a tip reaches and no tip before it did: the changes in the order in which they landed, and all commits."""

    landings: list[Landing] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)


class _Side(NamedTuple):
    """Where a commit was met: behind the merge of a pull request, or of a branch, or of neither."""

    pull: Landing | None = None
    branch: str | None = None


def newly(commits: Mapping[str, Commit], tip: str, met: set[str]) -> Newly:
    """Everything behind `tip` that is not in `met`, which then holds it too. What is not known ends the walk."""
    found = Newly()
    # Down to a sha; or, where the commit is known already, back up past it.
    pending: list[tuple[_Side, str, Commit | None, Landing | None]] = [(_Side(), tip, None, None)]
    while pending:
        side, sha, commit, landing = pending.pop()
        if commit is not None:
            _land(found, commit, landing, side)
        elif sha not in met and (commit := commits.get(sha)):
            met.add(sha)
            found.commits.append(commit)
            landing = _landing(commit, side)
            pending.append((side, sha, commit, landing))
            if len(commit.parents) > 1:
                beside = _beside(commit, landing, side)
                pending.extend((beside, parent, None, None) for parent in reversed(commit.parents[1:]))
            if commit.parents:
                pending.append((side, commit.parents[0], None, None))
    return found


def _landing(commit: Commit, side: _Side) -> Landing | None:
    """The change that a commit is, if it is one by itself.

    Commits behind a merged pull request belong to it. A number in one of their titles may be any issue's; a pull
    request's it is where GitHub made the commit.
    """
    merge = len(commit.parents) > 1
    number, branch = _pull(commit.subject) if merge or side.pull is None or commit.by_github else (None, None)
    if side.pull and number in (None, side.pull.number):
        return None
    return None if merge and number is None else Landing(commit, number, branch or side.branch)


def _pull(subject: str) -> tuple[int | None, str | None]:
    """The number of the pull request that a title names as GitHub does, and its branch where that is named."""
    if found := _MERGED.match(subject):
        return int(found[1]), found[2]
    if subject.endswith(")") and (found := _NUMBERED.fullmatch(subject)):
        return int(found[1]), None
    return None, None


def _beside(merge: Commit, landing: Landing | None, side: _Side) -> _Side:
    """Where the other parents of a merge lead."""
    if landing:
        return _Side(landing)
    if side.pull:
        return side
    found = _BRANCH.match(merge.subject)
    return _Side(branch=found[1] if found else side.branch)


def _land(found: Newly, commit: Commit, landing: Landing | None, side: _Side) -> None:
    if landing:
        if len(commit.parents) <= 1:
            landing.bring(commit)
        if side.pull:
            side.pull.begin(landing.began)
        found.landings.append(landing)
    elif side.pull and len(commit.parents) <= 1:
        side.pull.bring(commit)
