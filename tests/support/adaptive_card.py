"""The rules for the cards that we send to Teams, and for text of strangers in them.

https://adaptivecards.io/explorer/ has the elements. Teams reads Markdown in text blocks and facts, none in text runs.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MAX_BYTES = 28 * 1024
_VERSION = "1.4"
_URL = re.compile(r"https?://[^\s<>|\"()\[\]]+", re.ASCII)
_OUR_INVISIBLE = {"\u200b", "\u2060"}
_PROPERTIES = {
    "Container": {"items", "style", "separator"},
    "RichTextBlock": {"inlines", "spacing"},
    "FactSet": {"facts"},
    "TextRun": {"text", "size", "weight", "isSubtle", "selectAction"},
    "Action.OpenUrl": {"title", "url"},
}
_CHOICES = {
    "style": {"good", "attention", "emphasis"},
    "size": {"Small", "Large"},
    "weight": {"Bolder"},
    "spacing": {"None", "Small", "Medium"},
}


def problems(payload: Json) -> list[str]:
    """What Teams would refuse, and what a text of a stranger could do."""
    size = len(json.dumps(payload, ensure_ascii=False).encode())
    faults = [f"{size} bytes"] if size > MAX_BYTES else []
    (attachment,) = payload["attachments"]
    card = attachment["content"]
    if payload.get("type") != "message" or attachment.get("contentType") != "application/vnd.microsoft.card.adaptive":
        faults.append("envelope")
    if card.get("type") != "AdaptiveCard" or card.get("version") != _VERSION or not card.get("body"):
        faults.append("card")
    faults += [
        problem for element in (*card.get("body", ()), *card.get("actions", ())) for problem in _element(element)
    ]
    return faults


def _element(element: Json) -> Iterator[str]:
    kind = element.get("type", "")
    for key in element.keys() - _PROPERTIES.get(kind, set()) - {"type"}:
        yield f"{kind!r} has {key!r}"
    for key, choices in _CHOICES.items():
        if element.get(key) not in {None, *choices}:
            yield f"{key} {element[key]!r}"
    for child in _children(element):
        yield from _element(child)
    for fact in element.get("facts", ()):
        yield from _fact(fact)
    yield from _content(kind, element)


def _children(element: Json) -> list[Json]:
    action = [element["selectAction"]] if "selectAction" in element else []
    return [*element.get("items", ()), *element.get("inlines", ()), *action]


def _content(kind: str, element: Json) -> Iterator[str]:
    if kind == "TextRun":
        yield from _text(element["text"])
        if "{{" in element["text"]:
            yield f"function: {element['text']!r}"
    elif kind == "Action.OpenUrl":
        yield from _text(element.get("title", "a link in a text has none"))
        if not _URL.fullmatch(element["url"]):
            yield f"url {element['url']!r}"
    elif kind in ("Container", "RichTextBlock") and not _children(element):
        yield f"an empty {kind}"


def _fact(fact: Json) -> Iterator[str]:
    """Facts are our own texts, since Teams reads Markdown in them."""
    for text in (fact["title"], fact["value"]):
        yield from _text(text)
        if re.search(r"[\[\]<>*_`{}\\]", text):
            yield f"Markdown in {text!r}"


def _text(text: str) -> Iterator[str]:
    if not text.strip():
        yield "an empty text"
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _OUR_INVISIBLE:
            yield f"invisible character {character!r}"
