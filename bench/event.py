"""What one event costs where its ledger is a branch: CPU, requests and bytes. `python bench/event.py`.

The fake GitHub answers at once. Facts end now, as those of a real ledger do. Answers are
compressed, as GitHub's are; what is sent to it is not.
CPU is user and system time of the whole process, compared in pairs with the import of the libraries alone.
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import ledgers  # in this folder; it adds src and tests to the path
import msgspec
from ledgers import BRANCH, DAY, ROOT

from dora_metrics.core.facts.model import Deployment, Fact, Incident
from fakes.github import FakeGitHub
from support.runs import deployment_status, incident_issue, write_event

NOW = ledgers.NOW = datetime.now(UTC).replace(microsecond=0)
IMPORTS = "import pydantic, jinja2, prometheus_client, requests"
PAIRS = 15
SERVICES = 500
OUTAGE_NUMBER = 9
OUTAGE_BEGAN = NOW - 363 * DAY
TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Cost:
    """What one run cost."""

    requests: int
    read_bytes: int
    written_bytes: int
    cpu_seconds: float


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """CPU seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


class Shop:
    """acme/shop on a fake GitHub, whose ledger knows the first of two versions."""

    def __init__(self, github: FakeGitHub, folder: Path, facts: Callable[[str], Iterator[Fact]]) -> None:
        self.github, self.folder, self.number = github, folder, 10**6
        for budget in github.state.budgets.values():
            budget.limit = 10**9
        repository = github.repository("acme/shop")
        known_sha = repository.head() or ""
        pull = repository.pull("Faster", created_at=NOW - DAY)
        self.new_sha = repository.merge_pull(pull, at=NOW - DAY / 48)
        self.ledger_bytes = ledgers.write_ledger(repository, facts(known_sha))

    def run(self, **payload: str) -> Cost:
        """Run the action on one new deployment, as a process."""
        self.number += 1
        return self.run_event("deployment_status", deployment_status(self.number, at=f"{NOW:{TIME}}", **payload))

    def run_end_of_outage(self) -> Cost:
        """Run the action on the end of an incident that was opened before all months that a run reads."""
        times = {"created_at": f"{OUTAGE_BEGAN:{TIME}}", "updated_at": f"{NOW:{TIME}}", "closed_at": f"{NOW:{TIME}}"}
        issue = incident_issue(OUTAGE_NUMBER, state="closed", state_reason="completed", **times)
        return self.run_event("issues", {**issue, "action": "closed"})

    def run_event(self, name: str, payload: dict[str, object]) -> Cost:
        """Run the action on an event, as a process."""
        event = self.folder / "_github_workflow" / "event.json"
        event.parent.mkdir(exist_ok=True)
        write_event(event, json.dumps(payload).encode())
        inputs = {"ledger": f"branch:{BRANCH}", "github-token": self.github.token, "report": "off"}
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "acme/shop", "GITHUB_WORKSPACE": str(self.folder),
            "GITHUB_API_URL": self.github.api_url, "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"), "DORA_INPUTS": json.dumps(inputs),
        }  # fmt: skip
        before = len(self.github.requests)
        cpu = cpu_seconds([sys.executable, "-m", "dora_metrics", "action"], environment)
        requests = self.github.requests[before:]
        read = sum(request.sent_bytes for request in requests)
        written = sum(request.received_bytes for request in requests)
        return Cost(len(requests), read, written, cpu)


