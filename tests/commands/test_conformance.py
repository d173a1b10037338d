"""The conformance collection next to this repository; each case runs the program in its own process."""

import subprocess
import sys
from pathlib import Path

from support.tools import leave_out

COLLECTION = Path(__file__).parents[3] / "shared" / "conformance"


def test_the_program_passes_the_conformance_collection() -> None:
    runner = COLLECTION / "run.py"
    if not runner.is_file():
        leave_out("there is no ../shared/conformance beside this checkout")
    program = f"{sys.executable} -m dora_metrics"
    ran = subprocess.run(
        [sys.executable, str(runner), "--program", program, "--jobs", "2", "--strict"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ", 0 failed, " in ran.stdout
