"""Commits of the default branch with their parents and the pull requests that brought them.

Merged pull requests with their commits, reviews, labels and what they revert.

Oddities that a reader of the numbers should know of, counted and put into words.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.linking.commit_graph import Graph, Landed
from dora_metrics.core.windows import instant, instant_or_none
from dora_metrics.github import compare
from dora_metrics.github.compare import History
from dora_metrics.github.history.pages import Asking, Page, Part
from dora_metrics.settings.model import policy

_OLDEST_YEAR = 1990


@dataclass
class Traps:
    """What was met so far among `what`, as in `Pull requests with commits`."""

    what: str
    now: datetime
    early: int = 0
    late: int = 0
    large: int = 0

    def pull(self, pull: Mapping[str, Any]) -> None:
        commits = [node["commit"] for node in pull["commits"]["nodes"]]
        self.large += pull["commits"]["totalCount"] > len(commits)
        self.clock([commit["authoredDate"] for commit in commits], pull["mergedAt"])

    def clock(self, authored: Iterable[str | None], landed: str | None) -> None:
        """Counts what was written when it cannot have been."""
        times = [instant_or_none(written) for written in authored]
        end = min(instant_or_none(landed) or self.now, self.now)
        self.early += any(at is None or at.year < _OLDEST_YEAR for at in times)
        self.late += any(at is not None and at > end for at in times)

    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self.early:
            yield f"{self.what} dated before {_OLDEST_YEAR}, dates that are not used: {self.early}."
        if self.late:
            yield f"{self.what} dated after they landed, in no lead time where that makes it negative: {self.late}."
        if self.large:
            yield f"Pull requests with more than 100 commits, which are not listed one by one: {self.large}."


def pulls(asking: Asking) -> Iterator[Part]:
    """Those into the default branch: others reach it with one of them, or are found behind its commits.

    301 connections and 17,100 nodes a page of a hundred: 3 points.

    Raises:
        GitHubError: by meaning.
    """
    traps = Traps("Pull requests with commits", asking.run.now)
    pages = asking.pages("PastPulls", "pullRequests", files=asking.files)
    for stretch in asking.reading("pulls", pages, "updatedAt").stretches():
        landed = [node for node in stretch.nodes if _counts(asking, node)]
        for node in landed:
            traps.pull(node)
        notes = traps.notes() if stretch.done else ()
        yield Part("pulls", changes(asking, landed), stretch.cursor, stretch.reached, stretch.done, notes)


def changes(asking: Asking, nodes: Iterable[Mapping[str, Any]]) -> tuple[Fact, ...]:
    history = History(asking.client, asking.home.name)
    return tuple(asking.kept(history.from_pull(node, _service(asking, node))) for node in nodes)


def _service(asking: Asking, node: Mapping[str, Any]) -> str | None:
    """In a monorepo the one service that it touches, as far as its files are listed."""
    settings, listed = asking.wanted.settings, compare.files(node)
    if not settings.services:
        return settings.service
    return None if listed is None else compare.only(policy(settings).services.touched(listed))


def _counts(asking: Asking, node: Mapping[str, Any]) -> bool:
    since = asking.wanted.since
    return node["baseRefName"] == asking.home.branch and (since is None or instant(node["mergedAt"]) >= since)


_MOST_IDS = 100


def commits(asking: Asking) -> Iterator[Part]:
    """The history from the head back to where it is known, in which `core.linking.commit_graph` links deployments.

    201 connections and 10,600 nodes a page of a hundred: 2 points. The pull requests are asked for here and not
    found by their own commits, since a rebase makes new ones.

    Raises:
        GitHubError: by meaning.
    """
    home, graph = asking.home, Graph()
    if home.head is None or home.branch is None:
        yield Part("commits", done=True, notes=(f"{home.name} has no commits on a default branch.",))
        return
    others: dict[str, str] = {}
    traps = Traps("Commits without a pull request", asking.run.now)
    pages = asking.pages("PastCommits", "object", "history", head=home.head)
    for page in pages.after(None, asking.firsts.get("commits")):
        landed = tuple(_landed(asking, node) for node in page.nodes)
        graph.add(landed)
        others.update(pair for node in page.nodes for pair in _elsewhere(asking, node))
        for node, commit in zip(page.nodes, landed, strict=True):
            if isinstance(commit.change, Change):
                traps.clock([node["authoredDate"]], node["committedDate"])
        done = _is_enough(asking, graph, landed, page)
        notes = traps.notes() if done else ()
        yield Part("commits", reached=_oldest(landed), done=done, landed=landed, notes=notes)
        if done:
            break
    yield from _pulls_elsewhere(asking, list(others))


def _is_enough(asking: Asking, graph: Graph, landed: tuple[Landed, ...], page: Page) -> bool:
    """Whether the rest was read before, is older than what was asked for, or does not exist.

    A whole page has to be older: a clock may be wrong for a commit or two.
    """
    cursor = asking.cursor("commits")
    floor = cursor.reached if cursor.anchors else asking.wanted.since
    times = [commit.committed_at for commit in landed if commit.committed_at]
    if page.following is None or (floor and times and max(times) < floor):
        return True
    return bool(cursor.anchors) and graph.covers(cursor.anchors)


def _landed(asking: Asking, node: Mapping[str, Any]) -> Landed:
    parents = tuple(parent["oid"] for parent in node["parents"]["nodes"])
    at = instant_or_none(node["committedDate"])
    pulls = _bringing(asking, node)
    if pulls:
        first = min(pulls, key=lambda pull: str(pull["mergedAt"]))
        return Landed(node["oid"], parents, at, f"github:pull:{asking.home.name}#{first['number']}")
    return Landed(node["oid"], parents, at, None if len(parents) > 1 else _direct(asking, node))


def _bringing(asking: Asking, node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The merged pull requests of a commit: those into the default branch if there are any."""
    merged = [pull for pull in node["associatedPullRequests"]["nodes"] if pull["mergedAt"]]
    return [pull for pull in merged if pull["baseRefName"] == asking.home.branch] or merged


