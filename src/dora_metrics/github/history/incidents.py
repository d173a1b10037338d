"""Incidents: issues that have an incident label, or had one until it was taken away."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from dora_metrics.github.events.incidents import observe_issue
from dora_metrics.github.history.pages import HistoryPart, HistoryReader, HistoryRequest, PagedQuery, with_newest
from dora_metrics.github.observation import Observation
from dora_metrics.github.payloads import IssuesEvent, parse_payload

_CLOCK_SKEW = timedelta(minutes=10)


def newest_issue_variables(request: HistoryRequest) -> dict[str, object]:
    """Variables of the newest issues: at first those with a label, later all that changed, as a label may be gone."""
    newest = request.cursors["issues"].newest if "issues" in request.cursors else None
    if newest is None:
        return _labelled_issue_variables(request)
    return {"labels": None, "filter": {"since": newest.isoformat()}}


def _labelled_issue_variables(request: HistoryRequest) -> dict[str, object]:
    since = {"since": request.since.isoformat()} if request.since else None
    return {"labels": list(request.settings.incident_labels), "filter": since}


def read_issues(reader: HistoryReader) -> Iterator[HistoryPart]:
    """201 connections and 15,100 nodes a page of a hundred: 2 points.

    Raises:
        GitHubError: by meaning.
    """
    repository, request = reader.repository, reader.request
    if not repository.has_issues:
        yield HistoryPart(
            "issues",
            is_complete=True,
            notes=(f"Issues are switched off in {repository.name}: none of them is an incident.",),
        )
        return
    newest_query, older_query = (
        _issue_query(reader, newest_issue_variables(request)),
        _issue_query(reader, _labelled_issue_variables(request)),
    )
    for step in reader.incremental_read("issues", newest_query, "updatedAt", older_query).steps():
        observations = [_observe_node(reader, node) for node in step.nodes]
        facts = tuple(reader.prepare_fact(fact) for observation in observations for fact in observation.facts)
        notes = tuple(f"{observation.title}: {note}." for observation in observations for note in observation.notes)
        # What was not labelled at first has not been looked at, and need not be.
        cursor = with_newest(step.cursor, reader.run.now - _CLOCK_SKEW)
        yield HistoryPart("issues", facts, cursor, step.reached, step.is_complete, notes)


def _issue_query(reader: HistoryReader, variables: dict[str, object]) -> PagedQuery:
    return reader.paged_query("PastIssues", "issues", **variables)


def _observe_node(reader: HistoryReader, node: Mapping[str, Any]) -> Observation:
    """What the issue's last event would have said."""
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
    return observe_issue(reader.run, parse_payload(IssuesEvent, event), reader.request.settings.incident_labels)


def _removed_incident_label(reader: HistoryReader, node: Mapping[str, Any], labels: list[str]) -> str | None:
    """An incident label that was taken away, where none is left."""
    incident_labels = {label.lower() for label in reader.request.settings.incident_labels}
    if not incident_labels.isdisjoint(label.lower() for label in labels):
        return None
    removed_labels = (item["label"]["name"] for item in node["timelineItems"]["nodes"] if item)
    return next((name for name in removed_labels if name.lower() in incident_labels), None)
