"""Jobs of pull requests that use `environment: production`: GitHub makes deployments for them, which do not count."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from fakes.github import FakeGitHub
from support.github_history import NOW, at
from support.runs import ActionRun, run_action

DAYS = 5


@dataclass
class ReviewedShop:
    """acme/shop, whose pull requests have plans that run in `production`."""

    github: FakeGitHub
    folder: Path

    def __post_init__(self) -> None:
        self.repository = self.github.repository("acme/shop", empty=True)
        self.repository.commit({"base": ""}, message="base", author_date=at(0))

    def plan(self, hours: float) -> None:
        """Let the job of a pull request, which stays open, use the environment."""
        pull = self.repository.pull("Plan", files={"plan": str(hours)}, created_at=at(hours))
        run = self.repository.run(
            "CI",
            sha=pull.head_ref_oid,
            branch=pull.head_ref_name,
            event="pull_request",
            at=at(hours),
            finished_at=at(hours + 0.2),
        )
        self.repository.job_deployment(run, name="plan", started_at=at(hours), finished_at=at(hours + 0.1))

    def deliver(self, source: str, hours: float) -> None:
        """Commit, and deploy it as that source shows it."""
        sha = self.repository.commit({f"{hours}": ""}, message="Change", author_date=at(hours))
        if source == "releases":
            self.repository.release(f"v{hours}", sha=sha, published_at=at(hours + 1))
        else:
            self.repository.run("Deploy", sha=sha, at=at(hours + 1), finished_at=at(hours + 1.2))

    def grant(self, **permissions: str) -> str:
        """Return a token that has the permissions of a sync without `checks`, but for these."""
        granted = dict.fromkeys(("contents", "metadata", "pull_requests", "deployments", "actions", "issues"), "read")
        return self.github.grant(default="none", repositories=None, **(granted | permissions))

    def sync(self, now: datetime = NOW, token: str | None = None, production: str = "production") -> ActionRun:
        all_inputs = {"github-token": token or self.github.token, "report": "off", "window": "all"}
        all_inputs |= {"production-environments": production}
        self.github.requests.clear()
        environment = {"GITHUB_API_URL": self.github.api_url}
        ran = run_action(self.folder, "schedule", {"schedule": "x"}, all_inputs, now=now, environment=environment)
        assert ran.code == 0, ran.log
        return ran


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ReviewedShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield ReviewedShop(github, tmp_path)


def deployments_in(ran: ActionRun) -> int:
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    return int(scope["metrics"]["deployment_frequency"]["deployments"])


@pytest.mark.parametrize("plan_day", [0, 2])
@pytest.mark.parametrize("source", ["workflow-runs", "releases"])
def test_the_job_of_a_pull_request_ends_the_reading_of_no_other_source(
    shop: ReviewedShop, source: str, plan_day: int
) -> None:
    for day in range(DAYS):
        if day == plan_day:
            shop.plan(24 * day)
        shop.deliver(source, 24 * day + 1)
        ran = shop.sync(at(24 * day + 4))
    assert deployments_in(ran) == DAYS
    assert f"Deployments come from `{source}`" in ran.summary


@pytest.mark.parametrize("status", ["success", "failure"])
def test_nor_does_a_job_that_uses_production_for_its_secrets(shop: ReviewedShop, status: str) -> None:
    """Once the ledger knows a workflow that deploys there, its runs are read on, whatever else uses the environment."""
    for day in range(DAYS):
        if day >= 2:
            run = shop.repository.run("CI", at=at(24 * day), finished_at=at(24 * day + 0.2))
            began_at, ended_at = at(24 * day), at(24 * day + 0.1)
            shop.repository.job_deployment(run, started_at=began_at, finished_at=ended_at, conclusion=status)
        shop.deliver("workflow-runs", 24 * day + 1)
        ran = shop.sync(at(24 * day + 4))
    assert deployments_in(ran) == DAYS
    assert "Deployments come from `workflow-runs`" in ran.summary


UNREAD = "GitHub did not return the jobs of production deployments"
UNKNOWN_END = "GitHub did not return how the job of a failed deployment ended"


def review_and_deploy(shop: ReviewedShop, conclusion: str = "success") -> None:
    """Make the repository private, and deploy four times by a job; each time a plan ran before."""
    shop.repository.is_private = True
    for day in range(4):
        shop.plan(24 * day)
        sha = shop.repository.commit({f"{day}": ""}, message="Change", author_date=at(24 * day + 1))
        run = shop.repository.run("Deploy", sha=sha, at=at(24 * day + 2), finished_at=at(24 * day + 3))
        shop.repository.job_deployment(
            run,
            started_at=at(24 * day + 2),
            finished_at=at(24 * day + 2.5),
            conclusion=conclusion if day else "success",
        )


def job_requests(shop: ReviewedShop) -> int:
    return [request.operation for request in shop.github.requests].count("JobsById")


def test_without_the_permission_for_checks_the_runs_of_jobs_are_known(shop: ReviewedShop) -> None:
    review_and_deploy(shop)
    ran = shop.sync(token=shop.grant())
    assert deployments_in(ran) == 4
    assert "4 GitHub deployments by runs for pull requests are not counted." in ran.summary
    assert UNREAD not in ran.summary
    assert UNKNOWN_END not in ran.summary, "none has failed"
    assert job_requests(shop) == 2


def test_how_jobs_ended_is_said_to_be_unknown_until_it_may_be_read(shop: ReviewedShop) -> None:
    review_and_deploy(shop, "cancelled")
    token = shop.grant()
    for _ in range(2):
        ran = shop.sync(token=token)
        assert UNKNOWN_END in ran.summary
        assert "`checks: read`" in ran.summary
        assert "are not read yet" not in ran.summary
    ran = shop.sync()
    assert UNKNOWN_END not in ran.summary
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    statuses = [each["status"] for each in scope["evidence"]["deployments"]]
    assert statuses.count("cancelled") == 3


def test_a_sync_that_can_read_nothing_of_the_jobs_says_what_may_be_counted_wrongly(shop: ReviewedShop) -> None:
    review_and_deploy(shop)
    token = shop.grant(actions="none")
    for _ in range(2):
        ran = shop.sync(token=token)
        assert UNREAD in ran.summary
        assert "the jobs of pull requests" in ran.summary
        assert "`checks: read`" in ran.summary
    shop.sync()
    assert deployments_in(shop.sync()) == 4


def test_jobs_of_other_environments_need_no_note(shop: ReviewedShop) -> None:
    review_and_deploy(shop)
    token = shop.grant(actions="none")
    ran = shop.sync(token=token, production="live")
    assert UNREAD not in ran.summary
