"""The table of the five metrics: labels, units, directions and deciding values.

The deciding value of a metric is the one that levels, goals and thresholds use: deployments per day, the median in
seconds, or a ratio.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from dora_metrics.core import schema

Unit = Literal["per day", "seconds", "ratio"]
"""The unit of a deciding value."""

_DECIDING_FIELDS: dict[Unit, str] = {"per day": "per_day", "seconds": "p50_seconds", "ratio": "ratio"}


class Metric(Struct, frozen=True):
    """One of the five metrics.

    `key` is its name in settings and its field of `schema.Metrics`, whose type is `result_type`. `line_label` is its
    label in periodic reports. `weekly_value` returns the deciding value of one week. `count_field`: of a rate, the
    field of `result_type` with its numerator. `git_gap`: why the value may be higher in a git history, to follow "a git
    history"; empty if it may not.
    """

    key: str
    label: str
    line_label: str
    unit: Unit
    result_type: type[schema.MetricVerdict]
    weekly_value: Callable[[schema.Week], float | None]
    higher_is_better: bool = False
    count_field: str = ""
    git_gap: str = ""

    @property
    def name(self) -> str:
        """The key as words: `lead time`."""
        return self.key.replace("_", " ")

    @property
    def deciding_field(self) -> str:
        """The field of `result_type` that levels, goals and thresholds are about."""
        return _DECIDING_FIELDS[self.unit]

    def result_in(self, metrics: schema.Metrics) -> schema.MetricVerdict:
        """Return the result of this metric."""
        result: schema.MetricVerdict = getattr(metrics, self.key)
        return result

    def counted(self, result: schema.MetricVerdict) -> int | None:
        """Return the numerator of a rate; None for other metrics."""
        count: int | None = getattr(result, self.count_field) if self.count_field else None
        return count

    def deciding_value(self, result: schema.MetricVerdict) -> float | None:
        """Return the deciding value; None without data."""
        value: float | None = getattr(result, self.deciding_field)
        return value


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(
            key="deployment_frequency",
            label="Deployment frequency",
            line_label="Deployments",
            unit="per day",
            result_type=schema.DeploymentFrequency,
            weekly_value=lambda week: week.deployments / 7,
            higher_is_better=True,
        ),
        Metric(
            key="lead_time",
            label="Lead time for changes",
            line_label="Lead time, median (p90)",
            unit="seconds",
            result_type=schema.LeadTime,
            weekly_value=lambda week: week.lead_time_p50_seconds,
            git_gap="lacks the branches of squash-merged pull requests",
        ),
        Metric(
            key="change_failure_rate",
            label="Change failure rate",
            line_label="Change failure rate",
            unit="ratio",
            result_type=schema.ChangeFailureRate,
            weekly_value=lambda week: week.change_failure_ratio,
            count_field="failed",
            git_gap="has no incidents",
        ),
        Metric(
            key="recovery_time",
            label="Recovery time",
            line_label="Recovery, median",
            unit="seconds",
            result_type=schema.RecoveryTime,
            weekly_value=lambda week: week.recovery_p50_seconds,
        ),
        Metric(
            key="rework_rate",
            label="Rework rate",
            line_label="Rework rate",
            unit="ratio",
            result_type=schema.ReworkRate,
            weekly_value=lambda week: week.rework_ratio,
            count_field="rework",
            git_gap="records no rollbacks",
        ),
    )
}
"""By key, in the order in which reports list them."""

_METRIC_BY_TYPE = {metric.result_type: metric for metric in METRICS.values()}


def metric_of(result: schema.MetricVerdict) -> Metric:
    """Return the metric that a result is of."""
    return _METRIC_BY_TYPE[type(result)]