def _elsewhere(asking: Asking, node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pull requests that the kind `pulls` does not have: into another branch, or merged before what was asked for."""
    since = asking.wanted.since
    for pull in _bringing(asking, node):
        early = since is not None and instant(pull["mergedAt"]) < since
        if early or pull["baseRefName"] != asking.home.branch:
            yield pull["id"], pull["mergedAt"]


def _pulls_elsewhere(asking: Asking, ids: list[str]) -> Iterator[Part]:
    for start in range(0, len(ids), _MOST_IDS):
        some = {"ids": ids[start : start + _MOST_IDS], "files": asking.files}
        yield Part("commits", changes(asking, filter(None, asking.client.query("PullsById", some)["nodes"])))


def _direct(asking: Asking, node: Mapping[str, Any]) -> Change:
    """A commit without a pull request, read as the comparison of a deployment reads it."""
    author = node["author"] or {}
    bot = "Bot" if "[bot]@" in (author.get("email") or "") else "User"
    shown = {
        "sha": node["oid"],
        "html_url": node["url"],
        "author": {"type": bot},
        "commit": {
            "message": node["message"],
            "author": {"name": author.get("name") or "", "date": node["authoredDate"]},
        },
    }
    return History(asking.client, asking.home.name).from_commit(shown, _nobody(asking, node))


def _nobody(asking: Asking, node: Mapping[str, Any]) -> Deployment:
    """Stands for the deployment that is not known yet; linking puts the real one's service and time in its place."""
    at = instant_or_none(node["committedDate"]) or asking.run.now
    return Deployment(id="-", repository=asking.home.name, observed_at=at, finished_at=at, status="success")


def _oldest(landed: tuple[Landed, ...]) -> datetime | None:
    return min((commit.committed_at for commit in landed if commit.committed_at), default=None)
