"""Derive the changes of each deployment from the commit graph of the default branch.

A deployment delivered the commits reachable from its sha and from no earlier success of its scope. `sync` fetches the
commits once and each scope visits each commit once. A comparison by GitHub would cost a request per deployment.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.linking.counting import count_deployments
from dora_metrics.core.linking.link import deployment_order
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, environment_of, scope_of

MAX_SCOPE_LAG = timedelta(days=30)
"""A scope whose last success is older than the newest by this much is no anchor, so old commits need not be read.

Its next deployment is compared by GitHub.
"""


class BranchCommit(NamedTuple):
    """A commit of the default branch.

    `change` is the id of its pull request, or the change that the commit is by itself. It is None for a merge commit.
    """

    sha: str
    parents: tuple[str, ...]
    committed_at: datetime | None
    change: str | Change | None


@dataclass
class CommitGraph:
    """Commits by sha, newest first.

    `is_complete`: no deployment needs commits beyond these, or the history ends here.
    """

    commits_by_sha: dict[str, BranchCommit] = field(default_factory=dict)
    is_complete: bool = False

    def add(self, commits: Iterable[BranchCommit]) -> None:
        """Add older commits, newest first."""
        for commit in commits:
            self.commits_by_sha.setdefault(commit.sha, commit)

    @property
    def head(self) -> str | None:
        """The sha of the newest commit, None without commits."""
        return next(iter(self.commits_by_sha), None)

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

    def visit_from(self, sha: str, visited: set[str]) -> tuple[list[BranchCommit], bool]:
        """Return the commits reachable from `sha` that are not in `visited`, and whether the graph has all of them.

        Their shas are added to `visited`.
        """
        commits: list[BranchCommit] = []
        is_complete, pending = True, [sha]
        while pending:
            current_sha = pending.pop()
            if current_sha in visited:
                continue
            visited.add(current_sha)
            commit = self.commits_by_sha.get(current_sha)
            if commit is None:
                is_complete = False
                continue
            commits.append(commit)
            pending += commit.parents
        return commits, is_complete


class DeliveredCommits(NamedTuple):
    """The commits that a deployment was the first of its scope to deliver.

    `previous` is the success before it whose sha is in the graph. `is_complete` is false if the graph lacks some of the
    commits.
    """

    deployment: Deployment
    commits: list[BranchCommit]
    previous: Deployment | None
    is_complete: bool


def delivered_commits(successes: Iterable[Deployment], graph: CommitGraph) -> Iterator[DeliveredCommits | Deployment]:
    """Yield the commits of each success of a scope, in order; the deployment itself if the graph lacks its sha."""
    visited: set[str] = set()
    previous: Deployment | None = None
    for deployment in successes:
        if deployment.sha is None or deployment.sha not in graph.commits_by_sha:
            yield deployment
            continue
        commits, is_complete = graph.visit_from(deployment.sha, visited)
        yield DeliveredCommits(deployment, commits, previous, is_complete)
        previous = deployment


@dataclass(frozen=True)
class ResolvedChanges:
    """Facts that the commit graph resolves: deployments with their changes, then the changes that are single commits.

    `unresolved`: deployments that need a comparison by GitHub. `cursor`: where the next reading of commits may stop,
    None to keep the previous one. It is valid only together with these facts.
    """

    facts: tuple[Fact, ...]
    unresolved: tuple[Deployment, ...]
    cursor: Cursor | None
    notes: tuple[str, ...]


def resolve_changes(facts: Iterable[Fact], graph: CommitGraph, policy: Policy) -> ResolvedChanges:
    """Resolve the changes of the production deployments among `facts` that have none yet.

    The baseline of a scope stays without changes: there is nothing earlier to compare it with.
    """
    resolved: dict[str, Fact] = {}
    unresolved: list[Deployment] = []
    newest_successes: list[Deployment] = []
    outside_shas: set[str] = set()
    rank_by_sha = {sha: rank for rank, sha in enumerate(graph.commits_by_sha)}
    for successes in _successes_by_scope(facts, policy):
        for delivered in islice(delivered_commits(successes, graph), 1, None):
            deployment = delivered if isinstance(delivered, Deployment) else delivered.deployment
            if deployment.changes is not None:
                continue
            if isinstance(delivered, DeliveredCommits) and _is_resolvable(delivered, policy):
                resolved.update((fact.id, fact) for fact in _resolved_facts(delivered, rank_by_sha))
            else:
                unresolved.append(deployment)
        newest_successes += [success for success in successes if success.sha in graph.commits_by_sha][-1:]
        outside_shas |= {successes[-1].sha or ""} - graph.commits_by_sha.keys() - {""}
    cursor = _next_cursor(graph, newest_successes, outside_shas)
    notes = _unresolved_notes(unresolved, graph)
    return ResolvedChanges(tuple(resolved.values()), tuple(unresolved), cursor, notes)


def _successes_by_scope(facts: Iterable[Fact], policy: Policy) -> Iterator[list[Deployment]]:
    """Yield the successes of each scope, in order."""
    deployments = [fact for fact in facts if isinstance(fact, Deployment) and not fact.retracted]
    by_scope: defaultdict[Scope, list[Deployment]] = defaultdict(list)
    for deployment in count_deployments(deployments, policy).deployments:
        if deployment.status == "success" and policy.is_production(environment_of(deployment)):
            by_scope[scope_of(deployment)].append(deployment)
    for successes in by_scope.values():
        yield sorted(successes, key=deployment_order)


def _is_resolvable(delivered: DeliveredCommits, policy: Policy) -> bool:
    """Whether the graph has all commits since the previous success. Services by path also need the changed files."""
    has_all = delivered.is_complete and delivered.previous is not None
    return has_all and scope_of(delivered.deployment).service not in policy.services


def _resolved_facts(delivered: DeliveredCommits, rank_by_sha: dict[str, int]) -> Iterator[Fact]:
    """Yield the deployment with its changes, oldest first, then the changes that are single commits."""
    commits = sorted(delivered.commits, key=lambda commit: -rank_by_sha[commit.sha])
    changes = {_change_id(commit.change): commit.change for commit in commits if commit.change}
    deployment = delivered.deployment
    previous_id = delivered.previous.id if delivered.previous else None
    yield replace(deployment, changes=tuple(changes), previous=previous_id, commit_count=len(commits))
    for change in changes.values():
        if isinstance(change, Change):
            observed_at = change.first_commit_at or deployment.finished_at
            yield replace(change, service=deployment.service, observed_at=observed_at)


def _change_id(change: str | Change) -> str:
    return change if isinstance(change, str) else change.id


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


def _unresolved_notes(unresolved: list[Deployment], graph: CommitGraph) -> tuple[str, ...]:
    outside_count = sum(1 for deployment in unresolved if deployment.sha not in graph.commits_by_sha)
    unread_count = len(unresolved) - outside_count
    notes = []
    if outside_count:
        notes.append(
            "Deployments of commits that the history of the default branch does not have (of another branch, or pushed "
            f"away by force), whose changes have to be asked for one by one: {outside_count}."
        )
    if unread_count:
        notes.append(
            "Deployments whose changes are not known, as commits were not read back to the deployment before: "
            f"{unread_count}."
        )
    return tuple(notes)
