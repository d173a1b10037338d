"""Attribute incidents: to which deployment each belongs, and in which scope it counts.

The rules `explicit` and `incident` are defined in docs/definitions.md.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from msgspec import Struct

from dora_metrics.core import formatting
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import GIT_SOURCE, Deployment, Incident
from dora_metrics.core.failures.incident_reports import ReportedIncident, other_reports_text
from dora_metrics.core.failures.pasted_names import Reading, github_hosts, normalise_name, readings_of
from dora_metrics.core.linking.delivered_changes import DeliveredChange
from dora_metrics.core.linking.link import LinkedFacts, ScopeTimeline, deployment_order
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, default_service, environment_of

_MIN_SHA_DIGITS = 7
"""As many digits as GitHub shows of a commit; shorter names mean no commit."""


class AttributedIncident(Struct, frozen=True):
    """An incident, the scope it counts in, and the deployment it is attributed to.

    `reports` are the facts that it was joined from; a single one is the incident itself. `attributed_to` is None for an
    unmatched incident. `is_explicit`: the incident names its deployment. `attribution` is the reason for the
    attribution, or for having none.
    """

    incident: Incident
    reports: tuple[Incident, ...]
    scope: Scope
    attributed_to: Deployment | None
    is_explicit: bool
    attribution: str

    @property
    def report_ids(self) -> frozenset[str]:
        """The ids of the facts that report it."""
        return frozenset(report.id for report in self.reports)

    @property
    def because(self) -> str:
        """The reason for the attribution, and where else the incident was reported."""
        return f"{self.attribution}{other_reports_text(self.reports)}"


class ScopeHint(NamedTuple):
    """Where a deployment is searched first. A service or environment of None matches any."""

    repository: str
    service: str | None
    environment: str | None

    @classmethod
    def all_of(cls, scope: Scope) -> "tuple[ScopeHint, ...]":
        """Return the hints that match a scope, the closest first; the last one matches its whole repository."""
        repository, service, environment = scope
        return (
            cls(repository, service, environment),
            cls(repository, service, None),
            cls(repository, None, environment),
            cls(repository, None, None),
        )


class NameReference(NamedTuple):
    """A name of a deployment that an incident or a `remediates` field uses, and the repository of that fact."""

    name: str
    repository: str


class DeploymentMatch(Struct, frozen=True):
    """A production deployment that a name or an incident matches, with its scope."""

    deployment: Deployment
    scope: Scope


def attribute_incidents(
    linked: LinkedFacts, reported: Sequence[ReportedIncident], index: "DeploymentIndex", policy: Policy
) -> list[AttributedIncident]:
    """Return every production incident with its scope and the deployment it is attributed to.

    Args:
        linked: all facts; gets a note on incidents outside production.
        reported: every incident once.
        index: the deployments that incidents name.
        policy: the settings.
    """
    candidates = IncidentCandidates(linked)
    attributed = []
    for incident, reports in ((each.incident, each.reports) for each in reported):
        if linked.production.includes(incident):
            match, reason = _attribute(incident, index, candidates, policy)
            scope = _incident_scope(incident, match, candidates)
            deployment = match.deployment if match else None
            is_explicit = bool(incident.deployment)
            attributed.append(AttributedIncident(incident, reports, scope, deployment, is_explicit, reason))
    left_out_count = len(reported) - len(attributed)
    if left_out_count:
        incidents = formatting.count_are(left_out_count, "incident outside production", "incidents outside production")
        linked.notes.append(f"{incidents} not counted.")
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
            "" if match else ", which is not a recorded production deployment that counts"
        )
    match = candidates.latest_before(incident)
    if match is None:
        return None, "no successful production deployment is recorded before it"
    age = incident.detected_at - match.deployment.finished_at
    if age > policy.incident_window:
        return None, _too_late_text(age, policy.incident_window)
    return match, f"detected {formatting.duration(age.total_seconds())} after it"


def _too_late_text(age: timedelta, limit: timedelta) -> str:
    elapsed, longest = formatting.duration_beyond(age, limit), formatting.duration_setting(limit)
    return (
        f"the latest deployment before it was {elapsed} earlier, more than the limit of {longest} (`incident-window`)"
    )


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


_SearchedPlace = ScopeHint | str | None
"""Where a name is searched: in matching scopes, in repositories of a name in lower case, or everywhere."""


class _Matches:
    """The deployments that one key means. Only the first one in order can be asked for, in each place."""

    def __init__(self) -> None:
        self._matches: list[DeploymentMatch] = []

    def add(self, match: DeploymentMatch) -> None:
        self._matches.append(match)

    def nearest(self, hint: ScopeHint, repository: str | None) -> tuple[int, DeploymentMatch] | None:
        """Return the first match as near to the hint as there is one, after its distance; None without a match.

        The distance is 0 for a scope that matches the hint, 1 for another scope of its repository, 2 for any other.

        Args:
            hint: where to search first.
            repository: the name in lower case that the repository must have; None for any.
        """
        is_elsewhere = repository not in (None, hint.repository.lower())
        places: tuple[_SearchedPlace, ...] = (hint, ScopeHint(hint.repository, None, None), repository)
        for distance, place in enumerate(places):
            if (distance == _ELSEWHERE or not is_elsewhere) and (match := self._first_by_place.get(place)):
                return distance, match
        return None

    @cached_property
    def _first_by_place(self) -> Mapping[_SearchedPlace, DeploymentMatch]:
        first: dict[_SearchedPlace, DeploymentMatch] = {}
        for match in sorted(self._matches, key=_match_order):
            for place in (*ScopeHint.all_of(match.scope), match.scope.repository.lower(), None):
                first.setdefault(place, match)
        return first


_ELSEWHERE = 2
"""The distance of a scope in another repository than the one where a name is searched first."""


def _match_order(match: DeploymentMatch) -> tuple[bool, tuple[datetime, datetime, str]]:
    """Sort key of what a name matches: successes first."""
    return match.deployment.status != "success", deployment_order(match.deployment)


class DeploymentIndex:
    """Deployments by the names in use: a deployment's id, sha, tag or version, or a change or commit it delivered."""

    def __init__(
        self, linked: LinkedFacts, references: Iterable[NameReference], can_fail: Callable[[Deployment], bool]
    ) -> None:
        """Index the deployments that the references may mean.

        Args:
            linked: all facts.
            references: the names that incidents and deployments use.
            can_fail: whether a deployment counts in the failure rate; others match no name.
        """
        self._can_fail = can_fail
        self._part_ids = linked.part_ids
        self._readings = _readings(references, linked)
        self._matches_by_key: dict[str, _Matches] = {}
        self._matches_by_short_sha: dict[str, _Matches] = {}
        self._short_sha_lengths: dict[str, set[int]] = defaultdict(set)
        for reading in chain.from_iterable(self._readings.values()):
            self._expect(reading)
        self._add_timelines(linked.timelines.values() if self._readings else ())

    def find(self, name: str, hint: ScopeHint) -> DeploymentMatch | None:
        """Return the first success in order that matches: in the hint's scope, otherwise its repository, otherwise any.

        Among those, the most literal reading decides. A deployment that did not succeed matches if no success does.
        """
        readings = self._readings.get(NameReference(name, hint.repository), ())
        nearest = (self._matches(reading).nearest(hint, reading.repository) for reading in readings)
        best = min(filter(None, nearest), key=itemgetter(0), default=None)
        return best[1] if best else None

    def _matches(self, reading: Reading) -> _Matches:
        return (self._matches_by_short_sha if reading.is_short_sha else self._matches_by_key)[reading.key]

    def _expect(self, reading: Reading) -> None:
        """Prepare the index for a reading; deployments that no reading can mean are not kept."""
        if reading.is_short_sha:
            self._matches_by_short_sha[reading.key] = _Matches()
            self._short_sha_lengths[reading.key[:_MIN_SHA_DIGITS]].add(len(reading.key))
        else:
            self._matches_by_key[reading.key] = _Matches()

    def _add_timelines(self, timelines: Iterable[ScopeTimeline]) -> None:
        for timeline in timelines:
            self._add_deployments(timeline)
            self._add_changes(timeline)

    def _add_deployments(self, timeline: ScopeTimeline) -> None:
        for deployment in timeline.deployments:
            if self._can_fail(deployment):
                match = DeploymentMatch(deployment, timeline.scope)
                for name in {*self._part_ids(deployment), deployment.version, _tag_of(deployment)} - {None}:
                    self._add(normalise_name(str(name)), match)
                if deployment.sha:
                    self._add_sha(deployment.sha, match)

    def _add_changes(self, timeline: ScopeTimeline) -> None:
        """Index each deployment by what it delivered first, and by the shas of that."""
        for delivered in timeline.changes_and_carriers:
            match = DeploymentMatch(delivered.deployment, timeline.scope)
            for key in {delivered.change_id, delivered.change_id.lower()}:
                self._add(key, match)
        for delivered in timeline.delivered_changes:
            for sha in shas_of(delivered):
                self._add_sha(sha, DeploymentMatch(delivered.deployment, timeline.scope))
        for sha, part in timeline.delivered_parts.items():
            self._add_sha(sha, DeploymentMatch(part.deployment, timeline.scope))

    def _add_sha(self, sha: str, match: DeploymentMatch) -> None:
        self._add(sha, match)
        for length in self._short_sha_lengths.get(sha[:_MIN_SHA_DIGITS], ()):
            if matches := self._matches_by_short_sha.get(sha[:length]):
                matches.add(match)

    def _add(self, key: str, match: DeploymentMatch) -> None:
        if matches := self._matches_by_key.get(key):
            matches.add(match)


