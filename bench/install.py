"""From nothing to the end of a run without an image, by each way in which `action/run.sh` gets the packages."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMES = 3


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_seconds: float


def environment(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """A runner's variables. pip has no settings, so that it may bring uv, which does not read them."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "GITHUB_"))}
    return kept | {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "PIP_CONFIG_FILE": os.devnull,
        "DORA_ACTION_PATH": str(folder / "action"),
        "DORA_RUNTIME": "python",
        "DORA_INPUTS": '{"ledger": "none", "deployment-source": "none"}',
        "RUNNER_TEMP": str(folder / "temp"),
        "GITHUB_WORKSPACE": str(folder / "workspace"),
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_RUN_ID": "1",
        **variables,
    }


def prepare_runner(folder: Path, programs: dict[str, Path]) -> None:
    for name in ("bin", "temp", "workspace"):
        (folder / name).mkdir()
    for name in ("action", "requirements", "src", "templates"):
        shutil.copytree(ROOT / name, folder / "action" / name, ignore=shutil.ignore_patterns("__pycache__", "image"))
    for name, program in programs.items():
        (folder / "bin" / name).symlink_to(program)


def run_from_nothing(programs: dict[str, Path], variables: dict[str, str]) -> Cost:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_runner(folder, programs)
        start, cpu = time.perf_counter(), children_cpu_seconds()
        done = subprocess.run(
            ["bash", str(folder / "action" / "action" / "run.sh")],
            cwd=folder / "workspace", env=environment(folder, variables), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return Cost(time.perf_counter() - start, children_cpu_seconds() - cpu)


def children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    python = {"python3": Path(sys.base_prefix) / "bin" / "python3"}
    uv = {"uv": Path(sys.executable).with_name("uv")}
    with tempfile.TemporaryDirectory() as empty:
        ways = {
            "uv of the runner": (python | uv, {}),
            "pip brings uv": (python, {}),
            # a folder of its own makes pip install everything; there is nothing in it
            "pip alone": (python, {"PIP_FIND_LINKS": empty}),
        }
        rounds = [{name: run_from_nothing(*way) for name, way in ways.items()} for _ in range(TIMES)]
    print(f"From nothing to the end of a run, fastest and median of {TIMES} alternating runs")
    for name in ways:
        costs = [costs[name] for costs in rounds]
        seconds, cpu = [cost.seconds for cost in costs], statistics.median(cost.cpu_seconds for cost in costs)
        print(f"{name}: {min(seconds):.1f} s, median {statistics.median(seconds):.1f} s; CPU {cpu:.1f} s")


main()
