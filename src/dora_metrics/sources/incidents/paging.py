"""The pages of a list: by offset, token, number or link, or a single one."""

import hashlib
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.settings.incidents.expressions import Expression
from dora_metrics.settings.incidents.systems import Paging, QueryValue
from dora_metrics.sources.incidents.api import Answer, IncidentApi, IncidentSystemError
from dora_metrics.sources.incidents.links import address_of_relation


class Page(Struct, frozen=True):
    """The items of a page. `is_cut`: the list goes on, and the system does not show what follows."""

    items: list[object]
    is_cut: bool = False


class _PagePosition(Struct, frozen=True):
    """Where the next page is: an address, or a value of the parameter; None for the parameter's absence."""

    link: str | None = None
    value: str | int | None = None


def read_pages(
    api: IncidentApi, path: str, query: Mapping[str, QueryValue], each: Expression, paging: Paging
) -> Iterator[Page]:
    """Yield the pages of a list.

    Raises:
        IncidentSystemError: if one cannot be read, has no list, or was shown before.
    """
    position: _PagePosition | None = _first_position(paging)
    digests: set[bytes] = set()
    full_count = 0
    while position is not None:
        answer = _read(api, path, query, paging, position)
        items = items_of(answer, each)
        _check_has_no_errors(answer)
        _check_is_new(items, digests)
        full_count = max(full_count, len(items))
        following = _next_position(paging, position, answer, items, full_count)
        is_cut = following is not None and _is_refused(paging, following)
        yield Page(items, is_cut)
        position = None if is_cut else following


def items_of(answer: Answer, each: Expression) -> list[object]:
    """Return the items of a page.

    Raises:
        IncidentSystemError: if the answer has no list where the items should be.
    """
    try:
        items = each.search(answer.body)
    except ValueError:
        items = None
    if not isinstance(items, list):
        place = f"at {each.text!r}" if each.text != "@" else "of incidents"
        raise IncidentSystemError(f"its answer has no list {place}; it may be an error, or that of another service")
    return items


def _check_has_no_errors(answer: Answer) -> None:
    """Refuse a list that an error stands beside: what is missing in it is unread."""
    errors = [answer.body.get(name) for name in ("error", "errors")] if isinstance(answer.body, dict) else []
    if any(isinstance(each, str | list | dict) and each for each in errors):
        raise IncidentSystemError("its answer names an error besides the list; the query may be wrong, or it is busy")


def _read(
    api: IncidentApi, path: str, query: Mapping[str, QueryValue], paging: Paging, position: _PagePosition
) -> Answer:
    if position.link is not None:
        return api.follow(path, position.link)
    return api.get(path, query if position.value is None else {**query, paging.parameter: position.value})


def _check_is_new(items: list[object], digests: set[bytes]) -> None:
    if not items:
        return
    digest = hashlib.sha256(msgspec.json.encode(items)).digest()
    if digest in digests:
        raise IncidentSystemError("it shows a page a second time; check `page`, or its API may ignore the parameter")
    digests.add(digest)


def _first_position(paging: Paging) -> _PagePosition:
    return {"offset": _PagePosition(value=0), "number": _PagePosition(value=paging.first)}.get(
        paging.kind, _PagePosition()
    )


def _next_position(
    paging: Paging, position: _PagePosition, answer: Answer, items: list[object], full_count: int
) -> _PagePosition | None:
    """Return where the next page is; None after the last one. `full_count`: incidents of the largest page so far.

    Raises:
        IncidentSystemError: if the answer says that there is one, and not where.
    """
    match paging.kind:
        case "offset" if _has_more(paging, answer, items, full_count):
            return replace(position, value=int(position.value or 0) + len(items))
        case "number" if _has_more(paging, answer, items, full_count):
            return replace(position, value=int(position.value or 0) + 1)
        case "token":
            return _position_of_token(_value_of(paging.next, answer))
        case "link":
            link = address_of_relation(answer.link_header, paging.parameter)
            return None if link is None else _PagePosition(link=link)
        case _:
            return None


def _has_more(paging: Paging, answer: Answer, items: list[object], full_count: int) -> bool:
    """Whether another page follows. Without `more`, a page with fewer incidents than the others is the last one.

    A server may show fewer than it is asked for, so a first page that is not full proves nothing unless its vendor says
    how many a full one has.
    """
    if paging.more is None:
        return len(items) >= max(1, paging.size if paging.is_size_certain else min(paging.size, full_count))
    has_more = bool(_value_of(paging.more, answer))
    if has_more and not items:
        raise IncidentSystemError("it shows a page without incidents, and says that more follow; check `page.more`")
    return has_more


def _position_of_token(token: object) -> _PagePosition | None:
    """Return the page that a token leads to; None if there is no token.

    Raises:
        IncidentSystemError: if it cannot be sent as a parameter.
    """
    if token is None or token is False or token == "":
        return None
    if isinstance(token, bool) or not isinstance(token, str | int):
        raise IncidentSystemError("the token of its next page is neither a text nor a whole number; check `page.next`")
    return _PagePosition(value=token)


def _value_of(expression: Expression | None, answer: Answer) -> object:
    try:
        return expression.search(answer.body) if expression else None
    except ValueError:
        raise IncidentSystemError("where its next page is cannot be read; check `page`") from None


def _is_refused(paging: Paging, position: _PagePosition) -> bool:
    """Whether the system refuses so large an offset, or a page of this size there."""
    needed = max(1, paging.size) if paging.kind == "offset" else 1
    return bool(paging.end) and int(position.value or 0) + needed > paging.end
