"""How history is read: requests, pages of GitHub's lists, parts with cursors, and failures."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import msgspec

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.linking.commit_graph import CommitGraph, ServicesOfPull
from dora_metrics.core.linking.environment_uses import EnvironmentUses
from dora_metrics.core.linking.landed_commits import LandedCommit
from dora_metrics.core.policy import Policy
from dora_metrics.core.selection import ALERT_NAMES, PERMISSION_HINTS, AlertKind
from dora_metrics.core.windows import parse_instant, parse_instant_or_none
from dora_metrics.github.client import (
    TIMEOUT_PHRASES,
    Client,
    ForbiddenError,
    GitHubError,
    NotFoundError,
    TooExpensiveError,
    UncertainOutcomeError,
    owner_and_name,
    permission_advice,
)
from dora_metrics.github.events.observe import prepare_fact
from dora_metrics.github.observation import Run
from dora_metrics.github.paging import PagesRead
from dora_metrics.github.queries import JsonObject
from dora_metrics.settings.model import Settings

MAX_IDS_PER_REQUEST = 100
"""Objects that one query reads by their ids."""
_MAX_PAGE_SIZE, _MIN_PAGE_SIZE = 100, 10
HistoryKind = (
    Literal["pulls", "commits", "deployments", "jobs", "releases", "runs", "pushes", "issues", "sources", "repository"]
    | AlertKind
)

DEPLOYMENT_KINDS: frozenset[HistoryKind] = frozenset({"deployments", "releases", "runs"})
"""The kinds that have deployments in a list of their own."""
_COMPARED_KINDS: frozenset[HistoryKind] = frozenset({*DEPLOYMENT_KINDS, "commits", "jobs", "repository"})
"""The kinds that decide what a deployment is compared with."""

_KIND_NAMES: dict[str, str] = {
    "pulls": "pull requests",
    "commits": "commits",
    "deployments": "deployments",
    "jobs": "jobs of deployments",
    "releases": "releases",
    "runs": "workflow runs",
    "pushes": "pushes",
    "issues": "incidents",
    "sources": "deployment sources",
    "repository": "the repository",
    **ALERT_NAMES,
}
_PERMISSIONS: dict[HistoryKind, str] = {
    "pulls": "pull-requests: read",
    "commits": "contents: read` and `pull-requests: read",
    "deployments": "deployments: read",
    "releases": "contents: read",
    "runs": "actions: read",
    "issues": "issues: read",
    "repository": "contents: read",
}


@dataclass(frozen=True)
class HistoryRequest:
    """What to read of `run.repository`: changes after `cursors`, back to `since` (None: everything).

    `known_sources` are the sources of the production deployments in the ledger, as for `observe`. `recorded_jobs` are
    its GitHub deployments of jobs, by id, `recorded_incidents` the ids of those of its incidents that are issues.
    `environment_uses` says which jobs only use an environment, as far as the ledger shows it.
    """

    run: Run
    settings: Settings
    since: datetime | None = None
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    known_sources: frozenset[str] = frozenset()
    recorded_jobs: Mapping[str, Deployment] = field(default_factory=dict)
    recorded_incidents: frozenset[str] = frozenset()
    environment_uses: EnvironmentUses = field(default_factory=lambda: EnvironmentUses.of((), Policy()))

    def is_too_old(self, time: datetime) -> bool:
        """Whether something of that time is older than requested."""
        return self.since is not None and time < self.since


@dataclass(frozen=True)
class HistoryPart:
    """Some facts of one kind, the newest first.

    `cursor` is where the next reading of this kind resumes once these facts are recorded; None if that does not change.
    `reached` is how far back the part goes. `is_complete` means that nothing of the kind is left. `landed_commits`
    and `services_by_pull` are for linking, see `CommitGraph`.
    """

    kind: HistoryKind
    facts: tuple[Fact, ...] = ()
    cursor: Cursor | None = None
    reached: datetime | None = None
    is_complete: bool = False
    notes: tuple[str, ...] = ()
    landed_commits: tuple[LandedCommit, ...] = ()
    services_by_pull: Mapping[str, ServicesOfPull] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return how far this got: `pull requests back to 2026-09-03`, `all pull requests`."""
        if self.is_complete or self.reached is None:
            return f"all {_KIND_NAMES[self.kind]}" if self.is_complete else _KIND_NAMES[self.kind]
        return f"{_KIND_NAMES[self.kind]} back to {self.reached:%Y-%m-%d}"


