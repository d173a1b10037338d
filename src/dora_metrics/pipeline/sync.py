"""`sync`: bring what GitHub knows and the ledger does not into the ledger, for any number of repositories."""

import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial

import msgspec

from dora_metrics.core import formatting, selection
from dora_metrics.core.cursors import (
    LAST_ATTEMPT,
    LAST_READING,
    NEWS,
    REQUESTED,
    Cursor,
    Cursors,
    decode_cursors,
    encode_cursors,
)
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.merge import CLOCK_SKEW, changed_facts, reconcile, relinked_facts
from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact, Incident, Repository, Vulnerability
from dora_metrics.core.json_errors import UNREADABLE_JSON
from dora_metrics.core.ledger.layout import CURSORS_FILE, LedgerContents
from dora_metrics.core.linking.commit_graph import CommitGraph, ResolvedChanges, resolve_changes
from dora_metrics.core.linking.counting import comparable_facts
from dora_metrics.core.linking.earlier_successes import EarlierSuccesses, earlier_successes
from dora_metrics.core.linking.environment_uses import EnvironmentUses
from dora_metrics.core.linking.former_names import RepositoryNames, observed_repository
from dora_metrics.core.linking.link import deployment_order
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.policy import RULES_EDITION
from dora_metrics.core.scope import recorded_name, scope_of
from dora_metrics.github.client import Client, GitHubError, NotFoundError, RateLimitError, UncertainOutcomeError
from dora_metrics.github.compare import RepositoryComparer
from dora_metrics.github.history import (
    GatheredHistory,
    HistoryPart,
    HistoryRequest,
    PartOrFailure,
    ReadFailure,
    RefusedAlerts,
    RepositoryInfo,
    read_history,
    read_without_news,
)
from dora_metrics.github.history.changes import read_services_of_pulls
from dora_metrics.github.history.job_backlog import recorded_jobs
from dora_metrics.github.history.news import (
    NewsReader,
    QuietReading,
    RepositoryNews,
    are_alerts_due,
    is_quiet,
    is_quiet_in_list,
    list_digest,
    news_cursor,
    shows_same_in_list,
)
from dora_metrics.github.history.organisation_alerts import OrganisationAlerts
from dora_metrics.github.history.side_commits import SideCommitReader
from dora_metrics.github.new_commits import TooManyCommitsError
from dora_metrics.github.observation import Observation, Run
from dora_metrics.github.owned_repositories import ListedRepository
from dora_metrics.github.queries import JsonObject
from dora_metrics.pipeline.enrich import uncompared_note
from dora_metrics.pipeline.progress import Progress
from dora_metrics.pipeline.record import production_sources
from dora_metrics.pipeline.repository_notes import joined_notes
from dora_metrics.pipeline.selected_repositories import SelectedRepositories, select_repositories
from dora_metrics.settings.model import Settings

_INCOMPARABLE = "apart"
"""The cursor that remembers the deployments that GitHub cannot compare."""

_UNANSWERED = "unanswered"
"""The cursor that remembers the comparisons that GitHub did not answer; they come last in the next sync."""

_NEW_SERVICES = "services"
"""The cursor that remembers that `services` has changed, until deployments were compared by its present paths."""

_FOREIGN_NAMES = "names"
"""The cursor that remembers the names in reverts and incidents that are not former ones of the repository."""

_MAX_NAMES_ASKED = 20
"""Names in one request; the next sync asks for the others."""

_MAX_FOREIGN_NAMES = 200
"""With so many, no further name is asked for."""

_UNKNOWN_NAMES = "{}: GitHub did not say which repositories reverts and incidents name; the next sync asks again: {}"

_KINDS_OF_LINKING = {"commits", _INCOMPARABLE, _UNANSWERED, LAST_READING, LAST_ATTEMPT}
"""The cursors that come when a reading has ended and deployments are linked, and not with what was read."""

_MAX_REPOSITORIES_NAMED = 5

_SELECTING_SETTINGS = {
    "incident_labels",
    "deployment_source",
    "deploy_workflows",
    "production_environments",
    "services",
}

MAX_COMPARISONS = 25
"""Comparisons in one sync; the next one goes on with the rest."""

_MAX_UNANSWERED_IN_A_ROW = 2
"""Comparisons without an answer after which a sync makes no more."""

UNCHANGED_FOR = timedelta(hours=1)
"""Numbers younger than this are not written again if nothing is new."""

_MAX_UNSAVED_FACTS = 2_000
_MAX_UNSAVED_SECONDS = 30


