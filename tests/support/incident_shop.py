"""acme/shop with a ledger in a folder, whose syncs read incident systems."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.runtime import HttpLimits
from dora_metrics.sources import fact_files
from fakes.github import FakeGitHub
from fakes.incident_systems import TOKEN, FakeSystem
from support.runs import FAST_LIMITS, NOW, ActionRun, check_out, run_action

CONFIG = ".github/dora.yml"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UNREAD = "are unread, which does not mean that there were none"


def text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


class IncidentShop:
    """A repository and its runs, with the settings of a workflow that trusts the fakes' hosts."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.folder.mkdir(exist_ok=True)

    def sync(
        self,
        *systems: Mapping[str, object],
        now: datetime = NOW,
        limits: HttpLimits = FAST_LIMITS,
        tokens: str | None = None,
        hosts: str | None = None,
        pauses: list[float] | None = None,
        environment: Mapping[str, str] | None = None,
        **inputs: object,
    ) -> ActionRun:
        """Read GitHub and these systems, whose tokens and hosts the workflow names unless they are given."""
        check_out(self.folder, {CONFIG: json.dumps({"incidents": systems})})
        names = [str(system.get("name", system["system"])) for system in systems]
        usual_hosts = [urlsplit(str(system["url"])).netloc for system in systems if "url" in system]
        access = {
            "github-token": self.github.token,
            "incident-tokens": "\n".join(f"{name}: {TOKEN}" for name in names) if tokens is None else tokens,
            "incident-hosts": "\n".join(usual_hosts) if hosts is None else hosts,
        }
        settings = {name.replace("_", "-"): value for name, value in inputs.items()}
        return run_action(
            self.folder,
            "schedule",
            {"schedule": "17 5 * * *"},
            {**access, **settings},
            now=now,
            environment={"GITHUB_API_URL": self.github.api_url, **(environment or {})},
            pause=(pauses.append if pauses is not None else lambda _: None),
            limits=limits,
        )

    def dispatch(self, now: datetime, **incident: object) -> ActionRun:
        """Send a `repository_dispatch` about an incident."""
        payload = {"action": "dora-incident", "client_payload": incident}
        return run_action(self.folder, "repository_dispatch", payload, now=now)

    def incidents(self) -> dict[str, dict[str, Any]]:
        """The newest record of each incident, by id."""
        if not (self.folder / "ledger").exists():
            return {}
        facts = fact_files.read(str(self.folder / "ledger"), BytesIO()).facts
        records = (json.loads(encode_fact(fact)) for fact in facts)
        return {record["id"]: record for record in records if record["kind"] == "incident"}

    def lines(self) -> int:
        """How many records of incidents were ever written."""
        files = (self.folder / "ledger").rglob("*.jsonl")
        return sum(path.read_bytes().count(b'"kind":"incident"') for path in files)

    def times(self) -> list[tuple[str, object, object]]:
        """Id, beginning and end of each incident, by id."""
        return sorted((each["id"], each["detected_at"], each["resolved_at"]) for each in self.incidents().values())

    def cursor(self, system: str) -> dict[str, Any]:
        cursors = json.loads((self.folder / "ledger" / "cursors.json").read_text("utf-8"))
        cursor: dict[str, Any] = cursors["incidents"][f"acme/shop {system}"]
        return cursor


def pagerduty(fake: FakeSystem, **more: object) -> dict[str, object]:
    return {"system": "pagerduty", "url": fake.url, "services": {"Checkout": {"service": "checkout"}}, **more}


def jira(fake: FakeSystem, **more: object) -> dict[str, object]:
    return {"system": "jira", "url": fake.url, "jql": "project = OPS", "services": {"*": {}}, **more}


def incident_io(fake: FakeSystem, **more: object) -> dict[str, object]:
    return {"system": "incident-io", "url": fake.url, **more}


def statuspage(fake: FakeSystem, **more: object) -> dict[str, object]:
    return {"system": "statuspage", "url": fake.url, "page-id": "abc123", **more}
