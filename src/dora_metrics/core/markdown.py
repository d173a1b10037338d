"""Untrusted text in Markdown (DESIGN §9): whatever is not `Md` is escaped when it is rendered.

GitHub turns mentions, references and shas into links after it has rendered the Markdown, so that no
escape helps against them (github/markup#1168); a zero-width space does.
"""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

_BREAK = "\N{ZERO WIDTH SPACE}"


class Md(str):
    """Markdown that is safe as it is."""

    __slots__ = ()


def escape(text: object) -> Md:
    """Text that renders as itself, on one line: no markup, no HTML, nobody pinged, nothing referenced.

    Only plain names in backticks stay code, which is inert.
    """
    if isinstance(text, Md):
        return text
    plain = " ".join(visible(str(text)).split())
    parts = (part if _CODE.fullmatch(part) else _inert(part) for part in _CODE.split(plain))
    line = re.sub(r"^(?=[-=:\s]+$)", r"\\", "".join(parts))
    return Md(re.sub(r"^(\d*)([#+.)-])(?=[#\s]|$)", r"\1\\\2", line))


_CODE = re.compile(r"(`[A-Za-z][\w.: -]{0,60}`)", re.ASCII)


_SHA = re.compile(r"(?<![^\W_])[0-9a-f]{7,40}(?![^\W_])", re.IGNORECASE)
"""What GitHub takes for a commit: seven characters are enough, so that none of its parts may have them."""


def _inert(plain: str) -> str:
    plain = re.sub(r"@(?=\w)", f"@{_BREAK}", plain)
    plain = re.sub(r"#(?=\d)", f"#{_BREAK}", plain)
    plain = re.sub(r"(GH)(?=-\d)", rf"\1{_BREAK}", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(https?|ftp)(?=://)", rf"\1{_BREAK}", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(www)(?=\.)", rf"\1{_BREAK}", plain, flags=re.IGNORECASE)
    plain = _SHA.sub(lambda found: re.sub(r"(.{6})(?=.)", rf"\1{_BREAK}", found[0]), plain)
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", plain)


def visible(text: str) -> str:
    """Without control characters and without those that turn the direction of a line."""
    return "".join(
        " " if (kind := unicodedata.category(c)) in ("Cc", "Zl", "Zp") else "" if kind in ("Cf", "Cs") else c
        for c in text
    )


def code(text: str) -> Md:
    """A code span where the text is a plain name, else escaped text."""
    return Md(f"`{text}`") if re.fullmatch(r"[\w./+-]{1,100}", text, re.ASCII) else escape(text)


def identity(text: str) -> Md:
    """An id as a code span, where nothing becomes a link, so that it can be copied; else as escaped text."""
    return Md(f"`{text}`") if re.fullmatch(r"[\w:./#+-]{1,200}", text, re.ASCII) else escape(text)


def link(text: object, url: str | None) -> Md:
    """A link where the address is http or https, else the text alone."""
    shown = escape(text)
    try:
        usable = url is not None and urlsplit(url).scheme in ("http", "https")
    except ValueError:
        usable = False
    return Md(f"[{shown}]({quote(url, safe=_URL_SAFE)})") if url and usable else shown


_URL_SAFE = ":/?#@!$&'*+,;=%~-._"


def md(template: str, *parts: object) -> Md:
    """`template` with each `{}` replaced by an escaped part."""
    return Md(template.format(*(escape(part) for part in parts)))


def joined(separator: str, parts: Iterable[Md]) -> Md:
    """The parts that are not empty."""
    return Md(separator.join(part for part in parts if part))
