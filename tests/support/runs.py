"""Run the action in tests: the real program with its own environment, streams and files."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path

from dora_metrics.commands import action
from dora_metrics.runtime import HttpLimits, Runtime

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
JOB_AGE = timedelta(hours=1)
"""How long ago the job of a run began."""

FAST_LIMITS = HttpLimits(connect_seconds=0.5, read_seconds=0.5, tries=2, pause_seconds=0)


@dataclass(frozen=True)
class ActionRun:
    """Exit code, log, summary and outputs of one run."""

    code: int
    log: str
    summary: str
    outputs: dict[str, str]

    @property
    def facts(self) -> list[dict[str, object]]:
        facts: list[dict[str, object]] = json.loads(self.outputs["facts"])
        return facts


class PausedClock:
    """A clock that only a run's pauses advance."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds


def run_action(
    folder: Path,
    event: str,
    payload: Mapping[str, object] | str | bytes | None,
    inputs: Mapping[str, object] | None = None,
    *,
    now: datetime = NOW,
    environment: Mapping[str, str] | None = None,
    pause: Callable[[float], None] = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
    limits: HttpLimits = FAST_LIMITS,
) -> ActionRun:
    """Run the action in `folder` on an event. `payload` None means that there is no event file."""
    paths = {name: folder / f"{name}.txt" for name in ("output", "summary", "event")}
    for name in ("output", "summary"):
        paths[name].write_text("", "utf-8")
    if payload is not None:
        raw = (
            payload
            if isinstance(payload, bytes)
            else payload.encode()
            if isinstance(payload, str)
            else json.dumps(payload).encode()
        )
        write_event(paths["event"], raw)
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(paths["event"]),
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_SHA": "f" * 40,
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_RUN_ID": "77",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_OUTPUT": str(paths["output"]),
        "GITHUB_STEP_SUMMARY": str(paths["summary"]),
        "DORA_INPUTS": json.dumps({"ledger": "dir:ledger", **(inputs or {})}),
        **(environment or {}),
    }
    log, errors = StringIO(), StringIO()
    runtime = Runtime(variables, BytesIO(), log, errors, now, pause, monotonic, limits)
    code = action.run(runtime)
    text = paths["output"].read_text("utf-8")
    return ActionRun(code, log.getvalue() + errors.getvalue(), paths["summary"].read_text("utf-8"), parse_outputs(text))


def write_event(path: Path, content: bytes) -> None:
    """Write an event's file as a runner does at the start of a job; what a test checks out is newer."""
    path.write_bytes(content)
    set_age(path, JOB_AGE)


def set_age(path: Path, age: timedelta) -> None:
    """Make a file look as if it was written so long ago, by the clock of this machine."""
    written_at = time.time() - age.total_seconds()
    os.utime(path, (written_at, written_at))


def leave_checkout(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder what an earlier job on the same runner left: its checkout."""
    check_out(folder, files)
    for path in (folder / ".git").rglob("*"):
        set_age(path, 2 * JOB_AGE)


def check_out(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder the checkout of a repository with these files, as far as a run looks at it."""
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    for path, text in {".git/HEAD": "ref: refs/heads/main\n", **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")


def write_settings(folder: Path, text: str = "") -> dict[str, object]:
    """Write a settings file beside a workspace; return the input that names it. Such a run needs none of GitHub's."""
    path = folder.with_name(f"{folder.name}.yml")
    path.write_text(text, "utf-8")
    return {"config": str(path)}


def parse_outputs(text: str) -> dict[str, str]:
    """Parse GITHUB_OUTPUT as the runner does: `name<<delimiter`, the lines, the delimiter on a line of its own."""
    outputs: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        name, _, delimiter = line.partition("<<")
        value_lines = []
        for value_line in lines:
            if value_line == delimiter:
                break
            value_lines.append(value_line)
        outputs[name] = "\n".join(value_lines)
    return outputs


def deployment_status(
    number: int = 1, *, state: str = "success", at: str = "2026-11-21T11:00:00Z", **deployment: object
) -> dict[str, object]:
    """A `deployment_status` payload of a deployment to production."""
    return {
        "action": "created",
        "deployment_status": {
            "id": number * 10,
            "state": state,
            "environment": "production",
            "created_at": at,
            "updated_at": at,
        },
        "deployment": {
            "id": number,
            "sha": f"{number:040x}",
            "ref": f"v1.{number}.0",
            "task": "deploy",
            "environment": "production",
            "payload": {},
            "created_at": at,
            **deployment,
        },
        "repository": {"name": "shop", "full_name": "acme/shop", "default_branch": "main"},
    }


def deployment_ids(*numbers: int) -> list[str]:
    """Ids of the facts of these deployments."""
    return [f"github:deployment:{number}" for number in numbers]


def incident_issue(number: int = 9, title: str = "Checkout answers 500", **issue: object) -> dict[str, object]:
    """An `issues` payload of an open incident."""
    return {
        "action": "opened",
        "issue": {
            "id": number,
            "node_id": f"I_{number}",
            "number": number,
            "title": title,
            "body": None,
            "state": "open",
            "state_reason": None,
            "labels": [{"name": "incident"}],
            "user": None,
            "html_url": f"https://github.com/acme/shop/issues/{number}",
            "created_at": "2026-11-21T11:30:00Z",
            "updated_at": "2026-11-21T11:30:00Z",
            "closed_at": None,
            **issue,
        },
        "repository": {"name": "shop", "full_name": "acme/shop", "default_branch": "main"},
    }
