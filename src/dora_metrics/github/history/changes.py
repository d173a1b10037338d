"""Changes in GitHub's history: merged pull requests, and the commits of the default branch.

Data that cannot be right is counted, and described in notes for the reader of the numbers.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dora_metrics.core.facts import ids
from dora_metrics.core.formatting import count, count_are
from dora_metrics.core.linking.commit_graph import CommitGraph, ServicesOfPull
from dora_metrics.core.linking.landed_commits import LandedCommit
from dora_metrics.core.services import Services, only_service
from dora_metrics.core.windows import parse_instant, parse_instant_or_none
from dora_metrics.github import compare
from dora_metrics.github.associated_pulls import with_all_pulls
from dora_metrics.github.client import Client
from dora_metrics.github.compare import OLDEST_PLAUSIBLE_YEAR, RepositoryComparer
from dora_metrics.github.history.both_ends import BothEnds, EndStep
from dora_metrics.github.history.commit_nodes import landed_commit
from dora_metrics.github.history.commit_pages import CommitPages
from dora_metrics.github.history.pages import (
    MAX_IDS_PER_REQUEST,
    HistoryKind,
    HistoryPart,
    HistoryReader,
    PagedQuery,
    PageStep,
    ResultPage,
)
from dora_metrics.github.queries import JsonObject

_MANY_PULLS = 500
_CAUTION = 0.7
_MAX_FOLDERS_PER_PAGE, _MIN_COMMITS_PER_PAGE = 500, 10
"""Folders of services that GitHub looks up for one page of commits; it has ten seconds for that."""


def read_pulls(reader: HistoryReader) -> Iterator[HistoryPart]:
    """Read the pull requests merged into the default branch, with commits, reviews and labels.

    Others reach the branch with one of these, or are found through its commits. A page of 100 costs 3 points: 301
    connections and 17,100 nodes.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    quality = DataQualityNotes(_pulls_with_commits, reader.run.now)
    query = reader.paged_query("PullPage", "pullRequests", files=reader.needs_files)
    steps = reader.incremental_read("pulls", query, "updatedAt").steps()
    read_numbers: set[int] = set()
    for part in _from_both_ends(reader, query, steps) if _is_read_from_both_ends(reader) else map(_one_end, steps):
        pulls = [node for node in part.nodes if node["number"] not in read_numbers and _is_counted(reader, node)]
        read_numbers.update(node["number"] for node in pulls)
        for pull in pulls:
            quality.add_pull(pull)
        yield _with_step(_part_of_pulls(reader, "pulls", pulls), part.step, quality)


def _with_step(part: HistoryPart, step: PageStep | None, quality: "DataQualityNotes") -> HistoryPart:
    """Return a part with the cursor of the step that it comes from; without a step the cursor stays."""
    if step is None:
        return part
    notes = quality.notes() if step.is_complete else ()
    return replace(part, cursor=step.cursor, reached=step.reached, is_complete=step.is_complete, notes=notes)


def _one_end(step: PageStep) -> EndStep:
    return EndStep(step.nodes, step)


def _is_read_from_both_ends(reader: HistoryReader) -> bool:
    """Whether all pull requests are to be read, none was read before, and they are many."""
    extent, since = reader.extent, reader.request.since
    has_all = extent.oldest_pull is not None and (since is None or extent.oldest_pull >= since)
    return has_all and reader.cursor("pulls").newest is None and extent.pull_count >= _MANY_PULLS


def _from_both_ends(reader: HistoryReader, query: PagedQuery, from_newest: Iterator[PageStep]) -> Iterator[EndStep]:
    """Yield pull requests from both ends, the older ones with a client of their own."""
    client = replace(reader.client, request_count=0)
    oldest_first = replace(query, client=client, variables={**query.variables, "direction": "ASC"})
    try:
        yield from BothEnds(from_newest, oldest_first.pages_after(None), reader.extent.oldest_pull).steps()
    finally:
        reader.client.add_usage([client])


def _part_of_pulls(reader: HistoryReader, kind: HistoryKind, pulls: Iterable[JsonObject]) -> HistoryPart:
    """Return merged pull requests as changes."""
    comparer, services = (
        RepositoryComparer(reader.client, reader.repository.name),
        reader.request.settings.policy.services,
    )
    pulls_by_id = {ids.pull_request(comparer.repository, pull["number"]): pull for pull in pulls}
    changes = (comparer.change_from_pull(pull, _service_of(reader, pull)) for pull in pulls_by_id.values())
    services_by_pull = {change_id: services_of_pull(services, pull) for change_id, pull in pulls_by_id.items()}
    return HistoryPart(
        kind, tuple(map(reader.prepare_fact, changes)), services_by_pull=services_by_pull if services else {}
    )


