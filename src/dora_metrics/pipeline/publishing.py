"""What a ledger shows to people and other programs: made by the runs that read all of it."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from dora_metrics.core.ledger.difference import PLACES, difference
from dora_metrics.core.ledger.layout import HISTORY, NO_JEKYLL, PAGE
from dora_metrics.core.reports.site.feeds import badges
from dora_metrics.core.reports.site.history import all_weeks, history
from dora_metrics.core.reports.summary import Subject
from dora_metrics.pipeline import publish as showing
from dora_metrics.pipeline.inputs import Inputs
from dora_metrics.pipeline.record import Publish
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import Ledger, Snapshot


def publisher(settings: Settings) -> Publish:
    """What a run publishes that has read everything."""

    def publish(subject: Subject, ledger: Ledger, seen: Snapshot) -> Mapping[str, bytes]:
        """As far as it differs from what is there; nothing where nothing is kept."""
        if not ledger.remembers:
            return {}
        return difference(site(subject, with_page=settings.page), ledger.listed(seen, PLACES))

    return publish


def site(subject: Subject, *, with_page: bool = True) -> dict[str, bytes]:
    """All files by path."""
    weeks = all_weeks(subject)
    found = {path: msgspec.json.encode(badge) + b"\n" for path, badge in badges(subject).items()}
    found[NO_JEKYLL] = b"GitHub Pages serves this branch as it is.\n"
    found[HISTORY] = msgspec.json.encode(history(subject, weeks)) + b"\n"
    if with_page:
        found[PAGE] = showing.html(subject, weeks).encode()
    return found


def page_path(saved: Snapshot, given: Inputs) -> str:
    """Where later steps find the page that was written: in the ledger's folder, else a copy of it for them.

    Empty where none was written, or where a runner has no place for a copy.
    """
    content = saved.files.get(PAGE)
    kind, _, place = given.settings.ledger.partition(":")
    if content is None:
        return ""
    if kind == "dir":
        return str((given.workspace / place / PAGE).resolve())
    return _copied(content, given.temporary) if given.temporary else ""


def _copied(content: bytes, temporary: Path) -> str:
    path = temporary / "dora-metrics" / PAGE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError:
        return ""
    return str(path)
