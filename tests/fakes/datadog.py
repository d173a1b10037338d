"""Datadog's DORA Metrics API, as its reference and its generated clients describe it.

The reference: https://docs.datadoghq.com/api/latest/dora-metrics/. The clients, whose models have the same fields:
https://github.com/DataDog/datadog-api-client-python at 6d8f356, src/datadog_api_client/v2/model/dora_*.py and
src/datadog_api_client/v2/api/dora_metrics_api.py, which has the paths, and the keys that each of them needs.

Not documented, and therefore a guess: what a second event with the same id does (here it replaces the first, and keeps
its verdict), and how a PATCH of an unknown id is answered (here with 404).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from support.servers import Answer, ListeningFake, Request

API_KEY, APPLICATION_KEY = "d4t4d0g-api-key", "d4t4d0g-application-key"
TOKEN = f"{API_KEY}:{APPLICATION_KEY}"

_ID = re.compile(r"[A-Za-z0-9_.:-]{16,128}", re.ASCII)
"""Of an event: "Must be 16-128 characters and contain only alphanumeric characters, hyphens, underscores, periods, and
colons" (DORADeploymentRequestAttributes, DORAFailureRequestAttributes)."""

_TAG = re.compile(r"[^:]+:.+", re.DOTALL)
_MAX_TAGS = 100
""" "The tags must follow the key:value pattern. Up to 100 may be added per event" (the same models)."""

_LEAST_TIME, _MOST_TIME = 0, 2**63 - 1
_KINDS_OF_REMEDIATION = ("rollback", "rollforward")
_PATCH_TYPE = "dora_deployment_patch_request"

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(value, str) and value != ""


def _is_time(value: Any) -> bool:  # noqa: ANN401 - JSON
    return type(value) is int and _LEAST_TIME <= value <= _MOST_TIME


def _is_tags(value: Any) -> bool:  # noqa: ANN401 - JSON
    return (
        isinstance(value, list)
        and len(value) <= _MAX_TAGS
        and all(_is_text(tag) and _TAG.fullmatch(tag) for tag in value)
    )


def _is_git(value: Any) -> bool:  # noqa: ANN401 - JSON
    """DORAGitInfo: both are required."""
    return (
        isinstance(value, dict)
        and value.keys() == {"commit_sha", "repository_url"}
        and all(map(_is_text, value.values()))
    )


