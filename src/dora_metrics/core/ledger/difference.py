"""Which files of a site a run has to write: it is large, and no run reads it."""

import hashlib
from collections.abc import Mapping

from dora_metrics.core.ledger.layout import BADGES, HISTORY, NO_JEKYLL, PAGE

PLACES = (PAGE, HISTORY, NO_JEKYLL, BADGES)
"""Where a site lies in a ledger; a folder ends with a slash."""


def blob(content: bytes) -> str:
    """The name that git gives to a content: what is compared, since GitHub lists it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def difference(site: Mapping[str, bytes], there: Mapping[str, str]) -> dict[str, bytes]:
    """What makes the places hold this site and nothing else; empty contents mean that a file goes.

    Args:
        site: contents by path.
        there: what lies in the places now, by path, as git names it.
    """
    new = {path: content for path, content in site.items() if content and there.get(path) != blob(content)}
    gone = (path for path in there if path.startswith(PLACES) and not site.get(path))
    return {**new, **dict.fromkeys(gone, b"")}
