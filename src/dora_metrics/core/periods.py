"""The week, month or quarter that a report is about, and the day when it is due."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from dora_metrics.core.windows import Window

PeriodKind = Literal["weekly", "monthly", "quarterly"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
PERIOD_KINDS: tuple[PeriodKind, ...] = get_args(PeriodKind)
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

_MONTHS_PER_PERIOD = {"monthly": 1, "quarterly": 3}
_MIN_BASIS = timedelta(days=90)


@dataclass(frozen=True)
class Period:
    """A whole week, month or quarter. `name` is unique among its kind: `2026-W47`, `2026-11`, `2026-Q4`.

    Names of a kind are in order of time. `short`: the title without the year. `due`: when its report is.
    """

    kind: PeriodKind
    name: str
    short_title: str
    title: str
    window: Window
    due_at: datetime

    @property
    def unit(self) -> str:
        """`week`, `month` or `quarter`."""
        return self.kind.removesuffix("ly")

    @property
    def basis_window(self) -> Window:
        """The 90 days up to its end, or the whole period where that is longer: what levels and goals are read from."""
        return Window(min(self.window.start, self.window.end - _MIN_BASIS), self.window.end)


def due_period(kind: PeriodKind, now: datetime, zone: ZoneInfo, day: Weekday) -> Period:
    """The newest period whose report is due at `now`: from the first such day on after the period's end.

    A report that was missed is due until that of the next period is.
    """
    today = now.astimezone(zone).date()
    end_day = _first_day_of_period(kind, today)
    if today < _report_day(end_day, day):
        end_day = _first_day_of_period(kind, end_day - timedelta(days=1))
    first_day = _first_day_of_period(kind, end_day - timedelta(days=1))
    window_start, window_end, due_at = (
        datetime.combine(local_day, time(), zone).astimezone(UTC)
        for local_day in (first_day, end_day, _report_day(end_day, day))
    )
    return Period(kind, *_period_titles(kind, first_day), Window(window_start, window_end), due_at)


def _report_day(end: date, day: Weekday) -> date:
    """The first such day of the week from a day on."""
    return end + timedelta(days=(WEEKDAYS.index(day) - end.weekday()) % 7)


def _first_day_of_period(kind: PeriodKind, day: date) -> date:
    """The first day of the period that a day lies in."""
    if kind == "weekly":
        return day - timedelta(days=day.weekday())
    months = _MONTHS_PER_PERIOD[kind]
    return day.replace(month=(day.month - 1) // months * months + 1, day=1)


def _period_titles(kind: PeriodKind, first_day: date) -> tuple[str, str, str]:
    """Name, title without the year, and title of the period that begins on a day."""
    year, week, _ = first_day.isocalendar()
    quarter = first_day.month // 3 + 1
    match kind:
        case "weekly":
            return f"{year}-W{week:02}", (short_title := f"week {week}"), f"{short_title}, {year}"
        case "monthly":
            return (
                f"{first_day:%Y-%m}",
                (short_title := _MONTH_NAMES[first_day.month - 1]),
                f"{short_title} {first_day.year}",
            )
        case "quarterly":
            return f"{first_day.year}-Q{quarter}", (short_title := f"Q{quarter}"), f"{short_title} {first_day.year}"


_MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
"""Not those of a locale."""