def facts_of_services(last_sha: str) -> Iterator[Fact]:
    """A year of weekly deployments of many services, each with a change, and an incident that is still open."""
    yield Incident(
        id=f"github:issue:acme/shop#{OUTAGE_NUMBER}", repository="acme/shop", service="service-007", source="github",
        url=f"https://github.com/acme/shop/issues/{OUTAGE_NUMBER}", environment="production",
        observed_at=OUTAGE_BEGAN, detected_at=OUTAGE_BEGAN, title="Checkout answers 500",
    )  # fmt: skip
    rng = random.Random(3)
    count = SERVICES * 52
    for number in range(1, count + 1):
        at = NOW - DAY * 364 / count * (count - number + 1)
        change = msgspec.structs.replace(ledgers.change(number, at, rng), service="")
        is_last = number > count - SERVICES
        yield change
        yield Deployment(
            id=f"github:deployment:{number}", repository="acme/shop", service=f"service-{number % SERVICES:03}",
            source="deployments", url=f"https://github.com/acme/shop/deployments/{number}", environment="production",
            sha=last_sha if is_last else ledgers.random_sha(rng), ref="main", version=f"v1.{number}.0",
            status="success" if number % 17 else "failure", observed_at=at, started_at=at - timedelta(minutes=9),
            finished_at=at, changes=(change.id,), commit_count=3,
            previous=f"github:deployment:{number - SERVICES}" if number > SERVICES else None,
        )  # fmt: skip


LEDGERS: dict[str, tuple[Callable[[str], Iterator[Fact]], int, int]] = {
    "one service, a new ledger": (lambda sha: ledgers.facts(1, 1, sha), 40_000, 6_000_000),
    "one service, 20 deployments a day for five years": (
        lambda sha: ledgers.facts(5 * 365, 20, sha),
        40_000,
        6_000_000,
    ),
    f"{SERVICES} services, weekly for a year": (facts_of_services, 300_000, 6_000_000),
}
"""The facts of each ledger, and the goals for what an event writes and reads."""


def rows() -> Iterator[str]:
    """Rows of costs, each figure with its goal. The run that makes the checkpoint has a column of its own."""
    for name, (facts, written_goal, read_goal) in LEDGERS.items():
        with FakeGitHub(now=lambda: NOW) as github, TemporaryDirectory() as folder:
            shop = Shop(github, Path(folder), facts)
            first = shop.run(state="failure")
            costs = [shop.run(state="failure") for _ in range(20)]
            compared = shop.run(sha=shop.new_sha)
            ended = shop.run_end_of_outage() if facts is facts_of_services else None
        written = sorted(cost.written_bytes for cost in costs)
        cells = (
            f"{name} ({_size(shop.ledger_bytes)} of facts)",
            f"{costs[-1].requests} (<= 4)",
            f"{compared.requests} (<= 8)",
            f"{_size(statistics.median(written))} (<= {_size(written_goal)})",
            _size(written[-1]),
            f"{_size(statistics.median(cost.read_bytes for cost in costs))} (<= {_size(read_goal)})",
            _size(first.written_bytes),
            _size(ended.written_bytes) if ended else "",
        )
        yield f"| {' | '.join(cells)} |"


def cpu_ratio() -> tuple[float, int]:
    """CPU of an event run on a ledger of a year, as a multiple of the libraries' import; and how many facts it has."""
    count = 0

    def facts(sha: str) -> Iterator[Fact]:
        nonlocal count
        for fact in ledgers.facts(365, 14, sha):
            count += 1
            yield fact

    with FakeGitHub(now=lambda: NOW) as github, TemporaryDirectory() as folder:
        shop = Shop(github, Path(folder), facts)
        shop.run(state="failure")
        environment = {"PATH": os.environ["PATH"]}
        pairs = [
            shop.run(state="failure").cpu_seconds / cpu_seconds([sys.executable, "-c", IMPORTS], environment)
            for _ in range(PAIRS)
        ]
    return statistics.median(pairs), count


def _size(count: float) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


HEADINGS = (
    "ledger",
    "requests",
    "with a comparison",
    "written, median of 20",
    "most of 20",
    "read",
    "written by the run that makes the checkpoint",
    "by one that ends an old incident",
)


def main() -> None:
    ratio, facts = cpu_ratio()
    print("| what | figure | goal |\n|---|---|---|")
    label = (
        f"event run on a branch with {facts:,} facts: CPU, times the import of its libraries (median of {PAIRS} pairs)"
    )
    print(f"| {label} | {ratio:.2f} | <= 2.0 |\n")
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
