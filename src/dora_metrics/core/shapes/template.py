"""Templates of users for endpoints: from facts and numbers to requests.

A template writes one body, or a block for each request:

    {% for fact in facts if fact.kind == "deployment" %}
    {% request "PUT", "/deployments/" ~ fact.id|urlpart, facts=[fact] %}
    {"version": {{ fact.version|tojson }}, "status": {{ fact.status|tojson }}}
    {% endrequest %}
    {% endfor %}

Rendering is bounded by the process in which `pipeline/endpoint_template.py` calls it. Nothing is escaped, since a body
may be of any kind; `tojson` and `urlpart` make a value safe for the two usual places.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isinf
from urllib.parse import quote, unquote

import msgspec
from jinja2 import Environment, Undefined, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.reports.sandbox import Sandbox, TemplateError
from dora_metrics.core.shapes.shape import JSON, ShapedRequest, ShapeInput, content_key
from dora_metrics.core.shapes.words import words_of

METHODS = ("POST", "PUT", "PATCH", "DELETE")
MAX_REQUESTS = 500
MAX_BODY_BYTES = 1_000_000
MAX_TOTAL_BYTES = 10_000_000
_MAX_PATH_LENGTH = 8_000
"""With it, the longest id fits several times, of which `urlpart` makes nine characters for each of its own."""
_MAX_QUOTED_CHARACTERS = 40


class RenderedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a template.

    Attributes:
        body: what is sent, as UTF-8.
        method: one of `METHODS`.
        path: appended to the endpoint's address; empty, or with a slash at its beginning.
        content_type: a media type.
        delivers: the ids of what the block names; None if it names nothing, so that it is about all.
    """

    body: str
    method: str = "POST"
    path: str = ""
    content_type: str = JSON
    delivers: tuple[str, ...] | None = None


def template_values(shape_input: ShapeInput) -> bytes:
    """Return the variables of a template as JSON: plain values, which a process of its own can take."""
    values = {
        "facts": shape_input.facts,
        "metrics": shape_input.results.document,
        "event": shape_input.event,
        "repository": shape_input.repository,
        "words": words_of(shape_input),
    }
    return canonical_json(values)


def render_requests(template: str, values: bytes) -> list[RenderedRequest]:
    """Render a template to requests; none if it has blocks and makes no request of these facts.

    Args:
        template: text of the template.
        values: its variables, as `template_values` returns them.

    Raises:
        TemplateError: if it cannot be rendered, renders nothing, or a request of it cannot be sent.
    """
    variables: dict[str, object] = msgspec.json.decode(values)
    environment = Sandbox()
    environment.filters.update(tojson=_to_json, urlpart=_to_url_part)
    blocks = _RequestBlocks(environment)
    environment.extensions[blocks.identifier] = blocks
    text = environment.render(template, variables)
    if blocks.are_in_template:
        _check_is_blank(text)
        return blocks.requests
    if not text.strip():
        raise TemplateError("it renders nothing")
    return [_checked(RenderedRequest(body=text), "the body")]


