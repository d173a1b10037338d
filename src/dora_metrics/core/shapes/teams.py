"""The shape `teams`: an Adaptive Card for a webhook of Microsoft Teams that was made with Workflows.

Text of strangers is in text runs, in which Teams reads no Markdown. The other texts are our own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.shapes.messages import CHAT_EVENTS, Message, ScopePart, Tone, is_news, messages_of, remark_on
from dora_metrics.core.shapes.shape import Shape, ShapedRequest, ShapeInput
from dora_metrics.core.shapes.words import MetricWords

Element = dict[str, object]

_OK, _ACCEPTED = 200, 202

MAX_BODY_LENGTH = 20_000
"""Bytes. Teams documents about 28 KB, which its own envelope is part of."""

_WORD_JOINER = "\N{WORD JOINER}"
_BEFORE_BRACE = re.compile(r"\{(?=\{)")


_STYLES: Mapping[Tone, str] = {"good": "good", "bad": "attention", "neutral": "emphasis"}


def _requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    return [
        ShapedRequest(body=_fitting_body(message), key=message.key, delivers=message.delivers)
        for message in messages_of(shape_input)
    ]


def _fitting_body(message: Message) -> bytes:
    """Return the body with as much of the message as Teams takes."""
    return next(body for body in map(_body, _shorter(message)) if len(body) <= MAX_BODY_LENGTH)


def _shorter(message: Message) -> Iterator[Message]:
    """Yield the message, then ever shorter ones; the last one has its title only."""
    yield message
    without_numbers = replace(
        message, scopes=(), more="The numbers are left out, because Teams limits the length of a message."
    )
    yield without_numbers
    yield replace(without_numbers, lines=tuple(replace(line, url="") for line in message.lines))
    yield replace(without_numbers, lines=(), paragraphs=(), links=())


def _body(message: Message) -> bytes:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": list(_elements(message)),
        "actions": [{"type": "Action.OpenUrl", "title": link.text, "url": link.url} for link in message.links],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return canonical_json({"type": "message", "summary": message.notification, "attachments": [attachment]})


def _elements(message: Message) -> Iterator[Element]:
    title = _run(f"{message.symbol} {message.title}", size="Large", weight="Bolder")
    yield _container([_rich_text(title)], style=_STYLES[message.tone])
    for paragraph in message.paragraphs:
        yield _rich_text(_run(paragraph))
    for line in message.lines:
        yield _bullet(line.text, line.url)
    if len(message.scopes) == 1 and not message.lines:
        yield from _whole_scope(message.scopes[0])
    else:
        yield from (_container(list(_short_scope(part)), separator=True) for part in message.scopes)
    for text in filter(None, (message.more, message.context)):
        yield _rich_text(_run(text, size="Small", isSubtle=True))


def _whole_scope(part: ScopePart) -> Iterator[Element]:
    """Return the five numbers, then what needs attention and what to improve."""
    yield _heading(part.heading)
    yield {"type": "FactSet", "facts": [_fact(metric) for metric in part.words.metrics]}
    if part.reasons:
        yield _heading("Needs attention")
        yield from map(_bullet, part.reasons)
    if part.hints:
        yield _heading("To improve")
        yield from map(_bullet, part.hints)


def _fact(metric: MetricWords) -> Element:
    return {"title": metric.label, "value": " · ".join(filter(None, (metric.value, remark_on(metric))))}


def _short_scope(part: ScopePart) -> Iterator[Element]:
    """Return a scope among several: its name, its numbers on one line, and what needs attention."""
    yield _rich_text(_linked_run(part.words.name, part.words.page, weight="Bolder"))
    yield _rich_text(_run(part.numbers), spacing="None")
    yield from map(_bullet, part.reasons)


def _container(items: list[Element], **properties: object) -> Element:
    return {"type": "Container", "items": items, **properties}


def _rich_text(*runs: Element, **properties: object) -> Element:
    return {"type": "RichTextBlock", "inlines": list(runs), **properties}


def _heading(text: str) -> Element:
    return _rich_text(_run(text, weight="Bolder"), spacing="Medium")


def _bullet(text: str, url: str = "") -> Element:
    return _rich_text(_run("• "), _linked_run(text, url), spacing="Small")


def _linked_run(text: str, url: str, **properties: object) -> Element:
    action = {"selectAction": {"type": "Action.OpenUrl", "url": url}} if url else {}
    return _run(text, **properties, **action)


def _run(text: str, **properties: object) -> Element:
    """Return a text that Teams shows as it is. Only `{{DATE(…)}}` would be read, so its braces are separated."""
    return {"type": "TextRun", "text": _BEFORE_BRACE.sub(f"{{{_WORD_JOINER}", text), **properties}


_OLD_CONNECTOR = b"webhook message delivery failed"


def _refusal(status: int, body: bytes) -> str:
    """A workflow answers 202, the connectors before it 200 with `1`, or with a text on what went wrong."""
    answer = body[:2000].strip()
    if status == _ACCEPTED or (status == _OK and answer in (b"", b"1")):
        return ""
    if _OLD_CONNECTOR in answer.lower():
        return "Teams did not deliver the message; create a webhook with Workflows in Teams, and set its address"
    return "the answer is not one of a Teams workflow: check the address, and any proxy between"


TEAMS = Shape("teams", events=CHAT_EVENTS, requests=_requests, is_owed=is_news, refusal=_refusal, is_for_people=True)
