"""HTTP for sinks: bounded in time and tries, silent about secrets, failures as words."""

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

from dora_metrics.runtime import Patience

_WORTH_A_RETRY = (429, 500, 502, 503, 504)
_READ = 10_000
_QUOTED = 200
_HIDDEN = "***"
_SHORTEST_SECRET = 4


class SendError(Exception):
    """It was not accepted; the message says what happened, why usually, and what to do."""


class Bearer(AuthBase):
    """A token, given as `auth` because requests would let a netrc entry replace a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token.strip()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class Message:
    """One idempotent request; its address and its headers may hold secrets."""

    method: str
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    auth: AuthBase | None = field(default=None, repr=False)


class _Retry(Retry):
    """Again, and after the pause that the server asks for, where that is a time at all."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):
            return None


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' name
        """Nowhere: requests would read the whole body of a redirect, and stumble over a broken address in it."""
        return None


def send(message: Message, patience: Patience) -> None:
    """Sends a message, again while that may help. Redirects are not followed.

    Raises:
        SendError: unless the answer is a success.
    """
    retry = _Retry(
        total=patience.tries - 1,
        backoff_factor=patience.pause_seconds,
        status_forcelist=_WORTH_A_RETRY,
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=int(patience.read_seconds),
    )
    with _Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        try:
            answer = session.request(
                message.method,
                message.url,
                data=message.body,
                headers=dict(message.headers),
                auth=message.auth,
                timeout=(patience.connect_seconds, patience.read_seconds),
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, ValueError) as problem:
            raise SendError(_unreachable(problem, patience)) from None
        with answer:
            if answer.status_code // 100 != _SUCCESS:
                raise SendError(_refused(answer, patience))


def _unreachable(problem: Exception, patience: Patience) -> str:
    """What happened, without the address: it may hold a password."""
    match problem:
        case requests.exceptions.SSLError():
            return "the TLS connection failed; check the certificate, and that the address is right about https"
        case requests.exceptions.ConnectTimeout():
            seconds = f"{patience.connect_seconds:g} s"
            return f"no connection in {seconds} ({patience.tries} tries); check host, port and firewall"
        case requests.exceptions.ConnectionError():
            return _broken(problem, patience)
        case requests.exceptions.InvalidHeader() | UnicodeEncodeError():
            return _NO_HEADER
        case requests.RequestException() | LocationValueError():
            return BAD_ADDRESS
        case _:
            return _NO_HEADER


BAD_ADDRESS = "the address cannot be used; it begins with http:// or https:// and a host"
_NO_HEADER = "the token cannot be sent: it holds a line break or letters outside Latin-1; paste it again"


def _broken(problem: requests.ConnectionError, patience: Patience) -> str:
    tried = problem.args[0] if problem.args else None
    match getattr(tried, "reason", tried):
        case ReadTimeoutError():
            return f"no answer ({patience.in_words}); the server hangs or is overloaded"
        case ProtocolError():
            tries = f"{patience.tries} tries"
            return f"the connection was cut before an answer ({tries}); look into the log of the server or its proxy"
        case _:
            return f"no connection ({patience.tries} tries); it is down, or its host or port are wrong for this runner"


_SUCCESS, _REDIRECT, _SERVER = 2, 3, 5
_HINTS = {
    301: "the address has moved; use the new one",
    400: "it does not take what was sent",
    401: "user, password or token are missing or wrong",
    403: "the credentials may not do this",
    404: "nothing is at this address; check the path",
    413: "it takes no body of this size",
    429: "it is asked too often",
}
_CLASSES = {_REDIRECT: "it redirects; use the final address", _SERVER: "the server has a problem"}


def _refused(answer: requests.Response, patience: Patience) -> str:
    status = answer.status_code
    hint = _HINTS.get(status) or _CLASSES.get(status // 100, "it refused")
    said = _said(answer, patience)
    return f"HTTP {status}: {hint}" + (f" (it said: {said})" if said else "")


def _said(answer: requests.Response, patience: Patience) -> str:
    """The beginning of the body on one line, without what servers like to repeat of a request: its secrets."""
    text = _beginning(answer, patience).decode(errors="replace")
    for secret in sorted(_secrets(answer.request), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "?" for letter in line[:_QUOTED])


def _beginning(answer: requests.Response, patience: Patience) -> bytes:
    """What came of the body in good time; it may be endless, broken off, or not what its headers say."""
    read, end = b"", time.monotonic() + patience.read_seconds
    try:
        while len(read) < _READ and time.monotonic() < end:
            part = answer.raw.read1(_READ, decode_content=True)
            if not part:
                break
            read += part
    except (HTTPError, OSError):
        pass  # the status has said what matters
    return read


def _secrets(request: requests.PreparedRequest) -> Iterator[str]:
    """The address behind the host, which may hold a key, and the credentials."""
    scheme, _, credentials = str(request.headers.get("Authorization", "")).partition(" ")
    found = [request.path_url, request.path_url.partition("?")[0], credentials]
    if scheme == "Basic":
        found.append(base64.b64decode(credentials).decode(errors="replace").partition(":")[2])
    yield from (secret for secret in found if len(secret) >= _SHORTEST_SECRET)
