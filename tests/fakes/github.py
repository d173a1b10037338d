"""A fake GitHub: real HTTP, real git, GitHub's published GraphQL schema, and faults to switch on.

    with FakeGitHub() as github:
        shop = github.repository("acme/shop")
        shop.merge_pull(shop.pull("Faster checkout", files={"a.txt": "1"}), method="squash")
        github.fail(unavailable(502), to="createCommitOnBranch", times=2)
        client = Github(base_url=github.api_url, auth=Auth.Token(github.token))

An unknown field or path fails the test when the `with` block ends. Unlike on GitHub, merges have no conflicts, there
are no ETags, nothing is compressed, and a write is visible to every reader at once.
"""

import json
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from fakes import execution, rest, rest_alerts, rest_git, rest_refs, schema
from fakes.faults import DroppedError, Fault, Faults, ReplacedAnswer, RequestInFlight, primary_limit
from fakes.repository import Repository
from fakes.routing import Answer, Call, HttpError, LoggedRequest, Request, dispatch
from fakes.server import Server
from fakes.state import DEFAULT_ACCOUNT, ServerState, Token

__all__ = ["FakeGitHub", "rest", "rest_alerts", "rest_git", "rest_refs"]


class FakeGitHub:
    """`now` is GitHub's clock; without `graphql`, node_modules is not needed."""

    def __init__(self, *, now: Callable[[], datetime] | None = None, graphql: bool = True) -> None:
        self._schema: Path | None = schema.schema_path() if graphql else None
        self._folder = TemporaryDirectory(prefix="fake-github-", ignore_cleanup_errors=True)
        self._closing = threading.Event()
        self._faults = Faults()
        self._server: Server | None = None
        self.state = ServerState(Path(self._folder.name), now)
        self.token = self.state.grant()
        self.requests: list[LoggedRequest] = []
        self.problems: list[str] = []

    def __enter__(self) -> Self:
        self._server = Server(self.answer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._server:
            self._server.close()
        with self.state.lock:
            self.state.close()
        self._folder.cleanup()
        if kind is None and self.problems:
            raise AssertionError("the fake GitHub could not do what was asked: " + "; ".join(self.problems))

    @property
    def root_url(self) -> str:
        """Base URL as on github.com: /repos/…, /graphql."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def api_url(self) -> str:
        """Base URL as on a GitHub Enterprise Server: …/api/v3; clients derive …/api/graphql from it."""
        return f"{self.root_url}/api/v3"

    @property
    def graphql_url(self) -> str:
        return f"{self.root_url}/api/graphql"

    def repository(
        self, name: str = "acme/shop", *, private: bool = False, default_branch: str = "main", empty: bool = False
    ) -> Repository:
        return self.state.repository(name, private=private, default_branch=default_branch, empty=empty)

    def grant(
        self,
        *,
        default: str = "write",
        repositories: set[str] | None = None,
        account: str = DEFAULT_ACCOUNT,
        **permissions: str,
    ) -> str:
        """Create a token with other permissions: `grant(contents="read")`, `grant(default="none", issues="write")`."""
        return self.state.grant(default=default, repositories=repositories, account=account, **permissions)

    def fail(self, fault: Fault, to: str = "*", times: int | None = 1, skip: int = 0) -> None:
        """Let the next requests meet a fault, after skipping some. times None: all requests from then on.

        `to` matches `GET /repos/acme/shop/pulls` (without /api/v3), an operation's name, or a top-level field.
        """
        self._faults.add(fault, to, times, skip)

    def heal(self) -> None:
        self._faults.clear()

    def requests_matching(self, to: str = "*") -> list[LoggedRequest]:
        """Logged requests that match a pattern as `fail` takes it."""
        return [request for request in list(self.requests) if request.matches(to)]

    # answering

    def answer(self, request: Request) -> Answer:
        logged = self._log_request(request)
        in_flight = RequestInFlight(request, self._closing)
        faults = self._faults.faults_for(logged)
        try:
            for fault in faults:
                fault.before(in_flight)
            with self.state.lock:
                answer = self._handle(request)
            for fault in faults:
                answer = fault.after(in_flight, answer)
            answer = answer.encoded_for(request)
        except ReplacedAnswer as replaced:
            answer = replaced.answer
        except DroppedError:
            raise
        except Exception as error:  # noqa: BLE001 - an error of the fake itself, reported when the test ends
            self.problems.append(f"{request.method} {request.path}: {error!r}")
            answer = HttpError(500, "Server Error").answer
        logged.status, logged.sent_bytes = answer.status, len(answer.data)
        return answer

    def _log_request(self, request: Request) -> LoggedRequest:
        name, fields = _operation_of(request) if request.is_graphql else (None, ())
        logged = LoggedRequest(request.method, request.path, name, fields, len(request.body))
        self.requests.append(logged)
        return logged

    def _handle(self, request: Request) -> Answer:
        budget = self.state.budgets["graphql" if request.is_graphql else "core"]
        try:
            token = self._token(request)
            if request.path == "/rate_limit":
                return Answer(200, self._limits())
            if not budget.remaining:
                primary_limit(reset=budget.reset).before(RequestInFlight(request, self._closing))
            answer = self._graphql(token, request) if request.is_graphql else self._rest(token, request)
        except HttpError as error:
            answer = error.answer
        return Answer(answer.status, answer.body, budget.headers() | dict(answer.headers))

    def _token(self, request: Request) -> Token:
        if "User-Agent" not in request.headers:
            raise HttpError(
                403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
            )
        text = request.headers.get("Authorization", "").rpartition(" ")[2]
        token = self.state.tokens.get(text)
        if token is None:
            raise HttpError(401, "Bad credentials" if text else "Requires authentication")
        return token

    def _limits(self) -> dict[str, Any]:
        budgets = self.state.budgets.values()
        rows = {
            budget.resource: {
                "limit": budget.limit,
                "used": budget.used,
                "remaining": budget.remaining,
                "reset": budget.reset,
            }
            for budget in budgets
        }
        return {"resources": rows, "rate": rows["core"]}

    def _rest(self, token: Token, request: Request) -> Answer:
        self.state.budgets["core"].used += 1
        return dispatch(Call(self.state, token, request))

    def _graphql(self, token: Token, request: Request) -> Answer:
        if self._schema is None or request.method != "POST":
            raise HttpError(404, "Not Found")
        return Answer(200, execution.answer(self.state, token, request.json(), self._schema, self.problems))


def _operation_of(request: Request) -> tuple[str | None, tuple[str, ...]]:
    """Operation name and top-level fields of a GraphQL request, for the log."""
    try:
        body = json.loads(request.body)
        document = schema.parse_query(body["query"])
    except (ValueError, KeyError, TypeError):
        return None, ()
    operation = document.operation(body.get("operationName"))
    name = operation.name.value if operation and operation.name else None
    return name, document.roots(body.get("operationName"))
