"""HTTP for sinks: bounded in time and tries, silent about secrets, failures as words."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

from dora_metrics.sinks.patience import Patience

_WORTH_A_RETRY = (429, 500, 502, 503, 504)
_QUOTED = 200
_SERVER = 500


class SendError(Exception):
    """It was not accepted; the message says what happened, why usually, and what to do."""


class Bearer(AuthBase):
    """A token, given as `auth` because requests would let a netrc entry replace a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token

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


def send(message: Message, patience: Patience) -> requests.Response:
    """Sends a message, again while that may help. Redirects are not followed.

    Raises:
        SendError: unless the answer is a success.
    """
    retry = Retry(
        total=patience.tries - 1,
        backoff_factor=patience.pause_seconds,
        status_forcelist=_WORTH_A_RETRY,
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=int(patience.read_seconds),
    )
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        timeout = (patience.connect_seconds, patience.read_seconds)
        try:
            answer = session.request(
                message.method,
                message.url,
                data=message.body,
                headers=dict(message.headers),
                auth=message.auth,
                timeout=timeout,
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError) as problem:
            raise SendError(_unreachable(problem, patience)) from None
    if not answer.ok or answer.is_redirect:
        raise SendError(_refused(answer))
    return answer


def _unreachable(problem: Exception, patience: Patience) -> str:
    """What happened, without the address: it may hold a password."""
    match problem:
        case requests.exceptions.SSLError():
            return "the TLS connection failed; check the certificate, and that the address is right about https"
        case requests.exceptions.ConnectTimeout():
            seconds = f"{patience.connect_seconds:g} s"
            return f"no connection in {seconds} ({patience.tries} tries); check host, port and firewall"
        case requests.exceptions.Timeout():
            return f"no answer ({patience.in_words}); the server hangs or is overloaded"
        case requests.exceptions.ConnectionError() if "timed out" in str(problem).lower():
            return f"no answer ({patience.in_words}); the server hangs or is overloaded"
        case requests.exceptions.ConnectionError():
            return f"no connection ({patience.tries} tries); it is down, or its host or port are wrong for this runner"
        case _:
            return "the address cannot be used; it begins with http:// or https:// and a host"


_HINTS = {
    301: "the address has moved; use the new one",
    302: "it redirects; use the final address",
    400: "it does not take what was sent",
    401: "user, password or token are missing or wrong",
    403: "the credentials may not do this",
    404: "nothing is at this address; check the path",
    413: "it takes no body of this size",
    429: "it is asked too often",
}


def _refused(answer: requests.Response) -> str:
    hint = _HINTS.get(answer.status_code, "the server has a problem" if answer.status_code >= _SERVER else "it refused")
    said = " ".join(answer.text[:_QUOTED].split())
    return f"HTTP {answer.status_code}: {hint}" + (f" (it said: {said})" if said else "")
