"""Lead times: for each delivered change, how long it took and through which stages (DEFINITIONS §2, metric 2)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts import Change
from dora_metrics.core.linking import Delivery, Line
from dora_metrics.core.policy import Policy

STAGES = ("coding", "pickup", "review", "delivery")


class Lead(NamedTuple):
    """One measured change, or one commit of it; `at` is when it was deployed. A stage that is not known is None."""

    at: datetime
    change: str
    deployment: str
    seconds: float
    sha: str | None
    stages: tuple[float | None, ...]


class Exclusion(NamedTuple):
    """Delivered, but in no lead time."""

    at: datetime
    reason: str
    changes: int


@dataclass
class Leads:
    """A scope's lead times and exclusions, both in order of deployment."""

    measured: list[Lead] = field(default_factory=list)
    excluded: list[Exclusion] = field(default_factory=list)


def leads(line: Line, changes: dict[str, Change], policy: Policy) -> Leads:
    """What everything that a scope delivered counts for; each exclusion by the first reason that holds."""
    found = Leads()
    seen: set[str] = set()
    for delivery in line.deliveries:
        change = changes.get(delivery.change)
        starts = [(start, sha) for start, sha in _starts(change, policy) if sha not in seen]
        seen.update(sha for _, sha in starts if sha)
        if reason := _excluded_whole(delivery, change, policy):
            found.excluded.append(Exclusion(delivery.deployment.finished_at, reason, len(starts)))
        else:
            _measure(found, delivery, change, starts)
    return found


def _excluded_whole(delivery: Delivery, change: Change | None, policy: Policy) -> str | None:
    if delivery.bounding:
        return "first_deployment"
    return "bots" if change and change.bot and policy.exclude_bots else None


def _starts(  # noqa: PLR0911 - one a way to start
    change: Change | None, policy: Policy
) -> list[tuple[datetime | None, str | None]]:
    """When the change began, or each of its commits with its sha; None where that is not known."""
    if change is None:
        return [(None, None)]
    direct = change.id.startswith("commit:")
    match policy.lead_time_start:
        case "commit" if direct:
            return [(change.first_commit_at, change.sha or change.id.removeprefix("commit:"))]
        case "commit" if change.commits is None:
            return [(None, None)]
        case "commit":
            return [(commit.authored_at, commit.sha) for commit in change.commits or ()]
        case "opened" if not direct:
            return [(change.opened_at, None)]
        case "merged" if not direct:
            return [(change.merged_at, None)]
        case _:
            return [(change.first_commit_at, None)]


def _measure(
    found: Leads, delivery: Delivery, change: Change | None, starts: list[tuple[datetime | None, str | None]]
) -> None:
    at = delivery.deployment.finished_at
    stages = tuple(_stages(change, at)) if change else ()
    for start, sha in starts:
        if start is None:
            found.excluded.append(Exclusion(at, "no_start", 1))
        elif start > at:
            found.excluded.append(Exclusion(at, "negative", 1))
        else:
            seconds = (at - start).total_seconds()
            found.measured.append(Lead(at, delivery.change, delivery.deployment.id, seconds, sha, stages))
            stages = (None,) * len(stages)


def _stages(change: Change, at: datetime) -> Iterator[float | None]:
    """A change's stages, in the order of STAGES; a negative span is dropped. A direct commit only waits."""
    merged = change.merged_at or (change.first_commit_at if change.id.startswith("commit:") else None)
    spans = (
        (change.first_commit_at, change.opened_at),
        (change.opened_at, change.first_review_at),
        (change.opened_at, change.merged_at),
        (merged, at),
    )
    for start, end in spans:
        yield (end - start).total_seconds() if start and end and start <= end else None
