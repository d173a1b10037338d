"""What each tag was the first to bring: every commit is met once, whatever the number of tags.

A walk goes down the first parents before the others, and comes back up. So the oldest commits land first, and what a
merge's other parents bring is what its first parent does not reach.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dora_metrics.sources.git.git_log import Commit

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
