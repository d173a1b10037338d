"""Without a checkout the config file is read from the default branch, in one request with the ledger.

Only GitHub's word that there is no such file means defaults. A run that cannot read it does nothing, and says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes.faults import (
    Fault,
    custom_answer,
    dropped,
    partial_errors,
    primary_limit,
    secondary_limit,
    unavailable,
)
from fakes.github import FakeGitHub
from fakes.records import Issue
from support.paths import ROOT
from support.runs import NOW, ActionRun, check_out, deployment_status, leave_checkout, run_action
from support.servers import listen

WEEK_CONFIG = "window: 7d\n"
IGNORED = (
    ".github/dora.yml: the file in the workspace is ignored, because git has written nothing there since this job began"
)


class ConfiguredShop:
    """A repository with a config file on its default branch, and event runs in it."""

    def __init__(self, github: FakeGitHub, folder: Path, *, private: bool = False) -> None:
        self.github, self.folder = github, folder
        self.environment: Mapping[str, str] = {}
        self.repository = github.repository("acme/shop", private=private)
        self.commit(WEEK_CONFIG)

    def commit(self, text: str | bytes, path: str = ".github/dora.yml") -> None:
        self.repository.commit({path: text}, message="Configure")

    def run(self, token: str | None = None, **inputs: object) -> ActionRun:
        inputs = {"github-token": token or self.github.token, "ledger": "branch:dora-metrics", **inputs}
        environment = {"GITHUB_API_URL": self.github.api_url, **self.environment}
        self.github.requests.clear()
        return run_action(self.folder, "deployment_status", deployment_status(), inputs, environment=environment)

    def assert_untouched(self) -> None:
        """Nothing was written to GitHub."""
        assert self.repository.head("dora-metrics") is None
        assert not (self.folder / "ledger").exists()
        assert not self.repository.records_of(Issue)
        assert all(operation in ("Ledger", "GitObjects") for operation in self.requested_operations)

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


@pytest.mark.parametrize("ledger", ["branch:dora-metrics", "none"])
def test_a_checkout_without_the_file_has_the_settings_of_the_default_branch(shop: ConfiguredShop, ledger: str) -> None:
    """It may be sparse, or of a tag or a release branch from before the file."""
    check_out(shop.folder, {})
    assert "7 days" in shop.run(ledger=ledger).summary
    first = "GitObjects" if ledger == "none" else "Ledger"
    assert shop.requested_operations[0] == first
    assert shop.requested_operations.count("GitObjects") + shop.requested_operations.count("Ledger") == 1


def test_a_checkout_without_the_file_does_not_begin_another_ledger(shop: ConfiguredShop) -> None:
    shop.commit("ledger: branch:delivery")
    check_out(shop.folder, {})
    shop.run(ledger="")
    assert shop.repository.read("facts/2026/11.jsonl", "delivery")
    assert shop.repository.head("dora-metrics") is None


def test_without_the_file_anywhere_a_checkout_has_the_defaults(shop: ConfiguredShop) -> None:
    shop.repository.commit({".github/dora.yml": None}, message="Remove")
    check_out(shop.folder, {})
    assert "30 days" in shop.run().summary


def test_a_file_in_the_checkout_goes_before_that_of_the_default_branch(shop: ConfiguredShop) -> None:
    check_out(shop.folder, {".github/dora.yml": "window: 21d"})
    assert "21 days" in shop.run().summary


def test_without_a_checkout_a_file_in_the_workspace_is_what_an_earlier_job_left(shop: ConfiguredShop) -> None:
    (shop.folder / ".github").mkdir()
    (shop.folder / ".github" / "dora.yml").write_text("window: 21d", "utf-8")
    ran = shop.run()
    assert "7 days" in ran.summary
    assert IGNORED in ran.summary


def test_a_checkout_that_an_earlier_job_left_is_no_checkout(shop: ConfiguredShop) -> None:
    leave_checkout(shop.folder, {".github/dora.yml": "ledger: none\nwindow: 21d\nbroken"})
    ran = shop.run(ledger="")
    assert "7 days" in ran.summary
    assert shop.repository.head("dora-metrics") is not None
    assert IGNORED in ran.summary


def test_a_checkout_in_a_folder_of_the_workspace_has_its_file_there(shop: ConfiguredShop) -> None:
    check_out(shop.folder / "app", {".github/dora.yml": "window: 21d"})
    assert "21 days" in shop.run(config="app/.github/dora.yml").summary


def test_an_address_in_such_a_checkout_is_compared_with_the_same_file_of_the_default_branch(
    shop: ConfiguredShop,
) -> None:
    config = "window: 21d\nledger: branch:delivery@acme/shop"
    shop.commit(config)
    check_out(shop.folder / "app", {".github/dora.yml": config})
    ran = shop.run(config="app/.github/dora.yml", ledger="")
    assert "21 days" in ran.summary
    assert shop.repository.read("facts/2026/11.jsonl", "delivery")


def test_such_a_checkout_without_the_file_has_the_settings_of_the_default_branch(shop: ConfiguredShop) -> None:
    check_out(shop.folder / "app", {})
    assert "7 days" in shop.run(config="app/.github/dora.yml").summary


def test_such_a_checkout_that_an_earlier_job_left_is_no_checkout(shop: ConfiguredShop) -> None:
    leave_checkout(shop.folder / "app", {".github/dora.yml": "window: 21d"})
    ran = shop.run(config="app/.github/dora.yml")
    assert "7 days" in ran.summary
    assert "app/.github/dora.yml: the file in the workspace is ignored" in ran.summary


def test_a_link_out_of_such_a_checkout_is_not_followed(shop: ConfiguredShop) -> None:
    check_out(shop.folder / "app", {})
    (shop.folder / "other.yml").write_text("window: 21d", "utf-8")
    (shop.folder / "app" / "dora.yml").symlink_to(shop.folder / "other.yml")
    ran = shop.run(config="app/dora.yml")
    assert ran.code == 2
    assert "it links to a file outside the checkout" in ran.log


def test_act_which_only_pretends_to_check_out_reads_the_folder(shop: ConfiguredShop) -> None:
    leave_checkout(shop.folder, {".github/dora.yml": "window: 21d"})
    shop.environment = {"ACT": "true"}
    assert "21 days" in shop.run().summary


def test_another_system_that_writes_the_event_after_its_checkout_reads_the_folder(shop: ConfiguredShop) -> None:
    leave_checkout(shop.folder, {".github/dora.yml": "window: 21d"})
    shop.environment = {"GITHUB_ACTIONS": ""}
    assert "21 days" in shop.run().summary


def test_a_file_outside_of_the_workspace_counts_where_the_workflow_names_it(
    shop: ConfiguredShop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("elsewhere") / "made-by-a-step.yml"
    path.write_text("window: 21d", "utf-8")
    assert "21 days" in shop.run(config=str(path)).summary


def test_the_file_may_be_named_by_its_full_path(shop: ConfiguredShop) -> None:
    assert "7 days" in shop.run(config=str(shop.folder / ".github" / "dora.yml")).summary


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
    assert ".github/dora.yml: github-token: a secret does not belong in a file" in ran.log
    shop.commit("windows: 7d\nbenchmark: '2020'")
    ran = shop.run()
    assert ".github/dora.yml: windows: unknown setting; did you mean window?" in ran.log
    assert ".github/dora.yml: benchmark: '2020'" in ran.log
    assert shop.repository.head("dora-metrics") is None


def test_a_file_that_is_no_text_is_a_wrong_setting(shop: ConfiguredShop) -> None:
    shop.commit(b"window: \xff\x00")
    ran = shop.run()
    assert ran.code == 2
    assert "not UTF-8" in ran.log


@pytest.mark.parametrize("text", ["../config/dora.yml", "dora.yaml", "/etc/dora.yml"])
def test_a_link_is_named_as_such(shop: ConfiguredShop, text: str) -> None:
    """GitHub shows it as a file with the path to which it leads."""
    shop.commit(text)
    ran = shop.run()
    assert ran.code == 2
    assert (
        f"config .github/dora.yml: cannot be read (it has only the text '{text}', so it is probably a link, which "
        "GitHub does not follow; put the settings into the file itself)" in ran.log
    )


@pytest.mark.parametrize("text", ["", "---", "# nothing"])
def test_a_file_without_settings_is_no_link(shop: ConfiguredShop, text: str) -> None:
    shop.commit(text)
    assert shop.run().code == 0


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


WRONG_SHAPE = "GitHub's answer to GitObjects is not what its documentation describes"

NOT_READ: dict[str, tuple[Fault, str]] = {
    "no permission": (custom_answer(403, {"message": "Resource not accessible by integration"}), "not accessible"),
    "a refusal in a 200": (partial_errors("config", "FORBIDDEN", "Resource not accessible"), "not accessible"),
    "another error in a 200": (partial_errors("config.object"), "Something went wrong"),
    "no data at all": (partial_errors(), "Something went wrong"),
    "no repository, by an error": (partial_errors("config", "NOT_FOUND"), "the token has no access to it"),
    "no repository": (custom_answer(200, {"data": {"repository": None, "config": None}}), WRONG_SHAPE),
    "another object": (custom_answer(200, {"data": {"viewer": {}}}), WRONG_SHAPE),
    "HTML": (custom_answer(200, b"<html>"), "GitHub's answer has no data"),
    "half an answer": (custom_answer(200, b'{"data": {"repository": nu'), "GitHub's answer has no data"),
    "an outage": (unavailable(502), "GitHub answered 502"),
    "no answer": (dropped(), "GitHub did not answer"),
    "a rate limit": (primary_limit(), "hourly rate limit"),
    "a second rate limit": (secondary_limit(retry_after=3600), "secondary rate limit"),
    "a wrong token": (custom_answer(401, {"message": "Bad credentials"}), "the token is not valid"),
}


PATHS_IN_OBJECTS = {"config": "repository", "config.object": "repository.slot0", "": ""}
"""The places of the file in the query of the ledger, and in that of the file alone."""


ADDRESS = {".github/dora.yml": "health-check-url: https://shop.example/health"}

NEEDED: dict[str, tuple[str, dict[str, str] | None]] = {
    "no checkout": ("branch:dora-metrics", None),
    "no checkout, no ledger": ("none", None),
    "a checkout without the file": ("branch:dora-metrics", {}),
    "a checkout without the file, a folder": ("dir:ledger", {}),
    "a checkout whose file names no address": ("branch:dora-metrics", {".github/dora.yml": "window: 21d"}),
    "a checkout whose file names one": ("branch:dora-metrics", ADDRESS),
    "a checkout whose file names one, a folder": ("dir:ledger", ADDRESS),
    "a checkout whose file names one, no ledger": ("none", ADDRESS),
}
"""The runs that need the file of the default branch: their ledger, and what they checked out."""


@pytest.mark.parametrize(("ledger", "checkout"), NEEDED.values(), ids=NEEDED)
@pytest.mark.parametrize(("fault", "reason"), NOT_READ.values(), ids=NOT_READ)
def test_without_the_file_a_run_does_nothing_and_says_why(
    shop: ConfiguredShop, fault: Fault, reason: str, ledger: str, checkout: dict[str, str] | None
) -> None:
    shop.commit("report: off\nservice: web\nledger: branch:delivery")
    if checkout is not None:
        check_out(shop.folder, checkout)
    shop.github.fail(fault, to="Ledger", times=None)
    if isinstance(fault, partial_errors):
        fault = replace(fault, path=PATHS_IN_OBJECTS[fault.path])
    shop.github.fail(fault, to="GitObjects", times=None)
    with listen() as outside:
        ran = shop.run(ledger=ledger, **{"endpoint-url": outside.url, "pushgateway-url": outside.url})
    assert ran.code == 0
    assert outside.requests == []
    shop.assert_untouched()
    assert ran.summary.startswith("### ⚠️ Nothing was recorded, sent or reported: the settings could not be read")
    assert reason in ran.summary
    (annotation,) = (line for line in ran.log.splitlines() if line.startswith("::"))
    assert annotation.startswith(
        "::warning title=dora-metrics%3A settings::.github/dora.yml cannot be read from the default branch of "
        "acme/shop, so nothing is recorded: "
    )
    assert reason in annotation
    assert annotation.count("%0A") == 1, "what happened, and what to do"


@pytest.mark.parametrize("permissions", [{"repositories": {"acme/other"}}, {"default": "none", "issues": "write"}])
def test_a_token_that_may_not_read_a_private_repository_ends_the_run(
    tmp_path: Path, permissions: dict[str, Any]
) -> None:
    with FakeGitHub() as github:
        shop = ConfiguredShop(github, tmp_path, private=True)
        ran = shop.run(token=github.grant(**permissions))
        shop.assert_untouched()
    assert "Nothing was recorded, sent or reported" in ran.summary
    assert "give the job `permissions: contents: read`" in ran.log


def test_a_strict_run_fails_without_the_file(shop: ConfiguredShop) -> None:
    shop.github.fail(unavailable(502), to="*", times=None)
    ran = shop.run(strict="true", summary="false")
    assert (ran.code, ran.summary) == (1, "")


def test_the_outputs_of_a_run_without_the_file_are_those_of_one_that_recorded_nothing(shop: ConfiguredShop) -> None:
    usual = shop.run()
    shop.github.fail(unavailable(502), to="*", times=None)
    ran = shop.run()
    assert ran.outputs.keys() == usual.outputs.keys()
    assert (ran.facts, ran.outputs["metrics"]) == ([], "")


def test_a_failure_that_heals_is_none(shop: ConfiguredShop) -> None:
    shop.github.fail(unavailable(502), times=2)
    ran = shop.run()
    assert "7 days" in ran.summary
    assert shop.repository.read("facts/2026/11.jsonl", "dora-metrics")


def test_a_ledger_that_cannot_be_read_does_not_hide_the_file(shop: ConfiguredShop) -> None:
    ran = shop.run(ledger="branch:all@acme/nowhere")
    assert "7 days" in ran.summary
    assert "branch:all of acme/nowhere: cannot be read: not found, or the token has no access to it" in ran.log
    assert shop.requested_operations[:2] == ["Ledger", "GitObjects"]


def test_a_central_repository_without_a_commit_does_not_hide_the_file(shop: ConfiguredShop) -> None:
    shop.github.repository("acme/metrics", empty=True)
    ran = shop.run(ledger="branch:all@acme/metrics")
    assert "7 days" in ran.summary
    assert "the repository is empty" in ran.log


def test_a_large_file_is_not_read_and_is_a_wrong_setting(shop: ConfiguredShop) -> None:
    shop.commit("# " + "x" * 600_000)
    ran = shop.run()
    assert ran.code == 2
    assert "config .github/dora.yml: cannot be read (it is larger than 500,000 bytes" in ran.log
    assert shop.requested_operations == ["Ledger"]


def test_a_file_that_git_does_not_take_for_text_must_be_shown_whole(shop: ConfiguredShop) -> None:
    shop.commit(b"window: \xff\x00")
    shop.github.fail(custom_answer(200, {"encoding": "none", "content": ""}), to="GET */git/blobs/*", times=None)
    ran = shop.run()
    assert "GitHub's answer has no content of the file" in ran.log
    assert shop.repository.head("dora-metrics") is None


def test_a_folder_in_the_place_of_the_file_is_a_wrong_setting(shop: ConfiguredShop) -> None:
    shop.commit("window: 14d", "ops/dora.yml")
    ran = shop.run(config="ops")
    assert ran.code == 2
    assert "config ops: cannot be read (it is not a file on the default branch)" in ran.log


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


def test_the_example_with_a_cache_records_in_a_private_repository(tmp_path: Path) -> None:
    """The settings of the default branch are read from GitHub: a token that can read nothing records nothing."""
    example = yaml.safe_load((ROOT / "examples" / "ledger-in-cache.yml").read_text("utf-8"))
    inputs = {**example["jobs"]["record"]["steps"][1]["with"], "deployment-source": "deployments"}
    with FakeGitHub(now=lambda: NOW) as github:
        shop = ConfiguredShop(github, tmp_path, private=True)
        without = shop.run(github.grant(default="none"), **inputs)
        granted = shop.run(github.grant(default="none", **example["jobs"]["record"]["permissions"]), **inputs)
    assert "Nothing was recorded" in without.summary
    assert (tmp_path / "dora-ledger" / "facts").is_dir()
    assert len(granted.facts) == 1
