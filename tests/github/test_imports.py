"""What an event run waits for: PyGithub, which takes longer to import than its requests, is not among it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fakes.github import FakeGitHub
from support.runs import deployment_status, run_action

RUN_WITHOUT_PYGITHUB = """
import sys

class NoPyGithub:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "github":
            raise ImportError(f"an event run imports {name}")

sys.meta_path.insert(0, NoPyGithub())
sys.argv = ["dora-metrics", "action"]
from dora_metrics.__main__ import main
code = main()
assert "github" not in sys.modules
sys.exit(code)
"""


NOW = datetime.now(UTC)
PAYLOAD = deployment_status(at=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")


def run_without_pygithub(folder: Path, inputs: Mapping[str, object], api_url: str = "") -> str:
    """The summary of an event run in a process in which PyGithub cannot be imported; a failure fails the test."""
    event, summary = folder / "deployed.json", folder / "summary.md"
    event.write_text(json.dumps(PAYLOAD), "utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "INPUT_", "DORA_"))},
        "GITHUB_EVENT_NAME": "deployment_status",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_API_URL": api_url,
        "DORA_INPUTS": json.dumps(inputs),
    }
    command = [sys.executable, "-c", RUN_WITHOUT_PYGITHUB]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return summary.read_text("utf-8")


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as made:
        made.repository("acme/shop").commit({"a": "1"}, message="Begin")
        yield made


def test_an_event_run_on_a_folder_imports_no_pygithub(tmp_path: Path) -> None:
    assert "reached production" in run_without_pygithub(tmp_path, {"ledger": "dir:ledger"})


def test_an_event_run_on_a_branch_imports_no_pygithub(tmp_path: Path, github: FakeGitHub) -> None:
    """Neither the first run, which makes the branch, nor the next one, which reads it."""
    inputs = {"github-token": github.token, "ledger": "branch:dora-metrics"}
    for _ in range(2):
        assert "reached production" in run_without_pygithub(tmp_path, inputs, github.api_url)
    assert len(github.requests) == 6


def test_an_event_run_whose_report_is_made_already_imports_no_pygithub(tmp_path: Path, github: FakeGitHub) -> None:
    inputs = {"github-token": github.token, "ledger": "branch:dora-metrics", "report": "weekly"}
    environment = {"GITHUB_API_URL": github.api_url}
    last_week = deployment_status(2, at=f"{NOW - timedelta(weeks=1):%Y-%m-%dT%H:%M:%SZ}")
    run_action(tmp_path, "deployment_status", last_week, inputs, now=NOW, environment=environment)
    by_hand = {**inputs, "mode": "report"}
    run_action(tmp_path, "workflow_dispatch", {"inputs": {}}, by_hand, now=NOW, environment=environment)
    assert len(github.requests_matching("POST */issues")) == 1
    run_without_pygithub(tmp_path, inputs, github.api_url)
