"""Without a checkout the config file is read from the default branch, in one request with the ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.faults import unavailable
from fakes.github import FakeGitHub
from support.runs import ActionRun, deployment_status, run_action

WEEK_CONFIG = "window: 7d\n"


class ConfiguredShop:
    """A repository with a config file on its default branch, and event runs in it."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")
        self.commit(WEEK_CONFIG)

    def commit(self, text: str | bytes, path: str = ".github/dora.yml") -> None:
        self.repository.commit({path: text}, message="Configure")

    def run(self, token: str | None = None, **inputs: object) -> ActionRun:
        given = {"github-token": token or self.github.token, "ledger": "branch:dora-metrics", **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url}
        self.github.requests.clear()
        return run_action(self.folder, "deployment_status", deployment_status(), given, environment=environment)

    @property
    def requested_operations(self) -> list[str | None]:
        return [logged.operation for logged in self.github.requests]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ConfiguredShop]:
    with FakeGitHub() as github:
        yield ConfiguredShop(github, tmp_path)


def test_the_settings_of_the_default_branch_count_and_cost_no_request(shop: ConfiguredShop) -> None:
    shop.run()
    ran = shop.run()
    assert "7 days" in ran.summary
    assert shop.requested_operations == ["Ledger", "Append"]


def test_an_input_wins_over_the_file(shop: ConfiguredShop) -> None:
    assert "14 days" in shop.run(window="14d").summary


def test_a_checkout_is_believed_also_where_it_has_no_file(shop: ConfiguredShop) -> None:
    (shop.folder / ".git").mkdir()
    assert "30 days" in shop.run().summary


def test_a_file_in_the_workspace_goes_before_that_of_the_default_branch(shop: ConfiguredShop) -> None:
    (shop.folder / ".github").mkdir()
    (shop.folder / ".github" / "dora.yml").write_text("window: 21d", "utf-8")
    assert "21 days" in shop.run().summary


def test_the_ledger_that_the_file_names_is_the_one_that_is_written(shop: ConfiguredShop) -> None:
    shop.commit("ledger: branch:delivery")
    shop.run(ledger="")
    assert shop.repository.read("facts/2026/11.jsonl", "delivery")
    assert shop.repository.head("dora-metrics") is None


def test_a_central_ledger_takes_the_settings_of_the_repository_that_runs(shop: ConfiguredShop) -> None:
    shop.github.repository("acme/metrics").commit({".github/dora.yml": "window: 90d"}, message="Begin")
    assert "7 days" in shop.run(ledger="branch:all@acme/metrics").summary


@pytest.mark.parametrize("ledger", ["none", "dir:ledger"])
def test_other_ledgers_ask_for_the_file_alone(shop: ConfiguredShop, ledger: str) -> None:
    assert "7 days" in shop.run(ledger=ledger).summary
    assert shop.requested_operations[0] == "GitObjects"


def test_a_wrong_file_is_a_wrong_setting(shop: ConfiguredShop) -> None:
    shop.commit("windows: 7d\nbenchmark: '2020'\ngithub-token: x")
    ran = shop.run()
    assert ran.code == 2
    assert ".github/dora.yml github-token: a secret does not belong into a file" in ran.log
    shop.commit("windows: 7d\nbenchmark: '2020'")
    ran = shop.run()
    assert ".github/dora.yml windows: there is no such setting; did you mean window?" in ran.log
    assert ".github/dora.yml benchmark: '2020'" in ran.log
    assert shop.repository.head("dora-metrics") is None


def test_a_file_that_is_no_text_is_a_wrong_setting(shop: ConfiguredShop) -> None:
    shop.commit(b"window: \xff\x00")
    ran = shop.run()
    assert ran.code == 2
    assert "not UTF-8" in ran.log


def test_a_named_file_must_be_there(shop: ConfiguredShop) -> None:
    shop.commit("window: 14d", "ops/dora.yml")
    assert "14 days" in shop.run(config="ops/dora.yml").summary
    ran = shop.run(config="ops/none.yml")
    assert ran.code == 2
    assert "config ops/none.yml: there is no such file" in ran.log


def test_a_repository_without_the_file_has_the_defaults(shop: ConfiguredShop) -> None:
    shop.repository.commit({".github/dora.yml": None}, message="Remove")
    ran = shop.run()
    assert "30 days" in ran.summary
    assert "config" not in ran.log


def test_a_file_that_cannot_be_read_is_said_and_the_event_is_shown(shop: ConfiguredShop) -> None:
    shop.github.fail(unavailable(502), to="*", times=None)
    ran = shop.run()
    assert ran.code == 0
    assert "reached production" in ran.summary
    assert "config: .github/dora.yml cannot be read from the default branch, so only inputs count" in ran.log


def test_a_wrong_input_is_told_with_those_of_the_file(shop: ConfiguredShop) -> None:
    ran = shop.run(ledger="branch:", window="soon")
    assert ran.code == 2
    assert "input ledger" in ran.log
    assert "input window" in ran.log


def test_without_a_token_nobody_is_asked(shop: ConfiguredShop) -> None:
    environment = {"GITHUB_API_URL": shop.github.api_url}
    ran = run_action(shop.folder, "deployment_status", deployment_status(), {"ledger": "none"}, environment=environment)
    assert ran.code == 0
    assert shop.requested_operations == []