def _service_of(reader: HistoryReader, pull: JsonObject) -> str | None:
    """Return the configured service; in a monorepo, the only service that the listed files belong to."""
    settings, files = reader.request.settings, compare.listed_files(pull)
    if not settings.services:
        return settings.service
    return None if files is None else only_service(settings.policy.services.touched_by(files))


def services_of_pull(services: Services, pull: JsonObject) -> ServicesOfPull:
    """Return the services that the files of a pull request belong to; None if GitHub does not list all of them."""
    files = compare.listed_files(pull)
    return None if files is None else services.touched_by(files)


def _is_counted(reader: HistoryReader, pull: JsonObject) -> bool:
    """Whether a pull request was merged into the default branch, and within the requested time."""
    is_too_old = reader.request.is_too_old(parse_instant(pull["mergedAt"]))
    return pull["baseRefName"] == reader.repository.default_branch and not is_too_old


def read_commits(reader: HistoryReader) -> Iterator[HistoryPart]:
    """Read the history of the default branch from the head back to what was read before.

    `core.linking.commit_graph` links deployments in it. A page of 100 costs 2 points: 201 connections and 11,100 nodes.
    Pull requests are requested with each commit and not matched by their own commits, since a rebase makes new ones.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    repository, graph = reader.repository, CommitGraph()
    if repository.head_sha is None or repository.default_branch is None:
        note = f"{repository.name} has no commits on a default branch."
        yield HistoryPart("commits", is_complete=True, notes=(note,))
        return
    other_pulls: dict[str, None] = {}
    quality = DataQualityNotes(_commits_without_pull, reader.run.now)
    comparer, folders = RepositoryComparer(reader.client, repository.name), _folders_to_read(reader)
    for page in _commit_pages(reader, folders, graph):
        commits = tuple(
            landed_commit(comparer, node, _pull_nodes(reader, node), reader.run.now, folders) for node in page.nodes
        )
        graph.add(commits)
        other_pulls |= {pull_id: None for node in page.nodes for pull_id in _ids_of_other_pulls(reader, node)}
        for node, commit in zip(page.nodes, commits, strict=True):
            if commit.change and not commit.pulls:
                quality.add_times([node["authoredDate"]], node["committedDate"])
        done = _is_history_complete(reader, graph, commits, page)
        reached, notes = _oldest_commit_time(commits), quality.notes() if done else ()
        yield HistoryPart("commits", reached=reached, is_complete=done, landed_commits=commits, notes=notes)
        if done:
            break
    yield from _read_pulls_by_id(reader, list(other_pulls))


def _folders_to_read(reader: HistoryReader) -> tuple[str, ...]:
    """Return the folders of the services, by whose ids a commit tells which of them it has changed."""
    folders = reader.request.settings.policy.services.fixed_prefixes
    return folders if len(folders) <= _MAX_FOLDERS_PER_PAGE // _MIN_COMMITS_PER_PAGE else ()


def _commit_pages(reader: HistoryReader, folders: tuple[str, ...], graph: CommitGraph) -> Iterator[ResultPage]:
    """Yield the pages of the default branch's history, the first of which may have been read already."""
    name, head = "CommitPageWithFolders" if folders else "CommitPage", str(reader.repository.head_sha)
    query = reader.paged_query(name, "object", "history", head=head)
    if folders:
        query.slots, query.page_size = folders, min(query.page_size, _MAX_FOLDERS_PER_PAGE // len(folders))
    since = reader.request.since

    def pages_left() -> float:
        return _share_left(graph, since) * len(graph.commits_by_sha) / query.page_size

    pages = CommitPages(query, head, reader.extent.commit_count, pages_left)
    for page in pages.read(None if folders else reader.first_pages.get("commits")):
        nodes = with_all_pulls(reader.client, reader.repository.name, page.nodes)
        yield ResultPage(tuple(nodes), page.next_page_token)


def _share_left(graph: CommitGraph, since: datetime | None) -> float:
    """Return how much is probably left to read, as a multiple of what was read; rather too little than too much."""
    times = [commit.committed_at for commit in graph.commits_by_sha.values() if commit.committed_at]
    if since is None or not times or max(times) == min(times):
        return math.inf
    return _CAUTION * (min(times) - since) / (max(times) - min(times))


def _is_history_complete(
    reader: HistoryReader, graph: CommitGraph, commits: tuple[LandedCommit, ...], page: ResultPage
) -> bool:
    """Whether the rest was read before, is older than requested, or does not exist.

    All commits of a page have to be older, since the clocks of a few may have been wrong.
    """
    cursor = reader.cursor("commits")
    oldest_needed = cursor.reached if cursor.anchors else reader.request.since
    times = [commit.committed_at for commit in commits if commit.committed_at]
    if page.next_page_token is None or (oldest_needed and times and max(times) < oldest_needed):
        return True
    return bool(cursor.anchors) and graph.covers(cursor.anchors)


def _pull_nodes(reader: HistoryReader, node: JsonObject) -> list[JsonObject]:
    repository = reader.repository
    return compare.merged_pull_nodes(node, compare.HomeRepository(repository.number, repository.default_branch))


def _oldest_commit_time(commits: tuple[LandedCommit, ...]) -> datetime | None:
    return min((commit.committed_at for commit in commits if commit.committed_at), default=None)


def _ids_of_other_pulls(reader: HistoryReader, node: JsonObject) -> Iterator[str]:
    """Yield the ids of a commit's pull requests that `read_pulls` leaves out: into another branch, or too old."""
    for pull in _pull_nodes(reader, node):
        is_too_old = reader.request.is_too_old(parse_instant(pull["mergedAt"]))
        if is_too_old or pull["baseRefName"] != reader.repository.default_branch:
            yield pull["id"]


def _read_pulls_by_id(reader: HistoryReader, ids: list[str]) -> Iterator[HistoryPart]:
    """Read merged pull requests by their node ids."""
    for start in range(0, len(ids), MAX_IDS_PER_REQUEST):
        variables = {"ids": ids[start : start + MAX_IDS_PER_REQUEST], "files": reader.needs_files}
        pulls = filter(None, reader.client.query_existing("PullsById", variables)["nodes"])
        yield _part_of_pulls(reader, "commits", list(pulls))


def read_services_of_pulls(
    client: Client, repository: str, services: Services, node_ids: Sequence[str]
) -> dict[str, ServicesOfPull]:
    """Read the services that pull requests belong to, by the ids of their changes.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    services_by_pull: dict[str, ServicesOfPull] = {}
    for start in range(0, len(node_ids), MAX_IDS_PER_REQUEST):
        variables = {"ids": node_ids[start : start + MAX_IDS_PER_REQUEST], "files": True}
        pulls = filter(None, client.query_existing("PullsById", variables)["nodes"])
        services_by_pull |= {
            ids.pull_request(repository, pull["number"]): services_of_pull(services, pull) for pull in pulls
        }
    return services_by_pull


@dataclass
class DataQualityNotes:
    """Counts implausible data; `dated` begins a sentence about how many have it: `2 pull requests have commits`."""

    dated: Callable[[int], str]
    now: datetime
    too_early_count: int = 0
    too_late_count: int = 0
    large_pull_count: int = 0

    def add_pull(self, pull: JsonObject) -> None:
        commits = [node["commit"] for node in pull["commits"]["nodes"]]
        self.large_pull_count += pull["commits"]["totalCount"] > len(commits)
        self.add_times([commit["authoredDate"] for commit in commits], pull["mergedAt"])

    def add_times(self, authored_times: Iterable[str | None], landed_at: str | None) -> None:
        """Count an item whose authored time is missing, before 1990, or after it landed."""
        times = [parse_instant_or_none(value) for value in authored_times]
        latest_possible = min(parse_instant_or_none(landed_at) or self.now, self.now)
        self.too_early_count += any(time is None or time.year < OLDEST_PLAUSIBLE_YEAR for time in times)
        self.too_late_count += any(time is not None and time > latest_possible for time in times)

    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        early, late = self.too_early_count, self.too_late_count
        if early:
            yield f"{self.dated(early)} dated before {OLDEST_PLAUSIBLE_YEAR}. Such dates are ignored."
        if late:
            yield f"{self.dated(late)} dated after landing. Negative lead times are left out."
        if self.large_pull_count:
            yield (
                f"{_pulls_with(self.large_pull_count)} more than 100 commits. GitHub lists the first 100. Lead time "
                "starts with the oldest of these, so it is at least what is shown."
            )


def _pulls_with(number: int) -> str:
    return f"{count(number, 'pull request')} {'has' if number == 1 else 'have'}"


def _pulls_with_commits(number: int) -> str:
    return f"{_pulls_with(number)} commits"


def _commits_without_pull(number: int) -> str:
    return count_are(number, "commit without a pull request", "commits without a pull request")
