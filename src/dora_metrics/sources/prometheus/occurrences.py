"""From samples of the series `ALERTS` to the times that alerts fired; pure.

Prometheus writes a sample at each evaluation of a rule while its alert fires. The first one has the time that
Alertmanager gets as `startsAt`. An alert that stops firing has its end at the next evaluation.

Where samples are missing, either the alert has ended and fired again, or nothing was evaluated, for example during a
restart. Prometheus marks only the former, and shows that mark only to a question about that time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from msgspec import Struct

DEFAULT_INTERVAL_MS = 60_000
"""Between two evaluations, if samples do not show it. It is Prometheus's own default."""

LONGEST_OUTAGE_MS = 300_000
"""An alert goes on after samples were missing for this long and two evaluations, unless it is known to have ended. It
is how long Prometheus itself takes the last sample of a series for its present value."""

_LONGEST_LOOK_BACK_MS = 240_000
"""How long after the last sample Prometheus can be asked whether a series has ended; it forgets after five minutes."""

_MARGIN_MS = 1_000
_MAX_CANDIDATES = 8


class AlertSamples(Struct, frozen=True):
    """Samples of one alert: their times in milliseconds, in order and each once."""

    fingerprint: str
    labels: Mapping[str, str]
    times_ms: Sequence[int]


class Pause(Struct, frozen=True):
    """Missing samples of one alert: the times of the samples around them."""

    fingerprint: str
    last_ms: int
    next_ms: int


class Firing(Struct):
    """One time that an alert fired: the times of its first and last sample, and its end; None if it has not ended."""

    fingerprint: str
    labels: Mapping[str, str]
    first_ms: int
    last_ms: int
    end_ms: int | None = None
    interval_ms: int = DEFAULT_INTERVAL_MS


IsFiring = Callable[[str, int], bool | None]
"""Whether Prometheus says that an alert, given by its fingerprint, fires at a time; None if it does not answer."""

Continues = Callable[[Pause], bool | None]
"""Whether one occurrence goes on after missing samples, as far as that is recorded; None if it is not."""


RuleInterval = Callable[[str], int | None]
"""The time between two evaluations of the rule of an alert, in milliseconds; None if it is not known."""


@dataclass
class _Interval:
    """The time between two evaluations of a rule: as configured now, or a shorter one that samples show twice."""

    configured_ms: int | None
    _counts: dict[int, int] = field(default_factory=dict)

    def add(self, difference_ms: int) -> None:
        self._counts[difference_ms] = self._counts.get(difference_ms, 0) + 1
        if len(self._counts) > _MAX_CANDIDATES:
            del self._counts[max(self._counts)]

    @property
    def milliseconds(self) -> int:
        seen_twice = [difference for difference, count in self._counts.items() if count > 1]
        if self.configured_ms:
            return min((self.configured_ms, *seen_twice))
        return min(seen_twice, default=min((DEFAULT_INTERVAL_MS, *self._counts)))


@dataclass
class FiringHistory:
    """Collects when alerts fired, from ranges of samples that follow each other.

    Attributes:
        is_firing: asks Prometheus about a time at which samples are missing.
        continues: looks missing samples up in what is recorded.
        rule_interval: asks Prometheus how often a rule is evaluated.
    """

    is_firing: IsFiring
    continues: Continues
    rule_interval: RuleInterval
    _ended: list[Firing] = field(default_factory=list)
    _latest: dict[str, Firing] = field(default_factory=dict)
    _intervals: dict[str, _Interval] = field(default_factory=dict)

    def add(self, alerts: Iterable[AlertSamples]) -> None:
        """Add the samples of the next range of time."""
        alerts = [alert for alert in alerts if alert.times_ms]
        for alert in alerts:
            self._learn_interval(alert)
        for alert in alerts:
            self._extend(alert)

    @property
    def occurrence_count(self) -> int:
        """How often alerts fired."""
        return len(self._ended) + len(self._latest)

    def firings(self, until_ms: int, is_firing: IsFiring) -> Iterator[Firing]:
        """Yield all firings that were read, with their ends.

        Args:
            until_ms: the time up to which samples were read.
            is_firing: asks whether an alert still fires then.
        """
        for firing in (*self._ended, *self._latest.values()):
            firing.interval_ms = self._interval_ms(firing.labels)
        for firing in self._ended:
            firing.end_ms = firing.last_ms + firing.interval_ms
        for firing in self._latest.values():
            if self._has_ended(firing, until_ms, is_firing):
                firing.end_ms = firing.last_ms + firing.interval_ms
        yield from (*self._ended, *self._latest.values())

    def _learn_interval(self, alert: AlertSamples) -> None:
        """All alerts of one name come from one rule, or nearly so."""
        interval = self._interval(alert.labels)
        latest = self._latest.get(alert.fingerprint)
        before = [latest.last_ms] if latest and latest.last_ms < alert.times_ms[0] else []
        for earlier, later in pairwise((*before, *alert.times_ms)):
            interval.add(later - earlier)

    def _interval(self, labels: Mapping[str, str]) -> _Interval:
        name = labels.get("alertname", "")
        if name not in self._intervals:
            self._intervals[name] = _Interval(self.rule_interval(name))
        return self._intervals[name]

    def _interval_ms(self, labels: Mapping[str, str]) -> int:
        return self._interval(labels).milliseconds

    def _extend(self, alert: AlertSamples) -> None:
        interval_ms = self._interval_ms(alert.labels)
        ended: list[Firing] = []  # added at the end: a question that fails leaves each occurrence in one place
        firing = self._latest.get(alert.fingerprint)
        for time_ms in alert.times_ms:
            if firing and time_ms <= firing.last_ms:
                continue
            if firing and self._goes_on(firing, time_ms, interval_ms):
                firing.last_ms = time_ms
                continue
            if firing:
                ended.append(firing)
            firing = Firing(alert.fingerprint, alert.labels, time_ms, time_ms)
        self._ended += ended
        if firing:
            self._latest[alert.fingerprint] = firing

    def _goes_on(self, firing: Firing, next_ms: int, interval_ms: int) -> bool:
        """Whether the next sample belongs to the same occurrence."""
        last_ms = firing.last_ms
        if next_ms - last_ms <= interval_ms * 1.5:
            return True
        recorded = self.continues(Pause(firing.fingerprint, last_ms, next_ms))
        if recorded is not None:
            return recorded
        if next_ms - last_ms > longest_pause_ms(interval_ms):
            return False
        asked_ms = min(next_ms - 1, last_ms + 2 * interval_ms + _MARGIN_MS)
        if asked_ms - last_ms > _LONGEST_LOOK_BACK_MS:
            return True
        return self.is_firing(firing.fingerprint, asked_ms) is not False

    def _has_ended(self, firing: Firing, until_ms: int, is_firing: IsFiring) -> bool:
        if until_ms - firing.last_ms > longest_pause_ms(self._interval_ms(firing.labels)):
            return True
        return firing.last_ms <= until_ms and is_firing(firing.fingerprint, until_ms) is False


def longest_pause_ms(interval_ms: int) -> int:
    """How long the samples of one occurrence can be missing."""
    return LONGEST_OUTAGE_MS + 2 * interval_ms
