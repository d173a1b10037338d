"""Several jobs of a run deploy to one environment: one deployment an attempt, by events and by sync."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from fakes import rest_views
from fakes.github import FakeGitHub
from fakes.records import Deployment, WorkflowRun
from support.github_history import NOW, at
from support.runs import ActionRun, run_action

BASE = "https://api.github.com"
SOURCES = ("deployments", "auto")
MINUTE = 1 / 60
Attempt = tuple[str, str]
"""Status of an attempt, and its end: `2T10:01` is a minute past ten on the second day."""


class DeployingShop:
    """acme/shop, whose jobs deploy to production; what they did is recorded by the events or by a sync."""

    def __init__(self, github: FakeGitHub, folder: Path, event: str = "push") -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop", empty=True)
        self.deployments: list[Deployment] = []
        self.run_of_commit("base", event=event)
        self.job(hours=0)

    def run_of_commit(self, file: str, **fields: Any) -> WorkflowRun:  # noqa: ANN401
        """Commit something and start the run that deploys it."""
        hours = 24 * len(self.deployments)
        sha = self.repository.commit({f"{file}.txt": file}, message=file, author_date=at(hours))
        self.run = self.repository.run(sha=sha, at=at(hours), finished_at=at(hours + 1), **fields)
        return self.run

    def job(self, hours: float, conclusion: str = "success", *, start: float | None = None, **fields: Any) -> None:  # noqa: ANN401
        """Let a job of the present run end at a time, and start at another if that is known."""
        started_at = None if start is None else at(start)
        self.deployments.append(
            self.repository.job_deployment(
                fields.pop("run", self.run),
                conclusion=conclusion,
                started_at=started_at,
                finished_at=at(hours),
                **fields,
            )
        )

    def by_events(self, source: str, *, reverse: bool = False, token: str | None = None) -> list[Attempt]:
        statuses = [status for each in self.deployments for status in each.status_history if status.state != "inactive"]
        for status in sorted(statuses, key=lambda each: each.created_at, reverse=reverse):
            given_token = self.github.token if token is None else token
            inputs = {"deployment-source": source, "github-token": given_token}
            ran = self.event(rest_views.deployment_status_event(BASE, status), **inputs)
            assert ran.code == 0
        return attempts_of(ran)

    def by_sync(self, source: str, **inputs: object) -> list[Attempt]:
        return attempts_of(
            self.action("schedule", {}, "synced", **{"deployment-source": source, "since": "all", **inputs})
        )

    def event(self, payload: dict[str, Any], **inputs: object) -> ActionRun:
        return self.action("deployment_status", payload, "recorded", **inputs)

    def action(self, event: str, payload: dict[str, Any], place: str, **inputs: object) -> ActionRun:
        folder = Path(mkdtemp(dir=self.folder))
        all_inputs = {
            "ledger": f"dir:{self.folder / place}",
            "github-token": self.github.token,
            "report": "off",
            "window": "all",
            **inputs,
        }
        self.github.requests.clear()
        environment = {"GITHUB_API_URL": self.github.api_url}
        return run_action(folder, event, payload, all_inputs, now=NOW, environment=environment)


def attempts_of(ran: ActionRun) -> list[Attempt]:
    """The attempts in the evidence without the first one, which is the same in all tests."""
    assert ran.code == 0, ran.log
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    first, *others = scope["evidence"]["deployments"]
    assert first["status"] == "success"
    return [(each["status"], hours_text(each["finished_at"])) for each in others]


def hours_text(time: str) -> str:
    days = (datetime.fromisoformat(time) - at(0)).total_seconds() / 86400
    rest = timedelta(days=days % 1)
    return f"{int(days)}T{int(rest.total_seconds() // 3600):02}:{round(rest.total_seconds() % 3600 / 60):02}"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[DeployingShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield DeployingShop(github, tmp_path)


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def assert_attempts(shop: DeployingShop, source: str, expected: list[Attempt]) -> None:
    """The same by events, in and against their order, and by sync."""
    assert shop.by_events(source) == expected
    assert shop.by_events(source, reverse=True) == expected
    assert shop.by_sync(source) == expected


def test_a_matrix_whose_jobs_say_no_start(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one")
    for leg in range(4):
        shop.job(24 + leg * MINUTE, name=f"deploy ({leg})")
    assert_attempts(shop, source, [("success", "1T00:03")])


def test_a_mixed_matrix_is_a_failure_that_reached_users(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one", conclusion="failure")
    for leg, conclusion in enumerate(("success", "success", "failure", "success")):
        shop.job(24 + leg * MINUTE, conclusion, name=f"deploy ({leg})")
    assert_attempts(shop, source, [("failure", "1T00:03")])
    ran = shop.action("schedule", {}, "synced", **{"deployment-source": source})
    rate = json.loads(ran.outputs["metrics"])["scopes"][0]["metrics"]["change_failure_rate"]
    assert (rate["failed"], rate["deployments"]) == (1, 2)


def test_a_part_that_failed_and_arrives_last_corrects_what_was_compared_with_its_attempt(shop: DeployingShop) -> None:
    shop.run_of_commit("one", conclusion="failure")
    shop.job(24, name="deploy (0)")
    shop.job(24 + MINUTE, "failure", name="deploy (1)")
    failed = shop.deployments[-1]
    shop.run_of_commit("two")
    shop.job(72)
    in_order = shop.by_events("deployments") and changes_of_newest(shop)
    shop.deployments.remove(failed)
    shop.deployments.append(failed)
    shutil.rmtree(shop.folder / "recorded")
    for deployment in shop.deployments:
        for status in [each for each in deployment.status_history if each.state != "inactive"]:
            shop.event(rest_views.deployment_status_event(BASE, status), **{"deployment-source": "deployments"})
    assert len(in_order) == 2
    assert changes_of_newest(shop) == in_order


def older_commit_deployed_while_a_newer_one_still_rolls_out(shop: DeployingShop) -> None:
    """The first part of the newer commit's attempt brings both; a hotfix and the older one are deployed; a part fails.

    The hotfix is the success directly before the older one, so nothing in the record of that names the attempt.
    """
    base = str(shop.repository.head())
    old = shop.repository.commit({"old.txt": "1"}, message="old", author_date=at(20))
    newer = shop.run_of_commit("newer", conclusion="failure")
    hotfix = shop.repository.commit({"fix.txt": "1"}, message="fix", branch="release/1", parents=[base])
    shop.job(24, name="deploy (0)")
    for hours, sha in ((24.1, hotfix), (24.2, old)):
        shop.job(hours, run=shop.repository.run(sha=sha, at=at(24), finished_at=at(hours)), name="deploy (0)")
    shop.job(24.5, "failure", run=newer, name="deploy (1)")


def test_an_older_commit_deployed_before_an_attempt_failed_delivers_its_change(shop: DeployingShop) -> None:
    older_commit_deployed_while_a_newer_one_still_rolls_out(shop)
    shop.by_events("deployments")
    assert len(changes_of(shop, "recorded", position=2)) == 1
    shop.by_sync("deployments")
    assert changes_of(shop, "recorded", position=2) == changes_of(shop, "synced", position=2)


def test_a_failure_that_was_known_already_compares_nothing_again(shop: DeployingShop) -> None:
    older_commit_deployed_while_a_newer_one_still_rolls_out(shop)
    shop.by_events("deployments")
    shop.event(rest_views.deployment_status_event(BASE, shop.deployments[-1].status_history[-1]))
    assert not shop.github.requests_matching("*compare*")


def test_a_run_that_succeeded_and_fails_when_it_is_run_again_compares_nothing_again(shop: DeployingShop) -> None:
    first = shop.run_of_commit("one")
    shop.job(24, name="deploy (0)", attempt=1)
    shop.run_of_commit("two")
    shop.job(48)
    shop.by_events("deployments")
    shop.repository.rerun(first, at=at(72))
    shop.job(72.1, "failure", run=first, name="deploy (0)", start=72, attempt=2)
    shop.event(rest_views.deployment_status_event(BASE, shop.deployments[-1].status_history[-1]))
    assert not shop.github.requests_matching("*compare*")


def changes_of(shop: DeployingShop, place: str, *, position: int) -> list[str]:
    """What the deployment at a position delivered, by a ledger."""
    ran = shop.action("workflow_dispatch", {"inputs": {}}, place, mode="rebuild")
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    changes: list[str] = scope["evidence"]["deployments"][position]["changes"]
    return changes


def changes_of_newest(shop: DeployingShop) -> list[str]:
    """What the last success delivered, by the records of events."""
    newest: dict[str, dict[str, Any]] = {}
    for fact in sorted(facts_in(shop.folder / "recorded"), key=lambda fact: str(fact["observed_at"])):
        newest[fact["id"]] = fact
    deployments = [fact for fact in newest.values() if fact["kind"] == "deployment"]
    changes: list[str] = max(deployments, key=lambda fact: str(fact["finished_at"]))["changes"]
    return sorted(changes)


def test_failed_jobs_that_are_run_again(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one")
    shop.job(24, start=23.9, name="eu")
    shop.job(24 + MINUTE, "failure", start=23.9, name="us")
    shop.job(24.5, start=24.4, name="us", attempt=2)
    assert_attempts(shop, source, [("success", "1T00:30")])


def test_all_jobs_that_are_run_again_a_day_after_the_next_deployment_are_a_rollback(
    shop: DeployingShop, source: str
) -> None:
    first = shop.run_of_commit("one")
    for name in ("eu", "us"):
        shop.job(24, start=23.9, name=name)
    shop.run_of_commit("two")
    shop.job(48, start=47.9, name="eu")
    for name in ("eu", "us"):
        shop.job(72, start=71.9, name=name, attempt=2, run=first)
    assert_attempts(shop, source, [("success", "1T00:00"), ("success", "2T00:00"), ("success", "3T00:00")])
    ran = shop.action("schedule", {}, "synced", **{"deployment-source": source})
    metrics = json.loads(ran.outputs["metrics"])["scopes"][0]["metrics"]
    assert (metrics["change_failure_rate"]["failed"], metrics["rework_rate"]["rework"]) == (1, 1)


def test_deploy_and_smoke_test_one_after_the_other(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one")
    shop.job(24.1, start=24, name="deploy")
    shop.job(24.5, start=24.2, name="smoke")
    assert_attempts(shop, source, [("success", "1T00:30")])


def failures_and_rework(shop: DeployingShop, place: str) -> tuple[int, int]:
    ran = shop.action("schedule", {}, place, **{"deployment-source": "deployments", "since": "all"})
    metrics = json.loads(ran.outputs["metrics"])["scopes"][0]["metrics"]
    return metrics["change_failure_rate"]["failed"], metrics["rework_rate"]["rework"]


def test_a_staged_rollout_whose_second_job_waits_for_an_approval(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one")
    shop.job(24, start=23.9, name="eu")
    shop.job(30, start=29.9, name="us", created_at=at(24))
    assert_attempts(shop, source, [("success", "1T06:00")])


def test_a_staged_rollout_that_another_run_overtakes_is_no_rollback(shop: DeployingShop) -> None:
    first = shop.run_of_commit("one")
    shop.job(24, start=23.9, name="eu")
    shop.run_of_commit("two")
    shop.job(48, start=47.9, name="eu")
    shop.job(49, start=48.9, name="us", run=first)
    assert_attempts(shop, "deployments", [("success", "2T00:00"), ("success", "2T01:00")])
    assert failures_and_rework(shop, "synced") == (0, 0)
    assert failures_and_rework(shop, "recorded") == (0, 0)


def test_two_workflows_that_deploy_one_commit_deliver_each_change_once(shop: DeployingShop, source: str) -> None:
    """The first job of web ends before api, and the last one after it: api is the first success with the commit."""
    web = shop.run_of_commit("one", name="Deploy web")
    api = shop.repository.run("Deploy api", sha=web.head_sha, at=at(24), finished_at=at(25))
    shop.job(24, name="eu", start=23.9)
    shop.job(24 + 6 * MINUTE, name="api", start=23.9, run=api)
    shop.job(24 + 12 * MINUTE, name="us", start=24)
    assert_attempts(shop, source, [("success", "1T00:06"), ("success", "1T00:12")])
    for place in ("recorded", "synced"):
        ran = shop.action("schedule", {}, place, **{"deployment-source": source, "since": "all"})
        (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
        delivered = [each["deployment"] for each in scope["evidence"]["lead_times"]]
        assert delivered == [scope["evidence"]["deployments"][1]["deployment"]], place


def test_all_jobs_that_are_run_again_within_half_an_hour(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one")
    for name in ("eu", "us"):
        shop.job(24, start=23.9, name=name)
    for name in ("eu", "us"):
        shop.job(24.5, start=24.4, name=name, attempt=2)
    assert_attempts(shop, source, [("success", "1T00:00"), ("success", "1T00:30")])


def test_an_approval_of_three_days_is_no_deployment_of_three_days(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one")
    shop.job(96.5, start=96, created_at=at(24))
    assert_attempts(shop, source, [("success", "4T00:30")])
    for ledger in ("recorded", "synced"):
        (fact,) = [fact for fact in facts_in(shop.folder / ledger) if fact.get("finished_at") == "2026-09-05T12:30:00Z"]
        assert fact["started_at"] == "2026-09-05T12:00:00Z"


def facts_in(ledger: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in ledger.rglob("facts/**/*.jsonl") for line in path.read_bytes().splitlines()]


def test_a_cancelled_job_is_a_cancelled_deployment(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one", conclusion="cancelled")
    shop.job(24, "cancelled", start=23.9)
    assert_attempts(shop, source, [("cancelled", "1T00:00")])


def test_it_stays_cancelled_when_nobody_can_be_asked_again(shop: DeployingShop) -> None:
    shop.run_of_commit("one", conclusion="cancelled")
    shop.job(24, "cancelled", start=23.9)
    assert shop.by_events("deployments") == [("cancelled", "1T00:00")]
    assert shop.by_events("deployments", token="") == [("cancelled", "1T00:00")]


def test_a_token_that_may_not_see_jobs_leaves_a_failure_and_says_so(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: NOW) as github:
        shop = DeployingShop(github, tmp_path)
        shop.repository.is_private = True
        token = github.grant(actions="none", checks="none")
        shop.run_of_commit("one", conclusion="cancelled")
        shop.job(24, "cancelled", start=23.9)
        for status in shop.deployments[-1].status_history:
            payload = rest_views.deployment_status_event(BASE, status)
            recorded = shop.event(payload, **{"github-token": token, "deployment-source": "deployments"})
        synced = shop.action(
            "schedule", {}, "synced", **{"github-token": token, "deployment-source": "deployments", "since": "all"}
        )
        for ran in (recorded, synced):
            assert ran.code == 0
            assert "a cancelled job looks like a failure" in ran.summary
            assert "actions: read" in ran.summary
        assert attempts_of(synced) == [("failure", "1T00:00")]


def test_where_nothing_failed_a_note_says_that_jobs_not_shown_may_be_no_deployments(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: NOW) as github:
        shop = DeployingShop(github, tmp_path)
        shop.repository.is_private = True
        token = github.grant(actions="none", checks="none")
        inputs = {"github-token": token, "deployment-source": "deployments", "since": "all"}
        ran = shop.action("schedule", {}, "synced", **inputs)
        assert attempts_of(ran) == []
        assert "the jobs of pull requests and others that only use the environment count" in ran.summary


def test_an_event_of_a_failed_job_stays_within_its_budget(shop: DeployingShop) -> None:
    shop.run_of_commit("one", conclusion="failure")
    shop.job(24, "failure", start=23.9)
    shop.repository.commit({"x": ""}, message="x")
    payload = rest_views.deployment_status_event(BASE, shop.deployments[-1].status_history[-1])
    shop.event(payload, ledger="branch:dora-metrics")
    shop.event(payload, ledger="branch:dora-metrics")
    assert len(shop.github.requests) <= 4


def test_jobs_are_asked_for_once_and_by_the_hundred(shop: DeployingShop) -> None:
    for number in range(1, 120):
        shop.run_of_commit(f"c{number}")
        shop.job(number, start=number - 0.1)
    shop.by_sync("deployments")
    assert [request.operation for request in shop.github.requests].count("JobsById") <= 3
    shop.by_sync("deployments")
    assert "JobsById" not in [request.operation for request in shop.github.requests]


def test_jobs_that_github_has_deleted_are_unknown_and_the_others_are_read(shop: DeployingShop) -> None:
    shop.run_of_commit("one")
    shop.job(24, "cancelled", start=23.9)
    shop.run_of_commit("two")
    shop.job(48, "cancelled", start=47.9)
    job = shop.deployments[1].job
    assert job
    del shop.github.state.nodes[job.id]
    assert shop.by_sync("deployments") == [("failure", "1T00:00"), ("cancelled", "2T00:00")]


def test_two_jobs_that_write_at_the_same_second_are_one_deployment(shop: DeployingShop) -> None:
    shop.run_of_commit("one")
    legs = [("success", "1"), ("failure", "2"), ("success", "3")]

    def record(leg: tuple[str, str]) -> ActionRun:
        status, check_run = leg
        environment = {
            "GITHUB_API_URL": shop.github.api_url,
            "GITHUB_RUN_ID": "500",
            "GITHUB_RUN_ATTEMPT": "1",
            "DORA_CHECK_RUN_ID": check_run,
        }
        inputs = {"ledger": f"dir:{shop.folder / 'jobs'}", "environment": "production", "status": status}
        folder = Path(mkdtemp(dir=shop.folder))
        return run_action(folder, "workflow_dispatch", {}, inputs, now=NOW, environment=environment)

    with ThreadPoolExecutor() as pool:
        ran = list(pool.map(record, legs))
    assert [each.code for each in ran] == [0, 0, 0]
    assert len(facts_in(shop.folder / "jobs")) == 3
    last = record(("success", "3"))
    (scope,) = json.loads(last.outputs["metrics"])["scopes"]
    assert [each["status"] for each in scope["evidence"]["deployments"]] == ["failure"]


def test_the_job_that_recorded_itself_and_the_deployment_of_github_are_one_part(shop: DeployingShop) -> None:
    shop.run_of_commit("one")
    shop.job(24, start=23.9, name="deploy")
    shop.job(24 + MINUTE, start=24, name="smoke")
    shop.by_events("deployments")
    deploy = shop.deployments[1].job
    assert deploy
    environment = {
        "GITHUB_API_URL": shop.github.api_url,
        "GITHUB_RUN_ID": str(shop.run.database_id),
        "GITHUB_SHA": shop.run.head_sha,
        "DORA_CHECK_RUN_ID": str(deploy.database_id),
    }
    inputs = {"ledger": f"dir:{shop.folder / 'recorded'}", "environment": "production", "status": "failure"}
    inputs |= {"window": "all"}
    folder = Path(mkdtemp(dir=shop.folder))
    ran = run_action(folder, "workflow_dispatch", {}, inputs, now=at(24.5), environment=environment)
    assert attempts_of(ran) == [("failure", "1T00:30")]
    assert "1 GitHub deployment is not counted, because the job that deployed counts." in ran.summary


JobEnd = tuple[str, str, int]
"""A job's key, how it ended, and the number of its attempt."""


