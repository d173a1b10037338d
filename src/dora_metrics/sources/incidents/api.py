"""Requests to the API of an incident system: bounded in time, size and number, and failures without secrets.

Nothing of an answer is quoted, and no redirect is followed: the request may hold a token.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urljoin

import msgspec
from msgspec import Struct

from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.markdown import storable
from dora_metrics.core.windows import parse_http_date
from dora_metrics.http_session import (
    BodyProblem,
    ExchangeFailure,
    ExchangeLimits,
    FailureKind,
    HttpRequest,
    HttpResponse,
    HttpSession,
    may_pass,
)
from dora_metrics.settings.hosts import Origin
from dora_metrics.settings.incident_access import names_token
from dora_metrics.settings.incidents.systems import IncidentSystem, QueryValue
from dora_metrics.settings.tokens import NamedToken

MAX_BODY_BYTES = 16_000_000
"""Of one page."""
MAX_REQUESTS = 200
"""In one reading of a system."""
LONGEST_RETRY_AFTER_SECONDS = 120

_OK, _UNAUTHORISED, _NOT_FOUND = 200, 401, 404
_TOO_MANY_STATUSES = (420, 429)
_RETRIED_STATUSES = (*_TOO_MANY_STATUSES, 500, 502, 503, 504)


class IncidentSystemError(Exception):
    """A request has no usable answer. The text says what happened and what to do.

    `status` is that of the answer; None if there was none, or if the problem is another one. `is_last`: whether no
    further request can be sent in this reading.
    """

    def __init__(self, text: str, status: int | None = None, *, is_last: bool = False) -> None:
        super().__init__(text)
        self.status, self._is_last = status, is_last

    @property
    def ends_reading(self) -> bool:
        """Whether another request would have no answer either."""
        return self._is_last or self.status in (_UNAUTHORISED, *_TOO_MANY_STATUSES)

    @property
    def is_not_found(self) -> bool:
        """Whether the system says that it has no such thing."""
        return self.status == _NOT_FOUND


class Answer(Struct, frozen=True):
    """A page: its JSON, and its header `Link`, empty without one."""

    body: Any
    link_header: str


class RequestLimits(Struct, frozen=True):
    """Limits of a reading.

    Attributes:
        connect_seconds: how long connecting may take.
        page_seconds: how long one page may take.
        tries: how often a request is sent at most.
        pause_seconds: the pause before another try, if the system names no time.
    """

    connect_seconds: float
    page_seconds: float
    tries: int
    pause_seconds: float


@dataclass
class IncidentApi:
    """The API of one system.

    Attributes:
        system: the system.
        token: what is sent to it; None without one.
        limits: of the requests.
        pause: waits for some seconds.
        seconds_left: what is left of the time for all requests.
        now: the present, for times in answers.
        request_count: how many requests were sent.
    """

    system: IncidentSystem
    token: NamedToken | None = field(repr=False)
    limits: RequestLimits
    pause: Callable[[float], None]
    seconds_left: Callable[[], float]
    now: datetime
    request_count: int = 0

    def __post_init__(self) -> None:
        self._session = HttpSession(
            ExchangeLimits(
                connect_seconds=self.limits.connect_seconds,
                silence_seconds=self.limits.page_seconds,
                total_seconds=self.limits.page_seconds,
                max_body_bytes=MAX_BODY_BYTES,
            )
        )

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Close the connections at the end of the block."""
        with self._session:
            yield

    def get(self, path: str, query: Mapping[str, QueryValue]) -> Answer:
        """Return the page at a path below the system's address.

        Raises:
            IncidentSystemError: if it cannot be read completely.
        """
        parameters = urlencode([(name, _text(each)) for name, value in query.items() for each in _values(value)])
        return self._page(f"{self.system.url}{path}{'?' if parameters else ''}{parameters}")

    def follow(self, path: str, link: str) -> Answer:
        """Return the page that a header `Link` of the page at a path names, which must be on the same host.

        Raises:
            IncidentSystemError: if it is elsewhere, or cannot be read completely.
        """
        address = urljoin(f"{self.system.url}{path}", link)
        if Origin.of_link(address) != self.system.origin:
            raise IncidentSystemError("the link to its next page leads to another host, which is not asked")
        return self._page(address)

    def _page(self, address: str) -> Answer:
        response = self._exchange(HttpRequest("GET", address, headers=self._headers))
        if response.status != _OK:
            raise IncidentSystemError(f"HTTP {response.status}: {_hint(response.status)}", response.status)
        if response.body_problem is BodyProblem.TOO_LARGE:
            raise IncidentSystemError(f"a page is larger than {MAX_BODY_BYTES // 1_000_000} MB; ask for smaller pages")
        if response.body_problem:
            raise IncidentSystemError(f"the answer is {response.body_problem.value}; the next sync asks again")
        return Answer(_decode(response.body), response.headers.get("link", ""))

    @property
    def _headers(self) -> dict[str, str]:
        """The headers of a request; those that hold a token are left out without one."""
        headers = self.system.headers.items()
        if self.token is None:
            return {name: value for name, value in headers if not names_token(value)}
        return {name: self.token.fill(value) for name, value in headers}

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        """Send a request, again if it may be answered later; a time to wait is respected once."""
        has_waited = False
        for earlier_tries in range(self.limits.tries):
            response = self._send(request)
            retry_after = _retry_after_seconds(response, self.now)
            is_last = earlier_tries + 1 == self.limits.tries or not may_pass(response, _RETRIED_STATUSES)
            if is_last or (retry_after is not None and (has_waited or not self._can_wait(retry_after))):
                break
            has_waited = has_waited or retry_after is not None
            self.pause(self.limits.pause_seconds if retry_after is None else retry_after)
        if isinstance(response, ExchangeFailure):
            raise IncidentSystemError(_FAILURES[response.kind])
        return response

    def _send(self, request: HttpRequest) -> HttpResponse | ExchangeFailure:
        if self.request_count == MAX_REQUESTS:
            raise IncidentSystemError(f"more than {MAX_REQUESTS} requests are not sent in one reading", is_last=True)
        if not self.seconds_left():
            raise IncidentSystemError("the time for one reading is over", is_last=True)
        self.request_count += 1
        return self._session.exchange(request, lambda status: status == _OK, self.seconds_left())

    def _can_wait(self, seconds: float) -> bool:
        return seconds <= LONGEST_RETRY_AFTER_SECONDS and seconds < self.seconds_left()


