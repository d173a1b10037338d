"""acme/shop on a fake GitHub, event runs in it, and its ledger on a branch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import pytest

from dora_metrics.core.ledger.month_files import FACTS_FOLDER
from fakes.faults import meanwhile
from fakes.github import FakeGitHub
from fakes.store import Files
from support import run_at_time
from support.paths import ROOT
from support.runs import NOW, ActionRun, PausedClock, check_out, deployment_status, run_action

BRANCH = "dora-metrics"
FACTS_FILE = "facts/2026/11.jsonl"


class BranchShop:
    """`acme/shop` with one commit before any run."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.clock = PausedClock()
        self.environment: Mapping[str, str] = {}
        self.repository = github.repository("acme/shop", empty=True)
        self.first_sha = self.repository.commit(
            {"README.md": "shop"}, message="Begin", author_date=datetime(2026, 11, 1, tzinfo=UTC)
        )

    def run(self, number: int, token: str | None = None, state: str = "success", **inputs: object) -> ActionRun:
        """Run the action on a deployment status."""
        return self.run_event("deployment_status", deployment_status(number, state=state), inputs, token=token)

    def run_event(
        self,
        name: str,
        payload: Mapping[str, object],
        inputs: Mapping[str, object] | None = None,
        *,
        token: str | None = None,
        now: datetime = NOW,
        workspace: Mapping[str, str] | None = None,
    ) -> ActionRun:
        """Run the action on an event; `workspace` holds the files of a checkout, None means that there is none."""
        all_inputs = {"ledger": f"branch:{BRANCH}", "github-token": token or self.github.token, **(inputs or {})}
        environment = {"GITHUB_API_URL": self.github.api_url, **self.environment}
        folder = Path(mkdtemp(dir=self.folder))
        if workspace is not None:
            check_out(folder, workspace)
        return run_action(
            folder,
            name,
            payload,
            all_inputs,
            environment=environment,
            now=now,
            pause=self.clock.pause,
            monotonic=self.clock.monotonic,
        )

    def start_process(
        self, name: str, payload: Mapping[str, object], inputs: Mapping[str, object], *, now: datetime = NOW
    ) -> "subprocess.Popen[bytes]":
        """Start the same run as a process that can be killed."""
        folder = Path(mkdtemp(dir=self.folder))
        (folder / "event.json").write_text(json.dumps(payload), "utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_WORKSPACE": str(folder),
            "GITHUB_API_URL": self.github.api_url,
            "DORA_INPUTS": json.dumps({"ledger": f"branch:{BRANCH}", "github-token": self.github.token, **inputs}),
        }
        command = [sys.executable, run_at_time.__file__, now.isoformat()]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    def kill_at_request(
        self, start: Callable[[], "subprocess.Popen[bytes]"], request_number: int, *, applied: bool
    ) -> bool:
        """Kill a process at its request number `step`, before or after GitHub applied it.

        Return whether the process made that many requests.
        """
        process: list[subprocess.Popen[bytes]] = []
        self.github.fail(
            meanwhile(lambda: process[0].send_signal(signal.SIGKILL), applied=applied), skip=request_number
        )
        with start() as running:
            process.append(running)
            code = running.wait(60)
        self.github.heal()
        assert code in (0, -signal.SIGKILL)
        return code != 0

    def commit_by_hand(self, files: Files, branch: str = BRANCH) -> str:
        """Commit by hand, as a person would."""
        return self.repository.commit(files, message="By hand", branch=branch)

    def replace_branch(self, files: Files | None = None, branch: str = BRANCH) -> str:
        """Replace a branch by a commit without parents, as a force push would."""
        return self.repository.commit(files or {}, message="By force", branch=branch, parents=[])

    def read(self, path: str, branch: str = BRANCH) -> bytes | None:
        return self.repository.read(path, branch)

    def files(self, branch: str = BRANCH) -> dict[str, bytes]:
        """Contents of all files on a branch, by path."""
        head = self.repository.head(branch)
        commit = self.repository.git.commit(head or "")
        changes = self.repository.git.changes(None, commit.tree) if commit else {}
        return {path: self.read(path, branch) or b"" for path in changes}

    def fact_files(self, branch: str = BRANCH) -> dict[str, bytes]:
        return {path: content for path, content in self.files(branch).items() if path.startswith(FACTS_FOLDER)}

    def fact_ids(self, branch: str = BRANCH) -> list[str]:
        """Ids of all fact lines, sorted. An id that is stored twice is listed twice."""
        return sorted(
            json.loads(line)["id"] for content in self.fact_files(branch).values() for line in content.splitlines()
        )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[BranchShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield BranchShop(github, tmp_path)
