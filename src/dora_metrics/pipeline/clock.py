"""Whether the clock of this machine can be right, judged by GitHub's; pure.

A run far in the future would claim reports, and seal months, that later runs must then wait for.
"""

from datetime import datetime, timedelta

MAX_DIFFERENCE = timedelta(days=1)
"""Between the two clocks. A smaller one heals within a day."""

_COMMIT_TOLERANCE = timedelta(minutes=10)


def clock_problem(local: datetime, github: datetime | None, ledger_written_at: datetime | None) -> str:
    """Return why a clock cannot be right; empty if it may be, or if GitHub's time is not known.

    Args:
        local: the time by this machine's clock, when the run started.
        github: the time by GitHub's clock, a moment later.
        ledger_written_at: when GitHub made the ledger's newest commit. A time after GitHub's own proves nothing.
    """
    if github is None:
        return ""
    if abs(local - github) > MAX_DIFFERENCE:
        return f"this machine's clock says {local:%Y-%m-%d %H:%M} UTC, and GitHub's {github:%Y-%m-%d %H:%M} UTC"
    is_before_commit = ledger_written_at is not None and local + _COMMIT_TOLERANCE < ledger_written_at <= github
    if is_before_commit:
        return f"this machine's clock says {local:%H:%M} UTC, before the ledger was last written ({ledger_written_at:%H:%M})"
    return ""