def _values(value: QueryValue) -> list[str | int | bool]:
    return [*value] if isinstance(value, list) else [value]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _retry_after_seconds(response: HttpResponse | ExchangeFailure, now: datetime) -> float | None:
    """Return how long the header `Retry-After` says to wait; None without one that can be read."""
    text = "" if isinstance(response, ExchangeFailure) else response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,15}", text):
        return float(text)
    time = parse_http_date(text)
    return None if time is None else max(0.0, (time - now).total_seconds())


def _decode(body: bytes) -> Any:  # noqa: ANN401 - JSON
    with suppress(*UNREADABLE_JSON):
        return msgspec.json.decode(body)
    try:
        return _storable(json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant))
    except (ValueError, RecursionError):
        raise IncidentSystemError(_NOT_JSON) from None


def _storable(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON with texts that can be stored. Half a character, as of an emoji that was cut, is common."""
    match value:
        case str():
            return storable(value)
        case list():
            return [_storable(each) for each in value]
        case dict():
            return {storable(name): _storable(each) for name, each in value.items()}
        case _:
            return value


def _refuse_constant(name: str) -> None:
    """JSON has no such numbers.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is not JSON")


_NOT_JSON = "its answer is not JSON; the address may be that of a page that asks to sign in, or the answer was cut off"
_FAILURES = {
    FailureKind.TLS: "the TLS connection failed; check the certificate of its address",
    FailureKind.NO_CONNECTION: "there is no connection; this runner may not reach its host and port",
    FailureKind.CONNECT_TIMEOUT: "no connection was made in time; check host, port and firewall",
    FailureKind.CUT: "the connection closed before an answer; the next sync asks again",
    FailureKind.SILENCE: "it did not answer in time; the next sync asks again",
    FailureKind.DEADLINE: "it did not answer completely in time; the next sync asks again",
    FailureKind.BAD_ADDRESS: "the address is not valid; check `url`",
    FailureKind.BAD_HEADER: "a header cannot be sent; check its token in `incident-tokens`",
}
_HINTS = {
    400: "it does not accept the request; check what the system's settings ask for",
    401: "it does not accept the token; check its line in `incident-tokens`",
    403: "the token may not read incidents; docs/incidents.md names the permission",
    404: "there is nothing at this address; check `url` and what its path is made of",
    410: "this address does not exist any more; the program may be older than the system's API",
}


def _hint(status: int) -> str:
    if status in _TOO_MANY_STATUSES:
        return "it allows no more requests at the moment; the next sync goes on"
    if math.floor(status / 100) == 3:  # noqa: PLR2004 - a redirect
        return "it redirects, which is not followed; set `url` to the final address"
    return _HINTS.get(status, "the next sync asks again" if status >= 500 else "check the system's settings")  # noqa: PLR2004
