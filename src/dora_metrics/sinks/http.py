"""HTTP for sinks: a bounded number of tries in bounded time, and failures as sentences without secrets."""

import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit
from urllib.request import getproxies

from msgspec import Struct
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from dora_metrics.http_session import (
    ExchangeFailure,
    ExchangeLimits,
    FailureKind,
    HttpRequest,
    HttpResponse,
    HttpSession,
    may_pass,
)
from dora_metrics.runtime import Deadline, HttpLimits

RETRIED_STATUSES = (429, 500, 502, 503, 504)
_MAX_BODY_BYTES = 10_000
_MAX_QUOTED_CHARACTERS = 200


class SendError(Exception):
    """A message was not accepted. The text says what happened, the likely cause and what to do.

    Attributes:
        status: of the last answer; None if none came.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class FinalAnswer(Struct, frozen=True):
    """What an answer means to a sink that knows its servers: it will not change, whatever its status is.

    Attributes:
        hint: the likely cause and what to do.
        error: the class of the error, for callers that can do something about it.
    """

    hint: str
    error: type[SendError] = SendError


class AnswerReader(Struct, frozen=True):
    """How a sink that knows its servers reads their answers.

    Attributes:
        interpret: what an answer means; None if its status says all.
        reads_success: whether that needs the body of a success, of which it gets as much as the limits allow.
    """

    interpret: Callable[[HttpResponse], FinalAnswer | None]
    reads_success: bool = False


def may_hold_secret(address: str) -> bool:
    """Whether an address is more than scheme, host and port, or a proxy of the environment has credentials."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return True
    is_plain = parts.path in ("", "/") and not {"@", "?", "#"} & set(address)
    return not is_plain or any("@" in proxy for proxy in getproxies().values())


def send_with_retries(
    request: HttpRequest,
    limits: HttpLimits,
    deadline: Deadline,
    *,
    holds_secret: bool,
    reader: AnswerReader | None = None,
) -> None:
    """Send an idempotent message, and again after a failure that may pass. Redirects are not followed.

    Each try is an exchange of its own: urllib3's retries would read the whole body of an answer before the next one.

    Args:
        request: the message.
        limits: of one try, and how many there are.
        deadline: of all tries.
        holds_secret: whether address, headers or credentials may hold a secret. Servers repeat what they were sent, in
            parts and in many encodings, so the body of such an answer is not quoted.
        reader: reads the answers. Without one, a body that is not quoted is not even read.

    Raises:
        SendError: unless the answer is a success before the deadline.
    """

    def reads_body(status: int) -> bool:
        if is_success(status):
            return reader is not None and reader.reads_success
        return reader is not None or not holds_secret

    def final_answer(response: HttpResponse | ExchangeFailure) -> FinalAnswer | None:
        return reader.interpret(response) if reader and isinstance(response, HttpResponse) else None

    with HttpSession(exchange_limits(limits)) as session:
        response = exchange_with_retries(
            partial(session.exchange, request, reads_body),
            limits,
            deadline,
            lambda response: not final_answer(response) and may_pass(response, RETRIED_STATUSES),
        )
    final = final_answer(response)
    if final or not is_success(response.status):
        final = final or FinalAnswer(_hint(response.status))
        quotes_body = not (holds_secret or is_success(response.status))
        raise final.error(_describe_answer(response, final.hint, quotes_body=quotes_body), response.status)


def exchange_with_retries(
    exchange: Callable[[float], HttpResponse | ExchangeFailure],
    limits: HttpLimits,
    deadline: Deadline,
    is_retried: Callable[[HttpResponse | ExchangeFailure], bool],
) -> HttpResponse:
    """Return the answer to a message that is harmless to repeat, whatever its status is.

    Args:
        exchange: sends it once, in at most so many seconds.
        limits: of one try, and how many there are.
        deadline: of all tries.
        is_retried: whether what an exchange returned may be better a little later.

    Raises:
        SendError: if no answer came.
    """
    for earlier_tries in range(limits.tries):
        response = exchange(deadline.seconds_left)
        if not is_retried(response) or earlier_tries + 1 == limits.tries:
            break
        time.sleep(min(_pause_seconds(response, limits, earlier_tries), deadline.seconds_left))
    if isinstance(response, ExchangeFailure):
        raise SendError(_describe_failure(response, limits, deadline))
    return response


