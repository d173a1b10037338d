"""The health check of a service over HTTP, with a limit on tries and time; redirects to another scheme are refused.

The result never contains the URL, which may hold a secret, nor anything that the service sent.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from urllib.parse import urljoin

import requests

from dora_metrics.core.facts.model import Health

_MAX_REDIRECTS = 5


@dataclass(frozen=True)
class HealthCheckRequest:
    """Which URL to check, and how.

    Attributes:
        healthy_statuses: HTTP statuses that mean healthy, such as `200` or `200-299`.
        retries: tries after the first one.
        total_seconds: limit for all tries and pauses together.
        try_seconds: limit for one try.
        first_pause_seconds: pause before the second try; it doubles with each further try.
    """

    url: str = field(repr=False)
    healthy_statuses: tuple[str, ...]
    retries: int
    total_seconds: float
    try_seconds: float
    first_pause_seconds: float


@dataclass(frozen=True)
class HealthCheckResult:
    """The outcome: `health` is None if the URL cannot be checked; `text` says what happened."""

    health: Health | None
    text: str


class _NotCheckableError(Exception):
    """The URL cannot be checked, which says nothing about the service."""


class _UnhealthyError(Exception):
    """The service did not answer with a healthy status."""


class _HealthCheckSession(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' name
        """Return None: otherwise requests reads the redirect's whole body and fails on a malformed address."""
        return None


def check_health(request: HealthCheckRequest, pause: Callable[[float], None]) -> HealthCheckResult:
    """Try until a healthy answer or a limit is reached; a failure describes the last try."""
    deadline = time.monotonic() + request.total_seconds
    last_problem, tries = "", 0
    while tries <= request.retries and time.monotonic() < deadline:
        if tries:
            pause(max(0.0, min(request.first_pause_seconds * 2 ** (tries - 1), deadline - time.monotonic())))
        tries += 1
        try:
            status = _status_within(min(request.try_seconds, max(0.01, deadline - time.monotonic())), request)
        except _NotCheckableError as problem:
            return HealthCheckResult(None, f"not recorded: {problem}")
        except _UnhealthyError as problem:
            last_problem = str(problem)
        else:
            return HealthCheckResult("passed", f"passed (HTTP {status}, {_tries_text(tries)})")
    return HealthCheckResult("failed", f"failed: {last_problem} ({_tries_text(tries)})")


def _tries_text(tries: int) -> str:
    return "1 try" if tries == 1 else f"{tries} tries"


def _status_within(seconds: float, request: HealthCheckRequest) -> int:
    """Return the healthy status of one try.

    The request runs in a thread of its own, which is abandoned at the timeout: requests limits only the time between
    two bytes, so a slow answer could take much longer.

    Raises:
        _UnhealthyError: if the status is not healthy or came too late.
        _NotCheckableError: if the URL cannot be checked.
    """
    outcomes: list[int | Exception] = []

    def try_once() -> None:
        try:
            outcomes.append(_healthy_status(request, seconds))
        except (_UnhealthyError, _NotCheckableError) as problem:
            outcomes.append(problem)

    thread = Thread(target=try_once, daemon=True)
    thread.start()
    thread.join(seconds)
    match outcomes:
        case [int(status)]:
            return status
        case [Exception() as problem]:
            raise problem
        case _:
            raise _UnhealthyError("no answer in time")


def _healthy_status(request: HealthCheckRequest, seconds: float) -> int:
    """Return the healthy status at the end of up to five redirects within the same scheme."""
    url, scheme = request.url, _scheme(request.url)
    for _ in range(_MAX_REDIRECTS + 1):
        status, location = _get_status(url, seconds)
        if _is_healthy(status, request.healthy_statuses):
            return status
        if location is None or status // 100 != 3:  # noqa: PLR2004 - redirects
            raise _UnhealthyError(f"HTTP {status}")
        url = _redirect_url(url, location)
        if _scheme(url) != scheme:
            raise _NotCheckableError("it redirects to another scheme, which is not followed; set the final address")
    raise _UnhealthyError(f"more than {_MAX_REDIRECTS} redirects")


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


def _get_status(url: str, seconds: float) -> tuple[int, str | None]:
    """Return status and `Location` of one response without reading its body."""
    try:
        with (
            _HealthCheckSession() as session,
            session.get(url, timeout=seconds, allow_redirects=False, stream=True) as response,
        ):
            return response.status_code, response.headers.get("Location")
    except requests.exceptions.SSLError:
        raise _UnhealthyError("the TLS connection failed") from None
    except requests.exceptions.Timeout:
        raise _UnhealthyError("no answer in time") from None
    except requests.exceptions.ConnectionError:
        raise _UnhealthyError("no connection") from None
    except (requests.RequestException, ValueError):
        raise _NotCheckableError("the address cannot be used; it begins with http:// or https:// and a host") from None


def _redirect_url(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise _UnhealthyError("a redirect to nowhere") from None


def _is_healthy(status: int, healthy_statuses: tuple[str, ...]) -> bool:
    for status_range in healthy_statuses:
        first, _, last = status_range.partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False
