"""One request to BigQuery's REST API: limits, retries, and what a refusal means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.http_session import (
    BearerAuth,
    ExchangeFailure,
    HttpRequest,
    HttpResponse,
    HttpSession,
    may_pass,
)
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.sinks.bigquery.answers import ErrorAnswer
from dora_metrics.sinks.bigquery.refusals import request_refusal
from dora_metrics.sinks.http import RETRIED_STATUSES, SendError, exchange_limits, exchange_with_retries, is_success

T = TypeVar("T")

GOOGLE = "https://bigquery.googleapis.com"
_MAX_ANSWER_BYTES = 16 * 1024 * 1024

_FORBIDDEN, NOT_FOUND, CONFLICT = 403, 404, 409
_PASSING_REASONS = ("rateLimitExceeded", "backendError", "internalError")


class OutOfTimeError(SendError):
    """The time for BigQuery is over."""


class RefusedError(SendError):
    """BigQuery refused a request.

    `status` is that of HTTP. The text says what happened, the likely cause and what to do.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Call(Struct, frozen=True):
    """A request that is harmless to repeat: it reads, or makes something under a name of its own.

    `path` begins after the version of the API. `content` is the body, JSON unless `content_type` says otherwise.
    """

    method: str
    path: str
    query: Mapping[str, str] = {}
    content: bytes | None = None
    content_type: str = "application/json; charset=UTF-8"
    is_upload: bool = False

    @classmethod
    def with_json(cls, method: str, path: str, value: object) -> "Call":
        return cls(method, path, content=canonical_json(value))


@dataclass(frozen=True)
class BigQueryApi:
    """BigQuery's REST API, with a token.

    Attributes:
        session: the connections.
        token: an OAuth access token, usually valid for an hour.
        limits: of each request.
        deadline: of all requests.
        address: scheme, host and port.
    """

    session: HttpSession = field(repr=False)
    token: str = field(repr=False)
    limits: HttpLimits
    deadline: Deadline
    address: str = GOOGLE

    def ask(self, call: Call, answer_type: type[T]) -> T:
        """Send a request and return its answer.

        Raises:
            RefusedError: if the answer is no success.
            OutOfTimeError: if the time is over.
            SendError: if there is no answer, or it has another shape than documented.
        """
        response = self._response(call)
        try:
            return msgspec.json.decode(response.body or b"{}", type=answer_type)
        except msgspec.MsgspecError as problem:
            raise undocumented(f"the answer to {call.method}", problem) from None
        except (UnicodeDecodeError, RecursionError) as problem:  # their texts may quote the answer
            raise SendError(f"the answer to {call.method} cannot be read: {_UNREADABLE[type(problem)]}") from None

    def _response(self, call: Call) -> HttpResponse:
        exchange = partial(self.session.exchange, self._request(call), lambda _: True)
        try:
            response = exchange_with_retries(exchange, self.limits, self.deadline, _is_retried)
        except SendError:
            if self.deadline.seconds_left:
                raise
            raise OutOfTimeError(f"not finished in {self.deadline.seconds:g} s") from None
        if not is_success(response.status):
            raise RefusedError(_describe(response), response.status)
        if response.body_problem:
            raise SendError(f"an answer is {response.body_problem.value}; is a proxy in between?")
        return response

    def _request(self, call: Call) -> HttpRequest:
        service = "upload/bigquery/v2" if call.is_upload else "bigquery/v2"
        query = f"?{urlencode(call.query)}" if call.query else ""
        headers = {"User-Agent": "dora-metrics", "Accept": "application/json"}
        if call.content is not None:
            headers["Content-Type"] = call.content_type
        url = f"{self.address}/{service}/{call.path}{query}"
        return HttpRequest(call.method, url, call.content, headers, BearerAuth(self.token))


_UNREADABLE: dict[type[Exception], str] = {
    UnicodeDecodeError: "it is not UTF-8; is a proxy in between?",
    RecursionError: "it is nested too deeply; is a proxy in between?",
}


def _describe(response: HttpResponse) -> str:
    errors = _error_answer(response).error.errors
    return request_refusal(response.status, errors[0].reason if errors else "")


def undocumented(what: str, problem: msgspec.MsgspecError) -> SendError:
    """Return the failure of an answer that has another shape. The text names types, and none of its values."""
    return SendError(f"{what} is not as documented ({problem}); is a proxy in between?")


def exchange_session(limits: HttpLimits) -> HttpSession:
    """Return a session for answers as large as a page of results."""
    return HttpSession(replace(exchange_limits(limits), max_body_bytes=_MAX_ANSWER_BYTES))


def _is_retried(response: HttpResponse | ExchangeFailure) -> bool:
    if may_pass(response, RETRIED_STATUSES):
        return True
    if isinstance(response, ExchangeFailure) or response.status != _FORBIDDEN:
        return False
    return any(error.reason in _PASSING_REASONS for error in _error_answer(response).error.errors)


def _error_answer(response: HttpResponse) -> ErrorAnswer:
    try:
        return msgspec.json.decode(response.body, type=ErrorAnswer)
    except UNREADABLE_JSON:
        return ErrorAnswer()
