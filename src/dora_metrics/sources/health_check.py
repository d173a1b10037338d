"""Asks a service over HTTP whether it is well, within bounds: so many tries, so much time, and no other scheme.

What it says of an answer never holds the address, which may hold a secret, nor anything that the service wrote.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from urllib.parse import urljoin

import requests

from dora_metrics.core.facts.model import Health

_MOST_REDIRECTS = 5


@dataclass(frozen=True)
class Question:
    """What is asked, which statuses mean healthy (`200`, `200-299`), and how long it may take.

    `seconds` is for all tries together, `seconds_a_try` for one; the pause before the second try is doubled each time.
    """

    url: str = field(repr=False)
    statuses: tuple[str, ...]
    retries: int
    seconds: float
    seconds_a_try: float
    pause_seconds: float


@dataclass(frozen=True)
class Answered:
    """How the service is, None where that could not be asked, and what happened."""

    health: Health | None
    text: str


class _CannotAskError(Exception):
    """The address leads nowhere that may be asked: that says nothing about the service."""


class _UnwellError(Exception):
    """It did not say that it is well."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' name
        """Nowhere: requests would read the whole body of a redirect, and stumble over a broken address in it."""
        return None


def check(question: Question, pause: Callable[[float], None]) -> Answered:
    """The first answer that means healthy within the bounds, else what the last try met."""
    end = time.monotonic() + question.seconds
    met, tries = "", 0
    while tries <= question.retries and time.monotonic() < end:
        if tries:
            pause(max(0.0, min(question.pause_seconds * 2 ** (tries - 1), end - time.monotonic())))
        tries += 1
        try:
            status = _within(min(question.seconds_a_try, max(0.01, end - time.monotonic())), question)
        except _CannotAskError as problem:
            return Answered(None, f"not recorded: {problem}")
        except _UnwellError as problem:
            met = str(problem)
        else:
            return Answered("passed", f"passed (HTTP {status}, {_counted(tries)})")
    return Answered("failed", f"failed: {met} ({_counted(tries)})")


def _counted(tries: int) -> str:
    return "1 try" if tries == 1 else f"{tries} tries"


def _within(seconds: float, question: Question) -> int:
    """The healthy status of one try. A server that lets its answer drip is left alone with it when the time is over.

    Raises:
        _UnwellError: where it is none, or came too late.
        _CannotAskError: where the address cannot be asked.
    """
    found: list[int | Exception] = []

    def ask() -> None:
        try:
            found.append(_asked(question, seconds))
        except (_UnwellError, _CannotAskError) as problem:
            found.append(problem)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    match found:
        case [int(status)]:
            return status
        case [Exception() as problem]:
            raise problem
        case _:
            raise _UnwellError("no answer in time")


def _asked(question: Question, seconds: float) -> int:
    """The healthy status behind up to five redirects of the same scheme."""
    url, scheme = question.url, _scheme(question.url)
    for _ in range(_MOST_REDIRECTS + 1):
        status, location = _got(url, seconds)
        if _means_healthy(status, question.statuses):
            return status
        if location is None or status // 100 != 3:  # noqa: PLR2004 - redirects
            raise _UnwellError(f"HTTP {status}")
        url = _joined(url, location)
        if _scheme(url) != scheme:
            raise _CannotAskError("it redirects to another scheme, which is not followed; set the final address")
    raise _UnwellError(f"more than {_MOST_REDIRECTS} redirects")


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


def _got(url: str, seconds: float) -> tuple[int, str | None]:
    """Status and location of one answer; nothing of its body is read."""
    try:
        with _Session() as session, session.get(url, timeout=seconds, allow_redirects=False, stream=True) as answer:
            return answer.status_code, answer.headers.get("Location")
    except requests.exceptions.SSLError:
        raise _UnwellError("the TLS connection failed") from None
    except requests.exceptions.Timeout:
        raise _UnwellError("no answer in time") from None
    except requests.exceptions.ConnectionError:
        raise _UnwellError("no connection") from None
    except (requests.RequestException, ValueError):
        raise _CannotAskError("the address cannot be used; it begins with http:// or https:// and a host") from None


def _joined(url: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise _UnwellError("a redirect to nowhere") from None


def _means_healthy(status: int, statuses: tuple[str, ...]) -> bool:
    for written in statuses:
        first, _, last = written.partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False
