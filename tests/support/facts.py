"""The smallest valid facts, and the results computed from them; a test passes the fields that it is about.

Times are in 2024 and in UTC: `03-05T12:00`, `03-05`, or a complete one such as `2023-12-31T23:30`.
Facts of a kind are numbered; a number stands for the id or sha wherever one is needed.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import schema, windows
from dora_metrics.core.facts.model import TIME_FIELDS, Change, Commit, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.metrics.document import build_document
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy

F = TypeVar("F", Deployment, Change, Incident, Vulnerability)

MARCH = "2024-03-01..2024-04-01"
HOUR = 3600.0
DAY = 24 * HOUR


def at(text: str) -> datetime:
    time = datetime.fromisoformat(text if len(text.partition("-")[0]) == 4 else f"2024-{text}")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def sha(name: object) -> str:
    """A commit sha derived from any name."""
    return hashlib.sha1(str(name).encode(), usedforsecurity=False).hexdigest()


def pull_id(number: int) -> str:
    return f"github:pull:acme/shop#{number}"


def deployment_id(number: object) -> str:
    return f"github:deployment:{number}"


def issue_id(number: int) -> str:
    return f"github:issue:acme/shop#{number}"


def commit_id(number: int) -> str:
    """The id of a direct commit."""
    return f"commit:{sha(number)}"


def deployment(number: int, finished_at: str = "03-05T12:00", **fields: Any) -> Deployment:  # noqa: ANN401
    """A success in production with its own sha that delivered nothing; `changes` are numbers or ids."""
    default = Deployment(
        id=deployment_id(number),
        repository="acme/shop",
        service="shop",
        observed_at=at(finished_at),
        source="deployments",
        environment="production",
        sha=sha(deployment_id(number)),
        status="success",
        finished_at=at(finished_at),
        changes=(),
    )
    return _replace(default, fields)


def failed_deployment(number: int, finished_at: str = "03-05T12:00", **fields: Any) -> Deployment:  # noqa: ANN401
    """An attempt that failed before it reached users."""
    return deployment(number, finished_at, **{"status": "failure", **fields})


def change(number: int, first_commit_at: str | None = "03-01", **fields: Any) -> Change:  # noqa: ANN401
    """A merged pull request."""
    default = Change(id=pull_id(number), repository="acme/shop", service="shop", observed_at=at("03-01"))
    return _replace(default, {"sha": sha(pull_id(number)), "first_commit_at": first_commit_at, **fields})


def direct_commit(number: int, authored_at: str | None = "03-01", **fields: Any) -> Change:  # noqa: ANN401
    """A direct commit."""
    return change(number, authored_at, **{"id": commit_id(number), "sha": sha(number), **fields})


def commits(*authored_at: str) -> tuple[Commit, ...]:
    """Commits of a pull request, authored at these times."""
    return tuple(Commit(sha(text), at(text)) for text in authored_at)


def incident(number: int, detected_at: str = "03-05T13:00", **fields: Any) -> Incident:  # noqa: ANN401
    """An open incident in production that names no deployment."""
    default = Incident(
        id=issue_id(number),
        repository="acme/shop",
        service="shop",
        environment="production",
        observed_at=at(detected_at),
        detected_at=at(detected_at),
    )
    return _replace(default, fields)


def vulnerability(number: int, detected_at: str = "03-05", **fields: Any) -> Vulnerability:  # noqa: ANN401
    default = Vulnerability(
        id=f"github:dependabot:acme/shop#{number}",
        repository="acme/shop",
        service="shop",
        observed_at=at(detected_at),
        detected_at=at(detected_at),
        severity="high",
    )
    return _replace(default, fields)


def _replace(fact: F, fields: dict[str, Any]) -> F:
    replacements = dict(fields)
    for name in TIME_FIELDS[type(fact)]:
        if isinstance(replacements.get(name), str):
            replacements[name] = at(replacements[name])
    if replacements.get("changes"):
        replacements["changes"] = tuple(
            pull_id(number_or_id) if isinstance(number_or_id, int) else number_or_id
            for number_or_id in replacements["changes"]
        )
    return replace(fact, **replacements)


def deployments_of_versions(versions: str, hours: int = 3) -> list[Deployment]:
    """Successes of these versions, `hours` apart from 1 March on: `V1 V2 V1`. `-` has no sha."""
    start = at("03-01")
    return [
        deployment(
            number,
            (start + number * hours * (at("03-01T01:00") - start)).isoformat(),
            sha=None if version == "-" else sha(version),
            version=version,
        )
        for number, version in enumerate(versions.split(), 1)
    ]


def document_of(*facts: Struct, **settings: Any) -> schema.Document:  # noqa: ANN401
    """The document that `compute` writes for these facts."""
    return results_of(*facts, **settings).document


def results_of(
    *facts: Struct,
    window: str = MARCH,
    now: str = "04-01",
    zone: str = "UTC",
    **policy: Any,  # noqa: ANN401
) -> Results:
    """The results that reports are made from; `policy` holds fields of Policy."""
    resolved_policy, window_spec = Policy(zone=ZoneInfo(zone), **policy), windows.parse_window(window, ZoneInfo(zone))
    records = evaluate_facts(cast("tuple[Fact, ...]", facts), resolved_policy)
    return Results(
        records, build_document(records, resolved_policy, window_spec, at(now)), window_spec, resolved_policy, at(now)
    )


def scope_of(*facts: Struct, **settings: Any) -> schema.ScopeMetrics:  # noqa: ANN401
    """The only scope of the document."""
    (scope,) = document_of(*facts, **settings).scopes
    return scope


def metrics_of(*facts: Struct, **settings: Any) -> schema.Metrics:  # noqa: ANN401
    """The metrics of the only scope."""
    return scope_of(*facts, **settings).metrics


def failure_rules(*facts: Struct, **settings: Any) -> dict[int, str]:  # noqa: ANN401
    """The rule by which each deployment failed, by its number, over all scopes."""
    failures = [
        failure for scope in document_of(*facts, **settings).scopes for failure in scope.evidence.failed_deployments
    ]
    rules = {number_of(failure.deployment): failure.rule for failure in failures}
    assert len(rules) == len(failures), "a deployment fails at most once"
    return rules


def unmatched_reasons(*facts: Struct, **settings: Any) -> dict[int, str]:  # noqa: ANN401
    """The reason why each incident matches no deployment, by its number, over all scopes."""
    scopes = document_of(*facts, **settings).scopes
    return {
        number_of(incident.incident): incident.because
        for scope in scopes
        for incident in scope.evidence.unmatched_incidents
    }


def number_of(identity: str) -> int:
    """The number in an id."""
    return int(identity.replace("#", ":").rpartition(":")[2])


def numbers_of(identities: Iterable[str]) -> list[int]:
    return [number_of(identity) for identity in identities]
