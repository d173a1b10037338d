"""One request to GitHub through PyGithub, and its answer as it came: nothing repeated, followed or waited for.

Left to itself, PyGithub sends a POST ten times, sleeps by the real clock (rate limits, 202, between requests), follows
a redirect without its parameters, and raises on a rate limit's header that is no number. Its exceptions, and those of
requests, hold the request with its token; so they end here, as values.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass
from requests import RequestException, Response

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
