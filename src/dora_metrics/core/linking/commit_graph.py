"""Derive the changes of each deployment from the graph of commits.

A deployment delivered the commits reachable from its sha and from no earlier success of its scope. `sync` fetches the
commits once and each scope visits each commit once. A comparison by GitHub would cost a request per deployment.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.formatting import count, count_are
from dora_metrics.core.linking.attempts import ids_without_success
from dora_metrics.core.linking.counting import count_deployments
from dora_metrics.core.linking.earlier_successes import (
    as_new_baseline,
    compared_ids,
    known_ancestor_ids,
    may_reach,
)
from dora_metrics.core.linking.landed_commits import ChangeWithCommits, LandedCommit, changes_of_commits
from dora_metrics.core.linking.link import deployment_order
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, environment_of, scope_of
from dora_metrics.core.services import Services, only_service

MAX_SCOPE_LAG = timedelta(days=30)
"""A scope whose last success is older than the newest by this much is not an anchor, so old commits need not be read.

Its next deployment is compared by GitHub.
"""


ServicesOfPull = AbstractSet[str] | None
"""The services that the files of a pull request belong to; None if GitHub does not list all of the files."""


@dataclass
class CommitGraph:
    """Commits of the default branch by sha, newest first.

    `side_commits` are deployed commits outside that branch: of release branches, or of a branch before it was
    merged. `services_by_pull` are those of the pull requests that were read. `is_complete`: no deployment needs commits
    beyond these, or the history ends here.
    """

    commits_by_sha: dict[str, LandedCommit] = field(default_factory=dict)
    side_commits: dict[str, LandedCommit] = field(default_factory=dict)
    services_by_pull: dict[str, ServicesOfPull] = field(default_factory=dict)
    is_complete: bool = False

    def add(self, commits: Iterable[LandedCommit]) -> None:
        """Add older commits, newest first."""
        for commit in commits:
            self.commits_by_sha.setdefault(commit.sha, commit)

    @property
    def head(self) -> str | None:
        """The sha of the newest commit, None without commits."""
        return next(iter(self.commits_by_sha), None)

    @property
    def oldest_time(self) -> datetime | None:
        """When the oldest commit of the default branch here was committed."""
        times = (commit.committed_at for commit in self.commits_by_sha.values() if commit.committed_at)
        return min(times, default=None)

    def commit(self, sha: str) -> LandedCommit | None:
        """Return the commit with this sha, of the default branch or outside it."""
        return self.commits_by_sha.get(sha) or self.side_commits.get(sha)

    def touched_folders(self, commits: Iterable[LandedCommit]) -> set[str] | None:
        """Return the folders of services that some of the commits have changed, None if that is not known.

        A merge has changed those that are as in none of its parents, as for git.
        """
        touched: set[str] = set()
        for commit in commits:
            parents = [self.commit(sha) for sha in commit.parents]
            folders_of_parents = [parent.folders if parent else None for parent in parents]
            if commit.folders is None or None in folders_of_parents:
                return None
            touched |= {
                folder
                for folder, folder_id in commit.folders.items()
                if all(folders and folders[folder] != folder_id for folders in folders_of_parents)
                and (parents or folder_id)
            }
        return touched

    def pull_node_ids(self) -> dict[str, str]:
        """Return GitHub's ids of the pull requests of all commits, by the ids of the changes."""
        pulls = (pull for commit in self.commits_by_sha.values() for pull in commit.pulls)
        return {pull.change_id: pull.node_id for pull in pulls if pull.node_id}

    def missing_parents(self) -> set[str]:
        """Return the shas of parents that are not in the graph."""
        return {sha for commit in self.commits_by_sha.values() for sha in commit.parents} - self.commits_by_sha.keys()

    def covers(self, anchors: Collection[str]) -> bool:
        """Whether no more commits need to be read.

        The graph covers them if the history ends, or if every anchor is in it and reaches all missing parents.
        """
        missing = self.missing_parents()
        if not missing:
            return True
        if not anchors or any(anchor not in self.commits_by_sha for anchor in anchors):
            return False
        return all(missing <= self.reachable_from(anchor) for anchor in anchors)

    def reachable_from(self, sha: str) -> set[str]:
        """Return the shas of a commit and its ancestors, up to and including the first that are not in the graph."""
        visited: set[str] = set()
        self.visit_from(sha, visited)
        return visited

    def visit_from(self, sha: str, visited: set[str]) -> tuple[list[LandedCommit], bool]:
        """Return the commits reachable from `sha` that are not in `visited`, and whether the graph has all of them.

        Their shas are added to `visited`.
        """
        commits: list[LandedCommit] = []
        is_complete, pending = True, [sha]
        while pending:
            current_sha = pending.pop()
            if current_sha in visited:
                continue
            visited.add(current_sha)
            commit = self.commit(current_sha)
            if commit is None:
                is_complete = False
                continue
            commits.append(commit)
            pending += commit.parents
        return commits, is_complete


