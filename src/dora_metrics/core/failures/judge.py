"""Judge a whole history: which deployments failed, which were rework, and how each failure ended.

Everything is judged before a window selects what is counted. Definitions are in docs/definitions.md.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.incident_reports import JoinedReports, ReportedIncident, join_reports
from dora_metrics.core.failures.incidents import (
    AttributedIncident,
    DeploymentIndex,
    NameReference,
    ScopeHint,
    attribute_incidents,
)
from dora_metrics.core.failures.rules import FailureSignal, timeline_signals
from dora_metrics.core.linking.link import LinkedFacts, ScopeTimeline, deployment_order, has_reached_users
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope

RULE_PRECEDENCE = ("explicit", "rollback", "revert", "hotfix", "incident", "health-check", "failed-run")
"""Failure rules. A deployment with several signals failed by the first of these."""

_RULE_RANK = {rule: rank for rank, rule in enumerate(RULE_PRECEDENCE)}


class Failure(Struct, frozen=True):
    """A deployment that failed, by the rule of highest precedence, and its remediation.

    `remediated_by` is the id of a deployment, or of an incident if `is_ended_by_incident`. It and `recovered_at` are
    None while the failure is open.
    """

    deployment: Deployment
    rule: str
    because: str
    url: str | None
    remediated_by: str | None
    recovered_at: datetime | None
    is_ended_by_incident: bool = False

    @property
    def recovery_seconds(self) -> float | None:
        """Time from failure to recovery. None while open, and if the recovery is before the failure."""
        if self.recovered_at is None or self.recovered_at < self.deployment.finished_at:
            return None
        return (self.recovered_at - self.deployment.finished_at).total_seconds()


@dataclass
class FailureVerdicts:
    """The result of `judge`.

    `failures`: by scope, in order of deployment. `rework`: the reason by deployment id. `signals`: by deployment id,
    including those that another rule takes precedence over. `incidents`: by scope. `joined`: every
    incident once, also outside production.
    """

    failures: dict[Scope, list[Failure]] = field(default_factory=dict)
    rework: dict[str, str] = field(default_factory=dict)
    signals: dict[str, list[FailureSignal]] = field(default_factory=lambda: defaultdict(list))
    incidents: dict[Scope, list[AttributedIncident]] = field(default_factory=lambda: defaultdict(list))
    joined: JoinedReports = field(default_factory=JoinedReports)


def judge(linked: LinkedFacts, policy: Policy) -> FailureVerdicts:
    """Find every failure and every rework deployment, and attribute every incident."""
    joined = join_reports(linked, policy)
    linked.notes += joined.notes
    references = _name_references(linked, joined.incidents)
    index = DeploymentIndex(linked, references, lambda deployment: counts_in_failure_rate(deployment, policy))
    incidents = attribute_incidents(linked, joined.incidents, index, policy)
    remediations = list(_remediations(linked, index))
    verdicts = FailureVerdicts(joined=joined)
    for signal in _all_signals(linked, policy, incidents, remediations):
        verdicts.signals[signal.deployment.id].append(signal)
        if signal.repaired_by:
            verdicts.rework.setdefault(signal.repaired_by.id, f"{signal.rule}: {signal.because}")
    for remediation in remediations:
        verdicts.rework.setdefault(remediation.fix.id, f"explicit: it remediates {remediation.fix.remediates}")
    recoveries = Recoveries(incidents, remediations)
    for timeline in linked.timelines.values():
        verdicts.failures[timeline.scope] = list(_failures(timeline, verdicts.signals, policy, recoveries))
    for attributed in incidents:
        verdicts.incidents[attributed.scope].append(attributed)
    return verdicts


def counts_in_failure_rate(deployment: Deployment, policy: Policy) -> bool:
    """Whether a deployment is in the denominator of the change failure rate."""
    return has_reached_users(deployment) or (policy.count_failed_runs and deployment.status == "failure")


def is_rule_enabled(rule: str, policy: Policy) -> bool:
    """Whether a rule is enabled. `failed-run` is controlled by `count-failed-runs`, see `counts_in_failure_rate`."""
    return rule == "failed-run" or rule in policy.failure_rules


def _name_references(linked: LinkedFacts, reported: Iterable[ReportedIncident]) -> Iterator[NameReference]:
    """Yield the names of deployments that incidents and `remediates` fields use."""
    for incident in (each.incident for each in reported):
        if incident.deployment:
            yield NameReference(incident.deployment, incident.repository)
    for timeline in linked.timelines.values():
        for deployment in timeline.deployments:
            if deployment.remediates:
                yield NameReference(deployment.remediates, timeline.scope.repository)


class Remediation(Struct, frozen=True):
    """A deployment whose `remediates` field names what it repaired.

    `target` is the deployment so named, None for an incident or an unknown name.
    """

    fix: Deployment
    target: Deployment | None

    @property
    def target_id(self) -> str:
        """The id of the repaired deployment or incident."""
        return self.target.id if self.target else str(self.fix.remediates)


def _remediations(linked: LinkedFacts, index: DeploymentIndex) -> Iterator[Remediation]:
    for timeline in linked.timelines.values():
        for deployment in timeline.deployments:
            if deployment.remediates and deployment.status != "cancelled":
                match = index.find(deployment.remediates, ScopeHint(*timeline.scope))
                if match is None or match.deployment.id != deployment.id:
                    yield Remediation(deployment, match.deployment if match else None)


def _all_signals(
    linked: LinkedFacts, policy: Policy, incidents: Iterable[AttributedIncident], remediations: Iterable[Remediation]
) -> Iterator[FailureSignal]:
    """Yield the signals of all rules. Of several signals of one rule for a deployment, the first decides."""
    yield from _incident_signals(incidents)
    yield from _remediation_signals(remediations)
    for timeline in linked.timelines.values():
        yield from timeline_signals(timeline, policy)
        for deployment in timeline.deployments:
            yield from _own_signals(deployment)


def _incident_signals(incidents: Iterable[AttributedIncident]) -> Iterator[FailureSignal]:
    """Yield a signal per attributed incident, in order of detection."""
    for attributed in sorted(incidents, key=lambda each: (each.incident.detected_at, each.incident.id)):
        if attributed.attributed_to:
            rule, incident = "explicit" if attributed.is_explicit else "incident", attributed.incident
            because = f"{incident.id} {attributed.because}"
            yield FailureSignal(attributed.attributed_to, rule, because, incident.url)


def _remediation_signals(remediations: Iterable[Remediation]) -> Iterator[FailureSignal]:
    """Yield a signal per deployment that another one names in `remediates`, in order of deployment."""
    for remediation in sorted(remediations, key=lambda each: deployment_order(each.fix)):
        if remediation.target:
            because = f"{remediation.fix.id} says that it remediates this deployment"
            yield FailureSignal(remediation.target, "explicit", because, remediation.fix.url)


def _own_signals(deployment: Deployment) -> Iterator[FailureSignal]:
    """Yield the signals in a deployment's own health and status."""
    if deployment.health == "failed":
        yield FailureSignal(deployment, "health-check", "its health check failed", deployment.url)
    if deployment.status == "failure":
        because = "its run failed, but it reached users" if has_reached_users(deployment) else "the run itself failed"
        yield FailureSignal(deployment, "failed-run", because, deployment.url)


