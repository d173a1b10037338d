"""Several repositories on a fake GitHub, and syncs of all of them together, which show which ones were read."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from fakes.faults import Fault, RequestInFlight, custom_answer
from fakes.github import FakeGitHub
from fakes.repository import Repository
from fakes.routing import Answer
from support.github_history import NOW, at, deploy
from support.many_repositories import add_merged_pull
from support.runs import FAST_LIMITS, ActionRun, run_action
from support.sync_shop import facts_on_branch

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class _Observer(Fault):
    """Notes the repositories whose newest items GitHub shows, each once."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        variables = in_flight.request.json()["variables"]
        self.names[f"{variables['owner']}/{variables['name']}"] = None
        return answer


class Organisation:
    """acme with three repositories, each with three deployed pull requests. Their ledger is a branch of acme/shop."""

    limits = FAST_LIMITS

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder, self.now = github, folder, NOW
        self.environment = {"GITHUB_API_URL": github.api_url, "GITHUB_REPOSITORY": "acme/shop"}
        self.shop, self.api, self.web = map(self.add, ("shop", "api", "web"))

    def add(self, name: str) -> Repository:
        """Add a repository that has the same history as the others."""
        repository = self.github.repository(f"acme/{name}")
        for index in range(3):
            add_merged_pull(repository, f"Pull {index}", at(20 * index + 1))
            deploy(repository, 20 * index + 2)
        return repository

    def run(self, event: str, payload: dict[str, Any], **inputs: object) -> ActionRun:
        """Run the action in acme/shop."""
        self.github.requests.clear()
        given = {"ledger": "branch:dora-metrics", "github-token": self.github.token, "report": "off", **inputs}
        folder = Path(mkdtemp(dir=self.folder))
        return run_action(folder, event, payload, given, now=self.now, environment=self.environment, limits=self.limits)

    def sync(self, event: str = "schedule", *, after: timedelta = timedelta(), **inputs: object) -> ActionRun:
        """Read all repositories."""
        self.now += after
        return self.run(event, {"schedule": "17 5 * * *"}, **{"repositories": "acme/*", "since": "all", **inputs})

    def read_by_sync(self, event: str = "schedule", **arguments: Any) -> list[str]:  # noqa: ANN401
        """Sync, and return the repositories whose history was read, sorted."""
        return sorted(self.order_of_sync(event, **arguments))

    def order_of_sync(self, event: str = "schedule", **arguments: Any) -> list[str]:  # noqa: ANN401
        """Sync, and return the repositories whose history was read, in that order."""
        observer = _Observer()
        self.github.fail(observer, to="NewestItems", times=None)
        self.sync(event, **arguments)
        self.github.heal()
        return list(observer.names)

    def sync_everything(self, branch: str, **arguments: Any) -> ActionRun:  # noqa: ANN401
        """Sync into a ledger of its own, without knowing which repositories have news."""
        self.github.fail(custom_answer(403, {"message": "Resource not accessible"}), to="News", times=None)
        ran = self.sync(ledger=f"branch:{branch}", **arguments)
        self.github.heal()
        return ran

    def facts(self, branch: str = "dora-metrics") -> dict[str, dict[str, object]]:
        return facts_on_branch(self.shop, branch)

    def cursors(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.shop.read("cursors.json", "dora-metrics") or b"{}")
        return content

    @property
    def operations(self) -> list[str]:
        """The requests of the last run."""
        return [request.operation or request.path for request in self.github.requests]


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Organisation]:
    """An organisation that was read completely."""
    with FakeGitHub(now=lambda: NOW) as github:
        organisation = Organisation(github, tmp_path)
        github.state.now = lambda: organisation.now
        organisation.sync()
        yield organisation
