"""The whole answer: all scopes in a window, the window before, the weeks, and the evidence (DESIGN §4)."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET

from dora_metrics.core import schema
from dora_metrics.core.metrics.calculate import deployments_in, failures_in, metrics
from dora_metrics.core.metrics.outlook import Numbers, outlook
from dora_metrics.core.metrics.scope_history import Record, Records, cut
from dora_metrics.core.metrics.weekly import summed_up
from dora_metrics.core.policy import Policy
from dora_metrics.core.windows import Window, WindowSpec, weeks


def document(
    records: Records, policy: Policy, spec: WindowSpec, now: datetime, notes: Sequence[str] = ()
) -> schema.Document:
    """The answer at `now`.

    Raises:
        ValueError: if the window would not start before it ends.
    """
    window = spec.resolve(now, records.began)
    return schema.Document(
        generated_at=now,
        window=schema.WindowBounds(start=window.start, end=window.end, days=window.days),
        timezone=policy.zone.key,
        benchmark=policy.benchmark.name,
        scopes=[scope_metrics(record, window, policy, now, compared=not spec.everything) for record in records.records],
        notes=[*notes, *records.notes, *(_later_scopes(records) if spec.everything else ())],
    )


def _later_scopes(records: Records) -> list[str]:
    return [
        f"{' '.join(record.scope)} began later, on {record.began:%Y-%m-%d}."
        for record in records.records
        if record.began and record.began != records.began
    ]


def scope_metrics(
    record: Record, window: Window, policy: Policy, now: datetime, *, compared: bool
) -> schema.ScopeMetrics:
    """Everything about one scope in a window; `compared`: with the window before."""
    touched = list(weeks(window, policy.zone, now, record.began))
    found = metrics(record, window, touched, policy)
    previous = _before(record, window.before(), policy, now) if compared else None
    return schema.ScopeMetrics(
        repository=record.scope.repository,
        service=record.scope.service,
        environment=record.scope.environment,
        metrics=found,
        previous=previous,
        weeks=summed_up(record, window, touched, policy),
        evidence=_evidence(record, window),
        outlook=outlook(record, window, Numbers(found, previous), policy, now),
    )


def _before(record: Record, window: Window, policy: Policy, now: datetime) -> schema.Metrics:
    return metrics(record, window, weeks(window, policy.zone, now, record.began), policy)


def _evidence(record: Record, window: Window) -> schema.Evidence:
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
            for d in deployments_in(record, window)
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
            for failure in failures_in(record, window)
        ],
        lead_times=[
            schema.LeadTimeEvidence(
                change=lead.change, deployment=lead.deployment, seconds=lead.seconds, sha=lead.sha or UNSET
            )
            for lead in cut(record.leads.measured, window, lambda lead: lead.at)
        ],
        unmatched_incidents=[
            schema.UnmatchedIncident(incident=one.incident.id, because=one.because)
            for one in cut(record.incidents, window, lambda one: one.incident.detected_at)
            if one.blamed is None
        ],
        fixed_vulnerabilities=[
            schema.FixEvidence(vulnerability=fix.vulnerability.id, deployment=fix.deployment.id, seconds=fix.seconds)
            for fix in cut(record.fixes, window, lambda fix: fix.at)
        ],
    )