def shas_of(delivered: DeliveredChange) -> Iterator[str]:
    """Yield the shas of a delivered change: of a direct commit, of the merge, of each commit of a pull request."""
    if ids.is_commit(delivered.change_id):
        yield ids.without_commit_prefix(delivered.change_id)
    if change := delivered.change:
        yield from (sha for sha in (change.sha, *(commit.sha for commit in change.commits or ())) if sha)


def _readings(references: Iterable[NameReference], linked: LinkedFacts) -> dict[NameReference, tuple[Reading, ...]]:
    """Return what each name can mean."""
    unique = set(references)
    has_addresses = any("/" in reference.name for reference in unique)
    hosts = github_hosts((*linked.changes_by_id.values(), *linked.incidents)) if has_addresses else frozenset()
    return {reference: readings_of(reference.name, reference.repository, hosts) for reference in unique}


def _tag_of(deployment: Deployment) -> str | None:
    """Return the ref of a deployment if it is a tag. A branch would match its oldest deployment."""
    ref = deployment.ref or ""
    is_tag = (
        ref.startswith("refs/tags/")
        or deployment.source in ("releases", GIT_SOURCE)
        or re.match(r"[A-Za-z-]*v?\d", ref)
    )
    return ref if is_tag and not ref.startswith("refs/heads/") else None


