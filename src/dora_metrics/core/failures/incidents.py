"""Attribute incidents: to which deployment each belongs, and in which scope it counts.

The rules `explicit` and `incident` are defined in docs/definitions.md.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.core.linking.link import LinkedFacts, ScopeTimeline, deployment_order
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, default_service, environment_of


@dataclass(frozen=True, slots=True)
class AttributedIncident:
    """An incident, the scope it counts in, and the deployment it is attributed to.

    `attributed_to` is None for an unmatched incident. `is_explicit`: the incident names its deployment. `because` is
    the reason for the attribution, or for having none.
    """

    incident: Incident
    scope: Scope
    attributed_to: Deployment | None
    is_explicit: bool
    because: str


class ScopeHint(NamedTuple):
    """Where a deployment is searched first. A service or environment of None matches any."""

    repository: str
    service: str | None
    environment: str | None


@dataclass(frozen=True, slots=True)
class DeploymentMatch:
    """A production deployment that a name or an incident matches, with its scope."""

    deployment: Deployment
    scope: Scope


def attribute_incidents(linked: LinkedFacts, index: "DeploymentIndex", policy: Policy) -> list[AttributedIncident]:
    """Return every production incident with its scope and the deployment it is attributed to."""
    candidates = IncidentCandidates(linked)
    attributed = []
    for incident in linked.incidents:
        if not incident.environment or policy.is_production(incident.environment):
            match, because = _attribute(incident, index, candidates, policy)
            scope = _incident_scope(incident, match, candidates)
            deployment = match.deployment if match else None
            attributed.append(AttributedIncident(incident, scope, deployment, bool(incident.deployment), because))
    left_out_count = len(linked.incidents) - len(attributed)
    if left_out_count:
        linked.notes.append(f"Incidents outside production, and in no number: {left_out_count}.")
    return attributed


def _attribute(
    incident: Incident, index: "DeploymentIndex", candidates: "IncidentCandidates", policy: Policy
) -> tuple[DeploymentMatch | None, str]:
    """Return the deployment of an incident, None if it is unmatched, and the reason."""
    rule = "explicit" if incident.deployment else "incident"
    if rule not in policy.failure_rules:
        return None, f"the rule `{rule}` is switched off"
    if incident.deployment:
        match = index.find(incident.deployment, _scope_hint(incident))
        return match, f"names {incident.deployment}" + (
            "" if match else ", which is no production deployment that is known and counts"
        )
    match = candidates.latest_before(incident)
    if match is None:
        return None, "no successful production deployment before it is known"
    age = incident.detected_at - match.deployment.finished_at
    if age > policy.incident_window:
        limit = _format_duration(policy.incident_window)
        return None, f"the latest deployment before it was more than {limit} earlier ({_format_duration(age)})"
    return match, f"detected {_format_duration(age)} after it"


def _format_duration(duration: timedelta) -> str:
    minutes = int(duration.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004 - two hours


def _incident_scope(incident: Incident, match: DeploymentMatch | None, candidates: "IncidentCandidates") -> Scope:
    """Return the scope that an incident counts in.

    It is the one that the incident names, otherwise that of its deployment, of the latest success before it, of the
    first success, or of the latest attempt.
    """
    if incident.service and incident.environment:
        return Scope(incident.repository, incident.service, incident.environment)
    if nearest := match or candidates.latest_before(incident) or candidates.earliest(incident):
        return nearest.scope
    if scope := candidates.scope_of_latest_attempt(incident):
        return scope
    service = incident.service or default_service(incident.repository)
    return Scope(incident.repository, service, environment_of(incident))


class DeploymentIndex:
    """Deployments by the names in use: a deployment's id, sha, tag or version, or a commit that it delivered."""

    def __init__(self, linked: LinkedFacts, names: Iterable[str], can_fail: Callable[[Deployment], bool]) -> None:
        """Index the deployments that match `names`.

        Args:
            linked: all facts.
            names: the names that incidents and deployments use.
            can_fail: whether a deployment counts in the failure rate; others match no name.
        """
        self._can_fail = can_fail
        self._matches_by_name: dict[str, list[DeploymentMatch]] = {normalise_name(name): [] for name in names}
        if self._matches_by_name:
            for timeline in linked.timelines.values():
                self._add_deployments(timeline)
                self._add_commits(timeline)
        for matches in self._matches_by_name.values():
            matches.sort(key=lambda match: (match.deployment.status != "success", deployment_order(match.deployment)))

    def find(self, name: str, hint: ScopeHint) -> DeploymentMatch | None:
        """Return the first success in order that matches: in the hint's scope, otherwise its repository, otherwise any.

        A deployment that did not succeed matches if no success does.
        """
        matches = self._matches_by_name.get(normalise_name(name), [])
        return min(matches, key=lambda match: _distance(match.scope, hint), default=None)

    def _add_deployments(self, timeline: ScopeTimeline) -> None:
        for deployment in timeline.deployments:
            if self._can_fail(deployment):
                for name in {deployment.id, deployment.sha, deployment.version, _tag_of(deployment)} - {None}:
                    self._add(str(name), DeploymentMatch(deployment, timeline.scope))

    def _add_commits(self, timeline: ScopeTimeline) -> None:
        """Index each deployment by the shas of the changes that it delivered first."""
        for delivered in timeline.delivered_changes:
            match = DeploymentMatch(delivered.deployment, timeline.scope)
            self._add(ids.without_commit_prefix(delivered.change_id), match)
            if change := delivered.change:
                for sha in {change.sha, *(commit.sha for commit in change.commits or ())} - {None}:
                    self._add(str(sha), match)

    def _add(self, name: str, match: DeploymentMatch) -> None:
        matches = self._matches_by_name.get(normalise_name(name))
        if matches is not None:
            matches.append(match)