def shaped_requests(rendered: Iterable[RenderedRequest], shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    """Return requests as an endpoint sends them; one that names no fact delivers all facts and reports.

    Raises:
        TemplateError: if one names what the endpoint is not owed.
    """
    owed_ids = tuple(each.id for each in (*shape_input.facts, *shape_input.reports))
    return [_shaped(request, owed_ids) for request in rendered]


def _shaped(request: RenderedRequest, owed_ids: tuple[str, ...]) -> ShapedRequest:
    delivers = owed_ids if request.delivers is None else request.delivers
    if unknown := sorted(set(delivers).difference(owed_ids)):
        raise TemplateError(f"a request names the fact {unknown[0]!r}, which is not among `facts`")
    return ShapedRequest(
        body=request.body.encode(),
        key=content_key([request.method, request.path, request.content_type, request.body]),
        delivers=delivers,
        path=request.path,
        method=request.method,
        content_type=request.content_type,
    )


def _check_is_blank(text: str) -> None:
    if outside := " ".join(text.split()):
        raise TemplateError(f"it writes text outside of its request blocks ({outside[:_MAX_QUOTED_CHARACTERS]!r})")


class _RequestBlocks(Extension):
    """The block `request` with method, path, content type and `facts`; it collects the requests of one rendering."""

    tags = {"request"}  # noqa: RUF012 - as its base has it

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.are_in_template = False
        self.requests: list[RenderedRequest] = []
        self._total_bytes = 0
        self._is_open = False

    def parse(self, parser: Parser) -> nodes.Node:
        """Make a call of `collect` from a block, whose text is the call's `caller`."""
        self.are_in_template = True
        line = next(parser.stream).lineno
        positional, keywords = _arguments(parser)
        body = parser.parse_statements(("name:endrequest",), drop_needle=True)
        call = self.call_method("collect", positional, keywords, lineno=line)
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def collect(
        self,
        method: object = "POST",
        path: object = "",
        content_type: object = JSON,
        *,
        facts: object = None,
        caller: Callable[[], str],
    ) -> str:
        """Render the text of a block as a request; the block itself writes nothing.

        Raises:
            TemplateError: if the request cannot be sent, or is one too many.
        """
        if self._is_open:
            raise TemplateError("a request block is inside of another one")
        self._is_open = True
        body = caller()
        self._is_open = False
        request = RenderedRequest(
            body=body,
            method=_checked_method(method),
            path=_checked_path(path),
            content_type=_checked_content_type(content_type),
            delivers=None if facts is None else _ids(facts),
        )
        self._add(_checked(request, f"request {len(self.requests) + 1}"))
        return ""

    def _add(self, request: RenderedRequest) -> None:
        self.requests.append(request)
        self._total_bytes += len(request.body.encode())
        if len(self.requests) > MAX_REQUESTS:
            raise TemplateError(f"it makes more than {MAX_REQUESTS} requests")
        if self._total_bytes > MAX_TOTAL_BYTES:
            raise TemplateError(f"its requests have more than {MAX_TOTAL_BYTES:,} bytes together")


_PARAMETERS = ("method", "path", "content_type")


def _arguments(parser: Parser) -> tuple[list[nodes.Expr], list[nodes.Keyword]]:
    """Parse what is between `request` and the end of the tag."""
    positional: list[nodes.Expr] = []
    keywords: list[nodes.Keyword] = []
    while parser.stream.current.type != "block_end":
        if positional or keywords:
            parser.stream.expect("comma")
        if parser.stream.current.type == "name" and parser.stream.look().type == "assign":
            keywords.append(_keyword(parser))
        else:
            positional.append(parser.parse_expression())
    names = [*_PARAMETERS[: len(positional)], *(keyword.key for keyword in keywords)]
    if len(positional) > len(_PARAMETERS) or len(set(names)) < len(names):
        parser.fail("a request has a method, a path, a content type and facts, each once and in this order")
    return positional, keywords


def _keyword(parser: Parser) -> nodes.Keyword:
    token = next(parser.stream)
    if token.value not in (*_PARAMETERS, "facts"):
        parser.fail(f"a request has no {token.value!r}; it has method, path, content_type and facts", token.lineno)
    parser.stream.expect("assign")
    return nodes.Keyword(token.value, parser.parse_expression(), lineno=token.lineno)


def _ids(facts: object) -> tuple[str, ...]:
    """Return the ids of the facts that a block names: a list, or a single one.

    Raises:
        TemplateError: if it names something else.
    """
    each_fact = [facts] if isinstance(facts, Mapping) else facts
    if isinstance(each_fact, Iterable) and not isinstance(each_fact, str | Undefined):
        ids = [fact.get("id") if isinstance(fact, Mapping) else None for fact in each_fact]
        valid_ids = [fact_id for fact_id in ids if isinstance(fact_id, str)]
        if len(valid_ids) == len(ids):
            return tuple(dict.fromkeys(valid_ids))
    raise TemplateError("`facts` of a request is not a list of facts, such as facts=[fact]")


def _checked_method(method: object) -> str:
    if isinstance(method, str) and method in METHODS:
        return method
    raise TemplateError(f"the method {_quoted(method)} is not one of {', '.join(METHODS)}")


_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")


def _checked_path(path: object) -> str:
    """Return a path that stays below the endpoint's address, whatever a server makes of it.

    Raises:
        TemplateError: if it is another one.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path) or len(path) > _MAX_PATH_LENGTH:
        raise TemplateError(
            f"the path {_quoted(path)} is not valid; it begins with /, has no query and at most {_MAX_PATH_LENGTH:,} "
            "characters; write values with `urlpart`"
        )
    has_empty_part = "" in path.split("/")[1:-1]
    if has_empty_part or _leads_elsewhere(unquote(path)):
        raise TemplateError(f"the path {_quoted(path)} has a part that is empty, or that leads elsewhere")
    return path


_SEPARATOR = re.compile(r"([/\\;])")
"""What some servers take for the end of a part, also where it is escaped; after `;` they read parameters."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INSTEAD_OF_DOTS = {".": "_", "..": "__"}


def _leads_elsewhere(path: str) -> bool:
    """Whether a server that decodes a path before it looks for its parts could leave the path, or end the line."""
    return bool(_CONTROL.search(path) or _INSTEAD_OF_DOTS.keys() & set(_SEPARATOR.split(path)))


_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf'{_WORD}/{_WORD}(?: ?; ?{_WORD}=(?:{_WORD}|"[ -!#-\[\]-~]*"))*')
_MAX_MEDIA_TYPE_LENGTH = 200


