"""A frequency a week or a day, compared over the whole weeks or days of a window.

30 days have four whole weeks, and are in five. So a scope that deploys once each week is neither below nor above 1 a
week on any day, though 4 deployments in 30 days are a rate below it, and 5 are one above it.
"""

from math import ceil

from dora_metrics.core import schema

_CLOCK_CHANGE_DAYS = 2 / 24
"""A week in which clocks change is up to two hours shorter or longer, and still one week."""

_ROUNDING = 1e-9
"""The relative error of rates that come from the same counts."""


def minimum(bound: float, period_days: int | None, days: float | None) -> float:
    """Return the least value over `days` that is not below a bound, in the unit of the bound.

    Only the whole periods in the window count. A window without one is compared by the rate.

    Args:
        bound: the value in a goal or a condition.
        period_days: of a frequency, the days of the period that it is written in; None for other metrics.
        days: of a frequency with deployments, those of the window, as of `window_days`.
    """
    if not period_days or not days:
        return bound
    periods = int((days + _CLOCK_CHANGE_DAYS) / period_days)
    return bound * periods * period_days / days * (1 - _ROUNDING) if periods else bound


def maximum(bound: float, period_days: int | None, days: float | None) -> float:
    """Return the largest value over `days` that is not above a bound. The last, incomplete period counts too.

    The arguments are those of `minimum`.
    """
    if not period_days or not days:
        return bound
    periods = max(1, ceil((days - _CLOCK_CHANGE_DAYS) / period_days))
    return bound * periods * period_days / days * (1 + _ROUNDING)


def window_days(result: schema.MetricVerdict) -> float | None:
    """Return the days of the window of a frequency; None without deployments, and for other metrics."""
    match result:
        case schema.DeploymentFrequency(deployments=deployments, per_day=float(per_day)) if deployments:
            return deployments / per_day
        case _:
            return None
