"""The weeks of a scope as the page draws them."""

from collections.abc import Sequence
from itertools import pairwise

from dora_metrics.core import formatting, schema
from dora_metrics.core.failures.failures import counts
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.reports.site.evidence import before, whole
from dora_metrics.core.reports.site.model import Weeks
from dora_metrics.core.reports.summary import Subject


def weekly(record: Record, found: Sequence[schema.Week], subject: Subject) -> Weeks | None:
    """The series; None where there is no week."""
    if not found:
        return None
    edges = [before(record, moment) for moment in (*(week.start for week in found), min(found[-1].end, subject.now))]
    at = [deployments for deployments, _ in edges]
    failing = {failure.deployment.id for failure in record.failures}
    spans = [record.deployments[start:end] for start, end in pairwise(at)]
    return Weeks(
        monday=formatting.day(found[0].start, subject.policy.zone),
        since=int(found[0].start.timestamp()),
        hours=[round((week.end - week.start).total_seconds() / 3600, 1) for week in found],
        partial=(found[0].partial, found[-1].partial),
        at=at,
        incidents_at=[incidents for _, incidents in edges],
        deployments=[week.deployments for week in found],
        counted=[sum(counts(one, subject.policy) for one in span) for span in spans],
        failed=[sum(one.id in failing for one in span) for span in spans],
        deployments_failed=[sum(one.id in failing and one.status == "success" for one in span) for span in spans],
        lead_time=[whole(week.lead_time_p50_seconds) for week in found],
        change_failure_rate=[_short(week.change_failure_ratio) for week in found],
        recovery_time=[whole(week.recovery_p50_seconds) for week in found],
        rework_rate=[_short(week.rework_ratio) for week in found],
    )


def _short(ratio: float | None) -> float | None:
    """Five digits; a whole one, which most are, without any."""
    return None if ratio is None else int(ratio) if ratio in (0, 1) else round(ratio, 5)
