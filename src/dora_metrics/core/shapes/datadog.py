"""The shape `datadog`: deployments, and which of them failed, for the API of Datadog's DORA Metrics.

https://docs.datadoghq.com/api/latest/dora-metrics/. Datadog calculates the change failure rate and the recovery time
from marks on deployments, not from incidents, and marks some itself. So each production deployment is sent with its
verdict, failed or not: the marks are then ours, whatever Datadog had before.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import EPOCH, Deployment, Fact, Incident
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.linking.attempts import join_parts
from dora_metrics.core.linking.former_names import NO_NAMES, RepositoryNames
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.metrics.scope_history import ScopeHistory, redeployment_ids
from dora_metrics.core.scope import Scope, default_service, environment_of, scope_of
from dora_metrics.core.shapes.repository_address import RepositoryAddresses
from dora_metrics.core.shapes.shape import FactChange, Shape, ShapedRequest, ShapeInput, TokenHeaders, content_key

ApiObject = dict[str, Any]
Method = Literal["POST", "PATCH", "DELETE"]
Debts = dict[str, Fact]
"""Owed facts by id, each once, in order."""

_DEPLOYMENT, _INCIDENT = "/api/v2/dora/deployment", "/api/v2/dora/failure"
_VERDICTS = "/api/v2/dora/deployments"
_MILLISECOND = timedelta(milliseconds=1)


def event_id(fact: Fact, names: RepositoryNames = NO_NAMES) -> str:
    """Return the id of a deployment or an incident at Datadog, 77 characters of the 16 to 128 that it allows.

    Ids of facts may be longer and have other characters, and two repositories may use one. It has the first known name
    of the repository and its number, so a rename does not change it, and another repository that gets the name has
    other ids, also if it has a ledger of its own.
    """
    identity = [names.numbered_name(fact.repository).casefold(), names.numbered_id(fact.id)]
    return f"dora-metrics:{sha256(canonical_json(identity)).hexdigest()}"


def _requests(shape_input: ShapeInput) -> Sequence[ShapedRequest]:
    """Return the requests: each deployment before the verdicts that name it, then what is deleted, then incidents."""
    judged = _Judged(shape_input)
    plan = _DeploymentPlan(judged)
    owed_ids = frozenset(fact.id for fact in shape_input.facts)
    for fact in shape_input.facts:
        if isinstance(fact, Deployment):
            plan.add(fact, owed_ids)
    incidents = (fact for fact in shape_input.facts if isinstance(fact, Incident))
    return [*plan.requests(), *_incident_requests(incidents, judged)]


class _Judged:
    """What was judged of all facts, looked up by the facts that are owed."""

    def __init__(self, shape_input: ShapeInput) -> None:
        self.failures = shape_input.failures
        self.policy = shape_input.results.policy
        self._facts = shape_input.facts
        self._names = shape_input.results.names
        self._evaluation = shape_input.results.evaluation
        self._is_production = shape_input.results.is_production

    @property
    def _histories(self) -> Sequence[ScopeHistory]:
        return self._evaluation.histories

    def event_id(self, fact: Fact) -> str:
        """Return the id of a deployment or an incident at Datadog."""
        return event_id(fact, self._names)

    def is_judged(self, deployment: Deployment) -> bool:
        """Whether a deployment has a verdict: those to production have one."""
        return deployment.id in self._deployments

    def attempt_of(self, fact: Deployment) -> Deployment | None:
        """Return the deployment that a fact is, or is a part of; None if it counts nowhere.

        One outside production is in no history, nor is one of a month that was not read. A production deployment in the
        time of its scope's history that is not there was left out, as a duplicate for example. One without environment
        counts nowhere in a repository where others have one.
        """
        if not (fact.environment or self._is_production(fact)):
            return None
        first_id = self._attempt_ids.get(fact.id, fact.id)
        if attempt := self._deployments.get(first_id):
            return attempt
        history = self._history_by_scope.get(scope_of(fact))
        began_at = history.first_deployment_at if history else None
        if fact.id in self._evaluation.left_out or (began_at and began_at <= fact.finished_at):
            return None
        joined = join_parts(self.parts_of(first_id)).deployments
        return next((attempt for attempt in joined if attempt.id == first_id), fact)

    def parts_of(self, attempt_id: str) -> Sequence[Deployment]:
        """Return the facts that a deployment was joined from; none if it is a fact itself."""
        return self._parts.get(attempt_id, ())

    def remediation_of(self, failure: Failure) -> Deployment | None:
        """Return the deployment that ended a failure after it began; None if none did, or an incident's end did."""
        has_recovered = failure.recovery_seconds is not None
        return self._deployments.get(failure.remediated_by or "") if has_recovered else None

    def remediation_of_failure(self, deployment: Deployment) -> Deployment | None:
        """Return the deployment that ended the failure of another one; None also if that did not fail."""
        failure = self.failures.get(deployment.id)
        return self.remediation_of(failure) if failure else None

    def ended_by(self, deployment: Deployment) -> Sequence[Failure]:
        """Return the failures that a deployment ended, of deployments that reached users."""
        return self._failures_by_remediation.get(deployment.id, ())

    def is_rollback(self, remediation: Deployment, failed: Deployment) -> bool:
        """Whether a remediation brought back an earlier commit, rather than a new one or the same once more."""
        return remediation.id in self._redeployments and remediation.sha != failed.sha

    def incident_of(self, fact: Incident) -> AttributedIncident | None:
        """Return the production incident that a fact reports; None for one outside production."""
        return self._incidents.get(fact.id)

    @cached_property
    def addresses(self) -> RepositoryAddresses:
        """The addresses of repositories, as the owed facts and the deployments that count name them."""
        return RepositoryAddresses((*self._facts, *self._deployments.values()))

    @cached_property
    def _deployments(self) -> Mapping[str, Deployment]:
        return {each.id: each for history in self._histories for each in history.deployments}

    @cached_property
    def _history_by_scope(self) -> Mapping[Scope, ScopeHistory]:
        return {history.scope: history for history in self._histories}

    @cached_property
    def _parts(self) -> Mapping[str, tuple[Deployment, ...]]:
        """Those of all scopes, which each history has."""
        return self._histories[0].parts if self._histories else {}

    @cached_property
    def _attempt_ids(self) -> Mapping[str, str]:
        return {part.id: attempt_id for attempt_id, parts in self._parts.items() for part in parts}

    @cached_property
    def _failures_by_remediation(self) -> Mapping[str, Sequence[Failure]]:
        failures: defaultdict[str, list[Failure]] = defaultdict(list)
        for failure in self.failures.values():
            remediation = self.remediation_of(failure)
            if remediation and has_reached_users(failure.deployment):
                failures[remediation.id].append(failure)
        return failures

    @cached_property
    def _redeployments(self) -> frozenset[str]:
        return frozenset[str]().union(*(redeployment_ids(history.deployments) for history in self._histories))

    @cached_property
    def _incidents(self) -> Mapping[str, AttributedIncident]:
        incidents = [attributed for history in self._histories for attributed in history.incidents]
        return {report_id: attributed for attributed in incidents for report_id in attributed.report_ids}


