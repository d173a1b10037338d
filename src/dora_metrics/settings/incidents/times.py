"""How a system writes times: with an offset, in UTC without one, as a Unix time, or in a format of its own."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from dora_metrics.core.facts.model import EPOCH
from dora_metrics.core.windows import parse_instant

_UNIX_UNITS: Mapping[str, timedelta] = {"unix": timedelta(seconds=1), "unix-ms": timedelta(milliseconds=1)}
_UTC = "utc"
_MAX_TEXT_LENGTH = 64

_DIRECTIVES = "YmdHMSfzbBpIyj"
_FORMAT = re.compile(rf"(?:%[{_DIRECTIVES}]|[A-Z0-9 .:,/T-])+")
_MAX_FORMAT_LENGTH = 40
_FORMAT_RULE = (
    "write utc, unix, unix-ms, or a format of Python's strptime with each part once, such as '%Y-%m-%d %H:%M:%S'"
)


class TimeFormat(Struct, frozen=True):
    """How times are written. `name`: empty for times with an offset, as in RFC 3339."""

    name: str = ""

    @classmethod
    def parse(cls, name: str) -> "TimeFormat":
        """Return the format that the setting `times` names.

        Raises:
            ValueError: if it is not a valid one.
        """
        if name in ("", _UTC, *_UNIX_UNITS):
            return cls(name)
        directives = re.findall("%(.)", name)
        is_valid = len(name) <= _MAX_FORMAT_LENGTH and _FORMAT.fullmatch(name) and directives
        if not is_valid or len(set(directives)) < len(directives):
            raise ValueError(f"{name[:_MAX_FORMAT_LENGTH]!r} is not a format of times; {_FORMAT_RULE}")
        return cls(name)

    def read(self, value: object) -> datetime:
        """Return a time of an item, in UTC.

        Raises:
            ValueError: if it is not a time in this format, or outside the supported years.
        """
        if self.name in _UNIX_UNITS:
            return _read_unix_time(value, _UNIX_UNITS[self.name])
        if not isinstance(value, str) or len(value) > _MAX_TEXT_LENGTH:
            raise ValueError(f"{_shown(value)} is not a text with a time")
        return _in_utc(self._read_text(value.strip()), value)

    def _read_text(self, text: str) -> datetime:
        if self.name in ("", _UTC):
            time = _parsed(datetime.fromisoformat, text)
            if time.tzinfo is None and self.name != _UTC:
                raise ValueError(f"{_shown(text)} has no time zone; if its times are in UTC, set `times: utc`")
            return time
        return _parsed(lambda text: datetime.strptime(text, self.name), text)  # noqa: DTZ007 - UTC below

    def text_of(self, time: datetime) -> str:
        """Return a time as the system reads it in a query."""
        if self.name in _UNIX_UNITS:
            return str((time - EPOCH) // _UNIX_UNITS[self.name])
        return time.strftime(self.name if "%" in self.name else "%Y-%m-%dT%H:%M:%SZ")


def _parsed(parse: Callable[[str], datetime], text: str) -> datetime:
    try:
        return parse(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(text)} is not a time in the expected format") from None


def _in_utc(time: datetime, value: object) -> datetime:
    try:
        return parse_instant((time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat())
    except ValueError:
        raise ValueError(f"{_shown(value)} is not a time between 1970 and 2199") from None


def _read_unix_time(value: object, unit: timedelta) -> datetime:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        if number is not None:
            return parse_instant((EPOCH + number * unit).isoformat())
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{_shown(value)} is not a Unix time between 1970 and 2199")


def _shown(value: object) -> str:
    return repr(value)[:_MAX_TEXT_LENGTH]
