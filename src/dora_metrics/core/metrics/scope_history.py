"""All facts, linked and judged once: one record a scope, from which every window is cut."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from dora_metrics.core.facts.model import Change, Deployment, Fact, Vulnerability
from dora_metrics.core.failures.incidents import Placed
from dora_metrics.core.failures.judge import Failure, Streak, judge, streaks
from dora_metrics.core.linking.link import History, Line, link
from dora_metrics.core.metrics.lead_time import Leads, leads
from dora_metrics.core.metrics.security import Fix, fixes, notes
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window

T = TypeVar("T")


@dataclass
class Record:
    """Everything judged about one scope, for all time; each list in the order of its defining time."""

    scope: Scope
    deployments: list[Deployment]
    changes: Mapping[str, Change]
    leads: Leads
    failures: list[Failure]
    rework: dict[str, str]
    incidents: list[Placed]
    streaks: list[Streak]
    vulnerabilities: list[Vulnerability]
    fixes: list[Fix]

    @cached_property
    def by_id(self) -> Mapping[str, Deployment]:
        """The scope's deployments."""
        return {deployment.id: deployment for deployment in self.deployments}

    @property
    def began(self) -> datetime | None:
        """Finish of the scope's first known deployment."""
        return self.deployments[0].finished_at if self.deployments else None

    @property
    def first_success(self) -> Deployment | None:
        """The scope's first known successful deployment, which only bounds the next one."""
        return next((deployment for deployment in self.deployments if deployment.status == "success"), None)


@dataclass
class Records:
    """All scopes, by name, and what a reader must know about the links."""

    records: list[Record]
    notes: list[str]

    @property
    def began(self) -> datetime | None:
        """Finish of the first production deployment known."""
        return min((record.began for record in self.records if record.began), default=None)


def judge_all(facts: Iterable[Fact], policy: Policy) -> Records:
    """Links and judges all facts."""
    history = link(facts, policy)
    verdicts = judge(history, policy)
    vulnerabilities = _by_service(history)
    records = []
    for scope in sorted(history.lines.keys() | verdicts.incidents.keys()):
        line = history.lines.get(scope) or Line(scope)
        own = vulnerabilities[scope.repository, scope.service] + vulnerabilities[scope.repository, None]
        records.append(
            Record(
                scope=scope,
                deployments=line.deployments,
                changes=history.changes,
                leads=leads(line, policy),
                failures=verdicts.failures.get(scope, []),
                rework=verdicts.rework,
                incidents=sorted(verdicts.incidents.get(scope, []), key=_order),
                streaks=streaks(line),
                vulnerabilities=own,
                fixes=fixes(own, line.successes),
            )
        )
    return Records(records, [*history.notes, *notes(history.vulnerabilities)])


def _order(one: Placed) -> tuple[datetime, str]:
    return one.incident.detected_at, one.incident.id


def _by_service(history: History) -> defaultdict[tuple[str, str | None], list[Vulnerability]]:
    """A vulnerability that names no service is one of all services of its repository."""
    grouped: defaultdict[tuple[str, str | None], list[Vulnerability]] = defaultdict(list)
    for vulnerability in history.vulnerabilities:
        grouped[vulnerability.repository, vulnerability.service or None].append(vulnerability)
    return grouped


def cut(items: Sequence[T], window: Window, at: Callable[[T], datetime]) -> Sequence[T]:
    """The items whose time lies in the window; they are in order of that time."""
    return items[bisect_left(items, window.start, key=at) : bisect_left(items, window.end, key=at)]