class DeliveredCommits(NamedTuple):
    """The commits that a deployment was the first of its scope to deliver.

    `previous` is the success directly before it. `descends_from` are the ids of the earlier successes that it descends
    from, without the ancestors of others. `is_complete` is false if the graph lacks some of the commits.
    `is_new_baseline`: it shares no commit with any earlier success, as after the history was rewritten.
    """

    deployment: Deployment
    commits: list[LandedCommit]
    previous: Deployment | None
    descends_from: tuple[str, ...]
    is_complete: bool
    is_new_baseline: bool


class UnknownReach(NamedTuple):
    """A deployment whose commits the graph does not tell.

    `blocking` are deployments whose histories would have to be read first: its own, or those of earlier ones that may
    reach some of its commits.
    """

    deployment: Deployment
    blocking: tuple[Deployment, ...]


@dataclass
class _ScopeWalk:
    """Walks over the successes of one scope, in order, and visits each commit once."""

    graph: CommitGraph
    visited: set[str] = field(default_factory=set)
    tips: list[Deployment] = field(default_factory=list)
    previous: Deployment | None = None

    def deliver(self, deployment: Deployment) -> DeliveredCommits | UnknownReach:
        """Return what the next success delivered."""
        sha = str(deployment.sha)
        is_unread = self.graph.commit(sha) is None
        result = self._unread(deployment) if is_unread else self._delivered(deployment, sha)
        self.previous = deployment
        return result

    def _unread(self, deployment: Deployment) -> UnknownReach:
        """Add a deployment that is not in the graph, by what was recorded about its ancestors."""
        if deployment.commit_count != 0:
            self._add_tip(deployment, ())
        return UnknownReach(deployment, (deployment,))

    def _delivered(self, deployment: Deployment, sha: str) -> DeliveredCommits | UnknownReach:
        commits, is_complete = self.graph.visit_from(sha, self.visited)
        ancestors = self._ancestors(commits)
        blocking = self._blocking(commits)
        brings_commits = deployment.commit_count != 0 if blocking else bool(commits)
        if brings_commits or not self.tips:
            self._add_tip(deployment, ancestors)
        if blocking:
            return UnknownReach(deployment, blocking)
        ancestor_ids = tuple(sorted(ancestor.id for ancestor in ancestors))
        is_new_baseline = is_complete and self.previous is not None and _has_own_root(commits)
        return DeliveredCommits(deployment, commits, self.previous, ancestor_ids, is_complete, is_new_baseline)

    def _blocking(self, commits: Sequence[LandedCommit]) -> tuple[Deployment, ...]:
        """Return the tips that are not in the graph and may reach some of the commits."""
        times = [commit.committed_at for commit in commits]
        return tuple(tip for tip in self.tips if self.graph.commit(str(tip.sha)) is None and may_reach(tip, times))

    def _add_tip(self, deployment: Deployment, ancestors: Collection[Deployment]) -> None:
        """Put a deployment in the place of the tips that it descends from, by the graph or as recorded."""
        ancestor_ids = {*known_ancestor_ids(deployment), *(ancestor.id for ancestor in ancestors)}
        self.tips = [tip for tip in self.tips if tip.id not in ancestor_ids] + [deployment]

    def _ancestors(self, commits: Sequence[LandedCommit]) -> list[Deployment]:
        """Return the tips that new commits descend from.

        Nothing deployed descends from a tip, so a path from a new commit to it leads over new commits only.
        """
        parents = {parent for commit in commits for parent in commit.parents}
        return [tip for tip in self.tips if tip.sha in parents]


