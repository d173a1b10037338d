"""The rules that read a scope's own history: rollback, revert, hotfix (DEFINITIONS §3)."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.core.linking.link import Delivery, Line
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import label


@dataclass(frozen=True, slots=True)
class Mark:
    """One rule's finding: this deployment failed, because of what, and what repaired it if a deployment did.

    `stands` is False where the finding makes its repair rework, but came too late to blame anybody.
    """

    deployment: Deployment
    rule: str
    because: str
    url: str | None
    repaired_by: Deployment | None = None
    stands: bool = True


def from_line(line: Line, policy: Policy) -> Iterator[Mark]:
    """Everything that a scope's own deployments and changes say about each other."""
    yield from _rollbacks(line)
    yield from _reverts(line)
    yield from _hotfixes(line, policy)


def _rollbacks(line: Line) -> Iterator[Mark]:
    """V1 V2 V3 V1 blames V2, the first deployment after the last one of the sha that came back.

    The deployments between were rolled back; one of their shas that is released again later is no
    second rollback. Directly after a deployment without a sha nothing can be said. Positions are kept as
    disjoint spans, so that the whole is n log n.
    """
    successes = line.successes
    last: dict[str, int] = {}
    undone = _Spans()
    for position, deployment in enumerate(successes):
        if deployment.sha is None:
            continue
        before = last.get(deployment.sha)
        last[deployment.sha] = position
        if before is None or before == position - 1 or before in undone or successes[position - 1].sha is None:
            continue
        undone.add(before + 1, position)
        blamed = successes[before + 1]
        because = f"{label(successes[before])} was deployed again"
        yield Mark(blamed, "rollback", because, deployment.url, deployment)


class _Spans:
    """Half-open spans of positions; every added one ends later than all before it."""

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
        found = bisect_right(self._starts, position) - 1
        return found >= 0 and position < self._ends[found]


def _reverts(line: Line) -> Iterator[Mark]:
    if not any(is_revert(delivery.fact) for delivery in line.deliveries):
        return
    earlier = _Delivered()
    for _, group in groupby(line.deliveries, key=lambda delivery: delivery.deployment.id):
        together = list(group)
        for delivery in together:
            change = delivery.fact
            original = earlier.reverted_by(change) if change else None
            if change and original and not is_revert(original.fact):
                because = f"{change.id} reverts {original.change}"
                yield Mark(original.deployment, "revert", because, change.url, delivery.deployment)
        for delivery in together:
            earlier.add(delivery)


class _Delivered:
    """What earlier deployments of a scope delivered, by id, by commit and by title."""

    def __init__(self) -> None:
        self._by_name: dict[str, Delivery] = {}
        self._by_title: dict[str, Delivery] = {}

    def add(self, delivery: Delivery) -> None:
        change = delivery.fact
        self._by_name[delivery.change] = delivery
        self._by_name.setdefault(delivery.change.removeprefix("commit:"), delivery)
        if change is None:
            return
        for sha in (change.sha, *(commit.sha for commit in change.commits or ())):
            if sha:
                self._by_name.setdefault(sha, delivery)
        if change.title:
            self._by_title[change.title] = delivery

    def reverted_by(self, change: Change) -> Delivery | None:
        """What a change takes back: named by id or sha; its title counts only where it names nothing."""
        if change.reverts:
            return self._by_name.get(change.reverts)
        title = _REVERT_TITLE.fullmatch(change.title or "")
        return self._by_title.get(title[1]) if title else None


_REVERT_TITLE = re.compile(r'Revert "(.*)"', re.DOTALL)


def is_revert(change: Change | None) -> bool:
    return change is not None and bool(change.reverts or _REVERT_TITLE.fullmatch(change.title or ""))


def _hotfixes(line: Line, policy: Policy) -> Iterator[Mark]:
    reached = line.reached
    position = {deployment.id: index for index, deployment in enumerate(reached)}
    for delivery in line.deliveries:
        change = delivery.fact
        index = position[delivery.deployment.id]
        if change is None or index == 0 or not (sign := hotfix_sign(change, policy)):
            continue
        before = reached[index - 1]
        soon = delivery.deployment.finished_at - before.finished_at <= policy.hotfix_window
        because = f"{change.id} with {sign} came in the deployment after it"
        yield Mark(before, "hotfix", because, change.url, delivery.deployment, stands=soon)


def hotfix_sign(change: Change, policy: Policy) -> str | None:
    """What makes a change a hotfix: a label, the beginning of its branch, or the first word of its title."""
    for name in change.labels or ():
        if name.casefold() in policy.folded_hotfix_labels:
            return f"the label {name}"
    if change.branch and change.branch.casefold().startswith(policy.folded_hotfix_branches):
        return f"the branch {change.branch}"
    return f"the title {change.title}" if policy.hotfix_title.match(change.title or "") else None
