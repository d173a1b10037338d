"""Nothing is lost when a run is killed at any request, or when many write at once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes.faults import meanwhile
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.runs import deployment_status, run

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FILE = "facts/2026/11.jsonl"
INPUTS = {"ledger": "branch:dora-metrics"}


def shop(github: FakeGitHub) -> tuple[Repository, str, str]:
    """A repository with two commits, and their shas."""
    repository = github.repository("acme/shop")
    first = repository.commit({"a": "1"}, message="Begin", author_date=datetime(2026, 11, 20, tzinfo=UTC))
    second = repository.commit({"a": "2"}, message="Go on", author_date=datetime(2026, 11, 21, tzinfo=UTC))
    return repository, first, second


def environment(github: FakeGitHub, folder: Path, payload: dict[str, object]) -> dict[str, str]:
    (folder / "event.json").write_text(json.dumps(payload), "utf-8")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "GITHUB_EVENT_NAME": "deployment_status",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_API_URL": github.api_url,
        "DORA_INPUTS": json.dumps({**INPUTS, "github-token": github.token}),
    }


def start(github: FakeGitHub, folder: Path, payload: dict[str, object]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "dora_metrics", "action"]
    return subprocess.Popen(command, env=environment(github, folder, payload), stdout=subprocess.DEVNULL)


def killed_at(github: FakeGitHub, folder: Path, payload: dict[str, object], step: int, *, applied: bool) -> None:
    """Runs the program and kills it at its request number `step`, before or after GitHub has done the work."""
    process: list[subprocess.Popen[bytes]] = []
    kill = meanwhile(lambda: process[0].send_signal(signal.SIGKILL), applied=applied)
    github.fail(kill, skip=step)
    with start(github, folder, payload) as started:
        process.append(started)
        assert started.wait(60) == -signal.SIGKILL
    github.heal()


def ledger_after(folder: Path, kill: Callable[[FakeGitHub, dict[str, object]], None] | None) -> bytes | None:
    """The facts after a first deployment and, perhaps killed and run again, a second one."""
    folder.mkdir()
    with FakeGitHub(now=lambda: NOW) as github:
        repository, first, second = shop(github)
        inputs = {**INPUTS, "github-token": github.token}
        url = {"GITHUB_API_URL": github.api_url}
        before = deployment_status(1, sha=first, at="2026-11-20T12:00:00Z")
        run(folder, "deployment_status", before, inputs, environment=url)
        payload = deployment_status(2, sha=second)
        if kill:
            kill(github, payload)
        run(folder, "deployment_status", payload, inputs, environment=url)
        return repository.read(FILE, "dora-metrics")


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(4))
def test_a_run_killed_at_any_request_and_run_again_leaves_the_same_ledger(
    tmp_path: Path, step: int, *, applied: bool
) -> None:
    def kill(github: FakeGitHub, payload: dict[str, object]) -> None:
        killed_at(github, tmp_path / "killed", payload, step, applied=applied)

    expected = ledger_after(tmp_path / "whole", None)
    assert expected is not None
    assert b"github:deployment:2" in expected
    assert ledger_after(tmp_path / "killed", kill) == expected


def test_fifty_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: NOW) as github:
        repository, _, _ = shop(github)
        inputs = {**INPUTS, "github-token": github.token}

        def write(number: int) -> int:
            folder = tmp_path / str(number)
            folder.mkdir()
            payload = deployment_status(number, state="failure")
            url = {"GITHUB_API_URL": github.api_url}
            return run(folder, "deployment_status", payload, inputs, environment=url, pause=time.sleep).code

        github.world.budgets["graphql"].limit = 100_000
        with ThreadPoolExecutor(50) as pool:
            codes = Counter(pool.map(write, range(1, 51)))
        facts = [json.loads(line)["id"] for line in (repository.read(FILE, "dora-metrics") or b"").splitlines()]
    assert codes == {0: 50}
    assert sorted(facts) == sorted(f"github:deployment:{number}" for number in range(1, 51))
