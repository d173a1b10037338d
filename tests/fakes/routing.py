"""Requests and answers as plain data, the request log, and the routing of REST paths."""

import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from fakes.repository import Repository
from fakes.state import ServerState, Token

T = TypeVar("T")
DOCUMENTATION = "https://docs.github.com/rest"
PREFIXES = ("/api/v3", "/api")
_SHORTEST_COMPRESSED_BYTES = 1_400


@dataclass(frozen=True)
class Request:
    """A received request; `path` has no prefix of a GitHub Enterprise Server."""

    method: str
    target: str
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def prefix(self) -> str:
        return next((prefix for prefix in PREFIXES if self.target.startswith(prefix + "/")), "")

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path.removeprefix(self.prefix)).rstrip("/") or "/"

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def base(self) -> str:
        return f"http://{self.host}{self.prefix}"

    @property
    def is_graphql(self) -> bool:
        return self.path == "/graphql"

    def json(self) -> dict[str, Any]:
        try:
            parsed = json.loads(self.body or b"{}")
        except ValueError as error:
            raise HttpError(400, "Problems parsing JSON") from error
        return parsed if isinstance(parsed, dict) else {}


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, separators=(",", ":")).encode()

    def encoded_for(self, request: Request) -> "Answer":
        """Return it compressed, as GitHub sends all but the shortest answers to clients that accept gzip."""
        accepts_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        if not accepts_gzip or len(self.data) < _SHORTEST_COMPRESSED_BYTES or "Content-Encoding" in self.headers:
            return self
        return replace(self, body=gzip.compress(self.data, 6), headers={**self.headers, "Content-Encoding": "gzip"})


@dataclass
class LoggedRequest:
    """A logged request. Status 0 means no answer, or none yet. Sizes are those of the bodies as they are sent."""

    method: str
    path: str
    operation: str | None
    fields: tuple[str, ...]
    received_bytes: int
    sent_bytes: int = 0
    status: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names that a fault can match: `GET /repos/acme/shop`, the operation, its top-level fields."""
        return (f"{self.method} {self.path}", *([self.operation] if self.operation else []), *self.fields)

    def matches(self, pattern: str) -> bool:
        return any(fnmatchcase(name, pattern) for name in self.names)


class HttpError(Exception):
    """An unsuccessful answer in GitHub's format."""

    def __init__(self, status: int, message: str, errors: Sequence[object] = ()) -> None:
        super().__init__(message)
        body = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
        self.answer = Answer(status, body | ({"errors": list(errors)} if errors else {}))


def validation_error(resource: str, name: str, code: str = "invalid", message: str = "") -> HttpError:
    error = {"resource": resource, "field": name, "code": code} | ({"message": message} if message else {})
    return HttpError(422, "Validation Failed", [error])


@dataclass(frozen=True)
class Call:
    """A REST request with the token that sent it."""

    state: ServerState
    token: Token
    request: Request

    @property
    def query(self) -> dict[str, str]:
        return self.request.query

    @property
    def base(self) -> str:
        return self.request.base

    def require(self, repository: Repository, capability: str, level: str = "read") -> None:
        if not self.token.is_allowed(capability, level, repository):
            raise HttpError(403, "Resource not accessible by integration")

    def number(self, name: str, default: int, maximum: int) -> int:
        text = self.query.get(name, "")
        return min(int(text), maximum) if text.isdigit() and int(text) else default

    def page(
        self, items: Sequence[T], view: Callable[[T], object], *, default: int = 30, maximum: int = 100
    ) -> tuple[list[object], dict[str, str]]:
        """The requested page, and the Link header of its neighbours."""
        size = min(self.number("per_page", default, maximum), self.state.longest_page)
        page = self.number("page", 1, 1_000_000)
        last = max(1, -(-len(items) // size))
        links = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        has_page = {"prev": page > 1, "first": page > 1, "next": page < last, "last": page < last}
        header = ", ".join(f'<{self._link(links[name], size)}>; rel="{name}"' for name in links if has_page[name])
        rows = [view(item) for item in items[(page - 1) * size : page * size]]
        return rows, {"Link": header} if header else {}

    def _link(self, page: int, size: int) -> str:
        query = self.query | {"page": str(page), "per_page": str(size)}
        return f"{self.base}{self.request.path}?{urlencode(query)}"

    def page_answer(self, items: Sequence[T], view: Callable[[T], object]) -> Answer:
        rows, headers = self.page(items, view)
        return Answer(200, rows, headers)


Handler = Callable[..., Answer]
_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []
_ORGANISATION_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register a handler of a path below a repository; `{name}` is one segment, `{name*}` the rest."""
    expression = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", pattern)
    expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)
    compiled = re.compile(r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)" + expression)

    def register(handler: Handler) -> Handler:
        _ROUTES.append((method, compiled, handler))
        return handler

    return register


def organisation_route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register a handler of a path below an organisation, which gets the organisation's repositories."""
    compiled = re.compile(r"/orgs/(?P<organisation>[^/]+)" + pattern)

    def register(handler: Handler) -> Handler:
        _ORGANISATION_ROUTES.append((method, compiled, handler))
        return handler

    return register


def _path_by_name(call: Call) -> str:
    """The path of a request, with the name of a repository that it has by number."""
    match = re.fullmatch(r"/repositories/(\d+)(/.*)?", call.request.path)
    if match is None:
        return call.request.path
    repository = call.state.nodes.get(f"R_{match[1]}")
    if not isinstance(repository, Repository):
        raise HttpError(404, "Not Found")
    return f"/repos/{repository.name_with_owner}{match[2] or ''}"


def _redirect(call: Call, repository: Repository) -> Answer:
    """The answer to a request with a former name: the same path by the repository's number."""
    rest = re.sub(r"^/repos/[^/]+/[^/]+", "", urlsplit(call.request.target).path.removeprefix(call.request.prefix))
    query = urlsplit(call.request.target).query
    location = f"{call.base}/repositories/{repository.database_id}{rest}" + (f"?{query}" if query else "")
    status = 301 if call.request.method == "GET" else 307
    return Answer(status, {"message": "Moved Permanently", "url": location}, {"Location": location})


def _repositories_of(call: Call, organisation: str) -> list[Repository]:
    """The repositories of an organisation that the token may know of; a person has no such paths."""
    owned = call.state.owned_repositories(organisation, call.token)
    if not owned or organisation.lower() in call.state.people:
        raise HttpError(404, "Not Found")
    return owned


def dispatch(call: Call) -> Answer:
    """Find and call the handler. A path without one is a gap in the fake and raises an error."""
    path = _path_by_name(call)
    for method, pattern, handler in _ORGANISATION_ROUTES:
        match = pattern.fullmatch(path)
        if match and method == call.request.method:
            return handler(call, _repositories_of(call, match["organisation"]))
    for method, pattern, handler in _ROUTES:
        match = pattern.fullmatch(path)
        if match and method == call.request.method:
            parts = match.groupdict()
            name = f"{parts.pop('owner')}/{parts.pop('repo')}"
            repository = call.state.find_repository(name, call.token)
            if repository is None:
                raise HttpError(404, "Not Found")
            if repository.name_with_owner.lower() != name.lower():
                return _redirect(call, repository)
            return handler(call, repository, **parts)
    raise NotImplementedError(f"the fake GitHub does not know {call.request.method} {call.request.path}")
