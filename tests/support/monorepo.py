"""A monorepo on a fake GitHub: two services, their deployments, and event runs in a checkout with its config."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from fakes.github import FakeGitHub
from support.runs import NOW, ActionRun, check_out, deployment_status, run_action

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SERVICES = {"checkout": ["services/checkout/**", "libs/payments/**", "!**/*.md"], "web": "web/**"}
MergeMethod = Literal["squash", "merge", "rebase"]


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


class Monorepo:
    """`services` is the config of services. Each service and the repository as a whole are deployed once, at hour 0."""

    def __init__(self, github: FakeGitHub, folder: Path, services: object = SERVICES) -> None:
        self.github, self.folder = github, folder
        check_out(folder, {".github/dora.yml": json.dumps({"services": services})})
        self.repository = github.repository("acme/shop")
        self.deployments = 0
        self.commit("README.md", hours=-100)
        for service in ("checkout", "web", None):
            self.deploy(service, hours=0)

    def commit(self, *paths: str, hours: float, message: str = "By hand", committed: float | None = None) -> str:
        """Commit without a pull request; `committed` is the hour of the committer's clock."""
        files = dict.fromkeys(paths, f"{message} {hours}")
        committer_date = None if committed is None else at(committed)
        return self.repository.commit(files, message=message, author_date=at(hours), committer_date=committer_date)

    def pull(self, title: str, paths: Iterable[str], *, method: MergeMethod = "squash", hours: float = 1) -> str:
        """Merge a pull request that was opened an hour before; return the id of its change."""
        pull_request = self.repository.pull(title, files=dict.fromkeys(paths, title), created_at=at(hours - 1))
        self.repository.merge_pull(pull_request, method=method, at=at(hours))
        return f"github:pull:acme/shop#{pull_request.number}"

    def deploy(self, service: str | None, *, hours: float, number: int | None = None) -> ActionRun:
        """Deploy the default branch with `service` in the payload. A used `number` is the same deployment again."""
        self.deployments += number is None
        payload = deployment_status(
            number or self.deployments,
            at=f"{at(hours):%Y-%m-%dT%H:%M:%SZ}",
            sha=self.repository.head(),
            payload={} if service is None else {"service": service},
        )
        return self.run_event("deployment_status", payload)

    def run_event(
        self, name: str, payload: dict[str, object], *, hours: float | None = None, **inputs: str
    ) -> ActionRun:
        """Run the action on an event; `hours` is the hour of the runner's clock, in a run of its own."""
        all_inputs = {"ledger": "branch:dora-metrics", "github-token": self.github.token, **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url, "GITHUB_SHA": str(self.repository.head())}
        if hours is not None:
            environment["GITHUB_RUN_ID"] = f"{hours:g}"
        return run_action(
            self.folder, name, payload, all_inputs, environment=environment, now=NOW if hours is None else at(hours)
        )

    def ledger_facts(self, kind: str) -> dict[str, dict[str, object]]:
        """Facts of a kind in the ledger, by id."""
        text = self.repository.read("facts/2026/11.jsonl", "dora-metrics") or b""
        facts = (json.loads(line) for line in text.splitlines())
        return {fact["id"]: fact for fact in facts if fact["kind"] == kind}


def delivered_changes(ran: ActionRun) -> object:
    """Ids of the changes that the event's deployment delivered."""
    return next(fact for fact in ran.facts if fact["kind"] == "deployment")["changes"]


def services_of_changes(ran: ActionRun) -> dict[object, object]:
    """Service of each change recorded with the deployment, by id."""
    return {fact["id"]: fact["service"] for fact in ran.facts if fact["kind"] == "change"}


def lead_times(ran: ActionRun) -> dict[str, dict[str, float]]:
    """Lead time in seconds of each change, by service."""
    scopes = json.loads(ran.outputs["metrics"])["scopes"]
    return {
        scope["service"]: {lead_time["change"]: lead_time["seconds"] for lead_time in scope["evidence"]["lead_times"]}
        for scope in scopes
    }
