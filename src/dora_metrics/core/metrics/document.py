"""The whole answer: all scopes in a window, the window before, the weeks, and the evidence (DESIGN §4)."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET

from dora_metrics.core import schema
from dora_metrics.core.metrics.calculate import calculate_metrics, deployments_in, failures_in
from dora_metrics.core.metrics.outlook import MetricsPair, build_outlook
from dora_metrics.core.metrics.scope_history import Evaluation, ScopeHistory, in_window
from dora_metrics.core.metrics.weekly import summarise_weeks
from dora_metrics.core.policy import Policy
from dora_metrics.core.windows import Window, WindowSpec, iso_weeks


def build_document(
    evaluation: Evaluation, policy: Policy, window_spec: WindowSpec, now: datetime, notes: Sequence[str] = ()
) -> schema.Document:
    """The answer at `now`.

    Raises:
        ValueError: if the window would not start before it ends.
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
    return [
        f"{' '.join(history.scope)} began later, on {history.first_deployment_at:%Y-%m-%d}."
        for history in evaluation.histories
        if history.first_deployment_at and history.first_deployment_at != evaluation.first_deployment_at
    ]


def build_scope_metrics(
    history: ScopeHistory, window: Window, policy: Policy, now: datetime, *, with_previous: bool
) -> schema.ScopeMetrics:
    """Everything about one scope in a window; `compared`: with the window before."""
    touched_weeks = list(iso_weeks(window, policy.zone, now, history.first_deployment_at))
    metrics = calculate_metrics(history, window, touched_weeks, policy)
    previous = _previous_metrics(history, window.previous(), policy, now) if with_previous else None
    return schema.ScopeMetrics(
        repository=history.scope.repository,
        service=history.scope.service,
        environment=history.scope.environment,
        metrics=metrics,
        previous=previous,
        weeks=summarise_weeks(history, window, touched_weeks, policy),
        evidence=_collect_evidence(history, window),
        outlook=build_outlook(history, window, MetricsPair(metrics, previous), policy, now),
    )


def _previous_metrics(history: ScopeHistory, previous_window: Window, policy: Policy, now: datetime) -> schema.Metrics:
    return calculate_metrics(
        history, previous_window, iso_weeks(previous_window, policy.zone, now, history.first_deployment_at), policy
    )


def _collect_evidence(history: ScopeHistory, window: Window) -> schema.Evidence:
    return schema.Evidence(
        deployments=[
            schema.DeploymentEvidence(
                deployment=d.id,
                sha=d.sha,
                finished_at=d.finished_at,
                status=d.status,
                commit_count=d.commit_count,
                changes=d.changes,
            )
            for d in deployments_in(history, window)
        ],
        failed_deployments=[
            schema.FailureEvidence(
                deployment=failure.deployment.id,
                rule=failure.rule,
                because=failure.because,
                url=failure.url,
                remediated_by=failure.remediated_by,
                recovered_at=failure.recovered_at,
            )
            for failure in failures_in(history, window)
        ],
        lead_times=[
            schema.LeadTimeEvidence(
                change=change.change_id,
                deployment=change.deployment_id,
                seconds=change.seconds,
                sha=change.commit_sha or UNSET,
            )
            for change in in_window(history.lead_times.measured, window, lambda change: change.deployed_at)
        ],
        unmatched_incidents=[
            schema.UnmatchedIncident(incident=attributed.incident.id, because=attributed.because)
            for attributed in in_window(history.incidents, window, lambda attributed: attributed.incident.detected_at)
            if attributed.attributed_to is None
        ],
        fixed_vulnerabilities=[
            schema.FixEvidence(
                vulnerability=fix.vulnerability.id, deployment=fix.deployment.id, seconds=fix.seconds_to_live
            )
            for fix in in_window(history.fixes, window, lambda fix: fix.deployed_at)
        ],
    )
