"""`remote-write.json`: how much of the past each target of remote write was sent, so that nothing is sent again.

A target cannot be asked what it has: reading needs another address and another permission than writing. So a ledger
remembers it, by a short name of the target and by the repository. A renamed one has other series, and so another past.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Annotated

import msgspec

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.ledger.layout import REMOTE_WRITE_FILE
from dora_metrics.core.metrics.high_water_marks import MAX_MARK
from dora_metrics.core.metrics.totals import Series

PAST_DAYS = 90
"""As far back as the longest window of a gauge."""

_Value = Annotated[int, msgspec.Meta(ge=0, le=MAX_MARK)]
_TimeWithZone = Annotated[datetime, msgspec.Meta(tz=True)]
_DAY = timedelta(days=1)
_FIRST_YEAR = 1970


class PastMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much of the past of one repository a target was sent.

    Attributes:
        until: when a run first sent the past; what is after that was sent when it was computed.
        reached: the last day that was sent, also if the target refused it; None if nothing was.
        fallen: the counters that were sent for that day above their totals, which had fallen before, with their values.
            What is sent for the next days must not be lower.
    """

    until: _TimeWithZone
    reached: _TimeWithZone | None = None
    fallen: tuple[tuple[Series, _Value], ...] = ()

    @property
    def days(self) -> Sequence[datetime]:
        """The beginnings of the past days in UTC, oldest first; a run that sends them again has the same times."""
        last = self.until.replace(hour=0, minute=0, second=0, microsecond=0)
        return [last - age * _DAY for age in reversed(range(PAST_DAYS))]

    @property
    def steps(self) -> Sequence[datetime]:
        """The days to compute: those that are left to send, after the last one that was sent."""
        return [day for day in self.days if self.reached is None or day >= self.reached]

    @property
    def is_complete(self) -> bool:
        """Whether all days were sent."""
        return self.has_passed(self.days[-1])

    def is_plausible(self, latest: datetime) -> bool:
        """Whether a run at or before `latest` can have made this mark."""
        return min(self.until.year, (self.reached or self.until).year) >= _FIRST_YEAR and self.until <= latest

    def has_passed(self, day: datetime) -> bool:
        """Whether a day was sent."""
        return self.reached is not None and day <= self.reached

    def of_repository(self, repository: str) -> "PastMark":
        """Return the mark of one repository, from that of several. What is complete needs no counters."""
        fallen = (pair for pair in self.fallen if pair[0].scope.repository == repository and not self.is_complete)
        return PastMark(self.until, self.reached, tuple(fallen))


def joined_mark(marks: Iterable[PastMark]) -> PastMark:
    """Return the mark of several repositories, of which the same days were sent."""
    first, *others = marks
    return PastMark(first.until, first.reached, tuple(chain.from_iterable(each.fallen for each in (first, *others))))


PastMarks = dict[str, dict[str, PastMark]]
"""Marks by target and by repository."""


def read_past_marks(files: Mapping[str, bytes], latest: datetime) -> PastMarks:
    """Return the marks in the files of a ledger; none if they are missing or invalid.

    A mark later than `latest` does not count, since only a run in the future can have made it, nor does one of a time
    that no run can have had.
    """
    try:
        marks = msgspec.json.decode(files.get(REMOTE_WRITE_FILE) or b"{}", type=PastMarks)
    except UNREADABLE_JSON:
        return {}
    return {
        target: {repository: mark for repository, mark in by_repository.items() if mark.is_plausible(latest)}
        for target, by_repository in marks.items()
    }


def encode_past_marks(marks: PastMarks) -> bytes:
    """Encode `remote-write.json`."""
    return canonical_json(marks) + b"\n"
