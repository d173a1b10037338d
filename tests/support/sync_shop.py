"""A repository with a past on a GitHub of our own, and runs that read it."""

import json
from datetime import timedelta
from pathlib import Path

from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import NOW, at, deployed
from support.runs import Ran, run


class Shop:
    """A repository with a past, and runs in it."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop", empty=True)
        self.repository.commit({"README.md": "shop"}, message="Begin", author_date=at(0))
        for number in range(6):
            self.pull(number)

    def pull(self, number: int) -> None:
        """A pull request that was merged and then deployed."""
        made = self.repository.pull(f"Pull {number}", files={f"{number}.txt": "x"}, created_at=at(24 * number + 1))
        self.repository.merge_pull(made, how="squash", at=at(24 * number + 5))
        deployed(self.repository, 24 * number + 6)

    def run(
        self, event: str = "schedule", payload: object = None, later: timedelta = timedelta(), **inputs: object
    ) -> Ran:
        given = {"ledger": "branch:dora-metrics", "github-token": self.github.token, "report": "off", **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url, "GITHUB_REPOSITORY": "acme/shop"}
        self.github.requests.clear()
        sent = payload if isinstance(payload, dict) else {"schedule": "17 5 * * *"}
        return run(self.folder, event, sent, given, now=NOW + later, environment=environment)

    def facts(self) -> dict[str, dict[str, object]]:
        return facts_of(self.repository)

    @property
    def asked(self) -> list[str | None]:
        return [logged.operation or logged.path for logged in self.github.requests]


def facts_of(repository: Repository, branch: str = "dora-metrics") -> dict[str, dict[str, object]]:
    months = [f"facts/2026/{month:02}.jsonl" for month in range(1, 13)] if repository.head(branch) else []
    lines = [line for path in months for line in (repository.read(path, branch) or b"").splitlines()]
    found = [json.loads(line) for line in lines]
    assert len({fact["id"] for fact in found}) == len(found)
    return {fact["id"]: fact for fact in found}
