"""Durations, windows and lists as people write them: `90m`, `30d`, `all`, `2026-01-01..2026-04-01`.

ISO weeks in a time zone, Monday to Monday.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dora_metrics.core.facts.model import EPOCH

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST = timedelta(days=365_000)


def duration(text: str) -> timedelta:
    """`90m`, `24h`, `30d` or `12w` as a span.

    Raises:
        ValueError: if it is none of these, nought, or longer than a thousand years.
    """
    found = re.fullmatch(r"(\d{1,9})\s*([mhdw])", text.strip(), re.ASCII)
    span = int(found[1]) * _UNITS[found[2]] if found else timedelta()
    if not timedelta() < span <= _LONGEST:
        raise ValueError(f"{text!r} is no duration; write one such as 90m, 24h, 30d or 12w")
    return span


def listed(value: object) -> list[str]:
    """A list written with commas, with lines, or as a list.

    Raises:
        ValueError: if it holds anything but texts and numbers.
    """
    if isinstance(value, str):
        value = re.split(r"[,\n]", value)
    if not isinstance(value, list | tuple) or not all(isinstance(item, str | int | float) for item in value):
        raise ValueError("expected a list: commas or lines between the items, or a YAML list")
    return [text for item in value if (text := str(item).strip())]


@dataclass(frozen=True)
class Window:
    """Half-open span of time `[start, end)`."""

    start: datetime
    end: datetime

    @property
    def days(self) -> float:
        """Length in days of 24 hours."""
        return (self.end - self.start) / timedelta(days=1)

    def holds(self, moment: datetime | None) -> bool:
        return moment is not None and self.start <= moment < self.end

    def before(self) -> "Window":
        """The window of the same length that ends where this one starts."""
        return Window(self.start - (self.end - self.start), self.start)


@dataclass(frozen=True)
class WindowSpec:
    """A window as it was asked for; `resolve` makes it one of instants.

    `span`: the last so many hours. `start` and `end`: given instants. Neither: everything there is.
    """

    text: str
    span: timedelta | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def everything(self) -> bool:
        return self.span is None and self.start is None

    def resolve(self, now: datetime, first: datetime | None) -> Window:
        """The window at `now`. It never ends later than now.

        Args:
            now: the moment of the computation.
            first: finish of the first deployment known, which `all` starts with; a time before 1970 is a slip.

        Raises:
            ValueError: if it would not start before it ends.
        """
        if self.everything:
            return Window(min(max(first or now, EPOCH), now), now)
        end = min(self.end or now, now)
        start = self.start or end - (self.span or timedelta())
        if start >= end:
            raise ValueError(
                f"{self.text!r} starts at {start:%Y-%m-%dT%H:%M:%SZ}, not before its end {end:%Y-%m-%dT%H:%M:%SZ} "
                "(a window never ends later than now)"
            )
        return Window(start, end)


def window(text: str, zone: ZoneInfo) -> WindowSpec:
    """`30d`, `all` or `FROM..TO`, with dates (midnights in `zone`, TO excluded) or instants with an offset.

    Raises:
        ValueError: if it is none of these.
    """
    text = text.strip()
    if text == "all":
        return WindowSpec(text)
    if ".." not in text:
        try:
            return WindowSpec(text, span=_bounded(duration(text)))
        except ValueError:
            raise ValueError(f"{text!r} is no window; write 30d, 12w, all, or 2026-01-01..2026-04-01") from None
    start, _, end = text.partition("..")
    return WindowSpec(text, start=_moment(start, zone), end=_moment(end, zone))


def _bounded(span: timedelta) -> timedelta:
    """A window and the one before it must both lie after the year 1970."""
    if span > timedelta(days=366 * 20):
        raise ValueError("longer than twenty years")
    return span


def instant(text: str) -> datetime:
    """A time with an offset, in UTC.

    Raises:
        ValueError: if it is no time, or one without an offset.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            raise ValueError  # noqa: TRY301 - one message for all that is wrong
        return _plausible(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time with an offset between 1970 and 2199; write one such as 2026-11-21T12:00:00Z"
        ) from None


def instant_or_none(text: str | None) -> datetime | None:
    """The same of a text that may be missing, or be no such time."""
    try:
        return instant(text or "")
    except ValueError:
        return None


def _plausible(moment: datetime) -> datetime:
    """Nobody asks for other years, and arithmetic on them overflows."""
    if not 1970 <= moment.year < 2200:  # noqa: PLR2004 - the bounds are in the message
        raise ValueError
    return moment


def _moment(text: str, zone: ZoneInfo) -> datetime:
    text = text.strip()
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        try:
            return _plausible(datetime.combine(date.fromisoformat(text), time(), zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is no date between 1970 and 2199") from None
    return instant(text)


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
