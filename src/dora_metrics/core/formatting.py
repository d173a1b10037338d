"""Formats numbers and times for people. Numbers are rounded nowhere else."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date as calendar_date
from datetime import datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

NO_VALUE = "–"

_EXCLUSION_TEXTS = {
    "first_deployment": ("from the first deployment",) * 2,
    "bots": ("by bots",) * 2,
    "no_start": ("without a known start",) * 2,
    "negative": ("that started after its deployment", "that started after their deployments"),
}
"""By field of `schema.Excluded`, in singular and plural: why changes have no lead time."""


def exclusion_counts(count_by_reason: Mapping[str, int]) -> str:
    """List how many changes have no lead time, by reason: `5 from the first deployment, 1 by bots`; empty if none."""
    texts = ((count_by_reason[reason], *forms) for reason, forms in _EXCLUSION_TEXTS.items())
    return ", ".join(count(number, singular, plural) for number, singular, plural in texts if number)


_UNIT_SECONDS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float | None) -> str:
    """Format `1 d 4 h`, `41 min` or `52 s`: the two largest units, the second one only if it is not zero."""
    if seconds is None:
        return NO_VALUE
    whole_seconds = round(seconds)
    for position, (unit, unit_seconds) in enumerate(_UNIT_SECONDS):
        if whole_seconds >= unit_seconds:
            return _two_units(whole_seconds, position, unit, unit_seconds)
    return "0 s"


def _two_units(whole_seconds: int, position: int, unit: str, unit_seconds: int) -> str:
    if unit in ("min", "s") or (unit == "d" and whole_seconds >= 100 * unit_seconds):
        return f"{round(whole_seconds / unit_seconds)} {unit}" if round(whole_seconds / unit_seconds) != 60 else "1 h"  # noqa: PLR2004 - minutes
    smaller_unit, smaller_seconds = _UNIT_SECONDS[position + 1]
    count, remainder = divmod(round(whole_seconds / smaller_seconds), unit_seconds // smaller_seconds)
    if unit == "h" and count == 24:  # noqa: PLR2004 - hours
        return "1 d"
    return f"{count} {unit} {remainder} {smaller_unit}" if remainder else f"{count} {unit}"


_DAYS_FROM_SECONDS = 2 * 86400
"""From this length on, a duration that is set is written in days."""


def duration_setting(length: timedelta) -> str:
    """Format the duration of a setting in one unit, as people write it: `90 min`, `24 h`, `3 d`."""
    seconds = round(length.total_seconds())
    units = (
        f"{seconds // unit_seconds} {unit}"
        for unit, unit_seconds in _UNIT_SECONDS
        if seconds % unit_seconds == 0 and (unit != "d" or seconds >= _DAYS_FROM_SECONDS)
    )
    return next(units)


def duration_beyond(length: timedelta, limit: timedelta) -> str:
    """Format a duration that is longer than a limit, so that it reads as longer too: `24 h 40 min` if it is 24 h."""
    if length - limit >= timedelta(days=1):
        return duration(length.total_seconds())
    hours, minutes = divmod(ceil(length / timedelta(minutes=1)), 60)
    return " ".join(f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min")) if number)


def days_or_hours(days: float) -> str:
    """Format a length in days: `30 days`, or `12 h` below one day."""
    return count(round(days), "day") if days >= 1 else duration(days * 86400)


def percent(ratio: float | None) -> str:
    """Format `16.7 %`, without the decimal if it is zero; a very small ratio as `0.01 %`, never as `0 %`."""
    if ratio is None:
        return NO_VALUE
    return f"{round(ratio * 100, 1) or float(f'{ratio * 100:.1g}'):g} %"


_PERIODS = ((1, "day"), (7, "week"), (730 / 24, "month"), (365, "year"))
"""Days and names of the periods that a frequency is given in."""

MIN_EVENTS_FOR_RATE = 5
"""A frequency that was measured with fewer events is shown as counts. Even the 95 % interval of 4 is 1.1 to 10.2."""

_CLOCK_CHANGE_TOLERANCE = 1.05
"""A day in which clocks change has 23 hours."""


def frequency(per_day: float | None) -> str:
    """Format a frequency by the shortest period in which it is at least one, otherwise by the year.

    For a frequency that is set, such as a goal. One that was measured is formatted by `measured_frequency`.
    """
    if per_day is None:
        return NO_VALUE
    if per_day == 0:
        return "none"
    days, unit = _shortest_period(per_day) or _PERIODS[-1]
    return f"{_short_number(per_day * days)} a {unit}"


def _shortest_period(per_day: float) -> tuple[float, str] | None:
    """Return the shortest period in which a frequency is at least one; None if it is below one a year."""
    return next(((days, unit) for days, unit in _PERIODS if per_day * days > 1 - 1e-9), None)


def measured_frequency(events: int, days: float) -> str:
    """Format how often something happened in a window: `2.3 a week`, or `1 in 61 days` if a rate would extrapolate."""
    if not events:
        return "none"
    return frequency(events / days) if _shows_rate(events, days) else f"{events:,} in {days_or_hours(days)}"


def _shows_rate(events: int, days: float) -> bool:
    """Whether events in a window are shown as a rate.

    They are if there are enough of them, and if the period of the rate is not longer than the window.
    """
    period = _shortest_period(events / days)
    return events >= MIN_EVENTS_FOR_RATE and period is not None and period[0] <= days * _CLOCK_CHANGE_TOLERANCE


def frequency_range(events: int, days: float, per_day: tuple[float, float]) -> str:
    """Format the interval of a measured frequency in its unit: `1.1 to 4.3 a week`, or `0.03 to 5.6 in 61 days`."""
    unit_days, unit = _shortest_period(events / days) or _PERIODS[-1]
    is_rate = _shows_rate(events, days)
    low, high = (_short_number(end * (unit_days if is_rate else days)) for end in per_day)
    return f"{low} to {high} {f'a {unit}' if is_rate else f'in {days_or_hours(days)}'}"


def value_range(low: str, high: str) -> str:
    """Join two values, such as `1.4 to 4.9 a week`. The unit is written once if both have it."""
    number, _, unit = low.partition(" ")
    has_same_unit = high.endswith(f" {unit}") and high.count(" ") == low.count(" ")
    return f"{number if has_same_unit else low} to {high}"


def per_week(per_day: float) -> str:
    """Format a frequency, or a difference of two, by the week: `1.5 a week`."""
    return f"{number_per_week(per_day)} a week"


def number_per_week(per_day: float) -> str:
    """Format the number of a frequency by the week: `1.5`."""
    number = per_day * 7
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"  # noqa: PLR2004 - two digits


def percentage_points(difference: float) -> str:
    """Format a difference of two ratios, such as `4.5 percentage points`."""
    points = f"{round(abs(difference) * 100, 1):g}"
    return f"{points} percentage point{'' if points == '1' else 's'}"


def _short_number(number: float) -> str:
    if number < 1:
        return f"{number:.1g}"
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:,.0f}"  # noqa: PLR2004 - one digit


def number(value: int) -> str:
    """Format `1,030`."""
    return f"{value:,}"


def count(number: int, singular: str, plural: str = "") -> str:
    """Format `1 change` or `2 changes`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def count_are(number: int, singular: str, plural: str = "") -> str:
    """Format `1 change is` or `2 changes are`."""
    return f"{count(number, singular, plural)} {'is' if number == 1 else 'are'}"