@dataclass
class Sync:
    """One reading of GitHub's history; asks each question once, even if the ledger is read again.

    Attributes:
        client: GitHub's API.
        settings: what to read, and how far back.
        run: the workflow run.
        note: receives what failed.
        progress: shows how far the reading is.
    """

    client: Client
    settings: Settings
    run: Run
    note: Callable[[Outcome], None]
    progress: Progress
    _gathered: list[GatheredHistory] = field(default_factory=list)
    _compared: dict[str, tuple[Fact, ...]] = field(default_factory=dict)
    _unanswered: set[str] = field(default_factory=set)
    _unanswered_in_a_row: int = 0
    _side_readers: dict[str, SideCommitReader] = field(default_factory=dict)
    _selected: SelectedRepositories = field(default_factory=SelectedRepositories)
    _reading: Iterator[None] | None = None
    _is_complete: bool = False

    @property
    def has_read_nothing(self) -> bool:
        """Whether no repository could be read, though there may be some."""
        has_read = any(gathered.number is not None for gathered in self._gathered)
        return not (has_read or self._selected.empty_count or self._selected.is_empty_shard)

    def identify(self, names: RepositoryNames) -> tuple[Repository, ...]:
        """Return what is new about the names of the repositories that were read, and of this run's before that."""
        numbers = {gathered.number for gathered in self._gathered}
        own = GatheredHistory(self.run.repository, self.run.repository, self.run.repository_number)
        gathered_and_own = [*self._gathered, *([] if own.number in numbers else [own])]
        records = (self._observed_repository(names, gathered) for gathered in gathered_and_own)
        return tuple(record for record in records if record)

    def _observed_repository(self, names: RepositoryNames, gathered: GatheredHistory) -> Repository | None:
        if gathered.number is None:
            return None
        former_names = gathered.requested_name, *gathered.earlier_names
        return observed_repository(names, gathered.number, gathered.name, self.run.now, former_names)

    def observe(self, contents: LedgerContents) -> Observation:
        """What was read and the ledger does not know, and the cursors to go on from."""
        cursors = dict(self._recorded_cursors(contents))
        observed: dict[str, Fact] = {}
        recorded = ChainMap(observed, _by_id(contents.facts))
        for gathered in self._gathered:
            key = contents.names.stable_name(gathered.name)
            before = cursors.get(key, {})
            if gathered.final_cursors != before:
                cursors[key], facts = self._observe_repository(gathered, contents, before, recorded)
                observed |= facts
        self._try_something_else(self._gathered)  # its writing
        notes = (*joined_notes(_notes_on(self._gathered)), *self._selected.notes)
        title = _title(observed.values(), self._gathered, self._selected)
        return Observation(tuple(observed.values()), title, notes, {CURSORS_FILE: encode_cursors(cursors)})

    def _observe_repository(
        self,
        gathered: GatheredHistory,
        contents: LedgerContents,
        before: dict[str, Cursor],
        recorded: ChainMap[str, Fact],
    ) -> tuple[dict[str, Cursor], dict[str, Fact]]:
        """Return the next cursors of a repository, and what is new of it; linked once it was read to the end."""
        cursors = _merged_cursors(before, gathered)
        facts = (contents.names.observed_now(fact) for fact in gathered.facts.values())
        observed = _by_id(changed_facts(recorded, facts))
        if gathered.is_read:
            name = contents.names.present_name(gathered.name)
            own = {**_by_id(contents.facts_of(name)), **_by_id(_of_repository(name, observed.values()))}
            with self.client.sending_slow_reads_once():
                observed = observed | _by_id(self._link(gathered, cursors, own, recorded.new_child(observed)))
            if gathered.has_new_services:
                cursors.pop(_NEW_SERVICES, None)
            if gathered.number is not None and not gathered.is_cut_short:
                cursors[LAST_READING] = Cursor(newest=self.run.now)
                cursors.pop(LAST_ATTEMPT, None)
            elif gathered.is_refused:
                cursors[LAST_ATTEMPT] = Cursor(newest=self.run.now)
            gathered.final_cursors = dict(cursors) if cursors != before else None
        return cursors, observed

    def read_in_steps(self, contents: LedgerContents) -> Iterator[None]:
        """Read GitHub's history, once; yields whenever enough was read to be recorded.

        So a run that is stopped keeps what it had. A reading that was left when a ledger could not be written goes on
        where it was left.
        """
        self._reading = self._reading or self._read(contents)
        for _ in self._reading:  # `yield from` would end the reading together with this generator
            self._try_something_else(self._gathered)  # the ledger
            yield

    def _read(self, contents: LedgerContents) -> Iterator[None]:
        with self.progress:
            yield from self._read_repositories(contents)
        self._is_complete = True

    def _read_repositories(self, contents: LedgerContents) -> Iterator[None]:
        unsaved = _Unsaved(contents)
        recorded = {fact.repository for fact in contents.facts}
        self._selected = select_repositories(self.client, self.settings, self.run, self.note)
        repositories = self._oldest_first(self._selected.to_read, contents)
        requested_names = [repository.name for repository in repositories]
        news_sources = self._news_sources(repositories, contents)
        for count_before, requested_name in enumerate(requested_names):
            if problem := self.client.limit_problem("GraphQL"):
                left = formatting.join_first(requested_names[count_before:], _MAX_REPOSITORIES_NAMED)
                self._note_failure(f"stopped before {left}: {problem}. The next sync reads these first")
                return
            self._try_something_else(self._gathered[-1:])  # this repository
            name = recorded_name(requested_name, recorded)
            gathered = GatheredHistory(name=name, requested_name=name)
            self._gathered.append(gathered)
            for part in self._read_repository(gathered, contents, repositories[count_before], news_sources):
                gathered.add(part)
                if isinstance(part, HistoryPart):
                    _remember_request(gathered)
                    unsaved.add(part)
                self._show(gathered.name, part)
                if unsaved.is_much():
                    yield
                    unsaved.reset()
            gathered.is_read = True
            gathered.is_cut_short = bool(self.client.limit_problem("GraphQL") or self.client.limit_problem("REST"))

    def _oldest_first(
        self, repositories: Iterable[ListedRepository], contents: LedgerContents
    ) -> list[ListedRepository]:
        """Return repositories by the time of their last reading, so that a limit stops none of them twice in a row.

        Those that were never read come first; the others keep their order where times are equal. For one that GitHub
        did not find, the time is that of the attempt.
        """

        def last_reading(repository: ListedRepository) -> datetime:
            cursors = self._cursors_of(repository.name, contents)
            times = (cursors.get(kind, Cursor()).newest for kind in (LAST_READING, LAST_ATTEMPT))
            return max(filter(None, times), default=EPOCH)

        return sorted(repositories, key=last_reading)

    def _news_sources(self, repositories: Sequence[ListedRepository], contents: LedgerContents) -> "_NewsSources":
        """Return what says whether repositories have news.

        A single one is not asked for its news: its reading begins with a request that is often the only one.
        """
        names = [repository.name for repository in repositories]
        quiet = dict(self._quiet_in_list(repositories, contents)) if len(names) > 1 else {}
        to_ask = [name for name in names if name not in quiet] if len(names) > 1 else []
        due = frozenset(self._with_alerts_due(names, contents))
        return _NewsSources(quiet, NewsReader(self.client, to_ask), OrganisationAlerts(self.client, due))

    def _quiet_in_list(
        self, repositories: Iterable[ListedRepository], contents: LedgerContents
    ) -> Iterator[tuple[str, HistoryRequest]]:
        """Yield the requests for repositories that GitHub's list shows as it did at their last reading, by name."""
        for listed in repositories:
            last = self._cursors_of(listed.name, contents).get(NEWS)
            if last and listed.news and shows_same_in_list(listed.news, last, self.settings):
                request = self._request_for(listed.name, RepositoryNews(listed.news).info, contents)
                if _NEW_SERVICES not in request.cursors and is_quiet_in_list(listed.news, request):
                    yield listed.name, request

    def _with_alerts_due(self, names: Iterable[str], contents: LedgerContents) -> Iterator[str]:
        """Yield those repositories whose alerts are due if they have no other news."""
        for name in names:
            last = self._cursors_of(name, contents).get(NEWS)
            if last and are_alerts_due(last, self.run):
                yield name

    def _read_repository(
        self,
        gathered: GatheredHistory,
        contents: LedgerContents,
        listed: ListedRepository,
        sources: "_NewsSources",
    ) -> Iterator[PartOrFailure]:
        """Yield the parts of a repository; if it has no news, only its security alerts, and these once a day."""
        quiet = sources.quiet_in_list.get(listed.name)
        if quiet and listed.news and not self._is_read(listed.news["databaseId"]):
            yield from self._read_without_news(gathered, quiet, RepositoryNews(listed.news), sources, None)
            return
        news = sources.reader.of(listed.name)
        if news and (request := self._quiet_request(gathered, contents, news, listed.news)):
            yield from self._read_without_news(gathered, request, news, sources, list_digest(listed, request))
            return
        request = self._history_request(gathered, contents)
        yield from read_history(self.client, request, partial(self._confirm, gathered, contents))
        has_all_names = self._find_earlier_names(gathered, contents)
        if news and has_all_names:
            gathered.news = news_cursor(news, gathered, request, list_digest(listed, request))

    def _find_earlier_names(self, gathered: GatheredHistory, contents: LedgerContents) -> bool:
        """Ask GitHub whether unknown names in reverts and incidents are former ones of a repository.

        It may have been renamed before its ledger began. The cursor remembers names that are not. Return whether no
        name is left to ask for.
        """
        foreign_names = gathered.cursors_read_from.get(_FOREIGN_NAMES, Cursor()).open
        unknown = [name for name in self._unknown_names(gathered, contents) if name.casefold() not in foreign_names]
        to_ask = unknown[: _MAX_FOREIGN_NAMES - len(foreign_names)]
        if not to_ask:
            return True
        try:
            numbers = self._numbers_of(to_ask[:_MAX_NAMES_ASKED])
        except GitHubError as error:
            self._note_failure(_UNKNOWN_NAMES.format(gathered.name, error))
            return False
        gathered.earlier_names = tuple(name for name, number in numbers.items() if number == gathered.number)
        others = (name.casefold() for name in numbers if name not in gathered.earlier_names)
        gathered.move_cursor(_FOREIGN_NAMES, Cursor(open=(*foreign_names, *others)))
        return len(numbers) == len(to_ask)

    def _numbers_of(self, names: Sequence[str]) -> dict[str, int | None]:
        """Return GitHub's numbers of repositories by present or former names; None for one that it does not show.

        Raises:
            GitHubError: if GitHub refuses the request or does not answer.
        """
        nodes = self.client.query_repositories("RepositoryNumbers", names)
        return {name: node["databaseId"] if node else None for name, node in zip(names, nodes, strict=True)}

    def _unknown_names(self, gathered: GatheredHistory, contents: LedgerContents) -> list[str]:
        """Return the names in reverts and incidents of a repository that no run has seen; none if it was not read."""
        if gathered.number is None:
            return []
        observed = self._observed_repository(contents.names, gathered)
        names = contents.names.including((observed,) if observed else ())
        recorded = contents.facts_of(contents.names.present_name(gathered.name))
        return names.unknown_names((*recorded, *gathered.facts.values()))

    def _read_without_news(
        self,
        gathered: GatheredHistory,
        request: HistoryRequest,
        news: RepositoryNews,
        sources: "_NewsSources",
        listed: tuple[str, ...] | None,
    ) -> Iterator[PartOrFailure]:
        _identify(gathered, news.info, request)
        reading = QuietReading.of(news, request, listed)
        organisation = None if reading.with_own_alerts else sources.alerts
        yield from read_without_news(self.client, request, news.info, organisation, with_alerts=reading.with_alerts)
        gathered.news = reading.cursor_after(gathered, request)

    def _quiet_request(
        self,
        gathered: GatheredHistory,
        contents: LedgerContents,
        news: RepositoryNews,
        listed_news: JsonObject | None,
    ) -> HistoryRequest | None:
        """Return the request for a repository that has no news and no work left; None if it may have some."""
        request = self._request_for(gathered.requested_name, news.info, contents)
        has_work = news.info.number is None or self._is_read(news.info.number) or _NEW_SERVICES in request.cursors
        return None if has_work or not is_quiet(news, request, listed_news) else request

    def _request_for(self, requested_name: str, info: RepositoryInfo, contents: LedgerContents) -> HistoryRequest:
        return self._history_request(GatheredHistory(info.name, requested_name, info.number), contents)

    def _is_read(self, number: int) -> bool:
        """Whether this sync reads the repository of that number already, perhaps by another name."""
        return number in (other.number for other in self._gathered)

    def _try_something_else(self, read_before: Iterable[GatheredHistory]) -> None:
        """Go on after requests that GitHub never answers, if it has answered others for these repositories."""
        if any(gathered.number is not None for gathered in read_before):
            self.client.try_something_else()

    def _confirm(
        self, gathered: GatheredHistory, contents: LedgerContents, info: RepositoryInfo
    ) -> HistoryRequest | None:
        """Return the request for the repository that GitHub has under a name; None if this sync reads it already."""
        if info.number is not None and self._is_read(info.number):
            self._gathered.remove(gathered)
            return None
        request = self._request_for(gathered.requested_name, info, contents)
        _identify(gathered, info, request)
        gathered.has_new_services = self._has_new_services(gathered, contents)
        return request

    def _has_new_services(self, gathered: GatheredHistory, contents: LedgerContents) -> bool:
        """Whether `services` is another setting than when the deployments of a repository were last compared."""
        own = self._cursors_of(gathered.name, contents)
        remembered, present = own.get(REQUESTED, Cursor()).open, self._selecting
        has_changed = bool(remembered) and _services_in(remembered[0]) != _services_in(present[0])
        return has_changed or _NEW_SERVICES in own

    def _history_request(self, gathered: GatheredHistory, contents: LedgerContents) -> HistoryRequest:
        observed = self._observed_repository(contents.names, gathered)
        names = contents.names.including((observed,) if observed else ())
        recorded_cursors = self._recorded_cursors(contents).get(names.stable_name(gathered.name), {})
        since = self.settings.since_time(self.run.now)
        cursors = self._cursors_to_go_on_from(recorded_cursors, since)
        present_name = names.present_name(gathered.name)
        facts = map(names.resolve_fact, contents.facts) if observed else contents.facts_of(present_name)
        facts = list(_of_repository(present_name, facts))
        return HistoryRequest(
            replace(self.run, repository=gathered.requested_name),
            self.settings,
            _oldest_to_read(cursors, since),
            cursors,
            production_sources(facts, present_name, self.settings, self.run.now),
            recorded_jobs(facts, present_name),
            _recorded_incidents(facts, present_name),
            EnvironmentUses.of((fact for fact in facts if isinstance(fact, Deployment)), self.settings.policy),
        )

    @property
    def _selecting(self) -> tuple[str, str]:
        """The settings and the edition of the rules that choose what is read, as the cursor remembers them."""
        return self.settings.model_dump_json(include=_SELECTING_SETTINGS), str(RULES_EDITION)

    def _recorded_cursors(self, contents: LedgerContents) -> Cursors:
        return _decode_cursors_once(contents.files.get(CURSORS_FILE, b""), self.run.now + CLOCK_SKEW)

    def _cursors_of(self, name: str, contents: LedgerContents) -> Mapping[str, Cursor]:
        """Return the recorded cursors of a repository by a present or former name; empty before its first reading."""
        return self._recorded_cursors(contents).get(contents.names.stable_name(name), {})

    def _cursors_to_go_on_from(self, own: Mapping[str, Cursor], since: datetime | None) -> dict[str, Cursor]:
        """Return the cursors of a repository, reset if more is to be read than by the last sync, or by other rules."""
        last = own.get(REQUESTED, Cursor())
        reaches_further = last.reached is not None and (since is None or since < last.reached)
        if reaches_further or last.open != self._selecting:
            complete_until = own.get(LAST_READING, last).newest
            reached = _earlier(since, complete_until)
            requested = Cursor(newest=complete_until, reached=reached, open=self._selecting)
            return {REQUESTED: requested, **selection.only_read_times(own)}
        return dict(own)

    def _show(self, repository: str, part: PartOrFailure) -> None:
        self.progress.show(repository, part)
        if isinstance(part, ReadFailure) or (isinstance(part, RefusedAlerts) and part.is_requested):
            self._note_failure(f"{repository}: {part}")

    def _note_failure(self, detail: str) -> None:
        self.note(Outcome("sync", "failed", detail))

    def _link(
        self,
        gathered: GatheredHistory,
        cursors: dict[str, Cursor],
        own: dict[str, Fact],
        recorded: ChainMap[str, Fact],
    ) -> Iterable[Fact]:
        """Complete deployments with their changes: from the history of commits, otherwise by comparing commits.

        `own` are the recorded and new facts of the repository, by id, and `recorded` those of all. Adds to the cursors
        and notes of the repository.
        """
        linked, side_changes = self._resolve(gathered, list(own.values()))
        completed = _by_id((*relinked_facts(recorded, linked.facts), *changed_facts(recorded, side_changes)))
        # Deployments that come later are linked by the same commits, so these are read again.
        if linked.cursor and gathered.has_all_new_deployments and gathered.continues("commits", cursors.get("commits")):
            cursors["commits"] = linked.cursor
        elif gathered.graph.commits_by_sha:
            cursors.pop(NEWS, None)  # the next sync reads them again
        completed |= self._compare_unresolved(
            gathered, linked.unresolved, cursors, own | completed, recorded.new_child(completed)
        )
        gathered.link_notes = linked.notes
        return completed.values()

    def _compare_unresolved(
        self,
        gathered: GatheredHistory,
        unresolved: Sequence[Deployment],
        cursors: dict[str, Cursor],
        own: dict[str, Fact],
        recorded: Mapping[str, Fact],
    ) -> dict[str, Fact]:
        """Compare deployments, as many as one sync may; the cursors remember those without a result."""
        incomparable, unanswered = (list(cursors.get(name, Cursor()).open) for name in (_INCOMPARABLE, _UNANSWERED))
        completed: dict[str, Fact] = {}
        for deployment in _to_compare(unresolved, incomparable, unanswered):
            if self._is_silent_to(deployment):
                break
            try:
                compared = self._compare(deployment, own | completed)
            except RateLimitError as error:
                self.note(Outcome("changes", "failed", f"stopped before {deployment.id}: {error}"))
                break
            completed |= _by_id(relinked_facts(recorded, compared))
            is_final = self._compared.get(deployment.id) == () and gathered.has_all_that_may_be_compared
            unanswered = [each for each in unanswered if each != deployment.id]
            if not compared:
                (incomparable if is_final else unanswered).append(deployment.id)
        unresolved_ids = {deployment.id for deployment in unresolved}
        left = [each for each in unanswered if each in unresolved_ids]
        for name, open_ids in ((_INCOMPARABLE, incomparable), (_UNANSWERED, left)):
            cursors.pop(name, None)
            if open_ids:
                cursors[name] = Cursor(open=tuple(open_ids))
        return completed

    def _is_silent_to(self, deployment: Deployment) -> bool:
        """Whether to leave a comparison to the next sync, after some in a row that GitHub did not answer."""
        has_been_tried = deployment.id in self._compared or deployment.id in self._unanswered
        if has_been_tried or self._unanswered_in_a_row < _MAX_UNANSWERED_IN_A_ROW:
            return False
        problem = f"stopped before {deployment.id}: GitHub did not answer the last comparisons; the next sync continues"
        self.note(Outcome("changes", "failed", problem))
        return True

    def _resolve(self, gathered: GatheredHistory, facts: Sequence[Fact]) -> tuple[ResolvedChanges, list[Change]]:
        """Resolve changes by the graph of commits, and read the histories outside the default branch that it lacks.

        Return also the pull requests that are known only from these histories.
        """
        graph, policy = gathered.graph, self.settings.policy
        recompared_ids = self._recompared_ids(gathered, facts)
        linked = resolve_changes(facts, graph, policy, recompared_ids)
        if linked.pulls_without_services and self._read_services(gathered, linked.pulls_without_services):
            linked = resolve_changes(facts, graph, policy, recompared_ids)
        if not (linked.unread and graph.commits_by_sha):
            return linked, []
        name = gathered.name
        reader = self._side_readers.setdefault(name, SideCommitReader(self.client, name, self.run.now))
        try:
            side_commits = reader.read((str(deployment.sha) for deployment in linked.unread), graph.oldest_time)
            graph.side_commits |= {commit.sha: commit for commit in side_commits}
            linked = resolve_changes(facts, graph, policy, recompared_ids)
            known_ids = {fact.id for fact in facts}
            unknown_ids = {change_id for change_id in _delivered_ids(linked.facts) if change_id not in known_ids}
            return linked, list(reader.changes(sorted(unknown_ids)))
        except GitHubError as error:
            self.note(Outcome("changes", "failed", f"GitHub did not return the commits of other branches: {error}"))
            graph = CommitGraph(graph.commits_by_sha, is_complete=graph.is_complete)
            return resolve_changes(facts, graph, policy, recompared_ids), []

    def _read_services(self, gathered: GatheredHistory, change_ids: Iterable[str]) -> bool:
        """Read which services pull requests belong to that an earlier sync read; whether GitHub returned any."""
        node_ids = gathered.graph.pull_node_ids()
        wanted = [node_ids[change_id] for change_id in change_ids if change_id in node_ids]
        services = self.settings.policy.services
        try:
            services_by_pull = read_services_of_pulls(self.client, gathered.name, services, wanted)
        except GitHubError as error:
            self.note(Outcome("changes", "failed", f"GitHub did not return the files of pull requests: {error}"))
            return False
        gathered.graph.services_by_pull.update(services_by_pull)
        return bool(services_by_pull)

    def _recompared_ids(self, gathered: GatheredHistory, facts: Iterable[Fact]) -> frozenset[str]:
        """Return the ids of deployments whose changes were selected by other paths than those in `services` now."""
        if not gathered.has_new_services:
            return frozenset()
        deployments = (fact for fact in facts if isinstance(fact, Deployment) and fact.previous is not None)
        return frozenset(each.id for each in deployments if scope_of(each).service in self.settings.services)

    def _compare(self, deployment: Deployment, recorded: Mapping[str, Fact]) -> tuple[Fact, ...]:
        """The deployment with its changes; empty if there is nothing to compare it with, or GitHub does not say.

        Raises:
            RateLimitError: if no further comparison can be read.
        """
        counted = comparable_facts(recorded.values(), self.settings.policy)
        earlier = earlier_successes(deployment, counted)
        if earlier is None or not deployment.sha:
            return ()
        if deployment.id not in self._compared and deployment.id not in self._unanswered:
            self._compare_once(deployment, earlier)
        return self._compared.get(deployment.id, ())

    def _compare_once(self, deployment: Deployment, earlier: EarlierSuccesses) -> None:
        """Ask GitHub for the changes, and remember what it says, or that it does not.

        Raises:
            RateLimitError: if no further comparison can be read.
        """
        try:
            self._compared[deployment.id] = self._ask_for_changes(deployment, earlier)
            self._unanswered_in_a_row = 0
        except RateLimitError:
            raise
        except GitHubError as error:
            self._unanswered.add(deployment.id)
            self._unanswered_in_a_row += isinstance(error, UncertainOutcomeError)
            problem = f"GitHub did not return what {deployment.id} delivered: {error}"
            self.note(Outcome("changes", "failed", problem))

    def _ask_for_changes(self, deployment: Deployment, earlier: EarlierSuccesses) -> tuple[Fact, ...]:
        """What GitHub says; empty if it never will.

        Raises:
            GitHubError: if it may say so later.
        """
        comparer = RepositoryComparer(self.client, deployment.repository, self.settings.policy.services)
        try:
            compared = comparer.deployment_with_changes(deployment, earlier)
        except NotFoundError:
            problem = "GitHub no longer has its commit or those of the earlier deployments, or they share no history"
            self.note(Outcome("changes", "skipped", f"what {deployment.id} delivered stays unknown: {problem}"))
            return ()
        except TooManyCommitsError as error:
            problem = f"what {deployment.id} delivered stays unknown: {error}"
            self.note(Outcome("changes", "failed", problem))
            return ()
        if compared.uncompared:
            self.note(Outcome("changes", "skipped", uncompared_note(deployment, compared.uncompared)))
        return compared.facts


