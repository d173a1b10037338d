"""The commits of a git history, and the changes that are new at each tag.

`read_log` reads all commits in one go. `new_history` walks from a tip and visits every commit once, whatever the number
of tags. It follows first parents before the others and lists a commit after its parents. So the oldest commits come
first, and a merge's other parents contribute only what its first parent does not reach.
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

# None of these fields needs a tree or a file, which a partial clone may lack. A commit is seven NUL-terminated fields;
# `rev-list` writes the line `commit <sha>` before the first one.
_LOG_FORMAT = "%P%x00%at%x00%ct%x00%an%x00%ae%x00%ce%x00%B%x00"
_FIELDS_PER_COMMIT = 7
_GITHUB_COMMITTER = "noreply@github.com"

EARLIEST_SECONDS, LATEST_SECONDS = 631_152_000, 7_258_118_400
"""1990 and 2200 in seconds since 1970. Times outside come from a wrong clock or from none."""


class GitCommit(Struct, frozen=True, gc=False):
    """A commit as git has it. Times are in seconds since 1970, None if implausible.

    `is_by_github`: GitHub created the commit, as its merge and revert buttons do. `body` is kept only if it can name a
    reverted commit or a pull request's title, because the bodies are most of a long history's size.
    """

    sha: str
    parents: tuple[str, ...]
    authored_at: int | None
    committed_at: int | None
    is_by_bot: bool
    is_by_github: bool
    subject: str
    body: str

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


@dataclass(frozen=True)
class CommitLog:
    """Commits by their sha."""

    commits: dict[str, GitCommit]

    @cached_property
    def _sorted_shas(self) -> list[str]:
        return sorted(self.commits)

    def expand_sha(self, prefix: str) -> str | None:
        """Return the sha that starts with `prefix`, None unless there is exactly one."""
        index = bisect_left(self._sorted_shas, prefix)
        matches = [sha for sha in self._sorted_shas[index : index + 2] if sha.startswith(prefix)]
        return matches[0] if len(matches) == 1 else None


def read_log(git: Git, tips: Iterable[str]) -> CommitLog:
    """Read all commits that are reachable from the tips.

    Raises:
        GitError: if git cannot read them.
    """
    tip_lines = "".join(f"{tip}\n" for tip in sorted(set(tips))).encode()
    if not tip_lines:
        return CommitLog({})
    chunks = git.stream(
        "rev-list", "--encoding=UTF-8", f"--format=tformat:{_LOG_FORMAT}", "--stdin", "--", stdin=tip_lines
    )
    return CommitLog({commit.sha: commit for fields in _commit_fields(chunks) for commit in _parse_commits(fields)})


def _commit_fields(chunks: Iterable[bytes]) -> Iterator[list[str]]:
    """Yield lists of fields, each of complete commits, while git is still writing."""
    unfinished, fields = [b""], list[str]()
    for chunk in chunks:
        end, nul, remainder = chunk.rpartition(b"\0")
        if not nul:
            unfinished.append(chunk)
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
        is_by_bot = is_bot(name, email)
        times = _plausible_seconds(authored_at), _plausible_seconds(committed_at)
        kept_body = body if "everts" in body or subject.startswith("Merge pull request ") else ""
        yield GitCommit(
            sha, tuple(parents), *times, is_by_bot, committer == _GITHUB_COMMITTER, subject.strip(), kept_body
        )


_BOT_NAME = r"(?:[\w-]+[- ])?(?:renovate|dependabot|github[- ]actions?|semantic[- ]release|snyk|release[- ]please)"
_BOT = re.compile(rf".*\[bot\]|.*-bot|.*\(bot\)|{_BOT_NAME}(?:[- ]?bot|[- ]preview)?", re.ASCII | re.IGNORECASE)
_BOT_DOMAINS = ("renovateapp.com", "dependabot.com")


def is_bot(name: str, email: str) -> bool:
    """Return whether an author is a program, by name or address.

    These are names that end in `[bot]` or `-bot`, and Renovate, Dependabot, GitHub Actions, semantic-release, Snyk and
    release-please by the names that they use. The local part of an address may be such a name, after GitHub's number.
    """
    local_part, _, domain = email.rpartition("@")
    return bool(
        _BOT.fullmatch(name.strip())
        or _BOT.fullmatch(local_part.rpartition("+")[2] or local_part)
        or domain.lower() in _BOT_DOMAINS
    )


def _plausible_seconds(text: str) -> int | None:
    seconds = int(text) if text.isdecimal() else 0
    return seconds if EARLIEST_SECONDS <= seconds < LATEST_SECONDS else None


# --- Changes ---

_MERGE_SUBJECT = re.compile(r"Merge pull request #(\d{1,18}) from (?:[^/\s]+/)?(\S+)", re.ASCII)
_NUMBERED_SUBJECT = re.compile(r".*\(#(\d{1,18})\)", re.ASCII | re.DOTALL)
_BRANCH_MERGE_SUBJECT = re.compile(r"Merge (?:remote-tracking )?branch '(?:origin/)?([^']+)'")


@dataclass(slots=True)
class LandedChange:
    """One change on the deployed history: a pull request, or a commit without one.

    `commit` is the one that landed it, `commits` are all of its commits except merges. `first_authored_at` (seconds
    since 1970) also counts pull requests that were merged into its branch.
    """

    commit: GitCommit
    pull_number: int | None
    branch: str | None
    commits: list[GitCommit] = field(default_factory=list)
    first_authored_at: int | None = None

    @property
    def is_squashed(self) -> bool:
        """Whether a pull request landed as a single commit, so its branch is not in the history."""
        return self.pull_number is not None and not self.commit.is_merge

    def add_commit(self, commit: GitCommit) -> None:
        self.commits.append(commit)
        self.include_start(commit.authored_at)

    def include_start(self, authored_at: int | None) -> None:
        """Move the start of the change to `authored_at` if that is earlier."""
        if authored_at is not None and (self.first_authored_at is None or authored_at < self.first_authored_at):
            self.first_authored_at = authored_at

    def merge_later(self, later: "LandedChange") -> None:
        """Add a later commit of the same pull request in one deployment; the change lands with the last of them."""
        self.commit, self.branch = later.commit, later.branch or self.branch
        self.commits += later.commits
        self.include_start(later.first_authored_at)


@dataclass(slots=True)
class NewHistory:
    """What a tip reaches and no earlier tip did: changes in the order of landing, and all commits."""

    changes: list[LandedChange] = field(default_factory=list)
    commits: list[GitCommit] = field(default_factory=list)


class _MergeContext(NamedTuple):
    """The merge that brought a commit: of a pull request, of a branch, or none."""

    pull_request: LandedChange | None = None
    branch: str | None = None


def new_history(commits: Mapping[str, GitCommit], tip: str, visited: set[str]) -> NewHistory:
    """Return what is reachable from `tip` and not in `visited`, and add it to `visited`.

    A commit that is not in `commits` ends the walk there.
    """
    history = NewHistory()
    # Each entry is a sha to visit, or a visited commit that is finished because its parents are done.
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
            if commit.is_merge:
                side_context = _side_context(commit, change, context)
                pending.extend((side_context, parent, None, None) for parent in reversed(commit.parents[1:]))
            if commit.parents:
                pending.append((context, commit.parents[0], None, None))
    return history


def _landed_change(commit: GitCommit, context: _MergeContext) -> LandedChange | None:
    """Return the change that a commit lands, None if it lands none.

    Commits of a merged pull request belong to that change. A number in one of their titles may refer to any issue, so
    it counts as a pull request's only if GitHub created the commit.
    """
    pull_number, branch = None, None
    if commit.is_merge or context.pull_request is None or commit.is_by_github:
        pull_number, branch = _pull_request_in(commit.subject)
    if context.pull_request and pull_number in (None, context.pull_request.pull_number):
        return None
    return (
        None if commit.is_merge and pull_number is None else LandedChange(commit, pull_number, branch or context.branch)
    )


def _pull_request_in(subject: str) -> tuple[int | None, str | None]:
    """Return number and branch of the pull request that a subject names in GitHub's form, None for what it lacks."""
    if match := _MERGE_SUBJECT.match(subject):
        return int(match[1]), match[2]
    if subject.endswith(")") and (match := _NUMBERED_SUBJECT.fullmatch(subject)):
        return int(match[1]), None
    return None, None


def _side_context(merge: GitCommit, change: LandedChange | None, context: _MergeContext) -> _MergeContext:
    """Return the context of the commits that a merge brought by its other parents."""
    if change:
        return _MergeContext(change)
    if context.pull_request:
        return context
    match = _BRANCH_MERGE_SUBJECT.match(merge.subject)
    return _MergeContext(branch=match[1] if match else context.branch)


def _attribute_commit(
    history: NewHistory, commit: GitCommit, change: LandedChange | None, context: _MergeContext
) -> None:
    """Add a commit to its change, and the change to the history if this commit landed it."""
    if change:
        if not commit.is_merge:
            change.add_commit(commit)
        if context.pull_request:
            context.pull_request.include_start(change.first_authored_at)
        history.changes.append(change)
    elif context.pull_request and not commit.is_merge:
        context.pull_request.add_commit(commit)
