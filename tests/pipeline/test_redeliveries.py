"""Events that come again and again, in any order, leave what they would have left coming once and in time.

GitHub answers what a deployment brought, so its commits and pull requests are there.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fakes.github import FakeGitHub
from support import events
from support.branch_shop import BRANCH, BranchShop
from support.runs import NOW, deployment_status, incident_issue, run_action

Event = tuple[str, dict[str, Any]]
SOURCES = "deployments, workflow-runs, releases, pushes"
REPOSITORY = {"name": "shop", "full_name": "acme/shop", "default_branch": "main"}
TIMES = 10


def at(hours: float) -> str:
    """A time on the day before."""
    return f"{NOW - timedelta(hours=36) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


class Street:
    """A shop with four versions: the begin, two merged pull requests, and a commit without one."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.shop = BranchShop(github, folder)
        repository = self.shop.repository
        self.versions = [self.shop.first_sha]
        for hours in (-50, -40):
            opened = datetime.fromisoformat(at(hours))
            made = repository.pull("Faster", files={f"{hours}.txt": ""}, labels=["speed"], created_at=opened)
            repository.review(made, at=opened + timedelta(hours=1))
            self.versions.append(repository.merge_pull(made, at=opened + timedelta(hours=2)))
        direct = datetime.fromisoformat(at(-30))
        self.versions.append(repository.commit({"by.txt": "hand"}, message="By hand", author_date=direct))

    def tell(self, told: Iterable[Event]) -> None:
        for name, payload in told:
            folder = Path(mkdtemp(dir=self.folder))
            given = {"ledger": f"branch:{BRANCH}", "github-token": self.github.token, "deployment-source": SOURCES}
            # a release has no sha but that of its run
            environment = {"GITHUB_API_URL": self.github.api_url, "GITHUB_SHA": str(payload.get("sha"))}
            assert run_action(folder, name, payload, given, environment=environment).code == 0

    @property
    def counted(self) -> list[str]:
        """What the ledger says to Prometheus, without how often it has changed."""
        lines = (self.shop.read("metrics.prom") or b"").decode().splitlines()
        return [line for line in lines if not line.startswith("dora_ledger_sequence")]


def status(number: int, sha: str, hours: float, state: str = "success") -> Event:
    return "deployment_status", deployment_status(number, sha=sha, at=at(hours), state=state)


def workflow_run(number: int, sha: str, hours: float, attempt: int = 1, conclusion: str = "success") -> Event:
    times = {"run_started_at": at(hours - 1), "updated_at": at(hours)}
    fields: dict[str, Any] = {"id": number, "head_sha": sha, "run_attempt": attempt, "conclusion": conclusion, **times}
    return "workflow_run", {**events.workflow_run(**fields), "repository": REPOSITORY}


def release(number: int, sha: str, hours: float) -> Event:
    payload = events.release(id=number, tag_name=f"v{number}.0.0", published_at=at(hours))
    return "release", {**payload, "repository": REPOSITORY, "sha": sha}


def push(sha: str, hours: float) -> Event:
    return "push", {**events.push(after=sha, head_commit={"timestamp": at(hours)}), "repository": REPOSITORY}


def dispatch(number: int, sha: str, hours: float) -> Event:
    payload = events.dispatch("dora-deployment", id=f"d{number}", sha=sha, finished_at=at(hours))
    return "repository_dispatch", {**payload, "repository": REPOSITORY}


def pull_request(sha: str) -> Event:
    """The first one, as the street has it."""
    times = {"created_at": at(-50), "merged_at": at(-48), "closed_at": at(-48), "updated_at": at(-48)}
    labels = [{"name": "speed"}]
    address = "https://github.com/acme/shop/pull/1"
    fields = {
        "number": 1,
        "html_url": address,
        "merge_commit_sha": sha,
        "title": "Faster",
        "body": "",
        "labels": labels,
        **times,
    }
    payload = events.pull_request(**fields, head={"ref": "feature-1"}, user={"login": "octocat", "type": "User"})
    return "pull_request", payload


def others(versions: Sequence[str]) -> list[Event]:
    """Events that are no deployments."""
    closed: dict[str, Any] = {"state": "closed", "state_reason": "completed", "closed_at": at(30), "updated_at": at(30)}
    outage = events.dispatch("dora-incident", id="o1", detected_at=at(11), resolved_at=at(12))
    return [
        pull_request(versions[1]),
        ("issues", incident_issue()),
        ("issues", {**incident_issue(**closed), "action": "closed"}),
        ("repository_dispatch", {**outage, "repository": REPOSITORY}),
    ]


KINDS: Mapping[str, Callable[[Sequence[str]], list[Event]]] = {
    "deployment_status": lambda v: [status(1, v[0], 0), status(2, v[3], 9, "failure"), status(2, v[3], 10)],
    "workflow_run": lambda v: [
        workflow_run(1, v[0], 0),
        workflow_run(2, v[3], 9, conclusion="failure"),
        workflow_run(2, v[3], 10, attempt=2),
    ],
    "release": lambda v: [release(1, v[0], 0), release(2, v[3], 10)],
    "push": lambda v: [push(v[0], 0), push(v[3], 10)],
    "repository_dispatch": lambda v: [dispatch(1, v[0], 0), dispatch(2, v[3], 10)],
}
"""What tells of two deployments, by kind of event; the first of them is known before anything comes twice."""


def left_by(folder: Path, kind: str, chance: random.Random | None) -> tuple[Mapping[str, bytes], list[str]]:
    """The facts and the counters after all events, once and in time, or ten times each in any order."""
    with FakeGitHub(now=lambda: NOW) as github:
        for budget in github.state.budgets.values():
            budget.limit = 100_000
        street = Street(github, Path(mkdtemp(dir=folder)))
        first, *then = [*KINDS[kind](street.versions), *others(street.versions)]
        if chance:
            then *= TIMES
            chance.shuffle(then)
        street.tell([first, *then])
        return street.shop.fact_files(), street.counted


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=2, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=True))
def test_ten_redeliveries_of_every_event_in_any_order_leave_the_same_files(
    tmp_path: Path, kind: str, chance: random.Random
) -> None:
    facts, counted = left_by(tmp_path, kind, None)
    assert left_by(tmp_path, kind, chance) == (facts, counted)
    assert b'"changes":["github:pull:acme/shop#1","github:pull:acme/shop#2","commit:' in b"".join(facts.values())


@pytest.mark.parametrize("seed", range(3))
def test_deployments_that_come_in_any_order_count_the_same(tmp_path: Path, seed: int) -> None:
    """What each was compared with may differ; which of them brought a change does not."""
    left = []
    for times in (1, TIMES):
        with FakeGitHub(now=lambda: NOW) as github:
            github.state.budgets["graphql"].limit = 100_000
            street = Street(github, Path(mkdtemp(dir=tmp_path)))
            told = [status(number, sha, number) for number, sha in enumerate(street.versions, 1)]
            again = told[1:] * times
            random.Random(seed).shuffle(again if times > 1 else [])
            street.tell([told[0], *again])
            left.append((street.shop.fact_ids(), street.counted))
    assert left[0] == left[1]
