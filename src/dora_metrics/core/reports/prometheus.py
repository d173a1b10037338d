"""Metrics as Prometheus families (DESIGN §7).

Counters and histograms are cumulative over the whole ledger, so that `increase()`, `rate()` and
`histogram_quantile()` are right; per-run counters of 1 are wrong in every windowed query. Ready-made
families carry no `_created` series and need no default registry. A gauge without data is absent, never 0.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from dora_metrics.core import schema
from dora_metrics.core.facts.model import SEVERITIES
from dora_metrics.core.metrics.calculate import calculate_metrics
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.totals import (
    BUCKETS_SECONDS,
    FACTS_FAMILY,
    UNSPECIFIED,
    VULNERABILITIES_FAMILY,
    Series,
    Totals,
    histogram_of,
)
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.benchmarks import LEVELLED_METRICS, Benchmark
from dora_metrics.core.windows import Window

WINDOWS_DAYS = (7, 30, 90)
DEPLOYMENT_SOURCES = ("deployments", "workflow-runs", "releases", "pushes")

_SCOPE_LABELS = ("repository", "service", "environment")
_BUCKET_BOUNDS = (*(str(float(bound)) for bound in BUCKETS_SECONDS), "+Inf")
_COUNTERS: dict[str, tuple[str, Sequence[str]]] = {
    "dora_deployments_total": (
        "Production deployments in the denominator of the failure rate: those that reached users.",
        DEPLOYMENT_SOURCES,
    ),
    "dora_deployment_failures_total": ("Production deployments that failed.", ()),
    "dora_rework_deployments_total": ("Unplanned production deployments that repaired production.", ()),
    "dora_pipeline_failures_total": ("Deployment runs that failed, whatever they reached.", ()),
    "dora_changes_total": ("Changes delivered to production, those of a first deployment left out.", ()),
    "dora_incidents_total": ("Incidents in production.", ()),
}
"""What each counter says, and the labels that it always has."""

_VULNERABILITY_REMEDIATION = "dora_vulnerability_remediation_seconds"
_HISTOGRAMS: dict[str, tuple[str, Sequence[str]]] = {
    "dora_lead_time_seconds": ("From a change's start to its first production deployment.", ()),
    "dora_recovery_time_seconds": ("From a failed deployment to its remediation.", ()),
    "dora_incident_restore_seconds": ("From the detection of an incident to its end.", ()),
    "dora_deployment_duration_seconds": ("From the start of a production deployment to its end.", ()),
    _VULNERABILITY_REMEDIATION: (
        "From a vulnerability's detection to its fix.",
        (*SEVERITIES, UNSPECIFIED),
    ),
}
"""The same for histograms."""


@dataclass(frozen=True, eq=False)
class LedgerCollector(Collector):
    """Everything there is to say, as one custom collector.

    `records`: what the gauges are computed from. `totals`: what was counted for all time, in these and other scopes.
    `sequence`: the number of the ledger's state, None where it has none.
    """

    histories: Sequence[ScopeHistory]
    totals: Totals
    policy: Policy
    now: datetime
    sequence: int | None
    version: str

    def collect(self) -> Iterator[Metric]:
        yield from self._counter_families()
        yield from self._histogram_families()
        yield from self._window_gauges()
        yield from self._state_gauges()

    @property
    def _scopes(self) -> list[Scope]:
        """Those of the records, and those that only the totals remember."""
        scopes_in_totals = {series.scope for series in self.totals if series.scope.service}
        return sorted({history.scope for history in self.histories} | scopes_in_totals)

    def _counter_families(self) -> Iterator[Metric]:
        for name, (help_text, default_labels) in _COUNTERS.items():
            family = CounterMetricFamily(
                name, help_text, labels=(*_SCOPE_LABELS, *(["source"] if default_labels else ()))
            )
            labels_by_scope = self._labels_by_scope(name)
            for scope in self._scopes:
                for source in sorted({*default_labels, *labels_by_scope[scope]}) if default_labels else ("",):
                    count = self.totals[Series(name, scope, source)]
                    family.add_metric((*scope, source) if default_labels else scope, count)
            yield family

    def _labels_by_scope(self, name: str) -> dict[Scope, set[str]]:
        """The labels that were counted in each scope."""
        labels: dict[Scope, set[str]] = defaultdict(set)
        for series in self.totals:
            if series.name == name:
                labels[series.scope].add(series.label)
        return labels

    def _histogram_families(self) -> Iterator[Metric]:
        for name, (help_text, severities) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(
                name, help_text, labels=(*_SCOPE_LABELS, *(["severity"] if severities else ()))
            )
            for scope in self._scopes:
                if name == _VULNERABILITY_REMEDIATION and not self.totals[Series(VULNERABILITIES_FAMILY, scope)]:
                    continue  # unknown is not none
                for severity in severities or ("",):
                    distribution = histogram_of(self.totals, name, scope, severity)
                    buckets = list(zip(_BUCKET_BOUNDS, distribution.cumulative_counts, strict=True))
                    family.add_metric(
                        (*scope, severity) if severities else scope, buckets, sum_value=distribution.sum_seconds
                    )
            yield family

    def _window_gauges(self) -> Iterator[Metric]:
        gauges = {
            name: GaugeMetricFamily(name, help_text, labels=(*_SCOPE_LABELS, "window"))
            for name, help_text in _WINDOW_GAUGES.items()
        }
        level_gauge = GaugeMetricFamily(
            "dora_level",
            "Level by the benchmark, 0 the lowest, upwards.",
            labels=(*_SCOPE_LABELS, "metric", "window"),
        )
        for history in self.histories:
            for days in WINDOWS_DAYS:
                window_metrics = calculate_metrics(
                    history, Window(self.now - timedelta(days=days), self.now), (), self.policy
                )
                for name, value in zip(_WINDOW_GAUGES, _window_gauge_values(window_metrics), strict=True):
                    if value is not None:
                        gauges[name].add_metric((*history.scope, f"{days}d"), value)
                for metric, rank in _level_ranks(window_metrics, self.policy.benchmark):
                    level_gauge.add_metric((*history.scope, metric, f"{days}d"), rank)
        yield from gauges.values()
        yield level_gauge

    def _state_gauges(self) -> Iterator[Metric]:
        last_deployment = GaugeMetricFamily(
            "dora_last_deployment_timestamp_seconds",
            "When the last successful production deployment finished.",
            labels=_SCOPE_LABELS,
        )
        open_incidents = GaugeMetricFamily(
            "dora_open_incidents", "Incidents not resolved yet.", labels=(*_SCOPE_LABELS, "severity")
        )
        for history in self.histories:
            finish_times = [
                deployment.finished_at for deployment in history.deployments if deployment.status == "success"
            ]
            if finish_times:
                last_deployment.add_metric(history.scope, finish_times[-1].timestamp())
            open_by_severity = Counter(
                attribution.incident.severity or UNSPECIFIED
                for attribution in history.incidents
                if not attribution.incident.resolved_at
            )
            for severity in (*SEVERITIES, UNSPECIFIED):
                open_incidents.add_metric((*history.scope, severity), open_by_severity[severity])
        yield last_deployment
        yield open_incidents
        yield from self._ledger_gauges()

    def _ledger_gauges(self) -> Iterator[Metric]:
        fact_counts = GaugeMetricFamily("dora_ledger_facts", "Facts in the ledger.", labels=("repository",))
        for series in sorted(series for series in self.totals if series.name == FACTS_FAMILY):
            fact_counts.add_metric((series.scope.repository,), self.totals[series])
        yield fact_counts
        if self.sequence is not None:
            yield GaugeMetricFamily(
                "dora_ledger_sequence", "Grows with every change of the ledger.", value=self.sequence
            )
        build_info = GaugeMetricFamily("dora_build_info", "The version that computed this.", labels=("version",))
        build_info.add_metric((self.version,), 1)
        yield build_info


def exposition_text(collector: LedgerCollector) -> str:
    """The exposition in the text format."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


_WINDOW_GAUGES = {
    "dora_deployment_frequency_per_day": "Successful production deployments a day.",
    "dora_lead_time_p50_seconds": "Median lead time for changes.",
    "dora_lead_time_p90_seconds": "90th percentile of the lead time for changes.",
    "dora_change_failure_ratio": "Failed production deployments of those that reached users.",
    "dora_recovery_time_p50_seconds": "Median failed deployment recovery time.",
    "dora_rework_ratio": "Rework deployments of those that reached users.",
}


def _window_gauge_values(window_metrics: schema.Metrics) -> tuple[float | None, ...]:
    """The values of the window gauges, in the order of their names."""
    return (
        window_metrics.deployment_frequency.per_day,
        window_metrics.lead_time.p50_seconds,
        window_metrics.lead_time.p90_seconds,
        window_metrics.change_failure_rate.ratio,
        window_metrics.recovery_time.p50_seconds,
        window_metrics.rework_rate.ratio,
    )


def _level_ranks(window_metrics: schema.Metrics, benchmark: Benchmark) -> Iterator[tuple[str, int]]:
    for metric in LEVELLED_METRICS:
        level = getattr(window_metrics, metric).level
        if level is not None:
            yield metric, benchmark.ranks[level]
