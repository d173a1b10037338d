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
from dora_metrics.core.linking.commit_graph import Graph, Landed
from dora_metrics.core.selection import NAMES, NEEDS, Alerts
from dora_metrics.core.windows import instant
from dora_metrics.github.client import Client, ForbiddenError, GitHubError, NotFoundError, UnsureError, owner_and_name
from dora_metrics.github.events.observe import kept
from dora_metrics.github.observation import Run
from dora_metrics.settings.model import Settings

Kind = (
    Literal["pulls", "commits", "deployments", "releases", "runs", "pushes", "issues", "sources", "repository"] | Alerts
)

_NAMES: dict[str, str] = {
    "pulls": "pull requests",
    "commits": "commits",
    "deployments": "deployments",
    "releases": "releases",
    "runs": "workflow runs",
    "pushes": "pushes",
    "issues": "incidents",
    "sources": "deployment sources",
    "repository": "the repository",
    **NAMES,
}
_GRANTS: dict[Kind, str] = {
    "pulls": "pull-requests: read",
    "commits": "contents: read` and `pull-requests: read",
    "deployments": "deployments: read",
    "releases": "contents: read",
    "runs": "actions: read",
    "issues": "issues: read",
    "repository": "contents: read",
}


@dataclass(frozen=True)
class Wanted:
    """What to read: of `run.repository`, what changed after `cursors`, and back to `since` (None: all there is).

    `known`: the sources of the production deployments that the ledger holds, as `observe` takes them.
    """

    run: Run
    settings: Settings
    since: datetime | None = None
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Part:
    """Some facts of one kind, the newest first.

    `cursor` is where the next reading of this kind goes on once these facts are kept; None: where it was before.
    `reached`: how far back this part goes; `done`: nothing of the kind is left. `landed` is for linking, see
    `Gathered`.
    """

    kind: Kind
    facts: tuple[Fact, ...] = ()
    cursor: Cursor | None = None
    reached: datetime | None = None
    done: bool = False
    notes: tuple[str, ...] = ()
    landed: tuple[Landed, ...] = ()

    def __str__(self) -> str:
        """How far this got: `pull requests back to 2026-09-03`, `all pull requests`."""
        if self.done or self.reached is None:
            return f"all {_NAMES[self.kind]}" if self.done else _NAMES[self.kind]
        return f"{_NAMES[self.kind]} back to {self.reached:%Y-%m-%d}"


@dataclass(frozen=True)
class Failed:
    """A kind that GitHub did not tell (to the end); `grant` is the permission that is missing, if it is one."""

    kind: Kind
    reason: str
    grant: str | None = None

    def __str__(self) -> str:
        advice = f"; give the job `permissions: {self.grant}`" if self.grant else ""
        return f"GitHub did not tell {_NAMES[self.kind]}: {self.reason}{advice}"


@dataclass(frozen=True)
class Refused:
    """Alerts that GitHub does not show to this token, or does not have; `cursor` remembers it.

    `told`: they were asked for by name, so that it is a failure, and no matter of course.
    """

    kind: Alerts
    cursor: Cursor
    told: bool

    def __str__(self) -> str:
        return f"{NAMES[self.kind]} are unknown: GitHub answered {self.cursor.refused}; {NEEDS[self.kind]}"


Piece = Part | Failed | Refused
"""What a reading yields."""


def failed(kind: Kind, problem: GitHubError) -> Failed:
    lacking = isinstance(problem, ForbiddenError | NotFoundError)
    return Failed(kind, str(problem), _GRANTS.get(kind) if lacking else None)


