"""Which change each deployment of a scope delivered first.

Deployments list changes as they were known when they were recorded. Two things show only later: a commit that was
deployed before its pull request was merged belongs to that pull request, and a pull request that only carried what
others delivered (develop into main) is not a change. A copy of a pull request on another line of releases is none
either. But such a carrier or copy was deployed all the same: what reverts or names it means the deployment that
brought it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from heapq import heappop, heappush
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import GIT_SOURCE, Change, Deployment


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

    `carriers` are the pull requests that only carried what others delivered, each with the success that brought the
    last of that. `parts` has, by sha, the first success with a commit that is not a change itself: one of a branch
    that was deployed before it was merged, a copy of a pull request on another line of releases, or what merging a
    carrier made.
    """

    deployments: list[Deployment]
    changes: list[DeliveredChange]
    carriers: list[DeliveredChange]
    parts: Mapping[str, DeliveredChange]


@dataclass(frozen=True)
class ChangeIndex:
    """All changes by id, and which pull requests the commits of each repository belong to."""

    changes_by_id: Mapping[str, Change]

    def pull_with_commit(self, commit_id: str, deployment: Deployment) -> Change | None:
        """Return the pull request that a direct commit was part of when that was deployed; None if there was none."""
        commit = deployment.repository, ids.without_commit_prefix(commit_id)
        if commit not in self._pulls_by_commit:
            return None
        if commit not in self._open_pulls_by_commit:
            self._open_pulls_by_commit[commit] = _OpenPulls.of(self._pulls_by_commit[commit])
        return self._open_pulls_by_commit[commit].first_at(deployment.finished_at)

    def owner_id(self, repository: str, sha: str) -> str | None:
        """Return the pull request that made a commit by its merge, otherwise the first one that contains it."""
        pulls = self._pulls_by_commit.get((repository, sha))
        return self._pull_id_by_merge.get((repository, sha)) or (pulls[0].id if pulls else None)

    @cached_property
    def _open_pulls_by_commit(self) -> "dict[tuple[str, str], _OpenPulls]":
        """What `pull_with_commit` has been asked for."""
        return {}

    @cached_property
    def _pulls(self) -> list[Change]:
        pulls = (change for change in self.changes_by_id.values() if ids.is_pull_request(change.id))
        return sorted((pull for pull in pulls if pull.merged_at), key=_merge_order)

    @cached_property
    def _pull_id_by_merge(self) -> dict[tuple[str, str], str]:
        return {(pull.repository, pull.sha): pull.id for pull in self._pulls if pull.sha}

    @cached_property
    def _pulls_by_commit(self) -> Mapping[tuple[str, str], Sequence[Change]]:
        """The merged pull requests that contain a commit, the first merged one first."""
        pulls: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
        for pull in self._pulls:
            for commit in pull.commits or ():
                pulls[pull.repository, commit.sha].append(pull)
        return dict(pulls)


class _OpenPulls(NamedTuple):
    """Which of some merged pull requests had not brought a commit yet, at any time; of several, the first merged one.

    Such a pull request was open. One of a git history never brings a commit that is listed as a direct one: a tag
    reached that commit without the merge, and may be newer than the merge all the same.

    Attributes:
        since: the times at which that may have changed, in order.
        pulls: for each of these times the pull request that was open from then on; None if there was none.
    """

    since: Sequence[datetime]
    pulls: Sequence[Change | None]

    @classmethod
    def of(cls, pulls: Sequence[Change]) -> "_OpenPulls":
        """Index pull requests, the first merged one first. A git history does not say when they were opened."""
        opened_at = [pull.opened_at or _ALWAYS for pull in pulls]
        unopened = sorted(range(len(pulls)), key=opened_at.__getitem__, reverse=True)
        since = sorted({*opened_at, *(pull.merged_at for pull in pulls if pull.merged_at)})
        opened: list[int] = []
        first_open: list[Change | None] = []
        for time in since:
            while unopened and opened_at[unopened[-1]] <= time:
                heappush(opened, unopened.pop())
            while opened and not _is_apart_from_merge(pulls[opened[0]], time):
                heappop(opened)
            first_open.append(pulls[opened[0]] if opened else None)
        return cls(since, first_open)

    def first_at(self, time: datetime) -> Change | None:
        """Return the first merged one of those that were open at a time; None if none was."""
        position = bisect_right(self.since, time)
        return self.pulls[position - 1] if position else None


_ALWAYS = datetime.min.replace(tzinfo=UTC)


def _is_apart_from_merge(pull: Change, time: datetime) -> bool:
    """Whether a deployment of that time had a direct commit of a pull request without its merge."""
    return pull.source == GIT_SOURCE or (pull.merged_at is not None and time < pull.merged_at)


def _merge_order(pull: Change) -> tuple[datetime, str]:
    return pull.defining_time, pull.id


