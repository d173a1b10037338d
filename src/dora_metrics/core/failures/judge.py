"""How failed deployments and failed runs came to an end (DEFINITIONS §2, metric 4).

Which deployments failed, which were rework, and where each incident belongs (DEFINITIONS §2, §3).

Judged for the whole history by sorting and bisection; the window only chooses what is counted.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.incidents import Names, Near, Placed, place
from dora_metrics.core.failures.rules import Mark, from_line
from dora_metrics.core.linking.link import History, Line, order, reached_users
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope


@dataclass(frozen=True, slots=True)
class Failure:
    """A deployment that failed, by the first rule that hit, and its remediation.

    `remediated_by` is a deployment's or an incident's id; it and `recovered_at` are None while it is open.
    """

    deployment: Deployment
    rule: str
    because: str
    url: str | None
    remediated_by: str | None
    recovered_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """Time to recover; None while open, and for a contradiction: recovered before it failed."""
        if self.recovered_at is None or self.recovered_at < self.deployment.finished_at:
            return None
        return (self.recovered_at - self.deployment.finished_at).total_seconds()


class Remedy(NamedTuple):
    at: datetime
    by: str


def _remedy(deployment: Deployment | None) -> Remedy | None:
    return Remedy(deployment.finished_at, deployment.id) if deployment else None


class Remedies:
    """What ended a failure: incidents that were resolved, deployments that say what they repaired."""

    def __init__(self, placed: Iterable[Placed], fixes: Iterable[tuple[str, Deployment]]) -> None:
        """`fixes`: the id of an incident or deployment, and a successful deployment that remediates it."""
        self._incidents: dict[str, list[Placed]] = defaultdict(list)
        for one in placed:
            if one.blamed:
                self._incidents[one.blamed.id].append(one)
        self._fixes: dict[str, Remedy] = {}
        for target, fix in sorted(fixes, key=lambda pair: order(pair[1])):
            self._fixes.setdefault(target, Remedy(fix.finished_at, fix.id))

    def failure(self, mark: Mark, following: "NextSuccess") -> Failure:
        """The failure that a mark makes, ended by what its rule names."""
        remedy: Remedy | None
        match mark.rule:
            case "explicit" | "incident":
                remedy = self._from_outside(mark.deployment)
            case "health-check":
                remedy = following.healthy(mark.deployment)
            case "failed-run":
                remedy = following.healthy(mark.deployment, same_source=True)
            case _:
                remedy = _remedy(mark.repaired_by)
        by, at = (remedy.by, remedy.at) if remedy else (None, None)
        return Failure(mark.deployment, mark.rule, mark.because, mark.url, by, at)

    def _from_outside(self, deployment: Deployment) -> Remedy | None:
        """The end of the last incident or the deployment that remediates this one: the earlier of the two."""
        ends = [self._end(placed) for placed in self._incidents[deployment.id]]
        known = [end for end in ends if end]
        remedies = [max(known)] if known and len(known) == len(ends) else []
        if fix := self._fixes.get(deployment.id):
            remedies.append(fix)
        return min(remedies, default=None)

    def _end(self, placed: Placed) -> Remedy | None:
        incident = placed.incident
        ends = [Remedy(incident.resolved_at, incident.id)] if incident.resolved_at else []
        if fix := self._fixes.get(incident.id):
            ends.append(fix)
        return min(ends, default=None)


class NextSuccess:
    """The successes of a scope, to be searched from a deployment onwards."""

    def __init__(self, line: Line) -> None:
        self._all = _Successes()
        self._by_source: dict[str | None, _Successes] = defaultdict(_Successes)
        for deployment in line.successes:
            if deployment.health != "failed":
                self._all.add(deployment)
                self._by_source[deployment.source].add(deployment)

    def healthy(self, after: Deployment, *, same_source: bool = False) -> Remedy | None:
        """The first success after a deployment whose health check did not fail."""
        successes = self._by_source[after.source] if same_source else self._all
        found = successes.after(after)
        return _remedy(found)


class _Successes:
    def __init__(self) -> None:
        self._keys: list[tuple[datetime, datetime, str]] = []
        self._deployments: list[Deployment] = []

    def add(self, deployment: Deployment) -> None:
        self._keys.append(order(deployment))
        self._deployments.append(deployment)

    def after(self, deployment: Deployment) -> Deployment | None:
        position = bisect_right(self._keys, order(deployment))
        return self._deployments[position] if position < len(self._deployments) else None


class Streak(NamedTuple):
    """Failed runs of one scope and source in a row, and the success that ended them."""

    since: datetime
    until: datetime | None

    @property
    def seconds(self) -> float | None:
        return None if self.until is None else (self.until - self.since).total_seconds()


def streaks(line: Line) -> list[Streak]:
    """Streaks in order of their first failure; cancelled and skipped runs neither start nor end one."""
    since: dict[str | None, datetime] = {}
    ended: list[Streak] = []
    for deployment in line.deployments:
        if deployment.status == "failure":
            since.setdefault(deployment.source, deployment.finished_at)
        elif deployment.status == "success" and deployment.source in since:
            ended.append(Streak(since.pop(deployment.source), deployment.finished_at))
    ended += [Streak(start, None) for start in since.values()]
    return sorted(ended, key=lambda streak: streak.since)


ORDER = ("explicit", "rollback", "revert", "hotfix", "incident", "health-check", "failed-run")
_RANK = {rule: rank for rank, rule in enumerate(ORDER)}


@dataclass
class Verdicts:
    """Failures by scope in order of their deployments; rework by deployment id, with why; incidents by scope.

    `marks`: by deployment id what every rule found, also those that do not decide.
    """

    failures: dict[Scope, list[Failure]] = field(default_factory=dict)
    rework: dict[str, str] = field(default_factory=dict)
    marks: dict[str, list[Mark]] = field(default_factory=lambda: defaultdict(list))
    incidents: dict[Scope, list[Placed]] = field(default_factory=lambda: defaultdict(list))


def judge(history: History, policy: Policy) -> Verdicts:
    """Every failure, every rework and every incident of a history."""
    names = Names(history, _names_used(history), lambda deployment: counts(deployment, policy))
    placed = place(history, names, policy)
    links = list(_remediations(history, names))
    verdicts = Verdicts()
    marks = verdicts.marks
    for mark in (*_blamed(placed), *_remediated(links)):
        marks[mark.deployment.id].append(mark)
    for line in history.lines.values():
        for mark in (*from_line(line, policy), *(own for deployment in line.deployments for own in _own(deployment))):
            marks[mark.deployment.id].append(mark)
            if mark.repaired_by:
                verdicts.rework.setdefault(mark.repaired_by.id, f"{mark.rule}: {mark.because}")
    for link in links:
        verdicts.rework.setdefault(link.fix.id, f"explicit: it remediates {link.fix.remediates}")
    remedies = Remedies(placed, [(link.target_id, link.fix) for link in links if link.fix.status == "success"])
    for line in history.lines.values():
        verdicts.failures[line.scope] = list(_failures(line, marks, policy, remedies))
    for one in placed:
        verdicts.incidents[one.scope].append(one)
    return verdicts


def counts(deployment: Deployment, policy: Policy) -> bool:
    """Whether a deployment is in the denominator of the failure rate."""
    return reached_users(deployment) or (policy.count_failed_runs and deployment.status == "failure")


@dataclass(frozen=True, slots=True)
class _Remediation:
    """A deployment that says what it repaired; `target` is None for an incident or something unknown."""

    fix: Deployment
    target: Deployment | None

    @property
    def target_id(self) -> str:
        return self.target.id if self.target else str(self.fix.remediates)


def _names_used(history: History) -> set[str]:
    used = {incident.deployment for incident in history.incidents if incident.deployment}
    return used | {d.remediates for line in history.lines.values() for d in line.deployments if d.remediates}


def _remediations(history: History, names: Names) -> Iterator[_Remediation]:
    for line in history.lines.values():
        for deployment in line.deployments:
            if deployment.remediates and deployment.status != "cancelled":
                hit = names.find(deployment.remediates, Near(*line.scope))
                if hit is None or hit.deployment.id != deployment.id:
                    yield _Remediation(deployment, hit.deployment if hit else None)


def _remediated(links: list[_Remediation]) -> Iterator[Mark]:
    for link in sorted(links, key=lambda link: order(link.fix)):
        if link.target:
            yield Mark(link.target, "explicit", f"{link.fix.id} says that it remediates it", link.fix.url)


def _blamed(placed: list[Placed]) -> Iterator[Mark]:
    for one in sorted(placed, key=lambda one: (one.incident.detected_at, one.incident.id)):
        if one.blamed:
            rule = "explicit" if one.explicit else "incident"
            yield Mark(one.blamed, rule, f"{one.incident.id} {one.because}", one.incident.url)


def _failures(line: Line, marks: dict[str, list[Mark]], policy: Policy, remedies: Remedies) -> Iterator[Failure]:
    following = NextSuccess(line)
    for deployment in line.deployments:
        if counts(deployment, policy):
            found = marks.get(deployment.id, ())
            standing = [mark for mark in found if mark.stands and is_on(mark.rule, policy)]
            if standing:
                yield remedies.failure(min(standing, key=lambda mark: _RANK[mark.rule]), following)


def _own(deployment: Deployment) -> Iterator[Mark]:
    """What a deployment says about itself."""
    if deployment.health == "failed":
        yield Mark(deployment, "health-check", "its health check failed", deployment.url)
    if deployment.status == "failure":
        yield Mark(deployment, "failed-run", "the run itself failed", deployment.url)


def is_on(rule: str, policy: Policy) -> bool:
    """`failed-run` has its own switch, which `counts` has already asked."""
    return rule == "failed-run" or rule in policy.failure_rules
