"""What to say of a window that begins before anything is recorded."""

from datetime import datetime
from zoneinfo import ZoneInfo

from dora_metrics.core import formatting
from dora_metrics.core.windows import Window


def days_before_records(first_deployment_at: datetime | None, window: Window, zone: ZoneInfo) -> int:
    """Return how many days of a window are before the day on which records start; 0 if they start after the window.

    They are whole days in the time zone: 0 if records start on the window's first day.
    """
    if first_deployment_at is None or not window.start < first_deployment_at < window.end:
        return 0
    return (formatting.day(first_deployment_at, zone) - formatting.day(window.start, zone)).days


def earlier_days_text(days: int) -> str:
    """Return what a frequency makes of the days before records start, to follow their date."""
    if days == 1:
        return "the day before it counts as a day without a deployment"
    return f"the {days:,} days before it count as days without a deployment"


def start_after_window_text(first_deployment_at: datetime | None, window: Window, zone: ZoneInfo) -> str:
    """Return `records start on 2026-08-25, after this window`; empty if they start earlier, or not at all."""
    if first_deployment_at is None or first_deployment_at < window.end:
        return ""
    return f"{start_text(first_deployment_at, zone)}, after this window"


def start_text(first_deployment_at: datetime, zone: ZoneInfo) -> str:
    """Return `records start on 2026-08-25`."""
    return f"records start on {formatting.date(first_deployment_at, zone)}"
