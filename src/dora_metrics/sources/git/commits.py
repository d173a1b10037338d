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
_LOG_FORMAT = "%P%x00%at%x00%ct%x00%an%x00%ae%x00%ce%x00%B%x00"
_FIELDS_PER_COMMIT = 7
_GITHUB_COMMITTER = "noreply@github.com"

EARLIEST_SECONDS, LATEST_SECONDS = 631_152_000, 7_258_118_400
"""Times before 1990 or after 2199 are those of a wrong clock, or of none: no program of today is older."""


class GitCommit(Struct, frozen=True, gc=False):
    """What a commit says of itself; times in seconds since 1970, None where they cannot be.

    `by_github`: GitHub made the commit, as it does when somebody presses one of its buttons. `body` is empty where
    nothing can be read from it, for the texts of a long history are most of it.
    """

    sha: str
    parents: tuple[str, ...]
    authored_at: int | None
    committed_at: int | None
    is_by_bot: bool
    is_by_github: bool
    subject: str
    body: str


@dataclass(frozen=True)
class CommitLog:
    """Commits by their sha."""

    commits: dict[str, GitCommit]

    @cached_property
    def _sorted_shas(self) -> list[str]:
        return sorted(self.commits)

    def expand_sha(self, prefix: str) -> str | None:
        """The only sha that begins so."""
        index = bisect_left(self._sorted_shas, prefix)
        matches = [sha for sha in self._sorted_shas[index : index + 2] if sha.startswith(prefix)]
        return matches[0] if len(matches) == 1 else None


def read_log(git: Git, tips: Iterable[str]) -> CommitLog:
    """Everything that the tips reach.

    Raises:
        GitError: if git cannot read it.
    """
    tip_lines = "".join(f"{tip}\n" for tip in sorted(set(tips))).encode()
    if not tip_lines:
        return CommitLog({})
    pieces = git.stream(
        "rev-list", "--encoding=UTF-8", f"--format=tformat:{_LOG_FORMAT}", "--stdin", "--", stdin=tip_lines
    )
    return CommitLog({commit.sha: commit for fields in _commit_fields(pieces) for commit in _parse_commits(fields)})


def _commit_fields(pieces: Iterable[bytes]) -> Iterator[list[str]]:
    """The fields of whole commits at a time."""
    unfinished, fields = [b""], list[str]()
    for piece in pieces:
        end, nul, remainder = piece.rpartition(b"\0")
        if not nul:
            unfinished.append(piece)
            continue
        fields += b"".join((*unfinished, end)).decode("utf-8", "replace").split("\0")
        unfinished = [remainder]
        complete_count = len(fields) - len(fields) % _FIELDS_PER_COMMIT
        yield fields[:complete_count]
        del fields[:complete_count]
    if fields or b"".join(unfinished).strip():
        raise GitError("git's answer ends in the middle of a commit; `git fsck` may say why")


def _parse_commits(fields: list[str]) -> Iterator[GitCommit]:
    rows = zip(*(fields[offset::_FIELDS_PER_COMMIT] for offset in range(_FIELDS_PER_COMMIT)), strict=True)
    for head, authored_at, committed_at, name, email, committer, message in rows:
        _, sha, *parents = head.split()
        subject, _, body = message.lstrip("\n").partition("\n")
        is_by_bot = name.endswith("[bot]") or "[bot]@users.noreply." in email
        times = _plausible_seconds(authored_at), _plausible_seconds(committed_at)
        kept_body = body if "everts" in body or subject.startswith("Merge pull request ") else ""
        yield GitCommit(
            sha, tuple(parents), *times, is_by_bot, committer == _GITHUB_COMMITTER, subject.strip(), kept_body
        )


def _plausible_seconds(text: str) -> int | None:
    seconds = int(text) if text.isdecimal() else 0
    return seconds if EARLIEST_SECONDS <= seconds < LATEST_SECONDS else None


_MERGE_SUBJECT = re.compile(r"Merge pull request #(\d{1,18}) from (?:[^/\s]+/)?(\S+)", re.ASCII)
_NUMBERED_SUBJECT = re.compile(r".*\(#(\d{1,18})\)", re.ASCII | re.DOTALL)
_BRANCH_MERGE_SUBJECT = re.compile(r"Merge (?:remote-tracking )?branch '(?:origin/)?([^']+)'")


