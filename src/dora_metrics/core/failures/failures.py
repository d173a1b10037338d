"""Which deployments failed, which were rework, and where each incident belongs (DEFINITIONS §2, §3).

Judged for the whole history by sorting and bisection; the window only chooses what is counted.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.failures.incidents import Names, Near, Placed, place
from dora_metrics.core.failures.judge import Failure, NextSuccess, Remedies
from dora_metrics.core.failures.rules import Mark, from_line
from dora_metrics.core.linking.link import History, Line, Scope, order, reached_users
from dora_metrics.core.policy import Policy

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
