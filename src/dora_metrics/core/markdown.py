"""Untrusted text in Markdown: everything that is not `Md` is escaped when it is rendered.

GitHub turns mentions, references and shas into links after it has rendered the Markdown, so escaping does not prevent
that (github/markup#1168). A zero-width space does.
"""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

_ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"


class Md(str):
    """Markdown that is safe to render as it is."""

    __slots__ = ()


def escape(text: object) -> Md:
    """Escape text so that it renders as itself on one line: no markup, no HTML, no mention, no reference.

    Plain names and flags in backticks stay code spans, in which GitHub links nothing.
    """
    if isinstance(text, Md):
        return text
    visible_text = " ".join(printable(str(text)).split())
    parts = (part if _CODE_SPAN.fullmatch(part) else _defuse(part) for part in _CODE_SPAN.split(visible_text))
    line = re.sub(r"^(?=[-=:\s]+$)", r"\\", "".join(parts))
    return Md(re.sub(r"^(\d*)([#+.)-])(?=[#\s]|$)", r"\1\\\2", line))


_FLAG = r"--[a-z-]{1,30} (?:[A-Z]{1,30}|'[\w.@/*-]{1,80}')"
_CODE_SPAN = re.compile(rf"(`(?:[A-Za-z][\w.: -]{{0,60}}|{_FLAG})`)", re.ASCII)

_SHA = re.compile(r"(?<![^\W_])[0-9a-f]{7,40}(?![^\W_])", re.IGNORECASE)
"""What GitHub takes for a commit: seven hexadecimal digits are enough, so it is split into parts of six."""


def _defuse(text: str) -> str:
    """Break mentions, references, URLs and shas, and escape markup."""
    text = re.sub(r"@(?=\w)", f"@{_ZERO_WIDTH_SPACE}", text)
    text = re.sub(r"#(?=\d)", f"#{_ZERO_WIDTH_SPACE}", text)
    text = re.sub(r"(GH)(?=-\d)", rf"\1{_ZERO_WIDTH_SPACE}", text, flags=re.IGNORECASE)
    text = re.sub(r"(https?|ftp)(?=://)", rf"\1{_ZERO_WIDTH_SPACE}", text, flags=re.IGNORECASE)
    text = re.sub(r"(www)(?=\.)", rf"\1{_ZERO_WIDTH_SPACE}", text, flags=re.IGNORECASE)
    text = _SHA.sub(lambda match: re.sub(r"(.{6})(?=.)", rf"\1{_ZERO_WIDTH_SPACE}", match[0]), text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text)


def printable(text: str) -> str:
    """Remove control characters, and invisible ones that can change the direction of a line."""
    return "".join(
        " "
        if (category := unicodedata.category(character)) in ("Cc", "Zl", "Zp")
        else ""
        if category in ("Cf", "Cs")
        else character
        for character in text
    )


def code_span(text: str) -> Md:
    """Return a code span if the text is a plain name, otherwise escaped text."""
    return Md(f"`{text}`") if re.fullmatch(r"[\w./+-]{1,100}", text, re.ASCII) else escape(text)


def id_code_span(text: str) -> Md:
    """Return an id as a code span, so that it can be copied unchanged; an unusual one as escaped text."""
    return Md(f"`{text}`") if re.fullmatch(r"[\w:./#+-]{1,200}", text, re.ASCII) else escape(text)


def link(text: object, url: str | None) -> Md:
    """Return a link if the URL is http or https, otherwise the text alone."""
    escaped = escape(text)
    try:
        is_web_address = url is not None and urlsplit(url).scheme in ("http", "https")
    except ValueError:
        is_web_address = False
    return Md(f"[{escaped}]({quote(url, safe=_URL_SAFE)})") if url and is_web_address else escaped


_URL_SAFE = ":/?#@!$&'*+,;=%~-._"


def md(template: str, *parts: object) -> Md:
    """Replace each `{}` of the template by an escaped part."""
    return Md(template.format(*(escape(part) for part in parts)))


def join_non_empty(separator: str, parts: Iterable[Md]) -> Md:
    """Join the parts that are not empty."""
    return Md(separator.join(part for part in parts if part))
