"""What can go wrong on the way to GitHub and back, to be switched on for the next requests of a kind."""

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
    """The connection goes without an answer."""


class ReplacedAnswer(Exception):  # noqa: N818 - no error of the fake's, an answer in another's place
    """An answer given before the request reached anything."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


@dataclass(frozen=True)
class RequestInFlight:
    """A request on its way, as a fault meets it."""

    request: Request
    closing: threading.Event


class Fault:
    def before(self, in_flight: RequestInFlight) -> None:
        """Happens before the request reaches GitHub; raising keeps it away."""

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        """Happens when the request has done its work."""
        del in_flight
        return answer


@dataclass(frozen=True)
class latency(Fault):  # noqa: N801 - read as a verb: `fail(latency(0.2))`
    """Every answer comes so much later."""

    seconds: float

    def before(self, in_flight: RequestInFlight) -> None:
        in_flight.closing.wait(self.seconds)


@dataclass(frozen=True)
class unavailable(Fault):  # noqa: N801
    """502, 503 and their like; with `applied` after the request has done its work."""

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
    """No answer, on an open connection, for longer than anybody waits; `applied`: though the work is done."""

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
    """The connection closes without an answer; with `applied` after the request has done its work."""

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
    """The hour's requests are used up: 403 or 429, but HTTP 200 with an error of this type for GraphQL.

    `reset` is an exact time, or nonsense; GraphQL also refuses what costs more than what is `remaining`.
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
    """Too much at once: 403 or 429, most times with Retry-After; 200 for GraphQL, with an error. The hour has more."""

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
    """Something else answers, a proxy perhaps, or GitHub in a way that is rare; the request reaches nothing."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def before(self, in_flight: RequestInFlight) -> None:
        del in_flight
        raise ReplacedAnswer(Answer(self.status, self.body, self.headers))


@dataclass(frozen=True)
class with_headers(Fault):  # noqa: N801
    """GitHub's own answer, with these headers instead of its own."""

    headers: Mapping[str, str]

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        return replace(answer, headers={**answer.headers, **self.headers})


@dataclass(frozen=True)
class partial_errors(Fault):  # noqa: N801
    """GraphQL answers with data and errors: what stands at the path is null. No path: nothing but errors."""

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


def _set_null(data: Any, steps: list[int | str]) -> None:  # noqa: ANN401 - JSON
    for step in steps[:-1]:
        data = data[step]
    data[steps[-1]] = None


@dataclass(frozen=True)
class meanwhile(Fault):  # noqa: N801
    """Something happens just before the request arrives; `applied`: when its work is done, before the answer."""

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
    """Another writer commits to the branch just before."""
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
        """Whether this request is one of those meant; it counts the request."""
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
        """The faults that meet this request."""
        with self._lock:
            return [plan.fault for plan in self._planned if plan.applies_to(request)]
