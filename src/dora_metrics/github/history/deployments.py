"""Deployments in GitHub's history: deployments with statuses, workflow runs, releases, and merges as pushes.

Each is mapped as the event that it was. Runs are read by REST, since GraphQL does not have them.
"""

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from itertools import chain
from typing import Any

import msgspec

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.job_links import job_address
from dora_metrics.core.facts.merge import CLOCK_SKEW, keep_counted_end
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.facts.occurrences import occurrence_key, place_occurrences
from dora_metrics.core.windows import parse_instant
from dora_metrics.github import shapes
from dora_metrics.github.events.deployments import (
    is_deploy_workflow,
    observe_deployment_status,
    observe_push,
    observe_release,
    observe_workflow_run,
)
from dora_metrics.github.history.job_backlog import JobBacklog
from dora_metrics.github.history.pages import MAX_IDS_PER_REQUEST, HistoryPart, HistoryReader
from dora_metrics.github.history.run_attempts import EarlierAttempts, uncounted_workflows_note
from dora_metrics.github.jobs import JobReader
from dora_metrics.github.paging import rest_pages
from dora_metrics.github.payloads import (
    DeploymentStatusEvent,
    PushEvent,
    ReleaseEvent,
    WorkflowPayload,
    WorkflowRunEvent,
    parse_payload,
)
from dora_metrics.github.queries import JsonObject

_FINAL_STATES = frozenset({"SUCCESS", "FAILURE", "ERROR"})
_MAX_OPEN_AGE = timedelta(days=35)
"""GitHub lets a deployment wait 30 days for an approval, and a failed job be run again for 30 days. What is older than
this will not end any more, or not end otherwise."""
_MAX_OPEN_IDS = 1000
"""Deployments that have not ended and are read again by each sync."""
_MAX_FAILED_IDS = 100
"""Deployments that have failed and are read again by each reading, since GitHub lets their jobs run again."""
_PAGE_SIZE = 100
_MAX_RUNS_PER_LIST = 1000
"""GitHub shows this many runs of a list; older ones need a list of their own, filtered by creation time."""


def read_deployments(reader: HistoryReader) -> Iterator[HistoryPart]:
    """Read deployments to all environments.

    The list can only be sorted by creation, so deployments that had not ended, or had failed, are read again by their
    ids. A page of 100 costs 1 point: 101 connections and 10,100 nodes.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    is_production = reader.request.settings.policy.is_production
    jobs = JobReader(reader.client, reader.repository.name, reader.run.server_url, is_production)
    backlog = JobBacklog(reader, jobs)
    reread_nodes = list(_reread_deployments(reader))
    if reread_nodes:
        facts = _facts_of_page(reader, reread_nodes, list(_ended_since(reader, reread_nodes)), backlog)
        yield HistoryPart("deployments", facts, notes=jobs.notes)
    open_nodes = {node["id"]: node for node in reread_nodes if _is_open(reader, node)}
    failed_nodes = {node["id"]: node for node in reread_nodes if _has_failed_lately(reader, node)}
    query = reader.paged_query("DeploymentPage", "deployments")
    for step in reader.incremental_read("deployments", query, "createdAt").steps():
        open_nodes |= {node["id"]: node for node in step.nodes}
        open_nodes = {node_id: node for node_id, node in open_nodes.items() if _is_open(reader, node)}
        failed_nodes |= {node["id"]: node for node in step.nodes}
        failed_nodes = {node_id: node for node_id, node in failed_nodes.items() if _has_failed_lately(reader, node)}
        yield from backlog.before_skipping()
        new_nodes = _ended(node for node in step.nodes if _is_unread(reader, node))
        facts = _facts_of_page(reader, step.nodes, new_nodes, backlog)
        open_ids = _ids_to_reread(reader, open_nodes.values(), _MAX_OPEN_IDS)
        failed_ids = _ids_to_reread(reader, failed_nodes.values(), _MAX_FAILED_IDS)
        cursor = msgspec.structs.replace(step.cursor, open=open_ids, anchors=failed_ids)
        notes = (*jobs.notes, *_open_notes(open_nodes))
        yield HistoryPart("deployments", facts, cursor, step.reached, step.is_complete, notes)
    yield from backlog.parts()


def _facts_of_page(
    reader: HistoryReader, nodes: Iterable[JsonObject], new_nodes: Sequence[JsonObject], backlog: JobBacklog
) -> tuple[Deployment, ...]:
    """Return the deployments that have ended; the new ones among them with their jobs, as far as requests are left."""
    facts = _deployments_of_nodes(reader, nodes, backlog.jobs.jobs_of(new_nodes))
    facts = tuple(_with_recorded_run(reader, fact) for fact in facts)
    node_ids = {ids.github_deployment(number): node["id"] for node in new_nodes if (number := deployment_number(node))}
    backlog.add_page(facts, node_ids)
    return facts


def _with_recorded_run(reader: HistoryReader, deployment: Deployment) -> Deployment:
    """Return a deployment with the event of its run, as recorded: a page shows it again without its job.

    Without the event, the job of a pull request would make deployments the source. One whose job was never read
    counts until it is, so it does make them the source; the cursors of the other sources stay where they are.
    """
    recorded = reader.request.recorded_jobs.get(deployment.id)
    if recorded is None or deployment.run_event is not None:
        return deployment
    return msgspec.structs.replace(deployment, run_event=recorded.run_event)


def reread_ids(cursor: Cursor) -> tuple[str, ...]:
    """Return GitHub's ids of the deployments that each reading reads again: not ended, or failed lately."""
    return (*cursor.open, *cursor.anchors)