@dataclass(frozen=True)
class _NewsSources:
    """What says whether repositories have news.

    `quiet_in_list` are the requests for those that GitHub's list shows as before, by name; `reader` asks the others.
    `alerts` are the lists of their organisations.
    """

    quiet_in_list: Mapping[str, HistoryRequest]
    reader: NewsReader
    alerts: OrganisationAlerts


@dataclass
class _Unsaved:
    """What was read since the ledger was last written: facts that it does not have, and seconds."""

    contents: LedgerContents
    fact_count: int = 0
    began_at: float = field(default_factory=time.monotonic)

    def add(self, part: HistoryPart) -> None:
        """Count the facts of a part that are new."""
        named = (self.contents.names.observed_now(fact) for fact in part.facts)
        self.fact_count += sum(1 for fact in named if reconcile(self.contents.fact_by_id(fact.id), fact))

    def is_much(self) -> bool:
        """Whether it is to be written, so that a run that is stopped keeps it."""
        seconds = time.monotonic() - self.began_at
        return self.fact_count >= _MAX_UNSAVED_FACTS or seconds > _MAX_UNSAVED_SECONDS

    def reset(self) -> None:
        self.fact_count, self.began_at = 0, time.monotonic()


def _notes_on(gathered: Iterable[GatheredHistory]) -> Iterator[tuple[str, str]]:
    """Yield the notes on repositories, each with the name of its repository."""
    return ((each.name, note) for each in gathered for note in (*each.notes, *each.link_notes))


