"""Merges into the default branch as the pushes that they were, for repositories that show nothing better."""

from collections.abc import Iterable
from typing import Any

from dora_metrics.core.facts.model import Change, Fact
from dora_metrics.github.events.deployments import pushed
from dora_metrics.github.history.asking import Asking
from dora_metrics.github.history.pages import Part
from dora_metrics.github.payloads import PushEvent
from dora_metrics.github.reading import read

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