def _has_own_root(commits: Sequence[LandedCommit]) -> bool:
    """Whether new commits lead to none that was reached before: they are a whole history."""
    shas = {commit.sha for commit in commits}
    return bool(commits) and all(parent in shas for commit in commits for parent in commit.parents)


def delivered_commits(successes: Iterable[Deployment], graph: CommitGraph) -> Iterator[DeliveredCommits | UnknownReach]:
    """Yield the commits of each success of a scope; `successes` are in order, each with a sha."""
    walk = _ScopeWalk(graph)
    return map(walk.deliver, successes)


@dataclass(frozen=True)
class ResolvedChanges:
    """Facts that the commit graph resolves: deployments with their changes, then the changes that are single commits.

    `unresolved`: deployments that need a comparison by GitHub. `unread`: deployments outside the default branch whose
    histories would resolve more. `pulls_without_services`: ids of pull requests whose services would resolve more, in a
    monorepo. `cursor`: where the next reading of commits may stop, None to keep the previous one.
    It is valid only together with these facts.
    """

    facts: tuple[Fact, ...]
    unresolved: tuple[Deployment, ...]
    unread: tuple[Deployment, ...]
    pulls_without_services: tuple[str, ...]
    cursor: Cursor | None
    notes: tuple[str, ...]


def resolve_changes(
    facts: Iterable[Fact], graph: CommitGraph, policy: Policy, recompared_ids: AbstractSet[str] = frozenset()
) -> ResolvedChanges:
    """Resolve the changes of the production deployments among `facts`, also of those that were resolved before.

    The baseline of a scope stays without changes: there is nothing earlier to compare it with. So does a deployment
    that shares no commit with any earlier one: it is a new baseline. Changes that came with a deployment, from whoever
    reported it, stay. Those of a comparison with a deployment that turned out not to count, or to be later, do not.

    Args:
        facts: what is known of a repository.
        graph: its commits.
        policy: the settings.
        recompared_ids: the ids of deployments whose changes are not known any more, by the present settings.
    """
    all_facts = list(facts)
    changes = {fact.id: fact for fact in all_facts if isinstance(fact, Change)}
    unlisted_pulls = {change.id for change in changes.values() if change.commits is None}
    matcher = _TouchedServices(graph, policy.services)
    counted = _counted_deployments(all_facts, policy, recompared_ids)
    resolved: dict[str, Fact] = {each.id: each for each in counted.reset}
    unknown: list[UnknownReach] = []
    newest_successes: list[Deployment] = []
    outside_shas: set[str] = set()
    for successes in _successes_by_scope(counted.deployments, policy):
        for delivered in islice(delivered_commits(successes, graph), 1, None):
            landed = _changes_of_scope(delivered, unlisted_pulls, matcher)
            if isinstance(delivered, DeliveredCommits) and landed is not None:
                resolved.update((fact.id, fact) for fact in _resolved_facts(delivered, landed, changes))
            elif delivered.deployment.changes is None and not delivered.deployment.is_new_baseline:
                blocking = delivered.blocking if isinstance(delivered, UnknownReach) else ()
                unknown.append(UnknownReach(delivered.deployment, blocking))
        newest_successes += [success for success in successes if success.sha in graph.commits_by_sha][-1:]
        outside_shas |= {successes[-1].sha or ""} - graph.commits_by_sha.keys() - {""}
    unread = {deployment.id: deployment for each in unknown for deployment in each.blocking}
    unresolved = tuple(each.deployment for each in unknown)
    cursor = _next_cursor(graph, newest_successes, outside_shas)
    notes = _unresolved_notes(unresolved, graph)
    return ResolvedChanges(
        tuple(resolved.values()), unresolved, tuple(unread.values()), tuple(matcher.unknown_pulls), cursor, notes
    )


