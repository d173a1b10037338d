"""Cost of reading GitHub's history from a fake GitHub: requests, how many of them in series, bytes, and seconds."""

import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from dora_metrics.commands import action  # noqa: E402 - from src
from dora_metrics.github.history import commit_pages  # noqa: E402 - from src
from dora_metrics.runtime import Runtime  # noqa: E402 - from src
from fakes.faults import Fault, RequestInFlight, latency  # noqa: E402 - from tests
from fakes.github import FakeGitHub  # noqa: E402 - from tests
from fakes.routing import Answer  # noqa: E402 - from tests
from support.github_history import NOW  # noqa: E402 - from tests
from support.large_repository import fill_repository  # noqa: E402 - from tests
from support.many_repositories import fill_dense, fill_monorepo, fill_organisation  # noqa: E402 - from tests

LATENCY_SECONDS, IDLE_SECONDS = 0.1, 0.2
BRANCH = "dora-metrics"
REPOSITORIES = (50, 100, 200)


class Rounds(Fault):
    """Answers all requests of a round together, once no other has come for a while: as if each took as long.

    So the number of rounds is how many requests are in series, however fast the fake GitHub and the machine are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._waiting_count, self._busy_count, self._changed_at = 0, 0, time.monotonic()
        self._lock = threading.Condition()
        threading.Thread(target=self._answer_rounds, daemon=True).start()

    def before(self, in_flight: RequestInFlight) -> None:
        del in_flight
        with self._lock:
            self._waiting_count, self._changed_at = self._waiting_count + 1, time.monotonic()
            own_round = self.count
            self._lock.wait_for(lambda: self.count > own_round)

    def after(self, in_flight: RequestInFlight, answer: Answer) -> Answer:
        del in_flight
        with self._lock:
            self._busy_count, self._changed_at = self._busy_count - 1, time.monotonic()
        return answer

    def _answer_rounds(self) -> None:
        while True:
            time.sleep(IDLE_SECONDS / 10)
            with self._lock:
                is_idle = time.monotonic() - self._changed_at > IDLE_SECONDS
                if self._waiting_count and not self._busy_count and is_idle:
                    self.count, self._busy_count, self._waiting_count = self.count + 1, self._waiting_count, 0
                    self._lock.notify_all()


@dataclass(frozen=True)
class Cost:
    """What a sync costs; `up` and `down` are the bytes of bodies as they are sent. GitHub compresses its answers."""

    requests: int
    series: int
    up: int
    down: int
    seconds: float


def measure_sync(
    github: FakeGitHub, folder: Path, fault: Fault | None, inputs: Mapping[str, str], now: datetime = NOW
) -> Cost:
    """One sync, as the action runs it, with its ledger on a branch."""
    github.state.now = lambda: now
    github.requests.clear()
    github.heal()
    if fault:
        github.fail(fault, times=None)
    environment = {
        "GITHUB_EVENT_NAME": "schedule",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_API_URL": github.api_url,
        "DORA_INPUTS": json.dumps({"github-token": github.token, **inputs}),
    }
    out, start = StringIO(), time.perf_counter()
    code = action.run(Runtime(environment, BytesIO(), out, StringIO(), now, time.sleep))
    seconds = time.perf_counter() - start
    if code:
        sys.exit(f"the sync ended with {code}: {out.getvalue()}")
    requests = github.requests
    up, down = (sum(each.received_bytes for each in requests), sum(each.sent_bytes for each in requests))
    return Cost(len(requests), fault.count if isinstance(fault, Rounds) else 0, up, down, seconds)


def measure(
    fill: Callable[[FakeGitHub], object], make_fault: Callable[[], Fault | None], **inputs: str
) -> tuple[Cost, Cost, int]:
    """The first sync, the second right after it, and the bytes of the ledger's facts."""
    with FakeGitHub(now=lambda: NOW) as github, tempfile.TemporaryDirectory() as folder:
        fill(github)
        _raise_limits(github)
        first, second = (measure_sync(github, Path(folder), make_fault(), inputs) for _ in range(2))
        return first, second, _facts_bytes(github)


