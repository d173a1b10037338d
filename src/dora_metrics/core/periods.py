"""Periods of reports: the week, month or quarter that a report covers, and when it is due."""

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from dora_metrics.core.windows import Window

PeriodKind = Literal["weekly", "monthly", "quarterly"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
PERIOD_KINDS: tuple[PeriodKind, ...] = get_args(PeriodKind)
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

_MONTHS_PER_PERIOD = {"monthly": 1, "quarterly": 3}
_MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
"""English names, whatever the locale."""

_MIN_BASIS = timedelta(days=90)


class Period(Struct, frozen=True):
    """A whole week, month or quarter.

    `name` is unique in its kind, and names of a kind sort by time: `2026-W47`, `2026-11`, `2026-Q4`. `short` is
    the title without the year. `due` is when the period's report is due. Templates that users write read these names.
    """

    kind: PeriodKind
    name: str
    short: str
    title: str
    window: Window
    due: datetime

    @property
    def unit(self) -> str:
        """The kind as a noun: `week`, `month` or `quarter`."""
        return self.kind.removesuffix("ly")

    @property
    def basis(self) -> Window:
        """The window that levels and goals are read from: the 90 days up to the end, or the period if it is longer."""
        return Window(min(self.window.start, self.window.end - _MIN_BASIS), self.window.end)


def due_period(kind: PeriodKind, now: datetime, zone: ZoneInfo, day: Weekday) -> Period:
    """Return the newest period whose report is due at `now`.

    A report is due from the first `day` of the week on or after the end of its period. A missed report stays due until
    the next one is.
    """
    today = now.astimezone(zone).date()
    end_day = _first_day_of_period(kind, today)
    if today < _report_day(end_day, day):
        end_day = _first_day_of_period(kind, end_day - timedelta(days=1))
    return _period_until(end_day, kind, zone, day)


def named_period(kind: PeriodKind, name: str, zone: ZoneInfo, day: Weekday) -> Period | None:
    """Return the period of a kind that has a name; None if there is none."""
    end = end_of_named(kind, name)
    return _period_until(end.date(), kind, zone, day) if end else None


def _period_until(end_day: date, kind: PeriodKind, zone: ZoneInfo, day: Weekday) -> Period:
    """Return the period whose last day is the one before `end_day`."""
    first_day = _first_day_of_period(kind, end_day - timedelta(days=1))
    window_start, window_end, due_at = (
        datetime.combine(local_day, time(), zone).astimezone(UTC)
        for local_day in (first_day, end_day, _report_day(end_day, day))
    )
    return Period(kind, *_period_titles(kind, first_day), Window(window_start, window_end), due_at)


def _report_day(end: date, day: Weekday) -> date:
    """Return the first date on or after `end` that is this day of the week."""
    return end + timedelta(days=(WEEKDAYS.index(day) - end.weekday()) % 7)


def _first_day_of_period(kind: PeriodKind, day: date) -> date:
    """Return the first day of the period that contains `day`."""
    if kind == "weekly":
        return day - timedelta(days=day.weekday())
    months = _MONTHS_PER_PERIOD[kind]
    return day.replace(month=(day.month - 1) // months * months + 1, day=1)


def _period_titles(kind: PeriodKind, first_day: date) -> tuple[str, str, str]:
    """Return the name, short title and title of the period that begins on `first_day`."""
    year, week, _ = first_day.isocalendar()
    match kind:
        case "weekly":
            return f"{year}-W{week:02}", f"week {week}", f"week {week}, {year}"
        case "monthly":
            month = _MONTH_NAMES[first_day.month - 1]
            return f"{first_day:%Y-%m}", month, f"{month} {first_day.year}"
        case "quarterly":
            quarter = f"Q{first_day.month // 3 + 1}"
            return f"{first_day.year}-{quarter}", quarter, f"{quarter} {first_day.year}"


def end_of_named(kind: PeriodKind, name: str) -> datetime | None:
    """Return when the period of a name ends in UTC; None if no period of the kind has the name."""
    with suppress(ValueError, OverflowError):
        match kind, name.partition("-"):
            case "weekly", (year, _, week) if week.startswith("W"):
                first_day = date.fromisocalendar(int(year), int(week[1:]), 1)
                return _midnight(first_day + timedelta(weeks=1))
            case "monthly", (year, _, month):
                return _midnight(_first_day_after(int(year), int(month), 1))
            case "quarterly", (year, _, quarter) if quarter.startswith("Q"):
                return _midnight(_first_day_after(int(year), 3 * int(quarter[1:]) - 2, 3))
    return None


def _first_day_after(year: int, month: int, month_count: int) -> date:
    """Return the first day after months, of which `month` is the first one."""
    date(year, month, 1)
    months = 12 * year + month - 1 + month_count
    return date(months // 12, months % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
