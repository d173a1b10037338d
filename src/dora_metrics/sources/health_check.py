"""Checks the health of a service over HTTP: bounded tries, bounded time, redirects of the same scheme only.

No text holds the address, which may hold a secret, or anything that the service wrote.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from dora_metrics.core.facts.model import Health
from dora_metrics.http_session import ExchangeFailure, ExchangeLimits, FailureKind, HttpRequest, HttpSession

_MAX_REDIRECTS = 5
_TOO_LATE = "no answer in time"
_CUT_SHORT = "not recorded: GitHub was slow, so no time was left to wait until the service is healthy"


@dataclass(frozen=True)
class HealthCheckRequest:
    """A health check to make.

    Attributes:
        url: http or https.
        healthy_statuses: statuses and ranges of them: `200`, `200-299`.
        retries: further tries after the first one.
        total_seconds: for all tries and the pauses between them.
        try_seconds: for one try, redirects included.
        first_pause_seconds: before the second try; doubled before each further one.
        seconds_left: what the run has left for it. A check that this cuts short says nothing about the service.
    """

    url: str = field(repr=False)
    healthy_statuses: tuple[str, ...]
    retries: int
    total_seconds: float
    try_seconds: float
    first_pause_seconds: float
    seconds_left: float = math.inf


@dataclass(frozen=True)
class HealthCheckResult:
    """The service's health, None where it could not be checked, and a text that says what happened."""

    health: Health | None
    text: str


class _NotCheckableError(Exception):
    """The address cannot be requested, which says nothing about the service."""


class _UnhealthyError(Exception):
    """The service did not answer with a healthy status."""


def check_health(
    request: HealthCheckRequest, pause: Callable[[float], None], monotonic: Callable[[], float] = time.monotonic
) -> HealthCheckResult:
    """Check a service until it answers with a healthy status or the bounds are reached."""
    deadline = monotonic() + min(request.total_seconds, request.seconds_left)
    last_problem, tries = "", 0
    while tries <= request.retries and monotonic() < deadline:
        if tries:
            pause(max(0.0, min(request.first_pause_seconds * 2 ** (tries - 1), deadline - monotonic())))
        tries += 1
        try:
            status = _status_within(min(request.try_seconds, max(0.01, deadline - monotonic())), request)
        except _NotCheckableError as problem:
            return HealthCheckResult(None, f"not recorded: {problem}")
        except _UnhealthyError as problem:
            last_problem = str(problem)
        else:
            return HealthCheckResult("passed", f"passed (HTTP {status}, {_tries_text(tries)})")
    if request.seconds_left < request.total_seconds and monotonic() >= deadline:
        return HealthCheckResult(None, _CUT_SHORT)
    return HealthCheckResult("failed", f"failed: {last_problem} ({_tries_text(tries)})")


def _tries_text(tries: int) -> str:
    return "1 try" if tries == 1 else f"{tries} tries"


def _status_within(seconds: float, request: HealthCheckRequest) -> int:
    """Return the healthy status of one try, which may follow up to five redirects of the same scheme.

    Raises:
        _UnhealthyError: if there is none in time.
        _NotCheckableError: if the address cannot be requested.
    """
    url, scheme, deadline = request.url, _scheme(request.url), time.monotonic() + seconds
    for _ in range(_MAX_REDIRECTS + 1):
        status, location = _get_status(url, deadline - time.monotonic())
        if _is_healthy(status, request.healthy_statuses):
            return status
        if location is None or status // 100 != 3:  # noqa: PLR2004 - redirects
            raise _UnhealthyError(f"HTTP {status}")
        url = _redirect_url(url, location)
        if _scheme(url) != scheme:
            raise _NotCheckableError("it redirects to another scheme, which is not followed; use the final address")
    raise _UnhealthyError(f"more than {_MAX_REDIRECTS} redirects")


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


def _get_status(url: str, seconds: float) -> tuple[int, str | None]:
    """Return the status and the location of one answer, without reading its body."""
    if seconds <= 0:
        raise _UnhealthyError(_TOO_LATE)
    limits = ExchangeLimits(seconds, seconds, total_seconds=seconds, max_body_bytes=0)
    with HttpSession(limits) as session:
        response = session.exchange(HttpRequest("GET", url), reads_body=lambda _: False)
    if isinstance(response, ExchangeFailure):
        raise _error_of(response.kind)
    return response.status, response.headers.get("location")


def _error_of(kind: FailureKind) -> _UnhealthyError | _NotCheckableError:
    match kind:
        case FailureKind.TLS:
            return _UnhealthyError("the TLS connection failed")
        case FailureKind.CONNECT_TIMEOUT | FailureKind.SILENCE | FailureKind.DEADLINE:
            return _UnhealthyError(_TOO_LATE)
        case FailureKind.NO_CONNECTION | FailureKind.CUT:
            return _UnhealthyError("no connection")
        case FailureKind.BAD_ADDRESS | FailureKind.BAD_HEADER:
            return _NotCheckableError("the address is not valid; it must begin with http:// or https:// and a host")


def _redirect_url(url: str, location: str) -> str:
    """Return the address that a redirect names, without the user and the password of the one that was asked for."""
    try:
        target = urlsplit(urljoin(url, location))
    except ValueError:
        raise _UnhealthyError("a redirect to nowhere") from None
    return target._replace(netloc=target.netloc.rpartition("@")[2]).geturl()


def _is_healthy(status: int, healthy_statuses: tuple[str, ...]) -> bool:
    for status_range in healthy_statuses:
        first, _, last = status_range.partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False