def _ids_to_reread(reader: HistoryReader, nodes: Iterable[JsonObject], max_count: int) -> tuple[str, ...]:
    """Return the ids of the deployments to read again: those to production first, then the newest."""
    is_production = reader.request.settings.policy.is_production
    newest_first = sorted(nodes, key=lambda node: (node["createdAt"], node["id"]), reverse=True)
    ordered = sorted(newest_first, key=lambda node: not is_production(node["environment"] or ""))
    return tuple(node["id"] for node in ordered[:max_count])


def _open_notes(open_nodes: Collection[str]) -> Iterator[str]:
    if len(open_nodes) > _MAX_OPEN_IDS:
        yield (
            f"More than {_MAX_OPEN_IDS:,} deployments have not ended. Of these, syncs look again at {_MAX_OPEN_IDS:,}: "
            "those to production first, then the newest. The end of the others stays unknown."
        )


def _reread_deployments(reader: HistoryReader) -> Iterator[JsonObject]:
    """Yield the present state of the deployments of the last reading that are read again, as far as they exist."""
    node_ids = list(reread_ids(reader.cursor("deployments")))
    if reader.reread_deployments is not None:
        yield from reader.reread_deployments
        node_ids = node_ids[MAX_IDS_PER_REQUEST:]
    for start in range(0, len(node_ids), MAX_IDS_PER_REQUEST):
        variables = {"ids": node_ids[start : start + MAX_IDS_PER_REQUEST]}
        yield from filter(None, reader.client.query_existing("DeploymentsById", variables)["nodes"])


def _is_open(reader: HistoryReader, node: JsonObject) -> bool:
    return not _has_ended(node) and _is_recent(reader, node)


def _has_failed_lately(reader: HistoryReader, node: JsonObject) -> bool:
    return _has_ended(node) and not _has_succeeded(node) and _is_recent(reader, node)


def _is_recent(reader: HistoryReader, node: JsonObject) -> bool:
    return reader.run.now - parse_instant(node["createdAt"]) < _MAX_OPEN_AGE


