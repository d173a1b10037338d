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
from dora_metrics.core.facts.merge import keep_newest_success
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.windows import parse_instant
from dora_metrics.github.client import NotFoundError
from dora_metrics.github.events.deployments import (
    is_deploy_workflow,
    observe_deployment_status,
    observe_push,
    observe_release,
    observe_workflow_run,
)
from dora_metrics.github.history.pages import HistoryPart, HistoryReader
from dora_metrics.github.payloads import (
    DeploymentStatusEvent,
    PushEvent,
    ReleaseEvent,
    WorkflowPayload,
    WorkflowRunEvent,
    parse_payload,
)

_FINAL_STATES = frozenset({"SUCCESS", "FAILURE", "ERROR"})
_MAX_OPEN_AGE = timedelta(days=35)
"""GitHub lets a deployment wait thirty days for an approval; what is older will not end any more."""
_MAX_OPEN_IDS = 100


def read_deployments(reader: HistoryReader) -> Iterator[HistoryPart]:
    """101 connections and 10,100 nodes a page of a hundred: 1 point.

    Their list knows no order but that of creation, so those that had not ended are asked for again by their ids.

    Raises:
        GitHubError: by meaning.
    """
    open_nodes = list(_reread_open_deployments(reader))
    if open_nodes:
        yield HistoryPart("deployments", _deployments_of_nodes(reader, open_nodes))
    open_ids = {node["id"] for node in open_nodes if _is_open(reader, node)}
    paged_query = reader.paged_query("PastDeployments", "deployments")
    for step in reader.incremental_read("deployments", paged_query, "createdAt").steps():
        open_ids |= {node["id"] for node in step.nodes if _is_open(reader, node)}
        open_ids -= {node["id"] for node in step.nodes if not _is_open(reader, node)}
        cursor = _with_open_ids(step.cursor, open_ids)
        yield HistoryPart(
            "deployments", _deployments_of_nodes(reader, step.nodes), cursor, step.reached, step.is_complete
        )


def _with_open_ids(cursor: Cursor, open_ids: Iterable[str]) -> Cursor:
    return replace(cursor, open=tuple(sorted(open_ids)[:_MAX_OPEN_IDS]))


def _reread_open_deployments(reader: HistoryReader) -> Iterable[Mapping[str, Any]]:
    open_ids = reader.cursor("deployments").open
    if reader.open_deployments is not None or not open_ids:
        return reader.open_deployments or ()
    try:
        return filter(None, reader.client.query("DeploymentsById", {"ids": list(open_ids)})["nodes"])
    except NotFoundError:
        return ()  # one was deleted, and GitHub does not say which; what is recent is in the list anyway


def _is_open(reader: HistoryReader, node: Mapping[str, Any]) -> bool:
    is_ended = any(status["state"] in _FINAL_STATES for status in node["statuses"]["nodes"])
    return not is_ended and reader.run.now - parse_instant(node["createdAt"]) < _MAX_OPEN_AGE


def _deployments_of_nodes(reader: HistoryReader, nodes: Iterable[Mapping[str, Any]]) -> tuple[Deployment, ...]:
    since = reader.request.since
    recent_nodes = (node for node in nodes if since is None or parse_instant(node["createdAt"]) >= since)
    deployments = (_deployment_of_node(reader, node) for node in recent_nodes)
    return tuple(deployment for deployment in deployments if deployment is not None)


def _deployment_of_node(reader: HistoryReader, node: Mapping[str, Any]) -> Deployment | None:
    """What the events of all statuses would have left behind; None while none of them is an end."""
    number = deployment_number(node)
    if number is None:
        return None
    statuses = sorted(node["statuses"]["nodes"], key=lambda status: str(status["createdAt"]))
    facts_by_status = (_facts_of_status(reader, node, number, status) for status in statuses)
    facts = [fact for status_facts in facts_by_status for fact in status_facts if isinstance(fact, Deployment)]
    return reduce(keep_newest_success, facts) if facts else None


