"""How failed deployments and failed runs came to an end (DEFINITIONS §2, metric 4).

Which deployments failed, which were rework, and where each incident belongs (DEFINITIONS §2, §3).

Judged for the whole history by sorting and bisection; the window only chooses what is counted.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.incidents import AttributedIncident, DeploymentIndex, ScopeHint, attribute_incidents
from dora_metrics.core.failures.rules import FailureSignal, timeline_signals
from dora_metrics.core.linking.link import LinkedFacts, ScopeTimeline, deployment_order, has_reached_users
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope


@dataclass(frozen=True, slots=True)
class Failure:
    """A deployment that failed, by the first rule that hit, and its remediation.

    `remediated_by` is a deployment's or an incident's id; it and `recovered_at` are None while it is open.
    """

    deployment: Deployment
    rule: str
    because: str
    url: str | None
    remediated_by: str | None
    recovered_at: datetime | None

    @property
    def recovery_seconds(self) -> float | None:
        """Time to recover; None while open, and for a contradiction: recovered before it failed."""
        if self.recovered_at is None or self.recovered_at < self.deployment.finished_at:
            return None
        return (self.recovered_at - self.deployment.finished_at).total_seconds()


class Recovery(NamedTuple):
    recovered_at: datetime
    remediated_by: str


def _recovery_by(deployment: Deployment | None) -> Recovery | None:
    return Recovery(deployment.finished_at, deployment.id) if deployment else None


class Recoveries:
    """What ended a failure: incidents that were resolved, deployments that say what they repaired."""

    def __init__(self, incidents: Iterable[AttributedIncident], fixes: Iterable[tuple[str, Deployment]]) -> None:
        """`fixes`: the id of an incident or deployment, and a successful deployment that remediates it."""
        self._incidents_by_deployment: dict[str, list[AttributedIncident]] = defaultdict(list)
        for attributed in incidents:
            if attributed.attributed_to:
                self._incidents_by_deployment[attributed.attributed_to.id].append(attributed)
        self._recovery_by_target: dict[str, Recovery] = {}
        for target_id, fix in sorted(fixes, key=lambda pair: deployment_order(pair[1])):
            self._recovery_by_target.setdefault(target_id, Recovery(fix.finished_at, fix.id))

    def failure(self, signal: FailureSignal, next_success: "NextSuccess") -> Failure:
        """The failure that a mark makes, ended by what its rule names."""
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
        remediated_by, recovered_at = (recovery.remediated_by, recovery.recovered_at) if recovery else (None, None)
        return Failure(signal.deployment, signal.rule, signal.because, signal.url, remediated_by, recovered_at)

    def _reported_recovery(self, deployment: Deployment) -> Recovery | None:
        """The end of the last incident or the deployment that remediates this one: the earlier of the two."""
        ends = [self._incident_end(attributed) for attributed in self._incidents_by_deployment[deployment.id]]
        closed_ends = [end for end in ends if end]
        recoveries = [max(closed_ends)] if closed_ends and len(closed_ends) == len(ends) else []
        if fix := self._recovery_by_target.get(deployment.id):
            recoveries.append(fix)
        return min(recoveries, default=None)

    def _incident_end(self, attributed: AttributedIncident) -> Recovery | None:
        incident = attributed.incident
        ends = [Recovery(incident.resolved_at, incident.id)] if incident.resolved_at else []
        if fix := self._recovery_by_target.get(incident.id):
            ends.append(fix)
        return min(ends, default=None)


class NextSuccess:
    """The successes of a scope, to be searched from a deployment onwards."""

    def __init__(self, timeline: ScopeTimeline) -> None:
        self._all = _OrderedSuccesses()
        self._by_source: dict[str | None, _OrderedSuccesses] = defaultdict(_OrderedSuccesses)
        for deployment in timeline.successes:
            if deployment.health != "failed":
                self._all.add(deployment)
                self._by_source[deployment.source].add(deployment)

    def healthy_after(self, deployment: Deployment, *, same_source: bool = False) -> Recovery | None:
        """The first success after a deployment whose health check did not fail."""
        successes = self._by_source[deployment.source] if same_source else self._all
        success = successes.first_after(deployment)
        return _recovery_by(success)


class _OrderedSuccesses:
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
    """Failed runs of one scope and source in a row, and the success that ended them."""

    started_at: datetime
    ended_at: datetime | None

    @property
    def recovery_seconds(self) -> float | None:
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()


def failure_streaks(timeline: ScopeTimeline) -> list[FailureStreak]:
    """Streaks in order of their first failure; cancelled and skipped runs neither start nor end one."""
    started_at_by_source: dict[str | None, datetime] = {}
    streaks: list[FailureStreak] = []
    for deployment in timeline.deployments:
        if deployment.status == "failure":
            started_at_by_source.setdefault(deployment.source, deployment.finished_at)
        elif deployment.status == "success" and deployment.source in started_at_by_source:
            streaks.append(FailureStreak(started_at_by_source.pop(deployment.source), deployment.finished_at))
    streaks += [FailureStreak(started_at, None) for started_at in started_at_by_source.values()]
    return sorted(streaks, key=lambda streak: streak.started_at)


RULE_PRECEDENCE = ("explicit", "rollback", "revert", "hotfix", "incident", "health-check", "failed-run")
_RULE_RANK = {rule: rank for rank, rule in enumerate(RULE_PRECEDENCE)}


@dataclass
class FailureVerdicts:
    """Failures by scope in order of their deployments; rework by deployment id, with why; incidents by scope.

    `marks`: by deployment id what every rule found, also those that do not decide.
    """

    failures: dict[Scope, list[Failure]] = field(default_factory=dict)
    rework: dict[str, str] = field(default_factory=dict)
    signals: dict[str, list[FailureSignal]] = field(default_factory=lambda: defaultdict(list))
    incidents: dict[Scope, list[AttributedIncident]] = field(default_factory=lambda: defaultdict(list))


def judge(linked: LinkedFacts, policy: Policy) -> FailureVerdicts:
    """Every failure, every rework and every incident of a history."""
    index = DeploymentIndex(
        linked, _referenced_names(linked), lambda deployment: counts_in_failure_rate(deployment, policy)
    )
    incidents = attribute_incidents(linked, index, policy)
    remediations = list(_remediations(linked, index))
    verdicts = FailureVerdicts()
    signals = verdicts.signals
    for signal in (*_incident_signals(incidents), *_remediation_signals(remediations)):
        signals[signal.deployment.id].append(signal)
    for timeline in linked.timelines.values():
        for signal in (
            *timeline_signals(timeline, policy),
            *(own_signal for deployment in timeline.deployments for own_signal in _own_signals(deployment)),
        ):
            signals[signal.deployment.id].append(signal)
            if signal.repaired_by:
                verdicts.rework.setdefault(signal.repaired_by.id, f"{signal.rule}: {signal.because}")
    for remediation in remediations:
        verdicts.rework.setdefault(remediation.fix.id, f"explicit: it remediates {remediation.fix.remediates}")
    recoveries = Recoveries(
        incidents,
        [
            (remediation.target_id, remediation.fix)
            for remediation in remediations
            if remediation.fix.status == "success"
        ],
    )
    for timeline in linked.timelines.values():
        verdicts.failures[timeline.scope] = list(_failures(timeline, signals, policy, recoveries))
    for attributed in incidents:
        verdicts.incidents[attributed.scope].append(attributed)
    return verdicts


def counts_in_failure_rate(deployment: Deployment, policy: Policy) -> bool:
    """Whether a deployment is in the denominator of the failure rate."""
    return has_reached_users(deployment) or (policy.count_failed_runs and deployment.status == "failure")


@dataclass(frozen=True, slots=True)
class _Remediation:
    """A deployment that says what it repaired; `target` is None for an incident or something unknown."""

    fix: Deployment
    target: Deployment | None

    @property
    def target_id(self) -> str:
        return self.target.id if self.target else str(self.fix.remediates)


def _referenced_names(linked: LinkedFacts) -> set[str]:
    names = {incident.deployment for incident in linked.incidents if incident.deployment}
    return names | {
        deployment.remediates
        for timeline in linked.timelines.values()
        for deployment in timeline.deployments
        if deployment.remediates
    }


def _remediations(linked: LinkedFacts, index: DeploymentIndex) -> Iterator[_Remediation]:
    for timeline in linked.timelines.values():
        for deployment in timeline.deployments:
            if deployment.remediates and deployment.status != "cancelled":
                match = index.find(deployment.remediates, ScopeHint(*timeline.scope))
                if match is None or match.deployment.id != deployment.id:
                    yield _Remediation(deployment, match.deployment if match else None)


def _remediation_signals(remediations: list[_Remediation]) -> Iterator[FailureSignal]:
    for remediation in sorted(remediations, key=lambda remediation: deployment_order(remediation.fix)):
        if remediation.target:
            yield FailureSignal(
                remediation.target, "explicit", f"{remediation.fix.id} says that it remediates it", remediation.fix.url
            )


def _incident_signals(incidents: list[AttributedIncident]) -> Iterator[FailureSignal]:
    for attributed in sorted(
        incidents, key=lambda attributed: (attributed.incident.detected_at, attributed.incident.id)
    ):
        if attributed.attributed_to:
            rule = "explicit" if attributed.is_explicit else "incident"
            yield FailureSignal(
                attributed.attributed_to,
                rule,
                f"{attributed.incident.id} {attributed.because}",
                attributed.incident.url,
            )


def _failures(
    timeline: ScopeTimeline, signals: dict[str, list[FailureSignal]], policy: Policy, recoveries: Recoveries
) -> Iterator[Failure]:
    next_success = NextSuccess(timeline)
    for deployment in timeline.deployments:
        if counts_in_failure_rate(deployment, policy):
            deployment_signals = signals.get(deployment.id, ())
            failure_signals = [
                signal for signal in deployment_signals if signal.marks_failure and is_rule_enabled(signal.rule, policy)
            ]
            if failure_signals:
                yield recoveries.failure(min(failure_signals, key=lambda signal: _RULE_RANK[signal.rule]), next_success)


def _own_signals(deployment: Deployment) -> Iterator[FailureSignal]:
    """What a deployment says about itself."""
    if deployment.health == "failed":
        yield FailureSignal(deployment, "health-check", "its health check failed", deployment.url)
    if deployment.status == "failure":
        yield FailureSignal(deployment, "failed-run", "the run itself failed", deployment.url)


def is_rule_enabled(rule: str, policy: Policy) -> bool:
    """`failed-run` has its own switch, which `counts` has already asked."""
    return rule == "failed-run" or rule in policy.failure_rules