def record_jobs(shop: DeployingShop, ends: list[JobEnd]) -> list[Attempt]:
    """Let jobs of the present run record themselves, a minute apart, where the runner does not say their check run."""
    for number, (job, status, attempt) in enumerate(ends):
        environment = {
            "GITHUB_API_URL": shop.github.api_url,
            "GITHUB_RUN_ID": str(shop.run.database_id),
            "GITHUB_RUN_ATTEMPT": str(attempt),
            "GITHUB_SHA": shop.run.head_sha,
            "GITHUB_JOB": job,
        }
        inputs = {"ledger": f"dir:{shop.folder / 'recorded'}", "environment": "production", "status": status}
        inputs |= {"window": "all", "github-token": shop.github.token}
        folder = Path(mkdtemp(dir=shop.folder))
        now = at(24 + number * MINUTE)
        ran = run_action(folder, "workflow_dispatch", {}, inputs, now=now, environment=environment)
    return attempts_of(ran)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([("api", "failure", 1), ("web", "success", 1)], [("failure", "1T00:01")]),
        ([("web", "success", 1), ("api", "failure", 1)], [("failure", "1T00:01")]),
        ([("web", "success", 1), ("api", "success", 1)], [("success", "1T00:01")]),
        ([("web", "success", 1), ("api", "failure", 1), ("api", "success", 2)], [("success", "1T00:02")]),
        ([("api", "success", 1), ("api", "success", 2)], [("success", "1T00:00"), ("success", "1T00:01")]),
    ],
)
def test_jobs_without_a_check_run_are_parts_of_one_attempt(
    shop: DeployingShop, ends: list[JobEnd], expected: list[Attempt]
) -> None:
    shop.by_events("deployments")
    shop.run_of_commit("one")
    assert record_jobs(shop, ends) == expected
    for number, (job, status, attempt) in enumerate(ends):
        shop.job(24 + number * MINUTE, status, name=job, attempt=attempt)
    ran = shop.action("schedule", {}, "recorded", **{"deployment-source": "auto", "since": "all"})
    assert attempts_of(ran) == expected, "a sync that finds GitHub's deployments of the same jobs counts none twice"


