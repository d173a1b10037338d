"""The shape `slack`: messages in Block Kit for an incoming webhook.

Text of strangers is in plain text objects and in rich text elements, in which Slack reads no markup at all. The
only mrkdwn is our own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.shapes.messages import CHAT_EVENTS, Message, ScopePart, is_news, messages_of, remark_on
from dora_metrics.core.shapes.shape import Shape, ShapedRequest, ShapeInput
from dora_metrics.core.shapes.words import MetricWords, cut

SlackBlock = dict[str, object]

_OK = 200

_MAX_HEADER_LENGTH = 150
_MAX_FIELD_LENGTH = 2000


def _requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    return [
        ShapedRequest(body=canonical_json(_payload(message)), key=message.key, delivers=message.delivers)
        for message in messages_of(shape_input)
    ]


def _payload(message: Message) -> SlackBlock:
    """Return the body. `text` is what notifications and screen readers get; Slack reads markup in it."""
    return {
        "text": _escape(message.notification),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": list(_blocks(message)),
    }


def _blocks(message: Message) -> Iterator[SlackBlock]:
    yield {"type": "header", "text": _plain_text(cut(f"{message.symbol} {message.title}", _MAX_HEADER_LENGTH))}
    for paragraph in message.paragraphs:
        yield _rich_text(_paragraph(_text(paragraph)))
    if message.lines:
        yield _rich_text(_bullets([[_link(line.text, line.url)] for line in message.lines]))
    if len(message.scopes) == 1 and not message.lines:
        yield from _whole_scope(message.scopes[0])
    else:
        yield from map(_short_scope, message.scopes)
    if message.more:
        yield _rich_text(_paragraph(_text(message.more)))
    if message.links:
        yield _rich_text(_paragraph(*_joined([_link(link.text, link.url) for link in message.links])))
    if message.context:
        yield {"type": "context", "elements": [_plain_text(message.context)]}


def _whole_scope(part: ScopePart) -> Iterator[SlackBlock]:
    """Return the five numbers in two columns, then what needs attention and what to improve."""
    fields = [_mrkdwn(cut(_field(metric), _MAX_FIELD_LENGTH)) for metric in part.words.metrics]
    yield {"type": "section", "text": _mrkdwn(f"*{_escape(part.heading)}*"), "fields": fields}
    if part.reasons:
        yield _rich_text(_heading("Needs attention"), _bullets([[_text(reason)] for reason in part.reasons]))
    if part.hints:
        yield _rich_text(_heading("To improve"), _bullets([[_text(hint)] for hint in part.hints]))


def _field(metric: MetricWords) -> str:
    return "\n".join(filter(None, (metric.label, f"*{_escape(metric.value)}*", _escape(remark_on(metric)))))


def _short_scope(part: ScopePart) -> SlackBlock:
    """Return a scope among several: its name, its numbers on one line, and what needs attention."""
    name = _link(part.words.name, part.words.page) | {"style": {"bold": True}}
    elements = [_paragraph(name, _text(f"\n{part.numbers}"))]
    return _rich_text(*elements, *([_bullets([[_text(reason)] for reason in part.reasons])] if part.reasons else []))


def _rich_text(*elements: SlackBlock) -> SlackBlock:
    return {"type": "rich_text", "elements": list(elements)}


def _paragraph(*elements: SlackBlock) -> SlackBlock:
    return {"type": "rich_text_section", "elements": list(elements)}


def _heading(text: str) -> SlackBlock:
    return _paragraph(_text(text) | {"style": {"bold": True}})


def _bullets(items: Iterable[list[SlackBlock]]) -> SlackBlock:
    return {"type": "rich_text_list", "style": "bullet", "elements": [_paragraph(*item) for item in items]}


def _text(text: str) -> SlackBlock:
    return {"type": "text", "text": text}


def _link(text: str, url: str) -> SlackBlock:
    return {"type": "link", "url": url, "text": text} if url else _text(text)


def _joined(elements: Iterable[SlackBlock]) -> Iterator[SlackBlock]:
    for position, element in enumerate(elements):
        if position:
            yield _text(" · ")
        yield element


def _plain_text(text: str) -> SlackBlock:
    return {"type": "plain_text", "text": text, "emoji": False}


def _mrkdwn(text: str) -> SlackBlock:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escape(text: str) -> str:
    """Escape the three characters with a meaning that Slack documents."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_NEW_WEBHOOK = "create a new incoming webhook in Slack, and set its address"
_ERRORS: Mapping[str, str] = {
    "action_prohibited": "an administrator has restricted posting to the channel; ask for it, or use another channel",
    "channel_is_archived": "the channel is archived; restore it, or create a webhook for another channel",
    "channel_not_found": f"the channel no longer exists; {_NEW_WEBHOOK}",
    "invalid_blocks": "Slack rejected the layout of the message; report this as a bug of the action",
    "invalid_blocks_format": "Slack rejected the layout of the message; report this as a bug of the action",
    "invalid_payload": "Slack cannot read the message; check that the address is that of an incoming webhook",
    "invalid_token": f"the address is no longer valid; {_NEW_WEBHOOK}",
    "msg_blocks_too_long": "the message exceeds a limit of Slack; report this as a bug of the action",
    "no_active_hooks": f"the webhook is disabled; enable it, or {_NEW_WEBHOOK}",
    "no_service": f"the webhook was removed or disabled; {_NEW_WEBHOOK}",
    "no_team": f"the workspace no longer exists; {_NEW_WEBHOOK}",
    "posting_to_general_channel_denied": "only some people may post to #general; use another channel",
    "rate_limited": "Slack accepts about one message a second; the next run sends it again",
    "team_disabled": "the workspace is disabled; create a webhook in another one",
    "user_not_found": f"the user that the webhook posts to no longer exists; {_NEW_WEBHOOK}",
}
"""What Slack's errors mean, and what to do."""

_UNKNOWN_ERROR = "see this name in Slack's documentation of incoming webhooks"


def _refusal(status: int, body: bytes) -> str:
    """Slack answers 200 with `ok`. Anything else is a refusal, and what to do depends on its name."""
    answer = body[:200].decode("utf-8", errors="replace").strip()
    if answer == "ok" and status == _OK:
        return ""
    name = answer if re.fullmatch(r"[a-z_]{1,60}", answer, re.ASCII) else ""
    if name and name != "ok":
        return f"{name}: {_ERRORS.get(name, _UNKNOWN_ERROR)}"
    return "the answer is not `ok`, so it is probably not Slack's: check the address, and any proxy between"


SLACK = Shape("slack", events=CHAT_EVENTS, requests=_requests, is_owed=is_news, refusal=_refusal, is_for_people=True)
