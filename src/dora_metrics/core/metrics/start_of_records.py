"""What to say of a window that begins before anything is recorded."""

from datetime import datetime
from zoneinfo import ZoneInfo

from dora_metrics.core import formatting
from dora_metrics.core.windows import Window

EARLIER_DAYS = "earlier days count as days without a deployment"
"""What a frequency makes of the days before records start."""


def is_start_inside(first_deployment_at: datetime | None, window: Window) -> bool:
    """Whether records start inside a window, and not with it."""
    return first_deployment_at is not None and window.start < first_deployment_at < window.end


def start_after_window_text(first_deployment_at: datetime | None, window: Window, zone: ZoneInfo) -> str:
    """Return `records start on 2026-08-25, after this window`; empty if they start earlier, or not at all."""
    if first_deployment_at is None or first_deployment_at < window.end:
        return ""
    return f"{start_text(first_deployment_at, zone)}, after this window"


def start_text(first_deployment_at: datetime, zone: ZoneInfo) -> str:
    """Return `records start on 2026-08-25`."""
    return f"records start on {formatting.date(first_deployment_at, zone)}"