def read_once(request: HttpRequest, limits: HttpLimits, max_body_bytes: int, deadline: Deadline) -> bytes | None:
    """Return the body of a success; None if it is not complete within the time of one try, or too large."""
    bounds = ExchangeLimits(
        connect_seconds=limits.connect_seconds,
        silence_seconds=limits.read_seconds,
        total_seconds=limits.read_seconds,
        max_body_bytes=max_body_bytes,
    )
    with HttpSession(bounds) as session:
        response = session.exchange(request, is_success, deadline.seconds_left)
    if isinstance(response, ExchangeFailure) or not is_success(response.status) or response.body_problem:
        return None
    return response.body


def is_success(status: int) -> bool:
    return status // 100 == _SUCCESS_CLASS


def exchange_limits(limits: HttpLimits) -> ExchangeLimits:
    """Return the bounds of one try: the time to connect, to wait for the answer, and to read it."""
    return ExchangeLimits(
        connect_seconds=limits.connect_seconds,
        silence_seconds=limits.read_seconds,
        total_seconds=limits.connect_seconds + 2 * limits.read_seconds,
        max_body_bytes=_MAX_BODY_BYTES,
        body_seconds=limits.read_seconds,
    )


def _pause_seconds(response: HttpResponse | ExchangeFailure, limits: HttpLimits, earlier_tries: int) -> float:
    """Return the pause that the server asks for, at most the time of an answer; otherwise one that doubles."""
    requested = None if isinstance(response, ExchangeFailure) else _retry_after(response.headers.get("retry-after"))
    return limits.pause_seconds * 2**earlier_tries if requested is None else min(requested, limits.read_seconds)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None if it is missing or not valid."""
    try:
        return None if value is None else Retry().parse_retry_after(value)
    except (InvalidHeader, ValueError, OverflowError):
        return None


BAD_ADDRESS = "the address is not valid; it must begin with http:// or https:// and a host"
_UNSENDABLE_HEADER = "the token has a line break or characters outside Latin-1, which cannot be sent; paste it again"


def _describe_failure(failure: ExchangeFailure, limits: HttpLimits, deadline: Deadline) -> str:  # noqa: PLR0911 - one a kind
    """Say what happened without the address, which may hold a password."""
    tries = f"{limits.tries} tries"
    if not deadline.seconds_left:
        share = (
            "that all sinks of a run share" if deadline.seconds == limits.total_seconds else "that this sink may take"
        )
        return f"no complete answer in the {deadline.seconds:.3g} s {share}; a server is too slow"
    match failure.kind:
        case FailureKind.TLS:
            return "the TLS connection failed; check the certificate, and whether the address should use https"
        case FailureKind.CONNECT_TIMEOUT:
            return f"no connection in {limits.connect_seconds:g} s ({tries}); check host, port and firewall"
        case FailureKind.SILENCE:
            return f"no answer ({limits.description}); the server hangs or is overloaded"
        case FailureKind.DEADLINE:
            total_seconds = exchange_limits(limits).total_seconds
            return f"no complete answer in {total_seconds:g} s; the server is too slow or overloaded"
        case FailureKind.CUT:
            return f"the connection closed before an answer ({tries}); check the log of the server or its proxy"
        case FailureKind.NO_CONNECTION:
            return f"no connection ({tries}); the server is down, or this runner cannot reach its host and port"
        case FailureKind.BAD_ADDRESS:
            return BAD_ADDRESS
        case FailureKind.BAD_HEADER:
            return _UNSENDABLE_HEADER


_SUCCESS_CLASS, _REDIRECT_CLASS, _SERVER_ERROR_CLASS = 2, 3, 5
_HINTS_BY_STATUS = {
    301: "the address has moved; use the new one",
    400: "the server rejects what was sent",
    401: "the user, password or token is missing or wrong",
    403: "the credentials do not allow this",
    404: "there is nothing at this address; check the path",
    413: "the body is too large for the server",
    429: "too many requests",
}
_HINTS_BY_CLASS = {
    _REDIRECT_CLASS: "the server redirects; use the final address",
    _SERVER_ERROR_CLASS: "the server has a problem",
}


def _hint(status: int) -> str:
    return _HINTS_BY_STATUS.get(status) or _HINTS_BY_CLASS.get(status // 100, "the server refused")


def _describe_answer(response: HttpResponse, hint: str, *, quotes_body: bool) -> str:
    quoted_body = _quotable_body(response) if quotes_body else ""
    return f"HTTP {response.status}: {hint}" + (f" (answer: {quoted_body})" if quoted_body else "")


def _quotable_body(response: HttpResponse) -> str:
    """Return the start of the body on one line."""
    line = " ".join(response.body.decode(errors="replace").split())
    return "".join(character if character.isprintable() else "?" for character in line[:_MAX_QUOTED_CHARACTERS])
