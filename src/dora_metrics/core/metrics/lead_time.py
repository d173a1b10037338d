"""Lead times: for each delivered change, how long it took and through which stages (DEFINITIONS §2, metric 2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.model import Change
from dora_metrics.core.linking.link import Delivery, Line
from dora_metrics.core.policy import Policy

STAGES = ("coding", "pickup", "review", "delivery")


class Lead(NamedTuple):
    """One measured change, or one commit of it; `at` is when it was deployed.

    `staged` is the change that its stages are read from: None for all commits of a change but the first.
    """

    at: datetime
    change: str
    deployment: str
    seconds: float
    sha: str | None
    staged: Change | None


class Exclusion(NamedTuple):
    """Delivered, but in no lead time."""

    at: datetime
    reason: str
    changes: int
    change: str
    deployment: str


@dataclass
class Leads:
    """A scope's lead times and exclusions, both in order of deployment."""

    measured: list[Lead] = field(default_factory=list)
    excluded: list[Exclusion] = field(default_factory=list)


def leads(line: Line, policy: Policy) -> Leads:
    """What everything that a scope delivered counts for; each exclusion by the first reason that holds."""
    found = Leads()
    seen: set[str] = set()
    for delivery in line.deliveries:
        change = delivery.fact
        starts = [(start, sha) for start, sha in _starts(change, policy) if sha not in seen]
        seen.update(sha for _, sha in starts if sha)
        if reason := _excluded_whole(delivery, change, policy):
            by = delivery.deployment
            found.excluded.append(Exclusion(by.finished_at, reason, len(starts), delivery.change, by.id))
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
    at, deployment = delivery.deployment.finished_at, delivery.deployment.id
    for start, sha in starts:
        if start is None:
            found.excluded.append(Exclusion(at, "no_start", 1, delivery.change, deployment))
        elif start > at:
            found.excluded.append(Exclusion(at, "negative", 1, delivery.change, deployment))
        else:
            seconds = (at - start).total_seconds()
            found.measured.append(Lead(at, delivery.change, deployment, seconds, sha, change))
            change = None


def stages(leads: Iterable[Lead]) -> dict[str, list[float]]:
    """The seconds of each stage, sorted, where they are known; a negative span is dropped."""
    found: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for lead in leads:
        for stage, (start, end) in spans(lead.staged, lead.at):
            if start and end and start <= end:
                found[stage].append((end - start).total_seconds())
    return {stage: sorted(seconds) for stage, seconds in found.items()}


def spans(change: Change | None, at: datetime) -> Iterator[tuple[str, tuple[datetime | None, datetime | None]]]:
    """A direct commit has no stages but delivery, for which it has waited since it was made."""
    if change is not None:
        merged = change.merged_at or (change.first_commit_at if change.id.startswith("commit:") else None)
        yield "coding", (change.first_commit_at, change.opened_at)
        yield "pickup", (change.opened_at, change.first_review_at)
        yield "review", (change.opened_at, change.merged_at)
        yield "delivery", (merged, at)
