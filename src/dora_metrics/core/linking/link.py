"""From facts to scopes: which deployments belong together, and what each of them delivered."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.linking.duplicates import without_doubles
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, default_service, scope_of


class Delivery(NamedTuple):
    """A change and the first successful deployment that contains it; `fact` is None for one that is only listed.

    `bounding`: it came with the scope's first known deployment, so that nobody knows since when it waited.
    """

    change: str
    fact: Change | None
    deployment: Deployment
    bounding: bool


@dataclass
class Line:
    """One scope's deployments, in order, and what they delivered."""

    scope: Scope
    deployments: list[Deployment] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def successes(self) -> list[Deployment]:
        return [deployment for deployment in self.deployments if deployment.status == "success"]

    @property
    def reached(self) -> list[Deployment]:
        return [deployment for deployment in self.deployments if reached_users(deployment)]


@dataclass
class History:
    """Everything known, linked. `notes` says what a reader must know about the links."""

    lines: dict[Scope, Line]
    changes: dict[str, Change]
    incidents: list[Incident]
    vulnerabilities: list[Vulnerability]
    notes: list[str]


def reached_users(deployment: Deployment) -> bool:
    """A success always has; a failure only where its source says so; a cancelled one never counts."""
    return deployment.status == "success" or (deployment.status == "failure" and deployment.reached_users)


def order(deployment: Deployment) -> tuple[datetime, datetime, str]:
    """The order of deployments everywhere."""
    return deployment.finished_at, deployment.started_at or EPOCH, deployment.id


def previous_success(deployment: Deployment, facts: Iterable[Fact]) -> Deployment | None:
    """What to compare a deployment with: the latest success before it in its scope whose commit and changes are known.

    Without one it is the first success there is, which only bounds what comes after it. So what a failed
    comparison left open is found by the next one.
    """
    scope = scope_of(deployment)
    earlier = [
        fact
        for fact in facts
        if isinstance(fact, Deployment) and fact.status == "success" and fact.sha and not fact.retracted
        if scope_of(fact) == scope and order(fact) < order(deployment) and fact.id != deployment.id
    ]
    known = [fact for fact in earlier if fact.changes is not None]
    return max(known, key=order) if known else min(earlier, key=order, default=None)


def link(facts: Iterable[Fact], policy: Policy) -> History:
    """Scopes with their deployments in order and their deliveries; retracted facts are left out."""
    history = History({}, {}, [], [], [])
    deployments: list[Deployment] = []
    for fact in facts:
        if fact.retracted:
            continue
        match fact:
            case Deployment():
                deployments.append(fact)
            case Change():
                history.changes[fact.id] = fact
            case Incident():
                history.incidents.append(fact)
            case Vulnerability():
                history.vulnerabilities.append(fact)
    counted = without_doubles(deployments, policy)
    history.notes += counted.notes
    _into_scopes(history, counted.kept, policy)
    for line in history.lines.values():
        line.deployments.sort(key=order)
        line.deliveries = deliveries(line.deployments, history.changes)
    _note_unknown_changes(history)
    return history


def _into_scopes(history: History, deployments: list[Deployment], policy: Policy) -> None:
    named = {deployment.repository for deployment in deployments if deployment.environment}
    elsewhere: dict[str, int] = defaultdict(int)
    assumed: set[str] = set()
    for deployment in deployments:
        environment = deployment.environment or ""
        unnamed = deployment.repository not in named
        if unnamed:
            environment = "production"
            assumed.add(deployment.repository)
        if unnamed or policy.is_production(environment):
            service = deployment.service or default_service(deployment.repository)
            scope = Scope(deployment.repository, service, environment)
            (history.lines.get(scope) or history.lines.setdefault(scope, Line(scope))).deployments.append(deployment)
        else:
            elsewhere[environment or "no environment"] += 1
    history.notes += [
        f"{repository} has never recorded an environment: all its deployments count as production."
        for repository in sorted(assumed)
    ]
    if elsewhere:
        counts = ", ".join(f"{name} ({count})" for name, count in sorted(elsewhere.items())[:10])
        history.notes.append(f"Deployments that are not production, and in no number: {counts}.")


def deliveries(attempts: Iterable[Deployment], changes: Mapping[str, Change]) -> list[Delivery]:
    """What each deployment of a scope was the first to deliver, in order.

    The changes of an attempt that did not succeed go to the next success. A sha that succeeded before
    delivers nothing new. A change stays with the first success that lists it.
    """
    found: list[Delivery] = []
    seen: set[str] = set()
    shas: set[str | None] = set()
    waiting: list[str] = []
    for deployment in attempts:
        if deployment.status != "success":
            waiting += deployment.changes or ()
            continue
        if deployment.sha is None or deployment.sha not in shas:
            bounding = not shas and not deployment.previous
            for change in (*waiting, *(deployment.changes or ())):
                if change not in seen:
                    seen.add(change)
                    found.append(Delivery(change, changes.get(change), deployment, bounding))
            waiting.clear()
        shas.add(deployment.sha)
    return found


def _note_unknown_changes(history: History) -> None:
    unknown = sum(
        1 for line in history.lines.values() for deployment in line.successes[1:] if deployment.changes is None
    )
    if unknown:
        history.notes.append(
            f"What {unknown} of the deployments delivered is not known yet; their changes are in no lead time."
        )
