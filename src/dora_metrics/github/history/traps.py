"""Oddities that a reader of the numbers should know of, counted and put into words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dora_metrics.core.windows import instant_or_none

_OLDEST_YEAR = 1990


@dataclass
class Traps:
    """What was met so far among `what`, as in `Pull requests with commits`."""

    what: str
    now: datetime
    early: int = 0
    late: int = 0
    large: int = 0

    def pull(self, pull: Mapping[str, Any]) -> None:
        commits = [node["commit"] for node in pull["commits"]["nodes"]]
        self.large += pull["commits"]["totalCount"] > len(commits)
        self.clock([commit["authoredDate"] for commit in commits], pull["mergedAt"])

    def clock(self, authored: Iterable[str | None], landed: str | None) -> None:
        """Counts what was written when it cannot have been."""
        times = [instant_or_none(written) for written in authored]
        end = min(instant_or_none(landed) or self.now, self.now)
        self.early += any(at is None or at.year < _OLDEST_YEAR for at in times)
        self.late += any(at is not None and at > end for at in times)

    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self.early:
            yield f"{self.what} dated before {_OLDEST_YEAR}, dates that are not used: {self.early}."
        if self.late:
            yield f"{self.what} dated after they landed, in no lead time where that makes it negative: {self.late}."
        if self.large:
            yield f"Pull requests with more than 100 commits, which are not listed one by one: {self.large}."
