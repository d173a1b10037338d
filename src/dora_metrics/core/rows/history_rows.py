"""The rows of one scope: what was judged of its deployments, changes, incidents and vulnerabilities, over all time."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple, TypedDict

from dora_metrics.core.facts.model import Deployment, Vulnerability
from dora_metrics.core.failures.judge import Failure, counts_in_failure_rate
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.metrics.calculate import restore_seconds
from dora_metrics.core.metrics.lead_time import ExcludedChange, MeasuredChange, seconds_by_stage, starts_too_late
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.security import is_fixed, is_open, seconds_to_fix
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.tables import (
    DeploymentRow,
    IncidentRow,
    LeadTimeRow,
    ScopeRow,
    StreakRow,
    VulnerabilityRow,
)
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import local_date, monday_of


class ScopeKey(TypedDict):
    """The columns that name a scope."""

    repository: str
    service: str
    environment: str


def scope_key(scope: Scope) -> ScopeKey:
    return ScopeKey(repository=scope.repository, service=scope.service, environment=scope.environment)


class _ExclusionKey(NamedTuple):
    """What exclusions have in common that are one row: with `lead-time-start: commit` there is one for each commit."""

    deployed_at: datetime
    change_id: str
    deployment_id: str
    reason: str


class _StageSeconds(TypedDict):
    coding_seconds: float | None
    pickup_seconds: float | None
    review_seconds: float | None
    delivery_seconds: float | None


_NO_STAGES = _StageSeconds(coding_seconds=None, pickup_seconds=None, review_seconds=None, delivery_seconds=None)

_MAX_INTEGER = 2**63 - 1
"""The largest integer that all databases have."""


class HistoryRows:
    """The rows of one scope, each table in the order of its times."""

    def __init__(self, history: ScopeHistory, policy: Policy) -> None:
        self._history = history
        self._policy = policy
        self._key = scope_key(history.scope)

    def scopes(self) -> Iterator[ScopeRow]:
        """Yield the one row of the scope itself."""
        history = self._history
        began_at = history.first_deployment_at
        yield ScopeRow(
            **self._key,
            team=self._policy.team_of(history.scope),
            began_at=began_at,
            began_week=self._week_of(began_at) if began_at else None,
            timezone=self._policy.zone.key,
            knows_incidents=history.knows_incidents,
            knows_rollbacks=history.knows_rollbacks,
        )

    def deployments(self) -> Iterator[DeploymentRow]:
        failures = {failure.deployment.id: failure for failure in self._history.failures}
        baseline = self._history.first_success
        for deployment in self._history.deployments:
            yield self._deployment(deployment, failures.get(deployment.id), is_baseline=deployment is baseline)

    def _deployment(self, deployment: Deployment, failure: Failure | None, *, is_baseline: bool) -> DeploymentRow:
        day = local_date(deployment.finished_at, self._policy.zone)
        return DeploymentRow(
            **self._key,
            id=deployment.id,
            sha=deployment.sha,
            version=deployment.version,
            source=deployment.source,
            url=deployment.url,
            status=deployment.status,
            started_at=deployment.started_at,
            finished_at=deployment.finished_at,
            day=day,
            week=monday_of(day),
            reached_users=has_reached_users(deployment),
            counts=counts_in_failure_rate(deployment, self._policy),
            baseline=is_baseline,
            failed=failure is not None,
            failure_rule=failure.rule if failure else None,
            failure_because=failure.because if failure else None,
            remediated_by=failure.remediated_by if failure else None,
            recovered_at=failure.recovered_at if failure else None,
            recovery_seconds=failure.recovery_seconds if failure else None,
            rework=deployment.id in self._history.rework_reasons,
            rework_because=self._history.rework_reasons.get(deployment.id),
            commit_count=_storable(deployment.commit_count),
        )

    def lead_times(self) -> Iterator[LeadTimeRow]:
        """Yield the measured changes, then the excluded ones."""
        for measured in self._history.lead_times.measured:
            yield self._measured(measured)
        counts: Counter[_ExclusionKey] = Counter()
        for excluded in self._history.lead_times.excluded:
            counts[_exclusion_key(excluded)] += excluded.change_count
        for key, change_count in counts.items():
            yield self._excluded(key, change_count)

    def _measured(self, measured: MeasuredChange) -> LeadTimeRow:
        stages = seconds_by_stage(measured)
        return LeadTimeRow(
            **self._key,
            change=measured.change_id,
            deployment=measured.deployment_id,
            sha=measured.commit_sha,
            deployed_at=measured.deployed_at,
            week=self._week_of(measured.deployed_at),
            seconds=measured.seconds,
            excluded=None,
            changes=1,
            starts_too_late=starts_too_late(measured, self._policy),
            coding_seconds=stages.get("coding"),
            pickup_seconds=stages.get("pickup"),
            review_seconds=stages.get("review"),
            delivery_seconds=stages.get("delivery"),
        )

    def _excluded(self, key: _ExclusionKey, change_count: int) -> LeadTimeRow:
        return LeadTimeRow(
            **self._key,
            change=key.change_id,
            deployment=key.deployment_id,
            sha=None,
            deployed_at=key.deployed_at,
            week=self._week_of(key.deployed_at),
            seconds=None,
            excluded=key.reason,
            changes=change_count,
            starts_too_late=False,
            **_NO_STAGES,
        )

    def incidents(self) -> Iterator[IncidentRow]:
        for attributed in self._history.incidents:
            incident = attributed.incident
            yield IncidentRow(
                **self._key,
                id=incident.id,
                title=incident.title,
                severity=incident.severity,
                source=incident.source,
                url=incident.url,
                detected_at=incident.detected_at,
                resolved_at=incident.resolved_at,
                week=self._week_of(incident.detected_at),
                restore_seconds=restore_seconds(incident),
                deployment=attributed.attributed_to.id if attributed.attributed_to else None,
                because=attributed.because,
            )

    def streaks(self) -> Iterator[StreakRow]:
        for streak in self._history.failure_streaks:
            yield StreakRow(
                **self._key,
                deployment=streak.first.id,
                source=streak.source,
                since=streak.started_at,
                until=streak.ended_at,
                seconds=streak.recovery_seconds,
            )

    def vulnerabilities(self) -> Iterator[VulnerabilityRow]:
        for vulnerability in sorted(self._history.vulnerabilities, key=_detection_order):
            yield VulnerabilityRow(
                **self._key,
                id=vulnerability.id,
                severity=vulnerability.severity,
                package=vulnerability.package,
                url=vulnerability.url,
                detected_at=vulnerability.detected_at,
                fixed_at=vulnerability.fixed_at if is_fixed(vulnerability) else None,
                dismissed_at=vulnerability.dismissed_at,
                open=is_open(vulnerability),
                remediation_seconds=seconds_to_fix(vulnerability),
            )

    def _week_of(self, moment: datetime) -> date:
        return monday_of(local_date(moment, self._policy.zone))


def _exclusion_key(excluded: ExcludedChange) -> _ExclusionKey:
    return _ExclusionKey(excluded.deployed_at, excluded.change_id, excluded.deployment_id, excluded.reason)


def _detection_order(vulnerability: Vulnerability) -> tuple[datetime, str]:
    return vulnerability.detected_at, vulnerability.id


def _storable(count: int | None) -> int | None:
    """Return a count that a fact states, or null if no database has room for it; the table `facts` has it anyway."""
    return count if count is not None and count <= _MAX_INTEGER else None
