"""A Prometheus that has only the history of alerts: range and instant queries, and how often rules are evaluated."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.servers import Answer, ListeningFake, Request

_LOOK_BACK_MS = 300_000
_UNITS_MS = {"d": 86_400_000, "s": 1_000, "ms": 1}
_SELECTOR = re.compile(r'ALERTS\{alertstate="firing",(?P<matchers>.*?)\}(?:\[(?P<number>\d+)(?P<unit>d|s|ms)\])?')

Labels = dict[str, str]


@dataclass
class AlertSeries:
    """The samples of one alert, and the times at which Prometheus found that it had ended."""

    labels: Labels
    times_ms: list[int] = field(default_factory=list)
    ends_ms: list[int] = field(default_factory=list)

    def is_present_at(self, time_ms: int) -> bool:
        recent = [each for each in self.times_ms if time_ms - _LOOK_BACK_MS < each <= time_ms]
        return bool(recent) and not any(recent[-1] < each <= time_ms for each in self.ends_ms)


@dataclass
class FakePrometheus(ListeningFake):
    """What it has, and what it was asked.

    Attributes:
        interval: between two evaluations of its rules.
        series: the alerts.
        answers: instead of its own answers, the next ones that it gives to queries.
        answers_about_a_time: the same for queries about one time only.
        knows_rules: whether it says how often rules are evaluated.
        clock: the time that its answers name; None if they name none.
        date: their header `Date`, in place of the clock.
    """

    interval: timedelta = timedelta(seconds=15)
    series: list[AlertSeries] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    answers_about_a_time: list[Answer] = field(default_factory=list)
    knows_rules: bool = True
    clock: datetime | None = None
    date: str | None = None

    @property
    def queries(self) -> list[str]:
        asked = (parse_qs(urlsplit(request.path).query) for request in self.requests)
        return [parameters["query"][0] for parameters in asked if "query" in parameters]

    def fire(
        self, begin: datetime, end: datetime, *, missing: Sequence[tuple[datetime, datetime]] = (), **labels: str
    ) -> AlertSeries:
        """Let an alert fire from a time to another; nothing is evaluated in the times that are missing."""
        series = self._series({"alertname": "ShopDown", "dora_incident": "true", **labels})
        step, gaps = _ms(self.interval), [(_time_ms(first), _time_ms(last)) for first, last in missing]
        times = range(_time_ms(begin), _time_ms(end), step)
        series.times_ms += [each for each in times if not any(first <= each < last for first, last in gaps)]
        series.ends_ms.append(series.times_ms[-1] + step)
        return series

    def _series(self, labels: Labels) -> AlertSeries:
        found = next((each for each in self.series if each.labels == labels), None)
        if found is None:
            found = AlertSeries(labels)
            self.series.append(found)
        return found

    def answer_to(self, request: Request) -> Answer:
        """Answer a request as Prometheus does."""
        path, parameters = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        if path.endswith("/api/v1/rules"):
            return self._rules() if self.knows_rules else Answer(404)
        if self.answers:
            return self.answers.pop(0)
        match = _SELECTOR.fullmatch(parameters["query"][0])
        assert match, parameters
        time_ms = round(float(parameters["time"][0]) * 1000)
        if match["unit"] is None:
            if self.answers_about_a_time:
                return self.answers_about_a_time.pop(0)
            return self._json({"resultType": "vector", "result": list(self._present(time_ms))})
        begin_ms = time_ms - int(match["number"]) * _UNITS_MS[match["unit"]]
        return self._json({"resultType": "matrix", "result": list(self._samples(begin_ms, time_ms))})

    def _present(self, time_ms: int) -> Iterator[dict[str, Any]]:
        for series in self.series:
            if series.is_present_at(time_ms):
                yield {"metric": _metric(series.labels), "value": [time_ms / 1000, "1"]}

    def _samples(self, begin_ms: int, end_ms: int) -> Iterator[dict[str, Any]]:
        for series in self.series:
            times = [each for each in series.times_ms if begin_ms <= each <= end_ms]  # both ends, as before 3.0
            if times:
                yield {"metric": _metric(series.labels), "values": [[each / 1000, "1"] for each in times]}

    def _rules(self) -> Answer:
        names = {series.labels["alertname"] for series in self.series}
        rules = [{"name": name, "type": "alerting", "state": "inactive"} for name in sorted(names)]
        return self._json({"groups": [{"name": "shop", "interval": self.interval.total_seconds(), "rules": rules}]})

    def _json(self, data: object) -> Answer:
        date = self.date or (f"{self.clock:%a, %d %b %Y %H:%M:%S GMT}" if self.clock else None)
        body = json.dumps({"status": "success", "data": data}).encode()
        return Answer(200, body, {"Date": date} if date else {})


def _metric(labels: Labels) -> Labels:
    return {"__name__": "ALERTS", "alertstate": "firing", **labels}


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _time_ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
