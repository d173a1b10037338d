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
_MAX_DURATION = timedelta(days=365_000)


def parse_duration(text: str) -> timedelta:
    """`90m`, `24h`, `30d` or `12w` as a span.

    Raises:
        ValueError: if it is none of these, nought, or longer than a thousand years.
    """
    match = re.fullmatch(r"(\d{1,9})\s*([mhdw])", text.strip(), re.ASCII)
    span = int(match[1]) * _UNITS[match[2]] if match else timedelta()
    if not timedelta() < span <= _MAX_DURATION:
        raise ValueError(f"{text!r} is no duration; write one such as 90m, 24h, 30d or 12w")
    return span


def parse_list(value: object) -> list[str]:
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

    def contains(self, moment: datetime | None) -> bool:
        return moment is not None and self.start <= moment < self.end

    def previous(self) -> "Window":
        """The window of the same length that ends where this one starts."""
        return Window(self.start - (self.end - self.start), self.start)


@dataclass(frozen=True)
class WindowSpec:
    """A window as it was asked for; `resolve` makes it one of instants.

    `span`: the last so many hours. `start` and `end`: given instants. Neither: everything there is.
    """

    text: str
    length: timedelta | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def is_all(self) -> bool:
        return self.length is None and self.start is None

    def resolve(self, now: datetime, first_finished_at: datetime | None) -> Window:
        """The window at `now`. It never ends later than now.

        Args:
            now: the moment of the computation.
            first: finish of the first deployment known, which `all` starts with; a time before 1970 is a slip.

        Raises:
            ValueError: if it would not start before it ends.
        """
        if self.is_all:
            return Window(min(max(first_finished_at or now, EPOCH), now), now)
        end = min(self.end or now, now)
        start = self.start or end - (self.length or timedelta())
        if start >= end:
            raise ValueError(
                f"{self.text!r} starts at {start:%Y-%m-%dT%H:%M:%SZ}, not before its end {end:%Y-%m-%dT%H:%M:%SZ} "
                "(a window never ends later than now)"
            )
        return Window(start, end)


def parse_window(text: str, zone: ZoneInfo) -> WindowSpec:
    """`30d`, `all` or `FROM..TO`, with dates (midnights in `zone`, TO excluded) or instants with an offset.

    Raises:
        ValueError: if it is none of these.
    """
    text = text.strip()
    if text == "all":
        return WindowSpec(text)
    if ".." not in text:
        try:
            return WindowSpec(text, length=_check_at_most_twenty_years(parse_duration(text)))
        except ValueError:
            raise ValueError(f"{text!r} is no window; write 30d, 12w, all, or 2026-01-01..2026-04-01") from None
    start, _, end = text.partition("..")
    return WindowSpec(text, start=_parse_bound(start, zone), end=_parse_bound(end, zone))


def _check_at_most_twenty_years(span: timedelta) -> timedelta:
    """A window and the one before it must both lie after the year 1970."""
    if span > timedelta(days=366 * 20):
        raise ValueError("longer than twenty years")
    return span


def parse_instant(text: str) -> datetime:
    """A time with an offset, in UTC.

    Raises:
        ValueError: if it is no time, or one without an offset.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            raise ValueError  # noqa: TRY301 - one message for all that is wrong
        return _check_supported_year(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time with an offset between 1970 and 2199; write one such as 2026-11-21T12:00:00Z"
        ) from None


def parse_instant_or_none(text: str | None) -> datetime | None:
    """The same of a text that may be missing, or be no such time."""
    try:
        return parse_instant(text or "")
    except ValueError:
        return None


def _check_supported_year(moment: datetime) -> datetime:
    """Nobody asks for other years, and arithmetic on them overflows."""
    if not 1970 <= moment.year < 2200:  # noqa: PLR2004 - the bounds are in the message
        raise ValueError
    return moment


def _parse_bound(text: str, zone: ZoneInfo) -> datetime:
    text = text.strip()
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        try:
            return _check_supported_year(datetime.combine(date.fromisoformat(text), time(), zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is no date between 1970 and 2199") from None
    return parse_instant(text)


@dataclass(frozen=True)
class IsoWeek:
    """`complete`: wholly inside the window, over by now, and not before the scope's first known deployment."""

    name: str
    window: Window
    is_complete: bool


def iso_weeks(window: Window, zone: ZoneInfo, now: datetime, first_finished_at: datetime | None) -> Iterator[IsoWeek]:
    """Every week that the window touches.

    Args:
        window: the window.
        zone: where Monday begins at 00:00.
        now: a week that is not over by then is not complete.
        began: finish of the scope's first known deployment, None without one.
    """
    if window.start >= window.end:
        return
    monday = _week_start(window.start, zone)
    while monday < window.end:
        next_monday = _week_start(monday + timedelta(days=8), zone)
        year, number, _ = monday.astimezone(zone).isocalendar()
        is_inside = window.start <= monday and next_monday <= min(window.end, now)
        yield IsoWeek(
            f"{year}-W{number:02}",
            Window(monday, next_monday),
            is_inside and first_finished_at is not None and first_finished_at < next_monday,
        )
        monday = next_monday


def _week_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """The start of a moment's week, in UTC."""
    day = moment.astimezone(zone).date()
    return datetime.combine(day - timedelta(days=day.weekday()), time(), zone).astimezone(UTC)


def count_local_days(moments: Iterable[datetime], zone: ZoneInfo) -> int:
    """On how many days of a time zone these moments lie."""
    return len({moment.astimezone(zone).date() for moment in moments})
