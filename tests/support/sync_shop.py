"""acme/shop with a history on a fake GitHub, and runs that read it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from dora_metrics.core.ledger.month_files import first_paths
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import NOW, at, deploy
from support.runs import ActionRun, run_action


class SyncShop:
    """A repository with six deployed pull requests, and runs in it."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop", empty=True)
        self.repository.commit({"README.md": "shop"}, message="Begin", author_date=at(0))
        for number in range(6):
            self.merge_and_deploy(number)

    def merge_and_deploy(self, number: int) -> None:
        """Merge a pull request and deploy it an hour later."""
        pull_request = self.repository.pull(
            f"Pull {number}", files={f"{number}.txt": "x"}, created_at=at(24 * number + 1)
        )
        self.repository.merge_pull(pull_request, method="squash", at=at(24 * number + 5))
        deploy(self.repository, 24 * number + 6)

    def run(
        self, event: str = "schedule", payload: object = None, delay: timedelta = timedelta(), **inputs: object
    ) -> ActionRun:
        all_inputs = {"ledger": "branch:dora-metrics", "github-token": self.github.token, "report": "off", **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url, "GITHUB_REPOSITORY": "acme/shop"}
        self.github.requests.clear()
        event_payload = payload if isinstance(payload, dict) else {"schedule": "17 5 * * *"}
        return run_action(self.folder, event, event_payload, all_inputs, now=NOW + delay, environment=environment)

    def facts(self) -> dict[str, dict[str, object]]:
        return facts_on_branch(self.repository)

    @property
    def requested_operations(self) -> list[str | None]:
        return [request.operation or request.path for request in self.github.requests]


def facts_on_branch(repository: Repository, branch: str = "dora-metrics") -> dict[str, dict[str, object]]:
    """The facts on a branch that numbers are computed from, by id."""
    records = records_on_branch(repository, branch)
    return {fact_id: record for fact_id, record in records.items() if record["kind"] != "repository"}


def names_on_branch(repository: Repository, branch: str = "dora-metrics") -> list[list[str]]:
    """The names of each repository that a branch knows, oldest first."""
    records = records_on_branch(repository, branch).values()
    return sorted(cast("list[str]", record["names"]) for record in records if record["kind"] == "repository")


def records_on_branch(repository: Repository, branch: str) -> dict[str, dict[str, object]]:
    months = [path for month in range(1, 13) for path in first_paths(f"facts/2026/{month:02}")]
    months = months if repository.head(branch) else []
    lines = [line for path in months for line in (repository.read(path, branch) or b"").splitlines()]
    facts = sorted(map(json.loads, lines), key=lambda fact: (fact["observed_at"], json.dumps(fact, sort_keys=True)))
    return {fact["id"]: fact for fact in facts}


@pytest.fixture
def sync_shop(tmp_path: Path) -> Iterator[SyncShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield SyncShop(github, tmp_path)
