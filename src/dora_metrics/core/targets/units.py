"""Parses and formats the values of metrics, such as `1d`, `5/w` and `0.15` in goals and thresholds."""

import re

from dora_metrics.core import formatting, schema
from dora_metrics.core.targets.metric import METRICS, metric_of
from dora_metrics.core.windows import parse_duration

METRIC_NAMES = tuple(METRICS)

_DAYS_PER_UNIT = {"d": 1, "w": 7}


def parse_metric(text: str) -> str:
    """Return the name of a metric.

    Raises:
        ValueError: if it is not one, with the valid names.
    """
    if text not in METRIC_NAMES:
        raise ValueError(f"{text!r} is not one of {', '.join(METRIC_NAMES)}")
    return text


def parse_value(metric: str, raw: object) -> float:
    """Parse a value of a metric into the unit of its deciding value: per day, seconds, or a ratio.

    Raises:
        ValueError: if it is invalid, with the valid form.
    """
    text = "" if isinstance(raw, bool) else str(raw).strip()
    match METRICS[metric].unit:
        case "seconds":
            return _parse_seconds(text)
        case "per day":
            return _parse_per_day(text)
        case "ratio":
            return _parse_ratio(text, raw)


def parse_period_days(metric: str, raw: object) -> int | None:
    """Return the days of the period of a valid frequency: 7 for `5/w`, 1 for `2/d`. None for other metrics."""
    if METRICS[metric].unit != "per day":
        return None
    return _DAYS_PER_UNIT[str(raw).partition("/")[2].strip()]


def _parse_seconds(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError:
        raise ValueError(f"{text!r} is not a valid duration; write one such as 90m, 24h, 30d or 12w") from None


def _parse_per_day(text: str) -> float:
    number, _, unit = text.partition("/")
    count, days = _parse_number(number), _DAYS_PER_UNIT.get(unit.strip())
    if not count or days is None:
        raise ValueError(f"{text!r} is not a valid frequency; write 2/d for two a day, or 5/w for five a week")
    return count / days


def _parse_ratio(text: str, raw: object) -> float:
    number = _parse_number(text)
    if number is None or number > 1:
        raise ValueError(f"{raw!r} is not a ratio from 0 to 1; write 0.15 for 15 %")
    return number


def _parse_number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text.strip(), re.ASCII) else None


def format_value(metric: str, value: float | None) -> str:
    """Write a value of a metric with its unit."""
    match METRICS[metric].unit:
        case "seconds":
            return formatting.duration(value)
        case "per day":
            return formatting.frequency(value)
        case "ratio":
            return formatting.percent(value)


Rate = schema.ChangeFailureRate | schema.ReworkRate
"""A share of the deployments that reached users."""

NONE_KNOWN = "none known"
"""A rate of at least nothing."""

NOT_MEASURABLE = "not measurable"
"""A lead time of at least nothing, where all that is known of the changes is when they were merged."""


def format_result(result: schema.MetricVerdict) -> str:
    """Write a measured value with its unit.

    A frequency with few deployments is a count: `1 in 61 days`. A rate or lead time that may be higher is `at least`
    its value; a rate of zero is then `none known`.
    """
    match result:
        case schema.ChangeFailureRate(ratio=0.0) | schema.ReworkRate(ratio=0.0) if is_lower_bound(result):
            return NONE_KNOWN
        case schema.LeadTime(p50_seconds=float(seconds)) if seconds < 1 and is_lower_bound(result):
            return NOT_MEASURABLE
        case schema.DeploymentFrequency(deployments=deployments, per_day=float(per_day)) if deployments:
            return formatting.measured_frequency(deployments, deployments / per_day)
        case _:
            text = format_value(metric_of(result).key, deciding_value(result))
            return f"at least {text}" if is_lower_bound(result) else text


def format_p90(result: schema.LeadTime) -> str:
    """Write the 90th percentile of lead time; empty without one, and where not even the median can be measured."""
    is_shown = result.p90_seconds is not None and format_result(result) != NOT_MEASURABLE
    return formatting.duration(result.p90_seconds) if is_shown else ""