@dataclass
class Gathered:
    """All parts so far, put together: facts by id, where to go on, what failed, and the history for linking."""

    facts: dict[str, Fact] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    reached: dict[Kind, Part] = field(default_factory=dict)
    failures: list[Failed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    graph: Graph = field(default_factory=Graph)

    def add(self, part: Piece) -> None:
        match part:
            case Failed():
                self.failures.append(part)
            case Refused():
                self.cursors[part.kind] = part.cursor
            case Part():
                self._add(part)

    def _add(self, part: Part) -> None:
        self.facts.update((fact.id, fact) for fact in part.facts)
        self.notes += [note for note in part.notes if note not in self.notes]
        self.graph.add(part.landed)
        self.graph.whole |= part.kind == "commits" and part.done
        self.reached[part.kind] = part
        if part.cursor is not None:
            self.cursors[part.kind] = part.cursor

    @classmethod
    def of(cls, parts: Iterable[Piece]) -> "Gathered":
        gathered = cls()
        for part in parts:
            gathered.add(part)
        return gathered


Node = Mapping[str, Any]

_LARGEST, _SMALLEST = 100, 10
_TOO_SLOW = ("timeout", "in time", "something went wrong")


@dataclass(frozen=True)
class Page:
    """`following`: GitHub's place of the next page, None after the last."""

    nodes: tuple[Node, ...]
    following: str | None

    @classmethod
    def of(cls, connection: Node) -> "Page":
        info = connection["pageInfo"]
        return cls(tuple(filter(None, connection["nodes"])), info["endCursor"] if info["hasNextPage"] else None)


@dataclass
class Pages:
    """A list that a query shows by the page.

    GitHub gives a query ten seconds. A page that it cannot make by then is asked for in halves, and so are the rest:
    https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#timeouts
    """

    client: Client
    query: str
    variables: Mapping[str, object]
    path: tuple[str, ...]
    size: int = _LARGEST

    def after(self, place: str | None, first: Page | None = None) -> Iterator[Page]:
        """All pages from a place on; `first` is the first of them where it is known already.

        Raises:
            GitHubError: by meaning.
        """
        page = first or self._page(place)
        yield page
        while page.following:
            page = self._page(page.following)
            yield page

    def _page(self, place: str | None) -> Page:
        while True:
            try:
                answer: Any = self.client.query(self.query, {**self.variables, "first": self.size, "after": place})
            except GitHubError as problem:
                if self.size <= _SMALLEST or not _is_too_slow(problem):
                    raise
                self.size //= 2
                continue
            for name in self.path:
                answer = answer and answer[name]
            return Page.of(answer) if answer else Page((), None)


def _is_too_slow(problem: GitHubError) -> bool:
    said = str(problem).lower()
    return isinstance(problem, UnsureError) or any(words in said for words in _TOO_SLOW)


@dataclass(frozen=True)
class Stretch:
    """A page's nodes, and where the next reading goes on once they are kept."""

    nodes: tuple[Node, ...]
    cursor: Cursor
    reached: datetime | None
    done: bool


@dataclass(frozen=True)
class Reading:
    """A list whose newest things come first: first what is new since the cursor, then what the last reading left.

    `newest` and `older` begin at the top and at a place; `time` is what the list is sorted by.
    """

    newest: Callable[[], Iterator[Page]]
    older: Callable[[str], Iterator[Page]]
    time: str
    cursor: Cursor
    since: datetime | None

    def stretches(self) -> Iterator[Stretch]:
        """Every page once. Things that change meanwhile move to the top, so that none is left out.

        Raises:
            GitHubError: by meaning.
        """
        known = self.cursor
        if known.newest is None:
            yield from self._down(self.newest(), None)
            return
        top = known
        for page in self.newest():
            newest, oldest = _span(page, self.time)
            top = replace_newest(top, newest)
            ended = page.following is None or (oldest is not None and oldest < known.newest)
            done = ended and not known.goes_on(self.since)
            yield Stretch(page.nodes, top if ended else known, known.reached if ended else oldest, done)
            if ended:
                break
        if known.after is not None and known.goes_on(self.since):
            yield from self._down(self.older(known.after), top.newest)

    def _down(self, pages: Iterator[Page], top: datetime | None) -> Iterator[Stretch]:
        """Back into the past; what is done is remembered page by page."""
        for page in pages:
            newest, oldest = _span(page, self.time)
            top = top or newest
            cursor = Cursor(newest=top, reached=oldest, after=page.following)
            yield Stretch(page.nodes, cursor, oldest, not cursor.goes_on(self.since))
            if not cursor.goes_on(self.since):
                return


def replace_newest(cursor: Cursor, newest: datetime | None) -> Cursor:
    """The cursor with a newest time, unless it knows a newer one."""
    if newest is None or (cursor.newest is not None and cursor.newest >= newest):
        return cursor
    return Cursor(newest, cursor.reached, cursor.after, cursor.open, cursor.anchors)


def _span(page: Page, name: str) -> tuple[datetime | None, datetime | None]:
    times = [instant(node[name]) for node in page.nodes]
    return max(times, default=None), min(times, default=None)


@dataclass(frozen=True)
class Home:
    """The repository: what it is called now, its default branch and its head; None where there is no commit."""

    name: str
    has_issues: bool
    branch: str | None = None
    head: str | None = None

    @classmethod
    def of(cls, repository: Mapping[str, Any]) -> "Home":
        ref = repository["defaultBranchRef"] or {}
        head = (ref.get("target") or {}).get("oid")
        return cls(repository["nameWithOwner"], repository["hasIssuesEnabled"], ref.get("name"), head)


@dataclass(frozen=True)
class Asking:
    """One kind's questions. `firsts` are first pages that came with the news, `opens` what had not ended then."""

    client: Client
    home: Home
    wanted: Wanted
    firsts: Mapping[Kind, Page] = field(default_factory=dict)
    opens: tuple[Mapping[str, Any], ...] | None = None

    @property
    def run(self) -> Run:
        """The run as the mappers of events want it, under the repository's present name."""
        return replace(self.wanted.run, repository=self.home.name)

    @property
    def names(self) -> dict[str, object]:
        return owner_and_name(self.home.name)

    @property
    def files(self) -> bool:
        """Whether the files of pull requests matter."""
        return bool(self.wanted.settings.services)

    def cursor(self, kind: Kind) -> Cursor:
        return self.wanted.cursors.get(kind, Cursor())

    def kept(self, fact: Fact) -> Fact:
        """As an event would have been recorded."""
        return kept(fact, self.wanted.settings)

    def reading(self, kind: Kind, pages: Pages, time: str, older: Pages | None = None) -> Reading:
        """A list from its newest on; `older` where the rest of the past is asked for in another way."""
        return Reading(
            newest=lambda: pages.after(None, self.firsts.get(kind)),
            older=(older or pages).after,
            time=time,
            cursor=self.cursor(kind),
            since=self.wanted.since,
        )

    def pages(self, query: str, *path: str, **variables: object) -> Pages:
        return Pages(self.client, query, {**self.names, **variables}, ("repository", *path))
