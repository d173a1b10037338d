"""Which change each deployment of a scope delivered first.

Deployments list changes as they were known when they were recorded. Two things show only later: a commit that was
deployed before its pull request was merged belongs to that pull request, and a pull request that only carried the
commits of others (develop into main) is no change beside them. A copy of a pull request on another line of releases is
none either, but a revert of that copy has to find the deployment that brought it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Deployment


class DeliveredChange(NamedTuple):
    """A change and the first successful deployment that contains it.

    `change` is None if the deployment lists the id and no such fact exists. `is_baseline` is true if the deployment
    is the scope's baseline, its first known success: there is nothing earlier to compare it with, so its changes
    have no lead time.
    """

    change_id: str
    change: Change | None
    deployment: Deployment
    is_baseline: bool


class Deliveries(NamedTuple):
    """What the deployments of a scope delivered, in order.

    `parts` has, by sha, the first success with a commit that is no change of its own: one of a branch that was
    deployed before it was merged, or a copy of a pull request on another line of releases.
    """

    deployments: list[Deployment]
    changes: list[DeliveredChange]
    parts: Mapping[str, DeliveredChange]


@dataclass(frozen=True)
class ChangeIndex:
    """All changes by id, and which pull requests their commits belong to."""

    changes_by_id: Mapping[str, Change]

    def pull_with_commit(self, change_id: str) -> Change | None:
        """Return the merged pull request that contains a direct commit; None for any other change."""
        if not ids.is_commit(change_id):
            return None
        return self._first_pull_by_commit.get(ids.without_commit_prefix(change_id))

    def carried_change_ids(self, change: Change) -> frozenset[str]:
        """Return the ids of the other pull requests that all commits of this one belong to; empty if it has its own."""
        owner_ids = {self._owner_id(commit.sha) for commit in change.commits or ()}
        other_ids = {owner_id for owner_id in owner_ids if owner_id and owner_id != change.id}
        return frozenset(other_ids) if other_ids == owner_ids else frozenset()

    def _owner_id(self, sha: str) -> str | None:
        """Return the pull request that made a commit by its merge, otherwise the first one that contains it."""
        first_pull = self._first_pull_by_commit.get(sha)
        return self._pull_id_by_merge.get(sha) or (first_pull.id if first_pull else None)

    @cached_property
    def _pulls(self) -> list[Change]:
        pulls = (change for change in self.changes_by_id.values() if ids.is_pull_request(change.id))
        return sorted((pull for pull in pulls if pull.merged_at), key=_merge_order)

    @cached_property
    def _pull_id_by_merge(self) -> dict[str, str]:
        return {pull.sha: pull.id for pull in self._pulls if pull.sha}

    @cached_property
    def _first_pull_by_commit(self) -> dict[str, Change]:
        first: dict[str, Change] = {}
        for pull in self._pulls:
            for commit in pull.commits or ():
                first.setdefault(commit.sha, pull)
        return first


def _merge_order(pull: Change) -> tuple[datetime, str]:
    return pull.defining_time, pull.id


@dataclass
class _Deliveries:
    """What the successes of one scope have delivered so far."""

    index: ChangeIndex
    shas: set[str | None] = field(default_factory=set)
    change_ids: set[str] = field(default_factory=set)
    commit_shas: set[str] = field(default_factory=set)
    pending_ids: list[str] = field(default_factory=list)
    parts: dict[str, DeliveredChange] = field(default_factory=dict)

    def deliver(self, deployment: Deployment) -> tuple[Deployment, list[str]]:
        """Return the next deployment with the changes that it lists, by what is known now, and those that are new."""
        if deployment.status != "success":
            self.pending_ids += deployment.changes or ()
            return deployment, []
        is_again = deployment.sha is not None and deployment.sha in self.shas
        self.shas.add(deployment.sha)
        if is_again:
            return deployment, []
        self.add_parts(deployment, (*self.pending_ids, *(deployment.changes or ())))
        pending_ids = self.add(self.changes_of(self.pending_ids))
        self.pending_ids.clear()
        listed = _with_changes(deployment, self.changes_of(deployment.changes or ()))
        return listed, [*pending_ids, *self.add(listed.changes or ())]

    def changes_of(self, listed_ids: Iterable[str]) -> list[str]:
        """Return the changes that a success lists, without commits of unfinished branches, and without carriers."""
        listed = dict.fromkeys(ids.split_copy(each)[0] for each in listed_ids)
        self.commit_shas.update(ids.without_commit_prefix(each) for each in listed if ids.is_commit(each))
        delivered = dict.fromkeys(filter(None, map(self._delivered_id, listed)))
        return [change_id for change_id in delivered if not self._is_carrier(change_id, delivered)]

    def add(self, change_ids: Iterable[str]) -> list[str]:
        """Return those of a success's changes that it is the first to deliver."""
        first = [change_id for change_id in change_ids if change_id not in self.change_ids]
        self.change_ids.update(first)
        return first

    def add_parts(self, deployment: Deployment, listed_ids: Iterable[str]) -> None:
        """Keep where the commits came that a success lists, and that are no changes of their own."""
        for listed_id in listed_ids:
            change_id, sha = ids.split_copy(listed_id)
            if pull := self.index.pull_with_commit(listed_id):
                change_id, sha = pull.id, ids.without_commit_prefix(listed_id)
            if sha:
                change = self.index.changes_by_id.get(change_id)
                self.parts.setdefault(sha, DeliveredChange(change_id, change, deployment, is_baseline=False))

    def _delivered_id(self, change_id: str) -> str | None:
        """Return what a listed change is: a commit of a pull request is that, once all of its commits are deployed."""
        pull = self.index.pull_with_commit(change_id)
        if pull is None:
            return change_id
        is_whole = all(commit.sha in self.commit_shas for commit in pull.commits or ())
        return pull.id if is_whole or pull.id in self.change_ids else None

    def _is_carrier(self, change_id: str, delivered: Mapping[str, None]) -> bool:
        """Whether a pull request has no commits of its own, and those that it carried are delivered."""
        change = self.index.changes_by_id.get(change_id)
        if change is None or not change.commits:
            return False
        carried = self.index.carried_change_ids(change)
        return bool(carried) and all(each in delivered or each in self.change_ids for each in carried)


def deliver_changes(deployments: Iterable[Deployment], index: ChangeIndex) -> Deliveries:
    """Return the deployments of a scope, and its changes, each with the first success that contains it, in order.

    The `changes` of a success become those that it lists by what is known now. The changes of an attempt that did not
    succeed belong to the next success. Deploying a sha again delivers nothing.

    Args:
        deployments: those of one scope, in order.
        index: all changes.
    """
    linked: list[Deployment] = []
    delivered: list[DeliveredChange] = []
    deliveries = _Deliveries(index)
    for deployment in deployments:
        is_baseline = not deliveries.shas and not deployment.previous
        listed, first_ids = deliveries.deliver(deployment)
        linked.append(listed)
        delivered += (DeliveredChange(each, index.changes_by_id.get(each), listed, is_baseline) for each in first_ids)
    return Deliveries(linked, delivered, deliveries.parts)


def _with_changes(deployment: Deployment, change_ids: Sequence[str]) -> Deployment:
    """Return a success with its changes; unknown ones stay unknown."""
    if deployment.changes is None or deployment.changes == tuple(change_ids):
        return deployment
    return replace(deployment, changes=tuple(change_ids))
