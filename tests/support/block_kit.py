"""The rules of Slack's documentation for the blocks that we send, and for text of strangers in them.

https://docs.slack.dev/reference/block-kit/blocks
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MAX_BLOCKS = 50
_MAX_HEADER, _MAX_TEXT, _MAX_FIELDS, _MAX_FIELD, _MAX_URL, _MAX_CONTEXT = 150, 3000, 10, 2000, 3000, 10
_URL = re.compile(r"https?://[^\s<>|\"()\[\]]+", re.ASCII)
_OUR_INVISIBLE = {"\u200b", "\u2060"}


def problems(payload: Json) -> list[str]:
    """What Slack would refuse, and what a text of a stranger could do."""
    blocks = payload.get("blocks", [])
    faults = [*_unknown(payload, {"text", "mrkdwn", "unfurl_links", "unfurl_media", "blocks"})]
    if not 1 <= len(blocks) <= MAX_BLOCKS:
        faults.append(f"{len(blocks)} blocks")
    faults += [problem for block in blocks for problem in _block(block)]
    notification = payload.get("text", "")
    if (
        not notification
        or re.search(r"[<>]|@\w|(?:https?|ftp)://|www\.|\n", notification)
        or payload.get("mrkdwn") is not False
    ):
        faults.append(f"text: {notification!r}")
    return faults


def _block(block: Json) -> Iterator[str]:
    match block.get("type"):
        case "header":
            yield from _unknown(block, {"type", "text"})
            yield from _text_object(block["text"], _MAX_HEADER, {"plain_text"})
        case "section":
            yield from _unknown(block, {"type", "text", "fields"})
            yield from _text_object(block["text"], _MAX_TEXT, {"mrkdwn"})
            if not 1 <= len(block["fields"]) <= _MAX_FIELDS:
                yield f"{len(block['fields'])} fields"
            for field in block["fields"]:
                yield from _text_object(field, _MAX_FIELD, {"mrkdwn"})
        case "context":
            yield from _unknown(block, {"type", "elements"})
            if not 1 <= len(block["elements"]) <= _MAX_CONTEXT:
                yield f"{len(block['elements'])} elements"
            for element in block["elements"]:
                yield from _text_object(element, _MAX_TEXT, {"plain_text"})
        case "rich_text":
            yield from _unknown(block, {"type", "elements"})
            yield from _rich_text(block["elements"])
        case other:
            yield f"block {other!r}"


def _text_object(text_object: Json, max_length: int, types: set[str]) -> Iterator[str]:
    """A plain text shows emoji as text; an mrkdwn is our own, and links nothing."""
    is_plain = text_object.get("type") == "plain_text"
    if text_object.get("type") not in types:
        yield f"text object {text_object.get('type')!r}"
    if text_object.get("emoji" if is_plain else "verbatim") is not (not is_plain):
        yield f"{text_object.get('type')!r} is read as more than text"
    yield from _text(text_object["text"], max_length)
    if not is_plain and re.search(r"[<>]|&(?!amp;|lt;|gt;)", text_object["text"]):
        yield f"mrkdwn: {text_object['text']!r}"


def _rich_text(elements: list[Json]) -> Iterator[str]:
    if not elements:
        yield "an empty rich text"
    for element in elements:
        if element["type"] == "rich_text_list":
            yield from _unknown(element, {"type", "style", "elements"})
            yield from _rich_text(element["elements"])
        elif element["type"] == "rich_text_section" and element["elements"]:
            for part in element["elements"]:
                yield from _part(part)
        else:
            yield f"rich text {element!r}"


def _part(part: Json) -> Iterator[str]:
    yield from _unknown(part, {"type", "text", "style", *(["url"] if part["type"] == "link" else [])})
    yield from _text(part["text"], _MAX_TEXT)
    if part["type"] not in ("text", "link"):
        yield f"rich text element {part['type']!r}"
    if part["type"] == "link" and not (_URL.fullmatch(part["url"]) and len(part["url"]) <= _MAX_URL):
        yield f"url {part['url']!r}"


def _text(text: str, max_length: int) -> Iterator[str]:
    length = len(text.encode("utf-16-le")) // 2
    if not text.strip() or length > max_length:
        yield f"text of {length}: {text[:40]!r}"
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in {
            *_OUR_INVISIBLE,
            "\n",
        }:
            yield f"invisible character {character!r}"


def _unknown(value: Json, known: set[str]) -> Iterator[str]:
    for key in value.keys() - known:
        yield f"unknown {key!r}"
