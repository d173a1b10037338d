"""What a ledger shows to people and other programs: made by the runs that read all of it."""

from collections.abc import Mapping

import msgspec

from dora_metrics.core.ledger import HISTORY
from dora_metrics.core.report import Subject
from dora_metrics.core.site.badges import badges
from dora_metrics.core.site.difference import PLACES, difference
from dora_metrics.core.site.history import all_weeks, history
from dora_metrics.ledgers.port import Ledger, Snapshot
from dora_metrics.recording import Publish
from dora_metrics.settings import Settings


def publisher(settings: Settings) -> Publish:  # noqa: ARG001
    """What a run publishes that has read everything."""
    return _published


def _published(subject: Subject, ledger: Ledger, seen: Snapshot) -> Mapping[str, bytes]:
    """As far as it differs from what is there; nothing where nothing is kept."""
    return difference(site(subject), ledger.listed(seen, PLACES)) if ledger.remembers else {}


def site(subject: Subject) -> dict[str, bytes]:
    """All files by path."""
    found = {path: msgspec.json.encode(badge) + b"\n" for path, badge in badges(subject).items()}
    found[HISTORY] = msgspec.json.encode(history(subject, all_weeks(subject))) + b"\n"
    return found