@dataclass(slots=True)
class LandedChange:
    """One change as it landed: a pull request, or a commit without one.

    `brought` are its commits without merges; `began` is when the first of them was authored, those of pull requests
    included that had been merged into its branch.
    """

    commit: GitCommit
    pull_number: int | None
    branch: str | None
    commits: list[GitCommit] = field(default_factory=list)
    first_authored_at: int | None = None

    @property
    def is_squashed(self) -> bool:
        """Whether one commit is all that is left of a pull request's branch."""
        return self.pull_number is not None and len(self.commit.parents) <= 1

    def add_commits(self, *commits: GitCommit) -> None:
        self.commits += commits
        for commit in commits:
            self.include_start(commit.authored_at)

    def include_start(self, authored_at: int | None) -> None:
        if authored_at is not None and (self.first_authored_at is None or authored_at < self.first_authored_at):
            self.first_authored_at = authored_at

    def merge_later(self, later: "LandedChange") -> None:
        """Several commits of one deployment with one number are one change, which ends with the last of them."""
        self.commit, self.branch = later.commit, later.branch or self.branch
        self.commits += later.commits
        self.include_start(later.first_authored_at)


@dataclass(slots=True)
class NewHistory:
    """What a tip reaches and no tip before it did: the changes in the order in which they landed, and all commits."""

    changes: list[LandedChange] = field(default_factory=list)
    commits: list[GitCommit] = field(default_factory=list)


class _MergeContext(NamedTuple):
    """Where a commit was met: behind the merge of a pull request, or of a branch, or of neither."""

    pull_request: LandedChange | None = None
    branch: str | None = None


def new_history(commits: Mapping[str, GitCommit], tip: str, visited: set[str]) -> NewHistory:
    """Everything behind `tip` that is not in `met`, which then holds it too. What is not known ends the walk."""
    history = NewHistory()
    # Down to a sha; or, where the commit is known already, back up past it.
    pending: list[tuple[_MergeContext, str, GitCommit | None, LandedChange | None]] = [
        (_MergeContext(), tip, None, None)
    ]
    while pending:
        context, sha, commit, change = pending.pop()
        if commit is not None:
            _attribute_commit(history, commit, change, context)
        elif sha not in visited and (commit := commits.get(sha)):
            visited.add(sha)
            history.commits.append(commit)
            change = _landed_change(commit, context)
            pending.append((context, sha, commit, change))
            if len(commit.parents) > 1:
                side_context = _side_context(commit, change, context)
                pending.extend((side_context, parent, None, None) for parent in reversed(commit.parents[1:]))
            if commit.parents:
                pending.append((context, commit.parents[0], None, None))
    return history


def _landed_change(commit: GitCommit, context: _MergeContext) -> LandedChange | None:
    """The change that a commit is, if it is one by itself.

    Commits behind a merged pull request belong to it. A number in one of their titles may be any issue's; a pull
    request's it is where GitHub made the commit.
    """
    is_merge = len(commit.parents) > 1
    pull_number, branch = (
        _pull_request_in(commit.subject)
        if is_merge or context.pull_request is None or commit.is_by_github
        else (None, None)
    )
    if context.pull_request and pull_number in (None, context.pull_request.pull_number):
        return None
    return None if is_merge and pull_number is None else LandedChange(commit, pull_number, branch or context.branch)


def _pull_request_in(subject: str) -> tuple[int | None, str | None]:
    """The number of the pull request that a title names as GitHub does, and its branch where that is named."""
    if match := _MERGE_SUBJECT.match(subject):
        return int(match[1]), match[2]
    if subject.endswith(")") and (match := _NUMBERED_SUBJECT.fullmatch(subject)):
        return int(match[1]), None
    return None, None


def _side_context(merge: GitCommit, change: LandedChange | None, context: _MergeContext) -> _MergeContext:
    """Where the other parents of a merge lead."""
    if change:
        return _MergeContext(change)
    if context.pull_request:
        return context
    match = _BRANCH_MERGE_SUBJECT.match(merge.subject)
    return _MergeContext(branch=match[1] if match else context.branch)


def _attribute_commit(
    history: NewHistory, commit: GitCommit, change: LandedChange | None, context: _MergeContext
) -> None:
    if change:
        if len(commit.parents) <= 1:
            change.add_commits(commit)
        if context.pull_request:
            context.pull_request.include_start(change.first_authored_at)
        history.changes.append(change)
    elif context.pull_request and len(commit.parents) <= 1:
        context.pull_request.add_commits(commit)
