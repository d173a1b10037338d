"""HTTP exchanges with the outside: GitHub's API, sinks and health checks.

Every exchange has a deadline and a size limit, and follows no redirect. A failure is a value: exceptions of requests
and urllib3 hold the request, and with it the token, so none of them leaves this module.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from threading import Thread
from types import TracebackType
from typing import Self, TypeVar

import requests
from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError, LocationValueError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry

T = TypeVar("T")

_CHUNK_BYTES = 256 * 1024
_SCHEMES = ("http://", "https://")


class FailureKind(Enum):
    """Why there is no answer."""

    TLS = "the TLS connection failed"
    NO_CONNECTION = "there is no connection"
    CONNECT_TIMEOUT = "there was no connection in time"
    CUT = "the connection was cut before an answer"
    SILENCE = "the answer did not begin in time"
    DEADLINE = "the exchange took too long"
    BAD_ADDRESS = "the address is not valid"
    BAD_HEADER = "a header cannot be sent"


class BodyProblem(Enum):
    """Why a body is not complete."""

    TOO_LARGE = "larger than the limit"
    TOO_SLOW = "not complete in time"
    CUT = "cut off, or not decompressible"


@dataclass(frozen=True)
class ExchangeLimits:
    """Bounds of one exchange.

    Attributes:
        connect_seconds: to connect to one address of the host.
        silence_seconds: between two parts of the answer.
        total_seconds: the whole exchange: look-up, connection, sending, headers, body, retries with their pauses.
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


@dataclass(frozen=True)
class HttpResponse:
    """An answer: `headers` with names in lower case, and the body as far as it was read.

    `sent` is the request as it was sent, secrets included.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    body_problem: BodyProblem | None
    sent: requests.PreparedRequest = field(repr=False)


@dataclass(frozen=True)
class ExchangeFailure:
    """No answer came; whether the request arrived is unknown. `name` is the exception's class."""

    kind: FailureKind
    name: str


class BearerAuth(AuthBase):
    """A bearer token. requests would let a netrc entry replace a plain `Authorization` header, but not an `auth`."""

    def __init__(self, token: str) -> None:
        self._token = token.strip()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _NoRedirectsSession(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' name
        """Return None: requests would read a redirect's whole body, and fail on a broken address in it."""
        return None


class HttpSession:
    """Exchanges over kept connections, through the proxies of the environment."""

    def __init__(self, limits: ExchangeLimits, retries: Retry | None = None) -> None:
        self._limits = limits
        self._retries = retries
        self._session = self._create_session()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def exchange(
        self, request: HttpRequest, reads_body: Callable[[int], bool] = lambda _: True
    ) -> HttpResponse | ExchangeFailure:
        """Send one request, and read its answer in a thread of its own.

        A socket's timeout starts again with each byte, and a look-up of a host has none. So the exchange is left
        alone with its connection when its time is over; the next one begins with new connections.

        Args:
            request: the request; without `auth`, the credentials in its address are used, or netrc's.
            reads_body: whether to read the body of an answer with this status.
        """
        session = self._session
        outcome = _result_within(self._limits.total_seconds, lambda: self._send(session, request, reads_body))
        if outcome is None:
            self._session = self._create_session()
            return ExchangeFailure(FailureKind.DEADLINE, "DeadlineExceeded")
        return outcome

    def _create_session(self) -> requests.Session:
        session = _NoRedirectsSession()
        if self._retries is not None:
            for scheme in _SCHEMES:
                session.mount(scheme, HTTPAdapter(max_retries=self._retries))
        return session

    def _send(
        self, session: requests.Session, request: HttpRequest, reads_body: Callable[[int], bool]
    ) -> HttpResponse | ExchangeFailure:
        deadline = time.monotonic() + self._limits.total_seconds
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
                body_deadline = min(deadline, time.monotonic() + self._limits.body_seconds)
                body, body_problem = _read_body(response, self._limits.max_body_bytes, body_deadline)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(response.status_code, headers, body, body_problem, response.request)


def _result_within(seconds: float, work: Callable[[], T]) -> T | None:
    """Return what `work` returns; None if it takes longer. What it raises is raised here."""
    results: list[T] = []
    problems: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as problem:  # noqa: BLE001 - raised again below
            problems.append(problem)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if problems:
        raise problems[0]
    return results[0] if results else None


def _auth_in(url: str) -> tuple[str, str] | None:
    """Return user and password of an address; requests would prefer those of netrc."""
    try:
        user, password = get_auth_from_url(url)
    except ValueError:
        return None
    return (user, password) if user or password else None


def _read_body(response: requests.Response, max_bytes: int, deadline: float) -> tuple[bytes, BodyProblem | None]:
    """Return the body as far as the bounds allow; it may be endless, cut, or not what its headers say."""
    body = bytearray()
    problem = None
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > max_bytes:
                problem = BodyProblem.TOO_LARGE
                break
            if time.monotonic() > deadline:
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
