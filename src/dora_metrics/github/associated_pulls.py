"""The pull requests of a commit: those that merging brought it with, and for other branches also open ones.

GitHub names open pull requests only for commits that are not in the default branch. Anybody may open some from a fork,
so as many as a page of commits shows may hide the merged one; then all others are read as well.
https://docs.github.com/en/graphql/reference/objects#commit
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from dora_metrics.github.client import Client, GitHubError, IncompleteAnswerError, owner_and_name
from dora_metrics.github.paging import PagesRead
from dora_metrics.github.queries import JsonObject

_COMMITS_PER_REQUEST = 25
_MAX_REQUESTS = 30


class TooManyPullsError(GitHubError):
    """Commits have more pull requests than one run may read."""


def with_all_pulls(client: Client, repository: str, commits: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """Yield commits in their order, each with all its pull requests; those that are read here have few fields.

    Raises:
        TooManyPullsError: if that takes more than `_MAX_REQUESTS` requests.
        GitHubError: if GitHub refuses a request or does not answer.
    """
    all_commits = list(commits)
    more_pulls = _read_more_pulls(client, repository, all_commits)
    for commit in all_commits:
        more = more_pulls.get(commit["oid"])
        yield {**commit, _PULLS: {**commit[_PULLS], "nodes": [*commit[_PULLS]["nodes"], *more]}} if more else commit


def _read_more_pulls(client: Client, repository: str, commits: Sequence[JsonObject]) -> dict[str, list[JsonObject]]:
    """Return the pull requests that the commits do not show, by sha.

    Commits that wait for the same page are read together: the pull requests of one fork hold all of its commits.
    """
    more_pulls: defaultdict[str, list[JsonObject]] = defaultdict(list)
    pages_read = PagesRead("the pull requests of a commit")
    pending = {commit["oid"]: token for commit in commits if (token := _next_page_token(commit))}
    for _ in range(_MAX_REQUESTS):
        if not pending:
            return more_pulls
        page_token = next(iter(pending.values()))
        shas = [sha for sha, token in pending.items() if token == page_token][:_COMMITS_PER_REQUEST]
        for sha, commit in _read_page(client, repository, shas, page_token):
            pages_read.add((sha, page_token))
            more_pulls[sha] += commit[_PULLS]["nodes"]
            del pending[sha]
            if token := _next_page_token(commit):
                pending[sha] = token
    raise TooManyPullsError(f"more pull requests hold its commits than {_MAX_REQUESTS} requests can list")


def _read_page(
    client: Client, repository: str, shas: Sequence[str], page_token: str
) -> Iterator[tuple[str, JsonObject]]:
    answer = client.query("AssociatedPulls", {**owner_and_name(repository), "after": page_token}, shas)["repository"]
    for number, sha in enumerate(shas):
        if (commit := answer[f"slot{number}"]) is None:
            raise IncompleteAnswerError(f"GitHub does not show the commit {sha} any more")
        yield sha, commit


def _next_page_token(commit: JsonObject) -> str | None:
    page_info = commit[_PULLS]["pageInfo"]
    return page_info["endCursor"] if page_info["hasNextPage"] else None


_PULLS = "associatedPullRequests"