MIN_TOTAL_FOR_PERCENT = 10
"""A rate over fewer deployments is shown as counts where there is no room for its interval."""


def format_with_counts(result: schema.MetricVerdict) -> str:
    """Write a measured value as `format_result` does, a rate with its counts: `25 % (1 of 4)`."""
    counts = count_of_total(result)
    return f"{format_result(result)} ({counts})" if counts else format_result(result)


def format_counts(result: schema.MetricVerdict) -> str:
    """Write the counts behind a measured value, such as `10` deployments or `1 of 4`; of durations, the value."""
    match result:
        case schema.DeploymentFrequency(deployments=deployments, per_day=float()):
            return f"{deployments:,}"
        case _ if format_result(result) == NONE_KNOWN:
            return format_with_counts(result)
        case _ if counts := count_of_total(result):
            return f"{'at least ' if is_lower_bound(result) else ''}{counts}"
        case _:
            return format_result(result)


def count_of_total(result: schema.MetricVerdict) -> str:
    """Write the counts of a rate, `1 of 4`; empty without deployments, and for other metrics."""
    if not isinstance(result, Rate) or not result.deployments:
        return ""
    return f"{metric_of(result).counted(result):,} of {result.deployments:,}"


def format_brief(result: schema.MetricVerdict) -> str:
    """Write a measured value without its interval: as `format_result`, but a rate of few deployments as `1 of 4`."""
    match result:
        case schema.ChangeFailureRate() | schema.ReworkRate() if result.deployments < MIN_TOTAL_FOR_PERCENT:
            return format_counts(result)
        case _:
            return format_result(result)


def is_lower_bound(result: schema.MetricVerdict) -> bool:
    """Whether a value may be higher, because its source does not record all that it is calculated from."""
    return isinstance(result, Rate | schema.LeadTime) and result.at_least is True


def lower_bound_reason(result: schema.MetricVerdict) -> str:
    """Say why a value may be higher than it is shown; empty if it may not."""
    return f"a git history {metric_of(result).git_gap}" if is_lower_bound(result) else ""


def format_interval(result: schema.MetricVerdict) -> str:
    """Write the 95 % interval of a measured value in the unit of `format_result`.

    Empty without one, and of a value that may be higher than the interval of what is known.
    """
    if result.interval95 is None or is_lower_bound(result):
        return ""
    match result:
        case schema.DeploymentFrequency(deployments=deployments, per_day=float(per_day)) if deployments:
            return formatting.frequency_range(deployments, deployments / per_day, result.interval95)
        case _:
            return formatting.value_range(*(format_value(metric_of(result).key, end) for end in result.interval95))


def format_difference(metric: str, difference: float) -> str:
    """Write the size of a difference between two values of a metric; of ratios in percentage points."""
    match METRICS[metric].unit:
        case "seconds":
            return formatting.duration(abs(difference))
        case "per day":
            return formatting.per_week(abs(difference))
        case "ratio":
            return formatting.percentage_points(difference)


def format_weekly_value(metric: str, value: float) -> str:
    """Write a value of one week with its unit; a frequency as deployments a week."""
    return formatting.per_week(value) if METRICS[metric].unit == "per day" else format_value(metric, value)


def format_weekly_step(metric: str, slope: float) -> str:
    """Write the size of a difference between two weeks of a metric; of frequencies in deployments."""
    if METRICS[metric].unit == "per day":
        return f"{formatting.number_per_week(abs(slope))} deployments"
    return format_difference(metric, slope)


def meets(metric: str, value: float, bound: float) -> bool:
    """Whether a value is at least as good as a bound."""
    return value >= bound if METRICS[metric].higher_is_better else value <= bound


def deciding_value(result: schema.MetricVerdict) -> float | None:
    """Return the deciding value of a metric's result; None without data."""
    return metric_of(result).deciding_value(result)