def test_the_summary_says_which_part_it_is_and_what_is_still_out(shop: DeployingShop) -> None:
    shop.run_of_commit("one")
    run = str(shop.run.database_id)

    def record(part: int, status: str = "success") -> str:
        environment = {
            "GITHUB_RUN_ID": run,
            "GITHUB_JOB": "deploy",
            "DORA_JOB_INDEX": str(part),
            "DORA_JOB_TOTAL": "3",
        }
        inputs = {"ledger": f"dir:{shop.folder / 'legs'}", "environment": "production", "status": status}
        folder = Path(mkdtemp(dir=shop.folder))
        now = at(24 + part * MINUTE)
        return run_action(folder, "workflow_dispatch", {}, inputs, now=now, environment=environment).summary

    first = record(0)
    assert f"It is part 1 of 3 of run {run}; 2 parts have not ended yet." in first
    assert "🚀" in first
    second = record(1, "failure")
    assert f"It is part 2 of 3 of run {run}; 1 part has not ended yet." in second
    assert "It reached users, so it counts as a failed deployment." in second
    third = record(2)
    assert f"It is part 3 of 3 of run {run}; all parts have ended, of which 1 failed." in third
    assert "❌" in third


def test_where_the_number_of_parts_is_not_known_it_says_how_many_have_ended(shop: DeployingShop) -> None:
    shop.run_of_commit("one")
    for number in range(2):
        shop.job(24 + number * MINUTE, name=f"deploy {number}")
    summaries = []
    for each in shop.deployments[1:]:
        payload = rest_views.deployment_status_event(BASE, each.status_history[0])
        summaries.append(shop.event(payload, **{"deployment-source": "deployments"}).summary)
    run = shop.run.database_id
    assert "It is part" not in summaries[0]
    assert f"It is part 2 of run {run}; 2 parts have ended so far." in summaries[1]


