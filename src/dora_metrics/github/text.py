"""Small readings of texts from strangers: they stay data, escaping is the renderer's."""

import re
from collections.abc import Iterator

MAX_TITLE_LENGTH = 300

# At least one dot, so that neither a sha nor a branch such as `v1` or `1.x` counts.
_VERSION = re.compile(
    r"v?\d+(?:\.\d+)+(?:[-+_][0-9a-z.+_-]+|\.?(?:a|b|rc|alpha|beta|pre|post|dev|final)[0-9a-z.+_-]*)?",
    re.IGNORECASE | re.ASCII,
)
_NULL_SHA = "0" * 40


def remove_unstorable(value: object) -> object:
    """Without NUL characters and half surrogate pairs, which many stores refuse; other types as they are."""
    if not isinstance(value, str):
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def one_line(text: str) -> str:
    return " ".join(text.split())


def truncate_title(text: str | None) -> str | None:
    return text[:MAX_TITLE_LENGTH] if text else None


def first_http_url(*candidates: str | None) -> str | None:
    """The first candidate that is an http or https address."""
    return next((text for text in candidates if text and re.fullmatch(r"https?://\S+", text, re.IGNORECASE)), None)


def short_ref(ref: str | None) -> str | None:
    """`refs/tags/v1.2.0` and `refs/heads/main` without their beginnings."""
    return (ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/") or None


def version_or_none(ref: str | None) -> str | None:
    """The ref if it looks like a version, as `v1.2.3` and `2026.11.21` do."""
    return ref if ref and _VERSION.fullmatch(ref) else None


def full_sha_or_none(text: str | None) -> str | None:
    """A full commit sha in lower case; anything else, and the sha that means no commit, is none."""
    sha = (text or "").lower()
    return sha if re.fullmatch(r"[0-9a-f]{40}", sha) and sha != _NULL_SHA else None


def lowercase_words(text: str) -> Iterator[str]:
    """The words of a name in lower case, whatever stands between them."""
    return (word for word in re.split(r"[\W_]+", text.lower()) if word)
