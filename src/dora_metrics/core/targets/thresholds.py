"""Thresholds: which values of a metric, or which regressions, a run is to warn of or to fail for.

`lead_time > 2d` looks at the value; `lead_time worse by 20%` at the window before, and only where the difference is
clear (p < 0.05); `regression` is any metric that is clearly worse. A metric without data never violates.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from dora_metrics.core import schema
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets import units
from dora_metrics.core.targets.metric import METRICS
from dora_metrics.core.targets.units import deciding_value

Consequence = Literal["fail", "warn"]

_COMPARATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_COMPARATOR_TEXTS = {">": "above", ">=": "not below", "<": "below", "<=": "not above"}


@dataclass(frozen=True)
class ValueLimit:
    """`lead_time > 2d`: the values that violate."""

    text: str
    metric: str
    comparator: str
    bound: float


@dataclass(frozen=True)
class RegressionLimit:
    """`lead_time worse by 20%`, or `regression` for all metrics; `least` is the share, 0 for any."""

    text: str
    metrics: tuple[str, ...]
    min_share: float = 0


Threshold = ValueLimit | RegressionLimit


class Violation(Struct, frozen=True, kw_only=True):
    """A threshold that was hit, in one scope."""

    rule: str
    on: Consequence
    repository: str
    service: str
    environment: str
    metric: str
    value: float
    text: str


@dataclass(frozen=True)
class ThresholdResult:
    """All thresholds on some scopes: what was hit, how many were not, and which could not be judged, with why."""

    violations: tuple[Violation, ...] = ()
    passed_count: int = 0
    not_evaluated: tuple[str, ...] = ()

    @property
    def is_failing(self) -> bool:
        return any(violation.on == "fail" for violation in self.violations)


def parse_threshold(text: str) -> Threshold:
    """A threshold as it is written.

    Raises:
        ValueError: if it is none, with what it should be.
    """
    if text == "regression":
        return RegressionLimit(text, units.METRIC_NAMES)
    if match := re.fullmatch(r"(\w+)\s*([<>]=?)\s*(.+)", text):
        metric = units.parse_metric(match[1])
        return ValueLimit(text, metric, match[2], units.parse_value(metric, match[3]))
    if match := re.fullmatch(r"(\w+)\s+worse(?:\s+by\s+(\d{1,6}(?:\.\d{1,6})?)\s*%)?", text, re.ASCII):
        return RegressionLimit(text, (units.parse_metric(match[1]),), float(match[2] or 0) / 100)
    raise ValueError(
        f"{text!r} is no threshold; write `lead_time > 2d`, `deployment_frequency < 1/w`, "
        "`lead_time worse by 20%` or `regression`"
    )


@dataclass(frozen=True)
class ThresholdInput:
    """A scope's numbers, and by metric whether it is better or worse than before, where that can be compared."""

    scope: Scope
    metrics: schema.Metrics
    previous: schema.Metrics | None
    verdicts: Mapping[str, str]


def apply_thresholds(
    fail_on: Iterable[str], warn_on: Iterable[str], scopes: Iterable[ThresholdInput]
) -> ThresholdResult:
    """Every threshold on every scope."""
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
    """Each metric that violates, and how in words."""
    match rule:
        case ValueLimit(_, metric, comparator, bound):
            value = deciding_value(getattr(data.metrics, metric))
            if value is not None and _COMPARATORS[comparator](value, bound):
                bound_text = units.format_value(metric, bound)
                yield (
                    metric,
                    (
                        f"{METRICS[metric].name} is {units.format_value(metric, value)}, "
                        f"{_COMPARATOR_TEXTS[comparator]} {bound_text}"
                    ),
                )
        case RegressionLimit(_, metrics, min_share):
            for metric in metrics:
                if data.verdicts.get(metric) == "worse" and _worsening_share(metric, data) >= min_share:
                    yield metric, _regression_text(metric, data)


def _regression_text(metric: str, data: ThresholdInput) -> str:
    current, previous = (units.format_value(metric, value) for value in _current_and_previous(metric, data))
    return f"{METRICS[metric].name} is clearly worse than in the window before: {current}, before {previous} (p < 0.05)"


def _current_and_previous(metric: str, data: ThresholdInput) -> tuple[float, float]:
    """The values in both windows, which a verdict needs."""
    current = deciding_value(getattr(data.metrics, metric))
    previous = deciding_value(getattr(data.previous, metric)) if data.previous else None
    return current or 0.0, previous or 0.0


def _worsening_share(metric: str, data: ThresholdInput) -> float:
    """By which share of the value before it is worse; without bound where that was nought."""
    current, previous = _current_and_previous(metric, data)
    worsening = previous - current if METRICS[metric].higher_is_better else current - previous
    if not previous:
        return float("inf") if worsening > 0 else 0.0
    return worsening / previous


def _reason_not_evaluated(rule: Threshold, data: ThresholdInput) -> str | None:
    """Why a threshold cannot be judged; None where it can."""
    match rule:
        case ValueLimit(_, metric):
            verdict = getattr(data.metrics, metric)
            return None if deciding_value(verdict) is not None else f"not judged, {verdict.reason}"
        case RegressionLimit(_, metrics) if data.verdicts.keys().isdisjoint(metrics):
            if data.previous is None:
                return "not judged, there is no window before to compare with"
            return "not judged, there are no data in one of the two windows"
        case _:
            return None
