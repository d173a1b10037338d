"""`sync`: what GitHub knows and the ledger does not, from any number of repositories, kept as it comes."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dora_metrics.core import formatting, selection
from dora_metrics.core.cursors import Cursor, Cursors, decode_cursors, encode_cursors
from dora_metrics.core.facts.merge import changed_facts
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.ledger.layout import CURSORS_FILE, LedgerContents
from dora_metrics.core.linking.commit_graph import resolve_changes
from dora_metrics.core.linking.link import deployment_order, previous_success
from dora_metrics.core.outcome import Outcome
from dora_metrics.github.client import Client, GitHubError, NotFoundError
from dora_metrics.github.compare import TooManyCommitsError
from dora_metrics.github.history import (
    GatheredHistory,
    HistoryPart,
    HistoryRequest,
    PartOrFailure,
    ReadFailure,
    RefusedAlerts,
    read_history,
)
from dora_metrics.github.observation import Observation, Run
from dora_metrics.github.repository import expand_patterns
from dora_metrics.pipeline.enrich import ChangeSource
from dora_metrics.pipeline.progress import Progress
from dora_metrics.pipeline.publish import site_publisher
from dora_metrics.pipeline.record import RecordRequest, RunResult, known_sources, open_ledger, record
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings, policy_of
from dora_metrics.storage.base import Storage

APART = "apart"
"""Where it is remembered which deployments GitHub cannot compare."""

ASKED = "asked"
"""Where it is remembered what was asked for: how far back, and by which settings things are chosen."""

_CHOOSING = {"incident_labels", "deployment_source", "deploy_workflows", "production_environments", "services"}

MOST_COMPARISONS = 25
IDLE = timedelta(hours=1)
_FACTS_AT_ONCE = 2_000
_SECONDS_AT_ONCE = 30


@dataclass
class Sync:
    """One reading of GitHub's past: asked once, however often the ledger has to be read again.

    `history`: compares the deployments of a repository that the default branch's history does not link.
    `tell`: gets what failed. `progress`: shows how far it is. `claim`: see `Eyes`.
    """

    client: Client
    settings: Settings
    run: Run
    history: Callable[[str], ChangeSource]
    tell: Callable[[Outcome], None]
    progress: Progress
    claim: Callable[[LedgerContents], Mapping[str, bytes]] = lambda _: {}
    _gathered: dict[str, GatheredHistory] = field(default_factory=dict)
    _compared: dict[str, tuple[Fact, ...]] = field(default_factory=dict)
    _complete: bool = False

    def into(self, ledger: Storage, pause: Callable[[float], None]) -> RunResult:
        """Records everything that is new; in steps, so that a run that is stopped has kept what it had.

        Raises:
            LedgerError: if the ledger cannot be read or written.
            SettingsError: if the window cannot be.
        """
        eyes = RecordRequest(self.observe, whole=True, unchanged_for=IDLE)
        last = replace(eyes, claim=self.claim, publish=site_publisher(self.settings))
        book = open_ledger(ledger, self.settings, self.run.now, whole=True)
        if not self._complete:
            with self.progress:
                for _ in self._gather(book.contents):
                    record(eyes, ledger, self.settings, self.run, pause)
        self._complete = True
        return record(replace(last, view=book), ledger, self.settings, self.run, pause)

    def _repositories(self) -> list[str]:
        """Those that the settings name, else this one."""
        if self.run.repository == EVERY_REPOSITORY and not self.settings.repositories:
            self.tell(
                Outcome("sync", "failed", "of which repository? Say `--repository OWNER/NAME` or `--repositories`")
            )
            return []
        wanted = self.settings.repositories or (self.run.repository,)
        try:
            found = expand_patterns(self.client, wanted)
        except GitHubError as problem:
            self.tell(Outcome("sync", "failed", f"GitHub did not say which repositories there are: {problem}"))
            return []
        if not found:
            none = f"`repositories` ({', '.join(wanted)}) names no repository that the token may see"
            self.tell(Outcome("sync", "failed", none))
        return found

    def _gather(self, contents: LedgerContents) -> Iterator[None]:
        """Reads the past; yields when enough has come together to be kept."""
        cursors, began, count = decode_cursors(contents.files.get(CURSORS_FILE, b"")), time.monotonic(), 0
        for repository in self._repositories():
            gathered = self._gathered.setdefault(repository, GatheredHistory())
            wanted = self._wanted(repository, cursors, contents)
            for part in read_history(self.client, wanted):
                gathered.add(part)
                if isinstance(part, HistoryPart):
                    gathered.cursors[ASKED] = wanted.cursors[ASKED]
                self._tell(repository, part)
                count += len(part.facts) if isinstance(part, HistoryPart) else 0
                if count >= _FACTS_AT_ONCE or time.monotonic() - began > _SECONDS_AT_ONCE:
                    yield
                    began, count = time.monotonic(), 0

    def _wanted(self, repository: str, cursors: Cursors, contents: LedgerContents) -> HistoryRequest:
        known = known_sources(contents.facts, repository, self.settings)
        since = self.settings.since_time(self.run.now)
        run = replace(self.run, repository=repository)
        return HistoryRequest(run, self.settings, since, self._going_on(cursors.get(repository, {}), since), known)

    def _going_on(self, own: Mapping[str, Cursor], since: datetime | None) -> dict[str, Cursor]:
        """The cursors of a repository; none where more is asked for than before, so that all of it is read again."""
        before = own.get(ASKED, Cursor())
        chosen = (self.settings.model_dump_json(include=_CHOOSING),)
        further = before.reached is not None and (since is None or since < before.reached)
        if further or before.open != chosen:
            return {ASKED: Cursor(reached=since, open=chosen), **selection.only_read_times(own)}
        return dict(own)

    def _tell(self, repository: str, part: PartOrFailure) -> None:
        self.progress.show(repository, part)
        if isinstance(part, ReadFailure) or (isinstance(part, RefusedAlerts) and part.is_requested):
            self.tell(Outcome("sync", "failed", f"{repository}: {part}"))

    def observe(self, before: LedgerContents) -> Observation:
        """What was read, as far as the ledger does not know it, and the cursors that go with it."""
        known = {fact.id: fact for fact in before.facts}
        cursors = decode_cursors(before.files.get(CURSORS_FILE, b""))
        seen: dict[str, Fact] = {}
        notes: list[str] = []
        for repository, gathered in self._gathered.items():
            own = cursors.setdefault(repository, {})
            if gathered.cursors.get(ASKED, own.get(ASKED)) != own.get(ASKED):
                own = cursors[repository] = selection.only_read_times(own)  # what is read anew goes on nowhere
            own.update(gathered.cursors)
            seen.update((fact.id, fact) for fact in changed_facts(known, gathered.facts.values()))
            notes += gathered.notes
            if self._complete:
                seen.update((fact.id, fact) for fact in self._linked(repository, own, known | seen, notes))
        facts = tuple(seen.values())
        return Observation(facts, _title(facts, self._gathered), tuple(notes), {CURSORS_FILE: encode_cursors(cursors)})

    def _linked(
        self, repository: str, cursors: dict[str, Cursor], known: Mapping[str, Fact], notes: list[str]
    ) -> Iterator[Fact]:
        """What the history of commits says that deployments delivered; comparisons say it of the others."""
        gathered, rules = self._gathered[repository], policy_of(self.settings)
        names = {repository, *(fact.repository for fact in gathered.facts.values())}
        here = [fact for fact in known.values() if fact.repository in names]
        done = resolve_changes(here, gathered.graph, rules)
        told = {fact.id: fact for fact in changed_facts(known, done.facts)}
        if done.cursor:
            cursors["commits"] = done.cursor
        hopeless = cursors.get(APART, Cursor()).open
        waiting = [one for one in sorted(done.unresolved, key=deployment_order) if one.sha and one.id not in hopeless]
        for deployment in waiting[:MOST_COMPARISONS]:
            told.update(
                (fact.id, fact) for fact in changed_facts(known, self._delivered(deployment, {**known, **told}))
            )
            if self._compared.get(deployment.id) == () and not gathered.failures:
                hopeless = (*hopeless, deployment.id)
        if hopeless:
            cursors[APART] = Cursor(open=hopeless)
        notes += done.notes
        yield from told.values()

    def _delivered(self, deployment: Deployment, known: Mapping[str, Fact]) -> tuple[Fact, ...]:
        """What a comparison says; nothing where there is nothing to compare with, or GitHub does not say."""
        previous = previous_success(deployment, known.values())
        if not (deployment.sha and previous and previous.sha):
            return ()
        if deployment.id not in self._compared:
            try:
                found = self.history(deployment.repository).deployment_with_changes(deployment, previous)
            except NotFoundError:
                found = ()
            except TooManyCommitsError as problem:
                self.tell(Outcome("changes", "failed", f"what {deployment.id} delivered stays unknown: {problem}"))
                found = ()
            except GitHubError as problem:
                self.tell(Outcome("changes", "failed", f"GitHub did not say what {deployment.id} delivered: {problem}"))
                return ()
            self._compared[deployment.id] = found
        return self._compared[deployment.id]


_KINDS: tuple[tuple[type[Fact], tuple[str, str]], ...] = (
    (Deployment, ("deployment", "deployments")),
    (Change, ("change", "changes")),
    (Incident, ("incident", "incidents")),
    (Vulnerability, ("vulnerability", "vulnerabilities")),
)


def _title(facts: tuple[Fact, ...], gathered: Mapping[str, GatheredHistory]) -> str:
    """`The past of acme/shop: 12 deployments, 34 changes, 2 incidents new or changed`."""
    whose = (
        next(iter(gathered)) if len(gathered) == 1 else formatting.count(len(gathered), "repository", "repositories")
    )
    counts = ((sum(isinstance(fact, kind) for fact in facts), names) for kind, names in _KINDS)
    new = [formatting.count(count, *names) for count, names in counts if count]
    return f"The past of {whose}: {', '.join(new)} new or changed" if new else f"The past of {whose}: nothing new"
