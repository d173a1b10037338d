"""Pages of a branch's history, several side by side.

GitHub's token of a page of commits is the commit at which the list begins and the number of the last item on the page,
such as `80827a66… 24`. So the tokens of the pages that follow are known before these are read. Where a token has
another form, or a page does not end where it should, GitHub's own tokens are used, one page after another.

GitHub's secondary limits: 100 requests at a time, and a minute of work on GraphQL in each minute. Eight pages and four
other streams stay below the first. After `MAX_BUSY_SECONDS` of work in the last minute, pages are read one by one.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from dora_metrics.github.client import Client, GitHubError
from dora_metrics.github.history.pages import PagedQuery, ResultPage, is_too_large
from dora_metrics.github.history.streams import iterate_concurrently
from dora_metrics.github.paging import PagesRead

_MAX_PAGES_AT_ONCE = 8
MAX_BUSY_SECONDS: float = 40

PagesLeft = Callable[[], float]
"""How many pages are probably left to read, judged by those that were read; infinite if nothing says so."""


@dataclass(frozen=True)
class CommitPages:
    """The history of a commit.

    Attributes:
        query: reads the history by pages.
        head: the sha of the commit.
        total_count: how many commits the history has; None if that is not known, so that pages are read one by one.
        pages_left: an estimate for a history that is not read to its end.
    """

    query: PagedQuery
    head: str
    total_count: int | None
    pages_left: PagesLeft
    _clients: list[Client] = field(default_factory=list)

    def read(self, first_page: ResultPage | None) -> Iterator[ResultPage]:
        """Yield the pages, newest first; `first_page` if the first was read already.

        Raises:
            GitHubError: if GitHub refuses a request or does not answer.
        """
        page = first_page or self.query.read_page(None)
        read_count, pages_read, is_foreseen = len(page.nodes), PagesRead(self.query.query), True
        yield page
        while page.next_page_token:
            pages_read.add(page.next_page_token)
            is_foreseen = is_foreseen and page.next_page_token == self._token_after(read_count)
            count = self._pages_at_once(read_count) if is_foreseen else 1
            pages = self._read_at_once(read_count, count) if count > 1 else []
            is_foreseen = is_foreseen and len(pages) == (count if count > 1 else 0)
            pages = pages or [self.query.read_page(page.next_page_token)]
            read_count += sum(len(each.nodes) for each in pages)
            yield from pages
            page = pages[-1]

    def _token_after(self, read_count: int) -> str:
        return f"{self.head} {read_count - 1}"

    def _pages_at_once(self, read_count: int) -> int:
        """Return how many pages to read side by side, without going beyond what is needed."""
        client = self.query.client
        if self.total_count is None or client.response_time.seconds_at(client.monotonic()) > MAX_BUSY_SECONDS:
            return 1
        to_end = math.ceil((self.total_count - read_count) / self.query.page_size)
        return int(max(1, min(_MAX_PAGES_AT_ONCE, to_end, self.pages_left())))

    def _read_at_once(self, read_count: int, count: int) -> list[ResultPage]:
        """Read pages side by side; return those that follow each other as they should, from the first one on."""
        starts = [read_count + self.query.page_size * number for number in range(count)]
        clients = self._clients_for(count)
        queries = [replace(self.query, client=client) for client in clients]
        streams = [
            _numbered(number, query, self._token_after(start))
            for number, (query, start) in enumerate(zip(queries, starts, strict=True))
        ]
        try:
            answers = dict(iterate_concurrently(streams))
        finally:
            self._add_usage(clients)
        return self._expected_pages([(start, answers[number]) for number, start in enumerate(starts)])

    def _expected_pages(self, answers: Iterable[tuple[int, ResultPage | GitHubError]]) -> list[ResultPage]:
        """Return the pages up to the first one that failed, or that does not end as expected."""
        pages: list[ResultPage] = []
        for start, answer in answers:
            if isinstance(answer, GitHubError):
                if not pages and not is_too_large(answer):
                    raise answer
                break
            if not self._ends_as_expected(answer, start):
                break
            pages.append(answer)
        return pages

    def _clients_for(self, count: int) -> list[Client]:
        """Return a client for each page, since a connection belongs to one thread; they are used again."""
        missing_count = count - len(self._clients)
        self._clients.extend(replace(self.query.client, request_count=0) for _ in range(missing_count))
        return self._clients[:count]

    def _add_usage(self, clients: list[Client]) -> None:
        self.query.client.add_usage(clients)
        for client in clients:
            client.request_count = 0

    def _ends_as_expected(self, page: ResultPage, start: int) -> bool:
        """Whether a page has all commits that belong there, so that the next one follows it."""
        end = start + len(page.nodes)
        if page.next_page_token is None:
            return end == self.total_count
        return len(page.nodes) == self.query.page_size and page.next_page_token == self._token_after(end)


def _numbered(number: int, query: PagedQuery, page_token: str) -> Iterator[tuple[int, ResultPage | GitHubError]]:
    """Yield a page, or why GitHub did not return it, with its number."""
    try:
        yield number, query.read_whole_page(page_token)
    except GitHubError as problem:
        yield number, problem
