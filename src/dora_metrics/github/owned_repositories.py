"""The repositories that the setting `repositories` selects, with what GitHub's lists show of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from dora_metrics.core.repository_patterns import RepositoryPattern, parse_pattern
from dora_metrics.github.client import Client, GitHubError, RateLimitError
from dora_metrics.github.paging import PagesRead
from dora_metrics.github.queries import JsonObject

NoteRefusal = Callable[[str, GitHubError], None]
"""Receives an owner whose repositories GitHub does not list, and why."""
_NOT_NEWS = ("repositoryTopics", "visibility")
_COUNTED_KINDS = ("pullRequests", "issues", "deployments", "releases")


class OwnerList(Struct, frozen=True):
    """What GitHub's list of an owner's repositories shows as a whole.

    Attributes:
        owner: whose repositories they are.
        hidden_count: how many are in the list without anything else about them, not even a name.
        public_names: those of the public ones, in lower case.
    """

    owner: str
    hidden_count: int
    public_names: frozenset[str]


class ListedRepository(Struct, frozen=True):
    """A repository to read.

    Attributes:
        name: `owner/name`, as GitHub's list spells it, or as the setting does if no list was read.
        topics: those that GitHub's list shows; None if no list was read, as for a full name alone.
        news: the fields of `ListedNewsFields`, which show whether it has changed; None if GitHub did not show all.
        is_public: whether everybody may read it; None if no list was read.
    """

    name: str
    topics: frozenset[str] | None = None
    news: JsonObject | None = None
    is_public: bool | None = None

    @property
    def has_nothing(self) -> bool:
        """Whether the list shows that there is nothing to read: no commit, and nothing else either."""
        news = self.news
        return news is not None and news["isEmpty"] and not any(news[kind]["totalCount"] for kind in _COUNTED_KINDS)


def expand_patterns(
    client: Client,
    patterns: Sequence[str],
    *,
    with_news: bool = True,
    note_refusal: NoteRefusal | None = None,
    note_list: Callable[[OwnerList], None] = lambda _: None,
) -> list[ListedRepository]:
    """Return the repositories that the patterns select, each once. Later patterns win, as in GitHub's own lists.

    A pattern with `*` leaves out archived repositories, and forks unless it asks for them; a full name includes them.
    One request shows 100 repositories.

    Args:
        client: GitHub's API.
        patterns: as `parse_pattern` reads them.
        with_news: whether lists are to show the news of repositories, which takes 5 points a page instead of 1.
        note_refusal: receives each owner whose repositories GitHub does not list; those of the others are returned.
        note_list: receives what is to know of each list that was read.

    Raises:
        RateLimitError: if a limit is used up.
        GitHubError: without `note_refusal`, if GitHub does not list the repositories of an owner.
    """
    parsed = [parse_pattern(text) for text in patterns]
    nodes: dict[str, JsonObject] = {}
    for owner, listed in _lists(client, parsed, note_refusal, with_news=with_news):
        note_list(_owner_list(owner, listed))
        nodes |= {node["nameWithOwner"].lower(): node for node in listed if node}
    selected: dict[str, ListedRepository] = {}
    for pattern in parsed:
        if pattern.is_exclusion:
            selected = {key: repository for key, repository in selected.items() if not pattern.matches(key)}
        elif pattern.lists_owner:
            selected |= {key: _listed(node) for key, node in nodes.items() if _selects(pattern, node)}
        else:
            key = pattern.name.lower()
            selected[key] = _listed(nodes[key]) if key in nodes else ListedRepository(pattern.name)
    return list(selected.values())


def _owner_list(owner: str, listed: Sequence[JsonObject | None]) -> OwnerList:
    public_names = frozenset(node["nameWithOwner"].lower() for node in listed if node and _is_public(node))
    return OwnerList(owner, sum(node is None for node in listed), public_names)


def _lists(
    client: Client, patterns: Sequence[RepositoryPattern], note_refusal: NoteRefusal | None, *, with_news: bool
) -> Iterator[tuple[str, Sequence[JsonObject | None]]]:
    """Yield the owners with what GitHub's lists show of their repositories; null for each that it hides."""
    owners = {pattern.owner.lower(): pattern.owner for pattern in patterns if pattern.lists_owner}
    for _, owner in sorted(owners.items()):
        try:
            listed = list(_repository_nodes(client, owner, with_news=with_news))
        except RateLimitError:
            raise
        except GitHubError as problem:
            if note_refusal is None:
                raise
            note_refusal(owner, problem)
        else:
            yield owner, listed


def _selects(pattern: RepositoryPattern, node: JsonObject) -> bool:
    """Whether a pattern with `*` selects a repository of a list."""
    is_admitted = not node["isArchived"] and pattern.admits(_topics(node), is_fork=node["isFork"])
    return is_admitted and pattern.matches(node["nameWithOwner"])


def _listed(node: JsonObject) -> ListedRepository:
    news = {key: value for key, value in node.items() if key not in _NOT_NEWS} if "isEmpty" in node else None
    return ListedRepository(node["nameWithOwner"], _topics(node), news, _is_public(node))


def _is_public(node: JsonObject) -> bool:
    is_public: bool = node["visibility"] == "PUBLIC"
    return is_public


def _topics(node: JsonObject) -> frozenset[str]:
    return frozenset(
        topic_node["topic"]["name"] for topic_node in filter(None, node["repositoryTopics"]["nodes"] or ())
    )


def _repository_nodes(client: Client, owner: str, *, with_news: bool) -> Iterator[JsonObject | None]:
    """Yield the repositories of an owner, null for those that GitHub hides; none if there is no such owner.

    If GitHub does not show their news, because the token may not see all or it takes too long, they are listed without.
    """
    page_token: str | None = None
    pages_read = PagesRead(f"the repositories of {owner}")
    while True:
        pages_read.add(page_token)
        with_news, owner_node = _read_page(client, {"login": owner, "after": page_token}, with_news=with_news)
        if owner_node is None:
            return
        yield from owner_node["repositories"]["nodes"]
        page_info = owner_node["repositories"]["pageInfo"]
        if not page_info["hasNextPage"]:
            return
        page_token = page_info["endCursor"]


def _read_page(client: Client, variables: Mapping[str, object], *, with_news: bool) -> tuple[bool, JsonObject | None]:
    """Return whether GitHub has shown the news of a page, and the page's owner."""
    if with_news:
        try:
            with client.sending_slow_reads_once():
                return True, client.query_lists("OwnedRepositories", {**variables, "news": True})["repositoryOwner"]
        except RateLimitError:
            raise
        except GitHubError:
            pass
    return False, client.query_lists("OwnedRepositories", {**variables, "news": False})["repositoryOwner"]
