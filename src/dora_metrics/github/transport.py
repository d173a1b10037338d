"""One request to GitHub through PyGithub, and its answer as it came: nothing repeated, followed or waited for.

Left to itself, PyGithub sends a POST ten times, sleeps by the real clock (rate limits, 202, between requests), follows
a redirect without its parameters, and raises on a rate limit's header that is no number. Its exceptions, and those of
requests, hold the request with its token; so they end here, as values.

GitHub's rate limits: which answer is a refusal, how long to stay away, and how to say so.

A request that met a limit was not carried out, so it may be sent again, whatever it is.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#exceeding-the-rate-limit
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass
from requests import RequestException, Response

from dora_metrics.core import formatting

_ACCEPTED, _REDIRECT_STATUSES, BAD_REQUEST = 202, range(300, 400), 400
_NUMERIC = re.compile(r"\d{1,15}(\.\d+)?", re.ASCII)
_NEXT_LINK = re.compile(r'<[^<>?]*\?([^<>]*)>; *rel="?next\b')
_NUMERIC_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after")


@dataclass(frozen=True)
class ApiResponse:
    """What came back: `headers` with names in lower case, those of rate limits only where they are numbers.

    `data` is None where the body is no JSON. GraphQL's errors come inside an HTTP 200; their `status` here is 400.
    """

    status: int
    headers: Mapping[str, str]
    data: Any

    def numeric_header(self, header: str) -> float | None:
        """A header of `x-ratelimit-*` or `retry-after`."""
        value = self.headers.get(header)
        return None if value is None else float(value)

    @property
    def next_page_token(self) -> str | None:
        """The place of the next page of a REST list, as `after=…` or `page=2`; None after the last."""
        link_match = _NEXT_LINK.search(self.headers.get("link", ""))
        query = parse_qsl(link_match[1]) if link_match else []
        return urlencode([(name, value) for name, value in query if name in ("after", "page")]) or None

    @property
    def error(self) -> tuple[str, str]:
        """The type of a failure, where GraphQL gives one, and GitHub's words for it."""
        match self.data:
            case {"errors": [{"message": str(message), **rest}, *_]}:
                return str(rest.get("type", "")), message
            case {"message": str(message)}:
                return "", message
            case _:
                return "", f"status {self.status}"


@dataclass(frozen=True)
class TransportFailure:
    """The connection failed or timed out; whether the request arrived is not known."""

    reason: str


class Transport:
    """PyGithub with a connection of our own; its timeout is for each part of an answer."""

    def __init__(self, token: str, api_url: str, timeout_seconds: int) -> None:
        self._requester = Github(
            auth=Auth.Token(token),
            base_url=api_url.rstrip("/"),
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        ).requester
        self._connection = _create_connection(api_url, timeout_seconds)

    def rest(
        self, method: str, path: str, parameters: Mapping[str, object] | None = None, body: object = None
    ) -> ApiResponse | TransportFailure:
        """One REST request."""
        try:
            status, headers, text = self._requester.requestJson(
                method, path, dict(parameters or {}), input=body, cnx=self._connection
            )
        except _InterceptedResponseError as intercepted:
            return intercepted.response
        except RequestException as problem:
            return TransportFailure(type(problem).__name__)
        return ApiResponse(status, headers, _json_or_none(text))

    def graphql(self, query_text: str, variables: Mapping[str, object]) -> ApiResponse | TransportFailure:
        """One query or mutation."""
        body = {"query": query_text, "variables": dict(variables)}
        response = self.rest("POST", self._requester.graphql_url, body=body)
        match response:
            case ApiResponse(status=200, data={"errors": [_, *_]}):
                return ApiResponse(BAD_REQUEST, response.headers, response.data)
            case _:
                return response


class _InterceptedResponseError(Exception):
    """An answer that PyGithub must not see, because it would wait or follow by itself."""

    def __init__(self, response: ApiResponse) -> None:
        super().__init__()
        self.response = response


def _create_connection(
    api_url: str, timeout_seconds: int
) -> HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass:
    url_parts = urlsplit(api_url)
    connection_type = HTTPSRequestsConnectionClass if url_parts.scheme == "https" else HTTPRequestsConnectionClass
    connection = connection_type(url_parts.hostname or "", url_parts.port, timeout=timeout_seconds)
    connection.session.hooks["response"].append(_inspect)
    return connection


def _inspect(response: Response, *_: object, **__: object) -> None:
    """What has to be put right before PyGithub reads an answer."""
    response.encoding = "utf-8"
    for name in _NUMERIC_HEADERS:
        if not _NUMERIC.fullmatch(response.headers.get(name, "0").strip()):
            del response.headers[name]
    is_unfinished = response.status_code == _ACCEPTED and response.request.method == "GET"
    if is_unfinished or response.status_code in _REDIRECT_STATUSES:
        headers = {name.lower(): value for name, value in response.headers.items()}
        raise _InterceptedResponseError(ApiResponse(response.status_code, headers, None))


