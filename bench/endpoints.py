"""What three endpoints add to an event run: `python bench/endpoints.py`.

The fake GitHub and the endpoints answer at once. Runs with and without endpoints take turns, so that a busy machine
slows both; the figure is the ratio of their medians.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ledgers  # in this folder; it adds src and tests to the path
from ledgers import BRANCH, ROOT

from fakes.github import FakeGitHub
from support.runs import deployment_status, write_event
from support.servers import Answer, listen

PAIRS = 15
GOAL = 1.3
TEMPLATES = ("dora", "slack", "cdevents")
"""Of the three endpoints, by the answer `ok`, which all of them accept."""


def config_of(url: str) -> str:
    """A config file with three endpoints."""
    entries = [{"name": name, "url": f"{url}/{name}", "template": name} for name in TEMPLATES]
    return json.dumps({"endpoints": entries})


def run_seconds(folder: Path, github: FakeGitHub, number: int, config: str) -> float:
    """Seconds of an event run on a new deployment, as a process."""
    event, settings = folder / "_github_workflow" / "event.json", folder / "settings.yml"
    workspace = folder / "workspace"
    for made in (event.parent, workspace):
        made.mkdir(exist_ok=True)
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    write_event(event, json.dumps(deployment_status(number, at=moment)).encode())
    settings.write_text(config, "utf-8")
    inputs = {"ledger": f"branch:{BRANCH}", "github-token": github.token, "config": str(settings), "report": "off"}
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "deployment_status", "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/shop", "GITHUB_WORKSPACE": str(workspace), "GITHUB_API_URL": github.api_url,
        "GITHUB_STEP_SUMMARY": str(folder / "summary"), "DORA_INPUTS": json.dumps(inputs),
    }  # fmt: skip
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dora_metrics", "action"], env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def measure() -> Mapping[str, list[float]]:
    """Seconds of runs without endpoints and with three, and how many requests GitHub got for each."""
    figures: dict[str, list[float]] = {"none": [], "three": [], "none: requests": [], "three: requests": []}
    with FakeGitHub(now=lambda: datetime.now(UTC)) as github, listen(Answer(200, b"ok")) as endpoint:
        for budget in github.state.budgets.values():
            budget.limit = 10**9
        github.repository("acme/shop")
        with TemporaryDirectory() as folder:
            for number in range(1, 2 * PAIRS + 3):
                name = ("none", "three")[number % 2]
                config = config_of(endpoint.url) if name == "three" else "{}"
                before = len(github.requests)
                seconds = run_seconds(Path(folder), github, number, config)
                if number > 2:  # the first ones make the ledger
                    figures[name].append(seconds)
                    figures[f"{name}: requests"].append(len(github.requests) - before)
        assert len(endpoint.requests) >= 3 * PAIRS
    return figures


def main() -> None:
    figures = {name: statistics.median(values) for name, values in measure().items()}
    ratio = figures["three"] / figures["none"]
    print("| what | none | three | ratio | goal |\n|---|---|---|---|---|")
    seconds = f"{figures['none']:.2f} s | {figures['three']:.2f} s | {ratio:.2f} | <= {GOAL}"
    print(f"| event run with endpoints ({', '.join(TEMPLATES)}), median of {PAIRS} pairs | {seconds} |")
    print(f"| requests to GitHub | {figures['none: requests']:.0f} | {figures['three: requests']:.0f} | | |")


if __name__ == "__main__":
    ledgers.NOW = datetime.now(UTC)
    main()
