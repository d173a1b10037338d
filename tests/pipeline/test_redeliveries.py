"""Events delivered several times, in any order, leave the same ledger as events delivered once in order.

GitHub is asked which commits a deployment delivered, so the repository has them.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dora_metrics.core.ledger.layout import COUNTERS_FILE
from fakes.github import FakeGitHub
from support import events
from support.branch_shop import BRANCH, BranchShop
from support.property_cases import cases
from support.runs import NOW, deployment_status, incident_issue, run_action

Event = tuple[str, dict[str, Any]]
SOURCES = "deployments, workflow-runs, releases, pushes"
REPOSITORY = {"name": "shop", "full_name": "acme/shop", "default_branch": "main"}
REPETITIONS = 10


def at(hours: float) -> str:
    """A time on the day before."""
    return f"{NOW - timedelta(hours=36) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


class FourVersionShop:
    """A repository with four versions: the first commit, two merged pull requests, and a direct commit."""

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

    def run_events(self, events: Iterable[Event]) -> None:
        for name, payload in events:
            folder = Path(mkdtemp(dir=self.folder))
            given = {"ledger": f"branch:{BRANCH}", "github-token": self.github.token, "deployment-source": SOURCES}
            # a release has only the sha of its run
            environment = {"GITHUB_API_URL": self.github.api_url, "GITHUB_SHA": str(payload.get("sha"))}
            assert run_action(folder, name, payload, given, environment=environment).code == 0

    def rebuilt_exposition(self) -> list[str]:
        """Lines of metrics.prom except the ledger's sequence number, computed from the facts.

        High-water marks are removed before: a total that fell on the way was higher, in some orders.
        """
        self.shop.commit_by_hand({COUNTERS_FILE: b""})
        assert self.shop.run_event("workflow_dispatch", {}, {"mode": "rebuild", "deployment-source": SOURCES}).code == 0
        lines = (self.shop.read("metrics.prom") or b"").decode().splitlines()
        return [line for line in lines if not line.startswith("dora_ledger_sequence")]


def status_event(number: int, sha: str, hours: float, state: str = "success") -> Event:
    return "deployment_status", deployment_status(number, sha=sha, at=at(hours), state=state)


def workflow_run_event(number: int, sha: str, hours: float, attempt: int = 1, conclusion: str = "success") -> Event:
    times = {"run_started_at": at(hours - 1), "updated_at": at(hours)}
    fields: dict[str, Any] = {"id": number, "head_sha": sha, "run_attempt": attempt, "conclusion": conclusion, **times}
    return "workflow_run", {**events.workflow_run(**fields), "repository": REPOSITORY}


def release_event(number: int, sha: str, hours: float) -> Event:
    payload = events.release(id=number, tag_name=f"v{number}.0.0", published_at=at(hours))
    return "release", {**payload, "repository": REPOSITORY, "sha": sha}


def push_event(sha: str, hours: float) -> Event:
    return "push", {**events.push(after=sha, head_commit={"timestamp": at(hours)}), "repository": REPOSITORY}


def dispatch_event(number: int, sha: str, hours: float) -> Event:
    payload = events.dispatch("dora-deployment", id=f"d{number}", sha=sha, finished_at=at(hours))
    return "repository_dispatch", {**payload, "repository": REPOSITORY}


def pull_request_event(sha: str) -> Event:
    """Event of the first pull request."""
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


def other_events(versions: Sequence[str]) -> list[Event]:
    """Events that are not deployments."""
    closed: dict[str, Any] = {"state": "closed", "state_reason": "completed", "closed_at": at(30), "updated_at": at(30)}
    outage = events.dispatch("dora-incident", id="o1", detected_at=at(11), resolved_at=at(12))
    return [
        pull_request_event(versions[1]),
        ("issues", incident_issue()),
        ("issues", {**incident_issue(**closed), "action": "closed"}),
        ("repository_dispatch", {**outage, "repository": REPOSITORY}),
    ]


EVENTS_BY_KIND: Mapping[str, Callable[[Sequence[str]], list[Event]]] = {
    "deployment_status": lambda v: [
        status_event(1, v[0], 0),
        status_event(2, v[3], 9, "failure"),
        status_event(2, v[3], 10),
    ],
    "workflow_run": lambda v: [
        workflow_run_event(1, v[0], 0),
        workflow_run_event(2, v[3], 9, conclusion="failure"),
        workflow_run_event(2, v[3], 10, attempt=2),
    ],
    "release": lambda v: [release_event(1, v[0], 0), release_event(2, v[3], 10)],
    "push": lambda v: [push_event(v[0], 0), push_event(v[3], 10)],
    "repository_dispatch": lambda v: [dispatch_event(1, v[0], 0), dispatch_event(2, v[3], 10)],
}
"""By kind of event, the events of two deployments; the first one is recorded before any repetition."""


def ledger_after_events(folder: Path, kind: str, rng: random.Random | None) -> tuple[Mapping[str, bytes], list[str]]:
    """Facts and counters after all events: once and in order, or ten times each in random order."""
    with FakeGitHub(now=lambda: NOW) as github:
        for budget in github.state.budgets.values():
            budget.limit = 100_000
        street = FourVersionShop(github, Path(mkdtemp(dir=folder)))
        first, *then = [*EVENTS_BY_KIND[kind](street.versions), *other_events(street.versions)]
        if rng:
            then *= REPETITIONS
            rng.shuffle(then)
        street.run_events([first, *then])
        return street.shop.fact_files(), street.rebuilt_exposition()


@pytest.mark.parametrize("kind", EVENTS_BY_KIND)
@settings(max_examples=cases(1), phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=True))
def test_ten_redeliveries_of_every_event_in_any_order_leave_the_same_files(
    tmp_path: Path, kind: str, chance: random.Random
) -> None:
    facts, counted = ledger_after_events(tmp_path, kind, None)
    assert ledger_after_events(tmp_path, kind, chance) == (facts, counted)
    assert b'"changes":["github:pull:acme/shop#1","github:pull:acme/shop#2","commit:' in b"".join(facts.values())


@pytest.mark.parametrize("seed", range(3))
def test_deployments_that_come_in_any_order_count_the_same(tmp_path: Path, seed: int) -> None:
    """`previous` may differ; the changes of each deployment may not."""
    left = []
    for times in (1, REPETITIONS):
        with FakeGitHub(now=lambda: NOW) as github:
            github.state.budgets["graphql"].limit = 100_000
            street = FourVersionShop(github, Path(mkdtemp(dir=tmp_path)))
            told = [status_event(number, sha, number) for number, sha in enumerate(street.versions, 1)]
            again = told[1:] * times
            random.Random(seed).shuffle(again if times > 1 else [])
            street.run_events([told[0], *again])
            left.append((street.shop.fact_ids(), street.rebuilt_exposition()))
    assert left[0] == left[1]


# Dispatches that state no time

UNDATED_DISPATCHES = {
    "dora-deployment": {"id": "argo-1", "version": "v1", "sha": "a" * 40},
    "dora-incident": {"id": "pager-1", "title": "Down", "severity": "high"},
}


def defining_times(shop: BranchShop) -> list[object]:
    facts = [json.loads(line) for content in shop.fact_files().values() for line in content.splitlines()]
    return [fact.get("finished_at", fact.get("detected_at")) for fact in facts if fact["kind"] != "repository"]


@pytest.mark.parametrize("days", [(0, 3), (3, 0, 3), (0, 30), (3, 0, 0, 3, 1)], ids=str)
@pytest.mark.parametrize("kind", UNDATED_DISPATCHES)
def test_a_dispatch_without_a_time_that_arrives_again_moves_nothing(
    shop: BranchShop, kind: str, days: tuple[int, ...]
) -> None:
    event = {"action": kind, "client_payload": UNDATED_DISPATCHES[kind], "repository": REPOSITORY}
    for day in days:
        ran = shop.run_event("repository_dispatch", event, {"window": "7d"}, now=NOW + timedelta(days=day))
    assert defining_times(shop) == ["2026-11-21T12:00:00Z"]
    assert "nothing new" in ran.log


@pytest.mark.parametrize("news", [{"status": "failure"}, {"version": "v2"}, {"retracted": True}], ids=str)
def test_a_dispatch_without_a_time_that_says_something_else_happens_now(
    shop: BranchShop, news: Mapping[str, object]
) -> None:
    for day, fields in enumerate(({}, news)):
        payload = {**UNDATED_DISPATCHES["dora-deployment"], **fields}
        event = {"action": "dora-deployment", "client_payload": payload, "repository": REPOSITORY}
        shop.run_event("repository_dispatch", event, now=NOW + timedelta(days=day))
    assert defining_times(shop) == ["2026-11-22T12:00:00Z"]


def test_a_dispatch_that_states_its_time_moves_what_was_dated_by_a_run(shop: BranchShop) -> None:
    for day, fields in enumerate(({}, {"finished_at": "2026-11-21T10:00:00Z", "observed_at": "2026-11-21T12:30:00Z"})):
        payload = {**UNDATED_DISPATCHES["dora-deployment"], **fields}
        event = {"action": "dora-deployment", "client_payload": payload, "repository": REPOSITORY}
        shop.run_event("repository_dispatch", event, now=NOW + timedelta(days=day))
    assert defining_times(shop) == ["2026-11-21T10:00:00Z"]


def test_a_dispatch_with_only_its_order_stated_counts_in_that_order(shop: BranchShop) -> None:
    """The success is confirmed at 15:00, so what was observed at 14:00 is out of date when it arrives."""
    for observed_at, status in (("13:00", "success"), ("15:00", "success"), ("14:00", "failure")):
        fields = {"status": status, "observed_at": f"2026-11-21T{observed_at}:00Z"}
        payload = {**UNDATED_DISPATCHES["dora-deployment"], **fields}
        event = {"action": "dora-deployment", "client_payload": payload, "repository": REPOSITORY}
        shop.run_event("repository_dispatch", event, now=NOW + timedelta(days=1))
    assert b'"status":"success"' in b"".join(shop.fact_files().values())
