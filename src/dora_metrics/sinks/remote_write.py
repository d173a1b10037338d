"""Prometheus' remote write 1.0, without a gateway: Prometheus itself, Mimir, Grafana Cloud, VictoriaMetrics and others.

Each sample has the time for which it was computed. So the same samples may arrive twice, and past ones after newer ones
where a target takes these.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from requests.auth import AuthBase, HTTPBasicAuth

from dora_metrics.core import formatting
from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.http_session import BearerAuth, HttpRequest, HttpResponse
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.sinks.base import SinkPayload
from dora_metrics.sinks.http import AnswerReader, FinalAnswer, SendError, is_success, may_hold_secret, send_with_retries
from dora_metrics.sinks.write_request import Labels, Sample, TimeSeries, labels_of, write_request

MAX_SERIES = 2_000
"""Of one request."""

_MIN_SERIES = 50
"""A target that finds fewer too large takes nothing."""

_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "User-Agent": "dora-metrics",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class RefusedTimeError(SendError):
    """The target refuses samples because of their time. It may take those of other series."""


class OldSampleError(RefusedTimeError):
    """The target takes no samples of this time: they are too old, or it has newer ones."""


class OtherValueError(RefusedTimeError):
    """The target has another value for this time."""


Answers = Sequence[RefusedTimeError | None]
"""Of each request, why the target took nothing of it; None if it took all."""


class TooLargeError(SendError):
    """The request is larger than the target allows."""


@dataclass(frozen=True)
class RemoteWrite:
    """An address that takes remote write, with basic authentication or a bearer token if one is configured.

    `group`: the labels that every series gets besides `repository`, as a Pushgateway's group has them.
    """

    url: str = field(repr=False)
    group: Mapping[str, str]
    username: str | None = None
    token: str | None = field(default=None, repr=False)
    limits: HttpLimits = HttpLimits()
    deadline: Deadline = field(default_factory=lambda: Deadline(HttpLimits().total_seconds))
    name: str = "remote write"

    @property
    def target(self) -> str:
        """A short name of the target and of our group of series in it, which shows no address and no secret.

        User, password and query of the address are left out: there a secret may be, and the name is stored. The user of
        basic authentication is no secret, and tells the tenants of a service apart.
        """
        address = re.sub("//[^/]*@", "//", re.split("[?#]", self.url)[0]).rstrip("/")
        parts = (address, self.username, sorted(self.group.items()))
        return hashlib.sha256(canonical_json(parts)).hexdigest()[:16]

    def send(self, payload: SinkPayload) -> Outcome:
        """Write all series of the repositories, each with one sample."""
        series = self.series([payload.families], payload.families.repositories)
        if not series:
            return Outcome(self.name, "skipped", "nothing is recorded yet")
        try:
            refusals = list(filter(None, self.write(series, self.deadline)))
        except SendError as problem:
            return Outcome(self.name, "failed", str(problem))
        if refusals:
            return Outcome(self.name, "failed", str(refusals[0]))
        return Outcome(self.name, "done", formatting.count(len(series), "series", "series"))

    def series(self, times: Iterable[LedgerCollector], repositories: Collection[str]) -> Sequence[TimeSeries]:
        """Return the series of some repositories, with a sample for each of several times, the oldest first."""
        samples: defaultdict[Labels, list[Sample]] = defaultdict(list)
        for families in times:
            milliseconds = (families.now - _EPOCH) // _MILLISECOND
            for labels, value in _values(families, repositories, self.group):
                samples[labels].append(Sample(value, milliseconds))
        return [TimeSeries(labels, tuple(of_series)) for labels, of_series in samples.items()]

    def write(self, series: Sequence[TimeSeries], deadline: Deadline) -> Answers:
        """Write series, in several requests if they are many. What is refused for its time does not stop the others.

        Raises:
            SendError: if the target refuses a request for any other reason, after which no further one is sent.
        """
        return [answer for batch in _parts(series, MAX_SERIES) for answer in self._write_batch(batch, deadline)]

    def _write_batch(self, series: Sequence[TimeSeries], deadline: Deadline) -> Answers:
        """Write series in one request, or in several if the target finds it too large."""
        request = HttpRequest("POST", self.url, write_request(series), _HEADERS, self._auth)
        holds_secret = self.token is not None or may_hold_secret(self.url)
        try:
            send_with_retries(
                request, self.limits, deadline, holds_secret=holds_secret, reader=AnswerReader(_interpret)
            )
        except RefusedTimeError as refusal:
            return [refusal]
        except TooLargeError:
            if len(series) <= _MIN_SERIES:
                raise
            halves = _parts(series, -(-len(series) // 2))
            return [answer for half in halves for answer in self._write_batch(half, deadline)]
        return [None]

    @property
    def _auth(self) -> AuthBase | None:
        """Basic authentication if there is a user, otherwise a bearer token; None without a token."""
        if self.token is None:
            return None
        if self.username is None:
            return BearerAuth(self.token)
        return HTTPBasicAuth(self.username.encode(), self.token.strip().encode())  # a str would be sent as Latin-1


def _values(
    families: LedgerCollector, repositories: Collection[str], group: Mapping[str, str]
) -> Iterator[tuple[Labels, float]]:
    """Yield labels and value of each series. What is about no repository is repeated for each, as if pushed."""
    known = [repository for repository in families.repositories if repository in repositories]
    for family in families.collect():
        for sample in family.samples:
            own = sample.labels.get("repository")
            for repository in known if own is None else {own}.intersection(known):
                yield labels_of(sample.name, {**sample.labels, **group, "repository": repository}), sample.value


def _parts(series: Sequence[TimeSeries], size: int) -> Iterator[Sequence[TimeSeries]]:
    for start in range(0, len(series), size):
        yield series[start : start + size]


_OLD_SAMPLE = re.compile(rb"out[ -]of[ -](order|bounds)|too[ -]old", re.IGNORECASE)
"""In an answer of Prometheus, Mimir, Cortex or Thanos, whatever its status: Prometheus has said "too old" with 500."""

_OTHER_VALUE = re.compile(rb"duplicate[ -]sample", re.IGNORECASE)
_WRONG_PATH = b"unsupported path"  # VictoriaMetrics, with 400

_WEB_PAGE = "text/html"
_TOO_LARGE = 413
_WITHOUT_PATH = (404, 405)

_PATHS = (
    "there is nothing at this address; check the path (Prometheus and VictoriaMetrics have /api/v1/write, Mimir "
    "/api/v1/push, Grafana Cloud /api/prom/push). Prometheus needs --web.enable-remote-write-receiver"
)


def _interpret(response: HttpResponse) -> FinalAnswer | None:
    """Say what an answer means that a status alone does not tell."""
    if is_success(response.status):
        is_page = response.headers.get("content-type", "").startswith(_WEB_PAGE)
        return FinalAnswer(f"the answer is a web page; {_PATHS}") if is_page else None
    if _OLD_SAMPLE.search(response.body):
        hint = "it has newer samples of these series, or takes none of this time; check this runner's clock"
        return FinalAnswer(hint, OldSampleError)
    if _OTHER_VALUE.search(response.body):
        return FinalAnswer("it has other values for this time; the next push has a time of its own", OtherValueError)
    if response.status == _TOO_LARGE:
        return FinalAnswer("the body is too large for the server", TooLargeError)
    is_wrong_path = response.status in _WITHOUT_PATH or _WRONG_PATH in response.body
    return FinalAnswer(_PATHS) if is_wrong_path else None
