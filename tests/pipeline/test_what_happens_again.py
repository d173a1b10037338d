"""What happened stays where it was, recorded by events, by syncs, and by both: re-runs, promotions, pushes by force."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fakes import rest_views
from fakes.github import FakeGitHub
from fakes.records import Release, WorkflowRun
from support.github_history import NOW, at
from support.runs import ActionRun, run_action

DAY = 24 * 76
"""Hours from the fake's beginning until five days before now."""


class Shop:
    """acme/shop on a fake GitHub, with a ledger in a folder."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.inputs: dict[str, str] = {}
        self.environment = {"GITHUB_API_URL": github.api_url, "GITHUB_WORKSPACE": str(folder)}
        self.repository = github.repository("acme/shop", empty=True)
        self.shas = [
            self.repository.commit({f"{number}.txt": ""}, message=f"Version {number}", author_date=at(DAY + number))
            for number in range(3)
        ]

    def run(self, event: str, payload: object, sha: str = "", now: datetime = NOW) -> ActionRun:
        environment = {**self.environment, "GITHUB_SHA": sha}
        given = {"github-token": self.github.token, "report": "off", "security": "none", **self.inputs}
        ran = run_action(self.folder, event, json.dumps(payload), given, now=now, environment=environment)
        assert ran.code == 0, ran.log
        return ran

    def sync(self) -> ActionRun:
        return self.run("schedule", {})

    def release_event(self, action: str, release: Release) -> ActionRun:
        shown = {"action": action, "release": rest_views.release(self.github.api_url, release)}
        return self.run("release", {**shown, "repository": {"default_branch": "main"}}, release.sha)

    def run_event(self, run: WorkflowRun, now: datetime = NOW) -> ActionRun:
        shown = {"action": "completed", "workflow_run": rest_views.run(self.github.api_url, run)}
        workflow = {"name": run.name, "path": run.path}
        payload = {**shown, "workflow": workflow, "repository": {"default_branch": "main"}}
        return self.run("workflow_run", payload, now=now)

    def push_event(self, sha: str, hour: float, *, forced: bool = False, now: datetime = NOW) -> ActionRun:
        payload = {
            "ref": "refs/heads/main",
            "after": sha,
            "forced": forced,
            "head_commit": {"timestamp": f"{at(DAY):%Y-%m-%dT%H:%M:%SZ}"},
            "repository": {"default_branch": "main", "pushed_at": int(at(DAY + hour).timestamp())},
        }
        return self.run("push", payload, sha, now)

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        lines = [line for path in self.folder.glob("ledger/facts/**/*.jsonl") for line in path.read_text().splitlines()]
        facts = [json.loads(line) for line in lines]
        assert len({fact["id"] for fact in facts}) == len(facts)
        return {fact["id"]: fact for fact in facts}

    @property
    def deployments(self) -> dict[str, tuple[str, str]]:
        """Environment and end of each deployment."""
        return {
            fact_id: (fact["environment"], fact["finished_at"])
            for fact_id, fact in self.facts.items()
            if fact["kind"] == "deployment"
        }


def metrics_of(ran: ActionRun) -> dict[str, Any]:
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    return dict(scope)


def failures_of(ran: ActionRun) -> list[tuple[str, str]]:
    return [(failed["deployment"], failed["rule"]) for failed in metrics_of(ran)["evidence"]["failed_deployments"]]


def utc(hour: float) -> str:
    return f"{at(DAY + hour):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield Shop(github, tmp_path)


RECORDINGS = ["events", "sync", "events and syncs"]


@pytest.mark.parametrize("recording", RECORDINGS)
def test_an_old_run_that_is_run_again_is_a_rollback(shop: Shop, recording: str) -> None:
    first, second = [
        shop.repository.run(sha=shop.shas[number], at=at(DAY + hour), finished_at=at(DAY + hour + 0.1))
        for number, hour in ((0, 2), (1, 4))
    ]
    if recording != "sync":
        shop.run_event(first)
        shop.run_event(second)
    if recording == "events and syncs":
        shop.sync()
    shop.repository.rerun(first, at=at(DAY + 6), finished_at=at(DAY + 6.1))
    ran = shop.sync() if recording == "sync" else shop.run_event(first)
    if recording == "events and syncs":
        ran = shop.sync()
    names = [f"github:run:{run.database_id}" for run in (first, second)]
    assert failures_of(ran) == [(names[1], "rollback")]
    assert shop.deployments.keys() == {*names, f"{names[0]}:attempt:2"}


def test_a_deploy_job_that_is_run_again_after_its_success_is_a_deployment_of_its_own(shop: Shop) -> None:
    shop.inputs["environment"] = "production"
    for attempt, status in (("1", "failure"), ("2", "success"), ("3", "success")):
        shop.inputs["status"] = status
        shop.environment["GITHUB_RUN_ATTEMPT"] = attempt
        shop.run("workflow_dispatch", {"inputs": {}}, shop.shas[0], now=at(DAY + int(attempt)))
    assert shop.deployments == {
        "github:run:77:production": ("production", utc(2)),
        "github:run:77:production:attempt:3": ("production", utc(3)),
    }


@pytest.mark.parametrize("source", ["auto", "releases"])
@pytest.mark.parametrize("recording", RECORDINGS)
def test_a_prerelease_is_in_production_from_its_promotion_or_else_from_its_publication(
    shop: Shop, source: str, recording: str
) -> None:
    stable = shop.repository.release("v1.0.0", sha=shop.shas[0], published_at=at(DAY + 2))
    early = shop.repository.release("v1.1.0", sha=shop.shas[1], published_at=at(DAY + 4), prerelease=True)
    shop.inputs["deployment-source"] = source
    if recording != "sync":
        shop.release_event("published", stable)
        assert "already" in shop.release_event("released", stable).summary
        shop.release_event("published", early)
    if recording == "events and syncs":
        shop.sync()
    shop.repository.promote(early, at=at(DAY + 30))
    ran = shop.sync() if recording == "sync" else shop.release_event("released", early)
    assert "Nothing to record" not in ran.summary
    if recording == "events and syncs":
        ran = shop.sync()
    assert metrics_of(ran)["metrics"]["deployment_frequency"]["deployments"] == 2
    promoted = f"github:release:{early.database_id}"
    assert shop.deployments[promoted] == ("production", utc(4 if recording == "sync" else 30))
    assert shop.facts[promoted]["previous"] == f"github:release:{stable.database_id}"


def test_a_redelivered_publication_takes_no_promotion_back(shop: Shop) -> None:
    early = shop.repository.release("v1.1.0", sha=shop.shas[1], published_at=at(DAY + 4), prerelease=True)
    payload = {"action": "published", "release": rest_views.release(shop.github.api_url, early)}
    event = {**payload, "repository": {"default_branch": "main"}}
    shop.run("release", event, early.sha)
    shop.repository.promote(early, at=at(DAY + 30))
    shop.release_event("released", early)
    ledger = shop.facts
    shop.run("release", event, early.sha)
    assert shop.facts == ledger


def test_a_prerelease_whose_promotion_no_event_told_of_is_in_production_after_a_sync(shop: Shop) -> None:
    early = shop.repository.release("v1.1.0", sha=shop.shas[1], published_at=at(DAY + 4), prerelease=True)
    shop.release_event("published", early)
    shop.repository.promote(early, at=at(DAY + 30))
    shop.sync()
    assert shop.deployments == {f"github:release:{early.database_id}": ("production", utc(4))}


def test_a_push_by_force_of_an_older_commit_is_a_rollback(shop: Shop) -> None:
    first, second, _ = shop.shas
    for hour, sha in ((2, first), (4, second)):
        shop.push_event(sha, hour)
    ran = shop.push_event(first, 6, forced=True)
    again = f"github:push:{first}:{utc(6)}"
    assert list(shop.deployments) == [f"github:push:{first}", f"github:push:{second}", again]
    assert failures_of(ran) == [(f"github:push:{second}", "rollback")]
    redelivered = shop.push_event(first, 6, forced=True)
    assert len(shop.deployments) == 3
    assert "already" in redelivered.summary


@pytest.mark.parametrize("recording", RECORDINGS)
def test_a_merge_queue_that_merges_several_at_once_is_one_deployment(shop: Shop, recording: str) -> None:
    """Its push is an event; the history shows each merge, as if it had been pushed by itself."""
    shop.inputs = {"deployment-source": "pushes"}
    heads = []
    for hour in (4, 28, 52):
        for number in range(3):
            pull = shop.repository.pull(
                f"{hour} {number}", files={f"{hour}-{number}.txt": ""}, created_at=at(DAY + hour)
            )
            head = shop.repository.merge_pull(pull, method="squash", at=at(DAY + hour + 1))
        heads.append(f"github:push:{head}")
        if recording != "sync":
            shop.push_event(head, hour + 1)
    shop.inputs |= {"mode": "rebuild"} if recording == "events" else {}
    evidence = metrics_of(shop.sync())["evidence"]
    assert [each["deployment"] for each in evidence["deployments"]] == heads
    assert [len(each["changes"] or ()) for each in evidence["deployments"]] == [0, 3, 3]


def test_an_event_reads_the_months_in_which_the_same_may_have_happened(shop: Shop) -> None:
    first, second, _ = shop.shas
    later = at(DAY + 24 * 300)
    shop.push_event(first, 2)
    shop.push_event(second, 24 * 299, now=later)
    shop.push_event(first, 24 * 300, forced=True, now=later)
    assert shop.deployments[f"github:push:{first}"] == ("production", utc(2))
    assert f"github:push:{first}:{utc(24 * 300)}" in shop.deployments


def test_runs_count_again_where_releases_were_given_up(shop: Shop) -> None:
    release = shop.repository.release("v1", sha=shop.shas[0], published_at=at(DAY))
    shop.release_event("published", release)
    assert "come from `releases`" in shop.run_event(shop.repository.run(at=at(DAY + 1))).summary
    later = shop.repository.run(at=at(DAY + 24 * 200))
    shop.run_event(later, now=at(DAY + 24 * 200 + 1))
    assert f"github:run:{later.database_id}" in shop.deployments