class _CountedDeployments(NamedTuple):
    """The deployments that count; `reset` are those whose changes are unknown again."""

    deployments: list[Deployment]
    reset: list[Deployment]


def _counted_deployments(
    facts: Iterable[Fact], policy: Policy, recompared_ids: AbstractSet[str]
) -> _CountedDeployments:
    deployments = [fact for fact in facts if isinstance(fact, Deployment) and not fact.retracted]
    counted, left_out, _ = count_deployments(deployments, policy)
    reset_ids = _linked_to_later(counted) | _linked_to_failed(counted) | recompared_ids
    remaining = (each for each in deployments if each.id not in left_out)
    stale = {
        each.id: each
        for each in remaining
        if each.id in reset_ids or not left_out.keys().isdisjoint(compared_ids(each))
    }
    return _CountedDeployments(
        [_uncompared(each) if each.id in stale else each for each in counted], list(map(_uncompared, stale.values()))
    )


def _linked_to_later(deployments: Iterable[Deployment]) -> set[str]:
    """Return the ids of the deployments whose previous one is later, as after a newer success of that one."""
    by_id = {each.id: each for each in deployments}
    links = ((each, by_id.get(each.previous or "")) for each in by_id.values())
    return {each.id for each, previous in links if previous and deployment_order(previous) > deployment_order(each)}


def _linked_to_failed(deployments: Sequence[Deployment]) -> set[str]:
    """Return the ids of the deployments that were compared with a part of an attempt before another part failed."""
    failed_ids = ids_without_success(deployments)
    others = (each for each in deployments if each.id not in failed_ids)
    return {each.id for each in others if not failed_ids.isdisjoint(compared_ids(each))}


def _uncompared(deployment: Deployment) -> Deployment:
    """Return a deployment as if it had not been compared with an earlier one yet."""
    return replace(deployment, changes=None, previous=None, commit_count=None, descends_from=None)


def _successes_by_scope(deployments: Sequence[Deployment], policy: Policy) -> Iterator[list[Deployment]]:
    """Yield the successes of each scope that have a sha, in order."""
    by_scope: defaultdict[Scope, list[Deployment]] = defaultdict(list)
    failed_ids = ids_without_success(deployments)
    for deployment in deployments:
        is_success = deployment.status == "success" and deployment.sha is not None and deployment.id not in failed_ids
        if is_success and policy.is_production(environment_of(deployment)):
            by_scope[scope_of(deployment)].append(deployment)
    for successes in by_scope.values():
        yield sorted(successes, key=deployment_order)


class _ChangeOfService(NamedTuple):
    """A change of a deployment, and the services that it touches; None outside a monorepo, or if nobody knows."""

    landed: ChangeWithCommits
    services: AbstractSet[str] | None


@dataclass
class _TouchedServices:
    """Tells which services of a monorepo changes touch; `unknown_pulls` are those for which it lacks the files."""

    graph: CommitGraph
    services: Services
    unknown_pulls: dict[str, None] = field(default_factory=dict)

    def of(self, landed: ChangeWithCommits) -> AbstractSet[str] | None:
        """Return the services by the files that GitHub lists, otherwise by the folders; None if neither is known."""
        if not self.services:
            return None
        is_pull = landed.change is None
        if is_pull and landed.change_id not in self.graph.services_by_pull:
            return None
        by_files = self.graph.services_by_pull.get(landed.change_id)
        if by_files is not None:
            return by_files
        folders = self.graph.touched_folders(landed.commits) if self.services.fixed_prefixes else set()
        return None if folders is None else self.services.touched_by_folders(folders.__contains__)


