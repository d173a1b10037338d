"""Four jobs of a run deploy to one environment; whatever GitHub reports of them, an attempt is one deployment."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import rest_views
from fakes.github import FakeGitHub
from support.github_history import NOW, at
from support.runs import ActionRun, run_action

BASE = "https://api.github.com"
LEGS = 4
FAILED_DAY = 2
"""On this day one of the four jobs fails, and nothing is released."""

ATTEMPTS = ["success", "success", "failure", "success"]
RELEASES = ["success", "success", "success"]
STATUSES = {
    "deployments": ATTEMPTS,
    "workflow-runs": ATTEMPTS,
    "releases": RELEASES,
    "auto": ATTEMPTS,
    "deployments, workflow-runs": ATTEMPTS,
}
"""By `deployment-source`: how the deployments ended, in order."""


class Matrix:
    """acme/shop, which deploys on four days with a matrix; `events` are what GitHub reports, by hour."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop", empty=True)
        self.events: list[tuple[float, str, dict[str, Any]]] = []
        for day in range(len(ATTEMPTS)):
            self._deploy(day)
        self.events.sort(key=lambda event: event[0])

    def _deploy(self, day: int) -> None:
        start, has_failed = 24.0 * day, day == FAILED_DAY
        sha = self.repository.commit({f"{day}.txt": ""}, message=f"Version {day}", author_date=at(start - 1))
        run = self.repository.run(
            sha=sha, at=at(start), finished_at=at(start + 1), conclusion="failure" if has_failed else "success"
        )
        for leg in range(LEGS):
            self._add_job(run, start + leg / 10, "failure" if has_failed and leg == 1 else "success", leg)
        workflow = {"name": run.name, "path": run.path}
        shown = {"action": "completed", "workflow_run": rest_views.run(BASE, run), "workflow": workflow}
        self.events.append((start + 1, "workflow_run", shown))
        if not has_failed:
            release = self.repository.release(f"v1.{day}.0", sha=sha, published_at=at(start + 2))
            published = {"action": "published", "release": rest_views.release(BASE, release)}
            self.events.append((start + 2, "release", published))

    def _add_job(self, run: Any, start: float, conclusion: str, leg: int) -> None:  # noqa: ANN401
        deployment = self.repository.job_deployment(
            run, started_at=at(start), finished_at=at(start + 0.2), conclusion=conclusion, name=f"deploy ({leg})"
        )
        ended = rest_views.deployment_status_event(BASE, deployment.status_history[-1])
        self.events.append((start + 0.2, "deployment_status", ended))

    def run(self, event: str, payload: dict[str, Any], source: str) -> ActionRun:
        inputs = {"github-token": self.github.token, "report": "off", "since": "all", "window": "all"}
        inputs |= {"deployment-source": source}
        names = {"name": "shop", "full_name": "acme/shop", "default_branch": "main"}
        given = {"repository": {"id": self.repository.database_id, **names}, **payload}
        ran = run_action(
            self.folder, event, given, inputs, now=NOW, environment={"GITHUB_API_URL": self.github.api_url}
        )
        assert ran.code == 0, ran.log
        return ran

    def sync(self, source: str) -> ActionRun:
        return self.run("schedule", {"schedule": "17 5 * * *"}, source)


@pytest.fixture
def matrix(tmp_path: Path) -> Iterator[Matrix]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield Matrix(github, tmp_path)


def statuses_of(ran: ActionRun) -> list[str]:
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    return [each["status"] for each in scope["evidence"]["deployments"]]


@pytest.mark.parametrize("source", STATUSES)
def test_an_attempt_is_one_deployment_by_events_by_a_sync_and_by_both(matrix: Matrix, source: str) -> None:
    for _, event, payload in matrix.events:
        by_events = matrix.run(event, payload, source)
    assert statuses_of(by_events) == STATUSES[source]
    assert statuses_of(matrix.sync(source)) == STATUSES[source], "by both"
    shutil.rmtree(matrix.folder / "ledger")
    assert statuses_of(matrix.sync(source)) == STATUSES[source], "by a sync alone"