def _facts_of_status(
    reader: HistoryReader, node: Mapping[str, Any], number: int, status: Mapping[str, Any]
) -> list[object]:
    event = {
        "deployment": {
            "id": number,
            "sha": node["commitOid"],
            "ref": node["ref"] and node["ref"]["name"],
            "task": node["task"],
            "environment": node["environment"],
            "payload": decode_payload(node["payload"]),
            "created_at": node["createdAt"],
        },
        "deployment_status": {
            "state": status["state"].lower(),
            "created_at": status["createdAt"],
            "updated_at": status["updatedAt"],
            "environment": status["environment"],
            "log_url": status["logUrl"],
            "environment_url": status["environmentUrl"],
        },
    }
    return [
        reader.prepare_fact(fact)
        for fact in observe_deployment_status(reader.run, parse_payload(DeploymentStatusEvent, event)).facts
    ]


def decode_payload(json_text: str | None) -> object:
    """What the deployer sent; GraphQL shows it as JSON text, and a text within it once more as one."""
    value: object = json_text
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except ValueError:
            break
    return value


def deployment_number(node: Mapping[str, Any]) -> int | None:
    """The number that REST and events know it by.

    `databaseId` is a GraphQL Int, of 32 bits, and the numbers have outgrown it. The id holds it as well, as the last
    item of a MessagePack list: `DE_kwDOIfJNb85eiWrx`.
    """
    if isinstance(node["databaseId"], int) and node["databaseId"] > 0:
        return int(node["databaseId"])
    encoded_id = str(node["id"]).partition("_")[2]
    try:
        decoded_id = msgspec.msgpack.decode(base64.urlsafe_b64decode(encoded_id + "=" * (-len(encoded_id) % 4)))
    except (ValueError, msgspec.DecodeError):
        return None
    return decoded_id[-1] if isinstance(decoded_id, list) and decoded_id and isinstance(decoded_id[-1], int) else None


_PAGE_SIZE = 100
_MAX_RUNS_PER_LIST = 1000
"""GitHub shows so many runs of a list; older ones are a list of their own, by the time of creation."""
_MAX_OPEN_RUN_AGE = timedelta(days=35)
_CLOCK_SKEW = timedelta(minutes=10)


def read_workflow_runs(reader: HistoryReader) -> Iterator[HistoryPart]:
    """The workflows in one request, then those that deploy by the page of a hundred.

    A run's attempts are one thing, which shows the newest. An attempt that is newer than the last reading is seen if
    the run was created after it, had not ended then, or is among the newest hundred. The cursor comes at the very end:
    pages of REST have no place to go on from.

    Raises:
        GitHubError: by meaning.
    """
    open_run_times: list[datetime] = []
    for workflow in _deploy_workflows(reader):
        for nodes in _run_pages(reader, f"{_workflows_path(reader)}/{workflow['id']}/runs"):
            facts = tuple(fact for node in nodes for fact in _facts_of_run(reader, workflow, node))
            open_run_times += _open_run_times(reader, nodes)
            yield HistoryPart("runs", facts, reached=min(parse_instant(node["created_at"]) for node in nodes))
    yield HistoryPart(
        "runs", cursor=Cursor(newest=min([*open_run_times, reader.run.now - _CLOCK_SKEW])), is_complete=True
    )


def _workflows_path(reader: HistoryReader) -> str:
    return f"/repos/{reader.repository.name}/actions/workflows"


def _deploy_workflow_names(reader: HistoryReader) -> tuple[str, ...]:
    return reader.request.settings.deploy_workflows


def _deploy_workflows(reader: HistoryReader) -> Iterator[Mapping[str, Any]]:
    """The workflows that deploy."""
    for page in count(1):
        workflows = reader.client.get(_workflows_path(reader), {"per_page": _PAGE_SIZE, "page": page})["workflows"]
        yield from (
            workflow
            for workflow in workflows
            if is_deploy_workflow(
                WorkflowPayload(name=workflow["name"], path=workflow["path"]), _deploy_workflow_names(reader)
            )
        )
        if len(workflows) < _PAGE_SIZE:
            return


def _open_run_times(reader: HistoryReader, nodes: list[Mapping[str, Any]]) -> Iterator[datetime]:
    """When the runs were created that had not ended and still may."""
    open_times = (parse_instant(node["created_at"]) for node in nodes if node["status"] != "completed")
    return (created_at for created_at in open_times if reader.run.now - created_at < _MAX_OPEN_RUN_AGE)


