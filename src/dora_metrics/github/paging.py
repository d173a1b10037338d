"""Lists that GitHub shows by pages: one that shows a page again would be read without end."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from dora_metrics.github.client import Client, UnexpectedAnswerError
from dora_metrics.github.queries import JsonObject


@dataclass
class PagesRead:
    """The pages of one list that were read.

    `list_name` names the list in the error.
    """

    list_name: str
    _marks: set[Hashable] = field(default_factory=set)

    def add(self, mark: Hashable) -> None:
        """Note a page by its token, or by its first item.

        Raises:
            UnexpectedAnswerError: if it was read before.
        """
        if mark in self._marks:
            raise UnexpectedAnswerError(f"GitHub shows a page of {self.list_name} a second time, so reading stopped")
        self._marks.add(mark)


def rest_pages(
    client: Client, path: str, parameters: Mapping[str, object], shape: type, items_key: str
) -> Iterator[JsonObject]:
    """Yield the pages of a REST list of objects with ids, as long as GitHub says that another one follows.

    Args:
        client: GitHub's API.
        path: begins with a slash.
        parameters: of the query.
        shape: of a page.
        items_key: where a page has its items.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    pages_read, page_token = PagesRead(items_key.replace("_", " ")), None
    while True:
        page, page_token = client.get_page(path, parameters, page_token, shape)
        pages_read.add(page[items_key][0]["id"] if page[items_key] else None)
        yield page
        if page_token is None:
            return
