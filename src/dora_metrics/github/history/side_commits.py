"""Commits outside the default branch that were deployed: of release branches, or of a branch before it was merged.

They are read as far back as the default branch was. With them the graph of commits tells what such a deployment
brought, and what later ones of the default branch did not bring any more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change
from dora_metrics.core.linking.landed_commits import LandedCommit
from dora_metrics.core.windows import parse_instant_or_none
from dora_metrics.github.associated_pulls import with_all_pulls
from dora_metrics.github.client import Client, owner_and_name
from dora_metrics.github.compare import NO_HOME, HomeRepository, RepositoryComparer, merged_pull_nodes
from dora_metrics.github.history.commit_nodes import landed_commit
from dora_metrics.github.queries import JsonObject

_HEADS_PER_REQUEST = 10
_MAX_HEADS = 100
_MAX_MORE_PAGES = 10
_PULLS_PER_REQUEST = 100
_CLOCK_TOLERANCE = timedelta(hours=1)


@dataclass
class SideCommitReader:
    """Reads the histories of commits outside the default branch, each once.

    Attributes:
        client: GitHub's API.
        repository: of the commits.
        now: the time of the run, for commits without a readable time.
        home: the repository; known after the first request.
    """

    client: Client
    repository: str
    now: datetime
    home: HomeRepository = NO_HOME
    _heads_read: set[str] = field(default_factory=set)
    _pull_node_ids: dict[str, str] = field(default_factory=dict)

    def read(self, heads: Iterable[str], oldest: datetime | None) -> Iterator[LandedCommit]:
        """Yield the commits of the histories that end at `heads`, back to `oldest`; none of a history with gaps.

        Raises:
            GitHubError: if GitHub refuses a request or does not answer.
        """
        new_heads = [head for head in dict.fromkeys(heads) if head not in self._heads_read][:_MAX_HEADS]
        since = oldest and oldest - _CLOCK_TOLERANCE
        for start in range(0, len(new_heads), _HEADS_PER_REQUEST):
            yield from self._read_batch(new_heads[start : start + _HEADS_PER_REQUEST], since)

    def changes(self, change_ids: Iterable[str]) -> Iterator[Change]:
        """Yield those of the pull requests that were seen with the commits.

        Raises:
            GitHubError: if GitHub refuses a request or does not answer.
        """
        node_ids = [node_id for change_id in change_ids if (node_id := self._pull_node_ids.get(change_id))]
        comparer = RepositoryComparer(self.client, self.repository)
        for start in range(0, len(node_ids), _PULLS_PER_REQUEST):
            variables = {"ids": node_ids[start : start + _PULLS_PER_REQUEST], "files": False}
            for pull in filter(None, self.client.query_existing("PullsById", variables)["nodes"]):
                yield comparer.change_from_pull(pull, None)

    def _read_batch(self, heads: Sequence[str], since: datetime | None) -> Iterator[LandedCommit]:
        variables = {**owner_and_name(self.repository), "since": since and f"{since:%Y-%m-%dT%H:%M:%SZ}"}
        answer = self.client.query("SideCommits", variables, heads)["repository"]
        self.home = HomeRepository.of(answer)
        self._heads_read.update(heads)
        for number, head in enumerate(heads):
            if git_object := answer[f"slot{number}"]:
                yield from self._commits(self._complete_history(head, git_object["history"], since))

    def _complete_history(self, head: str, history: JsonObject, since: datetime | None) -> list[JsonObject]:
        """Return the nodes of a history back to `since`; none if it is too long."""
        nodes = list(history["nodes"])
        for _ in range(_MAX_MORE_PAGES):
            if not history["pageInfo"]["hasNextPage"] or _is_older(history["nodes"], since):
                return nodes
            page = {"head": head, "first": 100, "after": history["pageInfo"]["endCursor"]}
            answer = self.client.query("CommitPage", {**owner_and_name(self.repository), **page})
            history = answer["repository"]["object"]["history"]
            nodes += history["nodes"]
        return []

    def _commits(self, nodes: Iterable[JsonObject]) -> Iterator[LandedCommit]:
        comparer = RepositoryComparer(self.client, self.repository)
        for node in with_all_pulls(self.client, self.repository, nodes):
            pulls = merged_pull_nodes(node, self.home)
            for pull in pulls:
                self._pull_node_ids[ids.pull_request(self.repository, pull["number"])] = pull["id"]
            yield landed_commit(comparer, node, pulls, self.now)


def _is_older(nodes: Sequence[Mapping[str, object]], since: datetime | None) -> bool:
    """Whether all commits are older than a time."""
    times = [parse_instant_or_none(str(node["committedDate"])) for node in nodes]
    return since is not None and all(time is not None and time < since for time in times)
