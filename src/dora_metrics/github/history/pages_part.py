"""Pages of a list of GitHub's, one after the other, and how far to read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.windows import instant
from dora_metrics.github.client import Client, GitHubError, UnsureError

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