def _changes_of_scope(
    delivered: DeliveredCommits | UnknownReach, unlisted_pulls: AbstractSet[str], matcher: _TouchedServices
) -> list[_ChangeOfService] | None:
    """Return the changes that a deployment brought to its service, None if the graph does not tell.

    It tells if it has all commits, nobody who reported the deployment named other changes and, for a service with
    paths, the services of all changes are known. A new baseline brought none that is known.
    """
    if not isinstance(delivered, DeliveredCommits) or not _is_resolvable(delivered):
        return None
    if delivered.is_new_baseline:
        return []
    deployment = delivered.deployment
    landed = changes_of_commits(delivered.commits, deployment.finished_at, unlisted_pulls)
    changes = [_ChangeOfService(each, matcher.of(each)) for each in landed]
    service = scope_of(deployment).service
    if service not in matcher.services:
        return changes
    unknown = [change.landed for change in changes if change.services is None]
    if deployment.changes is None:
        matcher.unknown_pulls.update((each.change_id, None) for each in unknown if each.change is None)
    return None if unknown else [change for change in changes if service in (change.services or ())]


def _is_resolvable(delivered: DeliveredCommits) -> bool:
    """Whether the graph has all commits, and nobody who reported the deployment named other changes."""
    deployment = delivered.deployment
    is_named_by_reporter = deployment.changes is not None and deployment.previous is None
    return delivered.is_complete and delivered.previous is not None and not is_named_by_reporter


def _resolved_facts(
    delivered: DeliveredCommits, changes: Sequence[_ChangeOfService], recorded: Mapping[str, Change]
) -> Iterator[Fact]:
    """Yield the deployment with its changes, oldest first, then what is only known now of the changes.

    That is a commit that is a change by itself, and the service of a pull request of which GitHub lists no files.
    """
    deployment = delivered.deployment
    yield _linked(delivered, tuple(change.landed.change_id for change in changes))
    for (change_id, change, _), services in changes:
        service = deployment.service if services is None else only_service(services)
        if change:
            observed_at = change.first_commit_at or deployment.finished_at
            yield replace(change, service=service, observed_at=observed_at)
        elif services is not None and change_id in recorded:
            yield replace(recorded[change_id], service=service)


def _linked(delivered: DeliveredCommits, change_ids: tuple[str, ...]) -> Deployment:
    """Return a deployment with what it delivered."""
    deployment, previous = delivered.deployment, delivered.previous
    if previous and delivered.is_new_baseline:
        return as_new_baseline(deployment, previous)
    return replace(
        deployment,
        changes=change_ids,
        previous=previous.id if previous else None,
        commit_count=len(delivered.commits),
        descends_from=delivered.descends_from,
    )


def _next_cursor(graph: CommitGraph, newest_successes: list[Deployment], outside_shas: set[str]) -> Cursor | None:
    """Return where the next reading of commits may stop, None if this one was not complete.

    Args:
        graph: the commits that were read.
        newest_successes: of each scope, the newest success whose sha is in the graph.
        outside_shas: the shas deployed last that are not in the graph; the next reading need not look for them.
    """
    if not graph.is_complete or graph.head is None:
        return None
    newest_finish = max((deployment.finished_at for deployment in newest_successes), default=None)
    recent_shas = {
        str(deployment.sha)
        for deployment in newest_successes
        if newest_finish and newest_finish - deployment.finished_at < MAX_SCOPE_LAG
    }
    anchors = tuple(sorted(recent_shas)) or (graph.head,)
    times = [committed_at for anchor in anchors if (committed_at := graph.commits_by_sha[anchor].committed_at)]
    return Cursor(anchors=anchors, reached=min(times, default=None), open=tuple(sorted(outside_shas)))


def _unresolved_notes(unresolved: Collection[Deployment], graph: CommitGraph) -> tuple[str, ...]:
    outside_count = sum(1 for deployment in unresolved if graph.commit(str(deployment.sha)) is None)
    unread_count = len(unresolved) - outside_count
    notes = []
    if outside_count:
        notes.append(
            f"The commit{'' if outside_count == 1 else 's'} of {count_are(outside_count, 'deployment')} outside the "
            "default branch (on another branch, or removed by a force push). The changes of such deployments are "
            "requested one deployment at a time."
        )
    if unread_count:
        notes.append(
            f"The changes of {count(unread_count, 'deployment')} are unknown, because commits were not read back to "
            "the previous deployment."
        )
    return tuple(notes)
