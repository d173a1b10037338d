"""Evaluates all facts once: one history for each scope, over all time.

A window only selects from these histories; it never changes what they say.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from msgspec import Struct

from dora_metrics.core.facts.model import GIT_SOURCE, Change, Deployment, Fact, Vulnerability
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import Failure, FailureStreak, failure_streaks, judge
from dora_metrics.core.linking.link import LinkedFacts, Production, ScopeTimeline, link
from dora_metrics.core.metrics.lead_time import LeadTimes, measure_lead_times
from dora_metrics.core.metrics.security import (
    DeliveredFix,
    ScopeVulnerabilities,
    VulnerabilityGroup,
    delivered_fixes,
    severity_notes,
)
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import DEFAULT_ENVIRONMENT, Scope, default_service
from dora_metrics.core.windows import Window

T = TypeVar("T")

_GroupKey = tuple[str, str | None]
"""Repository and service of vulnerabilities; None for those that name no service."""


@dataclass
class ScopeHistory:
    """Everything that was evaluated for one scope, over all time.

    Each list is in the order of its defining time. `changes` has the changes of all scopes by id.
    `rework_reasons` has the rework deployments of all scopes by id. `vulnerabilities` includes those of the repository
    that name no service (`_VulnerabilityIndex`). `parts` has the facts that a deployment of any scope was joined from,
    by its id.
    """

    scope: Scope
    deployments: list[Deployment]
    changes: Mapping[str, Change]
    lead_times: LeadTimes
    failures: list[Failure]
    rework_reasons: dict[str, str]
    incidents: list[AttributedIncident]
    failure_streaks: list[FailureStreak]
    vulnerabilities: ScopeVulnerabilities
    parts: Mapping[str, tuple[Deployment, ...]]

    @cached_property
    def deployments_by_id(self) -> Mapping[str, Deployment]:
        return {deployment.id: deployment for deployment in self.deployments}

    @cached_property
    def fixes(self) -> list[DeliveredFix]:
        """All fixes of vulnerabilities that are live, in the order of their deployments."""
        return delivered_fixes(self.vulnerabilities, self._successes)

    def fixes_in(self, window: Window) -> list[DeliveredFix]:
        """Return the fixes that went live in a window, in the order of their deployments.

        These are the fixes later than the last success before the window, up to the last one in it.
        """
        before = bisect_left(self._successes, window.start, key=_finish)
        until = bisect_left(self._successes, window.end, key=_finish)
        if before == until:
            return []
        after = self._successes[before - 1].finished_at if before else None
        fixed = self.vulnerabilities.fixed_between(after, self._successes[until - 1].finished_at)
        return delivered_fixes(fixed, self._successes)

    @cached_property
    def _successes(self) -> Sequence[Deployment]:
        return [deployment for deployment in self.deployments if deployment.status == "success"]

    def attempt_of(self, fact: Deployment) -> Deployment:
        """Return the deployment of this scope that a fact is, or is a part of; the fact itself if there is none."""
        for deployment in self.deployments:
            if any(part.id == fact.id for part in self.parts.get(deployment.id, (deployment,))):
                return deployment
        return fact

    @property
    def first_deployment_at(self) -> datetime | None:
        """When the scope's first recorded deployment finished; None without one."""
        return self.deployments[0].finished_at if self.deployments else None

    def last_deployment_by(self, moment: datetime) -> Deployment | None:
        """Return the newest attempt that was not cancelled and finished at or before a time; None without one."""
        attempts = (each for each in reversed(self.deployments) if each.status != "cancelled")
        return next((attempt for attempt in attempts if attempt.finished_at <= moment), None)

    @cached_property
    def knows_incidents(self) -> bool:
        """Whether incidents can be recorded for the scope: not if all that is known is a git history."""
        return bool(self.incidents) or self.knows_rollbacks

    @cached_property
    def knows_rollbacks(self) -> bool:
        """Whether rollbacks can be recorded: a git history has the versions, not that one was deployed again."""
        return any(deployment.source != GIT_SOURCE for deployment in self.deployments)

    @property
    def incomplete_rates(self) -> tuple[str, ...]:
        """Keys of the rates that may be higher, since nothing could record all that they count."""
        is_complete = {"change_failure_rate": self.knows_incidents, "rework_rate": self.knows_rollbacks}
        return tuple(key for key, complete in is_complete.items() if not complete)

    @property
    def first_success(self) -> Deployment | None:
        """The baseline: the first recorded success. There is nothing earlier to compare it with."""
        return next((deployment for deployment in self.deployments if deployment.status == "success"), None)


