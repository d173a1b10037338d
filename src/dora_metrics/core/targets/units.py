"""Values of metrics as people write them in goals and thresholds: `1d`, `5/w`, `0.15`."""

import re

from dora_metrics.core import formatting
from dora_metrics.core.windows import duration

NAMES = ("deployment_frequency", "lead_time", "change_failure_rate", "recovery_time", "rework_rate")

_DURATIONS = ("lead_time", "recovery_time")
_PER = {"d": 1, "w": 7}


def metric(text: str) -> str:
    """The name of a metric.

    Raises:
        ValueError: with the choices.
    """
    if text not in NAMES:
        raise ValueError(f"{text!r} is none of {', '.join(NAMES)}")
    return text


def amount(name: str, written: object) -> float:
    """A value of a metric in the unit of its deciding value: per day, seconds, or a ratio.

    Raises:
        ValueError: with how it is written.
    """
    text = "" if isinstance(written, bool) else str(written).strip()
    if name in _DURATIONS:
        return _duration(text)
    if name == "deployment_frequency":
        return _frequency(text)
    number = _number(text)
    if number is None or number > 1:
        raise ValueError(f"{written!r} is no ratio from 0 to 1; write 0.15 for 15 %")
    return number


def _duration(text: str) -> float:
    try:
        return duration(text).total_seconds()
    except ValueError:
        raise ValueError(f"{text!r} is no duration; write one such as 90m, 24h, 30d or 12w") from None


def _frequency(text: str) -> float:
    number, _, unit = text.partition("/")
    count, days = _number(number), _PER.get(unit.strip())
    if not count or days is None:
        raise ValueError(f"{text!r} is no frequency; write one such as 2/d for two a day, or 5/w for five a week")
    return count / days


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text.strip(), re.ASCII) else None


def shown(name: str, value: float | None) -> str:
    """A value of a metric in words."""
    if name in _DURATIONS:
        return formatting.duration(value)
    return formatting.frequency(value) if name == "deployment_frequency" else formatting.percent(value)


def step(name: str, difference: float) -> str:
    """The size of a difference of two values of a metric in words; of ratios in percentage points."""
    if name in _DURATIONS:
        return formatting.duration(abs(difference))
    return formatting.a_week(abs(difference)) if name == "deployment_frequency" else formatting.points(difference)


def within(name: str, value: float, bound: float) -> bool:
    """Whether a value is at least as good as a bound."""
    return value >= bound if name == "deployment_frequency" else value <= bound


def deciding(part: object) -> float | None:
    """The deciding value of a metric; None without one."""
    values = (getattr(part, key, None) for key in ("per_day", "p50_seconds", "ratio"))
    return next((float(value) for value in values if value is not None), None)