class _DeploymentPlan:
    """What is said about which deployments, each once, and for which owed facts."""

    def __init__(self, judged: _Judged) -> None:
        self._judged = judged
        self._sent: dict[str, tuple[Deployment, Debts]] = {}
        self._verdicts: dict[str, tuple[Deployment, Debts]] = {}
        self._deleted: dict[str, Debts] = {}

    def add(self, fact: Deployment, owed_ids: frozenset[str]) -> None:
        """Add what an owed fact has to say; nothing if it counts nowhere."""
        attempt = fact if fact.retracted else self._judged.attempt_of(fact)
        if attempt is None:
            return
        if attempt.retracted or not has_reached_users(attempt):
            self._delete(attempt, fact)
            return
        self._add_verdict(attempt, fact)
        for ended in self._judged.ended_by(attempt):
            self._add_verdict(ended.deployment, fact)
        if replaced := _replaced_part(self._judged.parts_of(attempt.id), owed_ids):
            self._delete(replaced, fact)

    def requests(self) -> Iterator[ShapedRequest]:
        """Yield the requests in the order in which Datadog needs them."""
        verdicts = self._verdicts_by_last_named()
        for deployment, debts in self._sent.values():
            yield _request("POST", _DEPLOYMENT, debts, _deployment_content(deployment, self._judged))
            for verdict_of, verdict_debts in verdicts.get(deployment.id, ()):
                path = f"{_VERDICTS}/{self._judged.event_id(verdict_of)}"
                yield _request("PATCH", path, verdict_debts, _verdict_content(verdict_of, self._judged))
        for deleted_id, debts in self._deleted.items():
            yield _request("DELETE", f"{_DEPLOYMENT}/{deleted_id}", debts)

    def _verdicts_by_last_named(self) -> Mapping[str, Sequence[tuple[Deployment, Debts]]]:
        """Return the verdicts by the last deployment that each names: itself, or its remediation if that is later."""
        positions = {deployment_id: position for position, deployment_id in enumerate(self._sent)}
        verdicts: defaultdict[str, list[tuple[Deployment, Debts]]] = defaultdict(list)
        for deployment, debts in self._verdicts.values():
            remediation = self._judged.remediation_of_failure(deployment)
            named_ids = [deployment.id, *([remediation.id] if remediation else [])]
            verdicts[max(named_ids, key=positions.__getitem__)].append((deployment, debts))
        return verdicts

    def _add_verdict(self, deployment: Deployment, fact: Fact) -> None:
        """Add a deployment and its verdict, and before that what the verdict names.

        Both may have been sent before, or not: then the endpoint is new, or their turn has not come yet.
        """
        self._send(deployment, fact)
        if not self._judged.is_judged(deployment):
            return
        if remediation := self._judged.remediation_of_failure(deployment):
            self._send(remediation, fact)
        self._verdicts.setdefault(deployment.id, (deployment, {}))[1][fact.id] = fact

    def _send(self, deployment: Deployment, fact: Fact) -> None:
        self._sent.setdefault(deployment.id, (deployment, {}))[1][fact.id] = fact

    def _delete(self, deployment: Deployment, fact: Fact) -> None:
        self._deleted.setdefault(self._judged.event_id(deployment), {})[fact.id] = fact