def _scope_hint(incident: Incident) -> ScopeHint:
    return ScopeHint(incident.repository, incident.service or None, incident.environment or None)


class IncidentCandidates:
    """The deployments that an incident may belong to, those of the scopes that match its hint."""

    def __init__(self, linked: LinkedFacts) -> None:
        self._timelines_by_hint: dict[ScopeHint, list[ScopeTimeline]] = defaultdict(list)
        for timeline in linked.timelines.values():
            for hint in ScopeHint.all_of(timeline.scope):
                self._timelines_by_hint[hint].append(timeline)
        self._successes_by_hint: dict[ScopeHint, tuple[list[datetime], list[DeploymentMatch]]] = {}
        self._latest_scope_by_hint: dict[ScopeHint, Scope | None] = {}

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
        hint = _scope_hint(incident)
        if hint not in self._latest_scope_by_hint:
            timelines = self._timelines_by_hint.get(hint, ())
            latest = max(timelines, key=lambda timeline: deployment_order(timeline.deployments[-1]), default=None)
            self._latest_scope_by_hint[hint] = latest.scope if latest else None
        return self._latest_scope_by_hint[hint]

    def _successes(self, hint: ScopeHint) -> tuple[list[datetime], list[DeploymentMatch]]:
        """Return the successes in order, after the times at which they finished."""
        if hint not in self._successes_by_hint:
            matches = [
                DeploymentMatch(deployment, timeline.scope)
                for timeline in self._timelines_by_hint.get(hint, ())
                for deployment in timeline.successes
            ]
            matches.sort(key=lambda match: deployment_order(match.deployment))
            self._successes_by_hint[hint] = ([match.deployment.finished_at for match in matches], matches)
        return self._successes_by_hint[hint]
