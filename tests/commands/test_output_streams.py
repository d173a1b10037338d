"""Standard output that is closed, full or cut: no traceback, an exit code that tells, and no effect is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT
from support.runs import deployment_status

SAMPLE = str(ROOT / "src" / "dora_metrics" / "sample")
FULL = Path("/dev/full")
COMMANDS = {
    "json": ["compute", "--facts", SAMPLE],
    "page": ["compute", "--facts", SAMPLE, "--format", "html"],
    "help": ["--help"],
    "demo": ["demo", "--output", "demo"],
}

needs_a_full_device = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")


def run_program(arguments: list[str], stdout: object, folder: Path, **variables: str) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), **variables}
    command = [sys.executable, "-m", "dora_metrics", *arguments]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, cwd=folder, env=environment)  # type: ignore[call-overload,no-any-return]


def errors_of(process: "subprocess.Popen[bytes]") -> str:
    _, errors = process.communicate()
    return errors.decode()


@needs_a_full_device
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_said_in_one_line_and_is_exit_code_1(tmp_path: Path, name: str) -> None:
    with FULL.open("wb") as full:
        process = run_program(COMMANDS[name], full, tmp_path)
        errors = errors_of(process)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert line.startswith("dora-metrics: cannot write to standard output (No space left on device)")


@pytest.mark.parametrize("name", ["page", "demo"])
def test_a_reader_that_goes_away_is_exit_code_1_without_a_word(tmp_path: Path, name: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = run_program(COMMANDS[name], writer, tmp_path)
    os.close(writer)
    assert (errors_of(process), process.returncode) == ("", 1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("stream", [">&-", "2>&-", "<&-"])
def test_a_stream_that_was_closed_before_the_start_makes_no_traceback(tmp_path: Path, stream: str) -> None:
    program = f'"{sys.executable}" -m dora_metrics compute --facts "{SAMPLE}" {stream}'
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
    ran = subprocess.run(["/bin/sh", "-c", program], capture_output=True, check=False, cwd=tmp_path, env=environment)
    assert b"Traceback" not in ran.stderr
    assert ran.returncode == (1 if stream == ">&-" else 0)
    assert bool(ran.stdout) == (stream != ">&-")


@needs_a_full_device
def test_a_run_whose_log_is_lost_records_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps(deployment_status(1)), "utf-8")
    variables = {
        "GITHUB_EVENT_NAME": "deployment_status",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": str(tmp_path),
        "DORA_INPUTS": json.dumps({"ledger": "dir:ledger"}),
    }
    with FULL.open("wb") as full:
        process = run_program(["action"], full, tmp_path, **variables)
        assert "Traceback" not in errors_of(process)
    assert process.returncode == 1
    assert "github:deployment:1" in (tmp_path / "ledger" / "facts" / "2026" / "11.jsonl").read_text("utf-8")


@needs_a_full_device
def test_errors_that_cannot_be_written_keep_the_exit_code(tmp_path: Path) -> None:
    with FULL.open("wb") as full:
        command = [sys.executable, "-m", "dora_metrics", "compute", "--facts", "nowhere"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, check=False, cwd=tmp_path, env=environment)
    assert ran.returncode == 2
