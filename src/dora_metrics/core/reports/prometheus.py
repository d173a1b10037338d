"""Metrics as Prometheus families (docs/prometheus.md).

Counters and histograms are cumulative over the whole ledger, which makes `increase()`, `rate()` and
`histogram_quantile()` correct; counters that restart at 1 with each run are wrong in every windowed query. They never
fall (`core.metrics.high_water_marks`). Families are built by a custom collector, so there are no `_created` series and
the default registry is not used. A gauge without data is absent, never 0.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import product
from math import inf

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from dora_metrics.core import schema
from dora_metrics.core.facts.model import SEVERITIES
from dora_metrics.core.metrics.calculate import calculate_metrics
from dora_metrics.core.metrics.high_water_marks import HighWaterMarks
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.totals import BUCKETS_SECONDS, REMEDIATION_FAMILY, UNSPECIFIED, Series
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.benchmarks import LEVELLED_METRICS, Benchmark, LevelledMetric
from dora_metrics.core.targets.goals import GoalSpec
from dora_metrics.core.targets.metric import METRICS, Unit
from dora_metrics.core.windows import WINDOWS_DAYS, Window

DEPLOYMENT_SOURCES = ("deployments", "workflow-runs", "releases", "pushes")

REPOSITORY_INFO, REPOSITORY_ID = "dora_repository_info", "repository_id"
"""The family, and its label, by which a push says which repository it is of."""

_SCOPE_LABELS = ("repository", "service", "environment")
_BUCKET_BOUNDS = (*(str(float(bound)) for bound in BUCKETS_SECONDS), "+Inf")
_COUNTERS: dict[str, tuple[str, Sequence[str]]] = {
    "dora_deployments_total": (
        "Production deployments in the denominator of the failure rate: those that reached users.",
        DEPLOYMENT_SOURCES,
    ),
    "dora_deployment_failures_total": ("Production deployments that failed.", ()),
    "dora_rework_deployments_total": ("Unplanned production deployments that repaired production.", ()),
    "dora_pipeline_failures_total": ("Deployment runs that failed, whether or not they reached users.", ()),
    "dora_changes_total": ("Changes delivered to production, without those of a first deployment.", ()),
    "dora_incidents_total": ("Incidents in production.", ()),
}
"""Help text, and the values of the label `source` that are exported even when zero; empty without that label."""

_HISTOGRAMS: dict[str, tuple[str, Sequence[str]]] = {
    "dora_lead_time_seconds": ("From a change's start to its first production deployment.", ()),
    "dora_recovery_time_seconds": ("From a failed deployment to its remediation.", ()),
    "dora_incident_restore_seconds": ("From the detection of an incident to its end.", ()),
    "dora_deployment_duration_seconds": ("From the start of a production deployment to its end.", ()),
    REMEDIATION_FAMILY: (
        "From a vulnerability's detection to its fix.",
        (*SEVERITIES, UNSPECIFIED),
    ),
}
"""Help text, and the values of the label `severity`; empty without that label."""


@dataclass(frozen=True, eq=False)
class LedgerCollector(Collector):
    """Custom collector that yields every family.

    `histories`: one per scope, the source of the gauges. `counters`: the values of counters and histograms, also those
    of scopes without a history. `fact_counts`: the number of facts in the ledger, by repository. `policy`: also says
    which scopes have a label `team`. `sequence`: number of the ledger's state; None without a ledger that numbers its
    states. `labels`: what every series gets besides its own. `repository_id`: the only repository by its number on
    GitHub, where the series must say it.
    """

    histories: Sequence[ScopeHistory]
    counters: HighWaterMarks
    fact_counts: Mapping[str, int]
    policy: Policy
    now: datetime
    sequence: int | None
    version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    repository_id: str | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield all families; called by the registry."""
        families = self._families()
        if self.policy.teams:
            families = (_with_teams(family, self.policy) for family in families)
        return (_with_labels(family, self.labels) for family in families) if self.labels else families

    def _families(self) -> Iterator[Metric]:
        yield from self._counter_families()
        yield from self._histogram_families()
        yield from self._window_gauges()
        yield from self._state_gauges()
        yield from _benchmark_gauges(self.policy.benchmark)
        yield _goal_gauge(self.policy.goals)

    def with_labels(self, labels: Mapping[str, str]) -> "LedgerCollector":
        """Return the same families with labels that every series gets besides its own."""
        return replace(self, labels=labels)

    def identified_by(self, repository_id: str | None) -> "LedgerCollector":
        """Return the same families and one that says which repository they are of; None if its number is not known."""
        return replace(self, repository_id=repository_id)

    @property
    def repositories(self) -> list[str]:
        """All repositories with a scope or a fact, sorted."""
        return sorted({scope.repository for scope in self.counters.scopes} | self.fact_counts.keys())

    @property
    def _scopes(self) -> list[Scope]:
        """Scopes of the counters, sorted."""
        return sorted(self.counters.scopes)

    def _counter_families(self) -> Iterator[Metric]:
        for name, (help_text, default_sources) in _COUNTERS.items():
            labels = ("source",) if default_sources else ()
            family = CounterMetricFamily(name, help_text, labels=(*_SCOPE_LABELS, *labels))
            sources_by_scope = self._labels_by_scope(name)
            for scope in self._scopes:
                sources = sorted({*default_sources, *sources_by_scope[scope]}) if default_sources else [""]
                for source in sources:
                    label_values = (*scope, source) if default_sources else scope
                    family.add_metric(label_values, self.counters.values[Series(name, scope, source)])
            yield family

    def _labels_by_scope(self, name: str) -> dict[Scope, set[str]]:
        """Return, by scope, the labels that a family has in the counters."""
        labels: dict[Scope, set[str]] = defaultdict(set)
        for series in self.counters.values:
            if series.name == name:
                labels[series.scope].add(series.label)
        return labels

    def _histogram_families(self) -> Iterator[Metric]:
        for name, (help_text, severities) in _HISTOGRAMS.items():
            labels = ("severity",) if severities else ()
            family = HistogramMetricFamily(name, help_text, labels=(*_SCOPE_LABELS, *labels))
            for scope in self._scopes:
                if name == REMEDIATION_FAMILY and not self.counters.has_vulnerabilities(scope):
                    continue  # no vulnerabilities recorded: absent, since unknown is not zero
                for severity in severities or ("",):
                    histogram = self.counters.histogram(name, scope, severity)
                    buckets = list(zip(_BUCKET_BOUNDS, histogram.cumulative_counts, strict=True))
                    label_values = (*scope, severity) if severities else scope
                    family.add_metric(label_values, buckets, sum_value=histogram.sum_seconds)
            yield family

    def _window_gauges(self) -> Iterator[Metric]:
        labels = (*_SCOPE_LABELS, "window")
        gauges = {name: GaugeMetricFamily(name, text, labels=labels) for name, text in _WINDOW_GAUGES.items()}
        level_labels = (*_SCOPE_LABELS, "metric", "window")
        levels = GaugeMetricFamily("dora_level", "Level by the benchmark: 0 is the lowest.", labels=level_labels)
        for history, days in product(self.histories, WINDOWS_DAYS):
            window = Window(self.now - timedelta(days=days), self.now)
            window_metrics = calculate_metrics(history, window, (), self.policy)
            values = _window_counts(history, window_metrics) | _window_values(window_metrics)
            for name, value in values.items():
                if value is not None:
                    gauges[name].add_metric((*history.scope, f"{days}d"), value)
            for metric, rank in _level_ranks(window_metrics, self.policy.benchmark):
                levels.add_metric((*history.scope, metric, f"{days}d"), rank)
        yield from gauges.values()
        yield levels

    def _state_gauges(self) -> Iterator[Metric]:
        yield self._last_deployments()
        yield self._open_incidents()
        yield from self._ledger_gauges()

    def _last_deployments(self) -> Metric:
        name = "dora_last_deployment_timestamp_seconds"
        help_text = "When the last successful production deployment finished."
        gauge = GaugeMetricFamily(name, help_text, labels=_SCOPE_LABELS)
        for history in self.histories:
            finish_times = [each.finished_at for each in history.deployments if each.status == "success"]
            if finish_times:
                gauge.add_metric(history.scope, finish_times[-1].timestamp())
        return gauge

    def _open_incidents(self) -> Metric:
        labels = (*_SCOPE_LABELS, "severity")
        gauge = GaugeMetricFamily("dora_open_incidents", "Incidents not resolved yet.", labels=labels)
        for history in self.histories:
            if not history.knows_incidents:
                continue
            incidents = (attribution.incident for attribution in history.incidents)
            counts = Counter(each.severity or UNSPECIFIED for each in incidents if not each.resolved_at)
            for severity in (*SEVERITIES, UNSPECIFIED):
                gauge.add_metric((*history.scope, severity), counts[severity])
        return gauge

    def _ledger_gauges(self) -> Iterator[Metric]:
        fact_counts = GaugeMetricFamily("dora_ledger_facts", "Facts in the ledger.", labels=("repository",))
        for repository, count in sorted(self.fact_counts.items()):
            fact_counts.add_metric((repository,), count)
        yield fact_counts
        if self.sequence is not None:
            yield GaugeMetricFamily(
                "dora_ledger_sequence", "Increases with every change to the ledger.", value=self.sequence
            )
        build_info = GaugeMetricFamily("dora_build_info", "The version that computed the metrics.", labels=("version",))
        build_info.add_metric((self.version,), 1)
        yield build_info
        if self.repository_id is not None:
            yield _repository_info(self.repository_id)


