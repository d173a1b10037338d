"""GitHub's API: retries, waits for rate limits, and failures by meaning.

All retries are here. A read without an answer is sent again, at most three times in all. A write is not, because it
may have been carried out. A request that a rate limit refused was not carried out, so it is sent again as long as a
run may wait.

A GitHub that gives no usable answer for a minute counts as down: the run sends it nothing more. So one exchange, with
its retries and pauses, takes at most a minute too, apart from announced waits for rate limits. What a sync has read
must not be lost because one kind of request always takes too long: so it may try something else after that minute.

Every answer is checked against the shape that its reader relies on (`github.shapes`), so that what follows may rely
on it, and a write counts as done only if its answer says so.
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

from msgspec import Struct

from dora_metrics.github import queries, shapes, transport
from dora_metrics.github.response_time import ResponseTime
from dora_metrics.github.silence import Silence
from dora_metrics.github.transport import ApiResponse, Transport, TransportFailure
from dora_metrics.runtime import Deadline

T = TypeVar("T")
Send = Callable[[float], ApiResponse | TransportFailure]
"""Sends one request within a number of seconds."""

_MAX_ATTEMPTS = 3
_SLOW_SECONDS = 8
"""A read without an answer after this was too much for GitHub, which gives a request ten seconds."""
_SECONDS_FOR_SOMETHING_ELSE = 20
_SUCCESS_STATUSES, _REDIRECT_STATUSES, _SERVER_ERROR_STATUSES = range(200, 300), range(300, 400), range(500, 600)
_SENDABLE_TOKEN = re.compile(r"[!-~]+")


TIMEOUT_PHRASES = frozenset({"timeout", "in time", "something went wrong"})
INVALID_CURSOR, NO_COMMON_ANCESTOR = "cursor", "common ancestor"
PHRASES = frozenset({*TIMEOUT_PHRASES, INVALID_CURSOR, NO_COMMON_ANCESTOR})
"""What GitHub's messages say, in lower case, where neither status nor type does."""


class GitHubError(Exception):
    """GitHub refused a request or did not answer. The message says what happened, the likely cause and what to do.

    `status`: the HTTP status, None without an answer. `phrases`: which of `PHRASES` GitHub's own message has; the token
    is masked in the error's message, and a short one masks letters of words.
    """

    status: int | None = None
    phrases: frozenset[str] = frozenset()


class StaleHeadError(GitHubError):
    """Another writer changed the branch first."""


class ReferenceExistsError(GitHubError):
    """Another writer created the branch first."""


class NotFoundError(GitHubError):
    """The resource does not exist, or the token may not see it."""


class TooExpensiveError(GitHubError):
    """GitHub did not finish a query, because that takes more of its resources than one query may have."""


class MovedError(GitHubError):
    """The resource has moved, such as a renamed repository. `redirect`: the answer that says where to."""

    redirect: ApiResponse | None = None


class ForbiddenError(GitHubError):
    """The token lacks the permission, or is not valid."""


def permission_advice(permission: str, *, has_job: bool) -> str:
    """Return how to grant a permission that a token may lack."""
    return f"give the job `permissions: {permission}`" if has_job else f"give the token the permission `{permission}`"


class UncertainOutcomeError(GitHubError):
    """No usable answer came, so the request may or may not have been carried out."""


class UnexpectedAnswerError(UncertainOutcomeError):
    """The answer has another shape than GitHub documents."""


class IncompleteAnswerError(UncertainOutcomeError):
    """The answer leaves out something that is there. GitHub mostly shows it if it is asked again."""


class RateLimitError(GitHubError):
    """A rate limit lasts longer than this run may wait; the request was not carried out."""


Api = Literal["REST", "GraphQL"]


class ExhaustedLimit(Struct, frozen=True):
    """A rate limit that lasts longer than a run may wait: until when (Unix time), and its error."""

    until: float
    message: str


def _ignore_message(_: str) -> None:
    """Drop a message."""


