"""Thresholds: the values and regressions for which a run fails or warns (settings `fail-on` and `warn-on`).

`lead_time > 2d` limits the value. `lead_time worse by 20%` compares with the previous window, and is violated only if
the difference is significant (p < 0.05). `regression` means any metric that is significantly worse. A metric without
data violates nothing.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from dora_metrics.core import schema
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets import units, whole_periods
from dora_metrics.core.targets.metric import METRICS
from dora_metrics.core.targets.units import deciding_value

Consequence = Literal["fail", "warn"]

_COMPARATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_COMPARATOR_TEXTS = {">": "above", ">=": "at least", "<": "below", "<=": "at most"}


class ValueLimit(Struct, frozen=True):
    """A limit on a value: `lead_time > 2d` is violated by values above 2 d.

    `period_days`: of a frequency, the period it is written in.
    """

    text: str
    metric: str
    comparator: str
    bound: float
    period_days: int | None = None

    def is_violated_by(self, result: schema.MetricVerdict) -> bool:
        """Whether the comparison holds for a result with a value; of a frequency, over whole periods."""
        value = deciding_value(result)
        bound_of = whole_periods.maximum if self.comparator in (">", "<=") else whole_periods.minimum
        bound = bound_of(self.bound, self.period_days, whole_periods.window_days(result))
        return value is not None and _COMPARATORS[self.comparator](value, bound)


class RegressionLimit(Struct, frozen=True):
    """A limit on regressions: `lead_time worse by 20%`, or `regression` for all metrics.

    `min_share` is the smallest increase that violates, as a share of the previous value; 0 means any.
    """

    text: str
    metrics: tuple[str, ...]
    min_share: float = 0


Threshold = ValueLimit | RegressionLimit


class Violation(Struct, frozen=True, kw_only=True):
    """A threshold that a metric of one scope violates. `value` is the metric's deciding value."""

    rule: str
    on: Consequence
    repository: str
    service: str
    environment: str
    metric: str
    value: float
    text: str


class ThresholdResult(Struct, frozen=True):
    """The result of all thresholds on some scopes.

    `not_evaluated` has each threshold that could not be evaluated, with the reason.
    """

    violations: tuple[Violation, ...] = ()
    passed_count: int = 0
    not_evaluated: tuple[str, ...] = ()

    @property
    def is_failing(self) -> bool:
        return any(violation.on == "fail" for violation in self.violations)


def parse_threshold(text: str) -> Threshold:
    """Parse a threshold.

    Raises:
        ValueError: if it is invalid, with the valid forms.
    """
    if text == "regression":
        return RegressionLimit(text, units.METRIC_NAMES)
    if match := re.fullmatch(r"(\w+)\s*([<>]=?)\s*(.+)", text):
        metric = units.parse_metric(match[1])
        bound, period_days = units.parse_value(metric, match[3]), units.parse_period_days(metric, match[3])
        return ValueLimit(text, metric, match[2], bound, period_days)
    if match := re.fullmatch(r"(\w+)\s+worse(?:\s+by\s+(\d{1,6}(?:\.\d{1,6})?)\s*%)?", text, re.ASCII):
        return RegressionLimit(text, (units.parse_metric(match[1]),), float(match[2] or 0) / 100)
    raise ValueError(
        f"{text!r} is not a valid threshold; write `lead_time > 2d`, `deployment_frequency < 1/w`, "
        "`lead_time worse by 20%` or `regression`"
    )


class ThresholdInput(Struct, frozen=True):
    """The numbers of one scope, and its comparison with the previous window by metric, if they can be compared."""

    scope: Scope
    metrics: schema.Metrics
    previous: schema.Metrics | None
    verdicts: Mapping[str, str]


def apply_thresholds(
    fail_on: Iterable[str], warn_on: Iterable[str], scopes: Iterable[ThresholdInput]
) -> ThresholdResult:
    """Evaluate every threshold on every scope."""
    rules: list[tuple[Consequence, Threshold]] = [
        *(("fail", parse_threshold(text)) for text in fail_on),
        *(("warn", parse_threshold(text)) for text in warn_on),
    ]
    violations: list[Violation] = []
    not_evaluated: list[str] = []
    passed_count = 0
    for data in scopes:
        for on, rule in rules:
            hits = list(_find_hits(rule, data))
            violations += [_make_violation(on, rule, data, hit) for hit in hits]
            if not hits and (reason := _reason_not_evaluated(rule, data)):
                not_evaluated.append(f"{rule.text}: {reason}")
            passed_count += not hits
    return ThresholdResult(tuple(violations), passed_count - len(not_evaluated), tuple(dict.fromkeys(not_evaluated)))


def _make_violation(on: Consequence, rule: Threshold, data: ThresholdInput, hit: tuple[str, str]) -> Violation:
    metric, text = hit
    value = deciding_value(getattr(data.metrics, metric))
    return Violation(rule=rule.text, on=on, **data.scope._asdict(), metric=metric, value=value or 0.0, text=text)


def _find_hits(rule: Threshold, data: ThresholdInput) -> Iterator[tuple[str, str]]:
    """Yield each metric that violates the threshold, and a sentence that says how."""
    match rule:
        case ValueLimit(_, metric, comparator, bound):
            result = METRICS[metric].result_in(data.metrics)
            if rule.is_violated_by(result):
                value_text, bound_text = units.format_with_counts(result), units.format_value(metric, bound)
                relation = _COMPARATOR_TEXTS[comparator]
                yield metric, f"{METRICS[metric].name} is {value_text}, {relation} {bound_text}"
        case RegressionLimit(_, metrics, min_share):
            for metric in metrics:
                if data.verdicts.get(metric) == "worse" and _worsening_share(metric, data) >= min_share:
                    yield metric, _regression_text(metric, data)


def _regression_text(metric: str, data: ThresholdInput) -> str:
    results = (METRICS[metric].result_in(metrics) for metrics in (data.metrics, data.previous) if metrics)
    current, previous = map(units.format_with_counts, results)
    title = METRICS[metric].name
    return f"{title} is clearly worse than in the previous window: {current}, compared with {previous} (p < 0.05)"


def _current_and_previous(metric: str, data: ThresholdInput) -> tuple[float, float]:
    """Return the values of both windows. A metric that was compared has both."""
    current = deciding_value(getattr(data.metrics, metric))
    previous = deciding_value(getattr(data.previous, metric)) if data.previous else None
    return current or 0.0, previous or 0.0


def _worsening_share(metric: str, data: ThresholdInput) -> float:
    """Return by which share of the previous value the metric is worse; infinite if that value was zero."""
    current, previous = _current_and_previous(metric, data)
    worsening = previous - current if METRICS[metric].higher_is_better else current - previous
    if not previous:
        return float("inf") if worsening > 0 else 0.0
    return worsening / previous


def _reason_not_evaluated(rule: Threshold, data: ThresholdInput) -> str | None:
    """Say why a threshold cannot be evaluated; None if it can."""
    match rule:
        case ValueLimit(_, metric):
            verdict = getattr(data.metrics, metric)
            return None if deciding_value(verdict) is not None else f"not evaluated, {verdict.reason}"
        case RegressionLimit(_, metrics) if data.verdicts.keys().isdisjoint(metrics):
            if data.previous is None:
                return "not evaluated, there is no earlier window to compare with"
            return "not evaluated, one of the two windows has no data"
        case _:
            return None