def _replaced_part(parts: Sequence[Deployment], owed_ids: frozenset[str]) -> Deployment | None:
    """Return the part under whose id an attempt was sent before an earlier part of it was recorded.

    An attempt has the id of its first part. If that one is owed, it may have been another one before.
    """
    if not parts or parts[0].id not in owed_ids:
        return None
    return next((part for part in parts if part.id not in owed_ids), None)


def _deployment_content(deployment: Deployment, judged: _Judged) -> ApiObject:
    scope = scope_of(deployment)
    url = judged.addresses.known(deployment.repository)
    attributes = {
        "id": judged.event_id(deployment),
        "service": scope.service,
        "env": scope.environment,
        "started_at": _milliseconds(min(deployment.started_at or deployment.finished_at, deployment.finished_at)),
        "finished_at": _milliseconds(deployment.finished_at),
        "version": deployment.version,
        "team": judged.policy.team_of(scope),
        "git": {"commit_sha": deployment.sha, "repository_url": url} if deployment.sha and url else None,
        "custom_tags": [f"repository:{deployment.repository}"],
    }
    return {"data": {"attributes": _present(attributes)}}


def _verdict_content(deployment: Deployment, judged: _Judged) -> ApiObject:
    attributes: ApiObject = {"change_failure": deployment.id in judged.failures}
    if remediation := judged.remediation_of_failure(deployment):
        kind = "rollback" if judged.is_rollback(remediation, deployment) else "rollforward"
        attributes["remediation"] = {"id": judged.event_id(remediation), "type": kind}
    data = {"id": judged.event_id(deployment), "type": "dora_deployment_patch_request", "attributes": attributes}
    return {"data": data}


