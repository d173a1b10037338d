"""Commits as GraphQL shows them, with the fields of the fragment `CommitFields`."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.core.linking.landed_commits import LandedCommit
from dora_metrics.core.windows import parse_instant_or_none
from dora_metrics.github.compare import RepositoryComparer
from dora_metrics.github.queries import JsonObject


def landed_commit(
    comparer: RepositoryComparer,
    node: JsonObject,
    pull_nodes: Iterable[JsonObject],
    now: datetime,
    folders: Sequence[str] = (),
) -> LandedCommit:
    """Return a commit with its parents, the merged pull requests that contain it, and the change it is by itself.

    `now` stands for the time of a commit whose own is unreadable. `folders` are those whose ids the node has in slots.
    """
    parents = tuple(parent["oid"] for parent in node["parents"]["nodes"])
    pulls = tuple(map(comparer.merged_pull, pull_nodes))
    change = None if len(parents) > 1 else _change_from_commit(comparer, node, now)
    entries = {folder: node[f"slot{number}"] for number, folder in enumerate(folders)}
    ids_by_folder = {folder: entry and entry["oid"] for folder, entry in entries.items()} if folders else None
    return LandedCommit(
        node["oid"], parents, parse_instant_or_none(node["committedDate"]), pulls, change, ids_by_folder
    )


def _change_from_commit(comparer: RepositoryComparer, node: JsonObject, now: datetime) -> Change:
    """Return a commit without a pull request as a change, in the same way as a comparison does."""
    author = node["author"] or {}
    git_author = {"name": author.get("name") or "", "date": node["authoredDate"]}
    rest_commit = {
        "sha": node["oid"],
        "html_url": node["url"],
        "author": {"type": "Bot" if "[bot]@" in (author.get("email") or "") else "User"},
        "commit": {"message": node["message"], "author": git_author},
    }
    committed_at = parse_instant_or_none(node["committedDate"]) or now
    return comparer.change_from_commit(rest_commit, _placeholder_deployment(comparer.repository, committed_at))


def _placeholder_deployment(repository: str, committed_at: datetime) -> Deployment:
    """Return a stand-in for the deployment, which is not known yet; linking replaces its service and time."""
    return Deployment(
        id="-", repository=repository, observed_at=committed_at, finished_at=committed_at, status="success"
    )
