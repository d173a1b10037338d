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
from dora_metrics.core.linking.duplicates import without_doubles
from dora_metrics.core.linking.link import order
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import scope_of

LAGGING = timedelta(days=30)
"""A scope that is so far behind the others keeps nobody reading old commits; it is compared when it deploys again."""


class Landed(NamedTuple):
    """A commit of the default branch.

    `change` is what it belongs to: the id of a pull request, the change that it is by itself, or None for a mere merge.
    """

    sha: str
    parents: tuple[str, ...]
    committed_at: datetime | None
    change: str | Change | None


@dataclass
class Graph:
    """Commits, newest first. `whole`: what is not here is in no later deployment, or the history ends."""

    commits: dict[str, Landed] = field(default_factory=dict)
    whole: bool = False

    def add(self, landed: Iterable[Landed]) -> None:
        for commit in landed:
            self.commits.setdefault(commit.sha, commit)

    @property
    def head(self) -> str | None:
        return next(iter(self.commits), None)

    def beyond(self) -> set[str]:
        """Parents that are not here."""
        return {sha for commit in self.commits.values() for sha in commit.parents} - self.commits.keys()

    def covers(self, anchors: Collection[str]) -> bool:
        """Whether nothing is left to read: the history ends, or every anchor is here and reaches all that is not."""
        beyond = self.beyond()
        if not beyond:
            return True
        if not anchors or any(anchor not in self.commits for anchor in anchors):
            return False
        return all(beyond <= self.reached(anchor) for anchor in anchors)

    def reached(self, sha: str) -> set[str]:
        """A commit and all behind it, as far as they are known; the first unknown ones are among them."""
        seen: set[str] = set()
        self.descend(sha, seen)
        return seen

    def descend(self, sha: str, seen: set[str]) -> tuple[list[Landed], bool]:
        """The commits behind a sha that were not `seen` before, and whether all are known; they are seen now."""
        found: list[Landed] = []
        whole, waiting = True, [sha]
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            commit = self.commits.get(current)
            if commit is None:
                whole = False
                continue
            found.append(commit)
            waiting += commit.parents
        return found, whole


class Share(NamedTuple):
    """What a deployment was the first of its scope to deliver.

    `bound` is the success before it that the history holds. Not `whole`: some of it lies where nobody has looked.
    """

    deployment: Deployment
    commits: list[Landed]
    bound: Deployment | None
    whole: bool


def shares(successes: Iterable[Deployment], graph: Graph) -> Iterator[Share | Deployment]:
    """Each success of a scope, in order, with its share; alone where its commit is not in the history."""
    seen: set[str] = set()
    bound: Deployment | None = None
    for deployment in successes:
        if deployment.sha is None or deployment.sha not in graph.commits:
            yield deployment
            continue
        commits, whole = graph.descend(deployment.sha, seen)
        yield Share(deployment, commits, bound, whole)
        bound = deployment


@dataclass(frozen=True)
class Linked:
    """Deployments whose changes are known now, then the commits among these changes that are no pull request's.

    `apart`: deployments that the history does not link, for a comparison each. `cursor`: where the next reading of
    commits may stop; to be kept only together with these facts. None: the one before stays.
    """

    facts: tuple[Fact, ...]
    apart: tuple[Deployment, ...]
    cursor: Cursor | None
    notes: tuple[str, ...]


def linked(facts: Iterable[Fact], graph: Graph, rules: Policy) -> Linked:
    """What the history says about the production deployments among `facts`.

    A deployment that knows its changes already keeps them, and a scope's first success only bounds the next one.
    """
    told: dict[str, Fact] = {}
    apart: list[Deployment] = []
    bounds: list[Deployment] = []
    elsewhere: set[str] = set()
    ranks = {sha: rank for rank, sha in enumerate(graph.commits)}
    for line in _lines(facts, rules):
        latest = None
        for number, share in enumerate(shares(line, graph)):
            deployment = share if isinstance(share, Deployment) else share.deployment
            latest = deployment if isinstance(share, Share) else latest
            if deployment.changes is not None or not number:
                continue
            by_path = scope_of(deployment)[1] in rules.services
            if isinstance(share, Share) and share.whole and share.bound and not by_path:
                told.update((fact.id, fact) for fact in _delivered(share, share.bound, ranks))
            else:
                apart.append(deployment)
        bounds += [latest] if latest else []
        elsewhere |= {line[-1].sha or ""} - graph.commits.keys() - {""}
    return Linked(tuple(told.values()), tuple(apart), _cursor(graph, bounds, elsewhere), _notes(apart, graph))


def _lines(facts: Iterable[Fact], rules: Policy) -> Iterator[list[Deployment]]:
    """The successes of each scope, in order."""
    deployments = [fact for fact in facts if isinstance(fact, Deployment) and not fact.retracted]
    lines: defaultdict[tuple[str, str, str], list[Deployment]] = defaultdict(list)
    for deployment in without_doubles(deployments, rules).kept:
        if deployment.status == "success" and rules.is_production(deployment.environment or "production"):
            lines[scope_of(deployment)].append(deployment)
    for line in lines.values():
        yield sorted(line, key=order)


def _delivered(share: Share, bound: Deployment, ranks: dict[str, int]) -> Iterator[Fact]:
    """The deployment with its changes, the oldest first, and those that are a commit each."""
    commits = sorted(share.commits, key=lambda commit: -ranks[commit.sha])
    changes = {_identity(commit.change): commit.change for commit in commits if commit.change}
    deployment = share.deployment
    yield replace(deployment, changes=tuple(changes), previous=bound.id, commit_count=len(commits))
    for change in changes.values():
        if isinstance(change, Change):
            at = change.first_commit_at or deployment.finished_at
            yield replace(change, service=deployment.service, observed_at=at)


def _identity(change: str | Change) -> str:
    return change if isinstance(change, str) else change.id


def _cursor(graph: Graph, bounds: list[Deployment], elsewhere: set[str]) -> Cursor | None:
    """Where the next reading may stop; `elsewhere`: what was deployed last and need not be looked for again."""
    if not graph.whole or graph.head is None:
        return None
    newest = max((bound.finished_at for bound in bounds), default=None)
    recent = {str(bound.sha) for bound in bounds if newest and newest - bound.finished_at < LAGGING}
    anchors = tuple(sorted(recent)) or (graph.head,)
    times = [at for anchor in anchors if (at := graph.commits[anchor].committed_at)]
    return Cursor(anchors=anchors, reached=min(times, default=None), open=tuple(sorted(elsewhere)))


def _notes(apart: list[Deployment], graph: Graph) -> tuple[str, ...]:
    elsewhere = sum(1 for deployment in apart if deployment.sha not in graph.commits)
    beyond = len(apart) - elsewhere
    notes = []
    if elsewhere:
        notes.append(
            "Deployments of commits that the history of the default branch does not have (of another branch, or pushed "
            f"away by force), whose changes have to be asked for one by one: {elsewhere}."
        )
    if beyond:
        notes.append(
            "Deployments whose changes are not known, as commits were not read back to the deployment before: "
            f"{beyond}."
        )
    return tuple(notes)
