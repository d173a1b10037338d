"""ISO weeks in a time zone, Monday to Monday."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dora_metrics.core.windows import Window


@dataclass(frozen=True)
class IsoWeek:
    """`complete`: wholly inside the window, over by now, and not before the scope's first known deployment."""

    name: str
    span: Window
    complete: bool


def weeks(window: Window, zone: ZoneInfo, now: datetime, began: datetime | None) -> Iterator[IsoWeek]:
    """Every week that the window touches.

    Args:
        window: the window.
        zone: where Monday begins at 00:00.
        now: a week that is not over by then is not complete.
        began: finish of the scope's first known deployment, None without one.
    """
    if window.start >= window.end:
        return
    monday = _monday(window.start, zone)
    while monday < window.end:
        following = _monday(monday + timedelta(days=8), zone)
        year, number, _ = monday.astimezone(zone).isocalendar()
        inside = window.start <= monday and following <= min(window.end, now)
        yield IsoWeek(
            f"{year}-W{number:02}",
            Window(monday, following),
            inside and began is not None and began < following,
        )
        monday = following


def _monday(moment: datetime, zone: ZoneInfo) -> datetime:
    """The start of a moment's week, in UTC."""
    day = moment.astimezone(zone).date()
    return datetime.combine(day - timedelta(days=day.weekday()), time(), zone).astimezone(UTC)


def local_days(moments: Iterable[datetime], zone: ZoneInfo) -> int:
    """On how many days of a time zone these moments lie."""
    return len({moment.astimezone(zone).date() for moment in moments})
