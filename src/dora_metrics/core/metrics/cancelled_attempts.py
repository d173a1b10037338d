"""Deployments that were cancelled one after the other.

GitHub keeps one running and one waiting run in a concurrency group, and cancels the one that waits when the next one
comes. A run that waits for an approval holds its group. So one forgotten approval lets every later deployment be
cancelled, and nothing turns red.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from msgspec import Struct

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.windows import Window

MIN_ATTEMPTS = 3
"""Fewer cancelled attempts in a row are common where merges are frequent."""

MIN_ENDED_DURATION = timedelta(days=1)
"""A row that has ended is reported only if it lasted at least this long."""


class CancelledStreak(Struct, frozen=True):
    """Cancelled attempts without another attempt between them.

    `attempts` are in order. `next_attempt_at`: when the attempt after them ended; None if there is none before the
    window's end. `last_success_at`: when the last success before them finished; None if none is known.
    """

    attempts: tuple[Deployment, ...]
    next_attempt_at: datetime | None
    last_success_at: datetime | None

    @property
    def duration(self) -> timedelta:
        return self.attempts[-1].finished_at - self.attempts[0].finished_at

    @property
    def is_notable(self) -> bool:
        has_lasted = self.next_attempt_at is None or self.duration >= MIN_ENDED_DURATION
        return len(self.attempts) >= MIN_ATTEMPTS and has_lasted


def notable_streak(history: ScopeHistory, window: Window) -> CancelledStreak | None:
    """Return the row of cancelled attempts that lasts to the window's end, otherwise the longest that ended in it."""
    streaks = [streak for streak in _streaks(history, window) if streak.is_notable]
    return max(streaks, key=lambda streak: (streak.next_attempt_at is None, len(streak.attempts)), default=None)


def _streaks(history: ScopeHistory, window: Window) -> Iterator[CancelledStreak]:
    """Yield each row of cancelled attempts that reaches into the window, in order."""
    last_success_at, pending = None, tuple[Deployment, ...]()
    deployments = [deployment for deployment in history.deployments if deployment.finished_at < window.end]
    for is_cancelled, group in groupby(deployments, key=lambda deployment: deployment.status == "cancelled"):
        attempts = tuple(group)
        if is_cancelled:
            pending = attempts
            continue
        if pending and pending[-1].finished_at >= window.start:
            yield CancelledStreak(pending, attempts[0].finished_at, last_success_at)
        pending = ()
        success_times = [attempt.finished_at for attempt in attempts if attempt.status == "success"]
        last_success_at = success_times[-1] if success_times else last_success_at
    if pending:
        yield CancelledStreak(pending, None, last_success_at)


def cancelled_attempts_text(history: ScopeHistory, window: Window, zone: ZoneInfo) -> str:
    """Say how many attempts in a row were cancelled and since when, the usual cause, and what to do; empty if none."""
    streak = notable_streak(history, window)
    if streak is None:
        return ""
    clause = _clause(streak, history, zone)
    sentence = clause[:1].upper() + clause[1:]
    if streak.next_attempt_at is None:
        return f"{sentence}{_last_success_clause(streak, zone)}. {_CAUSE} {_REMEDY}"
    return f"{sentence}. {_CAUSE}"


def cancelled_attempts_clause(history: ScopeHistory, window: Window, zone: ZoneInfo) -> str:
    """Say how many attempts in a row were cancelled and since when, as part of a sentence; empty if none."""
    streak = notable_streak(history, window)
    return _clause(streak, history, zone) if streak else ""


def _clause(streak: CancelledStreak, history: ScopeHistory, zone: ZoneInfo) -> str:
    first, last = (formatting.date_time(streak.attempts[end].finished_at, zone) for end in (0, -1))
    count, environment = len(streak.attempts), history.scope.environment
    attempts = f"the last {count:,} attempts" if streak.next_attempt_at is None else f"{count:,} attempts in a row"
    return f"{attempts} to deploy to {environment} were cancelled, from {first} to {last}"


_CAUSE = (
    "The usual cause is a run that waits for an approval: it holds its concurrency group, and GitHub cancels the run "
    "that is queued after it when a newer run arrives."
)
_REMEDY = "Look for a waiting run in the Actions tab, then approve or reject it."


def _last_success_clause(streak: CancelledStreak, zone: ZoneInfo) -> str:
    if streak.last_success_at is None:
        return "; no earlier success is recorded"
    return f"; the last success was on {formatting.date_time(streak.last_success_at, zone)}"
