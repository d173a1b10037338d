"""HTTP for sinks: limited time and tries, no secret in any message, every failure described in one line."""

import base64
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, InvalidHeader, LocationValueError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry

from dora_metrics.runtime import HttpLimits

_RETRIED_STATUSES = (429, 500, 502, 503, 504)
_MAX_BODY_BYTES = 10_000
_MAX_QUOTED_CHARACTERS = 200
_REDACTED = "***"
_MIN_SECRET_CHARACTERS = 4
"""Shorter secrets are not redacted: they would blank out ordinary words."""

BAD_ADDRESS = "the address cannot be used; it begins with http:// or https:// and a host"
_UNSENDABLE_HEADER = "the token cannot be sent: it holds a line break or letters outside Latin-1; paste it again"

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


class SendError(Exception):
    """A request that was not accepted. The message says what happened, the likely cause and what to do."""


class BearerAuth(AuthBase):
    """A bearer token. It is passed as `auth` because requests lets a netrc entry replace a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token.strip()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class SinkRequest:
    """One idempotent request. Its URL, body and headers may hold secrets, so `repr` omits them."""

    method: str
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    auth: AuthBase | None = field(default=None, repr=False)


class _SinkRetry(Retry):
    """Retries after the pause in `Retry-After`, which is ignored if it is not a valid time."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):
            return None


class _SinkSession(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' name
        """Return None: otherwise requests reads the redirect's whole body and fails on a malformed address."""
        return None


def send_with_retries(request: SinkRequest, limits: HttpLimits) -> None:
    """Send a request, with retries where they may help. Redirects are not followed.

    Raises:
        SendError: unless the response is a success.
    """
    retry = _SinkRetry(
        total=limits.tries - 1,
        backoff_factor=limits.pause_seconds,
        status_forcelist=_RETRIED_STATUSES,
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=int(limits.read_seconds),
    )
    with _SinkSession() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        try:
            response = session.request(
                request.method,
                request.url,
                data=request.body,
                headers=dict(request.headers),
                auth=request.auth,
                timeout=(limits.connect_seconds, limits.read_seconds),
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, ValueError) as problem:
            raise SendError(_describe_failure(problem, limits)) from None
        with response:
            if response.status_code // 100 != _SUCCESS_CLASS:
                raise SendError(_describe_refusal(response, limits))


def _describe_failure(problem: Exception, limits: HttpLimits) -> str:
    """Describe a request that got no response, without its URL, which may hold a password."""
    match problem:
        case requests.exceptions.SSLError():
            return "the TLS connection failed; check the certificate, and that the address is right about https"
        case requests.exceptions.ConnectTimeout():
            seconds = f"{limits.connect_seconds:g} s"
            return f"no connection in {seconds} ({limits.tries} tries); check host, port and firewall"
        case requests.exceptions.ConnectionError():
            return _describe_connection_error(problem, limits)
        case requests.exceptions.InvalidHeader() | UnicodeEncodeError():
            return _UNSENDABLE_HEADER
        case requests.RequestException() | LocationValueError():
            return BAD_ADDRESS
        case _:
            return _UNSENDABLE_HEADER


def _describe_connection_error(problem: requests.ConnectionError, limits: HttpLimits) -> str:
    cause = problem.args[0] if problem.args else None
    match getattr(cause, "reason", cause):
        case ReadTimeoutError():
            return f"no answer ({limits.description}); the server hangs or is overloaded"
        case ProtocolError():
            tries = f"{limits.tries} tries"
            return f"the connection was cut before an answer ({tries}); look into the log of the server or its proxy"
        case _:
            return f"no connection ({limits.tries} tries); it is down, or its host or port are wrong for this runner"


def _describe_refusal(response: requests.Response, limits: HttpLimits) -> str:
    status = response.status_code
    hint = _HINTS_BY_STATUS.get(status) or _HINTS_BY_CLASS.get(status // 100, "it refused")
    body_start = _quotable_body(response, limits)
    return f"HTTP {status}: {hint}" + (f" (it said: {body_start})" if body_start else "")


def _quotable_body(response: requests.Response, limits: HttpLimits) -> str:
    """Return the start of the body on one line, with the request's secrets redacted: servers tend to echo them."""
    text = _read_body_start(response, limits).decode(errors="replace")
    for secret in sorted(_secrets_in(response.request), key=len, reverse=True):
        text = text.replace(secret, _REDACTED)
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in line[:_MAX_QUOTED_CHARACTERS])


def _read_body_start(response: requests.Response, limits: HttpLimits) -> bytes:
    """Return the start of the body as far as it arrives in time. It may be endless, cut off or wrongly encoded."""
    body, deadline = b"", time.monotonic() + limits.read_seconds
    try:
        while len(body) < _MAX_BODY_BYTES and time.monotonic() < deadline:
            chunk = response.raw.read1(_MAX_BODY_BYTES, decode_content=True)
            if not chunk:
                break
            body += chunk
    except (HTTPError, OSError):
        pass  # the status alone is enough
    return body


def _secrets_in(request: requests.PreparedRequest) -> Iterator[str]:
    """Yield the URL's path and query, which may hold a key, and the credentials."""
    scheme, _, credentials = str(request.headers.get("Authorization", "")).partition(" ")
    secrets = [request.path_url, request.path_url.partition("?")[0], credentials]
    if scheme == "Basic":
        secrets.append(base64.b64decode(credentials).decode(errors="replace").partition(":")[2])
    yield from (secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARACTERS)
