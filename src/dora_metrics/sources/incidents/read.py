"""Reads what changed in an incident system since a time, and what became of the incidents that were open."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct

from dora_metrics.github.text import one_line
from dora_metrics.settings.incidents.systems import (
    IncidentList,
    IncidentSystem,
    QueryValue,
    SingleIncident,
    fill,
    fill_path,
)
from dora_metrics.sources.incidents.api import IncidentApi, IncidentSystemError
from dora_metrics.sources.incidents.items import SystemIncident, UnusableItemError, incident_of_item
from dora_metrics.sources.incidents.paging import Page, items_of, read_pages

_PLAIN_KEY = re.compile(r"[\w.-]+", re.ASCII)
"""An id that cannot be anything else in the query that lists it."""
_SHORTEST_RANGE = timedelta(seconds=1)
_OPEN_IN_ONE_LIST = 50
"""Ids of open incidents in one request, which an address can hold."""
_CLIENT_ERRORS = range(400, 500)
_MAX_FAILED_SINGLES = 20
"""Incidents of which nothing can be read, one by one, in one reading; the next one asks for the others."""
_MAX_ASKED_AGAIN = 3
"""Incidents that the system did not show before, in one reading."""
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MAX_SHOWN_KEY = 80


class ReadingRequest(Struct, frozen=True):
    """What to read.

    Attributes:
        since: what changed since then.
        now: the present, where the reading ends.
        open_keys: the incidents that had not ended so far, by what the system calls them.
        missing_keys: those of them that the system did not show under their ids when it was last asked.
    """

    since: datetime
    now: datetime
    open_keys: tuple[str, ...] = ()
    missing_keys: tuple[str, ...] = ()


class SystemReading(Struct, frozen=True):
    """What was read.

    Attributes:
        incidents: each in its newest state.
        unusable: the items that are not recorded, and why.
        missing_keys: the open incidents that the system does not show under their ids any more.
        left_count: of how many open incidents the state is left to the next reading.
        reached: up to when everything was read; None if a problem left that open.
        problem: why the reading ended early; None if it did not.
    """

    incidents: tuple[SystemIncident, ...]
    unusable: tuple[str, ...]
    missing_keys: tuple[str, ...]
    reached: datetime | None
    problem: str | None = None
    left_count: int = 0

    @property
    def newest_change(self) -> datetime | None:
        """When the newest of the incidents was changed; None without incidents."""
        return max((incident.observed_at for incident in self.incidents), default=None)


def read_system(api: IncidentApi, request: ReadingRequest) -> SystemReading:
    """Read a system. A problem ends the reading; what was read before it counts."""
    with api.connected():
        return _SystemReader(api, request).read()


@dataclass
class _SystemReader:
    api: IncidentApi
    request: ReadingRequest
    _incidents: dict[str, SystemIncident] = field(default_factory=dict)
    _unusable: dict[str, None] = field(default_factory=dict)
    _missing_keys: dict[str, None] = field(default_factory=dict)
    _failed_count: int = 0
    _left_count: int = 0
    _reached: datetime | None = None

    @property
    def _system(self) -> IncidentSystem:
        return self.api.system

    def read(self) -> SystemReading:
        problem = None
        self._missing_keys = dict.fromkeys(key for key in self.request.missing_keys if key in self.request.open_keys)
        try:
            self._read_changed()
            self._read_open()
            self._reached = self.request.now
        except IncidentSystemError as error:
            problem = str(error)
        return SystemReading(
            incidents=tuple(self._incidents.values()),
            unusable=tuple(self._unusable),
            missing_keys=tuple(key for key in self._missing_keys if key not in self._incidents),
            reached=self._reached,
            problem=problem,
            left_count=self._left_count,
        )

    def _read_changed(self) -> None:
        """Read range after range. Each begins where the one before ended, or where the system would not go on."""
        begin, longest = self.request.since, timedelta(days=self._system.range.days or 36_500)
        while begin < self.request.now:
            end = min(begin + longest, self.request.now)
            begin = self._read_range(begin, end)
            if self._system.range.by:
                self._reached = begin

    def _read_range(self, begin: datetime, end: datetime) -> datetime:
        """Read what changed in a range; return where the next one begins.

        Raises:
            IncidentSystemError: if a page cannot be read, or the system shows too little of the range.
        """
        system, newest = self._system, begin
        for page in self._pages(system.changed, {**self._times(begin, end), "open": "", "id": ""}):
            incidents = self._keep(page.items)
            newest = max([newest, *self._order_times(incidents)])
            if system.range.by:
                self._reached = newest
            if page.is_cut:
                return self._after_cut(begin, newest)
            if system.range.newest_first and incidents and not any(map(self._is_news, incidents)):
                break
        return end

    def _pages(self, incident_list: IncidentList, values: Mapping[str, str]) -> Iterator[Page]:
        path, query = self._filled(incident_list, values)
        yield from read_pages(self.api, path, query, self._system.each, self._system.paging)

    def _after_cut(self, begin: datetime, newest: datetime) -> datetime:
        """Return where to go on if the system shows no further page: from the newest item, since they are in order."""
        if newest < begin + _SHORTEST_RANGE:
            raise IncidentSystemError(
                f"it does not show what follows {self._system.paging.end:,} incidents, and these cannot be divided by "
                "time; read fewer, for example with a parameter in `query`"
            )
        return newest

    def _order_times(self, incidents: Iterable[SystemIncident]) -> list[datetime]:
        by = self._system.range.by
        return [min(getattr(each, by), self.request.now) for each in incidents] if by else []

    def _is_news(self, incident: SystemIncident) -> bool:
        return incident.observed_at >= self.request.since

    def _keep(self, items: Sequence[object]) -> list[SystemIncident]:
        """Keep the incidents of a page, each in its newest state; name the items that cannot be recorded."""
        kept = []
        for item in items:
            try:
                incident = incident_of_item(self._system, item, self.request.now)
            except UnusableItemError as error:
                self._unusable[str(error)] = None
                continue
            kept.append(incident)
            known = self._incidents.get(incident.key)
            if known is None or incident.observed_at >= known.observed_at:
                self._incidents[incident.key] = incident
        return kept

    def _read_open(self) -> None:
        """Read what is open, which may be older than what was read so far, and what became of what was open."""
        if self._system.open:
            self._read_open_lists(self._system.open)
        if self._system.single:
            self._read_singles(self._system.single)

    @property
    def _unread_open_keys(self) -> list[str]:
        """The incidents that were open, that nothing that was read so far has, and that the system had before."""
        return [key for key in self.request.open_keys if key not in self._incidents and key not in self._missing_keys]

    def _read_open_lists(self, open_list: IncidentList) -> None:
        """Read the list of open incidents; for a system that needs to be told which, a few in each request."""
        keys = [key for key in self._unread_open_keys if _PLAIN_KEY.fullmatch(key)]
        names_keys = any("${open}" in str(value) for value in open_list.query.values())
        parts = [keys[at : at + _OPEN_IN_ONE_LIST] for at in range(0, len(keys), _OPEN_IN_ONE_LIST)]
        for part in parts if names_keys else [[]]:
            try:
                self._read_open_list(open_list, part)
            except IncidentSystemError as error:
                if not (names_keys and error.status in _CLIENT_ERRORS):
                    raise
                # one of them may not exist any more: each is asked for by itself

    def _read_open_list(self, open_list: IncidentList, keys: Sequence[str]) -> None:
        """Read one list to its end.

        Raises:
            IncidentSystemError: if a page cannot be read, or the system does not show the end.
        """
        for page in self._pages(open_list, {**self._present, "open": ",".join(keys), "id": ""}):
            self._keep(page.items)
            if page.is_cut:
                raise IncidentSystemError(
                    f"it does not show what follows {self._system.paging.end:,} open incidents; read fewer, for "
                    "example with a parameter in `query`"
                )

    def _read_singles(self, single: SingleIncident) -> None:
        """Read one by one what became of the others, and of a few that the system did not show before."""
        unread = self._unread_open_keys
        for position, key in enumerate([*unread, *self._asked_again()]):
            if self._failed_count == _MAX_FAILED_SINGLES:
                self._left_count = max(0, len(unread) - position)
                return
            self._read_single(single, key)

    def _asked_again(self) -> list[str]:
        """Return a few of the incidents that the system did not show before, others in each hour."""
        keys = [key for key in self._missing_keys if key not in self._incidents]
        if len(keys) <= _MAX_ASKED_AGAIN:
            return keys
        hours = int(self.request.now.timestamp() // _HOUR.total_seconds())
        first = hours * _MAX_ASKED_AGAIN % len(keys)
        return [*keys[first:], *keys[:first]][:_MAX_ASKED_AGAIN]

    def _read_single(self, single: SingleIncident, key: str) -> None:
        """Read one incident by its id. The system may not have it any more, not show it, or under another id.

        Raises:
            IncidentSystemError: if the others cannot be read either.
        """
        path, query = self._filled(single.request, {**self._present, "open": "", "id": key})
        unusable_before = len(self._unusable)
        try:
            self._keep(items_of(self.api.get(path, query), single.each))
        except IncidentSystemError as error:
            if error.ends_reading:
                raise
            if not error.is_not_found:
                self._unusable[f"{one_line(key)[:_MAX_SHOWN_KEY]}: {error}"] = None
        if key in self._incidents:
            self._missing_keys.pop(key, None)
            return
        self._failed_count += 1
        if len(self._unusable) == unusable_before:
            self._missing_keys[key] = None

    @property
    def _present(self) -> dict[str, str]:
        return self._times(self.request.since, self.request.now)

    def _times(self, begin: datetime, end: datetime) -> dict[str, str]:
        """The values of placeholders for a range. The date is a day early, since its time zone is not known."""
        text_of = self._system.times.text_of
        minutes = -((begin - self.request.now) // timedelta(minutes=1))
        return {
            "since": text_of(begin),
            "until": text_of(end),
            "since-date": f"{begin - _DAY:%Y-%m-%d}",
            "minutes": str(minutes),
            "fields": self._system.read_fields,
        }

    def _filled(self, incident_list: IncidentList, values: Mapping[str, str]) -> tuple[str, dict[str, QueryValue]]:
        known = {**self._system.parameters, **values}
        query = {name: _filled_value(value, known) for name, value in incident_list.query.items()}
        try:
            return fill_path(incident_list.path, known), query
        except ValueError as error:
            raise IncidentSystemError(f"its path cannot be made: {error}") from None


def _filled_value(value: QueryValue, values: Mapping[str, str]) -> QueryValue:
    match value:
        case str(text):
            return fill(text, values)
        case list(texts):
            return [fill(each, values) if isinstance(each, str) else each for each in texts]
        case _:
            return value
