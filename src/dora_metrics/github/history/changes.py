"""Commits of the default branch with their parents and the pull requests that brought them.

Merged pull requests with their commits, reviews, labels and what they revert.

Oddities that a reader of the numbers should know of, counted and put into words.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.linking.commit_graph import BranchCommit, CommitGraph
from dora_metrics.core.windows import parse_instant, parse_instant_or_none
from dora_metrics.github import compare
from dora_metrics.github.compare import RepositoryComparer
from dora_metrics.github.history.pages import HistoryPart, HistoryReader, ResultPage

_OLDEST_PLAUSIBLE_YEAR = 1990


@dataclass
class DataQualityNotes:
    """What was met so far among `what`, as in `Pull requests with commits`."""

    subject: str
    now: datetime
    too_early_count: int = 0
    too_late_count: int = 0
    large_pull_count: int = 0

    def add_pull(self, pull: Mapping[str, Any]) -> None:
        commits = [node["commit"] for node in pull["commits"]["nodes"]]
        self.large_pull_count += pull["commits"]["totalCount"] > len(commits)
        self.add_times([commit["authoredDate"] for commit in commits], pull["mergedAt"])

    def add_times(self, authored_times: Iterable[str | None], landed_at: str | None) -> None:
        """Counts what was written when it cannot have been."""
        times = [parse_instant_or_none(value) for value in authored_times]
        latest_possible = min(parse_instant_or_none(landed_at) or self.now, self.now)
        self.too_early_count += any(time is None or time.year < _OLDEST_PLAUSIBLE_YEAR for time in times)
        self.too_late_count += any(time is not None and time > latest_possible for time in times)

    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self.too_early_count:
            yield (
                f"{self.subject} dated before {_OLDEST_PLAUSIBLE_YEAR}, dates that are not used: "
                f"{self.too_early_count}."
            )
        if self.too_late_count:
            yield (
                f"{self.subject} dated after they landed, in no lead time where that makes it negative: "
                f"{self.too_late_count}."
            )
        if self.large_pull_count:
            yield f"Pull requests with more than 100 commits, which are not listed one by one: {self.large_pull_count}."


def read_pulls(reader: HistoryReader) -> Iterator[HistoryPart]:
    """Those into the default branch: others reach it with one of them, or are found behind its commits.

    301 connections and 17,100 nodes a page of a hundred: 3 points.

    Raises:
        GitHubError: by meaning.
    """
    quality = DataQualityNotes("Pull requests with commits", reader.run.now)
    paged_query = reader.paged_query("PastPulls", "pullRequests", files=reader.needs_files)
    for step in reader.incremental_read("pulls", paged_query, "updatedAt").steps():
        counted_nodes = [node for node in step.nodes if _is_counted(reader, node)]
        for node in counted_nodes:
            quality.add_pull(node)
        notes = quality.notes() if step.is_complete else ()
        yield HistoryPart(
            "pulls", changes_from_pulls(reader, counted_nodes), step.cursor, step.reached, step.is_complete, notes
        )


def changes_from_pulls(reader: HistoryReader, nodes: Iterable[Mapping[str, Any]]) -> tuple[Fact, ...]:
    comparer = RepositoryComparer(reader.client, reader.repository.name)
    return tuple(reader.prepare_fact(comparer.change_from_pull(node, _service_of_pull(reader, node))) for node in nodes)


def _service_of_pull(reader: HistoryReader, node: Mapping[str, Any]) -> str | None:
    """In a monorepo the one service that it touches, as far as its files are listed."""
    settings, files = reader.request.settings, compare.listed_files(node)
    if not settings.services:
        return settings.service
    return None if files is None else compare.only_service(settings.policy.services.touched_by(files))


def _is_counted(reader: HistoryReader, node: Mapping[str, Any]) -> bool:
    since = reader.request.since
    return node["baseRefName"] == reader.repository.default_branch and (
        since is None or parse_instant(node["mergedAt"]) >= since
    )


_MAX_IDS_PER_REQUEST = 100


def read_commits(reader: HistoryReader) -> Iterator[HistoryPart]:
    """The history from the head back to where it is known, in which `core.linking.commit_graph` links deployments.

    201 connections and 10,600 nodes a page of a hundred: 2 points. The pull requests are asked for here and not
    found by their own commits, since a rebase makes new ones.

    Raises:
        GitHubError: by meaning.
    """
    repository, graph = reader.repository, CommitGraph()
    if repository.head_sha is None or repository.default_branch is None:
        yield HistoryPart(
            "commits", is_complete=True, notes=(f"{repository.name} has no commits on a default branch.",)
        )
        return
    other_pulls: dict[str, str] = {}
    quality = DataQualityNotes("Commits without a pull request", reader.run.now)
    paged_query = reader.paged_query("PastCommits", "object", "history", head=repository.head_sha)
    for page in paged_query.pages_after(None, reader.first_pages.get("commits")):
        landed_commits = tuple(_landed_commit(reader, node) for node in page.nodes)
        graph.add(landed_commits)
        other_pulls.update(pair for node in page.nodes for pair in _pulls_to_read_by_id(reader, node))
        for node, commit in zip(page.nodes, landed_commits, strict=True):
            if isinstance(commit.change, Change):
                quality.add_times([node["authoredDate"]], node["committedDate"])
        is_complete = _is_history_complete(reader, graph, landed_commits, page)
        notes = quality.notes() if is_complete else ()
        yield HistoryPart(
            "commits",
            reached=_oldest_commit_time(landed_commits),
            is_complete=is_complete,
            landed_commits=landed_commits,
            notes=notes,
        )
        if is_complete:
            break
    yield from _read_pulls_by_id(reader, list(other_pulls))


def _is_history_complete(
    reader: HistoryReader, graph: CommitGraph, landed_commits: tuple[BranchCommit, ...], page: ResultPage
) -> bool:
    """Whether the rest was read before, is older than what was asked for, or does not exist.

    A whole page has to be older: a clock may be wrong for a commit or two.
    """
    cursor = reader.cursor("commits")
    oldest_needed = cursor.reached if cursor.anchors else reader.request.since
    commit_times = [commit.committed_at for commit in landed_commits if commit.committed_at]
    if page.next_page_token is None or (oldest_needed and commit_times and max(commit_times) < oldest_needed):
        return True
    return bool(cursor.anchors) and graph.covers(cursor.anchors)


def _landed_commit(reader: HistoryReader, node: Mapping[str, Any]) -> BranchCommit:
    parents = tuple(parent["oid"] for parent in node["parents"]["nodes"])
    committed_at = parse_instant_or_none(node["committedDate"])
    pulls = _merged_pulls_of(reader, node)
    if pulls:
        first_pull = min(pulls, key=lambda pull: str(pull["mergedAt"]))
        return BranchCommit(
            node["oid"], parents, committed_at, ids.pull_request(reader.repository.name, first_pull["number"])
        )
    return BranchCommit(
        node["oid"], parents, committed_at, None if len(parents) > 1 else _change_from_commit(reader, node)
    )


def _merged_pulls_of(reader: HistoryReader, node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The merged pull requests of a commit: those into the default branch if there are any."""
    merged_pulls = [pull for pull in node["associatedPullRequests"]["nodes"] if pull["mergedAt"]]
    return [pull for pull in merged_pulls if pull["baseRefName"] == reader.repository.default_branch] or merged_pulls