def _ended_since(reader: HistoryReader, nodes: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """Yield the deployments that have another end than at the last reading, so that another job may have made it."""
    failed_ids = {*reader.cursor("deployments").anchors}
    for node in nodes:
        if _has_succeeded(node) if node["id"] in failed_ids else _has_ended(node):
            yield node


def _is_unread(reader: HistoryReader, node: JsonObject) -> bool:
    """Whether a deployment is outside of what the last reading has read."""
    cursor, created_at = reader.cursor("deployments"), parse_instant(node["createdAt"])
    if cursor.newest is None or created_at > cursor.newest:
        return True
    return cursor.reached is not None and created_at < cursor.reached


def _ended(nodes: Iterable[JsonObject]) -> list[JsonObject]:
    return [node for node in nodes if _has_ended(node)]


def _has_ended(node: JsonObject) -> bool:
    return any(status["state"] in _FINAL_STATES for status in node["statuses"]["nodes"])


def _has_succeeded(node: JsonObject) -> bool:
    return any(status["state"] == "SUCCESS" for status in node["statuses"]["nodes"])


def _deployments_of_nodes(
    reader: HistoryReader, nodes: Iterable[JsonObject], jobs: Mapping[str, JsonObject]
) -> tuple[Deployment, ...]:
    """Return the deployments that have ended, as far as they are not older than requested.

    `jobs` are the check runs that made them, by the ids of the deployments.
    """
    recent = (node for node in nodes if not reader.request.is_too_old(parse_instant(node["createdAt"])))
    deployments = (_deployment_of_node(reader, node, jobs.get(node["id"])) for node in recent)
    return tuple(deployment for deployment in deployments if deployment is not None)


def _deployment_of_node(reader: HistoryReader, node: JsonObject, job: JsonObject | None) -> Deployment | None:
    """Return the fact that the events of all statuses would have left; None if no status is final."""
    number = deployment_number(node)
    if number is None:
        return None
    statuses = sorted(node["statuses"]["nodes"], key=lambda status: str(status["createdAt"]))
    statuses = [_under_present_name(status, reader.repository.name) for status in statuses] if job else statuses
    events = (_status_event(node, number, status, job) for status in statuses)
    in_progress_at = _first_in_progress(statuses)
    observations = (observe_deployment_status(reader.run, event, in_progress_at) for event in events)
    facts = (reader.prepare_fact(fact) for observation in observations for fact in observation.facts)
    deployments = [fact for fact in facts if isinstance(fact, Deployment)]
    return reduce(keep_counted_end, deployments) if deployments else None


def _under_present_name(status: JsonObject, repository: str) -> JsonObject:
    """Return a status whose job is known to be this repository's, which may have had another name then."""
    return {**status, "logUrl": job_address(status["logUrl"], repository)}


def _first_in_progress(statuses: Iterable[JsonObject]) -> datetime | None:
    """Return when a deployment began; one with an approval was created when it began to wait for that."""
    times = (status["createdAt"] for status in statuses if status["state"] == "IN_PROGRESS")
    first_time = min(times, default=None)
    return parse_instant(first_time) if first_time else None


def _status_event(node: JsonObject, number: int, status: JsonObject, job: JsonObject | None) -> DeploymentStatusEvent:
    """Return the event of a status."""
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
        **(_job_payloads(job) if job else {}),
    }
    return parse_payload(DeploymentStatusEvent, event)


def _job_payloads(job: JsonObject) -> JsonObject:
    """Return what an event says of the job that made its deployment."""
    run = (job["checkSuite"] or {}).get("workflowRun") or {}
    conclusion = (job.get("conclusion") or "").lower() or None
    return {
        "check_run": {"name": job["name"], "started_at": job["startedAt"], "conclusion": conclusion},
        "workflow_run": {"event": run.get("event")},
        "workflow": {"name": (run.get("workflow") or {}).get("name")},
    }


def decode_payload(json_text: str | None) -> object:
    """Decode the deployer's payload: GraphQL shows it as JSON text, and a text in it is JSON once more."""
    value: object = json_text
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value


def deployment_number(node: JsonObject) -> int | None:
    """Return the number that REST and events use as id; None if it cannot be read.

    `databaseId` is a GraphQL Int of 32 bits, and newer numbers are larger. The node id, such as `DE_kwDOIfJNb85eiWrx`,
    holds the number as the last item of a MessagePack list.
    """
    if isinstance(node["databaseId"], int) and node["databaseId"] > 0:
        return int(node["databaseId"])
    encoded_id = str(node["id"]).partition("_")[2]
    try:
        decoded_id = msgspec.msgpack.decode(base64.urlsafe_b64decode(encoded_id + "=" * (-len(encoded_id) % 4)))
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    return decoded_id[-1] if isinstance(decoded_id, list) and decoded_id and isinstance(decoded_id[-1], int) else None


