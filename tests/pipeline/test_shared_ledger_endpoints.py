"""Repositories that write one ledger have endpoints of their own: what one is owed goes to no address of another."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

import pytest

from fakes.github import FakeGitHub
from support.fake_endpoint import FakeEndpoint, accept
from support.github_history import at
from support.runs import NOW, ActionRun, deployment_ids, deployment_status, run_action
from support.servers import Answer, Request, listening

CONFIG = ".github/dora.yml"


def is_down(_: Request) -> Answer:
    return Answer(503)


class SharedLedger:
    """acme/shop and acme/pay record in the ledger of acme/metrics; each has an endpoint of its own."""

    def __init__(self, github: FakeGitHub, stack: ExitStack, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.endpoints = {name: stack.enter_context(listening(FakeEndpoint())) for name in ("shop", "pay", "metrics")}
        self.repositories = {name: github.repository(f"acme/{name}", empty=True) for name in self.endpoints}
        for name, repository in self.repositories.items():
            repository.commit({"README.md": name}, message="Begin", author_date=at(0))

    def list_endpoints(self) -> None:
        """Name each endpoint in the file of its repository, all by the same name."""
        for name, repository in self.repositories.items():
            settings = {"endpoints": [{"name": "chat", "url": self.endpoints[name].url}]}
            repository.commit({CONFIG: json.dumps(settings)}, message="Configure")

    def run(self, name: str, number: int, **inputs: object) -> ActionRun:
        repository = self.repositories[name]
        ledger = {"ledger": "branch:dora-metrics@acme/metrics", "github-token": self.github.token}
        payload = deployment_status(number)
        payload["repository"] = {"name": name, "full_name": repository.name_with_owner, "default_branch": "main"}
        environment = {
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_REPOSITORY": repository.name_with_owner,
            "GITHUB_REPOSITORY_ID": str(repository.database_id),
        }
        folder = Path(mkdtemp(dir=self.folder))
        event = "deployment_status"
        return run_action(folder, event, payload, {**ledger, **inputs}, now=NOW, environment=environment)

    def single_inputs(self, name: str) -> dict[str, object]:
        return {"endpoint-url": self.endpoints[name].url}

    def ids_sent_to(self, endpoint: str) -> list[str]:
        return self.endpoints[endpoint].accepted_ids


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedLedger]:
    with ExitStack() as stack:
        yield SharedLedger(stack.enter_context(FakeGitHub(now=lambda: NOW)), stack, tmp_path)


@pytest.mark.parametrize("is_listed", [False, True], ids=["the single inputs", "a list"])
def test_what_one_repository_owes_waits_for_its_own_next_run(shared: SharedLedger, *, is_listed: bool) -> None:
    inputs: dict[str, dict[str, object]] = {name: {} for name in shared.endpoints}
    if is_listed:
        shared.list_endpoints()
    else:
        inputs = {name: shared.single_inputs(name) for name in shared.endpoints}
    shared.endpoints["shop"].rule = is_down
    assert "kept for the next run" in shared.run("shop", 1, **inputs["shop"]).log
    for name, number in (("pay", 2), ("metrics", 3)):
        shared.run(name, number, **inputs[name])
        assert shared.ids_sent_to(name) == deployment_ids(number)
    shared.endpoints["shop"].rule = accept
    shared.run("shop", 4, **inputs["shop"])
    assert sorted(shared.ids_sent_to("shop")) == deployment_ids(1, 4)


def test_a_debt_stays_that_of_a_repository_that_is_renamed(shared: SharedLedger) -> None:
    inputs = shared.single_inputs("shop")
    shared.endpoints["shop"].rule = is_down
    shared.run("shop", 1, **inputs)
    shared.github.state.rename("acme/shop", "acme/store")
    shared.endpoints["shop"].rule = accept
    shared.run("shop", 2, **inputs)
    assert sorted(shared.ids_sent_to("shop")) == deployment_ids(1, 2)