def _identify(gathered: GatheredHistory, info: RepositoryInfo, request: HistoryRequest) -> None:
    """Note what GitHub says of a repository, and where the reading of it begins."""
    gathered.name, gathered.number, gathered.info = info.name, info.number, info
    gathered.cursors_read_from = request.cursors


def _earlier(since: datetime | None, complete_until: datetime | None) -> datetime | None:
    """Return `since`, or the last complete reading if that was before it, so that a long pause leaves nothing out."""
    return min(since, complete_until) if since and complete_until else since


def _oldest_to_read(cursors: Mapping[str, Cursor], since: datetime | None) -> datetime | None:
    """Return how far back to read: as far as the first reading did, and to `since` until that has ended.

    So `since` may be set to less if the first reading takes too long, and a long pause leaves nothing out.
    """
    requested = cursors[REQUESTED]
    return requested.reached if LAST_READING in cursors else _earlier(since, requested.newest)


def _services_in(selecting_settings: str) -> object:
    """Return `services` in the settings that a cursor remembers; None if they cannot be read."""
    try:
        return msgspec.json.decode(selecting_settings, type=dict[str, object]).get("services")
    except UNREADABLE_JSON:
        return None


def _remember_request(gathered: GatheredHistory) -> None:
    """Remember with the first facts what was requested, and what only the end of this reading will have done."""
    gathered.cursors[REQUESTED] = gathered.cursors_read_from[REQUESTED]
    if gathered.has_new_services:
        gathered.move_cursor(_NEW_SERVICES, Cursor())


