"""The figures of docs/reliability.md: what a run asks of GitHub, however old the ledger is, and fifty at once.

Requests and bytes are counted by the fake GitHub of the tests; they hold anywhere. Seconds are those of this machine.
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

import ledgers  # beside this file; it says where src and tests are
from ledgers import BRANCH, NOW

from dora_metrics.core.windows import instant
from fakes.faults import latency
from fakes.github import FakeGitHub
from support.runs import Ran, deployment_status, run

A_DAY = 100
YEAR = 365
PROCESSES = 10
Pause = Callable[[float], None]


@dataclass(frozen=True)
class Cost:
    """What one run asked of GitHub, and took; bodies as they are, though GitHub compresses what it sends."""

    requests: int
    read: int
    written: int
    seconds: float

    def __str__(self) -> str:
        sizes = f"{_size(self.read)} | {_size(self.written)}"
        return f"{self.requests} | {sizes} | {self.seconds:.1f} s"


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


class Bench:
    """A shop on a GitHub of our own with two versions, of which the ledger knows the first."""

    def __init__(self, github: FakeGitHub, folder: str) -> None:
        self.github, self.folder = github, folder
        for budget in github.world.budgets.values():
            budget.limit = 10**9
        self.shop = github.repository("acme/shop")
        self.known = self.shop.head() or ""
        pull = self.shop.pull("Faster", created_at=instant("2026-11-20T12:00:00Z"))
        self.new = self.shop.merge_pull(pull, at=instant("2026-11-21T09:00:00Z"))
        self.number = 10**6

    def cost(self, **payload: object) -> Cost:
        """Of a run, in a process of its own, with the status of a new deployment."""
        self.number += 1
        before = len(self.github.requests)
        with get_context("spawn").Pool(1) as pool:
            ran, took = pool.apply(
                measured, (self.github.api_url, self.github.token, self.folder, self.number), payload
            )
        assert ran.code == 0, ran.log
        assert f"github:deployment:{self.number}" in ran.outputs["facts"], ran.log
        asked = self.github.requests[before:]
        return Cost(len(asked), sum(one.sent for one in asked), sum(one.received for one in asked), took)


def measured(url: str, token: str, folder: str, number: int, **payload: object) -> tuple[Ran, float]:
    """A run, and its seconds without the start of Python."""
    start = time.perf_counter()
    ran = event(url, token, folder, number, time.sleep, **payload)
    return ran, time.perf_counter() - start


def event(url: str, token: str, folder: str, number: int, pause: Pause, **payload: object) -> Ran:
    """A run of the action in a folder of its own."""
    given = {"ledger": f"branch:{BRANCH}", "github-token": token}
    status = deployment_status(number, at=f"{NOW:%Y-%m-%dT%H:%M:%SZ}", **payload)  # type: ignore[arg-type]
    return run(
        Path(mkdtemp(dir=folder)), "deployment_status", status, given,
        now=NOW, environment={"GITHUB_API_URL": url}, pause=pause,
    )  # fmt: skip


def ages() -> Iterator[str]:
    """Rows for ledgers of one fact, of a year and of five: without a comparison, with one, and the first run of all."""
    for name, days, a_day in (("one fact", 1, 1), ("1 year", YEAR, A_DAY), ("5 years", 5 * YEAR, A_DAY)):
        with FakeGitHub(now=lambda: NOW) as github, TemporaryDirectory() as folder:
            bench = Bench(github, folder)
            found = ledgers.facts(days, a_day, bench.known)
            size = ledgers.lay(bench.shop, (fact for fact in found if days > 1 or "deployment" in fact.id))
            about = f"{name} ({_size(size)} of facts)" if days > 1 else name
            yield f"| {about}: the first run, without a checkpoint | {bench.cost(state='failure')} |"
            yield f"| {name}: an event without a comparison | {bench.cost(state='failure')} |"
            yield f"| {name}: an event with a comparison | {bench.cost(sha=bench.new)} |"
            checkpoint = bench.shop.read("checkpoint.json", BRANCH) or b""
            yield f"| {name}: its `checkpoint.json` | | {_size(len(checkpoint))} | | |"


@dataclass(frozen=True)
class Wrote:
    """One of many writers: how often it tried, and for how long."""

    tries: int
    seconds: float
    kept: bool


def write(url: str, token: str, folder: str, number: int) -> Wrote:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    start = time.perf_counter()
    ran = event(url, token, folder, number, pause, state="failure")
    return Wrote(len(pauses) + 1, time.perf_counter() - start, "ledger ✓ +1 fact" in ran.summary)


def some(arguments: tuple[str, str, str, range, float]) -> list[Wrote]:
    """A few of the writers, in a process of their own; all start at the same time."""
    url, token, folder, numbers, start = arguments
    with ThreadPoolExecutor(len(numbers)) as pool:
        time.sleep(max(0.0, start - time.time()))
        return list(pool.map(lambda number: write(url, token, folder, number), numbers))


def crowd(writers: int, seconds: float) -> str:
    """So many writers at once on a GitHub that takes so long for each answer."""
    each = writers // PROCESSES
    with FakeGitHub(now=lambda: NOW) as github, TemporaryDirectory() as folder:
        bench = Bench(github, folder)
        bench.cost(state="failure")
        github.fail(latency(seconds), times=None)
        begin = time.time() + 8
        parts = [range(first, first + each) for first in range(1, writers + 1, each)]
        given = [(github.api_url, github.token, folder, part, begin) for part in parts]
        with get_context("spawn").Pool(PROCESSES) as pool:
            wrote = [one for several in pool.map(some, given, chunksize=1) for one in several]
        lines = (bench.shop.read("facts/2026/11.jsonl", BRANCH) or b"").splitlines()
    ids = Counter(json.loads(line)["id"] for line in lines)
    once = sum(ids[f"github:deployment:{number}"] == 1 for number in range(1, writers + 1))
    tries, took = sorted(one.tries for one in wrote), sorted(one.seconds for one in wrote)
    told = sum(one.kept for one in wrote)
    kept = f"{once}" if once == told else f"{once}, though {told} were told so"
    return f"| {writers} | {seconds * 1000:.0f} ms | {kept} | {_spread(tries)} | {_spread(took)} |"


def _spread(found: "list[int] | list[float]") -> str:
    at = [found[min(len(found) - 1, int(len(found) * share))] for share in (0.5, 0.95, 1)]
    return " / ".join(f"{one:.1f}" if isinstance(one, float) else str(one) for one in at)


def main() -> None:
    print("| ledger, and run | requests | read | written | took |\n|---|---|---|---|---|")
    for row in ages():
        print(row, flush=True)
    print("\n| writers at once | an answer takes | facts there once | tries: median / 95 % / most | seconds |")
    print("|---|---|---|---|---|")
    for writers, seconds in ((50, 0.05), (50, 0.5), (100, 0.5)):
        print(crowd(writers, seconds), flush=True)
    print(f"\nPython {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
