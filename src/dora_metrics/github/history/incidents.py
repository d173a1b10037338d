"""Incidents in GitHub's history: issues that have an incident label, or had one until it was removed."""

from collections.abc import Iterator

from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.github.events.incidents import observe_issue
from dora_metrics.github.history.pages import (
    HistoryPart,
    HistoryReader,
    HistoryRequest,
    PagedQuery,
)
from dora_metrics.github.observation import Observation, Recorded
from dora_metrics.github.payloads import IssuesEvent, parse_payload
from dora_metrics.github.queries import JsonObject


def read_issues(reader: HistoryReader) -> Iterator[HistoryPart]:
    """Read the issues that are incidents. A page of 100 costs 2 points: 201 connections and 15,100 nodes.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    repository, request = reader.repository, reader.request
    if not repository.has_issues:
        note = f"Issues are switched off in {repository.name}, so it has no incidents from issues."
        yield HistoryPart("issues", is_complete=True, notes=(note,))
        return
    takes_all = _takes_all_issues(request)
    newest = _issue_query(reader, newest_issue_variables(request))
    older = _issue_query(reader, _older_issue_variables(request))
    # Issues without a label need not be read, so the cursor moves to the present even if none was changed.
    complete_until = reader.run.now - CLOCK_SKEW
    for step in reader.incremental_read("issues", newest, "updatedAt", older, complete_until).steps():
        observations = [_observe_node(reader, node) for node in step.nodes]
        facts = tuple(reader.prepare_fact(fact) for observation in observations for fact in observation.facts)
        notes = tuple(f"{observation.title}: {note}." for observation in observations for note in observation.notes)
        cursor = replace(step.cursor, takes_all=takes_all and step.cursor.after is not None)
        yield HistoryPart("issues", facts, cursor, step.reached, step.is_complete, notes)


def newest_issue_variables(request: HistoryRequest) -> dict[str, object]:
    """Return the query variables for the newest issues.

    The first reading takes issues with an incident label. Later ones take all that changed, since the label may be
    gone; so does the first one if incidents are recorded.
    """
    newest = _issue_cursor(request).newest
    if newest is None:
        return _older_issue_variables(request)
    return {"labels": None, "filter": {"since": newest.isoformat()}}


def _older_issue_variables(request: HistoryRequest) -> dict[str, object]:
    since = {"since": request.since.isoformat()} if request.since else None
    labels = None if _takes_all_issues(request) else list(request.settings.incident_labels)
    return {"labels": labels, "filter": since}


def _takes_all_issues(request: HistoryRequest) -> bool:
    """Whether issues without an incident label are read too, since a recorded incident may have lost its label.

    An interrupted reading goes on as it began: GitHub's token of its next page belongs to that list.
    """
    cursor = _issue_cursor(request)
    return bool(request.recorded_incidents) if cursor.newest is None else cursor.takes_all


def _issue_cursor(request: HistoryRequest) -> Cursor:
    return request.cursors.get("issues", Cursor())


def _issue_query(reader: HistoryReader, variables: dict[str, object]) -> PagedQuery:
    return reader.paged_query("IssuePage", "issues", **variables)


def _observe_node(reader: HistoryReader, node: JsonObject) -> Observation:
    """Return what the last event of the issue would have reported."""
    labels = [label["name"] for label in node["labels"]["nodes"]]
    removed_label = _removed_incident_label(reader, node, labels)
    event = {
        "action": "unlabeled" if removed_label else "edited",
        "label": {"name": removed_label} if removed_label else None,
        "issue": {
            "number": node["number"],
            "title": node["title"],
            "body": node["body"],
            "state": node["state"].lower(),
            "state_reason": node["stateReason"] and node["stateReason"].lower(),
            "created_at": node["createdAt"],
            "updated_at": node["updatedAt"],
            "closed_at": node["closedAt"],
            "labels": [{"name": label} for label in labels],
            "html_url": node["url"],
        },
    }
    request = reader.request
    recorded = Recorded(has=request.recorded_incidents.__contains__)
    return observe_issue(reader.run, parse_payload(IssuesEvent, event), request.settings.incident_labels, recorded)


def _removed_incident_label(reader: HistoryReader, node: JsonObject, labels: list[str]) -> str | None:
    """Return an incident label that was removed; None if the issue still has one."""
    incident_labels = {label.lower() for label in reader.request.settings.incident_labels}
    if not incident_labels.isdisjoint(label.lower() for label in labels):
        return None
    removed_labels = (item["label"]["name"] for item in node["timelineItems"]["nodes"] if item)
    return next((name for name in removed_labels if name.lower() in incident_labels), None)