def _merged_cursors(own: dict[str, Cursor], gathered: GatheredHistory) -> dict[str, Cursor]:
    """A repository's cursors after a reading; the old ones are void if it read everything again.

    A ledger whose cursor is another one than the reading began at keeps that, since it may lack what the reading left
    out: somebody has deleted the ledger or put an older one in its place, or another sync was faster.
    """
    last = own.get(REQUESTED)
    if gathered.cursors.get(REQUESTED, last) != last:
        own = selection.only_read_times(own)
    kinds = {*gathered.cursors, *gathered.cursors_read_from} - _KINDS_OF_LINKING
    continued = {kind for kind in kinds if kind == REQUESTED or gathered.continues(kind, own.get(kind))}
    read = {kind: cursor for kind, cursor in gathered.cursors.items() if kind in continued}
    kept = {kind: cursor for kind, cursor in own.items() if kind != NEWS}
    news = {NEWS: gathered.news} if gathered.news and continued == kinds else {}
    return {**kept, **read, **news}


def _to_compare(
    deployments: Iterable[Deployment], incomparable: Iterable[str], unanswered: Sequence[str]
) -> list[Deployment]:
    """Return the deployments to compare, the oldest first; after them those that GitHub did not answer for before."""
    excluded, places = set(incomparable), {deployment_id: place for place, deployment_id in enumerate(unanswered, 1)}
    candidates = [d for d in sorted(deployments, key=deployment_order) if d.sha and d.id not in excluded]
    return sorted(candidates, key=lambda candidate: places.get(candidate.id, 0))[:MAX_COMPARISONS]