def _json_or_none(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_TOO_MANY_REQUESTS = 429
_RATE_LIMIT_TYPES = ("RATE_LIMITED", "RATE_LIMIT")
_MISSING_PERMISSION = "resource not accessible"
_MINUTE_SECONDS, _TWO_HOURS_SECONDS, _MAX_WAIT_SECONDS = 60, 7_200, 86_400
_API_SUFFIXES = {"core": " for REST", "graphql": " for GraphQL"}


@dataclass(frozen=True)
class RateLimitHit:
    """A limit that was met at `now`, and the seconds to stay away."""

    description: str
    wait_seconds: int
    now: float

    def waiting_message(self, max_seconds: float) -> str:
        """What is told before a wait, of which a run has `most` seconds."""
        return (
            f"{self.description}; waiting {_format_wait(self.wait_seconds)} (at most "
            f"{_format_wait(max_seconds)} in a run)"
        )

    def too_long_message(self, left_seconds: float, max_seconds: float) -> str:
        """What is told where only `left` of `most` seconds may still be waited."""
        renewed_at = datetime.fromtimestamp(self.now + self.wait_seconds, UTC)
        return (
            f"{self.description}; it is renewed at {renewed_at:%H:%M} UTC, in "
            f"{_format_wait(self.wait_seconds)}, and this run may wait "
            f"{_format_wait(left_seconds)} more. The next run goes on by itself; run this one again "
            "for what it could not do, or "
            f"raise `max-rate-limit-wait` (now {_format_wait(max_seconds)})"
        )


def rate_limit_hit(response: ApiResponse, now: float, earlier_hits: int) -> RateLimitHit | None:
    """The limit that an answer speaks of, after `earlier` refusals of the same request; None where it is none."""
    if not _is_rate_limited(response):
        return None
    description = "GitHub's secondary rate limit is reached (too much at once)"
    if _is_primary(response):
        description = (
            "GitHub's hourly rate "
            f"limit{_API_SUFFIXES.get(response.headers.get('x-ratelimit-resource', ''), '')} is used up"
        )
    return RateLimitHit(description, _wait_seconds(response, now, earlier_hits), now)


def _is_rate_limited(response: ApiResponse) -> bool:
    error_type, message = response.error
    has_limit_message = "rate limit" in message.lower() or "abuse detection" in message.lower()
    match response.status:
        case 403:  # a missing permission is one, too, and may meet the hour's last request
            is_spent = _is_spent(response) and _MISSING_PERMISSION not in message.lower()
            return has_limit_message or is_spent or "retry-after" in response.headers
        case status if status == BAD_REQUEST:
            return error_type in _RATE_LIMIT_TYPES or (has_limit_message and not error_type)
        case status:
            return status == _TOO_MANY_REQUESTS


def _is_primary(response: ApiResponse) -> bool:
    """A query may cost more than what is left, so that a primary limit need not leave nought."""
    error_type, message = response.error
    is_primary = error_type in _RATE_LIMIT_TYPES or message.lower().startswith("api rate limit") or _is_spent(response)
    return is_primary and "secondary" not in message.lower()


def _is_spent(response: ApiResponse) -> bool:
    return response.numeric_header("x-ratelimit-remaining") == 0


def _wait_seconds(response: ApiResponse, now: float, earlier_hits: int) -> int:
    """As long as GitHub asks, where that can be, else a minute; longer each time, so that requests stay few."""
    min_seconds = 1 << earlier_hits
    requested_seconds = response.numeric_header("retry-after")
    if requested_seconds is None and (_is_primary(response) or _is_spent(response)):
        requested_seconds = _seconds_until_reset(response, now)
    return (
        max(ceil(requested_seconds), min_seconds)
        if requested_seconds is not None and 0 <= requested_seconds <= _MAX_WAIT_SECONDS
        else _MINUTE_SECONDS * min_seconds
    )


def _seconds_until_reset(response: ApiResponse, now: float) -> float | None:
    """To the end of the second that is named: nobody knows when in it."""
    reset_at = response.numeric_header("x-ratelimit-reset")
    return None if reset_at is None or reset_at < now else int(reset_at - now) + 1


def _format_wait(seconds: float) -> str:
    """Seconds, or begun minutes but for a second, so that a wait never looks shorter than the time that is left."""
    if seconds < 2 * _MINUTE_SECONDS:
        return f"{seconds:.0f} s"
    return (
        f"{ceil((seconds - 1) / _MINUTE_SECONDS)} min" if seconds < _TWO_HOURS_SECONDS else formatting.duration(seconds)
    )
