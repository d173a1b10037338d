"""How often a ledger has changed: a number in a file of its own."""

from collections.abc import Mapping

from dora_metrics.core.ledger.layout import CURSORS, FACTS, OUTBOX, QUARANTINE, REPORTS, SEQUENCE


def sequence(content: bytes) -> int:
    """The number; 0 for a file that is not there or was edited by hand: the next change writes it anew."""
    text = content.strip()
    return int(text) if text.isdigit() and len(text) < 16 else 0  # noqa: PLR2004 - more is no count


def is_kept(path: str) -> bool:
    """Whether a file is more than derived: it cannot be computed again from the others."""
    return path.startswith((FACTS, QUARANTINE, OUTBOX, CURSORS, REPORTS))


def counted(seen: int | None, changes: Mapping[str, bytes]) -> tuple[int, dict[str, bytes]]:
    """The sequence after these changes, and the changes with it: it grows where more than derived files change."""
    now = seen or 0
    if not any(map(is_kept, changes)):
        return now, dict(changes)
    return now + 1, {**changes, SEQUENCE: b"%d\n" % (now + 1)}
