"""Deployments to all environments: each of their statuses is read as the event that it was.

Completed runs of the workflows that deploy, read as the event that each was; GraphQL does not know runs.

Published releases, read as the event that each was.

Merges into the default branch as the pushes that they were, for repositories that show nothing better.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace as dataclasses_replace
from datetime import datetime, timedelta
from functools import reduce
from itertools import count
from typing import Any

import msgspec
from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.merge import reobserved
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.windows import instant
from dora_metrics.github.client import NotFoundError
from dora_metrics.github.events.deployments import completed, deploys, pushed, released, status
from dora_metrics.github.history.pages import Asking, Part
from dora_metrics.github.payloads import (
    DeploymentStatusEvent,
    PushEvent,
    ReleaseEvent,
    Workflow,
    WorkflowRunEvent,
    read,
)

_ENDED = frozenset({"SUCCESS", "FAILURE", "ERROR"})
_LONGEST_OPEN = timedelta(days=35)
"""GitHub lets a deployment wait thirty days for an approval; what is older will not end any more."""
_MOST_OPEN = 100


def deployments(asking: Asking) -> Iterator[Part]:
    """101 connections and 10,100 nodes a page of a hundred: 1 point.

    Their list knows no order but that of creation, so those that had not ended are asked for again by their ids.

    Raises:
        GitHubError: by meaning.
    """
    waiting = list(_open_again(asking))
    if waiting:
        yield Part("deployments", _facts(asking, waiting))
    still = {node["id"] for node in waiting if _is_open(asking, node)}
    pages = asking.pages("PastDeployments", "deployments")
    for stretch in asking.reading("deployments", pages, "createdAt").stretches():
        still |= {node["id"] for node in stretch.nodes if _is_open(asking, node)}
        still -= {node["id"] for node in stretch.nodes if not _is_open(asking, node)}
        cursor = _with_open(stretch.cursor, still)
        yield Part("deployments", _facts(asking, stretch.nodes), cursor, stretch.reached, stretch.done)


def _with_open(cursor: Cursor, still: Iterable[str]) -> Cursor:
    return replace(cursor, open=tuple(sorted(still)[:_MOST_OPEN]))


def _open_again(asking: Asking) -> Iterable[Mapping[str, Any]]:
    ids = asking.cursor("deployments").open
    if asking.opens is not None or not ids:
        return asking.opens or ()
    try:
        return filter(None, asking.client.query("DeploymentsById", {"ids": list(ids)})["nodes"])
    except NotFoundError:
        return ()  # one was deleted, and GitHub does not say which; what is recent is in the list anyway


def _is_open(asking: Asking, node: Mapping[str, Any]) -> bool:
    ended = any(one["state"] in _ENDED for one in node["statuses"]["nodes"])
    return not ended and asking.run.now - instant(node["createdAt"]) < _LONGEST_OPEN


def _facts(asking: Asking, nodes: Iterable[Mapping[str, Any]]) -> tuple[Deployment, ...]:
    since = asking.wanted.since
    recent = (node for node in nodes if since is None or instant(node["createdAt"]) >= since)
    found = (_fact(asking, node) for node in recent)
    return tuple(fact for fact in found if fact is not None)


def _fact(asking: Asking, node: Mapping[str, Any]) -> Deployment | None:
    """What the events of all statuses would have left behind; None while none of them is an end."""
    number = identity(node)
    if number is None:
        return None
    statuses = sorted(node["statuses"]["nodes"], key=lambda one: str(one["createdAt"]))
    ends = (_seen(asking, node, number, one) for one in statuses)
    facts = [fact for end in ends for fact in end if isinstance(fact, Deployment)]
    return reduce(reobserved, facts) if facts else None


def _seen(asking: Asking, node: Mapping[str, Any], number: int, one: Mapping[str, Any]) -> list[object]:
    event = {
        "deployment": {
            "id": number,
            "sha": node["commitOid"],
            "ref": node["ref"] and node["ref"]["name"],
            "task": node["task"],
            "environment": node["environment"],
            "payload": payload(node["payload"]),
            "created_at": node["createdAt"],
        },
        "deployment_status": {
            "state": one["state"].lower(),
            "created_at": one["createdAt"],
            "updated_at": one["updatedAt"],
            "environment": one["environment"],
            "log_url": one["logUrl"],
            "environment_url": one["environmentUrl"],
        },
    }
    return [asking.kept(fact) for fact in status(asking.run, read(DeploymentStatusEvent, event)).facts]


def payload(text: str | None) -> object:
    """What the deployer sent; GraphQL shows it as JSON text, and a text within it once more as one."""
    found: object = text
    for _ in range(2):
        if not isinstance(found, str):
            break
        try:
            found = json.loads(found)
        except ValueError:
            break
    return found


def identity(node: Mapping[str, Any]) -> int | None:
    """The number that REST and events know it by.

    `databaseId` is a GraphQL Int, of 32 bits, and the numbers have outgrown it. The id holds it as well, as the last
    item of a MessagePack list: `DE_kwDOIfJNb85eiWrx`.
    """
    if isinstance(node["databaseId"], int) and node["databaseId"] > 0:
        return int(node["databaseId"])
    coded = str(node["id"]).partition("_")[2]
    try:
        found = msgspec.msgpack.decode(base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)))
    except (ValueError, msgspec.DecodeError):
        return None
    return found[-1] if isinstance(found, list) and found and isinstance(found[-1], int) else None


_PAGE = 100
_MOST_SHOWN = 1000
"""GitHub shows so many runs of a list; older ones are a list of their own, by the time of creation."""
_RUNS_LONGEST_OPEN = timedelta(days=35)
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
            facts = tuple(fact for node in nodes for fact in _runs_facts(asking, workflow, node))
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
    return (at for at in times if asking.run.now - at < _RUNS_LONGEST_OPEN)


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


def _runs_facts(asking: Asking, workflow: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[Fact]:
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


def releases(asking: Asking) -> Iterator[Part]:
    """One connection and 100 nodes a page: 1 point.

    The list is sorted by the age of the commits. A release of an old commit is seen if it is among the newest hundred.

    Raises:
        GitHubError: by meaning.
    """
    pages = asking.pages("PastReleases", "releases")
    for stretch in asking.reading("releases", pages, "createdAt").stretches():
        facts = tuple(fact for node in stretch.nodes for fact in _releases_facts(asking, node))
        yield Part("releases", facts, stretch.cursor, stretch.reached, stretch.done)


def _releases_facts(asking: Asking, node: Mapping[str, Any]) -> Iterator[Fact]:
    """A draft is none yet; an event's GITHUB_SHA is the commit of the tag."""
    since, published = asking.wanted.since, node["publishedAt"]
    if node["isDraft"] or not published or (since is not None and instant(published) < since):
        return
    event = {
        "action": "published",
        "release": {
            "id": node["databaseId"],
            "tag_name": node["tagName"],
            "prerelease": node["isPrerelease"],
            "published_at": published,
            "html_url": node["url"],
        },
    }
    run = dataclasses_replace(asking.run, sha=(node["tagCommit"] or {}).get("oid") or "")
    yield from map(asking.kept, released(run, read(ReleaseEvent, event), asking.wanted.settings).facts)


_NOTE = "Of the past only merges are known as pushes; commits that were pushed directly come with the next of them."


def pushes(asking: Asking, merged: Iterable[Fact]) -> Part:
    """What the push events of merges would have left behind; GitHub keeps no list of pushes."""
    changes = [fact for fact in merged if isinstance(fact, Change) and fact.sha and fact.merged_at]
    seen = (pushed(asking.run, _event(asking, change), asking.wanted.settings) for change in changes)
    facts = tuple(asking.kept(fact) for one in seen for fact in one.facts)
    return Part("pushes", facts, done=True, notes=(_NOTE,) if facts else ())


def _event(asking: Asking, change: Change) -> PushEvent:
    at = change.merged_at.isoformat() if change.merged_at else None
    event: dict[str, Any] = {
        "ref": f"refs/heads/{asking.home.branch}",
        "after": change.sha,
        "repository": {"default_branch": asking.home.branch, "pushed_at": at},
        "head_commit": {"timestamp": at},
    }
    return read(PushEvent, event)
