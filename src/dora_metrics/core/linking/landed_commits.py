"""From the commits that a deployment brought to its changes: merged pull requests, and commits without one.

GitHub names every pull request that contains a commit: the one that made it, those that only carried it on (develop
into main), and those that were merged after the commit was deployed. Comparisons and history name the same ones, so
that events and `sync` record the same changes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.model import EPOCH, Change


class MergedPull(NamedTuple):
    """A merged pull request that contains a commit, or made it.

    `merge_sha` is the commit that merging made; `head_sha` was the newest commit of its branch. One from the default
    branch into another is none, unless it made the commit by a squash: it brings nothing to where the others are.
    `node_id` is GitHub's, to read more of it.
    """

    change_id: str
    opened_at: datetime | None
    merged_at: datetime
    merge_sha: str | None
    head_sha: str | None
    node_id: str | None = None


class LandedCommit(NamedTuple):
    """A commit of the deployed history.

    `pulls` are the merged pull requests that GitHub names for it. `change` is the change that it is by itself if no
    pull request brought it; None for a merge commit. `folders` has git's ids of the services' folders in it, None for
    a folder that it does not have; None if they were not read.
    """

    sha: str
    parents: tuple[str, ...]
    committed_at: datetime | None
    pulls: tuple[MergedPull, ...] = ()
    change: Change | None = None
    folders: Mapping[str, str | None] | None = None

    @property
    def is_merge(self) -> bool:
        """Whether the commit merges others."""
        return len(self.parents) > 1


class ChangeWithCommits(NamedTuple):
    """A change among the commits of one deployment.

    `change` is given for a commit without a pull request. `commits` are those that belong to it.
    """

    change_id: str
    change: Change | None
    commits: tuple[LandedCommit, ...]


def changes_of_commits(
    commits: Iterable[LandedCommit], deployed_at: datetime, unlisted_pulls: Collection[str]
) -> list[ChangeWithCommits]:
    """Return the changes that newly deployed commits belong to, oldest first.

    Args:
        commits: all that a deployment brought.
        deployed_at: the end of the deployment.
        unlisted_pulls: ids of pull requests whose own commits are not known, since GitHub lists 100 at most. One that
            brought nothing but its merge commit only carried the commits of others.
    """
    ordered = sorted(commits, key=lambda commit: (commit.committed_at or EPOCH, commit.sha))
    new_shas = {commit.sha for commit in ordered}
    commits_by_change: defaultdict[str, list[LandedCommit]] = defaultdict(list)
    direct_changes: dict[str, Change] = {}
    for commit in ordered:
        if pull := _pull_of(commit, new_shas, deployed_at):
            commits_by_change[pull.change_id].append(commit)
        elif commit.change:
            commits_by_change[commit.change.id].append(commit)
            direct_changes[commit.change.id] = commit.change
    return [
        ChangeWithCommits(change_id, direct_changes.get(change_id), tuple(own_commits))
        for change_id, own_commits in commits_by_change.items()
        if change_id not in unlisted_pulls or not all(commit.is_merge for commit in own_commits)
    ]


def _pull_of(commit: LandedCommit, new_shas: AbstractSet[str], deployed_at: datetime) -> MergedPull | None:
    """Return the pull request that brought a commit: the one that made it, otherwise the first that was merged."""
    candidates = [pull for pull in commit.pulls if _is_deployed(pull, new_shas, deployed_at)]
    makers = [pull for pull in candidates if pull.merge_sha == commit.sha]
    return min(makers or candidates, key=lambda pull: (pull.merged_at, pull.change_id), default=None)


def _is_deployed(pull: MergedPull, new_shas: AbstractSet[str], deployed_at: datetime) -> bool:
    """Whether a deployment holds the whole pull request, which was merged or open then.

    It may hold only the first commits of a branch that is still open.
    """
    if pull.merged_at <= deployed_at:
        return True
    was_open = pull.opened_at is None or pull.opened_at <= deployed_at
    return was_open and not new_shas.isdisjoint({pull.merge_sha, pull.head_sha})
