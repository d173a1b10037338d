"""GitHub's API: bounded in time, no write repeated blindly, every failure with a meaning.

What may be repeated is repeated here and nowhere else. A read without an answer is asked again; a write is not, because
it may have been done. What a rate limit refused was not done, so it is sent again, as long as a run may wait.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from itertools import count
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from dora_metrics.github import queries, transport
from dora_metrics.github.transport import Answer, NoAnswer, Transport

T = TypeVar("T")

_TRIES = 3
_DONE, _REDIRECTS, _SERVER_ERRORS = range(200, 300), range(300, 400), range(500, 600)
_SENDABLE = re.compile(r"[!-~]+")


class GitHubError(Exception):
    """GitHub did not do what was asked; the message says what happened, why usually, and what to do.

    `status`: that of the answer, None where there was none.
    """

    status: int | None = None


class StaleHeadError(GitHubError):
    """Somebody else wrote first."""


class NotFoundError(GitHubError):
    """It is not there, or the token may not see it."""


class MovedError(GitHubError):
    """It is somewhere else now."""


class ForbiddenError(GitHubError):
    """The token may not do this."""


class UnsureError(GitHubError):
    """No answer came: it may have been done or not."""


class RateLimitError(GitHubError):
    """A rate limit lasts longer than this run may wait; nothing was done."""


def _nobody(_: str) -> None:
    """Is told nothing."""


@dataclass
class Client:
    """One token's view of one GitHub; counts its requests.

    All waits for rate limits together are at most `max_rate_limit_wait`; `tell` is told of each before it begins.
    """

    token: str = field(repr=False)
    api_url: str
    pause: Callable[[float], None]
    timeout_seconds: int = 15
    requests: int = 0
    max_rate_limit_wait: timedelta = timedelta(minutes=1)
    clock: Callable[[], float] = time.time
    tell: Callable[[str], None] = _nobody
    waited: int = 0

    def join(self, others: Sequence["Client"]) -> None:
        """Takes over what clients beside this one have asked, and how long they waited at the same time."""
        self.requests += sum(other.requests for other in others)
        self.waited = max(self.waited, *(other.waited for other in others))

    @cached_property
    def _transport(self) -> Transport:
        return Transport(self.token.strip(), self.api_url, self.timeout_seconds)

    def query(self, name: str, variables: Mapping[str, object], slots: Sequence[str] = ()) -> dict[str, Any]:
        """The data of a query of `queries/`; asked again where no answer came.

        Args:
            name: of the query.
            variables: of the query.
            slots: where the query has a line for one, what each of its copies is asked for (`queries.repeated`).

        Raises:
            GitHubError: by meaning.
        """
        text = queries.text(name)
        if slots:
            text = queries.repeated(text, len(slots))
        given = {**variables, **{f"slot{number}": slot for number, slot in enumerate(slots)}}
        return self._read(lambda: self._graphql(text, given))

    def mutate(self, name: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """The data of a mutation, asked once.

        Raises:
            GitHubError: by meaning; UnsureError where it may have been done.
        """
        return self._graphql(queries.text(name), variables)

    def get(self, path: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        """A REST GET; asked again where no answer came.

        Raises:
            GitHubError: by meaning.
        """
        return self._read(lambda: self._rest("GET", path, parameters=parameters))

    def page(
        self, path: str, parameters: Mapping[str, object], place: str | None = None
    ) -> tuple[list[Any], str | None]:
        """A page of a REST list, and the place of the following one; None after the last.

        Of the address that GitHub names for that only the place is used: path and parameters stay ours.

        Raises:
            GitHubError: by meaning.
        """
        given = {**dict(parse_qsl(place or "")), **parameters}
        answer = self._read(lambda: self._asked(lambda: self._transport.rest("GET", path, given)))
        if not isinstance(answer.data, list):
            raise UnsureError(_UNREADABLE)
        return answer.data, answer.following

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """A REST POST, once.

        Raises:
            GitHubError: by meaning; UnsureError where it may have been done.
        """
        return self._rest("POST", path, body=dict(body))

    def patch(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """A REST PATCH; sent again where no answer came, since the same change twice is one.

        Raises:
            GitHubError: by meaning.
        """
        return self._read(lambda: self._rest("PATCH", path, body=dict(body)))

    def _read(self, ask: Callable[[], T]) -> T:
        """For what may be done twice: what is unsure is asked again."""
        for attempt in range(1, _TRIES + 1):
            try:
                return ask()
            except UnsureError:
                if attempt == _TRIES:
                    raise
                self.pause(attempt)
        raise AssertionError

    def _rest(
        self, verb: str, path: str, parameters: Mapping[str, object] | None = None, body: object = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = self._asked(lambda: self._transport.rest(verb, path, parameters, body)).data
        return found

    def _graphql(self, text: str, variables: Mapping[str, object]) -> dict[str, Any]:
        match self._asked(lambda: self._transport.graphql(text, variables)).data:
            case {"data": dict(found)}:
                return found
        raise UnsureError(_UNREADABLE)

    def _asked(self, send: Callable[[], Answer | NoAnswer]) -> Answer:
        """An answer with data, asked for again after each wait for a rate limit."""
        if not _SENDABLE.fullmatch(self.token.strip()):
            raise ForbiddenError("the token cannot be sent: it holds spaces, line breaks or other letters; set it anew")
        for refusals in count():
            answer = self._sent(send)
            limit = transport.refusal(answer, self.clock(), refusals)
            if limit is None:
                break
            self._wait(limit)
        if problem := _meaning(answer, self.token.strip()):
            problem.status = answer.status
            raise problem
        return answer

    def _sent(self, send: Callable[[], Answer | NoAnswer]) -> Answer:
        self.requests += 1
        answer = send()
        if isinstance(answer, NoAnswer):
            raise UnsureError(f"GitHub gave no answer ({answer.reason}); it may be down or out of reach")
        return answer

    def _wait(self, limit: transport.Refusal) -> None:
        """Until a limit is over, if all waits of this client together may be so long."""
        most = self.max_rate_limit_wait.total_seconds()
        left = most - self.waited
        if limit.seconds > left:
            raise RateLimitError(limit.too_long(left, most))
        self.waited += limit.seconds
        self.tell(limit.waiting(most))
        self.pause(limit.seconds)


def owner_and_name(repository: str) -> dict[str, object]:
    """`owner/name` as the variables of a query."""
    owner, _, name = repository.partition("/")
    return {"owner": owner, "name": name}


_UNREADABLE = "GitHub's answer has no data: it is not ready, or a proxy answered in its place; try again later"


def _meaning(answer: Answer, token: str) -> GitHubError | None:  # noqa: PLR0911 - one a meaning
    """What is wrong with an answer; nothing if it has what was asked for."""
    kind, said = answer.complaint
    said = said.replace(token, "***")
    match kind, answer.status:
        case (_, status) if status in _DONE:
            return UnsureError(_UNREADABLE) if answer.data is None else None
        case ("STALE_DATA", _):
            return StaleHeadError(said)
        case ("NOT_FOUND", _) | (_, 404 | 410):
            return NotFoundError(f"not found, or the token may not see it ({said})")
        case ("FORBIDDEN", _) | (_, 403):
            return ForbiddenError(said)
        case (_, 401):
            return ForbiddenError(f"the token is not valid ({said})")
        case (_, status) if status in _SERVER_ERRORS:
            return UnsureError(f"GitHub answered {status}; try again later")
        case (_, status) if status in _REDIRECTS:
            return MovedError(f"GitHub redirects ({status}); a repository that was renamed needs its new name here")
        case _:
            return GitHubError(said)