def _failures(
    timeline: ScopeTimeline, signals: Mapping[str, Sequence[FailureSignal]], policy: Policy, recoveries: "Recoveries"
) -> Iterator[Failure]:
    """Yield the failures of a scope, each by its signal of highest precedence."""
    next_success = NextSuccess(timeline)
    for deployment in timeline.deployments:
        if counts_in_failure_rate(deployment, policy):
            deciding = [
                signal
                for signal in signals.get(deployment.id, ())
                if signal.marks_failure and is_rule_enabled(signal.rule, policy)
            ]
            if deciding:
                yield recoveries.failure(min(deciding, key=lambda signal: _RULE_RANK[signal.rule]), next_success)


class Recovery(NamedTuple):
    """The end of a failure: the time, and the id of the deployment or incident. Ordered by time."""

    recovered_at: datetime
    remediated_by: str
    is_by_incident: bool = False


def _recovery_by(deployment: Deployment | None) -> Recovery | None:
    return Recovery(deployment.finished_at, deployment.id) if deployment else None


class Recoveries:
    """Reported ends of failures: resolved incidents, and deployments that name what they repaired."""

    def __init__(self, incidents: Iterable[AttributedIncident], remediations: Iterable[Remediation]) -> None:
        self._incidents_by_deployment: dict[str, list[AttributedIncident]] = defaultdict(list)
        for attributed in incidents:
            if attributed.attributed_to:
                self._incidents_by_deployment[attributed.attributed_to.id].append(attributed)
        self._fix_by_target: dict[str, Recovery] = {}
        for remediation in sorted(remediations, key=lambda each: deployment_order(each.fix)):
            fix = remediation.fix
            if fix.status == "success":
                self._fix_by_target.setdefault(remediation.target_id, Recovery(fix.finished_at, fix.id))

    def failure(self, signal: FailureSignal, next_success: "NextSuccess") -> Failure:
        """Return the failure of a signal, with the recovery that its rule defines."""
        recovery: Recovery | None
        match signal.rule:
            case "explicit" | "incident":
                recovery = self._reported_recovery(signal.deployment)
            case "health-check":
                recovery = next_success.healthy_after(signal.deployment)
            case "failed-run":
                recovery = next_success.healthy_after(signal.deployment, same_source=True)
            case _:
                recovery = _recovery_by(signal.repaired_by)
        signal_fields = (signal.deployment, signal.rule, signal.because, signal.url)
        if recovery is None:
            return Failure(*signal_fields, remediated_by=None, recovered_at=None)
        return Failure(*signal_fields, recovery.remediated_by, recovery.recovered_at, recovery.is_by_incident)

    def _reported_recovery(self, deployment: Deployment) -> Recovery | None:
        """Return the earlier of the end of the last incident and the deployment that remediates this one.

        Incidents give no end while one of them is open.
        """
        ends = [self._incident_end(attributed) for attributed in self._incidents_by_deployment[deployment.id]]
        closed = [end for end in ends if end]
        recoveries = [max(closed)] if closed and len(closed) == len(ends) else []
        if fix := self._fix_by_target.get(deployment.id):
            recoveries.append(fix)
        return min(recoveries, default=None)

    def _incident_end(self, attributed: AttributedIncident) -> Recovery | None:
        """Return the earlier of an incident's resolution and the deployment that remediates it."""
        incident = attributed.incident
        ends = [Recovery(incident.resolved_at, incident.id, is_by_incident=True)] if incident.resolved_at else []
        fixes = (self._fix_by_target.get(report_id) for report_id in attributed.report_ids)
        return min((*ends, *filter(None, fixes)), default=None)


