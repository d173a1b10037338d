"""An item of a system's list as an incident that it reports; pure."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.merge import CLOCK_TOLERANCE
from dora_metrics.core.facts.model import Severity
from dora_metrics.core.markdown import storable
from dora_metrics.github.text import first_http_url, one_line
from dora_metrics.settings.incidents.systems import FieldName, IncidentSystem

_MAX_SHOWN_KEY = 80
_MAX_TEXT_LENGTH = 300
_MAX_ALSO = 20

_NUMBERED_SEVERITY = re.compile(r"\b(?:p|s|sev|severity|priority)[ _-]?([0-5])\b", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"([0-5])(?:\.0)?")
_SEVERITY_BY_NUMBER: tuple[Severity, ...] = ("critical", "critical", "high", "medium", "low", "low")
_SEVERITY_WORDS: Mapping[str, Severity] = {
    "blocker": "critical",
    "critical": "critical",
    "fatal": "critical",
    "highest": "critical",
    "error": "high",
    "high": "high",
    "major": "high",
    "medium": "medium",
    "moderate": "medium",
    "warning": "medium",
    "info": "low",
    "informational": "low",
    "low": "low",
    "lowest": "low",
    "minor": "low",
    "trivial": "low",
}


_USER_IN_URL = re.compile(r"^(\w+://)[^/?#]*@")
_FALSE_WORDS = ("", "false", "no", "0")


class UnusableItemError(Exception):
    """An item is not an incident that can be recorded. The text says which item, and why."""


class SystemIncident(Struct, frozen=True):
    """An incident as a system reports it.

    Attributes:
        key: what the system calls it, unique within the system.
        services: names of its service, in the order in which they are looked up; empty without one.
        detected_at: when it began.
        resolved_at: when it ended; None if it has not.
        observed_at: when the system last changed it, at most the present.
        title: its title.
        url: its page.
        severity: what its severity means; None if it has none, or a word that is not known.
        environment: the environment that it names.
        deployment: what it names as its cause: a sha, tag, version or id.
        is_retracted: whether the system says that it was none, such as a duplicate.
        also: ids and addresses of the same incident elsewhere.
    """

    key: str
    services: tuple[str, ...]
    detected_at: datetime
    resolved_at: datetime | None
    observed_at: datetime
    title: str | None
    url: str | None
    severity: Severity | None
    environment: str | None
    deployment: str | None
    is_retracted: bool
    also: tuple[str, ...]


def incident_of_item(system: IncidentSystem, item: object, now: datetime) -> SystemIncident:
    """Return the incident that an item is.

    Raises:
        UnusableItemError: if it has no id or no time, or times that cannot be true.
    """
    reader = _ItemReader(system, item)
    key = reader.key()
    detected_at = reader.required_time("detected_at")
    resolved_at = reader.time("resolved_at")
    is_retracted = reader.is_true("retracted")
    if not is_retracted:  # planned maintenance is in the future
        reader.check_has_happened(max(detected_at, resolved_at or detected_at), now)
    reader.check_order(detected_at, resolved_at)
    changed_at = reader.time("observed_at") or max(detected_at, resolved_at or detected_at)
    return SystemIncident(
        key=key,
        services=tuple(reader.texts("service")),
        detected_at=detected_at,
        resolved_at=resolved_at,
        observed_at=min(changed_at, now),
        title=reader.text("title"),
        url=first_http_url(*map(without_user, reader.texts("url"))),
        severity=severity_of(reader.text("severity"), system.severities),
        environment=reader.text("environment"),
        deployment=reader.text("deployment"),
        is_retracted=is_retracted,
        also=tuple(name for name in reader.texts("also") if ids.is_valid_name(name))[:_MAX_ALSO],
    )


def severity_of(text: str | None, words: Mapping[str, Severity]) -> Severity | None:
    """Return what a severity means: one of `words`, a usual word, or a number as in `P1` or alone; None for others."""
    if text is None:
        return None
    whole = text.lower()
    first = "".join(re.findall(r"[a-z]+", whole)[:1])
    if known := words.get(whole) or _SEVERITY_WORDS.get(whole) or _SEVERITY_WORDS.get(first):
        return known
    number = _NUMBERED_SEVERITY.search(text) or _BARE_NUMBER.fullmatch(text)
    return _SEVERITY_BY_NUMBER[int(number[1])] if number else None


def without_user(url: str) -> str:
    """Return an address without the user and password that it may have, since everybody can read the ledger."""
    return _USER_IN_URL.sub(r"\1", url)


class _ItemReader:
    """Reads the fields of one item, and names it in what is wrong with it."""

    def __init__(self, system: IncidentSystem, item: object) -> None:
        self._system, self._item = system, item
        self._name = "an incident without an id"

    def key(self) -> str:
        key = _scalar_text(self.value("id"))
        if not key:
            raise UnusableItemError(f"{self._name}: there is nothing at {self._system.fields['id'].text!r}")
        self._name = one_line(key)[:_MAX_SHOWN_KEY]
        if ids.incident_key(ids.incident(self._system.name, key), self._system.name) != key:
            raise UnusableItemError(f"{self._name}: its id is too long")
        return key

    def value(self, name: FieldName) -> object:
        """Return what a field's expression finds; None if the system has no such field."""
        expression = self._system.fields.get(name)
        return None if expression is None else self._attempt(name, lambda: expression.search(self._item))

    def _attempt(self, name: FieldName, read: Callable[[], object]) -> object:
        try:
            return read()
        except ValueError as error:
            raise UnusableItemError(f"{self._name}: {name}: {error}") from None

    def text(self, name: FieldName) -> str | None:
        """Return a field as text on one line; None if it is empty, or not a text or a number."""
        return one_line(_scalar_text(self.value(name)))[:_MAX_TEXT_LENGTH] or None

    def texts(self, name: FieldName) -> list[str]:
        """Return a field with one or several texts in their whole length, without those that are empty."""
        value = self.value(name)
        candidates = value if isinstance(value, list) else [value]
        return [text for each in candidates if (text := one_line(_scalar_text(each)))]

    def is_true(self, name: FieldName) -> bool:
        """Whether a field holds anything but nothing, false, no or 0."""
        value = self.value(name)
        return value.strip().lower() not in _FALSE_WORDS if isinstance(value, str) else bool(value)

    def time(self, name: FieldName) -> datetime | None:
        """Return a field as a time; None if it is missing."""
        value = self.value(name)
        if value in (None, "") or value is False:  # `status == 'closed' && changed` is false
            return None
        time = self._attempt(name, lambda: self._system.times.read(value))
        assert isinstance(time, datetime)  # noqa: S101 - for the type checker
        return time

    def required_time(self, name: FieldName) -> datetime:
        time = self.time(name)
        if time is None:
            raise UnusableItemError(f"{self._name}: {name}: there is no time at {self._system.fields[name].text!r}")
        return time

    def check_has_happened(self, time: datetime, now: datetime) -> None:
        """Refuse what begins or ends in the future."""
        if time - now > CLOCK_TOLERANCE:
            raise UnusableItemError(f"{self._name}: it begins or ends in the future")

    def check_order(self, detected_at: datetime, resolved_at: datetime | None) -> None:
        """Refuse what ends before it begins."""
        if resolved_at is not None and resolved_at < detected_at:
            ends, begins = (f"{time:%Y-%m-%d %H:%M:%S} UTC" for time in (resolved_at, detected_at))
            raise UnusableItemError(f"{self._name}: it ends at {ends}, before it begins at {begins}")


def _scalar_text(value: object) -> str:
    """Return a text or a number as text; empty for everything else."""
    is_scalar = isinstance(value, str | int | float) and not isinstance(value, bool)
    return storable(str(value)).strip() if is_scalar else ""
