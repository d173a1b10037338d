"""PromQL on the exported metrics, as the dashboards need it. docs/monitoring.md says why it is written so.

`$cluster`, `$repository`, `$service`, `$environment` and `$window` are variables of the dashboards. `$__interval` is
the step of a curve, and `$__range` its whole time. Grafana replaces all of them.
"""

from datetime import UTC, datetime
from functools import cache

from dora_metrics.core.metrics.high_water_marks import NO_MARKS
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.prometheus import LedgerCollector

FRESH = "26h"
"""How old the newest sample may be. A back-fill and remote write have one a day; a plain selector sees 5 minutes."""

EARLIER = "7d"
"""How long before a step a counter may have had its sample, so that no pause of the pushes looks like many events."""

WINDOW = 'window="$window"'
SCOPE_LABELS = ("repository", "service", "environment")
SERIES_LABELS = ("cluster", *SCOPE_LABELS)
BY_SCOPE = f"by ({', '.join(SERIES_LABELS)})"
BY_REPOSITORY = "by (cluster, repository)"


def of_metric(metric: str) -> str:
    """Return the matcher for the series that are about one of the five metrics."""
    return f'metric="{metric}"'


PUSH_METRICS = frozenset({"push_time_seconds", "push_failure_time_seconds"})
"""What a Pushgateway adds to each group."""

ALERT_METRICS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""What Prometheus adds for each alert: that it is firing, and since when."""


@cache
def exported_metrics() -> dict[str, bool]:
    """Return the names of all exported metrics, and whether each has the labels of a scope."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    collector = LedgerCollector([], NO_MARKS, {}, Policy(), epoch, 0, "")
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: _has_scope(family.name)
        for family in collector.collect()
    }


def _has_scope(family: str) -> bool:
    return not family.startswith(("dora_ledger_", "dora_build_", "dora_benchmark_", "dora_goal"))


def series(metric: str, *matchers: str) -> str:
    """Return the selector of a metric in the selected scopes, or in their repositories if it is of a repository.

    Raises:
        ValueError: if no such metric is exported.
    """
    family = metric.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
    exported = exported_metrics()
    if metric not in PUSH_METRICS and metric not in exported and family not in exported:
        raise ValueError(f"no metric {metric} is exported")
    has_scope = metric not in PUSH_METRICS and exported[metric if metric in exported else family]
    labels = SERIES_LABELS if has_scope else ("cluster", "repository")
    selection = ",".join((*(f'{label}=~"${label}"' for label in labels), *matchers))
    return f"{metric}{{{selection}}}"


def latest(metric: str, *matchers: str, ago: str = "") -> str:
    """Return what a gauge or counter is now, or was some time `ago`."""
    return f"last_over_time({series(metric, *matchers)}[{FRESH}]{_offset(ago)})"


def each_step(metric: str, *matchers: str) -> str:
    """Return a gauge as a curve: the newest sample of each step, so that each sample is read once."""
    return f"last_over_time({series(metric, *matchers)}[$__interval])"


def increase(metric: str, ago: str = "") -> str:
    """Return how much a counter grew in the window. Extrapolated: right in a ratio of two, not as a count."""
    return f"increase({series(metric)}[$window]{_offset(ago)})"


def _offset(ago: str) -> str:
    return f" offset {ago}" if ago else ""


def before_step(metric: str) -> str:
    """Return what a series was before each step."""
    return f"last_over_time({series(metric)}[{EARLIER}] offset $__interval)"


def growth_each_step(metric: str) -> str:
    """Return by how much each series of a counter grew in a step, in whole numbers; `increase` extrapolates."""
    return f"clamp_min({each_step(metric)} - {before_step(metric)}, 0)"


def events_each_step(metric: str) -> str:
    """Return how many events a counter saw in a step."""
    return f"sum({growth_each_step(metric)})"


def growth_in_window(metric: str, *matchers: str) -> str:
    """Return by how much each series of a counter grew in the window, or since its first sample if that is later."""
    before = f"(last_over_time({series(metric, *matchers)}[{FRESH}] offset $window)"
    first = f"min_over_time({series(metric, *matchers)}[$window])"
    return f"{latest(metric, *matchers)} - {before} or {first})"


def deployments_per_day(ago: str = "") -> str:
    return f"sum({latest('dora_deployment_frequency_per_day', WINDOW, ago=ago)})"


def change_failure_ratio(ago: str = "") -> str:
    """Return the rate of all selected scopes together, from exact counts."""
    failures, deployments = (latest(f"dora_window_{name}", WINDOW, ago=ago) for name in ("failures", "deployments"))
    return f"sum({failures}) / (sum({deployments}) > 0)"


def rework_ratio(ago: str = "") -> str:
    """Return the rate of all selected scopes together: their rates, weighted by the deployments behind each."""
    ratio, deployments = (
        latest("dora_rework_ratio", WINDOW, ago=ago),
        latest("dora_window_deployments", WINDOW, ago=ago),
    )
    return f"sum({ratio} * {deployments}) / (sum({deployments} and {ratio}) > 0)"


def median(gauge: str, histogram: str, ago: str = "") -> str:
    """Return the median: exact if only one scope has one, else of all together, to a bucket of the histogram.

    The label `precision` says which of the two it is. Nothing is returned if no scope has a median.
    """
    exact = latest(gauge, WINDOW, ago=ago)
    about = f"{quantile(0.5, histogram, ago)} and count({exact}) > 1"
    return f"{_with_precision('exact', f'max({exact}) and count({exact}) == 1')} or {_with_precision('about', about)}"


def _with_precision(precision: str, query: str) -> str:
    return f'label_replace({query}, "precision", "{precision}", "", "")'


