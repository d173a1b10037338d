"""`checkpoint.json`: what a ledger says about itself."""

from collections.abc import Mapping

import msgspec

from dora_metrics.core.ledger import CHECKPOINT, FACTS, OUTBOX, QUARANTINE


class _Checkpoint(msgspec.Struct):
    sequence: int = 0


def sequence(content: bytes) -> int:
    """The ledger's sequence; 0 for a file that is not there or was edited by hand: the next change writes it anew."""
    try:
        return msgspec.json.decode(content or b"{}", type=_Checkpoint).sequence
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0


def is_kept(path: str) -> bool:
    """Whether a file is more than derived: it cannot be computed again from the others."""
    return path.startswith((FACTS, QUARANTINE, OUTBOX))


def counted(seen: int | None, changes: Mapping[str, bytes]) -> tuple[int, dict[str, bytes]]:
    """The sequence after these changes, and the changes with it: it grows where more than derived files change."""
    now = seen or 0
    if not any(map(is_kept, changes)):
        return now, dict(changes)
    return now + 1, {**changes, CHECKPOINT: msgspec.json.encode(_Checkpoint(now + 1))}
