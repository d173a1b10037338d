"""A cancelled job: GitHub sends SIGINT, then SIGTERM. The run says so in one line, and keeps what only it knows."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.faults import custom_answer, hang, meanwhile
from fakes.github import FakeGitHub
from support.branch_shop import BRANCH, BranchShop
from support.git_repository import CLEAN_ENVIRONMENT
from support.paths import ROOT
from support.runs import NOW, check_out, deployment_status, parse_outputs, write_event
from support.servers import OK, Answer, Request, listen
from support.step import start_step

DISPATCH = {
    "action": "dora-deployment",
    "client_payload": {"deployment": {"id": "deploy-9", "version": "1"}},
    "repository": {"name": "shop", "full_name": "acme/shop", "default_branch": "main"},
}


SETTINGS = {".github/dora.yml": ""}
CANCELLED_IMPORT = """
import os, signal, sys
sys.modules["dora_metrics.cli"] = None
try:
    import dora_metrics.__main__
except ImportError:
    os.kill(os.getpid(), signal.SIGINT)
"""


def start_program(variables: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dora_metrics", "action"]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@dataclass(frozen=True)
class Cancelled:
    code: int
    log: str
    summary: str
    outputs: dict[str, str]


class CancelledShop(BranchShop):
    def cancel_in_write(
        self,
        number: signal.Signals,
        event: str,
        payload: object,
        start: Callable[[dict[str, str]], subprocess.Popen[bytes]] = start_program,
    ) -> Cancelled:
        """Run the program as a process, and send it a signal while GitHub does not answer its write."""
        arrived = threading.Event()
        for fault in (meanwhile(arrived.set), hang()):
            self.github.fail(fault, to="createCommitOnBranch", times=None)
        return self.cancel(number, arrived, event, payload, start=start)

    def start_step(self, variables: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start the action's step; an earlier step has installed the packages for this Python."""
        temp = Path(variables["RUNNER_TEMP"])
        version = subprocess.run([sys.executable, "-VV"], capture_output=True, check=True).stdout
        lock = (ROOT / "requirements" / "runtime.txt").read_bytes()
        environment = temp / f"dora-metrics-{hashlib.sha256(version + lock).hexdigest()[:16]}"
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (environment / "bin" / "python").chmod(0o755)
        place = {"DORA_ACTION_PATH": str(ROOT), "DORA_RUNTIME": "python"}
        return start_step(self.folder, {**variables, **place}, cwd=self.folder)

    def cancel_in_read(self, files: Mapping[str, str]) -> Cancelled:
        """Run the program on a dispatch in a checkout, and cancel it while GitHub does not answer its first request."""
        arrived = threading.Event()
        for fault in (meanwhile(arrived.set), hang()):
            self.github.fail(fault, times=None)
        return self.cancel(signal.SIGINT, arrived, "repository_dispatch", DISPATCH, files=files)

    def cancel_in_delivery(self, number: signal.Signals, event: str, payload: object) -> Cancelled:
        """Run the program as a process, and send it a signal while the endpoint does not answer."""
        arrived, is_over = threading.Event(), threading.Event()

        def answer_to(_: Request) -> Answer:
            arrived.set()
            is_over.wait(60)
            return OK

        with listen() as endpoint:
            endpoint.answer_to = answer_to  # type: ignore[method-assign,assignment]
            try:
                return self.cancel(number, arrived, event, payload, {"endpoint-url": endpoint.url})
            finally:
                is_over.set()

    def cancel(
        self,
        number: signal.Signals,
        arrived: threading.Event,
        event: str,
        payload: object,
        inputs: Mapping[str, str] | None = None,
        *,
        files: Mapping[str, str] = SETTINGS,
        start: Callable[[dict[str, str]], subprocess.Popen[bytes]] = start_program,
    ) -> Cancelled:
        """Run the program in a checkout, as a process, and send it a signal once it has arrived."""
        check_out(self.folder, files)
        event_file, output, summary = (self.folder / name for name in ("event", "output", "summary"))
        for file in (output, summary):
            file.write_text("", "utf-8")
        write_event(event_file, json.dumps(payload).encode())
        variables = {
            **CLEAN_ENVIRONMENT,
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(event_file),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_WORKSPACE": str(self.folder),
            "GITHUB_API_URL": self.github.api_url,
            "RUNNER_TEMP": str(self.folder / "temp"),
            "DORA_INPUTS": json.dumps(
                {"ledger": f"branch:{BRANCH}", "github-token": self.github.token, **(inputs or {})}
            ),
        }
        with start(variables) as process:
            assert arrived.wait(60)
            process.send_signal(number)
            log, _ = process.communicate(timeout=60)
        outputs = parse_outputs(output.read_text("utf-8"))
        return Cancelled(process.returncode, log.decode(), summary.read_text("utf-8"), outputs)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[CancelledShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        shop = CancelledShop(github, tmp_path)
        shop.run(1)
        yield shop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_keeps_its_dispatch(shop: CancelledShop, number: signal.Signals) -> None:
    cancelled = shop.cancel_in_write(number, "repository_dispatch", DISPATCH)
    assert cancelled.code == 128 + number
    assert "Traceback" not in cancelled.log
    assert "dora-metrics: cancelled\n" in cancelled.log
    assert cancelled.summary.startswith("### ⚠️ This run was cancelled before it had recorded everything\n")
    assert "1 fact of this run may not be in the ledger" in cancelled.summary
    assert "gh api repos/acme/shop/dispatches" in cancelled.summary
    assert "dispatch:deploy-9" in Path(cancelled.outputs["unrecorded-facts"]).read_text("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="a runner on Windows sends no signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancel_of_the_actions_step_reaches_the_program(shop: CancelledShop, number: signal.Signals) -> None:
    cancelled = shop.cancel_in_write(number, "repository_dispatch", DISPATCH, shop.start_step)
    assert cancelled.code == 128 + number
    assert "dora-metrics: cancelled\n" in cancelled.log
    assert "dispatch:deploy-9" in Path(cancelled.outputs["unrecorded-facts"]).read_text("utf-8")


def test_a_run_that_is_cancelled_during_its_imports_ends_without_a_traceback() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CANCELLED_IMPORT], env=CLEAN_ENVIRONMENT, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (-signal.SIGINT, b"")


@pytest.mark.parametrize("files", [SETTINGS, {}], ids=["settings in the checkout", "settings elsewhere"])
def test_a_run_that_is_cancelled_at_its_first_request_keeps_its_dispatch(
    shop: CancelledShop, files: Mapping[str, str]
) -> None:
    cancelled = shop.cancel_in_read(files)
    assert "Traceback" not in cancelled.log
    assert cancelled.summary.startswith("### ⚠️ This run was cancelled before it had recorded everything\n")
    assert "dispatch:deploy-9" in Path(cancelled.outputs["unrecorded-facts"]).read_text("utf-8")


def test_what_a_sync_finds_again_is_not_kept(shop: CancelledShop) -> None:
    cancelled = shop.cancel_in_write(signal.SIGTERM, "deployment_status", deployment_status(2))
    assert cancelled.outputs["unrecorded-facts"] == ""
    assert "A later sync finds what GitHub knows" in cancelled.summary


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_fact_that_no_ledger_took_is_announced_though_the_run_is_cancelled_while_it_sends(
    shop: CancelledShop, number: signal.Signals
) -> None:
    refusal = custom_answer(403, {"message": "Resource not accessible by integration"})
    shop.github.fail(refusal, to="createCommitOnBranch", times=None)
    cancelled = shop.cancel_in_delivery(number, "repository_dispatch", DISPATCH)
    assert cancelled.code == 128 + number
    assert "Traceback" not in cancelled.log
    assert cancelled.log.count("1 fact of this run is not in the ledger") == 1
    assert cancelled.summary.count("1 fact of this run is not in the ledger") == 1
    assert "gh api repos/acme/shop/dispatches" in cancelled.summary
    assert "dispatch:deploy-9" in Path(cancelled.outputs["unrecorded-facts"]).read_text("utf-8")


def test_a_run_that_is_cancelled_while_it_sends_shows_what_it_has_recorded(shop: CancelledShop) -> None:
    cancelled = shop.cancel_in_delivery(signal.SIGTERM, "deployment_status", deployment_status(2))
    assert "ledger ✓ +1 fact" in cancelled.summary
    assert "run ✗ cancelled before everything was sent and reported; the next run does that" in cancelled.summary
    assert (cancelled.outputs["unrecorded-facts"], cancelled.outputs["facts"][:2]) == ("", "[{")