def read_workflow_runs(reader: HistoryReader) -> Iterator[HistoryPart]:
    """Read the workflows in one request, then the runs of those that deploy by pages of 100.

    A list shows the newest attempt of a run; the earlier ones take a request each. An attempt after the last reading is
    read if its run was created after that, had not ended then, or is among the newest 100. Where a run has not ended,
    the next reading lists the runs from that one on. The cursor comes with the last part, because pages of REST have no
    token to resume from.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    workflows = list(_workflows(reader))
    deploying = [workflow for workflow in workflows if _deploys(reader, workflow)]
    earlier_attempts = EarlierAttempts(reader)
    earlier_attempts.read_what_was_left()
    open_run_times: list[datetime] = []
    has_success = "workflow-runs" in reader.request.known_sources
    for part in chain(
        _parts_of_runs(reader, deploying, earlier_attempts, open_run_times),
        _parts_of_rests(reader, deploying, earlier_attempts),
        _parts_of_last_reading(reader, deploying, earlier_attempts),
    ):
        has_success |= any(isinstance(fact, Deployment) and fact.status == "success" for fact in part.facts)
        yield part
    oldest_open = min(open_run_times, default=None)
    cursor = Cursor(reader.run.now - CLOCK_SKEW, reached=oldest_open, open=earlier_attempts.cursor_entries)
    uncounted_note = None if has_success else uncounted_workflows_note(reader, workflows)
    notes = (*filter(None, (uncounted_note,)), *earlier_attempts.notes())
    yield HistoryPart("runs", cursor=cursor, is_complete=True, notes=notes)


def _parts_of_runs(
    reader: HistoryReader,
    workflows: Iterable[JsonObject],
    earlier_attempts: EarlierAttempts,
    open_run_times: list[datetime],
) -> Iterator[HistoryPart]:
    """Yield the runs of workflows; adds the times of those that have not ended."""
    cursor = reader.cursor("runs")
    unread_since = min(filter(None, (cursor.newest, cursor.reached)), default=None)
    oldest_needed = max(filter(None, (unread_since, reader.request.since)), default=None)
    for workflow in workflows:
        for nodes in _run_pages(reader, workflow, oldest_needed):
            counted = [node for node in nodes if _may_count(reader, workflow, node)]
            attempts = ([*earlier_attempts.of_run(workflow["id"], node), node] for node in counted)
            facts = tuple(fact for run in attempts for fact in _facts_of_attempts(reader, workflow, run))
            open_run_times += _open_run_times(reader, nodes)
            yield HistoryPart("runs", facts, reached=min(parse_instant(node["created_at"]) for node in nodes))


def _parts_of_last_reading(
    reader: HistoryReader, workflows: Iterable[JsonObject], earlier_attempts: EarlierAttempts
) -> Iterator[HistoryPart]:
    """Yield the earlier attempts that the last reading left, of runs that the lists do not have."""
    workflows_by_path = {workflow["path"]: workflow for workflow in workflows}
    for attempts in earlier_attempts.of_runs_not_listed():
        workflow = workflows_by_path.get(attempts[0]["path"].partition("@")[0]) if attempts else None
        if workflow:
            yield HistoryPart("runs", _facts_of_attempts(reader, workflow, attempts))


def _parts_of_rests(
    reader: HistoryReader, workflows: Iterable[JsonObject], earlier_attempts: EarlierAttempts
) -> Iterator[HistoryPart]:
    """Yield the earlier attempts of the runs that the last reading could not name."""
    for workflow in workflows:
        created_until = earlier_attempts.rest_of_last_reading(workflow["id"])
        for nodes in _run_pages(reader, workflow, reader.request.since, created_until) if created_until else ():
            counted = (node for node in nodes if _may_count(reader, workflow, node))
            runs = ([*earlier_attempts.of_rest(workflow["id"], node), node] for node in counted)
            yield HistoryPart("runs", tuple(fact for run in runs for fact in _facts_of_attempts(reader, workflow, run)))
            if earlier_attempts.is_left(workflow["id"]):
                break


def _facts_of_attempts(
    reader: HistoryReader, workflow: JsonObject, attempts: Iterable[JsonObject]
) -> tuple[Deployment, ...]:
    """Return the deployments of a run, given its attempts."""
    facts = (fact for node in attempts for fact in _facts_of_run(reader, workflow, node))
    deployments = {occurrence_key(fact): fact for fact in facts if isinstance(fact, Deployment)}
    return tuple(place_occurrences(deployments).values()) if deployments else ()


def _workflows_path(reader: HistoryReader) -> str:
    return f"/repos/{reader.repository.name}/actions/workflows"


def _workflows(reader: HistoryReader) -> Iterator[JsonObject]:
    """Yield all workflows."""
    parameters = {"per_page": _PAGE_SIZE}
    for page in rest_pages(reader.client, _workflows_path(reader), parameters, shapes.Workflows, "workflows"):
        yield from page["workflows"]


def _deploys(reader: HistoryReader, workflow: JsonObject) -> bool:
    payload = WorkflowPayload(name=workflow["name"], path=workflow["path"])
    return is_deploy_workflow(payload, reader.request.settings.deploy_workflows)


def _open_run_times(reader: HistoryReader, nodes: list[JsonObject]) -> Iterator[datetime]:
    """Yield the creation times of the runs that have not ended and still may."""
    open_times = (parse_instant(node["created_at"]) for node in nodes if node["status"] != "completed")
    return (created_at for created_at in open_times if reader.run.now - created_at < _MAX_OPEN_AGE)


def _run_pages(
    reader: HistoryReader, workflow: JsonObject, oldest_needed: datetime | None, created_until: str | None = None
) -> Iterator[list[JsonObject]]:
    """Yield the pages of a workflow's runs, newest first: always the first page, the others as far as needed.

    With `created_until` only runs that were created by then.
    """
    path = f"{_workflows_path(reader)}/{workflow['id']}/runs"
    while True:
        parameters = {"per_page": _PAGE_SIZE, **({"created": f"<={created_until}"} if created_until else {})}
        read_count, total_count, oldest = 0, 0, created_until
        for page in rest_pages(reader.client, path, parameters, shapes.WorkflowRuns, "workflow_runs"):
            nodes = page["workflow_runs"]
            read_count, total_count = read_count + len(nodes), page.get("total_count", 0)
            if nodes:
                yield nodes
                oldest = nodes[-1]["created_at"]
                if oldest_needed and parse_instant(oldest) < oldest_needed:
                    return
        is_cut = read_count >= _MAX_RUNS_PER_LIST or read_count < total_count
        if not is_cut or oldest == created_until:
            return
        created_until = oldest


def _may_count(reader: HistoryReader, workflow: JsonObject, node: JsonObject) -> bool:
    """Whether an attempt of a run counts if it succeeds: the earlier ones may have ended although this one has not."""
    return any(_facts_of_run(reader, workflow, {**node, "status": "completed", "conclusion": "success"}))


def _facts_of_run(reader: HistoryReader, workflow: JsonObject, node: JsonObject) -> Iterator[Fact]:
    """Yield the deployment of a completed run."""
    if node["status"] != "completed" or reader.request.is_too_old(parse_instant(node["created_at"])):
        return
    event = {
        "action": "completed",
        "workflow_run": node,
        "workflow": {"name": workflow["name"], "path": workflow["path"]},
        "repository": {"default_branch": reader.repository.default_branch or ""},
    }
    run_event = parse_payload(WorkflowRunEvent, event)
    observation = observe_workflow_run(reader.run, run_event, reader.request.settings)
    yield from map(reader.prepare_fact, observation.facts)


def read_releases(reader: HistoryReader) -> Iterator[HistoryPart]:
    """Read published releases. A page of 100 costs 1 point: one connection and 100 nodes.

    The list is sorted by the age of the commits. A release of an old commit is read if it is among the newest 100.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    query = reader.paged_query("ReleasePage", "releases")
    for step in reader.incremental_read("releases", query, "createdAt").steps():
        facts = tuple(fact for node in step.nodes for fact in _facts_of_release(reader, node))
        yield HistoryPart("releases", facts, step.cursor, step.reached, step.is_complete)


def _facts_of_release(reader: HistoryReader, node: JsonObject) -> Iterator[Fact]:
    """Yield the deployment of a published release; GITHUB_SHA of its event is the commit of the tag."""
    published_at = node["publishedAt"]
    if node["isDraft"] or not published_at or reader.request.is_too_old(parse_instant(published_at)):
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
    run = replace(reader.run, sha=(node["tagCommit"] or {}).get("oid") or "")
    observation = observe_release(run, parse_payload(ReleaseEvent, event), reader.request.settings)
    yield from map(reader.prepare_fact, observation.facts)


_PUSHES_NOTE = "Past pushes are known only from merges; a commit that was pushed directly counts with the next merge."


def pushes_from_merges(reader: HistoryReader, merged_facts: Iterable[Fact]) -> HistoryPart:
    """Return the deployments that the push events of merges would have left; GitHub keeps no list of pushes."""
    changes = [fact for fact in merged_facts if isinstance(fact, Change) and fact.sha and fact.merged_at]
    events = (_push_event(reader, change) for change in changes)
    observations = (observe_push(reader.run, event, reader.request.settings) for event in events)
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
