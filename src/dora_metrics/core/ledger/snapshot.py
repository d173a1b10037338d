"""A ledger's files at one version, and the number that says how often its primary data has changed."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.ledger.layout import (
    ALL_MONTHS,
    COUNTERS_FILE,
    CURSORS_FILE,
    ENDPOINTS_OUTBOX_FILE,
    NEW_COUNTERS_FILE,
    OUTBOX_FILE,
    PUBLISHED_FILE,
    QUARANTINE_FILE,
    REMOTE_WRITE_FILE,
    REPORTS_FILE,
    SEQUENCE_FILE,
    FolderListing,
    MonthSelection,
)
from dora_metrics.core.ledger.month_files import FACTS_FOLDER
from dora_metrics.core.windows import parse_instant_or_none


class Snapshot(Struct, frozen=True):
    """A ledger's files at one version: the root files, and the facts of the selected months.

    Attributes:
        files: contents by path; a file that does not exist is absent.
        sequence: grows by one with every change of primary data; None for storage that keeps nothing.
        version: the exact name of this state where the storage has one, such as a commit; else empty.
        months: which months of facts `files` holds.
        folders: the names in the root and in each folder of facts that was listed.
    """

    files: Mapping[str, bytes] = {}
    sequence: int | None = None
    version: str = ""
    months: MonthSelection = ALL_MONTHS
    folders: FolderListing = {}

    @property
    def published_at(self) -> datetime | None:
        """When all that is computed from these facts was last written; None if facts were added since, or never."""
        return parse_instant_or_none(self.files.get(PUBLISHED_FILE, b"").decode("ascii", "replace").strip())

    def changed(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Those of some files whose content differs from the snapshot's; an absent file counts as empty."""
        return {path: content for path, content in files.items() if content != self.files.get(path, b"")}

    def with_changes(self, changes: Mapping[str, bytes], sequence: int) -> "Snapshot":
        """Return the snapshot after some files were written; empty content removes a file.

        The file of the sequence is not among `files`.
        """
        changed_files = {**self.files, **changes}.items()
        files = {path: content for path, content in changed_files if content and path != SEQUENCE_FILE}
        return replace(self, files=files, sequence=sequence)


def parse_sequence(content: bytes) -> int:
    """Return the number in a `sequence` file; 0 if the file is missing or was edited by hand."""
    text = content.strip()
    return int(text) if text.isdigit() and len(text) < 16 else 0  # noqa: PLR2004 - a longer number is no count


_PRIMARY_FILES = frozenset({
    QUARANTINE_FILE, OUTBOX_FILE, ENDPOINTS_OUTBOX_FILE, CURSORS_FILE, REPORTS_FILE, COUNTERS_FILE, NEW_COUNTERS_FILE,
    REMOTE_WRITE_FILE,
})  # fmt: skip


def is_primary_data(path: str) -> bool:
    """Whether a file holds data that cannot be computed again from other files."""
    return path.startswith(FACTS_FOLDER) or path in _PRIMARY_FILES


def with_next_sequence(sequence: int | None, changes: Mapping[str, bytes]) -> tuple[int, dict[str, bytes]]:
    """Return the sequence after some changes, and the changes with its file; it grows only with primary data."""
    current = sequence or 0
    if not any(map(is_primary_data, changes)):
        return current, dict(changes)
    return current + 1, {**changes, SEQUENCE_FILE: b"%d\n" % (current + 1)}