def _tag_of(deployment: Deployment) -> str | None:
    """Return the ref of a deployment if it is a tag. A branch is no name: it would match its oldest deployment."""
    ref = deployment.ref or ""
    is_tag = (
        ref.startswith("refs/tags/") or deployment.source in ("releases", "git") or re.match(r"[A-Za-z-]*v?\d", ref)
    )
    return ref if is_tag and not ref.startswith("refs/heads/") else None


def normalise_name(name: str) -> str:
    """Return a name in the form that is compared: tags without `refs/tags/`, full shas in lower case."""
    name = name.strip().removeprefix("refs/tags/")
    return name.lower() if re.fullmatch(r"[0-9a-fA-F]{40}", name) else name


def _distance(scope: Scope, hint: ScopeHint) -> int:
    """Return 0 for a scope that matches the hint, 1 for another scope of the repository, 2 for any other."""
    if scope.repository != hint.repository:
        return 2
    return 0 if _matches_hint(scope, hint) else 1


def _scope_hint(incident: Incident) -> ScopeHint:
    return ScopeHint(incident.repository, incident.service or None, incident.environment or None)


def _matches_hint(scope: Scope, hint: ScopeHint) -> bool:
    return hint.service in (None, scope.service) and hint.environment in (None, scope.environment)


class IncidentCandidates:
    """The deployments that an incident may belong to, those of the scopes that match its hint."""

    def __init__(self, linked: LinkedFacts) -> None:
        self._timelines_by_repository: dict[str, list[ScopeTimeline]] = defaultdict(list)
        for timeline in linked.timelines.values():
            self._timelines_by_repository[timeline.scope.repository].append(timeline)
        self._successes_by_hint: dict[ScopeHint, tuple[list[datetime], list[DeploymentMatch]]] = {}

    def latest_before(self, incident: Incident) -> DeploymentMatch | None:
        """Return the latest success with `finished_at <= detected_at`."""
        times, matches = self._successes(_scope_hint(incident))
        position = bisect_right(times, incident.detected_at)
        return matches[position - 1] if position else None

    def earliest(self, incident: Incident) -> DeploymentMatch | None:
        """Return the first success."""
        _, matches = self._successes(_scope_hint(incident))
        return matches[0] if matches else None

    def scope_of_latest_attempt(self, incident: Incident) -> Scope | None:
        """Return the scope of the latest attempt, successful or not."""
        timelines = self._timelines(_scope_hint(incident))
        latest = max(timelines, key=lambda timeline: deployment_order(timeline.deployments[-1]), default=None)
        return latest.scope if latest else None

    def _successes(self, hint: ScopeHint) -> tuple[list[datetime], list[DeploymentMatch]]:
        """Return the successes in order, after the times at which they finished."""
        if hint not in self._successes_by_hint:
            matches = [
                DeploymentMatch(deployment, timeline.scope)
                for timeline in self._timelines(hint)
                for deployment in timeline.successes
            ]
            matches.sort(key=lambda match: deployment_order(match.deployment))
            self._successes_by_hint[hint] = ([match.deployment.finished_at for match in matches], matches)
        return self._successes_by_hint[hint]

    def _timelines(self, hint: ScopeHint) -> Iterator[ScopeTimeline]:
        for timeline in self._timelines_by_repository[hint.repository]:
            if _matches_hint(timeline.scope, hint):
                yield timeline
