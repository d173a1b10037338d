"""What each deployment delivered, worked out from the commits of the default branch and their parents.

A comparison a deployment would be a request a deployment. The commits are fetched once, and each is looked at once
for each scope: a deployment delivered what it reaches and no earlier success of its scope does.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.linking.duplicates import deduplicate
from dora_metrics.core.linking.link import deployment_order
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import environment_of, scope_of

MAX_SCOPE_LAG = timedelta(days=30)
"""A scope that is so far behind the others keeps nobody reading old commits; it is compared when it deploys again."""


class BranchCommit(NamedTuple):
    """A commit of the default branch.

    `change` is what it belongs to: the id of a pull request, the change that it is by itself, or None for a mere merge.
    """

    sha: str
    parents: tuple[str, ...]
    committed_at: datetime | None
    change: str | Change | None


@dataclass
class CommitGraph:
    """Commits, newest first. `whole`: what is not here is in no later deployment, or the history ends."""

    commits_by_sha: dict[str, BranchCommit] = field(default_factory=dict)
    is_complete: bool = False

    def add(self, commits: Iterable[BranchCommit]) -> None:
        for commit in commits:
            self.commits_by_sha.setdefault(commit.sha, commit)

    @property
    def head(self) -> str | None:
        return next(iter(self.commits_by_sha), None)

    def missing_parents(self) -> set[str]:
        """Parents that are not here."""
        return {sha for commit in self.commits_by_sha.values() for sha in commit.parents} - self.commits_by_sha.keys()

    def covers(self, anchors: Collection[str]) -> bool:
        """Whether nothing is left to read: the history ends, or every anchor is here and reaches all that is not."""
        missing = self.missing_parents()
        if not missing:
            return True
        if not anchors or any(anchor not in self.commits_by_sha for anchor in anchors):
            return False
        return all(missing <= self.reachable_from(anchor) for anchor in anchors)

    def reachable_from(self, sha: str) -> set[str]:
        """A commit and all behind it, as far as they are known; the first unknown ones are among them."""
        visited: set[str] = set()
        self.visit_from(sha, visited)
        return visited

    def visit_from(self, sha: str, visited: set[str]) -> tuple[list[BranchCommit], bool]:
        """The commits behind a sha that were not `seen` before, and whether all are known; they are seen now."""
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
    """What a deployment was the first of its scope to deliver.

    `bound` is the success before it that the history holds. Not `whole`: some of it lies where nobody has looked.
    """

    deployment: Deployment
    commits: list[BranchCommit]
    previous: Deployment | None
    is_complete: bool


def delivered_commits(successes: Iterable[Deployment], graph: CommitGraph) -> Iterator[DeliveredCommits | Deployment]:
    """Each success of a scope, in order, with its share; alone where its commit is not in the history."""
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
    """Deployments whose changes are known now, then the commits among these changes that are no pull request's.

    `apart`: deployments that the history does not link, for a comparison each. `cursor`: where the next reading of
    commits may stop; to be kept only together with these facts. None: the one before stays.
    """

    facts: tuple[Fact, ...]
    unresolved: tuple[Deployment, ...]
    cursor: Cursor | None
    notes: tuple[str, ...]


def resolve_changes(facts: Iterable[Fact], graph: CommitGraph, policy: Policy) -> ResolvedChanges:
    """What the history says about the production deployments among `facts`.

    A deployment that knows its changes already keeps them, and a scope's first success only bounds the next one.
    """
    resolved: dict[str, Fact] = {}
    unresolved: list[Deployment] = []
    newest_successes: list[Deployment] = []
    outside_shas: set[str] = set()
    rank_by_sha = {sha: rank for rank, sha in enumerate(graph.commits_by_sha)}
    for successes in _successes_by_scope(facts, policy):
        latest = None
        for position, delivered in enumerate(delivered_commits(successes, graph)):
            deployment = delivered if isinstance(delivered, Deployment) else delivered.deployment
            latest = deployment if isinstance(delivered, DeliveredCommits) else latest
            if deployment.changes is not None or not position:
                continue
            is_by_path = scope_of(deployment)[1] in policy.services
            if (
                isinstance(delivered, DeliveredCommits)
                and delivered.is_complete
                and delivered.previous
                and not is_by_path
            ):
                resolved.update((fact.id, fact) for fact in _resolved_facts(delivered, delivered.previous, rank_by_sha))
            else:
                unresolved.append(deployment)
        newest_successes += [latest] if latest else []
        outside_shas |= {successes[-1].sha or ""} - graph.commits_by_sha.keys() - {""}
    return ResolvedChanges(
        tuple(resolved.values()),
        tuple(unresolved),
        _next_cursor(graph, newest_successes, outside_shas),
        _unresolved_notes(unresolved, graph),
    )


def _successes_by_scope(facts: Iterable[Fact], policy: Policy) -> Iterator[list[Deployment]]:
    """The successes of each scope, in order."""
    deployments = [fact for fact in facts if isinstance(fact, Deployment) and not fact.retracted]
    by_scope: defaultdict[tuple[str, str, str], list[Deployment]] = defaultdict(list)
    for deployment in deduplicate(deployments, policy).deployments:
        if deployment.status == "success" and policy.is_production(environment_of(deployment)):
            by_scope[scope_of(deployment)].append(deployment)
    for successes in by_scope.values():
        yield sorted(successes, key=deployment_order)


def _resolved_facts(delivered: DeliveredCommits, previous: Deployment, rank_by_sha: dict[str, int]) -> Iterator[Fact]:
    """The deployment with its changes, the oldest first, and those that are a commit each."""
    commits = sorted(delivered.commits, key=lambda commit: -rank_by_sha[commit.sha])
    changes = {_change_id(commit.change): commit.change for commit in commits if commit.change}
    deployment = delivered.deployment
    yield replace(deployment, changes=tuple(changes), previous=previous.id, commit_count=len(commits))
    for change in changes.values():
        if isinstance(change, Change):
            observed_at = change.first_commit_at or deployment.finished_at
            yield replace(change, service=deployment.service, observed_at=observed_at)


def _change_id(change: str | Change) -> str:
    return change if isinstance(change, str) else change.id


def _next_cursor(graph: CommitGraph, newest_successes: list[Deployment], outside_shas: set[str]) -> Cursor | None:
    """Where the next reading may stop; `elsewhere`: what was deployed last and need not be looked for again."""
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
