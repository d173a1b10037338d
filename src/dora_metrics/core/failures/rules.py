"""Failure rules that need only a scope's own deployments and changes: rollback, revert, hotfix.

The rules are defined in docs/definitions.md.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import groupby

from msgspec import Struct

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.core.failures.beginnings import beginnings
from dora_metrics.core.failures.incidents import shas_of
from dora_metrics.core.linking.delivered_changes import DeliveredChange
from dora_metrics.core.linking.link import ScopeTimeline, deployment_order
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import deployment_label

_REVERT_TITLE = re.compile(r'Revert "(.*)"', re.DOTALL)


class FailureSignal(Struct, frozen=True):
    """A rule's finding that a deployment failed, with the reason and the deployment that repaired it, if one did.

    `marks_failure` is false if the repair counts as rework but came too late to mark the deployment as failed.
    """

    deployment: Deployment
    rule: str
    because: str
    url: str | None
    repaired_by: Deployment | None = None
    marks_failure: bool = True


def timeline_signals(timeline: ScopeTimeline, policy: Policy) -> Iterator[FailureSignal]:
    """Yield the signals of the rollback, revert and hotfix rules."""
    yield from rollback_signals(timeline)
    yield from _revert_signals(timeline)
    yield from _hotfix_signals(timeline, policy)


def rollback_signals(timeline: ScopeTimeline) -> Iterator[FailureSignal]:
    """Yield a signal per rollback: V1 V2 V3 V1 marks V2, the first deployment after the last one of the restored sha.

    The deployments in between were rolled back. Releasing one of their shas again is not a second rollback. A
    deployment directly after one without a sha is not examined. One that only ran beside another one, such as a slow
    workflow beside a fast one, was not between others. The positions that were rolled back are stored as disjoint
    intervals, so the search takes O(n log n).
    """
    successes = timeline.successes
    shas = [deployment.sha for deployment in successes if deployment.sha]
    if len(set(shas)) == len(shas):
        return  # as in most scopes, which need no beginnings
    began = beginnings(successes)
    last_position: dict[str, int] = {}
    rolled_back = _IntervalSet()
    for position, deployment in enumerate(successes):
        if deployment.sha is None:
            continue
        previous_position = last_position.get(deployment.sha)
        last_position[deployment.sha] = position
        if (
            previous_position is None
            or previous_position == position - 1
            or previous_position in rolled_back
            or successes[position - 1].sha is None
        ):
            continue
        between = range(previous_position + 1, position)
        failed = next((each for each in between if began[previous_position] <= began[each] <= began[position]), None)
        if failed is None:
            continue
        rolled_back.add(previous_position + 1, position)
        because = f"{deployment_label(successes[previous_position])} was deployed again"
        yield FailureSignal(successes[failed], "rollback", because, deployment.url, deployment)


class _IntervalSet:
    """Disjoint half-open intervals of positions. Each added interval must end after all earlier ones."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        while self._ends and self._ends[-1] >= start:
            start = min(start, self._starts.pop())
            self._ends.pop()
        self._starts.append(start)
        self._ends.append(end)

    def __contains__(self, position: int) -> bool:
        index = bisect_right(self._starts, position) - 1
        return index >= 0 and position < self._ends[index]


def _revert_signals(timeline: ScopeTimeline) -> Iterator[FailureSignal]:
    """Yield a signal per change that reverts a change of an earlier deployment, unless that is a revert itself.

    Either of them may be a pull request that only carried what others delivered.
    """
    all_delivered = timeline.changes_and_carriers
    if not any(is_revert(delivered.change) for delivered in all_delivered):
        return
    delivered_earlier = _DeliveredIndex(timeline)
    for _, group in groupby(all_delivered, key=lambda delivered: delivered.deployment.id):
        deployment_changes = list(group)
        for delivered in deployment_changes:
            yield from _revert_signals_of(delivered, delivered_earlier)
        for delivered in deployment_changes:
            delivered_earlier.add(delivered)


