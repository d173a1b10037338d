"""What reached production in a period, the newest first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.core.markdown import Md, link, md
from dora_metrics.core.metrics.calculate import deployments_in, successes
from dora_metrics.core.metrics.scope_history import Record, cut
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.event_story import change_name, name
from dora_metrics.core.windows import Window

_LONGEST_TITLE = 200


@dataclass(frozen=True)
class Delivery:
    """A deployment with the changes it brought; `more`: those that are not listed."""

    text: Md
    changes: tuple[Md, ...]
    more: int


@dataclass(frozen=True)
class Delivered:
    """`count` deployments with `changes` changes; `more`: the deployments that are not listed."""

    count: int
    changes: int
    listed: tuple[Delivery, ...]
    more: int

    @property
    def title(self) -> str:
        return f"{formatting.count(self.count, 'deployment')}, {formatting.count(self.changes, 'change')}"


def delivered(record: Record, window: Window, policy: Policy, deployments: int, changes: int) -> Delivered:
    """At most so many deployments, each with at most so many changes."""
    found = successes(deployments_in(record, window))[::-1]
    brought = _brought(record, window)
    listed = tuple(
        _delivery(one, record, policy, tuple(brought[one.id])[:changes], len(brought[one.id]))
        for one in found[:deployments]
    )
    return Delivered(len(found), sum(map(len, brought.values())), listed, len(found) - len(listed))


def _brought(record: Record, window: Window) -> Mapping[str, Mapping[str, None]]:
    """By deployment the changes that it was the first to bring, also those that are in no lead time."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for lead in cut(record.leads.measured, window, lambda one: one.at):
        found[lead.deployment][lead.change] = None
    for exclusion in cut(record.leads.excluded, window, lambda one: one.at):
        found[exclusion.deployment][exclusion.change] = None
    return found


def _delivery(one: Deployment, record: Record, policy: Policy, shown: Sequence[str], count: int) -> Delivery:
    size = formatting.count(count, "change")
    if one is record.first_success:
        size = "the first known deployment, which only bounds the next one"
    elif one.changes is None:
        size = "changes not known"
    text = md("{}, {}, {}", name(one), formatting.when(one.finished_at, policy.zone), size)
    return Delivery(text, tuple(_change(change, record) for change in shown), count - len(shown))


def _change(identity: str, record: Record) -> Md:
    change = record.changes.get(identity)
    title = " ".join((change.title or "").split()) if change else ""
    shown = title if len(title) <= _LONGEST_TITLE else f"{title[:_LONGEST_TITLE]}…"
    return md("{} {}", change_name(identity, change), shown) if shown else change_name(identity, change)


def open_incidents(record: Record, window: Window, policy: Policy, most: int) -> tuple[list[Md], int]:
    """The incidents up to the end of a window that nobody has resolved, the oldest first; and how many more."""
    known = (one.incident for one in record.incidents if one.incident.detected_at < window.end)
    found = [incident for incident in known if incident.resolved_at is None]
    return [_incident(one, policy) for one in found[:most]], max(0, len(found) - most)


def _incident(one: Incident, policy: Policy) -> Md:
    severity = f", {one.severity}" if one.severity else ""
    since = formatting.when(one.detected_at, policy.zone)
    return md("{}{}, since {}", link(one.title or one.id, one.url), severity, since)
