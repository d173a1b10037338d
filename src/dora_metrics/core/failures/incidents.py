"""Which deployment an incident is blamed on, and in which scope it counts (DEFINITIONS §3)."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.core.linking.link import History, Line, order
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, default_service


@dataclass(frozen=True, slots=True)
class Placed:
    """An incident, the scope it counts in, and the deployment it is blamed on, or why on none."""

    incident: Incident
    scope: Scope
    blamed: Deployment | None
    explicit: bool
    because: str


class Near(NamedTuple):
    """Where a name was used: it is looked for here first. None fits anything."""

    repository: str
    service: str | None
    environment: str | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A production deployment that a name fits."""

    deployment: Deployment
    scope: Scope


class Names:
    """What the names that incidents use may mean: a deployment's id, sha, tag or version, or a commit in it."""

    def __init__(self, history: History, wanted: Iterable[str], counts: Callable[[Deployment], bool]) -> None:
        """`counts`: whether a deployment can fail at all; a name that leads to another leads nowhere."""
        self._counts = counts
        self._hits: dict[str, list[Hit]] = {bare(name): [] for name in wanted}
        if self._hits:
            for line in history.lines.values():
                self._add_deployments(line)
                self._add_contents(line)
        for hits in self._hits.values():
            hits.sort(key=lambda hit: (hit.deployment.status != "success", order(hit.deployment)))

    def _add_deployments(self, line: Line) -> None:
        for deployment in line.deployments:
            if self._counts(deployment):
                for name in {deployment.id, deployment.sha, deployment.version, _tag(deployment)} - {None}:
                    self._add(str(name), Hit(deployment, line.scope))

    def _add_contents(self, line: Line) -> None:
        """A sha also means the first success that contains that commit."""
        for delivery in line.deliveries:
            hit = Hit(delivery.deployment, line.scope)
            self._add(delivery.change.removeprefix("commit:"), hit)
            if change := delivery.fact:
                for sha in {change.sha, *(commit.sha for commit in change.commits or ())} - {None}:
                    self._add(str(sha), hit)

    def _add(self, name: str, hit: Hit) -> None:
        hits = self._hits.get(bare(name))
        if hits is not None:
            hits.append(hit)

    def find(self, name: str, near: Near) -> Hit | None:
        """The first success in order: in the scope it was used in, else its repository, else anywhere."""
        hits = self._hits.get(bare(name), [])
        return min(hits, key=lambda hit: _distance(hit.scope, near), default=None)


def _tag(deployment: Deployment) -> str | None:
    """The ref where it is a tag. A branch names no deployment: it would be the oldest one from it."""
    ref = deployment.ref or ""
    is_tag = (
        ref.startswith("refs/tags/") or deployment.source in ("releases", "git") or re.match(r"[A-Za-z-]*v?\d", ref)
    )
    return ref if is_tag and not ref.startswith("refs/heads/") else None


def bare(name: str) -> str:
    """A name as it is compared: a tag without `refs/tags/`, a sha in lower case."""
    name = name.strip().removeprefix("refs/tags/")
    return name.lower() if re.fullmatch(r"[0-9a-fA-F]{40}", name) else name


def _distance(scope: Scope, near: Near) -> int:
    if scope.repository != near.repository:
        return 2
    return 0 if _fits(scope, near) else 1


def _near(incident: Incident) -> Near:
    return Near(incident.repository, incident.service or None, incident.environment or None)


def _fits(scope: Scope, near: Near) -> bool:
    return near.service in (None, scope.service) and near.environment in (None, scope.environment)


class Latest:
    """The successful deployments that an incident may be about, to be searched by time."""

    def __init__(self, history: History) -> None:
        self._lines: dict[str, list[Line]] = defaultdict(list)
        for line in history.lines.values():
            self._lines[line.scope.repository].append(line)
        self._known: dict[Near, tuple[list[datetime], list[Hit]]] = {}

    def before(self, incident: Incident) -> Hit | None:
        """The latest with `finished_at <= detected_at`."""
        times, hits = self._candidates(incident)
        position = bisect_right(times, incident.detected_at)
        return hits[position - 1] if position else None

    def first(self, incident: Incident) -> Hit | None:
        _, hits = self._candidates(incident)
        return hits[0] if hits else None

    def attempted(self, incident: Incident) -> Scope | None:
        """The scope of the latest attempt, for where none has succeeded yet."""
        fitting = [line for line in self._lines[incident.repository] if _fits(line.scope, _near(incident))]
        latest = max(fitting, key=lambda line: order(line.deployments[-1]), default=None)
        return latest.scope if latest else None

    def _candidates(self, incident: Incident) -> tuple[list[datetime], list[Hit]]:
        near = _near(incident)
        if near not in self._known:
            hits = sorted(self._successes(near), key=lambda hit: order(hit.deployment))
            self._known[near] = ([hit.deployment.finished_at for hit in hits], hits)
        return self._known[near]

    def _successes(self, near: Near) -> Iterator[Hit]:
        for line in self._lines[near.repository]:
            if _fits(line.scope, near):
                yield from (Hit(deployment, line.scope) for deployment in line.successes)


def place(history: History, names: Names, policy: Policy) -> list[Placed]:
    """Every production incident with its scope and the deployment it is blamed on."""
    latest = Latest(history)
    placed = []
    for incident in history.incidents:
        if not incident.environment or policy.is_production(incident.environment):
            hit, because = _blame(incident, names, latest, policy)
            scope = _scope(incident, hit, latest)
            placed.append(Placed(incident, scope, hit.deployment if hit else None, bool(incident.deployment), because))
    left_out = len(history.incidents) - len(placed)
    if left_out:
        history.notes.append(f"Incidents outside production, and in no number: {left_out}.")
    return placed


def _blame(incident: Incident, names: Names, latest: Latest, policy: Policy) -> tuple[Hit | None, str]:
    rule = "explicit" if incident.deployment else "incident"
    if rule not in policy.failure_rules:
        return None, f"the rule `{rule}` is switched off"
    if incident.deployment:
        hit = names.find(incident.deployment, _near(incident))
        return hit, f"names {incident.deployment}" + (
            "" if hit else ", which is no production deployment that is known and counts"
        )
    hit = latest.before(incident)
    if hit is None:
        return None, "no successful production deployment before it is known"
    age = incident.detected_at - hit.deployment.finished_at
    if age > policy.incident_window:
        return (
            None,
            f"the latest deployment before it was more than {_hours(policy.incident_window)} earlier ({_hours(age)})",
        )
    return hit, f"detected {_hours(age)} after it"


def _hours(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004 - two hours


def _scope(incident: Incident, blamed: Hit | None, latest: Latest) -> Scope:
    if incident.service and incident.environment:
        return Scope(incident.repository, incident.service, incident.environment)
    if hit := blamed or latest.before(incident) or latest.first(incident):
        return hit.scope
    if scope := latest.attempted(incident):
        return scope
    service = incident.service or default_service(incident.repository)
    return Scope(incident.repository, service, incident.environment or "production")
