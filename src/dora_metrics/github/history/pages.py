"""What reading the past yields: parts with facts and a place to go on from, and failures with what would help.

Pages of a list of GitHub's, one after the other, and how far to read.

What every kind needs to be read: the client, the repository as it is now, and what was asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.linking.commit_graph import BranchCommit, CommitGraph
from dora_metrics.core.selection import ALERT_NAMES, PERMISSION_HINTS, AlertKind
from dora_metrics.core.windows import parse_instant
from dora_metrics.github.client import (
    Client,
    ForbiddenError,
    GitHubError,
    NotFoundError,
    UncertainOutcomeError,
    owner_and_name,
)
from dora_metrics.github.events.observe import prepare_fact
from dora_metrics.github.observation import Run
from dora_metrics.settings.model import Settings

HistoryKind = (
    Literal["pulls", "commits", "deployments", "releases", "runs", "pushes", "issues", "sources", "repository"]
    | AlertKind
)

_KIND_NAMES: dict[str, str] = {
    "pulls": "pull requests",
    "commits": "commits",
    "deployments": "deployments",
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
    """What to read: of `run.repository`, what changed after `cursors`, and back to `since` (None: all there is).

    `known`: the sources of the production deployments that the ledger holds, as `observe` takes them.
    """

    run: Run
    settings: Settings
    since: datetime | None = None
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    known_sources: frozenset[str] = frozenset()


@dataclass(frozen=True)
class HistoryPart:
    """Some facts of one kind, the newest first.

    `cursor` is where the next reading of this kind goes on once these facts are kept; None: where it was before.
    `reached`: how far back this part goes; `done`: nothing of the kind is left. `landed` is for linking, see
    `Gathered`.
    """

    kind: HistoryKind
    facts: tuple[Fact, ...] = ()
    cursor: Cursor | None = None
    reached: datetime | None = None
    is_complete: bool = False
    notes: tuple[str, ...] = ()
    landed_commits: tuple[BranchCommit, ...] = ()

    def __str__(self) -> str:
        """How far this got: `pull requests back to 2026-09-03`, `all pull requests`."""
        if self.is_complete or self.reached is None:
            return f"all {_KIND_NAMES[self.kind]}" if self.is_complete else _KIND_NAMES[self.kind]
        return f"{_KIND_NAMES[self.kind]} back to {self.reached:%Y-%m-%d}"


@dataclass(frozen=True)
class ReadFailure:
    """A kind that GitHub did not tell (to the end); `grant` is the permission that is missing, if it is one."""

    kind: HistoryKind
    reason: str
    permission: str | None = None

    def __str__(self) -> str:
        advice = f"; give the job `permissions: {self.permission}`" if self.permission else ""
        return f"GitHub did not tell {_KIND_NAMES[self.kind]}: {self.reason}{advice}"


@dataclass(frozen=True)
class RefusedAlerts:
    """Alerts that GitHub does not show to this token, or does not have; `cursor` remembers it.

    `told`: they were asked for by name, so that it is a failure, and no matter of course.
    """

    kind: AlertKind
    cursor: Cursor
    is_requested: bool

    def __str__(self) -> str:
        return (
            f"{ALERT_NAMES[self.kind]} are unknown: GitHub answered {self.cursor.refused}; "
            f"{PERMISSION_HINTS[self.kind]}"
        )


PartOrFailure = HistoryPart | ReadFailure | RefusedAlerts
"""What a reading yields."""


def read_failure(kind: HistoryKind, problem: GitHubError) -> ReadFailure:
    is_permission_missing = isinstance(problem, ForbiddenError | NotFoundError)
    return ReadFailure(kind, str(problem), _PERMISSIONS.get(kind) if is_permission_missing else None)


@dataclass
class GatheredHistory:
    """All parts so far, put together: facts by id, where to go on, what failed, and the history for linking."""

    facts: dict[str, Fact] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    last_parts: dict[HistoryKind, HistoryPart] = field(default_factory=dict)
    failures: list[ReadFailure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    graph: CommitGraph = field(default_factory=CommitGraph)

    def add(self, part: PartOrFailure) -> None:
        match part:
            case ReadFailure():
                self.failures.append(part)
            case RefusedAlerts():
                self.cursors[part.kind] = part.cursor
            case HistoryPart():
                self._add_part(part)

    def _add_part(self, part: HistoryPart) -> None:
        self.facts.update((fact.id, fact) for fact in part.facts)
        self.notes += [note for note in part.notes if note not in self.notes]
        self.graph.add(part.landed_commits)
        self.graph.is_complete |= part.kind == "commits" and part.is_complete
        self.last_parts[part.kind] = part
        if part.cursor is not None:
            self.cursors[part.kind] = part.cursor

    @classmethod
    def from_parts(cls, parts: Iterable[PartOrFailure]) -> "GatheredHistory":
        gathered = cls()
        for part in parts:
            gathered.add(part)
        return gathered


JsonObject = Mapping[str, Any]

_MAX_PAGE_SIZE, _MIN_PAGE_SIZE = 100, 10
_TIMEOUT_PHRASES = ("timeout", "in time", "something went wrong")


@dataclass(frozen=True)
class ResultPage:
    """`following`: GitHub's place of the next page, None after the last."""

    nodes: tuple[JsonObject, ...]
    next_page_token: str | None

    @classmethod
    def from_connection(cls, connection: JsonObject) -> "ResultPage":
        page_info = connection["pageInfo"]
        return cls(
            tuple(filter(None, connection["nodes"])), page_info["endCursor"] if page_info["hasNextPage"] else None
        )


