"""Queries to the HTTP API of Prometheus: bounded in time and size, and failures as sentences without secrets.

Nothing of an answer is quoted, and no redirect is followed: the request may hold a token.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.windows import parse_http_date
from dora_metrics.http_session import (
    TRANSIENT_FAILURES,
    BearerAuth,
    BodyProblem,
    ExchangeFailure,
    ExchangeLimits,
    FailureKind,
    HttpRequest,
    HttpResponse,
    HttpSession,
    may_pass,
)

T = TypeVar("T")

MAX_BODY_BYTES = 8_000_000
"""Of one answer: about 350,000 samples. More are read in shorter ranges."""

_RETRIED_STATUSES = (429, 502, 503, 504)
_RETRIED_FAILURES = TRANSIENT_FAILURES - {FailureKind.SILENCE}
_SLOW_FAILURES = (FailureKind.SILENCE, FailureKind.DEADLINE)
_OK, _TOO_MUCH = 200, 422


class PrometheusError(Exception):
    """A query has no usable answer. The text says what happened and what to do."""


class TooMuchError(PrometheusError):
    """The answer is too large for Prometheus or for this program; that of a shorter range may not be."""


class TooSlowError(TooMuchError):
    """The answer does not come in time. It is not asked for again; that of a shorter range may come."""


class SampledSeries(Struct, frozen=True):
    """The samples of one series: times in milliseconds, in any order."""

    labels: Mapping[str, str]
    times_ms: list[int]


class _RangeSeries(Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _InstantSeries(Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Matrix(Struct, tag="matrix", tag_field="resultType"):
    result: list[_RangeSeries]


class _Vector(Struct, tag="vector", tag_field="resultType"):
    result: list[_InstantSeries]


class _QueryAnswer(Struct):
    status: Literal["success"]
    data: _Matrix | _Vector
    warnings: list[str] = []


class _Rule(Struct):
    name: str


class _RuleGroup(Struct):
    interval: float
    rules: list[_Rule]


class _RuleGroups(Struct):
    groups: list[_RuleGroup]


class _Rules(Struct):
    data: _RuleGroups


@dataclass
class PrometheusApi:
    """The API of one Prometheus, or of what answers like one.

    Attributes:
        url: the address, up to `/api/v1`.
        token: bearer token.
        connect_seconds: how long connecting may take.
        read_seconds: how long each part of an answer may take.
        tries: how often a query is sent at most.
        pause: waits before another try.
        seconds_left: what is left of the time for all queries.
        server_time: the time of its last answer; None if it did not say.
    """

    url: str = field(repr=False)
    token: str | None = field(repr=False)
    connect_seconds: float
    read_seconds: float
    tries: int
    pause: Callable[[], None]
    seconds_left: Callable[[], float]
    server_time: datetime | None = None

    def __post_init__(self) -> None:
        limits = ExchangeLimits(
            connect_seconds=self.connect_seconds,
            silence_seconds=self.read_seconds,
            total_seconds=self.connect_seconds + 2 * self.read_seconds,
            max_body_bytes=MAX_BODY_BYTES,
        )
        self._session = HttpSession(limits)

    def samples(self, selector: str, after: datetime, until: datetime) -> list[SampledSeries]:
        """Return the samples of series after a time, up to and including another one.

        Raises:
            PrometheusError: if they cannot be read completely.
        """
        data = self._query(f"{selector}[{_duration(until - after)}]", until)
        if not isinstance(data, _Matrix):
            raise PrometheusError(_OTHER_SHAPE)
        first, last = after.timestamp(), until.timestamp()
        return [
            SampledSeries(series.metric, [round(time * 1000) for time, _ in series.values if first < time <= last])
            for series in data.result
        ]

    def present(self, selector: str, at: datetime) -> list[Mapping[str, str]]:
        """Return the labels of the series that have a value at a time.

        A series has none as soon as Prometheus has found that it ended, and also five minutes after its last sample.

        Raises:
            PrometheusError: if they cannot be read completely.
        """
        data = self._query(selector, at)
        if not isinstance(data, _Vector):
            raise PrometheusError(_OTHER_SHAPE)
        return [series.metric for series in data.result]

    def rule_intervals(self) -> dict[str, float]:
        """Return the seconds between two evaluations of each alert rule, by its name; the shortest one of several.

        Raises:
            PrometheusError: if it does not say. Some services with the API of Prometheus have no rules.
        """
        response = self._get("rules", {"type": "alert"})
        if response.status != _OK or response.body_problem:
            raise PrometheusError(_OTHER_SHAPE)
        intervals: dict[str, float] = {}
        for group in _decode(response.body, _Rules).data.groups:
            for rule in group.rules:
                intervals[rule.name] = min(group.interval, intervals.get(rule.name, group.interval))
        return intervals

    def _query(self, query: str, at: datetime) -> _Matrix | _Vector:
        # `partial_response`: Thanos is to fail rather than to leave out what one of its stores does not return
        parameters = {"query": query, "time": f"{at.timestamp():.3f}", "partial_response": "false"}
        response = self._get("query", parameters)
        self.server_time = parse_http_date(response.headers.get("date")) or self.server_time
        if response.status == _TOO_MUCH or response.body_problem is BodyProblem.TOO_LARGE:
            raise TooMuchError(_TOO_MUCH_TEXT)
        if response.status != _OK:
            raise PrometheusError(f"HTTP {response.status}: {_hint(response.status)}")
        if response.body_problem:
            error_type = TooSlowError if response.body_problem is BodyProblem.TOO_SLOW else PrometheusError
            raise error_type(f"the answer is {response.body_problem.value}")
        answer = _decode(response.body, _QueryAnswer)
        if answer.warnings:
            raise PrometheusError("it answers with a warning, so a part of its data may be missing; see its own log")
        return answer.data

    def _get(self, name: str, parameters: Mapping[str, str]) -> HttpResponse:
        auth = BearerAuth(self.token) if self.token else None
        return self._exchange(HttpRequest("GET", self._address(name, parameters), auth=auth))

    def _address(self, name: str, parameters: Mapping[str, str]) -> str:
        try:
            parts = urlsplit(self.url)
        except ValueError:
            raise PrometheusError(_BAD_ADDRESS) from None
        path = f"{parts.path.rstrip('/').removesuffix('/api/v1')}/api/v1/{name}"
        query = "&".join(filter(None, (parts.query, urlencode(parameters))))
        return parts._replace(path=path, query=query, fragment="").geturl()

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        for earlier_tries in range(self.tries):
            response = self._session.exchange(request, lambda status: status == _OK, self.seconds_left())
            is_final = not may_pass(response, _RETRIED_STATUSES, _RETRIED_FAILURES)
            if is_final or earlier_tries + 1 == self.tries or not self.seconds_left():
                break
            self.pause()
        if isinstance(response, ExchangeFailure):
            error_type = TooSlowError if response.kind in _SLOW_FAILURES else PrometheusError
            raise error_type(_FAILURES[response.kind])
        return response


def _duration(duration: timedelta) -> str:
    """Return a duration in PromQL, rounded up."""
    milliseconds = math.ceil(duration / timedelta(milliseconds=1))
    units = (("d", 86_400_000), ("s", 1_000), ("ms", 1))
    return next(f"{milliseconds // size}{unit}" for unit, size in units if milliseconds % size == 0)


def _decode(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except UNREADABLE_JSON:
        raise PrometheusError(_OTHER_SHAPE) from None


_BAD_ADDRESS = "the address is not valid; it must begin with http:// or https:// and a host"
_TOO_MUCH_TEXT = (
    f"its answer is too large, also that for a short time: more than {MAX_BODY_BYTES // 1_000_000} MB, or more samples "
    "than it loads (HTTP 422); select fewer alerts with `incident-alerts`"
)
_OTHER_SHAPE = (
    "its answer is not that of Prometheus; `prometheus-url` may name another service, or a page that asks to sign in"
)
_FAILURES = {
    FailureKind.TLS: "the TLS connection failed; check the certificate, and whether the address should use https",
    FailureKind.NO_CONNECTION: "there is no connection; this runner may not reach its host and port",
    FailureKind.CONNECT_TIMEOUT: "no connection was made in time; check host, port and firewall",
    FailureKind.CUT: "the connection closed before an answer; check its log or that of its proxy",
    FailureKind.SILENCE: "it does not answer in time; it hangs or is overloaded",
    FailureKind.DEADLINE: "its answers take too long",
    FailureKind.BAD_ADDRESS: _BAD_ADDRESS,
    FailureKind.BAD_HEADER: "`prometheus-token` has a line break or characters outside Latin-1; paste it again",
}
_HINTS_BY_STATUS = {
    400: "it does not accept the query; check `incident-alerts`",
    401: "`prometheus-token` is missing or wrong",
    403: "`prometheus-token` does not allow queries",
    404: "it has no API at this address; `prometheus-url` is the part before /api/v1",
    429: "too many requests",
}
_HINTS_BY_CLASS = {3: "it redirects; use the final address in `prometheus-url`", 5: "it has a problem; see its log"}


def _hint(status: int) -> str:
    return _HINTS_BY_STATUS.get(status) or _HINTS_BY_CLASS.get(status // 100, "it refused")
