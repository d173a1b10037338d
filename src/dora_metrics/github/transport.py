"""One request to GitHub and its answer as it came, and what an answer says about rate limits.

Nothing is repeated, followed or waited for here, and failures are values: see `github.client` for what they mean.

A request that met a rate limit was not carried out, so any request may then be sent again.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#exceeding-the-rate-limit
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import ceil, inf
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from msgspec import Struct

from dora_metrics.core import formatting
from dora_metrics.core.windows import parse_http_date
from dora_metrics.http_session import (
    BearerAuth,
    BodyProblem,
    ExchangeFailure,
    ExchangeLimits,
    HttpRequest,
    HttpResponse,
    HttpSession,
)

MAX_FILE_ANSWER_BYTES = 150_000_000
"""The largest answer with one file: GitHub shows files of up to 100 MB, which are 137 MB as Base64 in JSON."""

MAX_ANSWER_BYTES = 50_000_000
"""The largest other answer, which in memory may be thirty times as large. A request shows 50 files of 512 kB of a
ledger at most, which are 29 MB as JSON; 100 pull requests with 65,536 letters each of four bytes are 26 MB.
"""

_TOTAL_TO_SILENCE_RATIO = 4
_HEADERS = {
    "User-Agent": "dora-metrics",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
}
_OK, _ACCEPTED, _REDIRECT_STATUSES, BAD_REQUEST, UNPROCESSABLE = 200, 202, range(300, 400), 400, 422
_NUMERIC = re.compile(r"\d{1,15}(\.\d+)?", re.ASCII)
_NEXT_LINK = re.compile(r'<[^<>?]*\?([^<>]*)>; *rel="?next\b')
_PATH_BY_NAME = re.compile(r"/repos/([^/]+/[^/]+)(.*)")
_PATH_BY_NUMBER = re.compile(r"(\d{1,18})((?:/[^?#]*)?)(?:[?#].*)?", re.ASCII)
_FIRST_YEAR = 2008
"""When GitHub began. A `Date` before that is of a clock that was never set."""
_FILE_PATH = re.compile(r"/[^?]*/git/blobs/[^/?]+")
_METHOD_KEEPING_STATUSES = (301, 307, 308)
"""Redirects of a renamed repository: 301 for reads, 307 for writes."""
_NUMERIC_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after")


class ApiResponse(Struct, frozen=True):
    """An answer. Header names are in lower case; rate limit headers that are not numbers are left out.

    `data` is the parsed JSON; None where the body is not JSON, and for a redirect or an unfinished answer (202).
    GraphQL reports errors in an HTTP 200; their `status` here is 400.
    """

    status: int
    headers: Mapping[str, str]
    data: Any

    def numeric_header(self, header: str) -> float | None:
        """Return the value of an `x-ratelimit-*` or `retry-after` header; None where it is missing."""
        value = self.headers.get(header)
        return None if value is None else float(value)

    @property
    def sent_at(self) -> datetime | None:
        """When GitHub sent the answer, by its own clock (`Date`); None without a header with a time that can be."""
        sent_at = parse_http_date(self.headers.get("date"))
        return sent_at if sent_at and sent_at.year >= _FIRST_YEAR else None

    @property
    def next_page_token(self) -> str | None:
        """Query of the next page of a REST list, such as `after=…` or `page=2`; None after the last page."""
        link_match = _NEXT_LINK.search(self.headers.get("link", ""))
        query = parse_qsl(link_match[1]) if link_match else []
        return urlencode([(name, value) for name, value in query if name in ("after", "page")]) or None

    def renamed_path(self, api_url: str, path: str, numbers: Mapping[str, int]) -> str | None:
        """Return where a redirect says that `path` is now, by the number of its repository; None for anything else.

        Only a repository moves: where the rest of the path differs, or the number is another repository's, something in
        it has moved out, such as an issue that was transferred. What is there by now is not what was asked for.

        Args:
            api_url: the API's address.
            path: that was asked for, by the name of its repository.
            numbers: of repositories, by their names in lower case, as far as they are known.
        """
        base, separator, location = self.headers.get("location", "").partition("/repositories/")
        is_kept = self.status in _METHOD_KEEPING_STATUSES and base == api_url.rstrip("/")
        own_match, new_match = _PATH_BY_NAME.fullmatch(path), _PATH_BY_NUMBER.fullmatch(location)
        if not (is_kept and own_match and new_match) or unquote(own_match[2]) != unquote(new_match[2]):
            return None
        number = int(new_match[1])
        return f"{separator}{number}{own_match[2]}" if numbers.get(own_match[1].lower(), number) == number else None

    @property
    def error(self) -> tuple[str, str]:
        """GraphQL's error type (empty elsewhere), and GitHub's message."""
        match self.data:
            case {"errors": [{"message": str(message), **rest}, *_]}:
                return str(rest.get("type", "")), message
            case {"message": str(message)}:
                return "", message
            case _:
                return "", f"status {self.status}"


class TransportFailure(Struct, frozen=True):
    """No complete answer came; whether the request arrived is unknown."""

    reason: str


class Transport:
    """Requests to one GitHub with one token, over one kept connection.

    Args:
        token: of any kind.
        api_url: `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise Server.
        timeout_seconds: to connect, and between two parts of an answer; a whole exchange takes at most four times as
            long.
        max_answer_bytes: of a decompressed answer without a file; a larger one counts as none.
    """

    def __init__(
        self, token: str, api_url: str, timeout_seconds: int, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        self._auth = BearerAuth(token)
        self._max_answer_bytes = max_answer_bytes
        self._api_url = api_url.rstrip("/")
        self._graphql_url = f"{self._api_url.removesuffix('/v3')}/graphql"
        self._session = HttpSession(
            ExchangeLimits(
                connect_seconds=timeout_seconds,
                silence_seconds=timeout_seconds,
                total_seconds=timeout_seconds * _TOTAL_TO_SILENCE_RATIO,
                max_body_bytes=MAX_FILE_ANSWER_BYTES,
            )
        )

    def rest(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, object] | None = None,
        body: object = None,
        max_seconds: float = inf,
    ) -> ApiResponse | TransportFailure:
        """Send one REST request; `path` begins with a slash."""
        query = f"?{urlencode(sorted(parameters.items()))}" if parameters else ""
        max_bytes = MAX_FILE_ANSWER_BYTES if _FILE_PATH.fullmatch(path) else self._max_answer_bytes
        return self._send(method, f"{self._api_url}{path}{query}", body, max_seconds, max_bytes)

    def existing_nodes(
        self, query_text: str, variables: Mapping[str, object], max_seconds: float = inf
    ) -> ApiResponse | TransportFailure:
        """Send one query by ids. Objects among `nodes` that GitHub does not have are null, and no error."""
        response = self.graphql(query_text, variables, max_seconds)
        match response:
            case ApiResponse(data={"data": dict(), "errors": list(errors)}) if all(map(_is_about_an_id, errors)):
                return ApiResponse(_OK, response.headers, response.data)
            case _:
                return response

    def visible_slots(
        self, query_text: str, variables: Mapping[str, object], max_seconds: float = inf
    ) -> ApiResponse | TransportFailure:
        """Send one query with slots. What GitHub does not have, or does not show completely, is null, and no error."""
        response = self.graphql(query_text, variables, max_seconds)
        match response:
            case ApiResponse(data={"data": dict(slots), "errors": list(errors)}) if all(map(_is_about_a_slot, errors)):
                refused = {str(error["path"][0]) for error in errors}
                shown = {name: None if name in refused else slot for name, slot in slots.items()}
                return ApiResponse(_OK, response.headers, {**response.data, "data": shown})
            case _:
                return response

    def visible_items(
        self, query_text: str, variables: Mapping[str, object], max_seconds: float = inf
    ) -> ApiResponse | TransportFailure:
        """Send one query of lists. Items that GitHub has but does not show are null, and no error."""
        response = self.graphql(query_text, variables, max_seconds)
        match response:
            case ApiResponse(data={"data": dict(data), "errors": list(errors)}) if all(
                _is_about_a_null_item(error, data) for error in errors
            ):
                return ApiResponse(_OK, response.headers, response.data)
            case _:
                return response

    def graphql(
        self, query_text: str, variables: Mapping[str, object], max_seconds: float = inf
    ) -> ApiResponse | TransportFailure:
        """Send one query or mutation."""
        body = {"query": query_text, "variables": dict(variables)}
        response = self._send("POST", self._graphql_url, body, max_seconds, self._max_answer_bytes)
        match response:
            case ApiResponse(status=200, data={"errors": [_, *_]}):
                return ApiResponse(BAD_REQUEST, response.headers, response.data)
            case _:
                return response

    def _send(
        self, method: str, url: str, body: object, max_seconds: float, max_bytes: int
    ) -> ApiResponse | TransportFailure:
        headers = _HEADERS if body is None else {**_HEADERS, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = HttpRequest(method, url, content, headers, self._auth)
        response = self._session.exchange(request, _has_data, max_seconds, max_bytes)
        match response:
            case ExchangeFailure(name=name):
                return TransportFailure(name)
            case HttpResponse(body_problem=BodyProblem() as problem):
                return TransportFailure(f"its answer was {problem.value}")
        is_unfinished = response.status == _ACCEPTED and method == "GET"
        data = None if is_unfinished or not _has_data(response.status) else _json_or_none(response.body)
        return ApiResponse(response.status, _with_valid_limits(response.headers), data)


def _is_about_an_id(error: object) -> bool:
    match error:
        case {"type": "NOT_FOUND", "path": ["nodes", *_]}:
            return True
        case _:
            return False


def _is_about_a_slot(error: object) -> bool:
    match error:
        case {"type": "NOT_FOUND" | "FORBIDDEN", "path": [str(), *_]}:
            return True
        case _:
            return False


def _is_about_a_null_item(error: object, data: object) -> bool:
    """Whether an error is about an item of a list that is null as a whole."""
    match error:
        case {"type": "NOT_FOUND" | "FORBIDDEN", "path": [str(), *_] as path}:
            return isinstance(_first_null(data, path), int)
        case _:
            return False


def _first_null(value: Any, path: Sequence[object]) -> object:  # noqa: ANN401 - any JSON
    """Return the key or place of the first null on a path; None if there is none."""
    for key in path:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return None
        if value is None:
            return key
    return None


def _has_data(status: int) -> bool:
    """Return whether the body of an answer matters: that of a redirect does not."""
    return status not in _REDIRECT_STATUSES


def _with_valid_limits(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers without those of rate limits that are not numbers."""
    return {
        name: value
        for name, value in headers.items()
        if name not in _NUMERIC_HEADERS or _NUMERIC.fullmatch(value.strip())
    }


def _json_or_none(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


_TOO_MANY_REQUESTS = 429
_RATE_LIMIT_TYPES = ("RATE_LIMITED", "RATE_LIMIT")
_MISSING_PERMISSION = "resource not accessible"
_MINUTE_SECONDS, _TWO_HOURS_SECONDS, _MAX_WAIT_SECONDS = 60, 7_200, 86_400
_API_SUFFIXES = {"core": " for REST", "graphql": " for GraphQL"}


class RateLimitHit(Struct, frozen=True):
    """A rate limit that an answer reports, the seconds to wait, and when that was: Unix time, by GitHub's clock."""

    description: str
    wait_seconds: int
    reported_at: float

    def waiting_message(self, max_seconds: float) -> str:
        """Return the log line before a wait; `max_seconds` is what a run may wait in all."""
        return (
            f"{self.description}; waiting {_format_wait(self.wait_seconds)} (at most "
            f"{_format_wait(max_seconds)} in a run)"
        )

    def too_long_message(self, left_seconds: float, max_seconds: float) -> str:
        """Return the error where a run may wait `left_seconds` more, of `max_seconds` in all."""
        renewed_at = datetime.fromtimestamp(self.reported_at + self.wait_seconds, UTC)
        return (
            f"{self.description}; it resets at {renewed_at:%H:%M} UTC, in "
            f"{_format_wait(self.wait_seconds)}, and this run may wait "
            f"{_format_wait(left_seconds)} more. The next run continues; to continue now, run this one again "
            f"later or raise `max-rate-limit-wait` (now {_format_wait(max_seconds)})"
        )


def rate_limit_hit(response: ApiResponse, now: float, earlier_hits: int) -> RateLimitHit | None:
    """Return the rate limit that an answer reports, None if it reports none.

    Args:
        response: the answer.
        now: Unix time by this machine's clock, which counts if the answer does not say when it was sent.
        earlier_hits: how often a rate limit refused the same request before.
    """
    if not _is_rate_limited(response):
        return None
    reported_at = response.sent_at.timestamp() if response.sent_at else now
    return RateLimitHit(_describe_limit(response), _wait_seconds(response, reported_at, earlier_hits), reported_at)


def _describe_limit(response: ApiResponse) -> str:
    if not _is_primary(response):
        return "GitHub's secondary rate limit is reached (too many requests at once)"
    api_suffix = _API_SUFFIXES.get(response.headers.get("x-ratelimit-resource", ""), "")
    return f"GitHub's hourly rate limit{api_suffix} is used up"


def _is_rate_limited(response: ApiResponse) -> bool:
    error_type, message = response.error
    has_limit_message = "rate limit" in message.lower() or "abuse detection" in message.lower()
    match response.status:
        case 403:  # also the status of a missing permission, which may use up the hour's last request
            is_spent = _is_spent(response) and _MISSING_PERMISSION not in message.lower()
            return has_limit_message or is_spent or "retry-after" in response.headers
        case status if status == BAD_REQUEST:
            return error_type in _RATE_LIMIT_TYPES or (has_limit_message and not error_type)
        case status:
            return status == _TOO_MANY_REQUESTS


def _is_primary(response: ApiResponse) -> bool:
    """Return whether the primary limit was hit. Zero need not remain: a query may cost more than what is left."""
    error_type, message = response.error
    is_primary = error_type in _RATE_LIMIT_TYPES or message.lower().startswith("api rate limit") or _is_spent(response)
    return is_primary and "secondary" not in message.lower()


def _is_spent(response: ApiResponse) -> bool:
    return response.numeric_header("x-ratelimit-remaining") == 0


def _wait_seconds(response: ApiResponse, reported_at: float, earlier_hits: int) -> int:
    """Return the seconds that GitHub asks for, or a minute if it names none or an impossible time.

    The least wait doubles with each hit, so that requests stay few.
    """
    min_seconds = 1 << earlier_hits
    requested_seconds = response.numeric_header("retry-after")
    if requested_seconds is None and (_is_primary(response) or _is_spent(response)):
        requested_seconds = _seconds_until_reset(response, reported_at)
    return (
        max(ceil(requested_seconds), min_seconds)
        if requested_seconds is not None and 0 <= requested_seconds <= _MAX_WAIT_SECONDS
        else _MINUTE_SECONDS * min_seconds
    )


def _seconds_until_reset(response: ApiResponse, reported_at: float) -> float | None:
    """Return the seconds until the end of the second that GitHub names, since the reset comes at any time in it."""
    reset_at = response.numeric_header("x-ratelimit-reset")
    return None if reset_at is None or reset_at < reported_at else int(reset_at - reported_at) + 1


def _format_wait(seconds: float) -> str:
    """Format a wait in seconds or in minutes rounded up, so that it never looks shorter than what may still be waited.

    One second over a full minute does not count: `_seconds_until_reset` adds one.
    """
    if seconds < 2 * _MINUTE_SECONDS:
        return f"{seconds:.0f} s"
    return (
        f"{ceil((seconds - 1) / _MINUTE_SECONDS)} min" if seconds < _TWO_HOURS_SECONDS else formatting.duration(seconds)
    )