def _pulls_to_read_by_id(reader: HistoryReader, node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pull requests that the kind `pulls` does not have: into another branch, or merged before what was asked for."""
    since = reader.request.since
    for pull in _merged_pulls_of(reader, node):
        is_too_early = since is not None and parse_instant(pull["mergedAt"]) < since
        if is_too_early or pull["baseRefName"] != reader.repository.default_branch:
            yield pull["id"], pull["mergedAt"]


def _read_pulls_by_id(reader: HistoryReader, ids: list[str]) -> Iterator[HistoryPart]:
    for start in range(0, len(ids), _MAX_IDS_PER_REQUEST):
        variables = {"ids": ids[start : start + _MAX_IDS_PER_REQUEST], "files": reader.needs_files}
        yield HistoryPart(
            "commits", changes_from_pulls(reader, filter(None, reader.client.query("PullsById", variables)["nodes"]))
        )


def _change_from_commit(reader: HistoryReader, node: Mapping[str, Any]) -> Change:
    """A commit without a pull request, read as the comparison of a deployment reads it."""
    author = node["author"] or {}
    author_type = "Bot" if "[bot]@" in (author.get("email") or "") else "User"
    rest_commit = {
        "sha": node["oid"],
        "html_url": node["url"],
        "author": {"type": author_type},
        "commit": {
            "message": node["message"],
            "author": {"name": author.get("name") or "", "date": node["authoredDate"]},
        },
    }
    return RepositoryComparer(reader.client, reader.repository.name).change_from_commit(
        rest_commit, _placeholder_deployment(reader, node)
    )


def _placeholder_deployment(reader: HistoryReader, node: Mapping[str, Any]) -> Deployment:
    """Stands for the deployment that is not known yet; linking puts the real one's service and time in its place."""
    committed_at = parse_instant_or_none(node["committedDate"]) or reader.run.now
    return Deployment(
        id="-", repository=reader.repository.name, observed_at=committed_at, finished_at=committed_at, status="success"
    )


def _oldest_commit_time(landed_commits: tuple[BranchCommit, ...]) -> datetime | None:
    return min((commit.committed_at for commit in landed_commits if commit.committed_at), default=None)