@dataclass
class PagedQuery:
    """A list that a query shows by the page.

    GitHub gives a query ten seconds. A page that it cannot make by then is asked for in halves, and so are the rest:
    https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#timeouts
    """

    client: Client
    query: str
    variables: Mapping[str, object]
    connection_path: tuple[str, ...]
    page_size: int = _MAX_PAGE_SIZE

    def pages_after(self, page_token: str | None, first_page: ResultPage | None = None) -> Iterator[ResultPage]:
        """All pages from a place on; `first` is the first of them where it is known already.

        Raises:
            GitHubError: by meaning.
        """
        page = first_page or self._read_page(page_token)
        yield page
        while page.next_page_token:
            page = self._read_page(page.next_page_token)
            yield page

    def _read_page(self, page_token: str | None) -> ResultPage:
        while True:
            try:
                data: Any = self.client.query(
                    self.query, {**self.variables, "first": self.page_size, "after": page_token}
                )
            except GitHubError as problem:
                if self.page_size <= _MIN_PAGE_SIZE or not _is_timeout(problem):
                    raise
                self.page_size //= 2
                continue
            for name in self.connection_path:
                data = data and data[name]
            return ResultPage.from_connection(data) if data else ResultPage((), None)


def _is_timeout(problem: GitHubError) -> bool:
    message = str(problem).lower()
    return isinstance(problem, UncertainOutcomeError) or any(phrase in message for phrase in _TIMEOUT_PHRASES)


@dataclass(frozen=True)
class PageStep:
    """A page's nodes, and where the next reading goes on once they are kept."""

    nodes: tuple[JsonObject, ...]
    cursor: Cursor
    reached: datetime | None
    is_complete: bool


