"""Merged pull requests with their commits, reviews, labels and what they revert."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.windows import instant
from dora_metrics.github import touching
from dora_metrics.github.compare import History
from dora_metrics.github.history.asking import Asking
from dora_metrics.github.history.pages import Part
from dora_metrics.github.history.traps import Traps
from dora_metrics.settings.model import policy


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
    settings, listed = asking.wanted.settings, touching.files(node)
    if not settings.services:
        return settings.service
    return None if listed is None else touching.only(policy(settings).services.touched(listed))


def _counts(asking: Asking, node: Mapping[str, Any]) -> bool:
    since = asking.wanted.since
    return node["baseRefName"] == asking.home.branch and (since is None or instant(node["mergedAt"]) >= since)
