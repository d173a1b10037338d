"""The week, month or quarter that a report is about, and the day when it is due."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from dora_metrics.core.windows import Window

Kind = Literal["weekly", "monthly", "quarterly"]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DAYS: tuple[Day, ...] = get_args(Day)

_MONTHS = {"monthly": 1, "quarterly": 3}
_LONG = timedelta(days=90)


@dataclass(frozen=True)
class Period:
    """A whole week, month or quarter. `name` is unique among its kind: `2026-W47`, `2026-11`, `2026-Q4`.

    Names of a kind are in order of time. `short`: the title without the year. `due`: when its report is.
    """

    kind: Kind
    name: str
    short: str
    title: str
    window: Window
    due: datetime

    @property
    def unit(self) -> str:
        """`week`, `month` or `quarter`."""
        return self.kind.removesuffix("ly")

    @property
    def basis(self) -> Window:
        """The 90 days up to its end, or the whole period where that is longer: what levels and goals are read from."""
        return Window(min(self.window.start, self.window.end - _LONG), self.window.end)


def due(kind: Kind, now: datetime, zone: ZoneInfo, day: Day) -> Period:
    """The newest period whose report is due at `now`: from the first such day on after the period's end.

    A report that was missed is due until that of the next period is.
    """
    today = now.astimezone(zone).date()
    end = _start(kind, today)
    if today < _report_day(end, day):
        end = _start(kind, end - timedelta(days=1))
    first = _start(kind, end - timedelta(days=1))
    start, until, moment = (
        datetime.combine(one, time(), zone).astimezone(UTC) for one in (first, end, _report_day(end, day))
    )
    return Period(kind, *_called(kind, first), Window(start, until), moment)


def _report_day(end: date, day: Day) -> date:
    """The first such day of the week from a day on."""
    return end + timedelta(days=(DAYS.index(day) - end.weekday()) % 7)


def _start(kind: Kind, today: date) -> date:
    """The first day of the period that a day lies in."""
    if kind == "weekly":
        return today - timedelta(days=today.weekday())
    months = _MONTHS[kind]
    return today.replace(month=(today.month - 1) // months * months + 1, day=1)


def _called(kind: Kind, first: date) -> tuple[str, str, str]:
    """Name, title without the year, and title of the period that begins on a day."""
    year, week, _ = first.isocalendar()
    quarter = first.month // 3 + 1
    match kind:
        case "weekly":
            return f"{year}-W{week:02}", (short := f"week {week}"), f"{short}, {year}"
        case "monthly":
            return f"{first:%Y-%m}", (short := _MONTH_NAMES[first.month - 1]), f"{short} {first.year}"
        case "quarterly":
            return f"{first.year}-Q{quarter}", (short := f"Q{quarter}"), f"{short} {first.year}"


_MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
"""Not those of a locale."""