def test_workflows_that_only_use_an_environment_are_named_with_the_way_out(shop: DeployingShop, source: str) -> None:
    shop.run_of_commit("one")
    shop.job(24, start=23.9)
    shop.run_of_commit("drift", name="Drift check", event="schedule")
    shop.job(48, "failure", start=47.9, name="drift")
    shop.run_of_commit("preview", event="pull_request")
    shop.job(72, start=71.9, name="preview")
    assert_attempts(shop, source, [("success", "1T00:00")])
    ran = shop.action("schedule", {}, "synced", **{"deployment-source": source})
    assert "Drift check (1)" in ran.summary
    assert "deployment: false" in ran.summary
    assert "1 GitHub deployment by a run for a pull request is not counted." in ran.summary


def test_the_event_of_a_job_that_only_uses_an_environment_says_that_it_does_not_count(shop: DeployingShop) -> None:
    shop.run_of_commit("drift", name="Drift check")
    shop.job(24, start=23.9)
    shop.by_events("deployments")
    payload = rest_views.deployment_status_event(BASE, shop.deployments[-1].status_history[-1])
    summary = shop.event(payload, **{"deployment-source": "deployments"}).summary
    assert "does not count" in summary.splitlines()[0]
    assert "its workflow Drift check does not deploy" in summary


def test_deployments_for_pull_requests_do_not_make_deployments_the_source(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: NOW) as github:
        shop = DeployingShop(github, tmp_path, event="pull_request")
        shop.repository.release("v1.0.0", published_at=at(24))
        ran = shop.action("schedule", {}, "synced", since="all")
        (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
        assert [each["finished_at"] for each in scope["evidence"]["deployments"]] == ["2026-09-02T12:00:00Z"]
