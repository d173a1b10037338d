"""HTTP for sinks: a bounded number of tries in bounded time, and failures as sentences without secrets."""

import base64
from collections.abc import Iterator

import requests
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from dora_metrics.http_session import (
    ExchangeFailure,
    ExchangeLimits,
    FailureKind,
    HttpRequest,
    HttpResponse,
    HttpSession,
)
from dora_metrics.runtime import HttpLimits

_RETRIED_STATUSES = (429, 500, 502, 503, 504)
_MAX_BODY_BYTES = 10_000
_MAX_QUOTED_CHARACTERS = 200
_REDACTED = "***"
_MIN_SECRET_CHARACTERS = 4


class SendError(Exception):
    """A message was not accepted. The text says what happened, the likely cause and what to do."""


class _SinkRetry(Retry):
    """Retries after the pause that the server asks for, if that is a valid time."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):
            return None


def send_with_retries(request: HttpRequest, limits: HttpLimits) -> None:
    """Send an idempotent message, and again after a failure that may pass. Redirects are not followed.

    Raises:
        SendError: unless the answer is a success.
    """
    retry = _SinkRetry(
        total=limits.tries - 1,
        backoff_factor=limits.pause_seconds,
        status_forcelist=_RETRIED_STATUSES,
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=int(limits.read_seconds),
    )
    with HttpSession(_exchange_limits(limits), retry) as session:
        response = session.exchange(request, reads_body=lambda status: status // 100 != _SUCCESS_CLASS)
    if isinstance(response, ExchangeFailure):
        raise SendError(_describe_failure(response, limits))
    if response.status // 100 != _SUCCESS_CLASS:
        raise SendError(_describe_refusal(response))


def read_once(request: HttpRequest, limits: HttpLimits, max_body_bytes: int) -> bytes | None:
    """Return the body of a success; None if it is not complete within the time of one try, or too large."""
    bounds = ExchangeLimits(
        connect_seconds=limits.connect_seconds,
        silence_seconds=limits.read_seconds,
        total_seconds=limits.read_seconds,
        max_body_bytes=max_body_bytes,
    )
    with HttpSession(bounds) as session:
        response = session.exchange(request, reads_body=lambda status: status // 100 == _SUCCESS_CLASS)
    if isinstance(response, ExchangeFailure) or response.status // 100 != _SUCCESS_CLASS or response.body_problem:
        return None
    return response.body


def _exchange_limits(limits: HttpLimits) -> ExchangeLimits:
    """Return bounds that leave each try its time, and each pause between two tries."""
    try_seconds = limits.connect_seconds + limits.read_seconds
    pause_seconds = max(limits.read_seconds, limits.pause_seconds * 2**limits.tries)
    return ExchangeLimits(
        connect_seconds=limits.connect_seconds,
        silence_seconds=limits.read_seconds,
        total_seconds=limits.tries * try_seconds + (limits.tries - 1) * pause_seconds + limits.read_seconds,
        max_body_bytes=_MAX_BODY_BYTES,
        body_seconds=limits.read_seconds,
    )


BAD_ADDRESS = "the address cannot be used; it begins with http:// or https:// and a host"
_UNSENDABLE_HEADER = "the token cannot be sent: it holds a line break or letters outside Latin-1; paste it again"


def _describe_failure(failure: ExchangeFailure, limits: HttpLimits) -> str:  # noqa: PLR0911 - one return for each kind
    """Say what happened without the address, which may hold a password."""
    tries = f"{limits.tries} tries"
    match failure.kind:
        case FailureKind.TLS:
            return "the TLS connection failed; check the certificate, and that the address is right about https"
        case FailureKind.CONNECT_TIMEOUT:
            return f"no connection in {limits.connect_seconds:g} s ({tries}); check host, port and firewall"
        case FailureKind.SILENCE:
            return f"no answer ({limits.description}); the server hangs or is overloaded"
        case FailureKind.DEADLINE:
            total_seconds = _exchange_limits(limits).total_seconds
            return f"no complete answer in {total_seconds:g} s; the server is too slow or overloaded"
        case FailureKind.CUT:
            return f"the connection was cut before an answer ({tries}); look into the log of the server or its proxy"
        case FailureKind.NO_CONNECTION:
            return f"no connection ({tries}); it is down, or its host or port are wrong for this runner"
        case FailureKind.BAD_ADDRESS:
            return BAD_ADDRESS
        case FailureKind.BAD_HEADER:
            return _UNSENDABLE_HEADER


_SUCCESS_CLASS, _REDIRECT_CLASS, _SERVER_ERROR_CLASS = 2, 3, 5
_HINTS_BY_STATUS = {
    301: "the address has moved; use the new one",
    400: "it does not take what was sent",
    401: "user, password or token are missing or wrong",
    403: "the credentials may not do this",
    404: "nothing is at this address; check the path",
    413: "it takes no body of this size",
    429: "it is asked too often",
}
_HINTS_BY_CLASS = {
    _REDIRECT_CLASS: "it redirects; use the final address",
    _SERVER_ERROR_CLASS: "the server has a problem",
}


def _describe_refusal(response: HttpResponse) -> str:
    status = response.status
    hint = _HINTS_BY_STATUS.get(status) or _HINTS_BY_CLASS.get(status // 100, "it refused")
    quoted_body = _quotable_body(response)
    return f"HTTP {status}: {hint}" + (f" (it said: {quoted_body})" if quoted_body else "")


def _quotable_body(response: HttpResponse) -> str:
    """Return the start of the body on one line, without the request's secrets, which some servers repeat."""
    text = response.body.decode(errors="replace")
    for secret in sorted(_secrets_in(response.sent), key=len, reverse=True):
        text = text.replace(secret, _REDACTED)
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in line[:_MAX_QUOTED_CHARACTERS])


def _secrets_in(request: requests.PreparedRequest) -> Iterator[str]:
    """Yield the address after the host, which may hold a key, and the credentials."""
    scheme, _, credentials = str(request.headers.get("Authorization", "")).partition(" ")
    secrets = [request.path_url, request.path_url.partition("?")[0], credentials]
    if scheme == "Basic":
        secrets.append(base64.b64decode(credentials).decode(errors="replace").partition(":")[2])
    yield from (secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARACTERS)
