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
from dora_metrics.core.metrics.calculate import metrics
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.metrics.totals import (
    BUCKETS_SECONDS,
    FACTS,
    UNSPECIFIED,
    VULNERABILITIES,
    Series,
    Totals,
    histogram,
)
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.benchmarks import METRICS, Benchmark
from dora_metrics.core.windows import Window

WINDOWS_DAYS = (7, 30, 90)
SOURCES = ("deployments", "workflow-runs", "releases", "pushes")

_SCOPE = ("repository", "service", "environment")
_BOUNDS = (*(str(float(bound)) for bound in BUCKETS_SECONDS), "+Inf")
_COUNTERS: dict[str, tuple[str, Sequence[str]]] = {
    "dora_deployments_total": (
        "Production deployments in the denominator of the failure rate: those that reached users.",
        SOURCES,
    ),
    "dora_deployment_failures_total": ("Production deployments that failed.", ()),
    "dora_rework_deployments_total": ("Unplanned production deployments that repaired production.", ()),
    "dora_pipeline_failures_total": ("Deployment runs that failed, whatever they reached.", ()),
    "dora_changes_total": ("Changes delivered to production, those of a first deployment left out.", ()),
    "dora_incidents_total": ("Incidents in production.", ()),
}
"""What each counter says, and the labels that it always has."""

_OF_VULNERABILITIES = "dora_vulnerability_remediation_seconds"
_HISTOGRAMS: dict[str, tuple[str, Sequence[str]]] = {
    "dora_lead_time_seconds": ("From a change's start to its first production deployment.", ()),
    "dora_recovery_time_seconds": ("From a failed deployment to its remediation.", ()),
    "dora_incident_restore_seconds": ("From the detection of an incident to its end.", ()),
    "dora_deployment_duration_seconds": ("From the start of a production deployment to its end.", ()),
    _OF_VULNERABILITIES: (
        "From a vulnerability's detection to its fix.",
        (*SEVERITIES, UNSPECIFIED),
    ),
}
"""The same for histograms."""


@dataclass(frozen=True, eq=False)
class Families(Collector):
    """Everything there is to say, as one custom collector.

    `records`: what the gauges are computed from. `totals`: what was counted for all time, in these and other scopes.
    `sequence`: the number of the ledger's state, None where it has none.
    """

    records: Sequence[Record]
    totals: Totals
    policy: Policy
    now: datetime
    sequence: int | None
    version: str

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._histograms()
        yield from self._window_gauges()
        yield from self._state_gauges()

    @property
    def _scopes(self) -> list[Scope]:
        """Those of the records, and those that only the totals remember."""
        remembered = {series.scope for series in self.totals if series.scope.service}
        return sorted({record.scope for record in self.records} | remembered)

    def _counters(self) -> Iterator[Metric]:
        for name, (text, always) in _COUNTERS.items():
            family = CounterMetricFamily(name, text, labels=(*_SCOPE, *(["source"] if always else ())))
            labels = self._labels(name)
            for scope in self._scopes:
                for label in sorted({*always, *labels[scope]}) if always else ("",):
                    number = self.totals[Series(name, scope, label)]
                    family.add_metric((*scope, label) if always else scope, number)
            yield family

    def _labels(self, name: str) -> dict[Scope, set[str]]:
        """The labels that were counted in each scope."""
        found: dict[Scope, set[str]] = defaultdict(set)
        for series in self.totals:
            if series.name == name:
                found[series.scope].add(series.label)
        return found

    def _histograms(self) -> Iterator[Metric]:
        for name, (text, labels) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(name, text, labels=(*_SCOPE, *(["severity"] if labels else ())))
            for scope in self._scopes:
                if name == _OF_VULNERABILITIES and not self.totals[Series(VULNERABILITIES, scope)]:
                    continue  # unknown is not none
                for label in labels or ("",):
                    found = histogram(self.totals, name, scope, label)
                    buckets = list(zip(_BOUNDS, found.below, strict=True))
                    family.add_metric((*scope, label) if labels else scope, buckets, sum_value=found.sum_seconds)
            yield family

    def _window_gauges(self) -> Iterator[Metric]:
        gauges = {name: GaugeMetricFamily(name, text, labels=(*_SCOPE, "window")) for name, text in _WINDOWED.items()}
        level = GaugeMetricFamily(
            "dora_level",
            "Level by the benchmark, 0 the lowest, upwards.",
            labels=(*_SCOPE, "metric", "window"),
        )
        for record in self.records:
            for days in WINDOWS_DAYS:
                found = metrics(record, Window(self.now - timedelta(days=days), self.now), (), self.policy)
                for name, value in zip(_WINDOWED, _values(found), strict=True):
                    if value is not None:
                        gauges[name].add_metric((*record.scope, f"{days}d"), value)
                for metric, rank in _ranks(found, self.policy.benchmark):
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
        for record in self.records:
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
        for series in sorted(series for series in self.totals if series.name == FACTS):
            facts.add_metric((series.scope.repository,), self.totals[series])
        yield facts
        if self.sequence is not None:
            yield GaugeMetricFamily(
                "dora_ledger_sequence", "Grows with every change of the ledger.", value=self.sequence
            )
        build = GaugeMetricFamily("dora_build_info", "The version that computed this.", labels=("version",))
        build.add_metric((self.version,), 1)
        yield build


def text(families: Families) -> str:
    """The exposition in the text format."""
    registry = CollectorRegistry()
    registry.register(families)
    return generate_latest(registry).decode()


_WINDOWED = {
    "dora_deployment_frequency_per_day": "Successful production deployments a day.",
    "dora_lead_time_p50_seconds": "Median lead time for changes.",
    "dora_lead_time_p90_seconds": "90th percentile of the lead time for changes.",
    "dora_change_failure_ratio": "Failed production deployments of those that reached users.",
    "dora_recovery_time_p50_seconds": "Median failed deployment recovery time.",
    "dora_rework_ratio": "Rework deployments of those that reached users.",
}


def _values(found: schema.Metrics) -> tuple[float | None, ...]:
    """The values of the window gauges, in the order of their names."""
    return (
        found.deployment_frequency.per_day,
        found.lead_time.p50_seconds,
        found.lead_time.p90_seconds,
        found.change_failure_rate.ratio,
        found.recovery_time.p50_seconds,
        found.rework_rate.ratio,
    )


def _ranks(found: schema.Metrics, benchmark: Benchmark) -> Iterator[tuple[str, int]]:
    for metric in METRICS:
        level = getattr(found, metric).level
        if level is not None:
            yield metric, benchmark.ranks[level]
