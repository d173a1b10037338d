"""Whether the clock of this machine can be right, judged by GitHub's; pure.

A run in the future would date its facts wrongly, claim reports and seal months that later runs must then wait for, and
move the cursors of a sync past what has not happened yet.
"""

from datetime import datetime

from dora_metrics.core.facts.merge import CLOCK_SKEW


def clock_problem(local: datetime, github: datetime | None) -> str:
    """Return why a clock cannot be right; empty if it may be, or if GitHub's time is not known.

    Args:
        local: the time by this machine's clock, when the run started.
        github: the time by GitHub's clock at that moment.
    """
    if github is None or abs(local - github) <= CLOCK_SKEW:
        return ""
    return f"this machine's clock shows {local:%Y-%m-%d %H:%M} UTC, but GitHub's shows {github:%Y-%m-%d %H:%M} UTC"
