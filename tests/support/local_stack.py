"""The local stack of monitoring/, started as a user would start it, and ended as with Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.paths import ROOT
from support.tools import require_tool

UP = ROOT / "monitoring" / "up.sh"
FREE_PORTS = {"PUSHGATEWAY_PORT": "0", "ALERTMANAGER_PORT": "0", "PROMETHEUS_PORT": "0"}
PROGRAMS = ("bash", "prometheus", "promtool", "prometheus-pushgateway", "prometheus-alertmanager")
_READY_SECONDS = 180


@dataclass(frozen=True)
class LocalStack:
    """A stack that runs. `urls` by the name that it printed; `folder` is where its temporary files are."""

    process: "subprocess.Popen[str]"
    urls: Mapping[str, str]
    folder: Path

    def children(self) -> list[int]:
        """Ids of the programs that it started."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in tasks.read_text("utf-8").split()]

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the script alone, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_READY_SECONDS)


def environment(temporary: Path, **variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}
    return {**inherited, "PYTHON": sys.executable, "TMPDIR": str(temporary), **variables}


def run_script(temporary: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the script where it cannot start."""
    command = [str(require_tool("bash")), str(UP)]
    return subprocess.run(
        command, env=environment(temporary, **variables), capture_output=True, text=True, check=False, timeout=60
    )


@contextmanager
def local_stack(folder: Path) -> Iterator[LocalStack]:
    """Start the stack on free ports, and wait until it has printed its addresses."""
    for program in PROGRAMS:
        require_tool(program)
    temporary, log = folder / "tmp", folder / "up.log"
    temporary.mkdir()
    command = [str(require_tool("bash")), str(UP)]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, env=environment(temporary, **FREE_PORTS), stdout=output, stderr=subprocess.STDOUT, text=True
        )
    try:
        _await_text(process, log, "Press Ctrl-C")
        addresses = re.findall(r"^ *(.+?) {2,}(http\S+)$", log.read_text("utf-8"), flags=re.MULTILINE)
        yield LocalStack(process, dict(addresses), temporary)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(_READY_SECONDS)


def _await_text(process: "subprocess.Popen[str]", log: Path, text: str) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if text in log.read_text("utf-8"):
            return
        time.sleep(0.1)
    raise AssertionError(f"the stack did not start: {log.read_text('utf-8')[-2000:]}")