def _run_pages(reader: HistoryReader, path: str) -> Iterator[list[Mapping[str, Any]]]:
    """Pages of a workflow's runs, newest first; the first page always, the others as far as was asked."""
    oldest_needed = max(filter(None, (reader.cursor("runs").newest, reader.request.since)), default=None)
    created_until: str | None = None
    page = 1
    while True:
        parameters = {"per_page": _PAGE_SIZE, "page": page} | (
            {"created": f"<={created_until}"} if created_until else {}
        )
        nodes = reader.client.get(path, parameters)["workflow_runs"]
        if nodes:
            yield nodes
        if len(nodes) < _PAGE_SIZE or (oldest_needed and parse_instant(nodes[-1]["created_at"]) < oldest_needed):
            return
        page += 1
        if page * _PAGE_SIZE > _MAX_RUNS_PER_LIST:
            if nodes[-1]["created_at"] == created_until:
                return
            page, created_until = 1, nodes[-1]["created_at"]


def _facts_of_run(reader: HistoryReader, workflow: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[Fact]:
    since = reader.request.since
    if node["status"] != "completed" or (since is not None and parse_instant(node["created_at"]) < since):
        return
    event = {
        "action": "completed",
        "workflow_run": node,
        "workflow": {"name": workflow["name"], "path": workflow["path"]},
        "repository": {"default_branch": reader.repository.default_branch or ""},
    }
    observation = observe_workflow_run(
        reader.run, parse_payload(WorkflowRunEvent, event), _deploy_workflow_names(reader)
    )
    yield from map(reader.prepare_fact, observation.facts)


def read_releases(reader: HistoryReader) -> Iterator[HistoryPart]:
    """One connection and 100 nodes a page: 1 point.

    The list is sorted by the age of the commits. A release of an old commit is seen if it is among the newest hundred.

    Raises:
        GitHubError: by meaning.
    """
    paged_query = reader.paged_query("PastReleases", "releases")
    for step in reader.incremental_read("releases", paged_query, "createdAt").steps():
        facts = tuple(fact for node in step.nodes for fact in _facts_of_release(reader, node))
        yield HistoryPart("releases", facts, step.cursor, step.reached, step.is_complete)


def _facts_of_release(reader: HistoryReader, node: Mapping[str, Any]) -> Iterator[Fact]:
    """A draft is none yet; an event's GITHUB_SHA is the commit of the tag."""
    since, published_at = reader.request.since, node["publishedAt"]
    if node["isDraft"] or not published_at or (since is not None and parse_instant(published_at) < since):
        return
    event = {
        "action": "published",
        "release": {
            "id": node["databaseId"],
            "tag_name": node["tagName"],
            "prerelease": node["isPrerelease"],
            "published_at": published_at,
            "html_url": node["url"],
        },
    }
    run = dataclasses_replace(reader.run, sha=(node["tagCommit"] or {}).get("oid") or "")
    yield from map(
        reader.prepare_fact, observe_release(run, parse_payload(ReleaseEvent, event), reader.request.settings).facts
    )


_PUSHES_NOTE = (
    "Of the past only merges are known as pushes; commits that were pushed directly come with the next of them."
)


def pushes_from_merges(reader: HistoryReader, merged_facts: Iterable[Fact]) -> HistoryPart:
    """What the push events of merges would have left behind; GitHub keeps no list of pushes."""
    changes = [fact for fact in merged_facts if isinstance(fact, Change) and fact.sha and fact.merged_at]
    observations = (
        observe_push(reader.run, _push_event(reader, change), reader.request.settings) for change in changes
    )
    facts = tuple(reader.prepare_fact(fact) for observation in observations for fact in observation.facts)
    return HistoryPart("pushes", facts, is_complete=True, notes=(_PUSHES_NOTE,) if facts else ())


def _push_event(reader: HistoryReader, change: Change) -> PushEvent:
    merged_at = change.merged_at.isoformat() if change.merged_at else None
    event: dict[str, Any] = {
        "ref": f"refs/heads/{reader.repository.default_branch}",
        "after": change.sha,
        "repository": {"default_branch": reader.repository.default_branch, "pushed_at": merged_at},
        "head_commit": {"timestamp": merged_at},
    }
    return parse_payload(PushEvent, event)
