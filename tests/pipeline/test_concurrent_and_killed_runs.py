"""Nothing is lost when a run is killed at any request, or when many write at once."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

from dora_metrics.core.ledger.layout import CHECKPOINT_FILE, OUTBOX_FILE, SEQUENCE_FILE
from fakes.github import FakeGitHub
from support.branch_shop import BRANCH, BranchShop
from support.runs import NOW, deployment_ids, deployment_status, run_action
from support.servers import Answer, Listener, listen

if TYPE_CHECKING:
    from subprocess import Popen

OCTOBER = datetime(2026, 10, 28, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A ledger, and the run that is killed on it."""

    prepare: Callable[[BranchShop], object]
    payload: Mapping[str, object]
    inputs: Mapping[str, object] = field(default_factory=dict)
    kept: str = "facts/2026/11.jsonl"
    """A file that the run must have written."""


def deploy_before(shop: BranchShop) -> None:
    """A deployment that is the baseline of the next."""
    repository = shop.repository
    repository.commit({"a": "2"}, message="Go on", author_date=datetime(2026, 11, 20, tzinfo=UTC))
    shop.run_event("deployment_status", deployment_status(1, sha=shop.first_sha, at="2026-11-20T12:00:00Z"))


def make_old_ledger(shop: BranchShop) -> None:
    """A ledger that was sealed up to July last month, and has more to seal."""
    for month in (3, 6, 7, 8, 10):
        payload = deployment_status(month, at=f"2026-{month:02}-11T12:00:00Z")
        shop.run_event("deployment_status", payload, now=OCTOBER)
    assert b'"until":"2026-07-01' in (shop.read(CHECKPOINT_FILE) or b"")


def make_sealed_ledger(shop: BranchShop) -> None:
    """A ledger that was sealed this month."""
    make_old_ledger(shop)
    shop.run_event("deployment_status", deployment_status(11, at="2026-11-11T12:00:00Z"))


CASES = {
    "the first run": Case(lambda _: None, deployment_status(1)),
    "a run that asks what was delivered": Case(deploy_before, deployment_status(2, sha="HEAD")),
    "a run that seals a month": Case(make_old_ledger, deployment_status(12), kept=CHECKPOINT_FILE),
    "a late fact of a sealed month": Case(
        make_sealed_ledger, deployment_status(4, at="2026-04-11T12:00:00Z"), kept="facts/2026/04.jsonl"
    ),
    "a fact that an endpoint does not take": Case(
        make_sealed_ledger, deployment_status(12), {"endpoint-url": "DOWN"}, kept=OUTBOX_FILE
    ),
    "a fact that an endpoint takes": Case(make_sealed_ledger, deployment_status(12), {"endpoint-url": "UP"}),
}


class KilledRunCase:
    """A case with its own repository and an endpoint."""

    def __init__(self, case: Case, github: FakeGitHub, folder: Path, endpoint: Listener) -> None:
        self.shop = BranchShop(github, folder)
        self.endpoint = endpoint
        case.prepare(self.shop)
        addresses = {"UP": endpoint.url, "DOWN": "http://127.0.0.1:1"}
        self.inputs = {name: addresses.get(str(value), value) for name, value in case.inputs.items()}
        text = json.dumps(case.payload).replace('"HEAD"', json.dumps(self.shop.repository.head()))
        self.payload: dict[str, object] = json.loads(text)

    def run(self) -> dict[str, bytes]:
        """Complete the run; return the files on the branch except those that count changes."""
        assert self.shop.run_event("deployment_status", self.payload, self.inputs).code == 0
        files = self.shop.files()
        lines = files["metrics.prom"].splitlines()
        files["metrics.prom"] = b"\n".join(line for line in lines if not line.startswith(b"dora_ledger_sequence "))
        return {path: content for path, content in files.items() if path != SEQUENCE_FILE}

    def start(self) -> "Popen[bytes]":
        """Start the same run as a process."""
        return self.shop.start_process("deployment_status", self.payload, self.inputs)

    def kill_at_request(self, step: int, *, applied: bool) -> bool:
        """Kill the run at its request number `step`, before or after GitHub applied it.

        Return whether the run made that many requests.
        """
        return self.shop.kill_at_request(self.start, step, applied=applied)


def run_case(
    case: Case, folder: Path, kill: Callable[[KilledRunCase], bool] = lambda _: False
) -> tuple[dict[str, bytes], bool]:
    """Files on the branch after the case's run, and whether the run had been killed before."""
    with FakeGitHub(now=lambda: NOW) as github, listen() as endpoint:
        stage = KilledRunCase(case, github, Path(mkdtemp(dir=folder)), endpoint)
        killed = kill(stage)
        return stage.run(), killed


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", CASES)
def test_a_run_killed_at_any_request_and_run_again_leaves_the_same_branch(
    tmp_path: Path, name: str, *, applied: bool
) -> None:
    """Compares every file: facts, checkpoint, outbox, numbers."""
    case, killed, step = CASES[name], True, 0
    expected, _ = run_case(case, tmp_path)
    assert case.kept in expected
    while killed:
        left, killed = run_case(case, tmp_path, partial(KilledRunCase.kill_at_request, step=step, applied=applied))
        assert left == expected, step
        step += 1
    assert step > 2


def test_a_run_killed_before_the_endpoint_answers_has_its_fact_sent_again(tmp_path: Path) -> None:
    case = CASES["a fact that an endpoint takes"]
    expected, _ = run_case(case, tmp_path)

    def kill(stage: KilledRunCase) -> bool:
        with listen(Answer(hang=True)) as silent:
            inputs, stage.inputs = stage.inputs, {"endpoint-url": silent.url}
            with stage.start() as process:
                assert silent.called.wait(60)
                process.kill()
            stage.inputs = inputs
        return b"github:deployment:12" in (stage.shop.read(OUTBOX_FILE) or b"")

    assert run_case(case, tmp_path, kill) == (expected, True)
    assert OUTBOX_FILE not in expected


def test_fifty_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: NOW) as github:
        shop = BranchShop(github, tmp_path)

        def write(number: int) -> int:
            folder = Path(mkdtemp(dir=tmp_path))
            inputs = {"ledger": f"branch:{BRANCH}", "github-token": github.token}
            url = {"GITHUB_API_URL": github.api_url}
            payload = deployment_status(number, state="failure")
            return run_action(folder, "deployment_status", payload, inputs, environment=url, pause=time.sleep).code

        github.state.budgets["graphql"].limit = 100_000
        with ThreadPoolExecutor(50) as pool:
            codes = Counter(pool.map(write, range(1, 51)))
        assert codes == {0: 50}
        assert shop.fact_ids() == sorted(deployment_ids(*range(1, 51)))