def join_with_and(texts: Sequence[str]) -> str:
    """Join `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def join_first(texts: Sequence[str], limit: int) -> str:
    """Join texts as `join_with_and` does; of more than `limit`, the first ones and the number of the others."""
    more = [f"{len(texts) - limit:,} more"] if len(texts) > limit else []
    return join_with_and([*texts[:limit], *more])


def join_with_or(texts: Sequence[str]) -> str:
    """Join `a`, `a or b`, `a, b or c`."""
    return " or ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def ordinal(number: int) -> str:
    """Format `1st`, `2nd`, `11th`."""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")  # noqa: PLR2004
    return f"{number:,}{suffix}"


def day(moment: datetime, zone: ZoneInfo) -> calendar_date:
    """Return the day of a moment in a time zone."""
    return _in_zone(moment, zone).date()


def date(moment: datetime, zone: ZoneInfo) -> str:
    """Format `2026-11-19`."""
    return f"{day(moment, zone):%Y-%m-%d}"


def date_time(moment: datetime, zone: ZoneInfo) -> str:
    """Format `2026-11-19 14:02`."""
    return f"{_in_zone(moment, zone):%Y-%m-%d %H:%M}"


def weekday_date_time(moment: datetime, zone: ZoneInfo) -> str:
    """Format `Thu 19 Nov, 14:02`."""
    local = _in_zone(moment, zone)
    return f"{_WEEKDAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}, {local:%H:%M}"


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""English names: `strftime` would use those of the locale."""


def _in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """Convert to the time zone. A time that would leave the years 1 to 9999 stays as it is."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def names_with_counts(counts: Iterable[tuple[str, int]], limit: int = 10) -> str:
    """Write the first names, each with its count, and the number of the others: `Ship (3), CI (1) and 2 more`."""
    pairs = list(counts)
    named = ", ".join(f"{name} ({number:,})" for name, number in pairs[:limit])
    return f"{named} and {len(pairs) - limit:,} more" if len(pairs) > limit else named