def _is_id(value: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_services(value: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(value, list) and value != [] and all(map(_is_text, value))


def _is_remediation(value: Any) -> bool:  # noqa: ANN401 - JSON
    """DORADeploymentPatchRemediation: "Specify either id or version", and the type with it."""
    if not isinstance(value, dict) or ("id" in value) == ("version" in value):
        return False
    return value.keys() <= {"id", "version", "type"} and value.get("type") in _KINDS_OF_REMEDIATION


_EVENT: Mapping[str, Check] = {
    "custom_tags": _is_tags,
    "env": _is_text,
    "finished_at": _is_time,
    "git": _is_git,
    "id": _is_id,
    "started_at": _is_time,
    "team": _is_text,
    "version": _is_text,
}
_DEPLOYMENT: Mapping[str, Check] = {**_EVENT, "service": _is_text}
"""DORADeploymentRequestAttributes."""
_INCIDENT: Mapping[str, Check] = {**_EVENT, "name": _is_text, "services": _is_services, "severity": _is_text}
"""DORAFailureRequestAttributes; `services` or `team` is required."""
_VERDICT: Mapping[str, Check] = {
    "change_failure": lambda value: isinstance(value, bool),
    "remediation": _is_remediation,
}
"""DORADeploymentPatchRequestAttributes."""


@dataclass
class StoredDeployment:
    """A deployment as it was sent last, and its verdict; None before the first one."""

    attributes: dict[str, Any]
    is_failure: bool | None = None
    remediation: dict[str, str] | None = None

    @property
    def finished_at(self) -> datetime:
        return datetime.fromtimestamp(self.attributes["finished_at"] / 1000, UTC)


@dataclass
class FakeDatadog(ListeningFake):
    """What an organisation has.

    Attributes:
        deployments: by id.
        incidents: by id, as they were sent last.
        answers: instead of its own answers, those to the requests with these numbers, counted from 1.
    """

    deployments: dict[str, StoredDeployment] = field(default_factory=dict)
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)

    def answer_to(self, request: Request) -> Answer:
        """Answer as the API does."""
        if prepared := self.answers.get(len(self.requests)):
            return prepared
        if refusal := _refused_keys(request):
            return refusal
        return self._answer(request.method, request.path.removeprefix("/api/v2/dora/").split("/"), request)

    def _answer(self, method: str, path: Sequence[str], request: Request) -> Answer:
        match (method, *path):
            case ("POST", "deployment"):
                return self._store_deployment(request)
            case ("POST", "failure"):
                return self._store_incident(request)
            case ("PATCH", "deployments", event_id):
                return self._judge(event_id, request)
            case ("DELETE", "deployment" | "failure" as kind, event_id):
                stored: dict[str, Any] = self.deployments if kind == "deployment" else self.incidents
                stored.pop(event_id, None)
                return Answer(202)  # also if there is none: tests/v2/features/dora_metrics.feature, "NO_VALUE"
        return Answer(404, _errors("Not found"))

    def _store_deployment(self, request: Request) -> Answer:
        attributes = _attributes(request)
        if problem := _problem(attributes, _DEPLOYMENT, required=("service", "started_at", "finished_at")):
            return bad_request(problem)
        stored = self.deployments.setdefault(attributes["id"], StoredDeployment({}))
        stored.attributes = attributes
        return _accepted(attributes["id"], "dora_deployment")

    def _store_incident(self, request: Request) -> Answer:
        attributes = _attributes(request)
        required = ("started_at",) if "team" in (attributes or {}) else ("started_at", "services")
        if problem := _problem(attributes, _INCIDENT, required=required):
            return bad_request(problem)
        self.incidents[attributes["id"]] = attributes
        return _accepted(attributes["id"], "dora_failure")

    def _judge(self, event_id: str, request: Request) -> Answer:
        data, attributes = _data(request), _attributes(request)
        if data.get("type") != _PATCH_TYPE:
            return bad_request(f"got type {data.get('type')!r} expected one of {_PATCH_TYPE!r}")
        if data.get("id") != event_id:
            return bad_request("the id differs from that of the path")
        if problem := _problem(attributes, _VERDICT, required=()):
            return bad_request(problem)
        if event_id not in self.deployments:
            return Answer(404, _errors("deployment not found"))
        remediation = attributes.get("remediation")
        if remediation and remediation.get("id") not in self.deployments:
            return bad_request("the remediation deployment is not known")
        stored = self.deployments[event_id]
        stored.is_failure = attributes.get("change_failure", stored.is_failure)
        stored.remediation = remediation if stored.is_failure else None
        return Answer(202)

    def judged(self, service: str, env: str) -> list[StoredDeployment]:
        """The deployments of a service to an environment that have a verdict."""
        judged = [each for each in self.deployments.values() if each.is_failure is not None]
        return [each for each in judged if (each.attributes["service"], each.attributes["env"]) == (service, env)]

    def change_failure_rate(self, service: str, env: str, *, with_rollbacks: bool) -> float | None:
        """Failed deployments as a share of all; Datadog leaves the rollbacks out of these, unless told not to.

        https://docs.datadoghq.com/dora_metrics/change_failure_detection: failures / (deployments - rollbacks).
        """
        judged = self.judged(service, env)
        remediations = [each.remediation for each in judged if each.remediation]
        rollbacks = {each["id"] for each in remediations if each["type"] == "rollback"}
        total = len(judged) if with_rollbacks else len(judged) - len(rollbacks)
        return sum(bool(each.is_failure) for each in judged) / total if total else None

    def recovery_seconds(self, service: str, env: str) -> float | None:
        """The median time between a failed deployment and its remediation (the same page)."""
        times = [
            (self.deployments[each.remediation["id"]].finished_at - each.finished_at).total_seconds()
            for each in self.judged(service, env)
            if each.remediation
        ]
        return median(times) if times else None


def bad_request(detail: str) -> Answer:
    """JSONAPIErrorResponse, as its recorded answers have it."""
    error = {"status": "400", "title": "Bad Request", "detail": detail}
    return Answer(400, json.dumps({"errors": [error]}).encode(), {"Content-Type": "application/vnd.api+json"})


def too_many_requests(seconds: int) -> Answer:
    """An answer at the rate limit, with the headers of https://docs.datadoghq.com/api/latest/rate-limits/."""
    headers = {
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Period": str(seconds),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(seconds),
        "X-RateLimit-Name": "dora",
    }
    return Answer(429, _errors("Too many requests"), headers)


def _refused_keys(request: Request) -> Answer | None:
    """Refuse a request without a valid key; only sending an event needs no application key."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if headers.get("dd-api-key") != API_KEY:
        return Answer(403, _errors("Forbidden"))
    if request.method != "POST" and headers.get("dd-application-key") != APPLICATION_KEY:
        return Answer(403, _errors("Forbidden"))
    return None


def _errors(*messages: str) -> bytes:
    """APIErrorResponse."""
    return json.dumps({"errors": messages}).encode()


def _accepted(event_id: str, kind: str) -> Answer:
    return Answer(200, json.dumps({"data": {"id": event_id, "type": kind}}).encode())


def _data(request: Request) -> dict[str, Any]:
    try:
        content = json.loads(request.body)
    except ValueError:
        return {}
    data = content.get("data") if isinstance(content, dict) else None
    return data if isinstance(data, dict) else {}


def _attributes(request: Request) -> dict[str, Any]:
    attributes = _data(request).get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _problem(attributes: Mapping[str, Any], checks: Mapping[str, Check], required: tuple[str, ...]) -> str:
    """Return what is wrong with attributes; empty if nothing is."""
    if missing := [name for name in required if name not in attributes]:
        return f"missing {', '.join(missing)}"
    if unknown := attributes.keys() - checks.keys():
        return f"unknown {', '.join(sorted(unknown))}"
    return ", ".join(f"{name} is not valid" for name, value in attributes.items() if not checks[name](value))
