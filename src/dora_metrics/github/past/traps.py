"""Oddities of pull requests and commits that a reader of the numbers should know of, counted and put into words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dora_metrics.core.values import instant

_OLDEST_YEAR = 1990


@dataclass
class Traps:
    """What was met so far."""

    early: int = 0
    late: int = 0
    large: int = 0

    def look(self, pulls: Iterable[Mapping[str, Any]]) -> None:
        for pull in pulls:
            commits = [node["commit"] for node in pull["commits"]["nodes"]]
            self.large += pull["commits"]["totalCount"] > len(commits)
            self.clock([commit["authoredDate"] for commit in commits], pull["mergedAt"])

    def clock(self, authored: Iterable[str | None], landed: str) -> None:
        """Counts a change whose commits were written when they cannot have been."""
        times = [_year_or_time(written) for written in authored]
        self.early += any(early for early, _ in times)
        self.late += any(at is not None and at > instant(landed) for _, at in times)

    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self.early:
            yield f"Changes with commits dated before {_OLDEST_YEAR}, dates that are not used: {self.early}."
        if self.late:
            yield (
                "Changes with commits dated after they were merged, left out where that makes a lead time negative: "
                f"{self.late}."
            )
        if self.large:
            yield f"Pull requests with more than 100 commits, which are not listed one by one: {self.large}."


def _year_or_time(written: str | None) -> tuple[bool, Any]:
    """Whether a date is too early to be true, and the date where it is one."""
    try:
        at = instant(written or "")
    except ValueError:
        return True, None
    return at.year < _OLDEST_YEAR, at
