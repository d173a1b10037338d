"""Reads and cleans untrusted text. Escaping is the task of whoever renders it."""

import re

from dora_metrics.core.markdown import storable
from dora_metrics.core.versions import ref_reads_as_version

MAX_TITLE_LENGTH = 300

_NULL_SHA = "0" * 40


def remove_unstorable(value: object) -> object:
    """Return a text without what stores refuse; other types stay as they are."""
    return storable(value) if isinstance(value, str) else value


def one_line(text: str) -> str:
    """Return the text with each run of whitespace, line breaks included, as one space."""
    return " ".join(text.split())


def truncate_title(text: str | None) -> str | None:
    """Return the first `MAX_TITLE_LENGTH` characters; None for an empty text."""
    return text[:MAX_TITLE_LENGTH] if text else None


def first_http_url(*candidates: str | None) -> str | None:
    """Return the first candidate that is an http or https address; None if there is none."""
    return next((text for text in candidates if text and re.fullmatch(r"https?://\S+", text, re.IGNORECASE)), None)


def address_on(server_url: str, address: str | None) -> str | None:
    """Return an http or https address on a server, such as `https://github.com`; None for one elsewhere."""
    server = f"{server_url.rstrip('/')}/"
    return first_http_url(address) if address and address.lower().startswith(server.lower()) else None


def short_ref(ref: str | None) -> str | None:
    """Return `refs/tags/v1.2.0` or `refs/heads/main` without the prefix; None for an empty ref."""
    return (ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/") or None


def version_or_none(ref: str | None) -> str | None:
    """Return the ref if it reads as a version, such as `v1.2.3` or `2026.11.21`; otherwise None."""
    return ref if ref and ref_reads_as_version(ref) else None


def full_sha_or_none(text: str | None) -> str | None:
    """Return a full commit sha in lower case; None for anything else, and for the null sha."""
    sha = (text or "").lower()
    return sha if re.fullmatch(r"[0-9a-f]{40}", sha) and sha != _NULL_SHA else None