class _Contents:
    """What the parts of all attempts of a scope list. Each is taken once, by the first success that contains it.

    Jobs are compared as they end. So a part of an attempt that ends later, or that fails in the end, may list what
    another attempt contains as well: one of the same commit, or of a commit that descends from it.
    """

    def __init__(self, deployments: Sequence[Deployment], parts: Mapping[str, Sequence[Deployment]]) -> None:
        self._parts_of = {each.id: parts.get(each.id, (each,)) for each in deployments}
        self._by_id = {part.id: part for own in self._parts_of.values() for part in own}
        self._by_sha: defaultdict[str | None, list[Deployment]] = defaultdict(list)
        for part in self._by_id.values():
            self._by_sha[part.sha].append(part)
        self._taken_ids: set[str] = set()

    def take(self, deployment: Deployment) -> list[str]:
        """Return the ids of what a success contains, by its own parts and by those that had ended before, in order."""
        own, end = self._parts_of[deployment.id], deployment.finished_at
        contained: list[Deployment] = []
        pending = [*own, *(part for part in self._by_sha[deployment.sha] if deployment.sha and part.finished_at <= end)]
        while pending:
            part = pending.pop()
            if part.id not in self._taken_ids:
                self._taken_ids.add(part.id)
                contained.append(part)
                pending += (self._by_id[each] for each in part.descends_from or () if each in self._by_id)
        contained.sort(key=lambda part: (part.finished_at, part.id))
        return list(chain.from_iterable(part.changes or () for part in contained))


@dataclass
class _Deliveries:
    """What the successes of one scope have delivered so far.

    `deployments` are all of the scope, and `contents` what they list. `deployments_by_commit` has those that
    delivered the commits of changes, by repository and sha. `carriers` (by id) and `parts` are those of `Deliveries`.
    """

    index: ChangeIndex
    deployments: Sequence[Deployment]
    contents: _Contents
    shas: set[str | None] = field(default_factory=set)
    change_ids: set[str] = field(default_factory=set)
    deployments_by_commit: dict[tuple[str, str], Deployment] = field(default_factory=dict)
    pending_ids: list[str] = field(default_factory=list)
    carriers: dict[str, DeliveredChange] = field(default_factory=dict)
    parts: dict[str, DeliveredChange] = field(default_factory=dict)
    _remaining_shas: dict[str, list[str]] = field(default_factory=dict)

    @cached_property
    def listed_ids(self) -> AbstractSet[str]:
        """The ids that any deployment lists; few scopes need them."""
        return {ids.split_copy(each)[0] for deployment in self.deployments for each in deployment.changes or ()}

    def deliver(self, deployment: Deployment) -> tuple[Deployment, list[tuple[str, Change | None]]]:
        """Return the next deployment with the changes that it brought, by what is known now, and those that are new."""
        if deployment.status != "success":
            self.pending_ids += deployment.changes or ()
            return deployment, []
        is_again = deployment.sha is not None and deployment.sha in self.shas
        self.shas.add(deployment.sha)
        if is_again:
            return deployment, []
        pending = self._take_pending(deployment)
        listed_ids = self.contents.take(deployment)
        self._add_parts(deployment, listed_ids)
        own_ids = {ids.split_copy(each)[0] for each in deployment.changes or ()}
        contained_ids = self._changes_of(deployment, listed_ids)
        brought = [each for each in contained_ids if each in own_ids or each not in self.change_ids]
        return _with_changes(deployment, brought), [*pending, *self._add(brought, deployment)]

    def _take_pending(self, deployment: Deployment) -> list[tuple[str, Change | None]]:
        """Return what attempts without success have left for the next one.

        A deployment that was compared with every earlier success lists all that it contains by itself.
        """
        if deployment.descends_from is not None or not self.pending_ids:
            return []
        pending_ids, self.pending_ids = self.pending_ids, []
        self._add_parts(deployment, pending_ids)
        return self._add(self._changes_of(deployment, pending_ids), deployment)

    def _changes_of(self, deployment: Deployment, listed_ids: Iterable[str]) -> list[str]:
        """Return the changes that a success lists, without commits of unfinished branches, and without carriers."""
        listed = dict.fromkeys(ids.split_copy(each)[0] for each in listed_ids)
        if any(map(ids.is_commit, listed)):
            changes = (self._delivered_id(change_id, deployment) for change_id in listed)
            listed = dict.fromkeys(filter(None, changes))
        carriers = dict.fromkeys(change_id for change_id in listed if self._is_carrier(change_id, listed))
        for change_id in carriers:
            self._add_carrier(self.index.changes_by_id[change_id], deployment)
        return [change_id for change_id in listed if change_id not in carriers]

    def _delivered_id(self, change_id: str, deployment: Deployment) -> str | None:
        """Return what a listed change is: of an open branch, the last commit stands for its pull request."""
        pull = self._open_pull(change_id, deployment)
        if pull is None or not pull.commits:
            return change_id
        return pull.id if pull.commits[-1].sha == ids.without_commit_prefix(change_id) else None

    def _open_pull(self, change_id: str, deployment: Deployment) -> Change | None:
        """Return the pull request that a deployed commit belongs to, though it was merged later; None if there is none.

        It has to arrive itself, too: one that is never deployed has not brought the commit.
        """
        pull = self.index.pull_with_commit(change_id, deployment) if ids.is_commit(change_id) else None
        return pull if pull and pull.id in self.listed_ids else None

    def _add_parts(self, deployment: Deployment, listed_ids: Iterable[str]) -> None:
        """Keep where the commits came that a success lists, and that are no changes of their own."""
        for listed_id in listed_ids:
            change_id, sha = ids.split_copy(listed_id)
            if pull := self._open_pull(listed_id, deployment):
                change_id, sha = pull.id, ids.without_commit_prefix(listed_id)
            if sha:
                change = self.index.changes_by_id.get(change_id)
                self.parts.setdefault(sha, DeliveredChange(change_id, change, deployment, is_baseline=False))

    def _is_carrier(self, change_id: str, listed: Mapping[str, None]) -> bool:
        """Whether others deliver all commits of a pull request: earlier ones, or those listed with it."""
        change = self.index.changes_by_id.get(change_id)
        if change is None or not change.commits or change_id in self.change_ids:
            return False
        if not self._is_from_others(change, change.commits[0].sha, listed):  # so nearly all need one look only
            return False
        return all(self._is_from_others(change, sha, listed) for sha in self._remaining(change))

    def _remaining(self, change: Change) -> Sequence[str]:
        """Return the shas of a change up to the last one that is not delivered. The others are not checked again."""
        shas = self._remaining_shas.setdefault(change.id, [commit.sha for commit in change.commits or ()])
        while shas and self._is_delivered(change, shas[-1]):
            shas.pop()
        return shas

    def _is_delivered(self, change: Change, sha: str) -> bool:
        return (change.repository, sha) in self.deployments_by_commit

    def _is_from_others(self, change: Change, sha: str, listed: Mapping[str, None]) -> bool:
        if self._is_delivered(change, sha):
            return True
        owner_id = self.index.owner_id(change.repository, sha)
        return owner_id != change.id and owner_id in listed

    def _add_carrier(self, carrier: Change, deployment: Deployment) -> None:
        """Keep which success brought the last of what a pull request carried: `deployment`, or an earlier one."""
        if carrier.id in self.carriers:
            return
        shas = (commit.sha for commit in carrier.commits or ())
        sources = (self.deployments_by_commit.get((carrier.repository, sha), deployment) for sha in shas)
        last = max(sources, key=attrgetter("finished_at"))
        self.carriers[carrier.id] = DeliveredChange(carrier.id, carrier, last, is_baseline=False)
        if carrier.sha:
            self.deployments_by_commit.setdefault((carrier.repository, carrier.sha), deployment)
            merge = DeliveredChange(carrier.id, carrier, deployment, is_baseline=False)
            self.parts.setdefault(carrier.sha, merge)

    def _add(self, change_ids: Iterable[str], deployment: Deployment) -> list[tuple[str, Change | None]]:
        """Return those of a success's changes that it is the first to deliver."""
        first = [change_id for change_id in change_ids if change_id not in self.change_ids]
        self.change_ids.update(first)
        return [(change_id, self._own_part(change_id, deployment)) for change_id in first]

    def _own_part(self, change_id: str, deployment: Deployment) -> Change | None:
        """Return a change without the commits that others have delivered before: it starts with its own first one."""
        change = self.index.changes_by_id.get(change_id)
        if change is None:
            return None
        own = tuple(commit for commit in change.commits or () if not self._is_delivered(change, commit.sha))
        for sha in (*(commit.sha for commit in own), change.sha):
            if sha:
                self.deployments_by_commit.setdefault((change.repository, sha), deployment)
        if not own or len(own) == len(change.commits or ()):
            return change
        return replace(change, commits=own, first_commit_at=min(commit.authored_at for commit in own))


