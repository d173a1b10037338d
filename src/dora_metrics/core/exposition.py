"""Metrics as Prometheus families (DESIGN §7).

Counters and histograms are cumulative over the whole ledger, so that `increase()`, `rate()` and
`histogram_quantile()` are right; per-run counters of 1 are wrong in every windowed query. Ready-made
families carry no `_created` series and need no default registry. A gauge without data is absent, never 0.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from dora_metrics.core import contract
from dora_metrics.core.benchmarks import METRICS, Benchmark
from dora_metrics.core.facts import SEVERITIES
from dora_metrics.core.failures import counts
from dora_metrics.core.judging import Record
from dora_metrics.core.linking import reached_users
from dora_metrics.core.metrics import metrics
from dora_metrics.core.policy import Policy
from dora_metrics.core.values import Window

BUCKETS = (
    300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 259200, 432000, 604800, 1209600,
    1814400, 2592000, 5184000, 7776000, 15552000,
)  # fmt: skip
WINDOWS_DAYS = (7, 30, 90)
SOURCES = ("deployments", "workflow-runs", "releases", "pushes")
UNSPECIFIED = "unspecified"

_SCOPE = ("repository", "service", "environment")


@dataclass(frozen=True)
class LedgerInfo:
    """What is said about the ledger itself: its facts by repository, and its state's number, None where it has none."""

    facts: Counter[str]
    sequence: int | None
    version: str


class Families(Collector):
    """Everything there is to say, as one custom collector."""

    def __init__(self, records: Sequence[Record], policy: Policy, now: datetime, ledger: LedgerInfo) -> None:
        self._records, self._policy, self._now, self._ledger = records, policy, now, ledger

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._histograms()
        yield from self._window_gauges()
        yield from self._state_gauges()

    def _counters(self) -> Iterator[Metric]:
        policy = self._policy
        deployments = CounterMetricFamily(
            "dora_deployments_total",
            "Production deployments in the denominator of the failure rate: those that reached users.",
            labels=(*_SCOPE, "source"),
        )
        for record in self._records:
            found = Counter(d.source or UNSPECIFIED for d in record.deployments if counts(d, policy))
            for source in sorted({*SOURCES, *found}):
                deployments.add_metric((*record.scope, source), found[source])
        yield deployments
        for name, text, count in (
            ("dora_deployment_failures_total", "Production deployments that failed.", _failures),
            (
                "dora_rework_deployments_total",
                "Unplanned production deployments that repaired production.",
                _rework,
            ),
            (
                "dora_pipeline_failures_total",
                "Deployment runs that failed, whatever they reached.",
                _failed_runs,
            ),
            (
                "dora_changes_total",
                "Changes delivered to production, those of a first deployment left out.",
                _changes,
            ),
            ("dora_incidents_total", "Incidents in production.", lambda record: len(record.incidents)),
        ):
            family = CounterMetricFamily(name, text, labels=_SCOPE)
            for record in self._records:
                family.add_metric(record.scope, count(record))
            yield family

    def _histograms(self) -> Iterator[Metric]:
        for name, text, spans in (
            (
                "dora_lead_time_seconds",
                "From a change's start to its first production deployment.",
                _lead_times,
            ),
            ("dora_recovery_time_seconds", "From a failed deployment to its remediation.", _recoveries),
            ("dora_incident_restore_seconds", "From the detection of an incident to its end.", _restores),
            (
                "dora_deployment_duration_seconds",
                "From the start of a production deployment to its end.",
                _durations,
            ),
        ):
            family = HistogramMetricFamily(name, text, labels=_SCOPE)
            for record in self._records:
                _observe(family, record.scope, spans(record))
            yield family
        fixes = HistogramMetricFamily(
            "dora_vulnerability_remediation_seconds",
            "From a vulnerability's detection to its fix.",
            labels=(*_SCOPE, "severity"),
        )
        for record in self._records:
            for severity in (*SEVERITIES, UNSPECIFIED):
                _observe(fixes, (*record.scope, severity), _remediations(record, severity))
        yield fixes

    def _window_gauges(self) -> Iterator[Metric]:
        gauges = {name: GaugeMetricFamily(name, text, labels=(*_SCOPE, "window")) for name, text in _WINDOWED.items()}
        level = GaugeMetricFamily(
            "dora_level",
            "Level by the benchmark, 0 the lowest, upwards.",
            labels=(*_SCOPE, "metric", "window"),
        )
        for record in self._records:
            for days in WINDOWS_DAYS:
                found = metrics(record, Window(self._now - timedelta(days=days), self._now), (), self._policy)
                for name, value in zip(_WINDOWED, _values(found), strict=True):
                    if value is not None:
                        gauges[name].add_metric((*record.scope, f"{days}d"), value)
                for metric, rank in _ranks(found, self._policy.benchmark):
                    level.add_metric((*record.scope, metric, f"{days}d"), rank)
        yield from gauges.values()
        yield level

    def _state_gauges(self) -> Iterator[Metric]:
        last = GaugeMetricFamily(
            "dora_last_deployment_timestamp_seconds",
            "When the last successful production deployment finished.",
            labels=_SCOPE,
        )
        incidents = GaugeMetricFamily(
            "dora_open_incidents", "Incidents not resolved yet.", labels=(*_SCOPE, "severity")
        )
        for record in self._records:
            finished = [d.finished_at for d in record.deployments if d.status == "success"]
            if finished:
                last.add_metric(record.scope, finished[-1].timestamp())
            still = Counter(
                one.incident.severity or UNSPECIFIED for one in record.incidents if not one.incident.resolved_at
            )
            for severity in (*SEVERITIES, UNSPECIFIED):
                incidents.add_metric((*record.scope, severity), still[severity])
        yield last
        yield incidents
        yield from self._ledger_gauges()

    def _ledger_gauges(self) -> Iterator[Metric]:
        facts = GaugeMetricFamily("dora_ledger_facts", "Facts in the ledger.", labels=("repository",))
        for repository, count in sorted(self._ledger.facts.items()):
            facts.add_metric((repository,), count)
        yield facts
        if self._ledger.sequence is not None:
            yield GaugeMetricFamily(
                "dora_ledger_sequence", "Grows with every change of the ledger.", value=self._ledger.sequence
            )
        build = GaugeMetricFamily("dora_build_info", "The version that computed this.", labels=("version",))
        build.add_metric((self._ledger.version,), 1)
        yield build


