"""The smallest valid payloads and runs; a test passes the fields that it is about."""

import json
from datetime import UTC, datetime
from typing import Any

from dora_metrics.core.facts.model import Change, Deployment, Incident
from dora_metrics.github.events.observe import Observation, Run, observe
from dora_metrics.settings.model import Settings
from support.paths import ROOT

SAMPLES = ROOT / "tests" / "github" / "samples"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHA = "a" * 40
REPOSITORY = {"default_branch": "main"}

Payload = dict[str, Any]


def at(text: str) -> datetime:
    """A time in November 2026, such as `20T14:05`."""
    return datetime.fromisoformat(f"2026-11-{text}Z")


def make_run(event: str, **fields: object) -> Run:
    defaults: Payload = {
        "event": event,
        "repository": "acme/shop",
        "sha": "f" * 40,
        "ref": "refs/heads/main",
        "run_id": "99",
        "server_url": "https://github.com",
        "workflow": "DORA",
        "now": NOW,
    }
    arguments: Payload = {**defaults, **fields}
    return Run(**arguments)


def settings(**inputs: object) -> Settings:
    return Settings.model_validate(inputs)


def observe_event(event: str, payload: Payload, *ledger_sources: str, **inputs: object) -> Observation:
    """Map an event of acme/shop to facts. `ledger_sources` are the sources in the ledger, `inputs` the settings."""
    return observe(make_run(event), payload, settings(**inputs), frozenset(ledger_sources))


def deployment(observed: Observation) -> Deployment:
    (fact,) = observed.facts
    assert isinstance(fact, Deployment)
    return fact


def change(observed: Observation) -> Change:
    (fact,) = observed.facts
    assert isinstance(fact, Change)
    return fact


def incident(observed: Observation) -> Incident:
    (fact,) = observed.facts
    assert isinstance(fact, Incident)
    return fact


def sample(name: str) -> Payload:
    payload: Payload = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return payload


def deployment_status(state: str = "success", deployment_fields: Payload | None = None, **fields: object) -> Payload:
    deployment = {
        "id": 5,
        "sha": SHA,
        "ref": "main",
        "environment": "production",
        "created_at": "2026-11-20T10:00:00Z",
    }
    status = {"state": state, "created_at": "2026-11-20T10:05:00Z", **fields}
    return {"deployment_status": status, "deployment": deployment | (deployment_fields or {}), "repository": REPOSITORY}


def workflow_run(action: str = "completed", *, name: str = "Deploy", path: str = "", **fields: object) -> Payload:
    workflow_run = {
        "id": 77,
        "event": "push",
        "head_sha": SHA,
        "head_branch": "main",
        "head_repository": {"full_name": "acme/shop"},
        "conclusion": "success",
        "run_started_at": "2026-11-20T10:00:00Z",
        "updated_at": "2026-11-20T10:05:00Z",
    }
    workflow = {"name": name, "path": path}
    return {"action": action, "workflow_run": workflow_run | fields, "workflow": workflow, "repository": REPOSITORY}


def release(action: str = "published", **fields: object) -> Payload:
    release = {
        "id": 3,
        "tag_name": "v1.4.0",
        "created_at": "2026-11-01T00:00:00Z",
        "published_at": "2026-11-20T10:00:00Z",
    }
    return {"action": action, "release": release | fields, "repository": REPOSITORY}


def push(**fields: object) -> Payload:
    commit = {"timestamp": "2026-11-20T12:00:00+02:00"}
    return {"ref": "refs/heads/main", "after": SHA, "head_commit": commit, "repository": REPOSITORY} | fields


def pull_request(**fields: object) -> Payload:
    payload = sample("pull_request.closed.merged")
    payload["pull_request"] |= fields
    return payload


def issue(action: str = "opened", *labels: str, event: Payload | None = None, **fields: object) -> Payload:
    issue = {
        "number": 7,
        "title": "Checkout answers 500",
        "state": "open",
        "labels": [{"name": label} for label in labels or ("incident",)],
        "created_at": "2026-11-20T14:12:30Z",
        "updated_at": "2026-11-20T14:12:30Z",
    }
    return {"action": action, "issue": issue | fields, **(event or {})}


def form(**answers: str) -> str:
    """The issue body that GitHub makes of a form. The keyword `detected_at` becomes the field `Detected at`."""
    texts = ((name.capitalize().replace("_", " "), answer) for name, answer in answers.items())
    return "\r\n".join(f"### {label}\r\n\r\n{answer}\r\n" for label, answer in texts)


def dispatch(action: str, **fields: object) -> Payload:
    return {"action": action, "branch": "main", "client_payload": fields, "repository": REPOSITORY}
