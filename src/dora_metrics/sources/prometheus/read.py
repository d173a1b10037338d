"""Reads when the selected alerts fired, day by day, from the samples of the series `ALERTS`."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from msgspec import Struct

from dora_metrics.core.alertmanager import AlertOccurrence, AlertTime, fingerprint_of
from dora_metrics.core.facts.model import EPOCH
from dora_metrics.sources.prometheus.api import (
    PrometheusApi,
    PrometheusError,
    SampledSeries,
    TooMuchError,
    TooSlowError,
)
from dora_metrics.sources.prometheus.occurrences import AlertSamples, Continues, Firing, FiringHistory

_LONGEST_RANGE, _SHORTEST_RANGE = timedelta(days=1), timedelta(minutes=15)
_MAX_QUESTIONS = 500
"""About missing samples, in one reading. After these, an alert goes on where it may have ended and fired again."""
_MAX_OCCURRENCES = 10_000
"""In one reading, beyond those of its last range. They become facts, which stay."""
_DATE_PRECISION = timedelta(seconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_TOO_MANY_TEXT = (
    f"the selected alerts fired more than {_MAX_OCCURRENCES:,} times until then, and more are not read in one sync; "
    "select fewer in `incident-alerts`"
)
_NOT_OF_THE_ALERT = ("__name__", "alertstate")


class AlertHistoryRequest(Struct, frozen=True):
    """What to read.

    Attributes:
        matchers: PromQL matchers of the alerts.
        external_labels: what Prometheus adds to labels when it sends alerts; an empty one is removed instead.
        since: where the reading begins.
        until: the present.
        continues: looks missing samples up in what is recorded.
    """

    matchers: str
    external_labels: Mapping[str, str]
    since: datetime
    until: datetime
    continues: Continues

    @property
    def selector(self) -> str:
        """The series of the alerts while they fire."""
        return f'ALERTS{{alertstate="firing",{self.matchers}}}'


class ReadOccurrence(Struct, frozen=True):
    """One time that an alert fired.

    Attributes:
        occurrence: the alert, and when it fired.
        last_seen_at: its last sample.
        interval: the time between two evaluations of its rule.
    """

    occurrence: AlertOccurrence
    last_seen_at: datetime
    interval: timedelta


class AlertHistory(Struct, frozen=True):
    """What was read: the occurrences, the time up to which they are complete, and why there are no later ones."""

    occurrences: tuple[ReadOccurrence, ...]
    reached: datetime
    problem: str | None = None


def read_alert_history(api: PrometheusApi, request: AlertHistoryRequest) -> AlertHistory:
    """Read when alerts fired. A problem ends the reading; what was read before it counts."""
    return _Reading(api, request).read()


@dataclass
class _Reading:
    api: PrometheusApi
    request: AlertHistoryRequest
    _present_at: dict[int, AbstractSet[str]] = field(default_factory=dict)
    _question_count: int = 0

    def read(self) -> AlertHistory:
        history = FiringHistory(self._is_firing, self.request.continues, self._rule_interval_ms)
        reached, problem = self._read_ranges(history)
        if problem is None:
            reached = self._present()
            self._question_count = 0  # the last question is about all alerts
        is_firing = self._is_firing_now if problem is None else _says_nothing
        firings = history.firings(_milliseconds(reached), is_firing)
        return AlertHistory(tuple(map(_read_occurrence, firings)), reached, problem)

    def _read_ranges(self, history: FiringHistory) -> tuple[datetime, str | None]:
        """Read range after range; return how far that went, and what ended it before the present."""
        reached, length, longest = self.request.since, _LONGEST_RANGE, _LONGEST_RANGE
        while reached < self.request.until:
            end = min(reached + length, self.request.until)
            try:
                history.add(self._alerts(self.api.samples(self.request.selector, reached, end)))
            except TooMuchError as error:
                length = (end - reached) / 2
                longest = length if isinstance(error, TooSlowError) else longest
                if length < _SHORTEST_RANGE:
                    return reached, str(error)
            except PrometheusError as error:
                return reached, str(error)
            else:
                reached, length = end, min(2 * length, longest)
            if history.occurrence_count > _MAX_OCCURRENCES:
                return reached, _TOO_MANY_TEXT
        return reached, None

    def _present(self) -> datetime:
        """Return the end of the reading, by the clock of Prometheus if that is behind."""
        until, server_time = self.request.until, self.api.server_time
        return until if server_time is None else max(self.request.since, min(until, server_time + _DATE_PRECISION))

    def _alerts(self, series: Sequence[SampledSeries]) -> Iterator[AlertSamples]:
        """Yield the samples of each alert. Several series are one alert if they differ in labels that are removed."""
        labels_by_fingerprint: dict[str, Mapping[str, str]] = {}
        times: defaultdict[str, set[int]] = defaultdict(set)
        for each in series:
            labels = self._alert_labels(each.labels)
            fingerprint = fingerprint_of(labels)
            labels_by_fingerprint[fingerprint] = labels
            times[fingerprint].update(each.times_ms)
        for fingerprint in sorted(times):
            yield AlertSamples(fingerprint, labels_by_fingerprint[fingerprint], sorted(times[fingerprint]))

    def _alert_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels as Alertmanager has them."""
        external = self.request.external_labels
        own = {name: value for name, value in labels.items() if name not in _NOT_OF_THE_ALERT and value}
        removed = {name: "" for name, value in external.items() if not value}
        return {name: value for name, value in {**external, **own, **removed}.items() if value}

    def _rule_interval_ms(self, alert_name: str) -> int | None:
        interval = self._rule_intervals.get(alert_name)
        return round(interval * 1000) if interval and 0 < interval < _LONGEST_RANGE.total_seconds() else None

    @cached_property
    def _rule_intervals(self) -> Mapping[str, float]:
        try:
            return self.api.rule_intervals()
        except PrometheusError:
            return {}

    def _is_firing(self, fingerprint: str, time_ms: int) -> bool | None:
        present = self._fingerprints_at(time_ms)
        return None if present is None else fingerprint in present

    def _is_firing_now(self, fingerprint: str, time_ms: int) -> bool | None:
        """Whether an alert fires at the end of the reading. Without an answer it stays open, and the next sync asks."""
        try:
            return self._is_firing(fingerprint, time_ms)
        except PrometheusError:
            return None

    def _fingerprints_at(self, time_ms: int) -> AbstractSet[str] | None:
        """Return which alerts fire at a time; None if Prometheus was asked too often.

        Raises:
            PrometheusError: without an answer. Two occurrences that are taken for one would stay one.
        """
        if time_ms not in self._present_at and self._question_count < _MAX_QUESTIONS:
            self._question_count += 1
            self._present_at[time_ms] = self._ask(_time(time_ms))
        return self._present_at.get(time_ms)

    def _ask(self, time: datetime) -> AbstractSet[str]:
        present = self.api.present(self.request.selector, time)
        return {fingerprint_of(self._alert_labels(labels)) for labels in present}


def _says_nothing(_fingerprint: str, _time_ms: int) -> bool | None:
    return None


def _read_occurrence(firing: Firing) -> ReadOccurrence:
    ended_at = None if firing.end_ms is None else _time(firing.end_ms)
    started = AlertTime.of(_time(firing.first_ms))
    occurrence = AlertOccurrence(firing.fingerprint, firing.labels, started, ended_at)
    return ReadOccurrence(occurrence, _time(firing.last_ms), firing.interval_ms * _MILLISECOND)


def _time(milliseconds: int) -> datetime:
    return EPOCH + milliseconds * _MILLISECOND


def _milliseconds(time: datetime) -> int:
    return (time.astimezone(UTC) - EPOCH) // _MILLISECOND
