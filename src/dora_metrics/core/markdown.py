"""Untrusted text in Markdown: everything that is not `Md` is escaped when it is rendered.

GitHub turns mentions, references and shas into links after it has rendered the Markdown, so escaping does not prevent
that (github/markup#1168). A zero-width space does.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import LiteralString, Self
from urllib.parse import quote, urlsplit

_ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"


class Md(str):
    """Markdown that is safe to render as it is.

    It is made of literals in the source, never of a value: values go through `md`, `escape`, `link` and the others
    of this module. tests/architecture/test_untrusted_text.py holds both.
    """

    __slots__ = ()

    def __new__(cls, literal: LiteralString = "") -> Self:
        """Return Markdown that the program itself wrote."""
        return super().__new__(cls, literal)


def _safe(markdown: str) -> Md:
    """Mark a text as escaped; only this module does."""
    return str.__new__(Md, markdown)


def escape(text: object) -> Md:
    """Escape text so that it renders as itself on one line: no markup, no HTML, no mention, no reference.

    Plain names and flags in backticks stay code spans, in which GitHub links nothing.
    """
    if isinstance(text, Md):
        return text
    visible_text = " ".join(printable(str(text)).split())
    parts = (part if _CODE_SPAN.fullmatch(part) else _defuse(part) for part in _CODE_SPAN.split(visible_text))
    line = re.sub(r"^(?=[-=:\s]+$)", r"\\", "".join(parts))
    return _safe(re.sub(r"^(\d*)([#+.)-])(?=[#\s]|$)", r"\1\\\2", line))


_FLAG = r"--[a-z-]{1,30} (?:[A-Z]{1,30}|'[\w.@/*-]{1,80}'|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
_CODE_SPAN = re.compile(rf"(`(?:[A-Za-z][\w.: -]{{0,60}}|{_FLAG})`)", re.ASCII)

_SHA = re.compile(r"(?<![^\W_])[0-9a-f]{7,40}(?![^\W_])", re.IGNORECASE)
"""What GitHub takes for a commit: seven hexadecimal digits are enough, so it is split into parts of six."""


def break_references(text: str) -> str:
    """Break mentions, references and URLs, which GitHub links in titles and commit messages as well."""
    text = re.sub(r"@(?=\w)", f"@{_ZERO_WIDTH_SPACE}", text)
    text = re.sub(r"#(?=\d)", f"#{_ZERO_WIDTH_SPACE}", text)
    text = re.sub(r"(GH)(?=-\d)", rf"\1{_ZERO_WIDTH_SPACE}", text, flags=re.IGNORECASE)
    text = re.sub(r"(https?|ftp)(?=://)", rf"\1{_ZERO_WIDTH_SPACE}", text, flags=re.IGNORECASE)
    return re.sub(r"(www)(?=\.)", rf"\1{_ZERO_WIDTH_SPACE}", text, flags=re.IGNORECASE)


def _defuse(text: str) -> str:
    """Break what GitHub links, and escape markup."""
    text = _SHA.sub(lambda match: re.sub(r"(.{6})(?=.)", rf"\1{_ZERO_WIDTH_SPACE}", match[0]), break_references(text))
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


def storable(text: str) -> str:
    """Remove NUL characters and replace unpaired surrogates: JSON, files and most stores refuse them."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def unlinked_line(text: str) -> str:
    """Return plain text on one line that mentions and references nothing: for titles and headlines of commits.

    The sha of a commit stays whole: by itself it names a commit of the same repository only.
    """
    return break_references(" ".join(printable(text).split()))


def code_span(text: str) -> Md:
    """Return a code span if the text is a plain name, otherwise escaped text."""
    return _safe(f"`{text}`") if re.fullmatch(r"[\w./+-]{1,100}", text, re.ASCII) else escape(text)


def id_code_span(text: str) -> Md:
    """Return an id as a code span, so that it can be copied unchanged; an unusual one as escaped text."""
    return _safe(f"`{text}`") if re.fullmatch(r"[\w:./#%+-]{1,300}", text, re.ASCII) else escape(text)


def code_block_line(text: str) -> Md:
    """Return a line for a code block unchanged, so that it can be copied; one that could end the block is escaped."""
    return _safe(text) if re.fullmatch(r"[ -%'-;=?-_a-~]+", text, re.ASCII) else escape(text)


def link(text: object, url: str | None) -> Md:
    """Return a link if the URL is http or https, otherwise the text alone."""
    escaped, address = escape(text), web_address(url)
    return _safe(f"[{escaped}]({address})") if address else escaped


def web_address(url: str | None) -> str:
    """Return a URL in the characters that a URL may have, without brackets; empty if it is not http or https."""
    text = (url or "").strip()
    try:
        is_web_address = urlsplit(text).scheme in ("http", "https")
    except ValueError:
        is_web_address = False
    return quote(text, safe=_URL_SAFE, errors="replace") if is_web_address else ""


def number_link(number: int | str, url: str | None) -> Md:
    """Return `#12` as a link to its page; without one the number is escaped, since it may be another repository's."""
    text = f"#{number}"
    linked = link(_safe(text), url) if re.fullmatch(r"#\d+", text, re.ASCII) else link(text, url)
    return escape(text) if linked == text else linked


_URL_SAFE = ":/?#@!$&'*+,;=%~-._"


_MARKUP = re.compile(r"\\(.)|\]\([^()\s]*\)|&(amp|lt|gt);|\*\*|[`\[]|" + _ZERO_WIDTH_SPACE)
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}


def plain(markdown: Md) -> str:
    """Return what Markdown of this module shows, for places that show no Markdown: a link is its text.

    The text is as untrusted as its parts were before they were escaped.
    """
    return _MARKUP.sub(lambda match: match[1] or _ENTITIES.get(match[2], ""), markdown)


def md(template: LiteralString, *parts: object) -> Md:
    """Replace each `{}` of the template, a literal in the source, by an escaped part."""
    return _safe(template.format(*(escape(part) for part in parts)))


def join_non_empty(separator: LiteralString, parts: Iterable[Md]) -> Md:
    """Join the parts that are not empty."""
    return _safe(separator.join(part for part in parts if part))
