"""`sync`: the incidents of other systems into the ledger; and the parts of that which need no ledger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.covered_repositories import CoveredRepositories
from dora_metrics.core.cursors import INCIDENT_SYSTEMS
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.merge import changed_facts
from dora_metrics.core.facts.model import EPOCH, Fact, Incident
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.outcome import Outcome
from dora_metrics.github import text
from dora_metrics.github.events.observe import prepare_fact
from dora_metrics.github.observation import Observation, Run
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.incident_reading import ReadingCursor, with_incident_syncs
from dora_metrics.pipeline.record import RecordRequest
from dora_metrics.runtime import Deadline, HttpLimits, Runtime
from dora_metrics.settings.incidents.parsing import parse_systems
from dora_metrics.settings.incidents.systems import IncidentSystem
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.settings.tokens import NamedToken, parse_tokens
from dora_metrics.sources.incidents.api import IncidentApi, RequestLimits
from dora_metrics.sources.incidents.facts import SystemFacts, facts_of, left_note, missing_note
from dora_metrics.sources.incidents.read import ReadingRequest, SystemReading, read_system

_MAX_NOTE_LENGTH = 1_500
_READ_AGAIN = timedelta(hours=1)
"""How much of what the last sync read is read again: a search may show a change late."""
_MAX_REMEMBERED = 1_000
"""Open incidents that a system does not show any more, in the cursor."""
_LONGEST_HISTORY = timedelta(days=5 * 365)
_LONGEST_UNCHANGED = timedelta(days=1)
"""How far back a sync reads at most if the last one was complete, however long nothing has changed."""


def with_incident_history(request: RecordRequest, context: RunContext) -> RecordRequest:
    """Return the request of a sync that reads the incident systems of the settings as well."""
    systems = parse_systems(context.settings.incidents)
    if context.request.is_of_fork:
        for system in systems:
            reason = "a run for a pull request from a fork reads no incidents"
            context.note(Outcome(_outcome_name(system), "skipped", reason))
        return request
    reader = SystemReader.of(context.settings, context.run.now, context.runtime)
    syncs = [SystemSync(system, context.settings, context.run, context.note, reader) for system in systems]
    return with_incident_syncs(request, syncs)


@dataclass
class SystemReader:
    """Reads systems, with the tokens of a run, within one time for all of them, which begins with the first."""

    tokens: Mapping[str, NamedToken] = field(repr=False)
    hosts: tuple[str, ...]
    now: datetime
    limits: HttpLimits
    sleep: Callable[[float], None]

    @classmethod
    def of(cls, settings: Settings, now: datetime, runtime: Runtime) -> "SystemReader":
        """Return a reader with the tokens and hosts that the settings name."""
        secret = settings.incident_tokens
        return cls(
            parse_tokens(secret.get_secret_value()) if secret else {},
            settings.incident_hosts,
            now,
            runtime.http_limits,
            runtime.sleep,
        )

    @cached_property
    def _deadline(self) -> Deadline:
        return Deadline(self.limits.list_seconds)

    def read(self, system: IncidentSystem, request: ReadingRequest) -> SystemReading:
        """Read a system; without a token that it needs, or where it may not get it, it is unread and not asked."""
        token = self.tokens.get(system.name)
        if problem := self._token_problem(system, token):
            return SystemReading((), (), request.missing_keys, None, problem)
        return read_system(self._api(system, token), request)

    def _token_problem(self, system: IncidentSystem, token: NamedToken | None) -> str | None:
        if token is None and not system.is_token_optional:
            addition = f"add a line `{system.name}: TOKEN` to the input `incident-tokens`"
            return f"it has no token; {addition}, or to INCIDENT_TOKENS in a terminal"
        if token is None or system.may_get_token(self.hosts):
            return None
        origin = system.origin
        return (
            f"its token is not sent to {origin.host}, port {origin.port}, which neither the program nor the workflow "
            "names; add the host to the input `incident-hosts`"
        )

    def _api(self, system: IncidentSystem, token: NamedToken | None) -> IncidentApi:
        limits = self.limits
        return IncidentApi(
            system=system,
            token=token,
            limits=RequestLimits(limits.connect_seconds, limits.page_seconds, limits.tries, limits.pause_seconds),
            pause=self.sleep,
            seconds_left=lambda: self._deadline.seconds_left,
            now=self.now,
        )


@dataclass
class SystemSync:
    """One reading of a system; asks it once, even if the ledger is read again.

    Attributes:
        system: the system.
        settings: how far back the first reading goes, and which repositories the ledger covers.
        run: the workflow run.
        note: receives how the reading went.
        reader: reads the system.
    """

    system: IncidentSystem
    settings: Settings
    run: Run
    note: Callable[[Outcome], None]
    reader: SystemReader
    _reading: SystemReading | None = None

    def read(self, contents: LedgerContents) -> None:
        """Read what changed since an hour before the newest change that the ledger knows."""
        if self._reading is not None:
            return
        self._cursor.begin(contents)
        request = ReadingRequest(self._since, self.run.now, self._open_keys(contents), self._cursor.last_missing)
        self._reading = self.reader.read(self.system, request)
        self.note(reading_outcome(self.system, self._reading, request.since))

    def added_to(self, observation: Observation, contents: LedgerContents) -> Observation:
        """Return what a sync observed, with the incidents that the ledger does not know, and the next cursor."""
        if self._reading is None:
            return observation
        facts = system_facts(self.system, self._reading, self.settings, self.run.repository, contents.names)
        incidents = _changed_incidents(facts.incidents, contents)
        count = formatting.count(len(incidents), "incident")
        news = f"{count} of {self.system.name} added or updated" if incidents else ""
        newest, missing = self._newest(self._reading), self._reading.missing_keys[:_MAX_REMEMBERED]
        next_cursor = self._cursor.after(newest, self._reading.problem, missing)
        files = self._cursor.with_next(observation.ledger_files, contents, next_cursor)
        return replace(observation.with_more(incidents, news, facts.notes), ledger_files=files)

    @cached_property
    def _cursor(self) -> ReadingCursor:
        selection = f"{self.system.digest} {self.settings.since}"
        return ReadingCursor(INCIDENT_SYSTEMS, self.system.name, selection, self.run)

    @property
    def _since(self) -> datetime:
        newest = self._cursor.last.newest
        return first_time(self.settings, self.run.now) if newest is None else newest - _READ_AGAIN

    def _newest(self, reading: SystemReading) -> datetime | None:
        """Return up to when changes are recorded; None if a first reading got nowhere."""
        if reading.problem is None:
            return max(reading.newest_change or EPOCH, self.run.now - _LONGEST_UNCHANGED)
        last = self._cursor.last.newest
        if reading.reached is None or reading.reached <= self._since:
            return last
        return max(reading.reached, last or reading.reached)

    def _open_keys(self, contents: LedgerContents) -> tuple[str, ...]:
        """Return the incidents of the system that have not ended in the ledger, by what the system calls them.

        The system is in their ids: after a correction, their source is another one.
        """
        incidents = (fact for fact in contents.facts if isinstance(fact, Incident))
        is_open = (each for each in incidents if each.resolved_at is None and not each.retracted)
        return tuple(key for each in is_open if (key := ids.incident_key(each.id, self.system.name)))


def first_time(settings: Settings, now: datetime) -> datetime:
    """Return the time from which the first reading of a system goes."""
    return max(settings.since_time(now) or EPOCH, now - _LONGEST_HISTORY)


def reading_outcome(system: IncidentSystem, reading: SystemReading, since: datetime) -> Outcome:
    """Return how the reading of a system went."""
    if reading.problem is None:
        count = formatting.count(len(reading.incidents), "incident")
        withdrawn_count = sum(incident.is_retracted for incident in reading.incidents)
        withdrawn = f", {withdrawn_count:,} of them withdrawn" if withdrawn_count else ""
        return Outcome(_outcome_name(system), "done", f"{count} read{withdrawn}, changed since {since:%Y-%m-%d}")
    begin = max(since, reading.reached or since)
    unread = f"those after {begin:%Y-%m-%d %H:%M} UTC are unread, which does not mean that there were none"
    return Outcome(_outcome_name(system), "failed", f"{unread}: {reading.problem}")


def _outcome_name(system: IncidentSystem) -> str:
    """Return a name that no other effect of a run has, whatever the system is called."""
    return f"{system.name} incidents"


def system_facts(
    system: IncidentSystem, reading: SystemReading, settings: Settings, run_repository: str, names: RepositoryNames
) -> SystemFacts:
    """Return what was read of a system as facts, repositories by their present names, and what is not recorded."""
    own_name = names.present_name(run_repository)
    covered = CoveredRepositories(own_name, settings.repositories, names.present_name, settings.repository_shard)

    def repository_of(name: str | None) -> str | None:
        repository = covered.named(name or "")
        return None if repository == EVERY_REPOSITORY else repository

    facts = facts_of(system, reading, repository_of, lambda name: covered.is_elsewhere(name or ""))
    prepared = (prepare_fact(incident, settings) for incident in facts.incidents)
    missing = [ids.incident(system.name, key) for key in reading.missing_keys]
    notes = (
        *facts.notes,
        *([missing_note(system.name, missing)] if missing else []),
        *([left_note(system.name, reading.left_count)] if reading.left_count else []),
    )
    return SystemFacts(
        tuple(fact for fact in prepared if isinstance(fact, Incident)),
        tuple(text.one_line(note)[:_MAX_NOTE_LENGTH] for note in notes),
    )


def _changed_incidents(incidents: tuple[Incident, ...], contents: LedgerContents) -> list[Fact]:
    """Return the incidents that change the ledger. What the system withdrew and the ledger never had is no news."""
    recorded = {each.id: fact for each in incidents if (fact := contents.fact_by_id(each.id))}
    news = [each for each in incidents if each.id in recorded or not each.retracted]
    return list(changed_facts(recorded, news))
