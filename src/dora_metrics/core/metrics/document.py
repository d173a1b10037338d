"""Builds the document `metrics.json`: all scopes in a window, with weeks, evidence and outlook."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.metrics.calculate import (
    calculate_metrics,
    deployments_in,
    failures_in,
    incidents_in,
    measured_changes_in,
)
from dora_metrics.core.metrics.lead_time import MeasuredChange
from dora_metrics.core.metrics.outlook import MetricsPair, build_outlook
from dora_metrics.core.metrics.scope_history import Evaluation, ScopeHistory, redeployment_ids
from dora_metrics.core.metrics.weekly import summarise_weeks
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window, WindowSpec, iso_weeks


def build_document(
    evaluation: Evaluation, policy: Policy, window_spec: WindowSpec, now: datetime, notes: Sequence[str] = ()
) -> schema.Document:
    """Build the document as of `now`.

    Raises:
        ValueError: if the window would not start before its end.
    """
    window = window_spec.resolve(now, evaluation.first_deployment_at)
    return schema.Document(
        generated_at=now,
        window=schema.WindowBounds(start=window.start, end=window.end, days=window.days),
        timezone=policy.zone.key,
        benchmark=policy.benchmark.name,
        scopes=[
            build_scope_metrics(history, window, policy, now, with_previous=not window_spec.is_all)
            for history in evaluation.histories
        ],
        notes=[*notes, *evaluation.notes, *(_late_scope_notes(evaluation) if window_spec.is_all else ())],
    )


def _late_scope_notes(evaluation: Evaluation) -> list[str]:
    """Name the scopes whose first deployment is later than that of the first scope."""
    return [
        f"The first deployment of {' '.join(history.scope)} was later, on {history.first_deployment_at:%Y-%m-%d}."
        for history in evaluation.histories
        if history.first_deployment_at and history.first_deployment_at != evaluation.first_deployment_at
    ]


def build_scope_metrics(
    history: ScopeHistory, window: Window, policy: Policy, now: datetime, *, with_previous: bool
) -> schema.ScopeMetrics:
    """Calculate all numbers of one scope in a window, with those of the previous window if `with_previous`."""
    touched_weeks = list(iso_weeks(window, policy.zone, now, history.first_deployment_at))
    metrics = calculate_metrics(history, window, touched_weeks, policy)
    previous = _previous_metrics(history, window.previous(), policy, now) if with_previous else None
    return schema.ScopeMetrics(
        repository=history.scope.repository,
        service=history.scope.service,
        environment=history.scope.environment,
        team=policy.team_of(history.scope) or UNSET,
        metrics=metrics,
        previous=previous,
        weeks=summarise_weeks(history, window, touched_weeks, policy),
        evidence=_collect_evidence(history, window),
        outlook=build_outlook(history, window, MetricsPair(metrics, previous), policy, now),
    )


def metrics_of_scope(
    evaluation: Evaluation, scope: Scope, policy: Policy, window_spec: WindowSpec, now: datetime
) -> schema.Metrics | None:
    """Calculate the metrics of one scope only, in the window as of `now`; None if nothing is known of it."""
    history = next((history for history in evaluation.histories if history.scope == scope), None)
    if history is None:
        return None
    window = window_spec.resolve(now, evaluation.first_deployment_at)
    touched_weeks = iso_weeks(window, policy.zone, now, history.first_deployment_at)
    return calculate_metrics(history, window, touched_weeks, policy)


def _previous_metrics(history: ScopeHistory, previous_window: Window, policy: Policy, now: datetime) -> schema.Metrics:
    return calculate_metrics(
        history, previous_window, iso_weeks(previous_window, policy.zone, now, history.first_deployment_at), policy
    )


def _collect_evidence(history: ScopeHistory, window: Window) -> schema.Evidence:
    redeployed = redeployment_ids(history.deployments)
    return schema.Evidence(
        deployments=[
            _deployment_evidence(deployment, is_redeployment=deployment.id in redeployed)
            for deployment in deployments_in(history, window)
        ],
        failed_deployments=[_failure_evidence(failure) for failure in failures_in(history, window)],
        lead_times=[_lead_time_evidence(change) for change in measured_changes_in(history, window)],
        unmatched_incidents=_unmatched_incidents(history, window),
        fixed_vulnerabilities=[
            schema.FixEvidence(
                vulnerability=fix.vulnerability.id, deployment=fix.deployment.id, seconds=fix.seconds_to_live
            )
            for fix in history.fixes_in(window)
        ],
        joined_incidents=_joined_incidents(history, window) or UNSET,
    )


def _joined_incidents(history: ScopeHistory, window: Window) -> list[schema.JoinedIncident]:
    """Return the incidents that were reported several times, with their reports."""
    return [
        schema.JoinedIncident(incident=attributed.incident.id, reports=[report.id for report in attributed.reports])
        for attributed in incidents_in(history, window)
        if len(attributed.reports) > 1
    ]


def _unmatched_incidents(history: ScopeHistory, window: Window) -> list[schema.UnmatchedIncident]:
    """Return the incidents that are attributed to no deployment, with the reason."""
    return [
        schema.UnmatchedIncident(incident=attributed.incident.id, because=attributed.because)
        for attributed in incidents_in(history, window)
        if attributed.attributed_to is None
    ]


def _deployment_evidence(deployment: Deployment, *, is_redeployment: bool) -> schema.DeploymentEvidence:
    return schema.DeploymentEvidence(
        deployment=deployment.id,
        sha=deployment.sha,
        finished_at=deployment.finished_at,
        status=deployment.status,
        commit_count=deployment.commit_count,
        changes=() if is_redeployment and deployment.changes else deployment.changes,
    )


def _failure_evidence(failure: Failure) -> schema.FailureEvidence:
    return schema.FailureEvidence(
        deployment=failure.deployment.id,
        rule=failure.rule,
        because=failure.because,
        url=failure.url,
        remediated_by=failure.remediated_by,
        recovered_at=failure.recovered_at,
    )


def _lead_time_evidence(change: MeasuredChange) -> schema.LeadTimeEvidence:
    return schema.LeadTimeEvidence(
        change=change.change_id,
        deployment=change.deployment_id,
        seconds=change.seconds,
        sha=change.commit_sha or UNSET,
    )
