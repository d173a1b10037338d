"""Jobs of pull requests that use `environment: production`: GitHub makes deployments for them, which do not count."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
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

    def sync(self, now_hours: float | None = None, **inputs: object) -> ActionRun:
        all_inputs = {"github-token": self.github.token, "report": "off", "window": "all", **inputs}
        now = NOW if now_hours is None else at(now_hours)
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
        ran = shop.sync(24 * day + 4)
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
        ran = shop.sync(24 * day + 4)
    assert deployments_in(ran) == DAYS
    assert "Deployments come from `workflow-runs`" in ran.summary