@dataclass(frozen=True)
class ReadFailure:
    """A kind that was not read, or not completely; `permission` is the missing permission if that is the cause.

    `has_job`: whether there is a job to give it to. `is_refused`: whether GitHub does not have it, or does not show it
    to this token.
    """

    kind: HistoryKind
    reason: str
    permission: str | None = None
    has_job: bool = True
    is_refused: bool = False

    @property
    def is_lasting(self) -> bool:
        """Whether the token lacks the permission for something that the workflow need not read."""
        return self.permission is not None and self.kind in {"runs", "releases"}

    def __str__(self) -> str:
        advice = f"; {permission_advice(self.permission, has_job=self.has_job)}" if self.permission else ""
        return f"GitHub did not return {_KIND_NAMES[self.kind]}: {self.reason}{advice}"


@dataclass(frozen=True)
class RefusedAlerts:
    """Alerts that GitHub does not show to this token, or does not have; `cursor` remembers it.

    `is_requested`: the setting names them, so that the refusal is a failure.
    """

    kind: AlertKind
    cursor: Cursor
    is_requested: bool

    def __str__(self) -> str:
        names, hint = ALERT_NAMES[self.kind], PERMISSION_HINTS[self.kind]
        return f"{names} are unknown: GitHub answered {self.cursor.refused}; {hint}"


PartOrFailure = HistoryPart | ReadFailure | RefusedAlerts
"""What a reading yields."""


def read_failure(kind: HistoryKind, problem: GitHubError, run: Run) -> ReadFailure:
    """Return the failure of a kind, with the permission that may be missing."""
    is_refused = isinstance(problem, ForbiddenError | NotFoundError)
    permission = _PERMISSIONS.get(kind) if is_refused else None
    return ReadFailure(kind, str(problem), permission, run.has_job, is_refused)