class _ReportedIncident(NamedTuple):
    """An incident as it counts, and its service and environment. `other_reports`: those whose id it does not have."""

    incident: Incident
    other_reports: Sequence[Incident]
    service: str
    environment: str
    team: str | None


def _incident_requests(facts: Iterable[Incident], judged: _Judged) -> Iterator[ShapedRequest]:
    """Yield a request for each incident. Reports of the same one may have been sent before as incidents themselves."""
    reported: dict[str, tuple[_ReportedIncident, Debts]] = {}
    for fact in facts:
        if fact.retracted:
            yield _request("DELETE", f"{_INCIDENT}/{judged.event_id(fact)}", {fact.id: fact})
            continue
        incident = _reported_incident(fact, judged)
        reported.setdefault(incident.incident.id, (incident, {}))[1][fact.id] = fact
    for incident, debts in reported.values():
        yield _request("POST", _INCIDENT, debts, _incident_content(incident, judged))
        for report in incident.other_reports:
            yield _request("DELETE", f"{_INCIDENT}/{judged.event_id(report)}", debts)


def _reported_incident(fact: Incident, judged: _Judged) -> _ReportedIncident:
    if attributed := judged.incident_of(fact):
        scope, incident, reports = attributed.scope, attributed.incident, attributed.reports
    else:
        scope = Scope(fact.repository, fact.service or default_service(fact.repository), environment_of(fact))
        incident, reports = fact, ()
    others = [report for report in reports if report.id != incident.id]
    return _ReportedIncident(incident, others, scope.service, scope.environment, judged.policy.team_of(scope))


def _incident_content(reported: _ReportedIncident, judged: _Judged) -> ApiObject:
    incident = reported.incident
    attributes = {
        "id": judged.event_id(incident),
        "services": [reported.service],
        "env": reported.environment,
        "team": reported.team,
        "name": incident.title,
        "severity": incident.severity,
        "started_at": _milliseconds(incident.detected_at),
        "finished_at": _milliseconds(max(incident.detected_at, incident.resolved_at)) if incident.resolved_at else None,
        "custom_tags": [f"repository:{incident.repository}"],
    }
    return {"data": {"attributes": _present(attributes)}}


def _request(method: Method, path: str, debts: Debts, content: ApiObject | None = None) -> ShapedRequest:
    """Return a request. Its key has the state of the facts that it is for, so what comes back is no repetition."""
    body = b"" if content is None else canonical_json(content)
    key = content_key([method, path, content, [*debts.values()]])
    return ShapedRequest(body=body, key=key, delivers=tuple(debts), path=path, method=method)


def _present(attributes: ApiObject) -> ApiObject:
    """Return the attributes without those that nothing is known of."""
    return {name: value for name, value in attributes.items() if value not in (None, "")}


def _milliseconds(time: datetime) -> int:
    """Return a time since 1970. Datadog takes nanoseconds as well, but those of some years have more than 64 bits."""
    return (time - EPOCH) // _MILLISECOND


def _is_owed(change: FactChange) -> bool:
    """Whether Datadog should have a fact, or may have it and should not."""
    return any(fact is not None and _is_sent(fact) for fact in (change.before, change.after))


def _is_sent(fact: Fact) -> bool:
    is_event = has_reached_users(fact) if isinstance(fact, Deployment) else isinstance(fact, Incident)
    return is_event and not fact.retracted


DATADOG = Shape(
    "datadog",
    events=frozenset({"deployment"}),
    requests=_requests,
    is_owed=_is_owed,
    owes_judgements=True,
    token_headers=TokenHeaders("DD-API-KEY", second_header="DD-APPLICATION-KEY"),
)
