"""The changes that are new at each tag: merged and squashed pull requests, and commits without one.

`new_history` walks from a tip and visits every commit once, whatever the number of tags. It follows first parents
before the others and lists a commit after its parents. So the oldest commits come first, and a merge's other parents
contribute only what its first parent does not reach.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from dora_metrics.sources.git.commits import GitCommit
from dora_metrics.sources.git.reached import Reached

_MERGE_SUBJECT = re.compile(r"Merge pull request #(\d{1,18}) from (?:[^/\s]+/)?(\S+)", re.ASCII)
_NUMBERED_SUBJECT = re.compile(r".*\(#(\d{1,18})\)", re.ASCII | re.DOTALL)
_BRANCH_MERGE_SUBJECT = re.compile(r"Merge (?:remote-tracking )?branch '(?:origin/)?([^']+)'")


@dataclass(slots=True)
class LandedChange:
    """One change on the deployed history: a pull request, or a commit without one.

    `commit` is the one that landed it, `commits` are all of its commits except merges. `first_authored_at` (seconds
    since 1970) also counts pull requests that were merged into its branch. `early_tips` are commits of its
    branch that earlier deployments may have reached before the merge.
    """

    commit: GitCommit
    pull_number: int | None
    branch: str | None
    commits: list[GitCommit] = field(default_factory=list)
    first_authored_at: int | None = None
    early_tips: tuple[str, ...] = ()

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
    """What a tip reaches and no earlier tip did: changes in the order of landing, and all commits.

    `carriers` are the merged pull requests without commits of their own; their `commits` are those that they carried.
    """

    changes: list[LandedChange] = field(default_factory=list)
    carriers: list[LandedChange] = field(default_factory=list)
    commits: list[GitCommit] = field(default_factory=list)


class _MergeContext(NamedTuple):
    """The merge that brought a commit: of a pull request, of a branch, or none."""

    pull_request: LandedChange | None = None
    branch: str | None = None


def new_history(tip: str, reached: Reached) -> NewHistory:
    """Return what is reachable from `tip` and was not reached before, and add it to `reached`.

    A commit that is not in `reached.commits` ends the walk there. A merged pull request also has the commits of its
    branch that were reached as changes by themselves. It is not a change but a carrier if it has no commits, since
    then it only carried those of others.
    """
    history, commits, shas = NewHistory(), reached.commits, reached.shas
    # Each entry is a sha to visit, or a visited commit that is finished because its parents are done.
    pending: list[tuple[_MergeContext, str, GitCommit | None, LandedChange | None]] = [
        (_MergeContext(), tip, None, None)
    ]
    while pending:
        context, sha, commit, change = pending.pop()
        if commit is not None:
            reached.finish(commit)
            if change:
                _land_change(history, change, context, reached)
            else:
                _attribute_commit(commit, context)
        elif sha in shas:
            if context.pull_request:
                _note_early_tip(commits[sha], context.pull_request, reached)
        elif commit := commits.get(sha):
            shas.add(sha)
            history.commits.append(commit)
            change = _landed_change(commit, context)
            if change and change.pull_number is None:
                reached.direct_shas.add(sha)
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


def _note_early_tip(commit: GitCommit, pull: LandedChange, reached: Reached) -> None:
    """Note where the branch of a pull request meets what was reached, unless that is where it left the main line.

    A commit of another pull request is none of its own.
    """
    may_be_its_own = commit.is_merge or commit.sha in reached.direct_shas
    if may_be_its_own and not reached.is_surely_behind(commit.sha, pull.commit.parents[0]):
        pull.early_tips += (commit.sha,)


def _add_early_commits(pull: LandedChange, reached: Reached) -> None:
    """Add the commits of a branch that was deployed before it was merged.

    A branch with other pull requests in it is a line of its own, such as that of a release. What it had reached by
    itself stays as it was, and the merge only carries it on.
    """
    behind = reached.only_behind(pull.early_tips, pull.commit.parents[0])
    early = [commit for commit in behind if not commit.is_merge]
    if all(commit.sha in reached.direct_shas for commit in early):
        for commit in early:
            pull.add_commit(commit)


def _attribute_commit(commit: GitCommit, context: _MergeContext) -> None:
    if context.pull_request and not commit.is_merge:
        context.pull_request.add_commit(commit)


def _land_change(history: NewHistory, change: LandedChange, context: _MergeContext, reached: Reached) -> None:
    """Add a change to the history, or a carrier if it only carried the commits of others.

    The pull request that it came with starts no later, but what was deployed before is no part of that one.
    """
    if not change.commit.is_merge:
        change.add_commit(change.commit)
    if context.pull_request:
        context.pull_request.include_start(change.first_authored_at)
    if change.early_tips:
        _add_early_commits(change, reached)
    if change.commits:
        history.changes.append(change)
    elif carried := commits_brought_by(change.commit, reached):
        change.commits += reversed(carried)
        history.carriers.append(change)


def commits_brought_by(merge: GitCommit, reached: Reached) -> list[GitCommit]:
    """Return the commits, except merges, that a merge which was reached brought to its first parent, newest first."""
    brought = reached.only_behind(merge.parents[1:], merge.parents[0])
    return [commit for commit in brought if not commit.is_merge]
