"""From facts to scopes: which deployments belong together, and what each of them delivered."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.linking.duplicates import deduplicate
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import DEFAULT_ENVIRONMENT, Scope, default_service, scope_of


class DeliveredChange(NamedTuple):
    """A change and the first successful deployment that contains it; `fact` is None for one that is only listed.

    `bounding`: it came with the scope's first known deployment, so that nobody knows since when it waited.
    """

    change_id: str
    change: Change | None
    deployment: Deployment
    is_baseline: bool


@dataclass
class ScopeTimeline:
    """One scope's deployments, in order, and what they delivered."""

    scope: Scope
    deployments: list[Deployment] = field(default_factory=list)
    delivered_changes: list[DeliveredChange] = field(default_factory=list)

    @property
    def successes(self) -> list[Deployment]:
        return [deployment for deployment in self.deployments if deployment.status == "success"]

    @property
    def deployments_reaching_users(self) -> list[Deployment]:
        return [deployment for deployment in self.deployments if has_reached_users(deployment)]


@dataclass
class LinkedFacts:
    """Everything known, linked. `notes` says what a reader must know about the links."""

    timelines: dict[Scope, ScopeTimeline]
    changes_by_id: dict[str, Change]
    incidents: list[Incident]
    vulnerabilities: list[Vulnerability]
    notes: list[str]


def has_reached_users(deployment: Deployment) -> bool:
    """A success always has; a failure only where its source says so; a cancelled one never counts."""
    return deployment.status == "success" or (deployment.status == "failure" and deployment.reached_users)


def deployment_order(deployment: Deployment) -> tuple[datetime, datetime, str]:
    """The order of deployments everywhere."""
    return deployment.finished_at, deployment.started_at or EPOCH, deployment.id


def previous_success(deployment: Deployment, facts: Iterable[Fact]) -> Deployment | None:
    """What to compare a deployment with: the latest success before it in its scope whose commit and changes are known.

    Without one it is the first success there is, which only bounds what comes after it. So what a failed
    comparison left open is found by the next one.
    """
    scope = scope_of(deployment)
    earlier_successes = [
        fact
        for fact in facts
        if isinstance(fact, Deployment) and fact.status == "success" and fact.sha and not fact.retracted
        if scope_of(fact) == scope
        and deployment_order(fact) < deployment_order(deployment)
        and fact.id != deployment.id
    ]
    with_changes = [fact for fact in earlier_successes if fact.changes is not None]
    return (
        max(with_changes, key=deployment_order)
        if with_changes
        else min(earlier_successes, key=deployment_order, default=None)
    )


def link(facts: Iterable[Fact], policy: Policy) -> LinkedFacts:
    """Scopes with their deployments in order and their deliveries; retracted facts are left out."""
    linked = LinkedFacts({}, {}, [], [], [])
    deployments: list[Deployment] = []
    for fact in facts:
        if fact.retracted:
            continue
        match fact:
            case Deployment():
                deployments.append(fact)
            case Change():
                linked.changes_by_id[fact.id] = fact
            case Incident():
                linked.incidents.append(fact)
            case Vulnerability():
                linked.vulnerabilities.append(fact)
    deduplicated = deduplicate(deployments, policy)
    linked.notes += deduplicated.notes
    _group_by_scope(linked, deduplicated.deployments, policy)
    for timeline in linked.timelines.values():
        timeline.deployments.sort(key=deployment_order)
        timeline.delivered_changes = find_delivered_changes(timeline.deployments, linked.changes_by_id)
    _note_unknown_changes(linked)
    return linked


def _group_by_scope(linked: LinkedFacts, deployments: list[Deployment], policy: Policy) -> None:
    repositories_with_environments = {deployment.repository for deployment in deployments if deployment.environment}
    counts_outside_production: dict[str, int] = defaultdict(int)
    assumed_production: set[str] = set()
    for deployment in deployments:
        environment = deployment.environment or ""
        is_assumed = deployment.repository not in repositories_with_environments
        if is_assumed:
            environment = DEFAULT_ENVIRONMENT
            assumed_production.add(deployment.repository)
        if is_assumed or policy.is_production(environment):
            service = deployment.service or default_service(deployment.repository)
            scope = Scope(deployment.repository, service, environment)
            (
                linked.timelines.get(scope) or linked.timelines.setdefault(scope, ScopeTimeline(scope))
            ).deployments.append(deployment)
        else:
            counts_outside_production[environment or "no environment"] += 1
    linked.notes += [
        f"{repository} has never recorded an environment: all its deployments count as production."
        for repository in sorted(assumed_production)
    ]
    if counts_outside_production:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(counts_outside_production.items())[:10])
        linked.notes.append(f"Deployments that are not production, and in no number: {listed}.")


def find_delivered_changes(
    deployments: Iterable[Deployment], changes_by_id: Mapping[str, Change]
) -> list[DeliveredChange]:
    """What each deployment of a scope was the first to deliver, in order.

    The changes of an attempt that did not succeed go to the next success. A sha that succeeded before
    delivers nothing new. A change stays with the first success that lists it.
    """
    delivered: list[DeliveredChange] = []
    delivered_ids: set[str] = set()
    deployed_shas: set[str | None] = set()
    pending_ids: list[str] = []
    for deployment in deployments:
        if deployment.status != "success":
            pending_ids += deployment.changes or ()
            continue
        if deployment.sha is None or deployment.sha not in deployed_shas:
            is_baseline = not deployed_shas and not deployment.previous
            for change_id in (*pending_ids, *(deployment.changes or ())):
                if change_id not in delivered_ids:
                    delivered_ids.add(change_id)
                    delivered.append(DeliveredChange(change_id, changes_by_id.get(change_id), deployment, is_baseline))
            pending_ids.clear()
        deployed_shas.add(deployment.sha)
    return delivered


def _note_unknown_changes(linked: LinkedFacts) -> None:
    unknown_count = sum(
        1
        for timeline in linked.timelines.values()
        for deployment in timeline.successes[1:]
        if deployment.changes is None
    )
    if unknown_count:
        linked.notes.append(
            f"What {unknown_count} of the deployments delivered is not known yet; their changes are in no lead time."
        )
