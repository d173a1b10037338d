"""Durations, windows, past times and ISO weeks; parsers for `90m`, `30d`, `all`, `2026-01-01..2026-04-01`."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from dora_metrics.core.facts.model import EPOCH

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_MAX_DURATION = timedelta(days=365_000)

WINDOWS_DAYS = (7, 30, 90)
"""The lengths of the windows that Prometheus and a warehouse get, whatever the settings say."""


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as `90m`, `24h`, `30d` or `12w`.

    Raises:
        ValueError: if it has another form, is zero, or is longer than a thousand years.
    """
    match = re.fullmatch(r"(\d{1,9})\s*([mhdw])", text.strip(), re.ASCII)
    count, unit = (int(match[1]), _UNITS[match[2]]) if match else (0, _UNITS["d"])
    if not 0 < count <= _MAX_DURATION // unit:
        raise ValueError(f"{text!r} is not a valid duration; write one such as 90m, 24h, 30d or 12w")
    return count * unit


def parse_list(value: object) -> list[str]:
    """Parse a list: a string with items separated by commas or line breaks, a YAML list, or one number.

    Empty items are dropped.

    Raises:
        ValueError: if an item is not a string or an integer.
    """
    if isinstance(value, str):
        value = re.split(r"[,\n]", value)
    elif isinstance(value, int | float):
        value = [value]
    if not isinstance(value, list | tuple) or not all(isinstance(item, str | int | float) for item in value):
        raise ValueError("expected a list: separate items with commas or line breaks, or use a YAML list")
    for item in value:
        if isinstance(item, bool | float):  # YAML reads `no` as false, and 1.10 as 1.1
            raise ValueError(f"{str(item).lower()} is not a string in YAML; put the item in quotes")  # noqa: TRY004
    return [text for item in value if (text := str(item).strip())]


class Window(Struct, frozen=True):
    """Half-open interval of time `[start, end)`, in UTC."""

    start: datetime
    end: datetime

    @property
    def days(self) -> float:
        """Length in days of 24 hours."""
        return (self.end - self.start) / timedelta(days=1)

    def contains(self, moment: datetime | None) -> bool:
        """Whether the window contains `moment`. It never contains None."""
        return moment is not None and self.start <= moment < self.end

    def previous(self) -> "Window":
        """Return the window of the same length that ends where this one starts."""
        return Window(self.start - (self.end - self.start), self.start)


class WindowSpec(Struct, frozen=True):
    """A configured window, before `resolve` computes its instants.

    `length`: the window ends now and has this length. `start` and `end`: fixed instants. Neither: the window is `all`.
    """

    text: str
    length: timedelta | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def is_all(self) -> bool:
        """Whether the window starts with the first deployment."""
        return self.length is None and self.start is None

    def resolve(self, now: datetime, first_finished_at: datetime | None) -> Window:
        """Return the window as of `now`. It never ends later than `now`.

        Args:
            now: the time of the computation.
            first_finished_at: end of the first deployment, where `all` starts. Times before 1970 are taken for 1970.

        Raises:
            ValueError: if the window would not start before it ends.
        """
        if self.is_all:
            return Window(min(max(first_finished_at or now, EPOCH), now), now)
        end = min(self.end or now, now)
        start = self.start or end - (self.length or timedelta())
        if start >= end:
            raise ValueError(f"{self.text!r} starts in the future")
        return Window(start, end)


def parse_window(text: str, zone: ZoneInfo) -> WindowSpec:
    """Parse `30d`, `all` or `FROM..TO`.

    FROM and TO are dates (midnight in `zone`, TO excluded) or instants with an offset.

    Raises:
        ValueError: if it has another form, or would end before it starts.
    """
    text = text.strip()
    if text == "all":
        return WindowSpec(text)
    if ".." not in text:
        try:
            return WindowSpec(text, length=_check_at_most_twenty_years(parse_duration(text)))
        except ValueError:
            raise ValueError(f"{text!r} is not a valid window; write 30d, 12w, all or 2026-01-01..2026-04-01") from None
    first, _, last = text.partition("..")
    start, end = _parse_bound(first, zone), _parse_bound(last, zone)
    if start >= end:
        raise ValueError(f"{text!r} ends before it starts; put the earlier date first")
    return WindowSpec(text, start=start, end=end)


def _check_at_most_twenty_years(span: timedelta) -> timedelta:
    """Return a length of at most twenty years, so that the previous window also starts after 1970."""
    if span > timedelta(days=366 * 20):
        raise ValueError("longer than twenty years")
    return span


