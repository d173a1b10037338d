"""Completed runs of the workflows that deploy, read as the event that each was; GraphQL does not know runs."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.windows import instant
from dora_metrics.github.events.workflow_runs import completed, deploys
from dora_metrics.github.history.asking import Asking
from dora_metrics.github.history.pages import Part
from dora_metrics.github.payloads import Workflow, WorkflowRunEvent
from dora_metrics.github.reading import read

_PAGE = 100
_MOST_SHOWN = 1000
"""GitHub shows so many runs of a list; older ones are a list of their own, by the time of creation."""
_LONGEST_OPEN = timedelta(days=35)
_CLOCKS = timedelta(minutes=10)


def runs(asking: Asking) -> Iterator[Part]:
    """The workflows in one request, then those that deploy by the page of a hundred.

    A run's attempts are one thing, which shows the newest. An attempt that is newer than the last reading is seen if
    the run was created after it, had not ended then, or is among the newest hundred. The cursor comes at the very end:
    pages of REST have no place to go on from.

    Raises:
        GitHubError: by meaning.
    """
    again: list[datetime] = []
    for workflow in _chosen(asking):
        for nodes in _pages(asking, f"{_path(asking)}/{workflow['id']}/runs"):
            facts = tuple(fact for node in nodes for fact in _facts(asking, workflow, node))
            again += _open_since(asking, nodes)
            yield Part("runs", facts, reached=min(instant(node["created_at"]) for node in nodes))
    yield Part("runs", cursor=Cursor(newest=min([*again, asking.run.now - _CLOCKS])), done=True)


def _path(asking: Asking) -> str:
    return f"/repos/{asking.home.name}/actions/workflows"


def _named(asking: Asking) -> tuple[str, ...]:
    return asking.wanted.settings.deploy_workflows


def _chosen(asking: Asking) -> Iterator[Mapping[str, Any]]:
    """The workflows that deploy."""
    for page in count(1):
        listed = asking.client.get(_path(asking), {"per_page": _PAGE, "page": page})["workflows"]
        yield from (one for one in listed if deploys(Workflow(name=one["name"], path=one["path"]), _named(asking)))
        if len(listed) < _PAGE:
            return


def _open_since(asking: Asking, nodes: list[Mapping[str, Any]]) -> Iterator[datetime]:
    """When the runs were created that had not ended and still may."""
    times = (instant(node["created_at"]) for node in nodes if node["status"] != "completed")
    return (at for at in times if asking.run.now - at < _LONGEST_OPEN)


def _pages(asking: Asking, path: str) -> Iterator[list[Mapping[str, Any]]]:
    """Pages of a workflow's runs, newest first; the first page always, the others as far as was asked."""
    floor = max(filter(None, (asking.cursor("runs").newest, asking.wanted.since)), default=None)
    until: str | None = None
    page = 1
    while True:
        parameters = {"per_page": _PAGE, "page": page} | ({"created": f"<={until}"} if until else {})
        nodes = asking.client.get(path, parameters)["workflow_runs"]
        if nodes:
            yield nodes
        if len(nodes) < _PAGE or (floor and instant(nodes[-1]["created_at"]) < floor):
            return
        page += 1
        if page * _PAGE > _MOST_SHOWN:
            if nodes[-1]["created_at"] == until:
                return
            page, until = 1, nodes[-1]["created_at"]


def _facts(asking: Asking, workflow: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[Fact]:
    since = asking.wanted.since
    if node["status"] != "completed" or (since is not None and instant(node["created_at"]) < since):
        return
    event = {
        "action": "completed",
        "workflow_run": node,
        "workflow": {"name": workflow["name"], "path": workflow["path"]},
        "repository": {"default_branch": asking.home.branch or ""},
    }
    observed = completed(asking.run, read(WorkflowRunEvent, event), _named(asking))
    yield from map(asking.kept, observed.facts)