def _revert_signals_of(delivered: DeliveredChange, delivered_earlier: "_DeliveredIndex") -> Iterator[FailureSignal]:
    change = delivered.change
    for original in delivered_earlier.reverted_by(change, delivered.deployment) if change else ():
        if change and not is_revert(original.change):
            because = f"{change.id} reverts {original.change_id}"
            yield FailureSignal(original.deployment, "revert", because, change.url, delivered.deployment)


class _DeliveredIndex:
    """What earlier deployments of a scope delivered, by id, sha and title.

    The commits of a scope that are no changes of their own are known by sha from the start, also those of later
    deployments.
    """

    def __init__(self, timeline: ScopeTimeline) -> None:
        self._parts = timeline.delivered_parts
        self._by_id_or_sha: dict[str, DeliveredChange] = {}
        self._by_title: dict[str, DeliveredChange] = {}
        self._last_by_deployed_sha: dict[str | None, DeliveredChange] = {}

    def add(self, delivered: DeliveredChange) -> None:
        change = delivered.change
        self._by_id_or_sha[delivered.change_id] = delivered
        for sha in shas_of(delivered):
            self._by_id_or_sha.setdefault(sha, delivered)
        if change and change.title:
            self._by_title[change.title] = delivered
        self._last_by_deployed_sha[delivered.deployment.sha] = delivered

    def reverted_by(self, change: Change, deployment: Deployment) -> tuple[DeliveredChange, ...]:
        """Return the changes that `change` reverts: those that it names, or the latest of its title if it names none.

        `deployment` delivers it.

        Each is returned once, in the order of the names.
        """
        if names := change.reverted_names:
            named = (self._named(name, deployment) for name in names)
            return tuple({each.change_id: each for each in named if each}.values())
        title_match = _REVERT_TITLE.fullmatch(change.title or "")
        original = self._by_title.get(title_match[1]) if title_match else None
        return (original,) if original else ()

    def _named(self, name: str, deployment: Deployment) -> DeliveredChange | None:
        """Return what a revert names. A sha means the success that first had this very commit, not a copy of it.

        A commit that is no change may be what a success deployed, such as a merge without a pull request. It stands
        for what came with it.
        """
        if part := self._parts.get(name):
            is_earlier = deployment_order(part.deployment) < deployment_order(deployment)
            return part if is_earlier else None
        if delivered := self._by_id_or_sha.get(name):
            return delivered
        last = self._last_by_deployed_sha.get(name)
        return last._replace(change_id=ids.commit(name)) if last else None


def is_revert(change: Change | None) -> bool:
    """Whether a change says that it reverts another."""
    return change is not None and bool(change.reverted_names or _REVERT_TITLE.fullmatch(change.title or ""))


def _hotfix_signals(timeline: ScopeTimeline, policy: Policy) -> Iterator[FailureSignal]:
    """Yield a signal per delivered hotfix. It marks the deployment before, if that is within the hotfix window.

    A pull request that only carried the fix says what kind of work that was, too.
    """
    deployments = timeline.deployments_reaching_users
    position_by_id = {deployment.id: index for index, deployment in enumerate(deployments)}
    for delivered in timeline.changes_and_carriers:
        change = delivered.change
        index = position_by_id[delivered.deployment.id]
        if change is None or index == 0 or not (reason := hotfix_reason(change, policy)):
            continue
        previous, repair = deployments[index - 1], delivered.deployment
        is_soon_enough = repair.finished_at - previous.finished_at <= policy.hotfix_window
        because = f"{change.id} with {reason} was delivered by the next deployment"
        yield FailureSignal(previous, "hotfix", because, change.url, repair, marks_failure=is_soon_enough)


def hotfix_reason(change: Change, policy: Policy) -> str | None:
    """Return what makes a change a hotfix: its label, branch prefix or title. Return None if it is not a hotfix."""
    for label in change.labels or ():
        if label.casefold() in policy.folded_hotfix_labels:
            return f"the label {label}"
    if change.branch and change.branch.casefold().startswith(policy.folded_hotfix_branches):
        return f"the branch {change.branch}"
    return f"the title {change.title}" if policy.hotfix_title_pattern.match(change.title or "") else None