@dataclass
class GatheredHistory:
    """All parts of a repository together: facts by id, cursors by kind, failures, and the commit graph for linking.

    `name` is the repository's present name and `requested_name` the one that was asked for; `number` is GitHub's and
    `info` what else it says of the repository, None until it has answered. `cursors_read_from` are those that the
    reading began with, `cursors_reached` all that it has had since then. `has_new_services`: whether paths of services
    have changed since the last reading. `is_read`: whether the reading has ended, and `is_cut_short` whether that may
    be because one of GitHub's rate limits was used up. `link_notes` are about linking. `final_cursors` are those that
    came with all facts; None until then, or if they had not changed. `news` is what to remember of what GitHub showed
    before the reading; None until that has ended, or if the next one must read everything. `earlier_names` are former
    names that only reverts and incidents still use.
    """

    name: str = ""
    requested_name: str = ""
    number: int | None = None
    info: "RepositoryInfo | None" = None
    cursors_read_from: Mapping[str, Cursor] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    cursors_reached: dict[str, set[Cursor]] = field(default_factory=dict)
    last_parts: dict[HistoryKind, HistoryPart] = field(default_factory=dict)
    failures: list[ReadFailure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    graph: CommitGraph = field(default_factory=CommitGraph)
    has_new_services: bool = False
    link_notes: tuple[str, ...] = ()
    is_read: bool = False
    is_cut_short: bool = False
    final_cursors: dict[str, Cursor] | None = None
    news: Cursor | None = None
    has_refused_what_was_requested: bool = False
    earlier_names: tuple[str, ...] = ()

    def add(self, part: PartOrFailure) -> None:
        match part:
            case ReadFailure():
                self.failures.append(part)
            case RefusedAlerts():
                self.move_cursor(part.kind, part.cursor)
                self.has_refused_what_was_requested |= part.is_requested
            case HistoryPart():
                self._add_part(part)

    def continues(self, kind: str, cursor: Cursor | None) -> bool:
        """Whether this reading began at a ledger's cursor, or has stored it there itself.

        Otherwise the ledger is not the one that was read: it may lack what is older than this reading.
        """
        return cursor == self.cursors_read_from.get(kind) or cursor in self.cursors_reached.get(kind, ())

    @property
    def has_all_new_deployments(self) -> bool:
        """Whether no kind of deployments failed."""
        return DEPLOYMENT_KINDS.isdisjoint(failure.kind for failure in self.failures)

    @property
    def has_all_that_may_be_compared(self) -> bool:
        """Whether a later reading will hardly have deployments or commits that this one did not return.

        A permission that runs or releases lack is usually lacking for good.
        """
        return not any(failure.kind in _COMPARED_KINDS and not failure.is_lasting for failure in self.failures)

    @property
    def is_refused(self) -> bool:
        """Whether GitHub does not show the repository to this token, or has none of that name."""
        return any(failure.kind == "repository" and failure.is_refused for failure in self.failures)

    def move_cursor(self, kind: str, cursor: Cursor) -> None:
        """Remember how far a kind was read."""
        self.cursors[kind] = cursor
        self.cursors_reached.setdefault(kind, set()).add(cursor)

    def _add_part(self, part: HistoryPart) -> None:
        self.facts.update((fact.id, fact) for fact in part.facts)
        self.notes += [note for note in part.notes if note not in self.notes]
        self.graph.add(part.landed_commits)
        self.graph.services_by_pull.update(part.services_by_pull)
        self.graph.is_complete |= part.kind == "commits" and part.is_complete
        self.last_parts[part.kind] = part
        if part.cursor is not None:
            self.move_cursor(part.kind, part.cursor)

    @classmethod
    def from_parts(cls, parts: Iterable[PartOrFailure]) -> "GatheredHistory":
        gathered = cls()
        for part in parts:
            gathered.add(part)
        return gathered


@dataclass(frozen=True)
class ResultPage:
    """A page of a list; `next_page_token` is None for the last one."""

    nodes: tuple[JsonObject, ...]
    next_page_token: str | None

    @classmethod
    def from_connection(cls, connection: JsonObject) -> "ResultPage":
        nodes, page_info = tuple(filter(None, connection["nodes"])), connection["pageInfo"]
        return cls(nodes, page_info["endCursor"] if page_info["hasNextPage"] else None)


@dataclass
class PagedQuery:
    """A GraphQL query that returns a list by pages.

    GitHub gives a query ten seconds, and limited resources. If a page takes more, it is read again at half the size,
    and so are all that follow:
    https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#timeouts
    """

    client: Client
    query: str
    variables: Mapping[str, object]
    connection_path: tuple[str, ...]
    page_size: int = _MAX_PAGE_SIZE
    slots: tuple[str, ...] = ()

    def pages_after(self, page_token: str | None, first_page: ResultPage | None = None) -> Iterator[ResultPage]:
        """Yield all pages after a token (None: from the start); `first_page` if the first was read already.

        Raises:
            GitHubError: if GitHub refuses a request or does not answer.
        """
        page, pages_read = first_page or self.read_page(page_token), PagesRead(self.query)
        pages_read.add(page_token)
        yield page
        while page.next_page_token:
            pages_read.add(page.next_page_token)
            page = self.read_page(page.next_page_token)
            yield page

    def read_page(self, page_token: str | None) -> ResultPage:
        """Read the page after a token, and with it as many items as GitHub can return in time.

        Raises:
            GitHubError: if GitHub refuses the request or does not answer.
        """
        while True:
            try:
                return self.read_whole_page(page_token)
            except GitHubError as problem:
                if self.page_size <= _MIN_PAGE_SIZE or not is_too_large(problem):
                    raise
                self.page_size //= 2

    def read_whole_page(self, page_token: str | None) -> ResultPage:
        """Read the page after a token.

        Raises:
            GitHubError: if GitHub refuses the request or does not answer.
        """
        variables = {**self.variables, "after": page_token, "first": self.page_size}
        data: Any = self.client.query(self.query, variables, self.slots)
        for name in self.connection_path:
            data = data and data[name]
        return ResultPage.from_connection(data) if data else ResultPage((), None)


def is_too_large(problem: GitHubError) -> bool:
    """Whether a smaller page may succeed."""
    is_named = isinstance(problem, UncertainOutcomeError | TooExpensiveError)
    return is_named or not TIMEOUT_PHRASES.isdisjoint(problem.phrases)


@dataclass(frozen=True)
class PageStep:
    """The nodes of a page, and the cursor to store once they are recorded."""

    nodes: tuple[JsonObject, ...]
    cursor: Cursor
    reached: datetime | None
    is_complete: bool


@dataclass(frozen=True)
class IncrementalRead:
    """Reads a list sorted newest first: what is new since the cursor, then what the last reading left.

    `read_newest` starts at the top, `read_older` at a page token. `time_field` is what the list is sorted by.
    `complete_until` is the time up to which the list has all, although items are left out of it that need not be read.
    """

    read_newest: Callable[[], Iterator[ResultPage]]
    read_older: Callable[[str], Iterator[ResultPage]]
    time_field: str
    cursor: Cursor
    since: datetime | None
    complete_until: datetime | None = None

    def steps(self) -> Iterator[PageStep]:
        """Yield every page once. Items that change meanwhile move to the top, so that none is missed.

        Raises:
            GitHubError: if GitHub refuses a request or does not answer.
        """
        start, updated = self.cursor, with_newest(self.cursor, self.complete_until)
        if start.newest is None:
            yield from self._read_back(self.read_newest(), None)
            return
        for page in self.read_newest():
            newest, oldest = _time_range(page, self.time_field)
            updated = with_newest(updated, newest)
            if page.next_page_token is None or (oldest is not None and oldest < start.newest):
                yield PageStep(page.nodes, updated, start.reached, is_complete=not start.has_more(self.since))
                break
            yield PageStep(page.nodes, start, oldest, is_complete=False)
        if start.after is not None and start.has_more(self.since):
            yield from self._read_back(self.read_older(start.after), updated.newest)

    def _read_back(self, pages: Iterator[ResultPage], newest_time: datetime | None) -> Iterator[PageStep]:
        """Yield pages into the past; the cursor of each step resumes after it."""
        for page in pages:
            newest, oldest = _time_range(page, self.time_field)
            newest_time = newest_time or max(filter(None, (newest, self.complete_until)), default=None)
            cursor = Cursor(newest=newest_time, reached=oldest, after=page.next_page_token)
            yield PageStep(page.nodes, cursor, oldest, is_complete=not cursor.has_more(self.since))
            if not cursor.has_more(self.since):
                return


def with_newest(cursor: Cursor, newest: datetime | None) -> Cursor:
    """Return the cursor with this newest time, unless it has a later one."""
    if newest is None or (cursor.newest is not None and cursor.newest >= newest):
        return cursor
    return msgspec.structs.replace(cursor, newest=newest)


def _time_range(page: ResultPage, time_field: str) -> tuple[datetime | None, datetime | None]:
    """Return the latest and the earliest time on a page."""
    times = [parse_instant(node[time_field]) for node in page.nodes]
    return max(times, default=None), min(times, default=None)


@dataclass(frozen=True)
class RepositoryInfo:
    """The present name of a repository, its default branch, the head of that and its time; None without a commit.

    `number` is GitHub's, which stays the same when the repository is renamed.
    """

    name: str
    has_issues: bool
    default_branch: str | None = None
    head_sha: str | None = None
    number: int | None = None
    head_committed_at: datetime | None = None

    @classmethod
    def from_node(cls, repository: JsonObject) -> "RepositoryInfo":
        ref = repository["defaultBranchRef"] or {}
        head = ref.get("target") or {}
        return cls(
            name=repository["nameWithOwner"],
            has_issues=repository["hasIssuesEnabled"],
            default_branch=ref.get("name"),
            head_sha=head.get("oid"),
            number=repository["databaseId"],
            head_committed_at=parse_instant_or_none(head.get("committedDate")),
        )


@dataclass(frozen=True)
class Extent:
    """How much a repository has, as a first reading asks for it.

    `commit_count` are those of the default branch, `pull_count` the merged pull requests, `oldest_pull` when the one
    that has not changed for longest did. None if nobody has asked.
    """

    commit_count: int | None = None
    pull_count: int = 0
    oldest_pull: datetime | None = None


@dataclass(frozen=True)
class HistoryReader:
    """What is needed to read the history of one repository: client, repository and request.

    `first_pages` are pages that came with the first request. `extent` is how much there is. `reread_deployments` are
    the first 100 of those that had not ended, or had failed, at the last reading; None if the first request did not
    return them.
    """

    client: Client
    repository: RepositoryInfo
    request: HistoryRequest
    first_pages: Mapping[HistoryKind, ResultPage] = field(default_factory=dict)
    extent: Extent = field(default_factory=Extent)
    reread_deployments: tuple[JsonObject, ...] | None = None

    @property
    def run(self) -> Run:
        """The run as the mappers of events expect it, with the repository's present name."""
        return replace(self.request.run, repository=self.repository.name, repository_number=self.repository.number)

    @property
    def repository_variables(self) -> dict[str, object]:
        return owner_and_name(self.repository.name)

    @property
    def needs_files(self) -> bool:
        """Whether the files of pull requests are needed."""
        return bool(self.request.settings.services)

    def cursor(self, kind: HistoryKind) -> Cursor:
        return self.request.cursors.get(kind, Cursor())

    def prepare_fact(self, fact: Fact) -> Fact:
        """Return a fact as an event would have recorded it."""
        return prepare_fact(fact, self.request.settings)

    def incremental_read(
        self,
        kind: HistoryKind,
        query: PagedQuery,
        time_field: str,
        older_query: PagedQuery | None = None,
        complete_until: datetime | None = None,
    ) -> IncrementalRead:
        """Return the reading of a list from its newest item on; `older_query` replaces the query for older pages."""
        return IncrementalRead(
            read_newest=lambda: query.pages_after(None, self.first_pages.get(kind)),
            read_older=(older_query or query).pages_after,
            time_field=time_field,
            cursor=self.cursor(kind),
            since=self.request.since,
            complete_until=complete_until,
        )

    def paged_query(self, query: str, *connection_path: str, **variables: object) -> PagedQuery:
        """Return a query of this repository whose list is at `connection_path`."""
        all_variables = {**self.repository_variables, **variables}
        return PagedQuery(self.client, query, all_variables, ("repository", *connection_path))
