"""Faults that the next requests meet: outages, timeouts, rate limits, partial errors, concurrent writers."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from fakes.repository import Repository
from fakes.routing import Answer, HttpError, LoggedRequest, Request
from fakes.store import Files

LONG_SECONDS = 600.0
_OK = 200


class DroppedError(Exception):
    """The connection closes without an answer."""


class ReplacedAnswer(Exception):  # noqa: N818 - not an error, but an answer in place of the real one
    """An answer given before the request is handled."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


@dataclass(frozen=True)
class RequestInFlight:
    """A request as a fault meets it; `closing` is set when the server stops."""

    request: Request
    closing: threading.Event


class Fault:
    def before(self, in_flight: RequestInFlight) -> None:
        """Called before the request is handled; raise to prevent that."""

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        """Called after the request was handled; return the answer to send."""
        del in_flight
        return answer


@dataclass(frozen=True)
class latency(Fault):  # noqa: N801 - read as a verb: `fail(latency(0.2))`
    """Delay every answer."""

    seconds: float

    def before(self, in_flight: RequestInFlight) -> None:
        in_flight.closing.wait(self.seconds)


@dataclass(frozen=True)
class unavailable(Fault):  # noqa: N801
    """Answer 502, 503 or similar; with `applied` after the request was handled."""

    status: int = 502
    applied: bool = False

    def before(self, in_flight: RequestInFlight) -> None:
        del in_flight
        if not self.applied:
            raise ReplacedAnswer(self.answer)

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight, answer
        return self.answer

    @property
    def answer(self) -> Answer:
        return Answer(self.status, b"<html><body><h1>Unicorn!</h1></body></html>", {"Content-Type": "text/html"})


@dataclass(frozen=True)
class hang(Fault):  # noqa: N801
    """Keep the connection open without an answer; with `applied` after the request was handled."""

    seconds: float = LONG_SECONDS
    applied: bool = False

    def before(self, in_flight: RequestInFlight) -> None:
        if not self.applied:
            self._hang(in_flight)

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del answer
        return self._hang(in_flight)

    def _hang(self, in_flight: RequestInFlight) -> NoReturn:
        in_flight.closing.wait(self.seconds)
        raise DroppedError


@dataclass(frozen=True)
class dropped(Fault):  # noqa: N801
    """Close the connection without an answer; with `applied` after the request was handled."""

    applied: bool = False

    def before(self, in_flight: RequestInFlight) -> None:
        del in_flight
        if not self.applied:
            raise DroppedError

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight, answer
        raise DroppedError


@dataclass(frozen=True)
class primary_limit(Fault):  # noqa: N801
    """The hour's requests are used up: 403 or 429; for GraphQL HTTP 200 with an error of type `kind`.

    `reset` is an exact time, or an invalid value. With `remaining` GraphQL refuses queries that cost more than that.
    """

    status: int = 403
    reset_in: int = 3600
    kind: str = "RATE_LIMITED"
    message: str = "API rate limit exceeded for installation ID 1."
    reset: object = None
    remaining: int = 0

    def before(self, in_flight: RequestInFlight) -> None:
        graphql = in_flight.request.is_graphql
        body = HttpError(self.status, self.message).answer.body
        graphql_body = {"errors": [{"type": self.kind, "message": self.message}]}
        raise ReplacedAnswer(
            Answer(200 if graphql else self.status, graphql_body if graphql else body, self.headers(graphql=graphql))
        )

    def headers(self, *, graphql: bool) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": "1000",
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Used": str(1000 - self.remaining),
            "X-RateLimit-Reset": str(int(time.time()) + self.reset_in if self.reset is None else self.reset),
            "X-RateLimit-Resource": "graphql" if graphql else "core",
        }


@dataclass(frozen=True)
class secondary_limit(Fault):  # noqa: N801
    """A secondary rate limit: 403 or 429, usually with Retry-After; status 200 is GraphQL's form. Requests are left."""

    retry_after: object = 1
    status: int = 403

    def before(self, in_flight: RequestInFlight) -> None:
        message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        body = {"errors": [{"message": message}]} if self.status == _OK else HttpError(self.status, message).answer.body
        budget = primary_limit(remaining=900).headers(graphql=in_flight.request.is_graphql)
        retry_headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        raise ReplacedAnswer(Answer(self.status, body, budget | retry_headers))


@dataclass(frozen=True)
class custom_answer(Fault):  # noqa: N801
    """Answer something else, as a proxy might; the request is not handled."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def before(self, in_flight: RequestInFlight) -> None:
        del in_flight
        raise ReplacedAnswer(Answer(self.status, self.body, self.headers))


@dataclass(frozen=True)
class with_headers(Fault):  # noqa: N801
    """Replace headers of GitHub's own answer."""

    headers: Mapping[str, str]

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        return replace(answer, headers={**answer.headers, **self.headers})


@dataclass(frozen=True)
class partial_errors(Fault):  # noqa: N801
    """GraphQL answers with data and errors: the value at `path` is null. Without a path there is no data."""

    path: str = ""
    kind: str | None = None
    message: str = "Something went wrong while executing your query."

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        steps = [int(step) if step.isdigit() else step for step in self.path.split(".") if step]
        body = dict(answer.body)
        if steps:
            _set_null(body["data"], steps)
        else:
            body["data"] = None
        error = {"path": steps, "message": self.message} | ({"type": self.kind} if self.kind else {})
        return replace(answer, body=body | {"errors": [*body.get("errors", []), error]})


@dataclass(frozen=True)
class changed_answer(Fault):  # noqa: N801
    """Change the data in GitHub's own answer, and nothing else about it."""

    change: Callable[[dict[str, Any], Request], None]

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        body = json.loads(json.dumps(answer.body))
        self.change(body, in_flight.request)
        return replace(answer, body=body)


def _set_null(data: Any, steps: list[int | str]) -> None:  # noqa: ANN401 - JSON
    for step in steps[:-1]:
        data = data[step]
    data[steps[-1]] = None


@dataclass(frozen=True)
class meanwhile(Fault):  # noqa: N801
    """Call a function just before the request is handled; with `applied` after that, before the answer."""

    happens: Callable[[], object]
    applied: bool = False

    def before(self, in_flight: RequestInFlight) -> None:
        del in_flight
        if not self.applied:
            self.happens()

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        if self.applied:
            self.happens()
        return answer


def stale_head(repository: Repository, branch: str, files: Files | None = None) -> Fault:
    """Another writer commits to the branch just before the request is handled."""
    return meanwhile(
        lambda: repository.commit(files or {"other.txt": "other"}, message="Another writer", branch=branch)
    )


@dataclass
class PlannedFault:
    fault: Fault
    to: str
    remaining_uses: int | None
    skip: int

    def applies_to(self, request: LoggedRequest) -> bool:
        """Whether the fault applies to this request; counts the request."""
        if self.remaining_uses == 0 or not request.matches(self.to):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.remaining_uses = None if self.remaining_uses is None else self.remaining_uses - 1
        return True


class Faults:
    def __init__(self) -> None:
        self._planned: list[PlannedFault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault, to: str, times: int | None, skip: int) -> None:
        with self._lock:
            self._planned.append(PlannedFault(fault, to, times, skip))

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def faults_for(self, request: LoggedRequest) -> list[Fault]:
        """Faults that apply to this request."""
        with self._lock:
            return [plan.fault for plan in self._planned if plan.applies_to(request)]
