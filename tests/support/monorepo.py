"""A monorepo on a GitHub of our own: two services, their deployments, and event runs in a checkout with its config."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from fakes.github import FakeGitHub
from support.runs import NOW, Ran, deployment_status, run

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SERVICES = {"checkout": ["services/checkout/**", "libs/payments/**", "!**/*.md"], "web": "web/**"}
How = Literal["squash", "merge", "rebase"]


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


class Monorepo:
    """`services` as in the config file; its services and the whole are deployed once, at hour 0."""

    def __init__(self, github: FakeGitHub, folder: Path, services: object = SERVICES) -> None:
        self.github, self.folder = github, folder
        (folder / ".github").mkdir()
        (folder / ".github" / "dora.yml").write_text(json.dumps({"services": services}), "utf-8")
        self.repository = github.repository("acme/shop")
        self.deployments = 0
        self.commit("README.md", hours=-100)
        for service in ("checkout", "web", None):
            self.deploy(service, hours=0)

    def commit(self, *paths: str, hours: float, message: str = "By hand", committed: float | None = None) -> str:
        """A commit that no pull request brought; `committed`: the hour by its committer's clock."""
        files = dict.fromkeys(paths, f"{message} {hours}")
        when = None if committed is None else at(committed)
        return self.repository.commit(files, message=message, author_date=at(hours), committer_date=when)

    def pull(self, title: str, paths: Iterable[str], *, how: How = "squash", hours: float = 1) -> str:
        """A merged pull request, opened an hour before; returns the id of its change."""
        made = self.repository.pull(title, files=dict.fromkeys(paths, title), created_at=at(hours - 1))
        self.repository.merge_pull(made, how=how, at=at(hours))
        return f"github:pull:acme/shop#{made.number}"

    def deploy(self, service: str | None, *, hours: float, number: int | None = None) -> Ran:
        """A deployment of the default branch whose payload names its service; a number that was there is that one."""
        self.deployments += number is None
        payload = deployment_status(
            number or self.deployments,
            at=f"{at(hours):%Y-%m-%dT%H:%M:%SZ}",
            sha=self.repository.head(),
            payload={} if service is None else {"service": service},
        )
        return self.event("deployment_status", payload)

    def event(self, name: str, payload: dict[str, object], *, hours: float | None = None, **inputs: str) -> Ran:
        """An event run; `hours`: the hour by the runner's clock, in a run of its own."""
        given = {"ledger": "branch:dora-metrics", "github-token": self.github.token, **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url, "GITHUB_SHA": str(self.repository.head())}
        if hours is not None:
            environment["GITHUB_RUN_ID"] = f"{hours:g}"
        return run(self.folder, name, payload, given, environment=environment, now=NOW if hours is None else at(hours))

    def known(self, kind: str) -> dict[str, dict[str, object]]:
        """The facts of a kind that the ledger holds, by id."""
        text = self.repository.read("facts/2026/11.jsonl", "dora-metrics") or b""
        facts = (json.loads(line) for line in text.splitlines())
        return {fact["id"]: fact for fact in facts if fact["kind"] == kind}


def delivered(ran: Ran) -> object:
    """The ids of the changes that the event's deployment brought."""
    return next(fact for fact in ran.facts if fact["kind"] == "deployment")["changes"]


def services(ran: Ran) -> dict[object, object]:
    """The service of each change that was recorded beside it, by id."""
    return {fact["id"]: fact["service"] for fact in ran.facts if fact["kind"] == "change"}


def lead_times(ran: Ran) -> dict[str, dict[str, float]]:
    """For each scope, by its service, the seconds that each change took."""
    scopes = json.loads(ran.outputs["metrics"])["scopes"]
    return {
        scope["service"]: {one["change"]: one["seconds"] for one in scope["evidence"]["lead_times"]} for scope in scopes
    }