def text(families: Families) -> str:
    """The exposition in the text format."""
    registry = CollectorRegistry()
    registry.register(families)
    return generate_latest(registry).decode()


def _failures(record: Record) -> int:
    return len(record.failures)


def _rework(record: Record) -> int:
    return sum(d.id in record.rework for d in record.deployments if reached_users(d))


def _failed_runs(record: Record) -> int:
    return sum(d.status == "failure" for d in record.deployments)


def _changes(record: Record) -> int:
    left_out = sum(e.changes for e in record.leads.excluded if e.reason != "first_deployment")
    return len(record.leads.measured) + left_out


def _lead_times(record: Record) -> Iterable[float]:
    return (lead.seconds for lead in record.leads.measured)


def _recoveries(record: Record) -> Iterable[float]:
    return (failure.seconds for failure in record.failures if failure.seconds is not None)


def _restores(record: Record) -> Iterable[float]:
    spans = (
        (i.resolved_at - i.detected_at).total_seconds() for one in record.incidents if (i := one.incident).resolved_at
    )
    return (span for span in spans if span >= 0)


def _durations(record: Record) -> Iterable[float]:
    spans = ((d.finished_at - d.started_at).total_seconds() for d in record.deployments if d.started_at)
    return (span for span in spans if span >= 0)


def _remediations(record: Record, severity: str) -> Iterable[float]:
    fixed = (
        v
        for v in record.vulnerabilities
        if v.fixed_at and not v.dismissed_at and (v.severity or UNSPECIFIED) == severity
    )
    spans = ((v.fixed_at - v.detected_at).total_seconds() for v in fixed if v.fixed_at)
    return (span for span in spans if span >= 0)


def _observe(family: HistogramMetricFamily, labels: Sequence[str], spans: Iterable[float]) -> None:
    """Adds a ready-made histogram: cumulative buckets, `+Inf` last."""
    values = list(spans)
    fallen = Counter(bisect_left(BUCKETS, value) for value in values)
    running, buckets = 0, []
    for position, bound in enumerate((*map(float, BUCKETS), float("inf"))):
        running += fallen[position]
        buckets.append(("+Inf" if bound == float("inf") else str(bound), running))
    family.add_metric(labels, buckets, sum_value=sum(values))


_WINDOWED = {
    "dora_deployment_frequency_per_day": "Successful production deployments a day.",
    "dora_lead_time_p50_seconds": "Median lead time for changes.",
    "dora_lead_time_p90_seconds": "90th percentile of the lead time for changes.",
    "dora_change_failure_ratio": "Failed production deployments of those that reached users.",
    "dora_recovery_time_p50_seconds": "Median failed deployment recovery time.",
    "dora_rework_ratio": "Rework deployments of those that reached users.",
}


def _values(found: contract.Metrics) -> tuple[float | None, ...]:
    """The values of the window gauges, in the order of their names."""
    return (
        found.deployment_frequency.per_day,
        found.lead_time.p50_seconds,
        found.lead_time.p90_seconds,
        found.change_failure_rate.ratio,
        found.recovery_time.p50_seconds,
        found.rework_rate.ratio,
    )


def _ranks(found: contract.Metrics, benchmark: Benchmark) -> Iterator[tuple[str, int]]:
    for metric in METRICS:
        level = getattr(found, metric).level
        if level is not None:
            yield metric, benchmark.ranks[level]