def _recorded_incidents(facts: Iterable[Fact], repository: str) -> frozenset[str]:
    """Return the ids of the issues of a repository that are recorded as incidents, and count."""
    incidents = (fact for fact in facts if isinstance(fact, Incident) and not fact.retracted)
    return frozenset(each.id for each in incidents if each.id.startswith(ids.issue(repository, "")))


_decode_cursors_once = lru_cache(maxsize=1)(decode_cursors)
"""Each repository needs those of all, which grow with the repositories."""


def _of_repository(repository: str, facts: Iterable[Fact]) -> Iterator[Fact]:
    return (fact for fact in facts if fact.repository == repository)


def _delivered_ids(facts: Iterable[Fact]) -> Iterator[str]:
    for fact in facts:
        if isinstance(fact, Deployment):
            yield from fact.changes or ()


def _by_id(facts: Iterable[Fact]) -> dict[str, Fact]:
    return {fact.id: fact for fact in facts}


_KIND_NAMES: tuple[tuple[type[Fact], tuple[str, str]], ...] = (
    (Deployment, ("deployment", "deployments")),
    (Change, ("change", "changes")),
    (Incident, ("incident", "incidents")),
    (Vulnerability, ("vulnerability", "vulnerabilities")),
)


def _title(facts: Iterable[Fact], gathered: Sequence[GatheredHistory], selected: SelectedRepositories) -> str:
    """`Read the history of acme/shop: 12 deployments, 34 changes, 2 incidents added or updated`."""
    if selected.is_empty_shard:
        return "This shard has no repository to read"
    empty_count = selected.empty_count
    read = [each.name for each in gathered if each.last_parts]
    unread = [each.name for each in gathered if not each.last_parts]
    parts = [f"read the history of {_names_or_count(read)}: {_news(facts)}"] if read else []
    parts += [f"could not read the history of {_names_or_count(unread)}"] if unread else []
    parts += [f"{formatting.count(empty_count, 'repository is', 'repositories are')} empty"] if empty_count else []
    title = "; ".join(parts) or "GitHub's history could not be read"
    return title[:1].upper() + title[1:]


def _names_or_count(repositories: Sequence[str]) -> str:
    return repositories[0] if len(repositories) == 1 else f"{len(repositories):,} repositories"


def _news(facts: Iterable[Fact]) -> str:
    fact_list = list(facts)
    counts = ((sum(isinstance(fact, kind) for fact in fact_list), names) for kind, names in _KIND_NAMES)
    news = ", ".join(formatting.count(number, *names) for number, names in counts if number)
    return f"{news} added or updated" if news else "nothing new"
