"""A folder or file that this user may not read is named, and never taken for one that is empty or not there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.ledger_writer import record_facts
from support.paths import ROOT
from support.runs import deployment_status
from support.sink_payloads import deployment
from support.tools import require_tool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")


def as_ordinary_user() -> list[str]:
    """What begins a command whose user may not read everything: root gives that up."""
    if os.geteuid() != 0:
        return []
    return [str(require_tool("setpriv")), "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


def run(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), **variables}
    command = [*as_ordinary_user(), sys.executable, "-m", "dora_metrics", *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
    return result


@contextmanager
def locked(path: Path, mode: int = 0) -> Iterator[None]:
    """Take permissions away for a while."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with facts of two years."""
    folder = tmp_path / "ledger"
    record_facts(folder, deployment(1), deployment(2, days_ago=400))
    return folder


@pytest.mark.parametrize("command", [["compute"], ["rows", "--to", "out"], ["send", "--dry-run", "--template", "dora"]])
@pytest.mark.parametrize("place", [".", "facts", "facts/2025", "facts/2025/10.jsonl"])
def test_facts_that_may_not_be_read_end_a_command(ledger: Path, command: list[str], place: str) -> None:
    with locked(ledger / place):
        result = run(ledger.parent, *command, "--facts", "ledger")
    assert result.returncode == 2
    assert "cannot be read (Permission denied)" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("place", [".", "facts/2025"])
def test_a_ledger_that_may_not_be_read_is_an_error_and_never_empty(ledger: Path, place: str) -> None:
    with locked(ledger / place):
        result = run(ledger.parent, "rebuild", "--ledger", "dir:ledger")
    assert result.returncode != 0
    assert "dir:ledger: cannot be read (Permission denied)" in result.stdout


def test_a_ledger_behind_a_folder_that_may_not_be_entered_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    with locked(tmp_path / "locked"):
        result = run(tmp_path, "rebuild", "--ledger", "dir:locked/ledger")
    assert result.returncode == 2
    assert "there is no ledger" in result.stdout


def run_event(folder: Path, ledger: str = "dir:ledger", **variables: str) -> "subprocess.CompletedProcess[str]":
    event = folder / "event.json"
    event.write_text(json.dumps(deployment_status()), "utf-8")
    of_runner = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "deployment_status",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": str(folder),
        "DORA_INPUTS": json.dumps({"ledger": ledger, "environment": "production"}),
    }
    return run(folder, "action", **{**of_runner, **variables})


@pytest.mark.parametrize("place", [".github", ".git"])
def test_what_an_earlier_job_left_as_root_stops_no_run(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir()
    with locked(tmp_path / place):
        result = run_event(tmp_path)
    assert result.returncode == 0
    assert (tmp_path / "ledger" / "facts").is_dir()


def test_a_temporary_folder_that_may_not_be_entered_costs_only_the_file_of_unrecorded_facts(tmp_path: Path) -> None:
    for name in ("temporary", "locked"):
        (tmp_path / name).mkdir()
    with locked(tmp_path / "temporary"), locked(tmp_path / "locked"):
        result = run_event(
            tmp_path, "dir:locked/ledger", RUNNER_TEMP=str(tmp_path / "temporary"), GITHUB_OUTPUT=str(tmp_path / "out")
        )
    assert result.returncode == 0
    assert "locked/ledger" in result.stdout
    assert "unrecorded-facts" in (tmp_path / "out").read_text("utf-8")


@pytest.mark.parametrize("name", ["GITHUB_EVENT_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"])
def test_a_container_that_cannot_use_the_runners_files_gives_way_to_the_runners_python(
    tmp_path: Path, name: str
) -> None:
    """As on a host with SELinux. The exit code is one of those after which action/run.sh goes on with Python."""
    (tmp_path / "locked").mkdir()
    file = tmp_path / "locked" / "file"
    file.write_text("{}", "utf-8")
    with locked(tmp_path / "locked"):
        result = run_event(tmp_path, DORA_IN_CONTAINER="true", **{name: str(file)})
    assert result.returncode == 126
    assert f"{file} cannot be used in the container" in result.stdout
    assert "Set `runtime: python`" in result.stdout
    assert not (tmp_path / "ledger").exists()