class NextSuccess:
    """Finds the success that follows a deployment in its scope."""

    def __init__(self, timeline: ScopeTimeline) -> None:
        self._all = _OrderedSuccesses()
        self._by_source: dict[str | None, _OrderedSuccesses] = defaultdict(_OrderedSuccesses)
        for deployment in timeline.successes:
            if deployment.health != "failed":
                self._all.add(deployment)
                self._by_source[deployment.source].add(deployment)

    def healthy_after(self, deployment: Deployment, *, same_source: bool = False) -> Recovery | None:
        """Return the first success after `deployment` whose health check did not fail."""
        successes = self._by_source[deployment.source] if same_source else self._all
        return _recovery_by(successes.first_after(deployment))


class _OrderedSuccesses:
    """Successes, added in order of deployment and searched by bisection."""

    def __init__(self) -> None:
        self._keys: list[tuple[datetime, datetime, str]] = []
        self._deployments: list[Deployment] = []

    def add(self, deployment: Deployment) -> None:
        self._keys.append(deployment_order(deployment))
        self._deployments.append(deployment)

    def first_after(self, deployment: Deployment) -> Deployment | None:
        position = bisect_right(self._keys, deployment_order(deployment))
        return self._deployments[position] if position < len(self._deployments) else None


class FailureStreak(NamedTuple):
    """Consecutive failed runs of one scope and source: the first of them, and the success that ended them."""

    first: Deployment
    ended_by: Deployment | None

    @property
    def source(self) -> str | None:
        return self.first.source

    @property
    def started_at(self) -> datetime:
        """The end of the first failed run."""
        return self.first.finished_at

    @property
    def ended_at(self) -> datetime | None:
        """The end of the success; None while the streak lasts."""
        return self.ended_by.finished_at if self.ended_by else None

    @property
    def recovery_seconds(self) -> float | None:
        """Time from the first failure to the next success, None while the streak lasts."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()


def failure_streaks(timeline: ScopeTimeline) -> list[FailureStreak]:
    """Return the streaks of a scope in order of their first failure. Cancelled runs neither start nor end one."""
    first_by_source: dict[str | None, Deployment] = {}
    streaks: list[FailureStreak] = []
    for deployment in timeline.deployments:
        if deployment.status == "failure":
            first_by_source.setdefault(deployment.source, deployment)
        elif deployment.status == "success" and deployment.source in first_by_source:
            streaks.append(FailureStreak(first_by_source.pop(deployment.source), deployment))
    streaks += [FailureStreak(first, None) for first in first_by_source.values()]
    return sorted(streaks, key=lambda streak: streak.started_at)
