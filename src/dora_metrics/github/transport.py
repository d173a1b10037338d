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

_ACCEPTED, _REDIRECTS, BAD = 202, range(300, 400), 400
_NUMBER = re.compile(r"\d{1,15}(\.\d+)?", re.ASCII)
_NEXT = re.compile(r'<[^<>?]*\?([^<>]*)>; *rel="?next\b')
_NUMBERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after")


@dataclass(frozen=True)
class Answer:
    """What came back: `headers` with names in lower case, those of rate limits only where they are numbers.

    `data` is None where the body is no JSON. GraphQL's errors come inside an HTTP 200; their `status` here is 400.
    """

    status: int
    headers: Mapping[str, str]
    data: Any

    def number(self, header: str) -> float | None:
        """A header of `x-ratelimit-*` or `retry-after`."""
        text = self.headers.get(header)
        return None if text is None else float(text)

    @property
    def following(self) -> str | None:
        """The place of the next page of a REST list, as `after=…` or `page=2`; None after the last."""
        found = _NEXT.search(self.headers.get("link", ""))
        query = parse_qsl(found[1]) if found else []
        return urlencode([(name, value) for name, value in query if name in ("after", "page")]) or None

    @property
    def complaint(self) -> tuple[str, str]:
        """The type of a failure, where GraphQL gives one, and GitHub's words for it."""
        match self.data:
            case {"errors": [{"message": str(said), **rest}, *_]}:
                return str(rest.get("type", "")), said
            case {"message": str(said)}:
                return "", said
            case _:
                return "", f"status {self.status}"


@dataclass(frozen=True)
class NoAnswer:
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
        self._connection = _connection(api_url, timeout_seconds)

    def rest(
        self, verb: str, path: str, parameters: Mapping[str, object] | None = None, body: object = None
    ) -> Answer | NoAnswer:
        """One REST request."""
        try:
            status, headers, text = self._requester.requestJson(
                verb, path, dict(parameters or {}), input=body, cnx=self._connection
            )
        except _TakenOutError as taken:
            return taken.answer
        except RequestException as problem:
            return NoAnswer(type(problem).__name__)
        return Answer(status, headers, _json(text))

    def graphql(self, text: str, variables: Mapping[str, object]) -> Answer | NoAnswer:
        """One query or mutation."""
        body = {"query": text, "variables": dict(variables)}
        answer = self.rest("POST", self._requester.graphql_url, body=body)
        match answer:
            case Answer(status=200, data={"errors": [_, *_]}):
                return Answer(BAD, answer.headers, answer.data)
            case _:
                return answer


class _TakenOutError(Exception):
    """An answer that PyGithub must not see, because it would wait or follow by itself."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _connection(api_url: str, timeout_seconds: int) -> HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass:
    address = urlsplit(api_url)
    kind = HTTPSRequestsConnectionClass if address.scheme == "https" else HTTPRequestsConnectionClass
    made = kind(address.hostname or "", address.port, timeout=timeout_seconds)
    made.session.hooks["response"].append(_inspected)
    return made


def _inspected(response: Response, *_: object, **__: object) -> None:
    """What has to be put right before PyGithub reads an answer."""
    response.encoding = "utf-8"
    for name in _NUMBERS:
        if not _NUMBER.fullmatch(response.headers.get(name, "0").strip()):
            del response.headers[name]
    unfinished = response.status_code == _ACCEPTED and response.request.method == "GET"
    if unfinished or response.status_code in _REDIRECTS:
        headers = {name.lower(): value for name, value in response.headers.items()}
        raise _TakenOutError(Answer(response.status_code, headers, None))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_TOO_MANY = 429
_TYPES = ("RATE_LIMITED", "RATE_LIMIT")
_PERMISSION = "resource not accessible"
_MINUTE, _HOURS, _LONGEST = 60, 7_200, 86_400
_APIS = {"core": " for REST", "graphql": " for GraphQL"}


@dataclass(frozen=True)
class Refusal:
    """A limit that was met at `now`, and the seconds to stay away."""

    what: str
    seconds: int
    now: float

    def waiting(self, most: float) -> str:
        """What is told before a wait, of which a run has `most` seconds."""
        return f"{self.what}; waiting {_span(self.seconds)} (at most {_span(most)} in a run)"

    def too_long(self, left: float, most: float) -> str:
        """What is told where only `left` of `most` seconds may still be waited."""
        renewed = datetime.fromtimestamp(self.now + self.seconds, UTC)
        return (
            f"{self.what}; it is renewed at {renewed:%H:%M} UTC, in {_span(self.seconds)}, and this run may wait "
            f"{_span(left)} more. The next run goes on by itself; run this one again for what it could not do, or "
            f"raise `max-rate-limit-wait` (now {_span(most)})"
        )


def refusal(answer: Answer, now: float, earlier: int) -> Refusal | None:
    """The limit that an answer speaks of, after `earlier` refusals of the same request; None where it is none."""
    if not _is_refusal(answer):
        return None
    what = "GitHub's secondary rate limit is reached (too much at once)"
    if _is_primary(answer):
        what = f"GitHub's hourly rate limit{_APIS.get(answer.headers.get('x-ratelimit-resource', ''), '')} is used up"
    return Refusal(what, _seconds(answer, now, earlier), now)


def _is_refusal(answer: Answer) -> bool:
    kind, said = answer.complaint
    worded = "rate limit" in said.lower() or "abuse detection" in said.lower()
    match answer.status:
        case 403:  # a missing permission is one, too, and may meet the hour's last request
            spent = _is_spent(answer) and _PERMISSION not in said.lower()
            return worded or spent or "retry-after" in answer.headers
        case status if status == BAD:
            return kind in _TYPES or (worded and not kind)
        case status:
            return status == _TOO_MANY


def _is_primary(answer: Answer) -> bool:
    """A query may cost more than what is left, so that a primary limit need not leave nought."""
    kind, said = answer.complaint
    primary = kind in _TYPES or said.lower().startswith("api rate limit") or _is_spent(answer)
    return primary and "secondary" not in said.lower()


def _is_spent(answer: Answer) -> bool:
    return answer.number("x-ratelimit-remaining") == 0


def _seconds(answer: Answer, now: float, earlier: int) -> int:
    """As long as GitHub asks, where that can be, else a minute; longer each time, so that requests stay few."""
    least = 1 << earlier
    asked = answer.number("retry-after")
    if asked is None and (_is_primary(answer) or _is_spent(answer)):
        asked = _until_reset(answer, now)
    return max(ceil(asked), least) if asked is not None and 0 <= asked <= _LONGEST else _MINUTE * least


def _until_reset(answer: Answer, now: float) -> float | None:
    """To the end of the second that is named: nobody knows when in it."""
    reset = answer.number("x-ratelimit-reset")
    return None if reset is None or reset < now else int(reset - now) + 1


def _span(seconds: float) -> str:
    """Seconds, or begun minutes but for a second, so that a wait never looks shorter than the time that is left."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{ceil((seconds - 1) / _MINUTE)} min" if seconds < _HOURS else formatting.duration(seconds)