def _raise_limits(github: FakeGitHub) -> None:
    for budget in github.state.budgets.values():
        budget.limit = 100_000


def _facts_bytes(github: FakeGitHub) -> int:
    shop = github.state.repositories["acme/shop"]
    listing = shop.git.run("ls-tree", "-r", "-l", BRANCH, "--", "facts").splitlines()
    return sum(int(line.split()[3]) for line in listing)


def one_repository() -> Iterator[str]:
    def fill(github: FakeGitHub) -> None:
        fill_repository(github.repository("acme/shop"))

    first, second, _ = measure(fill, Rounds, report="weekly")
    timed, timed_second, _ = measure(fill, lambda: latency(LATENCY_SECONDS), report="weekly")
    label = "first sync of 350 pull requests, 900 commits, 150 deployments, 70 issues, with its ledger and report"
    yield _row(label, first, "<= 25", "<= 12") + f" {timed.seconds:.1f} s | <= 3.5 s |"
    yield _row("second sync right after", second, "<= 4") + f" {timed_second.seconds:.1f} s | |"


def dense_repository() -> Iterator[str]:
    first, second, _ = measure(lambda github: fill_dense(github.repository("acme/shop")), Rounds)
    yield _row("first sync of 5,000 pull requests and 2,000 deployments in 89 days", first, "<= 210", "<= 40") + " | |"
    yield _row("second sync right after", second, "<= 4") + " | |"


def monorepo() -> Iterator[str]:
    first, second, _ = measure(lambda github: fill_monorepo(github.repository("acme/shop")), Rounds)
    yield _row("first sync of a monorepo of 10 services with 12 deployments each", first, "<= 45") + " | |"
    yield _row("second sync right after", second, "<= 4") + " | |"


def organisation() -> Iterator[str]:
    """Requests and bytes for each repository of an organisation, in the nights after its first sync."""
    for count in REPOSITORIES:
        yield from _nights(count)


def _nights(count: int) -> Iterator[str]:
    clock = [NOW - timedelta(hours=1)]
    with FakeGitHub(now=lambda: clock[0]) as github, tempfile.TemporaryDirectory() as folder:
        fill_organisation(github, count)
        _raise_limits(github)
        costs = []
        for time in (NOW, NOW, *(NOW + timedelta(days=day) for day in range(1, 8))):
            clock[0] = time
            used = github.state.budgets["graphql"].used
            cost = measure_sync(github, Path(folder), None, {"repositories": "acme/*"}, time)
            costs.append((cost, github.state.budgets["graphql"].used - used))
        facts = _facts_bytes(github)
    names = ("first sync", "right after", *(f"day {day}" for day in range(1, 8)))
    header = f"{count} repositories with {facts / 1e6:.2f} MB of facts: for each"
    yield f"| {header} | requests | points | kB up | kB down | seconds of all |"
    for name, (cost, points) in zip(names, costs, strict=True):
        each = f"{cost.requests / count:.3f} | {points / count:.3f} | {cost.up / count / 1e3:.2f}"
        yield f"| {name} | {each} | {cost.down / count / 1e3:.2f} | {cost.seconds:.1f} |"


def _row(label: str, cost: Cost, requests: str, series: str = "") -> str:
    return f"| {label} | {cost.requests} | {requests} | {cost.series} | {series} |"


def main() -> None:
    commit_pages.MAX_BUSY_SECONDS = math.inf  # the fake GitHub works longer than the 100 ms that it stands for
    print("| what | requests | goal | in series | goal | at 100 ms each | goal |\n|---|---|---|---|---|---|---|")
    selected = sys.argv[1:]
    for rows in (one_repository, dense_repository, monorepo, organisation):
        if not selected or rows.__name__ in selected:
            for row in rows():
                print(row, flush=True)


if __name__ == "__main__":
    main()