def _finish(deployment: Deployment) -> datetime:
    return deployment.finished_at


class Evaluation(Struct, dict=True):
    """The histories of all scopes, ordered by scope, and notes for readers about their data.

    `left_out` says of deployments by id why they do not count. `production` decides which of the others do.
    """

    histories: list[ScopeHistory]
    notes: list[str]
    left_out: Mapping[str, str]
    production: Production = Production()

    @cached_property
    def first_deployment_at(self) -> datetime | None:
        """When the first production deployment of any scope finished; None without one."""
        return min(
            (history.first_deployment_at for history in self.histories if history.first_deployment_at), default=None
        )


def evaluate_facts(facts: Iterable[Fact], policy: Policy) -> Evaluation:
    """Link all facts and evaluate every scope. A scope has a deployment or an incident."""
    linked = link(facts, policy)
    verdicts = judge(linked, policy)
    vulnerabilities = _VulnerabilityIndex(linked)
    histories = []
    for scope in sorted(linked.timelines.keys() | verdicts.incidents.keys()):
        timeline = linked.timelines.get(scope) or ScopeTimeline(scope)
        histories.append(
            ScopeHistory(
                scope=scope,
                deployments=timeline.deployments,
                changes=linked.changes_by_id,
                lead_times=measure_lead_times(timeline, policy),
                failures=verdicts.failures.get(scope, []),
                rework_reasons=verdicts.rework,
                incidents=sorted(verdicts.incidents.get(scope, []), key=_detection_order),
                failure_streaks=failure_streaks(timeline),
                vulnerabilities=vulnerabilities.of(scope),
                parts=linked.parts,
            )
        )
    notes = [*linked.notes, *severity_notes(linked.vulnerabilities)]
    return Evaluation(histories, notes, linked.left_out, linked.production)


def _detection_order(attributed: AttributedIncident) -> tuple[datetime, str]:
    return attributed.incident.detected_at, attributed.incident.id


class _VulnerabilityIndex:
    """The vulnerabilities of each scope: those of its service, and those of its repository that name no service.

    Whoever opens an issue can name any service and environment in it. So they are those of the scopes with a
    deployment. What no such scope has is in one scope only, whose name is the repository's or the vulnerability's own.
    """

    def __init__(self, linked: LinkedFacts) -> None:
        grouped: defaultdict[_GroupKey, list[Vulnerability]] = defaultdict(list)
        for vulnerability in linked.vulnerabilities:
            grouped[vulnerability.repository, vulnerability.service or None].append(vulnerability)
        self._groups = {key: VulnerabilityGroup(vulnerabilities) for key, vulnerabilities in grouped.items()}
        self._deployed_scopes = linked.timelines.keys()
        self._deployed_keys = {key for scope in self._deployed_scopes for key in _group_keys(scope)}

    def of(self, scope: Scope) -> ScopeVulnerabilities:
        groups = (self._groups.get(key) for key in _group_keys(scope) if self._includes(scope, key))
        return ScopeVulnerabilities(tuple(filter(None, groups)))

    def _includes(self, scope: Scope, key: _GroupKey) -> bool:
        if scope in self._deployed_scopes:
            return True
        repository, service = key
        own_scope = Scope(repository, service or default_service(repository), DEFAULT_ENVIRONMENT)
        return scope == own_scope and key not in self._deployed_keys


def _group_keys(scope: Scope) -> tuple[_GroupKey, _GroupKey]:
    return (scope.repository, scope.service), (scope.repository, None)


def redeployment_ids(deployments: Iterable[Deployment]) -> frozenset[str]:
    """Return the ids of the successes whose sha an earlier success had deployed. They delivered nothing new.

    `deployments` are those of one scope, in order.
    """
    deployed_shas: set[str] = set()
    redeployed: set[str] = set()
    for deployment in deployments:
        if deployment.status == "success" and deployment.sha:
            if deployment.sha in deployed_shas:
                redeployed.add(deployment.id)
            deployed_shas.add(deployment.sha)
    return frozenset(redeployed)


def in_window(items: Sequence[T], window: Window, time_of: Callable[[T], datetime]) -> Sequence[T]:
    """Return the items whose time is in the window. `items` must be in the order of that time."""
    return items[bisect_left(items, window.start, key=time_of) : bisect_left(items, window.end, key=time_of)]
