"""The figures of docs/reliability.md: what a run requests from GitHub by age of the ledger, and fifty runs at once.

The fake GitHub of the tests counts requests and bytes; they are the same on any machine. Seconds are not.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import ledgers  # in this folder; it adds src and tests to the path
from ledgers import BRANCH, NOW

from dora_metrics.core.ledger.month_files import first_paths
from dora_metrics.core.windows import parse_instant
from fakes.faults import latency
from fakes.github import FakeGitHub
from support.runs import ActionRun, deployment_status, run_action

DEPLOYMENTS_PER_DAY = 100
YEAR_DAYS = 365
PROCESSES = 10
SECONDS_TO_START = 15
FIRST_NUMBER = 10**6
"""Of the deployments that a `BenchShop` records."""

Pause = Callable[[float], None]


@dataclass(frozen=True)
class Cost:
    """What one run requested from GitHub, and its time. What it read was compressed, as by GitHub."""

    requests: int
    read_bytes: int
    written_bytes: int
    seconds: float

    def __str__(self) -> str:
        sizes = f"{_size(self.read_bytes)} | {_size(self.written_bytes)}"
        return f"{self.requests} | {sizes} | {self.seconds:.1f} s"


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


class BenchShop:
    """acme/shop on a fake GitHub with two versions; the ledger knows the first."""

    def __init__(self, github: FakeGitHub, folder: str) -> None:
        self.github, self.folder = github, folder
        for budget in github.state.budgets.values():
            budget.limit = 10**9
        self.shop = github.repository("acme/shop")
        self.known_sha = self.shop.head() or ""
        pull = self.shop.pull("Faster", created_at=parse_instant("2026-11-20T12:00:00Z"))
        self.new_sha = self.shop.merge_pull(pull, at=parse_instant("2026-11-21T09:00:00Z"))
        self.number = FIRST_NUMBER - 1

    def measure_run(self, **payload: object) -> Cost:
        """Measure a run on a new deployment, in a process of its own."""
        self.number += 1
        before = len(self.github.requests)
        with get_context("spawn").Pool(1) as pool:
            ran, seconds = pool.apply(
                timed_event_run, (self.github.api_url, self.github.token, self.folder, self.number), payload
            )
        assert ran.code == 0, ran.log
        assert f"github:deployment:{self.number}" in ran.outputs["facts"], ran.log
        requests = self.github.requests[before:]
        return Cost(
            len(requests),
            sum(request.sent_bytes for request in requests),
            sum(request.received_bytes for request in requests),
            seconds,
        )


def timed_event_run(url: str, token: str, folder: str, number: int, **payload: object) -> tuple[ActionRun, float]:
    """A run, and its seconds without the start of Python."""
    start = time.perf_counter()
    ran = event_run(url, token, folder, number, time.sleep, **payload)
    return ran, time.perf_counter() - start


def event_run(url: str, token: str, folder: str, number: int, pause: Pause, **payload: object) -> ActionRun:
    """Run the action in a folder of its own."""
    inputs = {"ledger": f"branch:{BRANCH}", "github-token": token}
    status = deployment_status(number, at=f"{NOW:%Y-%m-%dT%H:%M:%SZ}", **payload)  # type: ignore[arg-type]
    return run_action(
        Path(mkdtemp(dir=folder)), "deployment_status", status, inputs,
        now=NOW, environment={"GITHUB_API_URL": url}, pause=pause,
    )  # fmt: skip


def rows_by_ledger_age() -> Iterator[str]:
    """Rows for ledgers of one fact, one year and five years: first run, event without and with a comparison."""
    for name, days, a_day in (
        ("one fact", 1, 1),
        ("1 year", YEAR_DAYS, DEPLOYMENTS_PER_DAY),
        ("5 years", 5 * YEAR_DAYS, DEPLOYMENTS_PER_DAY),
    ):
        with FakeGitHub(now=lambda: NOW) as github, TemporaryDirectory() as folder:
            bench = BenchShop(github, folder)
            facts = ledgers.facts(days, a_day, bench.known_sha)
            size = ledgers.write_ledger(bench.shop, (fact for fact in facts if days > 1 or "deployment" in fact.id))
            label = f"{name} ({_size(size)} of facts)" if days > 1 else name
            yield f"| {label}: the first run, without a checkpoint | {bench.measure_run(state='failure')} |"
            yield f"| {name}: an event without a comparison | {bench.measure_run(state='failure')} |"
            yield f"| {name}: an event with a comparison | {bench.measure_run(sha=bench.new_sha)} |"
            checkpoint = bench.shop.read("checkpoint.json", BRANCH) or b""
            yield f"| {name}: its `checkpoint.json` | | {_size(len(checkpoint))} | | |"


@dataclass(frozen=True)
class WriterResult:
    """One of many concurrent writers: how often it tried, and for how long."""

    tries: int
    seconds: float
    is_recorded: bool


def write(url: str, token: str, folder: str, number: int) -> WriterResult:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    start = time.perf_counter()
    ran = event_run(url, token, folder, number, pause, state="failure")
    return WriterResult(len(pauses) + 1, time.perf_counter() - start, "ledger ✓ +1 fact" in ran.summary)


def run_writers(arguments: tuple[str, str, str, range, float]) -> list[WriterResult]:
    """Run a batch of writers in a process of their own, from a common start time."""
    url, token, folder, numbers, start = arguments
    write(
        url, token, folder, FIRST_NUMBER
    )  # recorded before; msgspec 0.22 crashes if threads use a type for the first time
    with ThreadPoolExecutor(len(numbers)) as pool:
        time.sleep(max(0.0, start - time.time()))
        return list(pool.map(lambda number: write(url, token, folder, number), numbers))


def concurrent_writers_row(writers: int, seconds: float) -> str:
    """Row for `writers` at once on a GitHub that answers after `seconds`."""
    writers_per_process = writers // PROCESSES
    with FakeGitHub(now=lambda: NOW) as github, TemporaryDirectory() as folder:
        bench = BenchShop(github, folder)
        bench.measure_run(state="failure")
        github.fail(latency(seconds), times=None)
        begin = time.time() + SECONDS_TO_START
        number_ranges = [
            range(first, first + writers_per_process) for first in range(1, writers + 1, writers_per_process)
        ]
        arguments = [(github.api_url, github.token, folder, numbers, begin) for numbers in number_ranges]
        with get_context("spawn").Pool(PROCESSES) as pool:
            results = [result for batch in pool.map(run_writers, arguments, chunksize=1) for result in batch]
        contents = (bench.shop.read(path, BRANCH) or b"" for path in first_paths("facts/2026/11"))
        lines = b"".join(contents).splitlines()
    ids = Counter(json.loads(line)["id"] for line in lines)
    recorded_once = sum(ids[f"github:deployment:{number}"] == 1 for number in range(1, writers + 1))
    tries, durations = sorted(result.tries for result in results), sorted(result.seconds for result in results)
    reported = sum(result.is_recorded for result in results)
    recorded = f"{recorded_once}" if recorded_once == reported else f"{recorded_once}, though {reported} were told so"
    return f"| {writers} | {seconds * 1000:.0f} ms | {recorded} | {_spread(tries)} | {_spread(durations)} |"


def _spread(values: "list[int] | list[float]") -> str:
    at = [values[min(len(values) - 1, int(len(values) * share))] for share in (0.5, 0.95, 1)]
    return " / ".join(f"{value:.1f}" if isinstance(value, float) else str(value) for value in at)


def main() -> None:
    print("| ledger, and run | requests | read | written | took |\n|---|---|---|---|---|")
    for row in rows_by_ledger_age():
        print(row, flush=True)
    print("\n| writers at once | an answer takes | facts there once | tries: median / 95 % / most | seconds |")
    print("|---|---|---|---|---|")
    for writers, seconds in ((50, 0.05), (50, 0.5), (100, 0.5)):
        print(concurrent_writers_row(writers, seconds), flush=True)
    print(f"\nPython {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
