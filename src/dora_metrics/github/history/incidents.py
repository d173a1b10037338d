"""Incidents: issues that have an incident label, or had one until it was taken away."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from dora_metrics.github.events.incidents import seen
from dora_metrics.github.history.pages import Asking, Pages, Part, Wanted, replace_newest
from dora_metrics.github.observation import Observed
from dora_metrics.github.payloads import IssuesEvent, read

_CLOCKS = timedelta(minutes=10)


def asked(wanted: Wanted) -> dict[str, object]:
    """Variables of the newest issues: at first those with a label, later all that changed, as a label may be gone."""
    newest = wanted.cursors["issues"].newest if "issues" in wanted.cursors else None
    if newest is None:
        return _labelled(wanted)
    return {"labels": None, "filter": {"since": newest.isoformat()}}


def _labelled(wanted: Wanted) -> dict[str, object]:
    since = {"since": wanted.since.isoformat()} if wanted.since else None
    return {"labels": list(wanted.settings.incident_labels), "filter": since}


def issues(asking: Asking) -> Iterator[Part]:
    """201 connections and 15,100 nodes a page of a hundred: 2 points.

    Raises:
        GitHubError: by meaning.
    """
    home, wanted = asking.home, asking.wanted
    if not home.has_issues:
        yield Part(
            "issues", done=True, notes=(f"Issues are switched off in {home.name}: none of them is an incident.",)
        )
        return
    newest, older = _pages(asking, asked(wanted)), _pages(asking, _labelled(wanted))
    for stretch in asking.reading("issues", newest, "updatedAt", older).stretches():
        observed = [_observed(asking, node) for node in stretch.nodes]
        facts = tuple(asking.kept(fact) for one in observed for fact in one.facts)
        notes = tuple(f"{one.title}: {note}." for one in observed for note in one.notes)
        # What was not labelled at first has not been looked at, and need not be.
        cursor = replace_newest(stretch.cursor, asking.run.now - _CLOCKS)
        yield Part("issues", facts, cursor, stretch.reached, stretch.done, notes)


def _pages(asking: Asking, variables: dict[str, object]) -> Pages:
    return asking.pages("PastIssues", "issues", **variables)


def _observed(asking: Asking, node: Mapping[str, Any]) -> Observed:
    """What the issue's last event would have said."""
    labels = [label["name"] for label in node["labels"]["nodes"]]
    lost = _lost(asking, node, labels)
    event = {
        "action": "unlabeled" if lost else "edited",
        "label": {"name": lost} if lost else None,
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
    return seen(asking.run, read(IssuesEvent, event), asking.wanted.settings.incident_labels)


def _lost(asking: Asking, node: Mapping[str, Any], labels: list[str]) -> str | None:
    """An incident label that was taken away, where none is left."""
    wanted = {label.lower() for label in asking.wanted.settings.incident_labels}
    if not wanted.isdisjoint(label.lower() for label in labels):
        return None
    taken = (item["label"]["name"] for item in node["timelineItems"]["nodes"] if item)
    return next((name for name in taken if name.lower() in wanted), None)