@dataclass(frozen=True)
class IncrementalRead:
    """A list whose newest things come first: first what is new since the cursor, then what the last reading left.

    `newest` and `older` begin at the top and at a place; `time` is what the list is sorted by.
    """

    read_newest: Callable[[], Iterator[ResultPage]]
    read_older: Callable[[str], Iterator[ResultPage]]
    time_field: str
    cursor: Cursor
    since: datetime | None

    def steps(self) -> Iterator[PageStep]:
        """Every page once. Things that change meanwhile move to the top, so that none is left out.

        Raises:
            GitHubError: by meaning.
        """
        previous_cursor = self.cursor
        if previous_cursor.newest is None:
            yield from self._read_back(self.read_newest(), None)
            return
        top_cursor = previous_cursor
        for page in self.read_newest():
            newest, oldest = _time_range(page, self.time_field)
            top_cursor = with_newest(top_cursor, newest)
            is_caught_up = page.next_page_token is None or (oldest is not None and oldest < previous_cursor.newest)
            is_complete = is_caught_up and not previous_cursor.has_more(self.since)
            yield PageStep(
                page.nodes,
                top_cursor if is_caught_up else previous_cursor,
                previous_cursor.reached if is_caught_up else oldest,
                is_complete,
            )
            if is_caught_up:
                break
        if previous_cursor.after is not None and previous_cursor.has_more(self.since):
            yield from self._read_back(self.read_older(previous_cursor.after), top_cursor.newest)

    def _read_back(self, pages: Iterator[ResultPage], newest_time: datetime | None) -> Iterator[PageStep]:
        """Back into the past; what is done is remembered page by page."""
        for page in pages:
            newest, oldest = _time_range(page, self.time_field)
            newest_time = newest_time or newest
            cursor = Cursor(newest=newest_time, reached=oldest, after=page.next_page_token)
            yield PageStep(page.nodes, cursor, oldest, not cursor.has_more(self.since))
            if not cursor.has_more(self.since):
                return


def with_newest(cursor: Cursor, newest: datetime | None) -> Cursor:
    """The cursor with a newest time, unless it knows a newer one."""
    if newest is None or (cursor.newest is not None and cursor.newest >= newest):
        return cursor
    return Cursor(newest, cursor.reached, cursor.after, cursor.open, cursor.anchors)


def _time_range(page: ResultPage, time_field: str) -> tuple[datetime | None, datetime | None]:
    times = [parse_instant(node[time_field]) for node in page.nodes]
    return max(times, default=None), min(times, default=None)


@dataclass(frozen=True)
class RepositoryInfo:
    """The repository: what it is called now, its default branch and its head; None where there is no commit."""

    name: str
    has_issues: bool
    default_branch: str | None = None
    head_sha: str | None = None

    @classmethod
    def from_node(cls, repository: Mapping[str, Any]) -> "RepositoryInfo":
        ref = repository["defaultBranchRef"] or {}
        head_sha = (ref.get("target") or {}).get("oid")
        return cls(repository["nameWithOwner"], repository["hasIssuesEnabled"], ref.get("name"), head_sha)


@dataclass(frozen=True)
class HistoryReader:
    """One kind's questions. `firsts` are first pages that came with the news, `opens` what had not ended then."""

    client: Client
    repository: RepositoryInfo
    request: HistoryRequest
    first_pages: Mapping[HistoryKind, ResultPage] = field(default_factory=dict)
    open_deployments: tuple[Mapping[str, Any], ...] | None = None

    @property
    def run(self) -> Run:
        """The run as the mappers of events want it, under the repository's present name."""
        return replace(self.request.run, repository=self.repository.name)

    @property
    def repository_variables(self) -> dict[str, object]:
        return owner_and_name(self.repository.name)

    @property
    def needs_files(self) -> bool:
        """Whether the files of pull requests matter."""
        return bool(self.request.settings.services)

    def cursor(self, kind: HistoryKind) -> Cursor:
        return self.request.cursors.get(kind, Cursor())

    def prepare_fact(self, fact: Fact) -> Fact:
        """As an event would have been recorded."""
        return prepare_fact(fact, self.request.settings)

    def incremental_read(
        self, kind: HistoryKind, paged_query: PagedQuery, time_field: str, older_query: PagedQuery | None = None
    ) -> IncrementalRead:
        """A list from its newest on; `older` where the rest of the past is asked for in another way."""
        return IncrementalRead(
            read_newest=lambda: paged_query.pages_after(None, self.first_pages.get(kind)),
            read_older=(older_query or paged_query).pages_after,
            time_field=time_field,
            cursor=self.cursor(kind),
            since=self.request.since,
        )

    def paged_query(self, query: str, *connection_path: str, **variables: object) -> PagedQuery:
        return PagedQuery(
            self.client, query, {**self.repository_variables, **variables}, ("repository", *connection_path)
        )