def lead_time_median(ago: str = "") -> str:
    return median("dora_lead_time_p50_seconds", "dora_lead_time_seconds", ago)


def recovery_time_median(ago: str = "") -> str:
    return median("dora_recovery_time_p50_seconds", "dora_recovery_time_seconds", ago)


def quantile(share: float, histogram: str, ago: str = "") -> str:
    """Return a quantile of all selected scopes together, as precise as a bucket. `>= 0` drops NaN, which is no data."""
    return f"histogram_quantile({share}, sum by (le) ({increase(f'{histogram}_bucket', ago)})) >= 0"


def mean(histogram: str) -> str:
    return f"sum({increase(f'{histogram}_sum')}) / (sum({increase(f'{histogram}_count')}) > 0)"


def buckets_each_step(histogram: str) -> str:
    """Return how many events of each duration a step saw. Some write a bound as `86400`, others as `86400.0`."""
    growth = growth_each_step(f"{histogram}_bucket")
    return f'sum by (le) (label_replace({growth}, "le", "$1", "le", "(.+)[.]0"))'


def level_name(metric: str, label: str) -> str:
    """Return the name of each scope's level as a label, also that of a custom benchmark.

    `topk` takes one name, where a benchmark was changed within the last day and a rank has two.
    """
    by_rank = "(cluster, repository, metric, rank)"
    scope = ", ".join(SERIES_LABELS)
    ranks, edges = latest("dora_level", of_metric(metric), WINDOW), latest("dora_benchmark_edge", of_metric(metric))
    ranks = f'count_values by ({scope}, metric) ("rank", {ranks})'
    names = f"topk by {by_rank} (1, group by (cluster, repository, metric, rank, level) ({edges}))"
    joined = f"{ranks} * on {by_rank} group_left (level) {names}"
    return f'group by ({scope}, {label}) (label_replace({joined}, "{label}", "$1", "level", "(.+)"))'


def level_each_step(metric: str) -> str:
    """Return the rank of each scope's level as a curve, with the name of the benchmark as a label."""
    return (
        f"{each_step('dora_level', of_metric(metric), WINDOW)} * on (cluster, repository) group_left (benchmark) "
        f"topk {BY_REPOSITORY} (1, {each_step('dora_benchmark_info')})"
    )


def goal_each_step(metric: str) -> str:
    """Return the goals of all selected repositories as curves: one for each value, however many have it."""
    goals = f"max {BY_REPOSITORY} ({each_step('dora_goal', of_metric(metric))})"
    values = f'count_values {BY_REPOSITORY} ("goal", {goals})'
    return f"max by (goal) ({goals} * on (cluster, repository) group_left (goal) {values})"


def edges_each_step(metric: str, gauge: str) -> str:
    """Return the limits of levels near the values of a gauge: one far above them would flatten the curve.

    The worst values of all (0 per day, infinite time, a ratio of 1) limit nothing. A custom benchmark is one of its
    repository's own, so its lines are not mixed with those of another.
    """
    edges = each_step("dora_benchmark_edge", of_metric(metric))
    highest = f"scalar(1.25 * max(max_over_time({series(gauge, WINDOW)}[$__range] @ end())))"
    near = f"(0 < {edges} < {highest})" if metric != "change_failure_rate" else f"(0 < {edges} < 1)"
    info = f'label_join({each_step("dora_benchmark_info")}, "name", " of ", "benchmark", "repository")'
    named = f'label_replace({info}, "benchmark", "$1", "name", "(custom of .+)")'
    benchmark = f"topk {BY_REPOSITORY} (1, {named})"
    return f"max by (benchmark, level) ({near} * on (cluster, repository) group_left (benchmark) {benchmark})"


def longest_open() -> str:
    """Return for how long there has been an open incident without a break, to an hour: its count is not zero since.

    Each hour reads the samples of that hour. Without any zero in 90 days it is the time since the first sample.
    """
    hourly = f"last_over_time({series('dora_open_incidents')}[1h])"
    last_zero = f"max_over_time((({hourly} == 0) * 0 + time())[90d:1h])"
    first_sample = f"min_over_time(({hourly} * 0 + time())[90d:1h])"
    is_open = f"{latest('dora_open_incidents')} > 0"
    return f"max(time() - ({last_zero} or {first_sample}) and {is_open})"


def firing_since() -> str:
    """Return when each of our firing alerts began. Some alerts are of a repository, and have no service."""
    labels = ",".join(f'{label}=~"${label}|"' for label in SERIES_LABELS)
    firing = f'ALERTS{{alertname=~"Dora.+",alertstate="firing",{labels}}}'
    return f'1000 * (ALERTS_FOR_STATE{{alertname=~"Dora.+",{labels}}} and ignoring (alertstate) {firing})'


def since_push() -> str:
    """Return the time since each repository's last push; by remote write, since its newest sample."""
    pushed = f"max {BY_REPOSITORY} ({_of_our_groups(latest('push_time_seconds'))})"
    written = f"max {BY_REPOSITORY} (max_over_time(timestamp({series('dora_ledger_facts')})[7d:5m]))"
    return f"time() - ({pushed} or on (cluster, repository) {written})"


def was_push_refused() -> str:
    """Return 1 for each repository whose newest push was refused, else 0."""
    refused = f"{latest('push_failure_time_seconds')} > bool {latest('push_time_seconds')}"
    return f"max {BY_REPOSITORY} ({_of_our_groups(refused)})"


def _of_our_groups(query: str) -> str:
    """Return what is about groups of a Pushgateway with our metrics; others may have a repository too."""
    return f"{query} and on (cluster, job, repository) {latest('dora_ledger_facts')}"
