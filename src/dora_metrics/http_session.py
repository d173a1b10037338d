"""HTTP exchanges with the outside: GitHub's API, sinks and health checks.

Every exchange has a deadline and a size limit, and follows no redirect. A failure is a value: exceptions of requests
and urllib3 hold the request, and with it the token, so none of them leaves this module.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from socket import SHUT_RDWR, socket
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

import requests
from msgspec import Struct
from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_auth_from_url
from urllib3 import BaseHTTPResponse, HTTPConnectionPool
from urllib3.exceptions import HTTPError, LocationValueError, ProtocolError, ReadTimeoutError

from dora_metrics.runtime import Deadline

T = TypeVar("T")

THREAD_NAME = "http-exchange"
"""Of the threads that read answers, for whoever looks at a process."""

_CHUNK_BYTES = 256 * 1024
_SCHEMES = ("http://", "https://")


class FailureKind(Enum):
    """Why there is no answer."""

    TLS = "the TLS connection failed"
    NO_CONNECTION = "there is no connection"
    CONNECT_TIMEOUT = "no connection was made in time"
    CUT = "the connection closed before an answer"
    SILENCE = "the answer did not begin in time"
    DEADLINE = "the exchange took too long"
    BAD_ADDRESS = "the address is not valid"
    BAD_HEADER = "a header cannot be sent"


TRANSIENT_FAILURES = frozenset({
    FailureKind.NO_CONNECTION, FailureKind.CONNECT_TIMEOUT, FailureKind.CUT, FailureKind.SILENCE,
})  # fmt: skip
"""After these, the same request may be answered a little later."""


class BodyProblem(Enum):
    """Why a body is not complete."""

    TOO_LARGE = "larger than the limit"
    TOO_SLOW = "not complete in time"
    CUT = "cut off or not decompressible"


class ExchangeLimits(Struct, frozen=True):
    """Bounds of one exchange.

    Attributes:
        connect_seconds: to connect to one address of the host.
        silence_seconds: between two parts of the answer.
        total_seconds: the whole exchange: look-up, connection, sending, headers, body.
        body_seconds: the body, counted from the headers.
        max_body_bytes: of the decompressed body; what follows is not read.
    """

    connect_seconds: float
    silence_seconds: float
    total_seconds: float
    max_body_bytes: int
    body_seconds: float = inf


@dataclass(frozen=True)
class HttpRequest:
    """One request. Its address, headers and body may hold secrets."""

    method: str
    url: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: AuthBase | None = field(default=None, repr=False)


class HttpResponse(Struct, frozen=True):
    """An answer: `headers` with names in lower case, and the body as far as it was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    body_problem: BodyProblem | None


class ExchangeFailure(Struct, frozen=True):
    """No answer came; whether the request arrived is unknown. `name` is the exception's class."""

    kind: FailureKind
    name: str


def may_pass(
    response: HttpResponse | ExchangeFailure,
    statuses: Collection[int],
    failures: Collection[FailureKind] = TRANSIENT_FAILURES,
) -> bool:
    """Whether the same request may be answered a little later: after one of these statuses or failures."""
    if isinstance(response, ExchangeFailure):
        return response.kind in failures
    return response.status in statuses


class HeaderAuth(AuthBase):
    """Credentials in headers."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class BearerAuth(HeaderAuth):
    """A bearer token."""

    def __init__(self, token: str) -> None:
        super().__init__({"Authorization": f"Bearer {token.strip()}"})


class _NoAuth(AuthBase):
    """No credentials. Without an `auth`, requests would send those that a netrc file has for the host."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Session(requests.Session):
    """A session that follows no redirect, repeats nothing, reads no netrc, and can be cut off from the network."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = _NoAuth()
        self._sockets: WeakSet[socket] = WeakSet()
        for scheme in _SCHEMES:
            self.mount(scheme, _SocketRecordingAdapter(self._sockets))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' name
        """Return None: requests would read a redirect's whole body, and fail on a broken address in it."""
        return None

    def cut(self) -> None:
        """End all connections, so that whoever reads an endless answer stops."""
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(SHUT_RDWR)


