"""Facts as small as they can be, and the answer to them: a test says only what it is about.

Times are of the year 2024 and in UTC: `03-05T12:00`, `03-05`, or a whole one such as `2023-12-31T23:30`.
Facts are numbered within their kind; where an id or a sha is wanted, the number does.
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
from dora_metrics.core.metrics.comparison import Subject
from dora_metrics.core.metrics.document import document
from dora_metrics.core.metrics.scope_history import judge_all
from dora_metrics.core.policy import Policy

F = TypeVar("F", Deployment, Change, Incident, Vulnerability)

MARCH = "2024-03-01..2024-04-01"
HOUR = 3600.0
DAY = 24 * HOUR


def at(text: str) -> datetime:
    moment = datetime.fromisoformat(text if len(text.partition("-")[0]) == 4 else f"2024-{text}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def sha(name: object) -> str:
    """A commit sha made of a name."""
    return hashlib.sha1(str(name).encode(), usedforsecurity=False).hexdigest()


def pull(number: int) -> str:
    return f"github:pull:acme/shop#{number}"


def deployed(number: object) -> str:
    return f"github:deployment:{number}"


def issue(number: int) -> str:
    return f"github:issue:acme/shop#{number}"


def direct(number: int) -> str:
    """The id of a direct commit."""
    return f"commit:{sha(number)}"


def deployment(number: int, finished_at: str = "03-05T12:00", **fields: Any) -> Deployment:  # noqa: ANN401
    """A success in production that delivered nothing, with a sha of its own; `changes` are numbers or ids."""
    plain = Deployment(
        id=deployed(number),
        repository="acme/shop",
        service="shop",
        observed_at=at(finished_at),
        source="deployments",
        environment="production",
        sha=sha(deployed(number)),
        status="success",
        finished_at=at(finished_at),
        changes=(),
    )
    return _with(plain, fields)


def failed(number: int, finished_at: str = "03-05T12:00", **fields: Any) -> Deployment:  # noqa: ANN401
    """A run that failed before it reached users."""
    return deployment(number, finished_at, **{"status": "failure", **fields})


def change(number: int, first_commit_at: str | None = "03-01", **fields: Any) -> Change:  # noqa: ANN401
    """A merged pull request."""
    plain = Change(id=pull(number), repository="acme/shop", service="shop", observed_at=at("03-01"))
    return _with(plain, {"sha": sha(pull(number)), "first_commit_at": first_commit_at, **fields})


def commit(number: int, authored_at: str | None = "03-01", **fields: Any) -> Change:  # noqa: ANN401
    """A direct commit."""
    return change(number, authored_at, **{"id": direct(number), "sha": sha(number), **fields})


def commits(*authored_at: str) -> tuple[Commit, ...]:
    """The commits of a pull request."""
    return tuple(Commit(sha(text), at(text)) for text in authored_at)


def incident(number: int, detected_at: str = "03-05T13:00", **fields: Any) -> Incident:  # noqa: ANN401
    """An open incident in production that names no deployment."""
    plain = Incident(
        id=issue(number),
        repository="acme/shop",
        service="shop",
        environment="production",
        observed_at=at(detected_at),
        detected_at=at(detected_at),
    )
    return _with(plain, fields)


def vulnerability(number: int, detected_at: str = "03-05", **fields: Any) -> Vulnerability:  # noqa: ANN401
    plain = Vulnerability(
        id=f"github:dependabot:acme/shop#{number}",
        repository="acme/shop",
        service="shop",
        observed_at=at(detected_at),
        detected_at=at(detected_at),
        severity="high",
    )
    return _with(plain, fields)


def _with(fact: F, fields: dict[str, Any]) -> F:
    given = dict(fields)
    for name in TIME_FIELDS[type(fact)]:
        if isinstance(given.get(name), str):
            given[name] = at(given[name])
    if given.get("changes"):
        given["changes"] = tuple(pull(one) if isinstance(one, int) else one for one in given["changes"])
    return replace(fact, **given)


def released(versions: str, hours: int = 3) -> list[Deployment]:
    """Successes of these versions, each with its sha, every so many hours from 1 March: `V1 V2 V1`; `-` has no sha."""
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


def answer(*facts: Struct, **settings: Any) -> schema.Document:  # noqa: ANN401
    """What `compute` makes of facts."""
    return subject(*facts, **settings).document


def subject(
    *facts: Struct,
    window: str = MARCH,
    now: str = "04-01",
    zone: str = "UTC",
    **policy: Any,  # noqa: ANN401
) -> Subject:
    """All that reports are made from; `policy` are settings."""
    rules, spec = Policy(zone=ZoneInfo(zone), **policy), windows.window(window, ZoneInfo(zone))
    records = judge_all(cast("tuple[Fact, ...]", facts), rules)
    return Subject(records, document(records, rules, spec, at(now)), spec, rules, at(now))


def scope_of(*facts: Struct, **settings: Any) -> schema.ScopeMetrics:  # noqa: ANN401
    """The only scope of the answer."""
    (scope,) = answer(*facts, **settings).scopes
    return scope


def metrics_of(*facts: Struct, **settings: Any) -> schema.Metrics:  # noqa: ANN401
    """The numbers of the only scope."""
    return scope_of(*facts, **settings).metrics


def blamed(*facts: Struct, **settings: Any) -> dict[int, str]:  # noqa: ANN401
    """The rule by which each deployment failed, by number; of all scopes."""
    failures = [one for scope in answer(*facts, **settings).scopes for one in scope.evidence.failed_deployments]
    found = {number(one.deployment): one.rule for one in failures}
    assert len(found) == len(failures), "a deployment fails at most once"
    return found


def unmatched(*facts: Struct, **settings: Any) -> dict[int, str]:  # noqa: ANN401
    """Why each incident matches no deployment, by number; of all scopes."""
    scopes = answer(*facts, **settings).scopes
    return {number(one.incident): one.because for scope in scopes for one in scope.evidence.unmatched_incidents}


def number(identity: str) -> int:
    """The number in an id."""
    return int(identity.replace("#", ":").rpartition(":")[2])


def numbers(identities: Iterable[str]) -> list[int]:
    return [number(identity) for identity in identities]