def parse_instant(text: str) -> datetime:
    """Parse a time with an offset, and convert it to UTC.

    Raises:
        ValueError: if it is not a time, has no offset, or is outside the supported years.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            raise ValueError  # noqa: TRY301 - one message for all that is wrong
        return _check_supported_year(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a valid time; write date, time and offset, such as 2026-11-21T12:00:00Z"
        ) from None


def parse_instant_or_none(text: str | None) -> datetime | None:
    """Parse a time with an offset. Return None if it is missing or invalid."""
    try:
        return parse_instant(text or "")
    except ValueError:
        return None


def parse_http_date(text: str | None) -> datetime | None:
    """Parse the time in a `Date` header. Return None if it is missing, invalid or outside the supported years."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - `compute` reads no answers

    try:
        sent_at = parsedate_to_datetime(text or "")
        return _check_supported_year(sent_at.astimezone(UTC)) if sent_at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def is_supported(moment: datetime) -> bool:
    """Whether a time is between 1970 and 2199. Date arithmetic could overflow outside these years."""
    return 1970 <= moment.year < 2200  # noqa: PLR2004 - the bounds are in the docstring


def _check_supported_year(moment: datetime) -> datetime:
    if not is_supported(moment):
        raise ValueError
    return moment


def _parse_bound(text: str, zone: ZoneInfo) -> datetime:
    """Parse one end of a `FROM..TO` window."""
    text = text.strip()
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        try:
            return _check_supported_year(datetime.combine(date.fromisoformat(text), time(), zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r} is not a valid date; write YYYY-MM-DD, from 1970 to 2199") from None
    return parse_instant(text)


MAX_PAST_STEPS = 20_000
"""Two years and three months, hour by hour."""


class PastSteps(Struct, frozen=True):
    """Equidistant times: the last one is `now`, the first one not before `now - since`."""

    now: datetime
    since: timedelta
    step: timedelta

    @classmethod
    def parse(cls, now: datetime, since: str, step: str) -> "PastSteps":
        """Parse two durations.

        Raises:
            ValueError: if one is invalid, if the step is the longer one, or if there are too many steps.
        """
        steps = cls(now, parse_duration(since), parse_duration(step))
        if steps.step > steps.since:
            raise ValueError(f"the step {step} is longer than the period {since}")
        if len(steps) > MAX_PAST_STEPS:
            raise ValueError(f"{len(steps):,} steps are too many; {MAX_PAST_STEPS:,} are possible")
        return steps

    def __len__(self) -> int:
        return self.since // self.step + 1

    def __iter__(self) -> Iterator[datetime]:
        return (self.now - number * self.step for number in reversed(range(len(self))))


class IsoWeek(Struct, frozen=True):
    """An ISO week, such as `2026-W47`.

    `is_complete`: inside the window, over by now, and not before the scope's first deployment.
    """

    name: str
    window: Window
    is_complete: bool


def iso_weeks(window: Window, zone: ZoneInfo, now: datetime, first_finished_at: datetime | None) -> Iterator[IsoWeek]:
    """Yield every ISO week that overlaps the window.

    Args:
        window: the window.
        zone: the time zone in which weeks begin on Monday at 00:00.
        now: weeks that end later are not complete.
        first_finished_at: end of the scope's first deployment, None without one.
    """
    if window.start >= window.end:
        return
    monday = week_start(window.start, zone)
    while monday < window.end:
        next_monday = week_start(monday + timedelta(days=8), zone)
        year, number, _ = monday.astimezone(zone).isocalendar()
        is_inside = window.start <= monday and next_monday <= min(window.end, now)
        yield IsoWeek(
            f"{year}-W{number:02}",
            Window(monday, next_monday),
            is_inside and first_finished_at is not None and first_finished_at < next_monday,
        )
        monday = next_monday


def week_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the start of the ISO week that contains `moment`, in UTC."""
    day = moment.astimezone(zone).date()
    return datetime.combine(monday_of(day), time(), zone).astimezone(UTC)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """Return the date of a time in a time zone; in UTC where the zone's would be before the year 1 or after 9999."""
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return moment.astimezone(UTC).date()


def monday_of(day: date) -> date:
    """Return the Monday of a day's ISO week."""
    return day - timedelta(days=day.weekday())


def count_local_days(moments: Iterable[datetime], zone: ZoneInfo) -> int:
    """Count the distinct dates of these times in a time zone."""
    return len({moment.astimezone(zone).date() for moment in moments})
