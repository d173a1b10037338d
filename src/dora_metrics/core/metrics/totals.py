"""What is counted for all time: the numbers behind Prometheus' counters and histograms.

Totals are plain sums, so that those of some facts can be kept and those of others added (`core.ledger.checkpoint`).
They are whole numbers throughout, spans in microseconds, so that adding and taking away is exact.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from dora_metrics.core.facts.model import Fact, Incident
from dora_metrics.core.failures.judge import counts
from dora_metrics.core.linking.link import reached_users
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.metrics.security import took
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope

BUCKETS_SECONDS = (
    300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 259200, 432000, 604800, 1209600,
    1814400, 2592000, 5184000, 7776000, 15552000,
)  # fmt: skip
UNSPECIFIED = "unspecified"
FACTS = "dora_ledger_facts"
VULNERABILITIES = "dora_vulnerabilities"
"""How many a scope ever had: without any nobody knows whether they are read."""

_MICROSECOND = timedelta(microseconds=1)
_SUM = len(BUCKETS_SECONDS) + 1


class Series(NamedTuple):
    """One number. `label` is a source or a severity; `part` the position of a bucket, or that of the sum."""

    name: str
    scope: Scope
    label: str = ""
    part: int | None = None


Totals = Counter[Series]


class Histogram(NamedTuple):
    """How many spans lie below each of the buckets, infinity last, and the sum of all."""

    below: tuple[int, ...]
    sum_seconds: float


def totals(records: Iterable[Record], facts: Iterable[Fact], policy: Policy) -> Totals:
    """Everything that is counted of these facts, which the records were judged from."""
    found: Totals = Counter()
    for repository, number in Counter(fact.repository for fact in facts).items():
        found[Series(FACTS, of_repository(repository))] = number
    for record in records:
        found.update(_counted(record, policy))
        for name, label, spans in _spans(record):
            found.update(_fallen(Series(name, record.scope, label), spans))
    return _without_noughts(found)


def added(one: Totals, other: Totals) -> Totals:
    """The sum of two."""
    return _without_noughts(Counter({series: one[series] + other[series] for series in one.keys() | other.keys()}))


def without(one: Totals, other: Totals) -> Totals:
    """The difference of two; it may be negative."""
    return _without_noughts(Counter({series: one[series] - other[series] for series in one.keys() | other.keys()}))


def of_repository(name: str) -> Scope:
    """Where a number about a whole repository is kept."""
    return Scope(name, "", "")


def histogram(found: Totals, name: str, scope: Scope, label: str = "") -> Histogram:
    """The histogram that is kept under this name."""
    running, below = 0, []
    for part in range(_SUM):
        running += found[Series(name, scope, label, part)]
        below.append(running)
    return Histogram(tuple(below), found[Series(name, scope, label, _SUM)] / 1e6)


def _without_noughts(found: Totals) -> Totals:
    return Counter({series: number for series, number in found.items() if number})


def _counted(record: Record, policy: Policy) -> Totals:
    scope = record.scope
    found: Totals = Counter(
        Series("dora_deployments_total", scope, deployment.source or UNSPECIFIED)
        for deployment in record.deployments
        if counts(deployment, policy)
    )
    left_out = sum(one.changes for one in record.leads.excluded if one.reason != "first_deployment")
    found[Series("dora_deployment_failures_total", scope)] = len(record.failures)
    found[Series("dora_rework_deployments_total", scope)] = sum(
        deployment.id in record.rework for deployment in record.deployments if reached_users(deployment)
    )
    found[Series("dora_pipeline_failures_total", scope)] = sum(d.status == "failure" for d in record.deployments)
    found[Series("dora_changes_total", scope)] = len(record.leads.measured) + left_out
    found[Series("dora_incidents_total", scope)] = len(record.incidents)
    found[Series(VULNERABILITIES, scope)] = len(record.vulnerabilities)
    return found


def _spans(record: Record) -> Iterator[tuple[str, str, list[timedelta]]]:
    """The durations of each histogram, those that contradict themselves left out, with the histogram's label."""
    deployments, failures = record.deployments, record.failures
    yield "dora_lead_time_seconds", "", [timedelta(seconds=lead.seconds) for lead in record.leads.measured]
    recoveries = (failure.seconds for failure in failures)
    yield "dora_recovery_time_seconds", "", [timedelta(seconds=span) for span in recoveries if span is not None]
    yield "dora_incident_restore_seconds", "", _sound(_restore(one.incident) for one in record.incidents)
    durations = (d.finished_at - d.started_at for d in deployments if d.started_at)
    yield "dora_deployment_duration_seconds", "", _sound(durations)
    for severity in {vulnerability.severity or UNSPECIFIED for vulnerability in record.vulnerabilities}:
        fixed = (v for v in record.vulnerabilities if (v.severity or UNSPECIFIED) == severity)
        yield "dora_vulnerability_remediation_seconds", severity, _sound(map(took, fixed))


def _restore(incident: Incident) -> timedelta | None:
    return incident.resolved_at - incident.detected_at if incident.resolved_at else None


def _sound(spans: Iterable[timedelta | None]) -> list[timedelta]:
    return [span for span in spans if span is not None and span >= timedelta()]


def _fallen(series: Series, spans: Sequence[timedelta]) -> Totals:
    """How many spans fell into each bucket, and their sum."""
    parts = Counter(bisect_left(BUCKETS_SECONDS, span.total_seconds()) for span in spans)
    parts[_SUM] = sum(span // _MICROSECOND for span in spans)
    return Counter({series._replace(part=part): number for part, number in parts.items()})
