"""`sync`: the alerts of Prometheus that are incidents, into the ledger, beside what GitHub knows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial

import msgspec
from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.alertmanager import (
    WHY_OWN_ALERTS_ARE_NONE,
    AlertOccurrence,
    incident_of,
    is_own_alert,
    repository_label,
)
from dora_metrics.core.covered_repositories import CoveredRepositories
from dora_metrics.core.cursors import ALERT_HISTORY
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.corrections import is_reported, reported
from dora_metrics.core.facts.merge import is_same_information
from dora_metrics.core.facts.model import EPOCH, Fact, Incident
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.outcome import Outcome
from dora_metrics.github.events.observe import prepare_fact
from dora_metrics.github.observation import Observation, Run
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.incident_reading import ReadingCursor, with_incident_syncs
from dora_metrics.pipeline.record import RecordRequest
from dora_metrics.runtime import Deadline
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.sources.prometheus.api import PrometheusApi
from dora_metrics.sources.prometheus.occurrences import Pause
from dora_metrics.sources.prometheus.read import (
    AlertHistory,
    AlertHistoryRequest,
    ReadOccurrence,
    read_alert_history,
)

_OUTCOME = "Prometheus"
_LONGEST_HISTORY = timedelta(days=90)
_READ_AGAIN = timedelta(days=1)
"""How much of what the last sync read is read again: samples may reach a remote storage late."""

_MICROSECOND, _MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)
_ADDED = ("environment", "service", "severity", "deployment", "title")
"""Fields that a recorded incident may lack and the labels of its alert have."""


def with_alert_history(request: RecordRequest, context: RunContext) -> RecordRequest:
    """Return the request of a sync that reads alerts as well; unchanged without a Prometheus."""
    settings = context.settings
    if settings.prometheus_url is None or settings.incident_alerts is None:
        return request
    if context.request.is_of_fork:
        context.note(Outcome(_OUTCOME, "skipped", "a run for a pull request from a fork reads no alerts"))
        return request
    return with_incident_syncs(request, [AlertSync(settings, context.run, context.note, partial(_api, context))])


def _api(context: RunContext) -> PrometheusApi:
    """Make the API of the Prometheus that the settings name; the time for all its answers begins now."""
    settings, limits, runtime = context.settings, context.runtime.http_limits, context.runtime
    deadline = Deadline(limits.total_seconds)
    return PrometheusApi(
        url=settings.prometheus_url.get_secret_value() if settings.prometheus_url else "",
        token=settings.prometheus_token.get_secret_value() if settings.prometheus_token else None,
        connect_seconds=limits.connect_seconds,
        read_seconds=limits.read_seconds,
        tries=limits.tries,
        pause=lambda: runtime.sleep(min(limits.pause_seconds, deadline.seconds_left)),
        seconds_left=lambda: deadline.seconds_left,
    )


@dataclass
class AlertSync:
    """One reading of the alerts; asks Prometheus once, even if the ledger is read again.

    Attributes:
        settings: which alerts are incidents, and how far back the first reading goes.
        run: the workflow run.
        note: receives how the reading went.
        make_api: makes the API; its time begins then.
    """

    settings: Settings
    run: Run
    note: Callable[[Outcome], None]
    make_api: Callable[[], PrometheusApi]
    _history: AlertHistory | None = None

    def read(self, contents: LedgerContents) -> None:
        """Read the alerts from a day before the last reading on."""
        if self._history is not None:
            return
        self._cursor.begin(contents)
        request = AlertHistoryRequest(
            self.settings.incident_alerts or "",
            self.settings.prometheus_external_labels,
            self._since,
            self.run.now,
            _Recorded.of(contents.facts).continues,
        )
        self._history = read_alert_history(self.make_api(), request)
        self.note(_outcome(self._history, request.since))

    def added_to(self, observation: Observation, contents: LedgerContents) -> Observation:
        """Return what a sync observed, with the incidents that the ledger does not know, and the next cursor."""
        if self._history is None:
            return observation
        incidents, skipped = self._incidents(self._history.occurrences, contents)
        news = f"{formatting.count(len(incidents), 'incident')} from alerts added or updated" if incidents else ""
        notes = [f"Alerts not recorded: {count}, because {why}." for why, count in skipped]
        next_cursor = self._cursor.after(self._newest(self._history), self._history.problem)
        files = self._cursor.with_next(observation.ledger_files, contents, next_cursor)
        return replace(observation.with_more(incidents, news, notes), ledger_files=files)

    @cached_property
    def _cursor(self) -> ReadingCursor:
        selection = [self.settings.incident_alerts, self.settings.prometheus_external_labels]
        return ReadingCursor(ALERT_HISTORY, "", msgspec.json.encode(selection, order="sorted").decode(), self.run)

    @property
    def _since(self) -> datetime:
        now = self.run.now
        first = max(self.settings.since_time(now) or now - _LONGEST_HISTORY, now - _LONGEST_HISTORY)
        newest = self._cursor.last.newest
        return first if newest is None else max(newest - _READ_AGAIN, now - _LONGEST_HISTORY)

    def _newest(self, history: AlertHistory) -> datetime | None:
        """Return up to when alerts are recorded; None if a first reading got nowhere."""
        if history.problem is None:
            return history.reached
        last = self._cursor.last.newest
        if last is None:
            return history.reached if history.reached > self._since else None
        return max(history.reached, last)

    def _incidents(
        self, occurrences: Sequence[ReadOccurrence], contents: LedgerContents
    ) -> tuple[list[Incident], Sequence[tuple[str, int]]]:
        """Return the incidents that change the ledger, and how many alerts are none, by reason."""
        placed, skipped = self._placed(occurrences, contents)
        recorded = _Recorded.of(contents.facts).matches([each for each, _ in placed])
        changed = (
            _changed_incident(recorded.get(each.occurrence.id), each, prepare_fact(incident, self.settings))
            for each, repository in placed
            for incident in (incident_of(each.occurrence, repository),)
        )
        return [incident for incident in changed if incident], list(skipped.items())

    def _placed(
        self, occurrences: Iterable[ReadOccurrence], contents: LedgerContents
    ) -> tuple[Sequence[tuple[ReadOccurrence, str]], Counter[str]]:
        """Return the alerts with their repositories, and how many have none here, by reason."""
        skipped: Counter[str] = Counter()
        placed: list[tuple[ReadOccurrence, str]] = []
        for each in occurrences:
            repository, reason = self._repository_of(each.occurrence.labels, contents)
            if repository is None:
                skipped[reason] += 1
            else:
                placed.append((each, repository))
        return placed, skipped

    def _repository_of(self, labels: Mapping[str, str], contents: LedgerContents) -> tuple[str | None, str]:
        """Return the repository of an alert; otherwise None, and why it has none here."""
        if is_own_alert(labels):
            return None, WHY_OWN_ALERTS_ARE_NONE
        names = contents.names
        own_name = names.present_name(self.run.repository)
        settings = self.settings
        covered = CoveredRepositories(own_name, settings.repositories, names.present_name, settings.repository_shard)
        if covered.is_elsewhere(label := repository_label(labels)):
            return None, "they are of repositories in other shards, which record them"
        repository = covered.named(label)
        if repository == EVERY_REPOSITORY:
            return None, "they have no label `repository`, and this run covers several"
        return repository, "their label `repository` names a repository that this ledger does not cover"


def _outcome(history: AlertHistory, since: datetime) -> Outcome:
    if history.problem is None:
        count = formatting.count(len(history.occurrences), "time", "times")
        return Outcome(_OUTCOME, "done", f"the selected alerts fired {count} since {since:%Y-%m-%d}")
    unread = f"alerts after {history.reached:%Y-%m-%d %H:%M} UTC are unread, which does not mean that there were none"
    return Outcome(_OUTCOME, "failed", f"{unread}: {history.problem}")


@dataclass(frozen=True)
class _Recorded:
    """The recorded occurrences of each alert, by its fingerprint, oldest first."""

    incidents: Mapping[str, Sequence[Incident]]

    @classmethod
    def of(cls, facts: Iterable[object]) -> "_Recorded":
        by_fingerprint: defaultdict[str, list[Incident]] = defaultdict(list)
        for fact in facts:
            if isinstance(fact, Incident) and (fingerprint := ids.alert_fingerprint(fact.id)):
                by_fingerprint[fingerprint].append(fact)
        return cls({name: sorted(each, key=_detected_at) for name, each in by_fingerprint.items()})

    def continues(self, pause: Pause) -> bool | None:
        """Whether one recorded occurrence has the samples on both sides, or another one begins after the pause."""
        for incident in self.incidents.get(pause.fingerprint, ()):
            start_ms = _milliseconds(incident.detected_at)
            if start_ms == pause.next_ms:
                return False
            if (
                start_ms <= pause.last_ms
                and incident.resolved_at
                and _milliseconds(incident.resolved_at) >= pause.next_ms
            ):
                return True
        return None

    def matches(self, occurrences: Sequence[ReadOccurrence]) -> dict[str, Incident]:
        """Return the recorded incident of each occurrence, by the id that the occurrence has.

        It is the one with the same start or id; otherwise one that overlaps. Alertmanager keeps the first start after
        an outage of Prometheus, and of two Prometheus servers; and a reading may begin after the start.
        """
        matched: dict[str, Incident] = {}
        by_start = {
            (fingerprint, _milliseconds(incident.detected_at)): incident
            for fingerprint, incidents in self.incidents.items()
            for incident in incidents
        }
        by_id = {incident.id: incident for incidents in self.incidents.values() for incident in incidents}
        for each in occurrences:
            key = (each.occurrence.fingerprint, _milliseconds(each.occurrence.started.time))
            if incident := by_start.get(key) or by_id.get(each.occurrence.id):
                matched[each.occurrence.id] = incident
        taken_ids = {incident.id for incident in matched.values()}
        unmatched = (each for each in occurrences if each.occurrence.id not in matched)
        for each in sorted(unmatched, key=lambda read: read.occurrence.started.time):
            candidates = self.incidents.get(each.occurrence.fingerprint, ())
            free = (incident for incident in candidates if incident.id not in taken_ids)
            if incident := next((incident for incident in free if _overlaps(incident, each.occurrence)), None):
                matched[each.occurrence.id] = incident
                taken_ids.add(incident.id)
        return matched


def _detected_at(incident: Incident) -> datetime:
    return incident.detected_at


def _overlaps(incident: Incident, occurrence: AlertOccurrence) -> bool:
    begins_before_end = occurrence.ended_at is None or incident.detected_at < occurrence.ended_at
    return begins_before_end and (incident.resolved_at is None or incident.resolved_at > occurrence.started.time)


def _changed_incident(recorded: Incident | None, read: ReadOccurrence, incident: Fact) -> Incident | None:
    """Return the incident to record; None if the ledger says the same.

    What was recorded is kept: a notification has a summary, and a person may have corrected or withdrawn it.
    Notifications of the same state win over what was read, because they say more.
    """
    if not isinstance(incident, Incident):
        return None
    if recorded is None:
        return replace(incident, observed_at=incident.observed_at - _MICROSECOND)
    changed = _with_news(recorded, read, incident) if is_reported(recorded) else reported(recorded, incident)
    if is_same_information(recorded, changed):
        return None
    newest = (changed.resolved_at or recorded.observed_at) - _MICROSECOND
    return replace(changed, observed_at=max(newest, recorded.observed_at + _MICROSECOND))


def _with_news(recorded: Incident, read: ReadOccurrence, incident: Incident) -> Incident:
    known = {name: getattr(recorded, name) or getattr(incident, name) for name in _ADDED}
    return replace(recorded, resolved_at=_end(recorded, read), **known)


def _end(recorded: Incident, read: ReadOccurrence) -> datetime | None:
    """Return the end of a recorded occurrence: the recorded one, unless the alert fired longer and nobody states it."""
    if recorded.resolved_at is None:
        return read.occurrence.ended_at
    if "resolved_at" in recorded.corrected or read.last_seen_at <= recorded.resolved_at + read.interval:
        return recorded.resolved_at
    return read.occurrence.ended_at


def _milliseconds(time: datetime) -> int:
    return (time - EPOCH) // _MILLISECOND