def _checked_content_type(content_type: object) -> str:
    is_text = isinstance(content_type, str) and len(content_type) <= _MAX_MEDIA_TYPE_LENGTH
    if isinstance(content_type, str) and is_text and _MEDIA_TYPE.fullmatch(content_type):
        return content_type
    raise TemplateError(f"the content type {_quoted(content_type)} is not valid; write one such as {JSON}")


def _quoted(value: object) -> str:
    return repr(value if isinstance(value, str) else type(value).__name__)[:_MAX_QUOTED_CHARACTERS]


def _checked(request: RenderedRequest, name: str) -> RenderedRequest:
    """Return a request that can be sent; JSON without the blank space around it.

    Raises:
        TemplateError: if its body is too long, empty, not Unicode, or says that it is JSON and is not.
    """
    try:
        length_bytes = len(request.body.encode())
    except UnicodeEncodeError:
        raise TemplateError(f"{name} has half of a character (a lone surrogate)") from None
    if length_bytes > MAX_BODY_BYTES:
        raise TemplateError(f"{name} has more than {MAX_BODY_BYTES:,} bytes")
    if not request.body.strip():
        if request.method == "DELETE":
            return msgspec.structs.replace(request, body="")
        raise TemplateError(f"{name} is empty")
    if not _is_json(request.content_type):
        return request
    body = request.body.strip()
    _check_json(body, name)
    return msgspec.structs.replace(request, body=body)


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in (JSON, "text/json") or media_type.endswith("+json")


def _check_json(text: str, name: str) -> None:
    """Check that a text is JSON as every reader understands it.

    Raises:
        TemplateError: if it is not; the message has the place.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant, parse_float=_finite
        )
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        place = f"its line {error.lineno}, column {error.colno}"
        raise TemplateError(f"{name} is not valid JSON ({place}: {error.msg}); write values with `tojson`") from None
    except UnicodeEncodeError:
        raise TemplateError(f"{name} has half of a character (a lone surrogate)") from None
    except RecursionError:
        raise TemplateError(f"{name} is nested too deeply to be JSON") from None
    except ValueError as error:
        raise TemplateError(f"{name} is not valid JSON: {error}") from None


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        duplicate = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has {duplicate[:_MAX_QUOTED_CHARACTERS]!r} twice")
    return values


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError(f"{text[:_MAX_QUOTED_CHARACTERS]} is larger than any number that readers know")
    return number


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON value")


def _to_json(value: object, indent: int | None = None) -> str:
    """The filter `tojson`: a value as JSON, without the escapes that HTML needs."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, default=_refuse_value)


def _refuse_value(value: object) -> object:
    if isinstance(value, Undefined):
        str(value)  # raises, and names what is undefined
    raise TypeError(f"`tojson` cannot write a {type(value).__name__}; a filtered list needs `list` before it")


def _to_url_part(value: object) -> str:
    """The filter `urlpart`: a value as one part of a path, with everything escaped that has a meaning there.

    Dots alone would lead elsewhere, also as escapes, and a name of a stranger must not spoil a path.
    """
    pieces = _SEPARATOR.split(_CONTROL.sub("_", str(value)))
    text = "".join(_INSTEAD_OF_DOTS.get(piece, piece) for piece in pieces)
    return quote(text, safe="", errors="replace") or "_"
