"""Totals over all time: the values of the Prometheus counters and histograms.

Totals are plain sums, so those of some facts can be stored and those of others added (`core.ledger.checkpoint`).
They are integers, durations in microseconds, so that addition and subtraction are exact.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from dora_metrics.core.facts.model import Fact, Incident
from dora_metrics.core.failures.judge import counts_in_failure_rate
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.security import VulnerabilityGroup, time_to_fix
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope

BUCKETS_SECONDS = (
    300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 259200, 432000, 604800, 1209600,
    1814400, 2592000, 5184000, 7776000, 15552000,
)  # fmt: skip
UNSPECIFIED = "unspecified"
FACTS_FAMILY = "dora_ledger_facts"
REMEDIATION_FAMILY = "dora_vulnerability_remediation_seconds"
VULNERABILITIES_FAMILY = "dora_vulnerabilities"
"""Vulnerabilities that a scope ever had. Without any, it is unknown whether they are read at all."""

SUM_PART = len(BUCKETS_SECONDS) + 1
"""The part of a histogram that is the sum of its durations; the parts before it are its buckets."""

_MICROSECOND = timedelta(microseconds=1)


class Series(NamedTuple):
    """The name of one total.

    `label` is a source or a severity. `part` is None for a counter; for a histogram it is the index of a bucket (the
    last one is +Inf) or, after these, `SUM_PART`.
    """

    name: str
    scope: Scope
    label: str = ""
    part: int | None = None


Totals = Counter[Series]


class Histogram(NamedTuple):
    """Number of durations up to each bucket's bound, +Inf last, and the sum of all durations."""

    cumulative_counts: tuple[int, ...]
    sum_seconds: float


def count_totals(histories: Iterable[ScopeHistory], facts: Iterable[Fact], policy: Policy) -> Totals:
    """Count all totals of these facts. `histories` must be evaluated from the same facts."""
    totals: Totals = Counter()
    for repository, number in Counter(fact.repository for fact in facts).items():
        totals[Series(FACTS_FAMILY, repository_scope(repository))] = number
    remediation = _RemediationCounts()
    for history in histories:
        totals.update(_counter_totals(history, policy))
        for name, durations in _durations_by_histogram(history):
            totals.update(_series_of_parts(Series(name, history.scope), _bucket_counts(durations)))
        for group in history.vulnerabilities.groups:
            for severity, counts in remediation.by_severity(group).items():
                totals.update(_series_of_parts(Series(REMEDIATION_FAMILY, history.scope, severity), counts))
    return _without_zeros(totals)


class _RemediationCounts:
    """The times to fix of vulnerabilities, counted once for all scopes that share them."""

    def __init__(self) -> None:
        self._by_group: dict[VulnerabilityGroup, Mapping[str, Counter[int]]] = {}

    def by_severity(self, group: VulnerabilityGroup) -> Mapping[str, Counter[int]]:
        """Return by severity what `_bucket_counts` returns."""
        if group not in self._by_group:
            times: defaultdict[str, list[timedelta | None]] = defaultdict(list)
            for vulnerability in group.vulnerabilities:
                times[vulnerability.severity or UNSPECIFIED].append(time_to_fix(vulnerability))
            self._by_group[group] = {key: _bucket_counts(_non_negative(values)) for key, values in times.items()}
        return self._by_group[group]


def add_totals(totals: Totals, other: Totals) -> Totals:
    return _without_zeros(Counter({series: totals[series] + other[series] for series in totals.keys() | other.keys()}))


def subtract_totals(totals: Totals, other: Totals) -> Totals:
    """Return `totals` minus `other`. Values may be negative."""
    return _without_zeros(Counter({series: totals[series] - other[series] for series in totals.keys() | other.keys()}))


def repository_scope(name: str) -> Scope:
    """Return the scope of totals about a whole repository."""
    return Scope(name, "", "")


def fact_counts_by_repository(totals: Totals) -> dict[str, int]:
    """Return the number of facts in the ledger of each repository."""
    return {series.scope.repository: number for series, number in totals.items() if series.name == FACTS_FAMILY}


def histogram_of(totals: Totals, name: str, scope: Scope, label: str = "") -> Histogram:
    """Return the histogram with this name, scope and label."""
    running, cumulative_counts = 0, []
    for part in range(SUM_PART):
        running += totals[Series(name, scope, label, part)]
        cumulative_counts.append(running)
    return Histogram(tuple(cumulative_counts), totals[Series(name, scope, label, SUM_PART)] / 1e6)


def _without_zeros(totals: Totals) -> Totals:
    return Counter({series: number for series, number in totals.items() if number})


def _counter_totals(history: ScopeHistory, policy: Policy) -> Totals:
    scope = history.scope
    totals: Totals = Counter(
        Series("dora_deployments_total", scope, deployment.source or UNSPECIFIED)
        for deployment in history.deployments
        if counts_in_failure_rate(deployment, policy)
    )
    excluded_count = sum(
        excluded.change_count for excluded in history.lead_times.excluded if excluded.reason != "first_deployment"
    )
    totals[Series("dora_deployment_failures_total", scope)] = len(history.failures)
    totals[Series("dora_rework_deployments_total", scope)] = sum(
        deployment.id in history.rework_reasons for deployment in history.deployments if has_reached_users(deployment)
    )
    totals[Series("dora_pipeline_failures_total", scope)] = sum(d.status == "failure" for d in history.deployments)
    totals[Series("dora_changes_total", scope)] = len(history.lead_times.measured) + excluded_count
    totals[Series("dora_incidents_total", scope)] = len(history.incidents)
    totals[Series(VULNERABILITIES_FAMILY, scope)] = len(history.vulnerabilities)
    return totals


def _durations_by_histogram(history: ScopeHistory) -> Iterator[tuple[str, list[timedelta]]]:
    """Yield the name and the durations of each histogram without a label. Negative durations are left out."""
    yield "dora_lead_time_seconds", [timedelta(seconds=change.seconds) for change in history.lead_times.measured]
    recovery_seconds = (failure.recovery_seconds for failure in history.failures)
    recovery_times = [timedelta(seconds=seconds) for seconds in recovery_seconds if seconds is not None]
    yield "dora_recovery_time_seconds", recovery_times
    restore_times = (_time_to_restore(attributed.incident) for attributed in history.incidents)
    yield "dora_incident_restore_seconds", _non_negative(restore_times)
    deployment_durations = (d.finished_at - d.started_at for d in history.deployments if d.started_at)
    yield "dora_deployment_duration_seconds", _non_negative(deployment_durations)


def _time_to_restore(incident: Incident) -> timedelta | None:
    return incident.resolved_at - incident.detected_at if incident.resolved_at else None


def _non_negative(durations: Iterable[timedelta | None]) -> list[timedelta]:
    return [duration for duration in durations if duration is not None and duration >= timedelta()]


def _bucket_counts(durations: Sequence[timedelta]) -> Counter[int]:
    """Count the durations of each bucket, and sum them in microseconds, by the part of a series."""
    counts_by_part = Counter(bisect_left(BUCKETS_SECONDS, duration.total_seconds()) for duration in durations)
    counts_by_part[SUM_PART] = sum(duration // _MICROSECOND for duration in durations)
    return counts_by_part


def _series_of_parts(series: Series, counts_by_part: Mapping[int, int]) -> Totals:
    return Counter({series._replace(part=part): number for part, number in counts_by_part.items()})
