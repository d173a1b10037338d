"""Whether the clock of this machine can be right, judged by GitHub's; pure.

A run far in the future would claim reports, and seal months, that later runs must then wait for.
"""

from datetime import datetime, timedelta

from dora_metrics.core.facts.merge import CLOCK_TOLERANCE

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
    if abs(local - github) > CLOCK_TOLERANCE:
        return f"this machine's clock shows {local:%Y-%m-%d %H:%M} UTC, but GitHub's shows {github:%Y-%m-%d %H:%M} UTC"
    if ledger_written_at is not None and local + _COMMIT_TOLERANCE < ledger_written_at <= github:
        return (
            f"this machine's clock shows {local:%H:%M} UTC, but the ledger was written at {ledger_written_at:%H:%M} UTC"
        )
    return ""