def deliver_changes(
    deployments: Sequence[Deployment], index: ChangeIndex, parts: Mapping[str, Sequence[Deployment]]
) -> Deliveries:
    """Return the deployments of a scope, and its changes, each with the first success that contains it, in order.

    The `changes` of a success become those that it contains by what is known now. The changes of an attempt that did
    not succeed belong to the next success. Deploying a sha again delivers nothing.

    Args:
        deployments: those of one scope, in order.
        index: all changes.
        parts: the facts that a deployment was joined from, by its id, where there are several.
    """
    linked: list[Deployment] = []
    delivered: list[DeliveredChange] = []
    deliveries = _Deliveries(index, deployments, _Contents(deployments, parts))
    for deployment in deployments:
        is_baseline = not deliveries.shas and not deployment.previous
        listed, first = deliveries.deliver(deployment)
        linked.append(listed)
        delivered += (DeliveredChange(change_id, change, listed, is_baseline) for change_id, change in first)
    return Deliveries(linked, delivered, list(deliveries.carriers.values()), deliveries.parts)


def _with_changes(deployment: Deployment, change_ids: Sequence[str]) -> Deployment:
    """Return a success with its changes; unknown ones stay unknown."""
    if deployment.changes is None or deployment.changes == tuple(change_ids):
        return deployment
    return replace(deployment, changes=tuple(change_ids))
