"""Values of GraphQL fields: from a registered resolver, otherwise from the attribute of that name."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from graphql import GraphQLResolveInfo

from fakes.records import Record
from fakes.repository import Repository
from fakes.schema import QuerySize
from fakes.state import ServerState, Token

T = TypeVar("T")
Info = GraphQLResolveInfo[Any]
Value = Any
"""An argument, validated against the schema."""
R = TypeVar("R", bound=Record)
Resolver = Callable[..., Any]
PAGE_LIMIT = 100
LONG_CONNECTIONS = {"pullRequests", "deployments", "releases", "issues", "history", "repositories"}
"""The lists whose pages `ServerState.longest_page` makes shorter."""


class TypedError(Exception):
    """An error with GitHub's `type`, such as NOT_FOUND or STALE_DATA."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class UnknownFieldError(Exception):
    """A field that GitHub has and the fake does not implement."""


@dataclass(frozen=True)
class Context:
    state: ServerState
    token: Token
    size: QuerySize


_RESOLVERS: dict[tuple[str, str], Resolver] = {}


def field(kind: str, *names: str) -> Callable[[Resolver], Resolver]:
    """Register a resolver for fields of a GraphQL type."""

    def register(resolver: Resolver) -> Resolver:
        _RESOLVERS.update({(kind, name): resolver for name in names})
        return resolver

    return register


def resolve(source: Any, info: Info, **arguments: Any) -> Any:  # noqa: ANN401 - graphql-core's interface
    resolver = _RESOLVERS.get((info.parent_type.name, info.field_name))
    if resolver:
        return _serialised(resolver(source, info, **arguments))
    if isinstance(source, Mapping):
        return _serialised(source[info.field_name])
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", info.field_name).lower()
    if not hasattr(source, name):
        raise UnknownFieldError(f"the fake GitHub has no {info.parent_type.name}.{info.field_name}")
    return _serialised(getattr(source, name))


def _serialised(value: Any) -> Any:  # noqa: ANN401 - a field holds anything
    return timestamp(value) if isinstance(value, datetime) else value


def timestamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def type_of(value: Any, *_: object) -> str:  # noqa: ANN401 - graphql-core's interface
    return str(value.typename)


def context(info: Info) -> Context:
    typed_context: Context = info.context
    return typed_context


def require(info: Info, repository: Repository, capability: str, level: str = "read") -> None:
    if not context(info).token.is_allowed(capability, level, repository):
        raise TypedError("FORBIDDEN", "Resource not accessible by integration")


def connection(
    info: Info,
    items: Sequence[T],
    arguments: Mapping[str, Any],
    make_node: Callable[[T], object] = lambda item: item,
) -> dict[str, object]:
    """One page of a connection. Fails as on GitHub without `first` or `last`, or above 100."""
    head = items[0] if info.field_name == "history" and items else ""
    start, end = _page_bounds(info.field_name, len(items), arguments)
    if info.field_name in LONG_CONNECTIONS:
        end = min(end, start + context(info).state.longest_page)
    nodes = [make_node(item) for item in items[start:end]]
    cursors = [_cursor(start + index, str(head)) for index in range(len(nodes))]
    return {
        "totalCount": len(items),
        "nodes": nodes,
        "edges": [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)],
        "pageInfo": {
            "hasNextPage": end < len(items),
            "hasPreviousPage": start > 0,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _page_bounds(name: str, total: int, arguments: Mapping[str, Any]) -> tuple[int, int]:
    first, last = arguments.get("first"), arguments.get("last")
    if first is None and last is None:
        message = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
        raise TypedError("MISSING_PAGINATION_BOUNDARIES", message)
    for key, count in (("first", first), ("last", last)):
        if count is not None and not 0 <= count <= PAGE_LIMIT:
            message = f"Requesting {count} records on the `{name}` connection exceeds the `{key}` limit of 100 records."
            raise TypedError("EXCESSIVE_PAGINATION", message)
    start = _position(arguments["after"]) + 1 if arguments.get("after") else 0
    end = min(total, _position(arguments["before"])) if arguments.get("before") else total
    if first is not None:
        end = min(end, start + first)
    if last is not None:
        start = max(start, end - last)
    return start, max(start, end)


def _cursor(position: int, head: str = "") -> str:
    """The token of a position; for commits GitHub shows it as the first one and the number."""
    return f"{head} {position}" if head else base64.b64encode(f"cursor:{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        if " " in cursor:
            return int(cursor.partition(" ")[2])
        return int(base64.b64decode(cursor).decode().removeprefix("cursor:"))
    except ValueError as error:
        raise TypedError("INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor.") from error


def sort_records(records: Iterable[R], arguments: Mapping[str, Any]) -> list[R]:
    order = arguments.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
    name = {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "NAME": "tag_name"}[order["field"]]
    return sorted(records, key=lambda record: getattr(record, name), reverse=order["direction"] == "DESC")