def _repository_info(repository_id: str) -> Metric:
    help_text = "The repository by its number on GitHub, which no rename changes."
    info = GaugeMetricFamily(REPOSITORY_INFO, help_text, labels=(REPOSITORY_ID,))
    info.add_metric((repository_id,), 1)
    return info


def _with_labels(family: Metric, labels: Mapping[str, str]) -> Metric:
    family.samples = [sample._replace(labels={**sample.labels, **labels}) for sample in family.samples]
    return family


def _with_teams(family: Metric, policy: Policy) -> Metric:
    """Add a label `team` to each series of a scope that has one. High-water marks do not have it: teams may change."""
    family.samples = [
        sample._replace(labels={**sample.labels, "team": team}) if (team := _team_of(sample.labels, policy)) else sample
        for sample in family.samples
    ]
    return family


def _team_of(labels: Mapping[str, str], policy: Policy) -> str | None:
    is_of_scope = all(label in labels for label in _SCOPE_LABELS)
    return policy.team_of(Scope(*(labels[label] for label in _SCOPE_LABELS))) if is_of_scope else None


def exposition_text(collector: LedgerCollector) -> str:
    """Return the families in the Prometheus text format."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def counter_series(name: str, labels: Mapping[str, str]) -> Series | None:
    """Return the counter or histogram with this name and these labels; None if there is none of this name."""
    if name not in _COUNTERS and name not in _HISTOGRAMS:
        return None
    scope = Scope(*(labels.get(label, "") for label in _SCOPE_LABELS))
    return Series(name, scope, labels.get("source" if name in _COUNTERS else "severity", ""))


_WINDOW_GAUGES = {
    "dora_window_deployments": "Production deployments that reached users.",
    "dora_window_failures": "Production deployments that failed.",
    "dora_window_changes": "Changes with a lead time that were delivered to production.",
    "dora_window_recoveries": "Failed production deployments that were remediated.",
    "dora_deployment_frequency_per_day": "Successful production deployments a day.",
    "dora_lead_time_p50_seconds": "Median lead time for changes.",
    "dora_lead_time_p90_seconds": "90th percentile of the lead time for changes.",
    "dora_change_failure_ratio": "Failed production deployments, as a share of those that reached users.",
    "dora_recovery_time_p50_seconds": "Median failed deployment recovery time.",
    "dora_rework_ratio": "Rework deployments, as a share of those that reached users.",
}


def _window_counts(history: ScopeHistory, window_metrics: schema.Metrics) -> dict[str, float | None]:
    """Return the counts behind the gauges, which can be added up over scopes; none before the first deployment."""
    if not history.deployments:
        return {}
    return {
        "dora_window_deployments": window_metrics.change_failure_rate.deployments,
        "dora_window_failures": window_metrics.change_failure_rate.failed,
        "dora_window_changes": window_metrics.lead_time.changes,
        "dora_window_recoveries": window_metrics.recovery_time.recovered,
    }


def _window_values(window_metrics: schema.Metrics) -> dict[str, float | None]:
    """Return the values of the metrics themselves by gauge, None where a metric has no value."""
    return {
        "dora_deployment_frequency_per_day": window_metrics.deployment_frequency.per_day,
        "dora_lead_time_p50_seconds": window_metrics.lead_time.p50_seconds,
        "dora_lead_time_p90_seconds": window_metrics.lead_time.p90_seconds,
        "dora_change_failure_ratio": window_metrics.change_failure_rate.ratio,
        "dora_recovery_time_p50_seconds": window_metrics.recovery_time.p50_seconds,
        "dora_rework_ratio": window_metrics.rework_rate.ratio,
    }


def _level_ranks(window_metrics: schema.Metrics, benchmark: Benchmark) -> Iterator[tuple[str, int]]:
    for metric in LEVELLED_METRICS:
        level = getattr(window_metrics, metric).level
        if level is not None:
            yield metric, benchmark.ranks[level]


def _benchmark_gauges(benchmark: Benchmark) -> Iterator[Metric]:
    """Yield the name and the levels of the benchmark, each with its limit at the worst end."""
    help_text = "Limit of each benchmark level at its worst end: per day, in seconds, or a ratio."
    edges = GaugeMetricFamily("dora_benchmark_edge", help_text, labels=("metric", "level", "rank"))
    for metric in LEVELLED_METRICS:
        for level, edge in benchmark.edges.get(metric, ()):
            worst_value = _worst_value(metric) if edge is None else edge
            edges.add_metric((metric, level, str(benchmark.ranks[level])), worst_value)
    yield edges
    info = GaugeMetricFamily("dora_benchmark_info", "The benchmark that defines the levels.", labels=("benchmark",))
    info.add_metric((benchmark.name,), 1)
    yield info


def _goal_gauge(goals: Iterable[GoalSpec]) -> Metric:
    """Return the target of each goal, in the unit of the gauges that show its metric."""
    help_text = "The value that a metric should reach: per day, in seconds, or a ratio."
    gauge = GaugeMetricFamily("dora_goal", help_text, labels=("metric",))
    for goal in goals:
        gauge.add_metric((goal.metric,), goal.target)
    return gauge


_WORST_VALUES: dict[Unit, float] = {"per day": 0, "seconds": inf, "ratio": 1}


def _worst_value(metric: LevelledMetric) -> float:
    """Return the worst value that a metric can have, which is the edge of its last level."""
    return _WORST_VALUES[METRICS[metric].unit]