@dataclass
class Client:
    """Requests to one GitHub with one token.

    Attributes:
        token: sent with each request, without surrounding white space.
        api_url: `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise Server.
        sleep: waits some seconds, between tries and for rate limits.
        timeout_seconds: to connect, and between two parts of an answer; a whole exchange takes at most four times as
            long.
        request_count: requests sent so far, retries included.
        max_rate_limit_wait: for all waits together.
        clock: the Unix time, for the end of a rate limit whose answer has no time.
        on_wait: called with a log line before each wait for a rate limit.
        waited_seconds: waited for rate limits so far.
        monotonic: the seconds of a clock that never goes back.
        max_silent_seconds: after which GitHub counts as down; also what one exchange may take, without announced waits.
        exhausted: the limits that last longer than a run may wait, by API. Reads are not sent until they are over.
        started_at: when this client was made, by the clock of GitHub's first usable answer; None before that.
        spent_seconds: waited for GitHub, with pauses and without announced waits, and for a health check, since the
            run began or since other runs were last faster.
        silence: how long GitHub has given no usable answer, to this client and those that were copied from it.
        response_time: how long GitHub has worked in the last minute, for this client and those copied from it.
        repeats_slow_reads: whether a read is sent again for which GitHub took about as long as it gives any request.
        repository_numbers: by names in lower case, where they are known: a redirect to another number is not followed.
    """

    token: str = field(repr=False)
    api_url: str
    sleep: Callable[[float], None]
    timeout_seconds: int = 15
    request_count: int = 0
    max_rate_limit_wait: timedelta = timedelta(minutes=1)
    clock: Callable[[], float] = time.time
    on_wait: Callable[[str], None] = _ignore_message
    waited_seconds: int = 0
    monotonic: Callable[[], float] = time.monotonic
    max_silent_seconds: float = 60
    started_at: datetime | None = None
    exhausted: dict[Api, ExhaustedLimit] = field(default_factory=dict)
    repository_numbers: Mapping[str, int] = field(default_factory=dict)
    spent_seconds: float = 0
    silence: Silence = field(default_factory=Silence)
    response_time: ResponseTime = field(default_factory=ResponseTime)
    repeats_slow_reads: bool = True
    _deadlines: tuple[Deadline, ...] = ()
    _max_waited_seconds: float = math.inf

    def __post_init__(self) -> None:
        self._made_at_seconds = self.monotonic()

    @contextmanager
    def within(self, deadline: Deadline) -> Iterator[None]:
        """Bound everything that is sent in the block, also by the deadlines of blocks around it."""
        outer = self._deadlines
        self._deadlines = (*outer, deadline)
        try:
            yield
        finally:
            self._deadlines = outer

    @contextmanager
    def sending_slow_reads_once(self) -> Iterator[None]:
        """In the block, send a read again only if GitHub failed at once: what takes too long does so each time."""
        outer, self.repeats_slow_reads = self.repeats_slow_reads, False
        try:
            yield
        finally:
            self.repeats_slow_reads = outer

    def try_something_else(self) -> None:
        """Leave GitHub at least 20 s until it counts as down: it may be silent to a single kind of request."""
        self.silence.shorten(self.max_silent_seconds - _SECONDS_FOR_SOMETHING_ELSE, self.monotonic())

    def until(self, seconds: float) -> AbstractContextManager[None]:
        """Bound everything that is sent in the block to what is left of so many `spent_seconds`."""
        return self.within(Deadline(seconds - self.spent_seconds, lambda: self.spent_seconds))

    @contextmanager
    def waiting_at_most(self, duration: timedelta) -> Iterator[None]:
        """In the block, wait no longer than this for rate limits, even if the run may."""
        self._max_waited_seconds = self.waited_seconds + duration.total_seconds()
        try:
            yield
        finally:
            self._max_waited_seconds = math.inf

    def working_seconds(self) -> float:
        """The seconds of a clock that stands still while a rate limit is waited for, for deadlines."""
        return self.monotonic() - self.waited_seconds

    def add_usage(self, clients: Sequence["Client"]) -> None:
        """Add the requests of clients that worked in parallel, and the longest of their waits."""
        self.request_count += sum(client.request_count for client in clients)
        self.waited_seconds = max(self.waited_seconds, *(client.waited_seconds for client in clients))

    @cached_property
    def _transport(self) -> Transport:
        return Transport(self.token.strip(), self.api_url, self.timeout_seconds)

    def limit_problem(self, api: Api) -> str:
        """Return why no read is sent to an API for the rest of this run; empty if reads are sent."""
        limit = self.exhausted.get(api)
        return limit.message if limit and self.clock() < limit.until else ""

    def query(self, name: str, variables: Mapping[str, object], slots: Sequence[str] = ()) -> dict[str, Any]:
        """Send a GraphQL query and return its data. Retried without an answer.

        Args:
            name: of a file in `queries/`.
            variables: of the query.
            slots: values for the copies of the query's slot line (`queries.with_slots`).

        Raises:
            GitHubError: by meaning.
        """
        query_text = queries.load(name)
        if slots:
            query_text = queries.with_slots(query_text, len(slots))
        all_variables = {**variables, **{f"slot{number}": slot for number, slot in enumerate(slots)}}
        self._require_reads("GraphQL")
        return self._exchange(lambda: self._send_graphql(name, query_text, all_variables))

    def query_existing(self, name: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """Send a GraphQL query of objects by their ids and return its data, with null for what does not exist.

        Retried without an answer.

        Raises:
            GitHubError: by meaning.
        """
        query_text = queries.load(name)
        self._require_reads("GraphQL")
        return self._exchange(
            lambda: self._graphql_data(
                name, variables, lambda seconds: self._transport.existing_nodes(query_text, variables, seconds)
            )
        )

    def query_lists(self, name: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """Send a GraphQL query of lists and return its data, with null for items that GitHub does not show.

        Retried without an answer.

        Raises:
            GitHubError: by meaning.
        """
        query_text = queries.load(name)
        self._require_reads("GraphQL")
        return self._exchange(
            lambda: self._graphql_data(
                name, variables, lambda seconds: self._transport.visible_items(query_text, variables, seconds)
            )
        )

    def query_repositories(self, name: str, repositories: Sequence[str]) -> list[dict[str, Any] | None]:
        """Send a GraphQL query with a slot for each repository; None for one that GitHub does not show completely.

        Retried without an answer.

        Raises:
            GitHubError: by meaning.
        """
        query_text = queries.with_slots(queries.load(name), len(repositories))
        variables: dict[str, object] = {}
        for number, repository in enumerate(repositories):
            variables |= {f"slot{number}{part.title()}": text for part, text in owner_and_name(repository).items()}
        self._require_reads("GraphQL")
        slots = self._exchange(
            lambda: self._graphql_data(
                name, variables, lambda seconds: self._transport.visible_slots(query_text, variables, seconds)
            )
        )
        return [slots[f"slot{number}"] for number in range(len(repositories))]

    def mutate(self, name: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """Send a GraphQL mutation once and return its data.

        Raises:
            UncertainOutcomeError: if it may have been carried out.
            GitHubError: by meaning.
        """
        return self._exchange(lambda: self._send_graphql(name, queries.load(name), variables), max_attempts=1)

    def get(self, path: str, parameters: Mapping[str, object], shape: type = shapes.AnyObject) -> dict[str, Any]:
        """Send a REST GET and return its JSON object. Retried without an answer.

        Args:
            path: begins with a slash.
            parameters: of the query.
            shape: of `github.shapes`; what the caller relies on.

        Raises:
            GitHubError: by meaning.
        """
        self._require_reads("REST")
        return self._exchange(lambda: self._send_rest("GET", path, shape, parameters=parameters))

    def get_page(
        self,
        path: str,
        parameters: Mapping[str, object],
        page_token: str | None = None,
        shape: type = shapes.AnyList,
    ) -> tuple[Any, str | None]:
        """Read one page of a REST list; return what has `shape`, and the token of the next page, None after the last.

        A page may have fewer items than were requested, so only the token says whether others follow. Of the next
        page's URL, which GitHub sends, only `after` or `page` is used; path and parameters stay ours.

        Raises:
            GitHubError: by meaning.
        """
        self._require_reads("REST")
        query_parameters = {**dict(parse_qsl(page_token or "")), **parameters}
        return self._exchange(lambda: self._send_page(path, query_parameters, shape))

    def post(self, path: str, body: Mapping[str, object], shape: type = shapes.AnyObject) -> dict[str, Any]:
        """Send a REST POST once and return its JSON object, which has `shape`.

        Raises:
            UncertainOutcomeError: if it may have been carried out.
            GitHubError: by meaning.
        """
        return self._exchange(lambda: self._send_rest("POST", path, shape, body=dict(body)), max_attempts=1)

    def patch(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Send a REST PATCH and return its JSON object. Retried without an answer, since it is idempotent.

        Raises:
            GitHubError: by meaning.
        """
        return self._exchange(lambda: self._send_rest("PATCH", path, shapes.AnyObject, body=dict(body)))

    def _require_reads(self, api: Api) -> None:
        """Raise RateLimitError, and send nothing, while an exhausted limit lasts; writes are still tried."""
        if problem := self.limit_problem(api):
            raise RateLimitError(problem)

    def _exchange(self, send: Callable[[], T], max_attempts: int = _MAX_ATTEMPTS) -> T:
        """Send a request, and again while its outcome is uncertain if it is idempotent, in the time of one exchange."""
        with self.within(Deadline(self.max_silent_seconds, self.working_seconds)):
            return self._send_repeatedly(send, max_attempts)

    def _send_repeatedly(self, send: Callable[[], T], max_attempts: int) -> T:
        for attempt in range(1, max_attempts + 1):
            started_seconds = self.working_seconds()
            try:
                return send()
            except UncertainOutcomeError:
                is_slow = self.working_seconds() - started_seconds >= _SLOW_SECONDS
                if attempt == max_attempts or (is_slow and not self.repeats_slow_reads):
                    raise
                self.pause(attempt)
                if not self.seconds_left:
                    raise
        raise AssertionError

    def pause(self, seconds: float) -> None:
        """Pause before something is sent again; shorter if less time is left."""
        with self._counting():
            self.sleep(min(seconds, self.seconds_left))

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Count the time of the block as waited for GitHub."""
        started = self.monotonic()
        with self.silence.counting(self.monotonic):
            try:
                yield
            finally:
                self.spent_seconds += self.monotonic() - started

    @property
    def seconds_left(self) -> float:
        """The seconds that GitHub has for its next usable answer; 0 if it counts as down, or a deadline is over."""
        left = [deadline.seconds_left for deadline in self._deadlines]
        return max(0.0, min([self._seconds_until_down, *left]))

    @property
    def _seconds_until_down(self) -> float:
        return self.max_silent_seconds - self.silence.seconds_at(self.monotonic())

    def _send_page(self, path: str, parameters: Mapping[str, object], shape: type) -> tuple[Any, str | None]:
        response = self._send_following_rename("GET", path, parameters, None)
        self._accept(f"GET {path}", response, shapes.problem_of(response.data, shape))
        return response.data, response.next_page_token

    def _send_rest(
        self,
        method: str,
        path: str,
        shape: type,
        parameters: Mapping[str, object] | None = None,
        body: object = None,
    ) -> dict[str, Any]:
        response = self._send_following_rename(method, path, parameters, body)
        self._accept(f"{method} {path}", response, shapes.problem_of(response.data, shape))
        data: dict[str, Any] = response.data
        return data

    def _send_following_rename(
        self, method: str, path: str, parameters: Mapping[str, object] | None, body: object
    ) -> ApiResponse:
        """Send a REST request, and again to a renamed repository if GitHub says that it is one and which."""
        try:
            return self._send_within_limits(
                "REST", lambda seconds: self._transport.rest(method, path, parameters, body, seconds)
            )
        except MovedError as moved:
            new_path = moved.redirect and moved.redirect.renamed_path(self.api_url, path, self.repository_numbers)
            if not new_path:
                raise
        return self._send_within_limits(
            "REST", lambda seconds: self._transport.rest(method, new_path, parameters, body, seconds)
        )

    def _send_graphql(self, name: str, query_text: str, variables: Mapping[str, object]) -> dict[str, Any]:
        return self._graphql_data(
            name, variables, lambda seconds: self._transport.graphql(query_text, variables, seconds)
        )

    def _graphql_data(self, name: str, variables: Mapping[str, object], send: Send) -> dict[str, Any]:
        response = self._send_within_limits("GraphQL", send)
        self._accept(name, response, shapes.problem_of_graphql(name, variables, response.data))
        data: dict[str, Any] = response.data["data"]
        return data

    def _accept(self, request_name: str, response: ApiResponse, problem: str | None) -> None:
        """Take an answer as usable, and as GitHub's own.

        Raises:
            UnexpectedAnswerError: if its shape has a problem.
        """
        if problem is not None:
            raise UnexpectedAnswerError(_UNEXPECTED_ANSWER.format(request_name, problem))
        self.silence.end(self.monotonic())
        if self.started_at is None and response.sent_at is not None:
            self.started_at = response.sent_at - timedelta(seconds=self.monotonic() - self._made_at_seconds)

    def _send_within_limits(self, api: Api, send: Send) -> ApiResponse:
        """Send a request, and again after each wait for a rate limit; return an answer with data."""
        if not _SENDABLE_TOKEN.fullmatch(self.token.strip()):
            raise ForbiddenError("the token has spaces, line breaks or characters that cannot be sent; set it again")
        for earlier_hits in count():
            response = self._send_once(send)
            limit_hit = transport.rate_limit_hit(response, self.clock(), earlier_hits)
            if limit_hit is None:
                break
            self._wait_for_limit(api, limit_hit)
        if problem := _error_of(response, self.token.strip()):
            problem.status = response.status
            problem.phrases = frozenset(phrase for phrase in PHRASES if phrase in response.error[1].lower())
            if isinstance(problem, MovedError):
                problem.redirect = response
            if not isinstance(problem, UncertainOutcomeError | MovedError):
                self.silence.end(self.monotonic())
            raise problem
        return response

    def _send_once(self, send: Send) -> ApiResponse:
        """Send a request, and count its time as silence until its answer turns out to be usable."""
        if not self.seconds_left:
            is_down = self._seconds_until_down <= 0
            raise UncertainOutcomeError(_DOWN.format(self.max_silent_seconds) if is_down else _NO_TIME)
        self.request_count += 1
        began = self.monotonic()
        with self._counting():
            response = send(self.seconds_left)
        ended = self.monotonic()
        self.response_time.add(ended - began, ended)
        if isinstance(response, TransportFailure):
            raise UncertainOutcomeError(f"GitHub did not answer ({response.reason}); it may be down or unreachable")
        return response

    def _wait_for_limit(self, api: Api, limit_hit: transport.RateLimitHit) -> None:
        """Wait until a limit is renewed.

        Raises:
            RateLimitError: if the waits of this client would exceed `max_rate_limit_wait`.
        """
        max_seconds = self.max_rate_limit_wait.total_seconds()
        left_seconds = min(max_seconds, self._max_waited_seconds) - self.waited_seconds
        if limit_hit.wait_seconds > left_seconds:
            message = limit_hit.too_long_message(left_seconds, max_seconds)
            self.exhausted[api] = ExhaustedLimit(self.clock() + limit_hit.wait_seconds, message)
            raise RateLimitError(message)
        self.waited_seconds += limit_hit.wait_seconds
        self.silence.end(self.monotonic())
        self.on_wait(limit_hit.waiting_message(max_seconds))
        self.sleep(limit_hit.wait_seconds)


def owner_and_name(repository: str) -> dict[str, object]:
    """Split `owner/name` into the variables of a query."""
    owner, _, name = repository.partition("/")
    return {"owner": owner, "name": name}


_UNREADABLE_RESPONSE = "GitHub's answer has no data: it may not be ready, or a proxy answered instead; try again later"
_UNEXPECTED_ANSWER = (
    "GitHub's answer to {} is not what its documentation describes ({}); GitHub may have a problem, "
    "or a proxy answered instead; try again later"
)
_DOWN = "GitHub gave no usable answer for {:g} s, so this run sends no more requests; run this job again later"
_NO_TIME = "GitHub is slow, and there was no time left for this request; run this job again later"
_REFERENCE_EXISTS = "reference already exists"
_UNNAMED_GRAPHQL_FAILURE = "something went wrong"
"""How the message of a GraphQL error without a type begins that is a failure of GitHub's own, as a 502 is."""


_ERRORS_BY_TYPE: Mapping[str, type[GitHubError]] = {
    "STALE_DATA": StaleHeadError,
    "RESOURCE_LIMITS_EXCEEDED": TooExpensiveError,
    "MAX_NODE_LIMIT_EXCEEDED": TooExpensiveError,
}
"""What GraphQL's types of errors mean, where the status says nothing more."""


def _error_of(response: ApiResponse, token: str) -> GitHubError | None:  # noqa: PLR0911 - one return for each meaning
    """Return the error that an answer means; None if it is a success with data."""
    error_type, full_message = response.error
    message = full_message.replace(token, "***")  # a short token masks letters, so nothing is decided by this
    if response.status in _SUCCESS_STATUSES:
        return UncertainOutcomeError(_UNREADABLE_RESPONSE) if response.data is None else None
    if error_class := _ERRORS_BY_TYPE.get(error_type):
        return error_class(message)
    match error_type, response.status:
        case (_, transport.UNPROCESSABLE) if full_message.lower().startswith(_REFERENCE_EXISTS):
            return ReferenceExistsError(message)
        case ("NOT_FOUND", _) | (_, 404 | 410):
            return NotFoundError(f"not found, or the token has no access to it ({message})")
        case ("FORBIDDEN", _) | (_, 403):
            return ForbiddenError(message)
        case (_, 401):
            return ForbiddenError(f"the token is not valid ({message})")
        case ("", transport.BAD_REQUEST) if full_message.lower().startswith(_UNNAMED_GRAPHQL_FAILURE):
            return UncertainOutcomeError(f"GitHub answered: {message}")
        case (_, status) if status in _SERVER_ERROR_STATUSES:
            return UncertainOutcomeError(f"GitHub answered {status}; try again later")
        case (_, status) if status in _REDIRECT_STATUSES:
            return MovedError(f"GitHub redirects ({status}); if the repository was renamed, use its new name")
        case _:
            return GitHubError(message)
