"""Lead time of each delivered change, in total and by stage (docs/definitions.md, "The five metrics")."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import GIT_SOURCE, Change
from dora_metrics.core.linking.delivered_changes import DeliveredChange
from dora_metrics.core.linking.link import ScopeTimeline
from dora_metrics.core.policy import Policy

STAGES = ("coding", "pickup", "review", "delivery")


class MeasuredChange(NamedTuple):
    """The lead time of one change, or of one of its commits with `lead-time-start: commit`.

    `seconds` is the lead time. `commit_sha` is set only for a commit. `stage_source` is the change that the stages are
    read from; only the first commit of a change has it, so that each change counts once in the stages.
    """

    deployed_at: datetime
    change_id: str
    deployment_id: str
    seconds: float
    commit_sha: str | None
    stage_source: Change | None


class ExcludedChange(NamedTuple):
    """A delivered change without a lead time.

    `reason` is a field of `schema.Excluded`. `change_count` is the number of its commits with
    `lead-time-start: commit`, otherwise 1.
    """

    deployed_at: datetime
    reason: str
    change_count: int
    change_id: str
    deployment_id: str


class LeadTimes(Struct):
    """All lead times and exclusions of a scope, both in the order of their deployments."""

    measured: list[MeasuredChange] = []
    excluded: list[ExcludedChange] = []


def measure_lead_times(timeline: ScopeTimeline, policy: Policy) -> LeadTimes:
    """Measure every change that a scope delivered.

    An excluded change has the first reason that applies: first_deployment, bots, no_start, negative. A commit is
    measured once, also if several changes contain it, or if one names it twice.
    """
    lead_times = LeadTimes()
    measured_shas: set[str] = set()
    for delivery in timeline.delivered_changes:
        change = delivery.change
        starts = _start_times(change, policy)
        if policy.lead_time_start == "commit":
            starts = list(_not_measured_yet(starts, measured_shas))
        if reason := _exclusion_reason(delivery, change, policy):
            deployment = delivery.deployment
            lead_times.excluded.append(
                ExcludedChange(deployment.finished_at, reason, len(starts), delivery.change_id, deployment.id)
            )
        else:
            _measure_change(lead_times, delivery, change, starts)
    return lead_times


def _not_measured_yet(
    starts: Iterable[tuple[datetime | None, str | None]], measured_shas: set[str]
) -> Iterator[tuple[datetime | None, str | None]]:
    """Yield the starts of commits that are not among `measured_shas`, and add these."""
    for start, sha in starts:
        if sha not in measured_shas:
            measured_shas.update((sha,) if sha else ())
            yield start, sha


def _exclusion_reason(delivery: DeliveredChange, change: Change | None, policy: Policy) -> str | None:
    if delivery.is_baseline:
        return "first_deployment"
    return "bots" if change and change.bot and policy.exclude_bots else None


def _start_times(  # noqa: PLR0911 - one return for each kind of start
    change: Change | None, policy: Policy
) -> list[tuple[datetime | None, str | None]]:
    """Return the start of the change, or of each of its commits with the commit's sha. An unknown start is None."""
    if change is None:
        return [(None, None)]
    is_direct_commit = ids.is_commit(change.id)
    match policy.lead_time_start:
        case "commit" if is_direct_commit:
            return [(change.first_commit_at, change.sha or ids.without_commit_prefix(change.id))]
        case "commit" if change.commits is None:
            return [(None, None)]
        case "commit":
            return [(commit.authored_at, commit.sha) for commit in change.commits or ()]
        case "opened" if not is_direct_commit:
            return [(change.opened_at, None)]
        case "merged" if not is_direct_commit:
            return [(change.merged_at, None)]
        case _:
            return [(change.first_commit_at, None)]


def _measure_change(
    lead_times: LeadTimes,
    delivery: DeliveredChange,
    stage_source: Change | None,
    starts: list[tuple[datetime | None, str | None]],
) -> None:
    """Add the change, or each of its commits, to `lead_times`."""
    deployed_at, deployment_id = delivery.deployment.finished_at, delivery.deployment.id
    for start, sha in starts:
        if start is None:
            lead_times.excluded.append(ExcludedChange(deployed_at, "no_start", 1, delivery.change_id, deployment_id))
        elif start > deployed_at:
            lead_times.excluded.append(ExcludedChange(deployed_at, "negative", 1, delivery.change_id, deployment_id))
        else:
            seconds = (deployed_at - start).total_seconds()
            lead_times.measured.append(
                MeasuredChange(deployed_at, delivery.change_id, deployment_id, seconds, sha, stage_source)
            )
            stage_source = None


def starts_too_late(measured: MeasuredChange, policy: Policy) -> bool:
    """Whether lead time begins before the merge, but a git history shows only the merge of a squashed change."""
    change = measured.stage_source
    if change is None or change.source != GIT_SOURCE or policy.lead_time_start == "merged":
        return False
    return is_squash_without_branch(change)


def is_squash_without_branch(change: Change) -> bool:
    """Whether a pull request landed as one commit, and that commit is all that is known of it."""
    return bool(change.commits) and [commit.sha for commit in change.commits or ()] == [change.sha]


def sorted_stage_seconds(changes: Iterable[MeasuredChange]) -> dict[str, list[float]]:
    """Return the known durations of each stage in seconds, sorted. Negative ones are dropped."""
    all_seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for change in changes:
        for stage, seconds in seconds_by_stage(change).items():
            all_seconds[stage].append(seconds)
    return {stage: sorted(seconds) for stage, seconds in all_seconds.items()}


def seconds_by_stage(change: MeasuredChange) -> dict[str, float]:
    """Return the known durations of a change's stages in seconds. Negative ones are left out."""
    spans = ((stage, start, end) for stage, (start, end) in stage_spans(change.stage_source, change.deployed_at))
    return {stage: (end - start).total_seconds() for stage, start, end in spans if start and end and start <= end}


def consecutive_stage_seconds(change: MeasuredChange) -> dict[str, float]:
    """Return the known stages of a change so that they follow each other: review begins where pickup ends.

    `stage_spans` has the review from the opening on, so that it is known for changes without a review.
    """
    seconds = seconds_by_stage(change)
    if "pickup" in seconds and "review" in seconds:
        seconds["pickup"] = min(seconds["pickup"], seconds["review"])
        seconds["review"] -= seconds["pickup"]
    return seconds


def stage_spans(
    change: Change | None, deployed_at: datetime
) -> Iterator[tuple[str, tuple[datetime | None, datetime | None]]]:
    """Yield each stage of a change with its start and end; either is None if unknown.

    A direct commit has only the delivery stage, which starts when it was authored.
    """
    if change is not None:
        merged_at = change.merged_at or (change.first_commit_at if ids.is_commit(change.id) else None)
        yield "coding", (change.first_commit_at, change.opened_at)
        yield "pickup", (change.opened_at, change.first_review_at)
        yield "review", (change.opened_at, change.merged_at)
        yield "delivery", (merged_at, deployed_at)