class _SocketRecordingAdapter(HTTPAdapter):
    """Adds the socket of each new connection to a set, and takes no cookies."""

    def __init__(self, sockets: "WeakSet[socket]") -> None:
        super().__init__()
        self._sockets = sockets

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:  # noqa: ANN401 - requests'
        """Return the pool for a request, whose connections will record their sockets."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if "ConnectionCls" not in vars(pool):
            pool.ConnectionCls = _socket_recording_class(pool.ConnectionCls, self._sockets)
        return pool  # type: ignore[no-any-return] # a HTTPConnectionPool

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """Return an answer without its cookies: of an odd one, the standard library prints a traceback."""
        headers = getattr(getattr(resp, "_original_response", None), "msg", {})
        if "Set-Cookie" in headers:
            del headers["Set-Cookie"]
        return super().build_response(req, resp)


def _socket_recording_class(connection_class: Any, sockets: "WeakSet[socket]") -> Any:  # noqa: ANN401 - urllib3 has two
    class SocketRecordingConnection(connection_class):  # type: ignore[misc] # which one depends on the scheme
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    return SocketRecordingConnection


class HttpSession:
    """Exchanges over kept connections, through the proxies of the environment."""

    def __init__(self, limits: ExchangeLimits) -> None:
        self._limits = limits
        self._session = _Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def exchange(
        self,
        request: HttpRequest,
        reads_body: Callable[[int], bool] = lambda _: True,
        max_seconds: float = inf,
        max_body_bytes: int | None = None,
    ) -> HttpResponse | ExchangeFailure:
        """Send one request, and read its answer in a thread of its own.

        A socket's timeout starts again with each byte, and a look-up of a host has none. So the connection is cut when
        the time of the exchange is over, and its thread is left alone; the next one begins with new connections.

        Args:
            request: the request; without `auth`, the credentials in its address are used.
            reads_body: whether to read the body of an answer with this status.
            max_seconds: for the whole exchange, if that is less than the session's limit.
            max_body_bytes: of this answer, if that is less than the session's limit.
        """
        seconds = min(self._limits.total_seconds, max_seconds)
        max_bytes = min(self._limits.max_body_bytes, max_body_bytes or self._limits.max_body_bytes)
        session = self._session
        outcome = None
        if seconds > 0:
            outcome = _result_within(
                seconds, lambda: self._send(session, request, reads_body, Deadline(seconds), max_bytes)
            )
        if outcome is None:
            session.cut()
            self._session = _Session()
            return ExchangeFailure(FailureKind.DEADLINE, "DeadlineExceeded")
        return outcome

    def _send(
        self,
        session: requests.Session,
        request: HttpRequest,
        reads_body: Callable[[int], bool],
        deadline: Deadline,
        max_body_bytes: int,
    ) -> HttpResponse | ExchangeFailure:
        try:
            response = session.request(
                request.method,
                request.url,
                data=request.body,
                headers=dict(request.headers),
                auth=request.auth or _auth_in(request.url),
                timeout=(self._limits.connect_seconds, self._limits.silence_seconds),
                allow_redirects=False,
                stream=True,
            )
        except (exceptions.RequestException, HTTPError, OSError, ValueError) as problem:
            return ExchangeFailure(_kind_of(problem), type(problem).__name__)
        with response:
            body, body_problem = b"", None
            if reads_body(response.status_code):
                body_deadline = Deadline(min(deadline.seconds_left, self._limits.body_seconds))
                body, body_problem = _read_body(response, max_body_bytes, body_deadline)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(response.status_code, headers, body, body_problem)


def _result_within(seconds: float, work: Callable[[], T]) -> T | None:
    """Return what `work` returns; None if it takes longer. What it raises is raised here."""
    results: list[T] = []
    problems: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as problem:  # noqa: BLE001 - raised again below
            problems.append(problem)

    thread = Thread(target=run, name=THREAD_NAME, daemon=True)
    thread.start()
    thread.join(seconds)
    if problems:
        raise problems[0]
    return results[0] if results else None


def _auth_in(url: str) -> tuple[str, str] | None:
    """Return user and password of an address."""
    try:
        user, password = get_auth_from_url(url)
    except ValueError:
        return None
    return (user, password) if user or password else None


def _read_body(response: requests.Response, max_bytes: int, deadline: Deadline) -> tuple[bytes, BodyProblem | None]:
    """Return the body as far as the bounds allow; it may be endless, cut, or not what its headers say."""
    body = bytearray()
    problem = None
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > max_bytes:
                problem = BodyProblem.TOO_LARGE
                break
            if not deadline.seconds_left:
                problem = BodyProblem.TOO_SLOW
                break
    except ReadTimeoutError:
        problem = BodyProblem.TOO_SLOW
    except (HTTPError, OSError):
        problem = BodyProblem.CUT
    return bytes(body[:max_bytes]), problem


def _kind_of(problem: Exception) -> FailureKind:  # noqa: PLR0911 - one a kind
    match problem:
        case exceptions.SSLError():
            return FailureKind.TLS
        case exceptions.ConnectTimeout():
            return FailureKind.CONNECT_TIMEOUT
        case exceptions.Timeout():
            return FailureKind.SILENCE
        case exceptions.ConnectionError():
            return _kind_of_connection_error(problem)
        case exceptions.InvalidHeader() | UnicodeEncodeError():
            return FailureKind.BAD_HEADER
        case exceptions.RequestException() | LocationValueError():
            return FailureKind.BAD_ADDRESS
        case ValueError():
            return FailureKind.BAD_HEADER
        case _:
            return FailureKind.NO_CONNECTION


def _kind_of_connection_error(problem: exceptions.ConnectionError) -> FailureKind:
    cause = problem.args[0] if problem.args else None
    match getattr(cause, "reason", cause):
        case ReadTimeoutError():
            return FailureKind.SILENCE
        case ProtocolError():
            return FailureKind.CUT
        case _:
            return FailureKind.NO_CONNECTION
