"""The pages of a list: by offset, token, number or link, or a single one."""

import hashlib
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.settings.incidents.expressions import Expression
from dora_metrics.settings.incidents.systems import Paging, QueryValue
from dora_metrics.sources.incidents.api import Answer, IncidentApi, IncidentSystemError


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
    while position is not None:
        answer = _read(api, path, query, paging, position)
        items = items_of(answer, each)
        _check_is_new(items, digests)
        following = _next_position(paging, position, answer, items)
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
    paging: Paging, position: _PagePosition, answer: Answer, items: list[object]
) -> _PagePosition | None:
    """Return where the next page is; None after the last one."""
    match paging.kind:
        case "offset" if _has_more(paging, answer, items):
            return replace(position, value=int(position.value or 0) + paging.size)
        case "number" if _has_more(paging, answer, items):
            return replace(position, value=int(position.value or 0) + 1)
        case "token":
            token = _value_of(paging.next, answer)
            return _PagePosition(value=token) if isinstance(token, str | int) and token not in ("", False) else None
        case "link":
            link = answer.links.get(paging.parameter)
            return _PagePosition(link=link) if link else None
        case _:
            return None


def _has_more(paging: Paging, answer: Answer, items: list[object]) -> bool:
    if paging.more is not None:
        return bool(_value_of(paging.more, answer))
    return len(items) >= max(1, paging.size)


def _value_of(expression: Expression | None, answer: Answer) -> object:
    try:
        return expression.search(answer.body) if expression else None
    except ValueError:
        raise IncidentSystemError("where its next page is cannot be read; check `page`") from None


def _is_refused(paging: Paging, position: _PagePosition) -> bool:
    """Whether the system refuses so large an offset."""
    return bool(paging.end) and int(position.value or 0) >= paging.end
