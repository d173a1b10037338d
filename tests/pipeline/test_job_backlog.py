"""More jobs than one sync may ask for: the next syncs go on, until nothing differs from a sync that reads them all."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.github import jobs
from dora_metrics.github.history import job_backlog
from fakes import rest_views
from fakes.faults import custom_answer, unavailable
from fakes.github import FakeGitHub
from fakes.records import Deployment
from support.github_history import NOW, at
from support.runs import ActionRun, run_action

NEWEST_ITEMS = 40
"""Deployments in the first request of a first sync. Here, one request reads their jobs, and no other is left."""
DEPLOYMENTS, REAL_DEPLOYMENTS = 75, 8


@dataclass
class BusyShop:
    """acme/shop, whose drift check runs in `production` between the deployments, and just before each."""

    github: FakeGitHub
    folder: Path
    made: list[Deployment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repository = self.github.repository("acme/shop", empty=True)
        self.repository.commit({"base": ""}, message="base", author_date=at(0))

    def work(self, count: int) -> None:
        """Let jobs run, four hours apart: a commit, its drift check, its deployment and eight more checks."""
        for number in range(len(self.made), len(self.made) + count):
            if number % 10 == 0:
                self.repository.commit({f"{number}": ""}, message=f"c{number}", author_date=at(4 * number))
            self.job(number, "Deploy" if number % 10 == 1 else "Nightly drift")

    def job(self, number: int, workflow: str, conclusion: str = "success") -> None:
        hours = 4 * number + 1
        run = self.repository.run(
            workflow, sha=self.repository.head(), at=at(hours), finished_at=at(hours + 1), conclusion=conclusion
        )
        self.made.append(
            self.repository.job_deployment(
                run, started_at=at(hours), finished_at=at(hours + 0.5), conclusion=conclusion
            )
        )

    def sync(self, ledger: str = "ledger", **inputs: object) -> ActionRun:
        ran = self.action("schedule", {}, ledger, {"since": "all", **inputs})
        assert ran.code == 0, ran.log
        return ran

    def event_that_cannot_ask(self, deployment: Deployment) -> ActionRun:
        """Record the event of a deployment's end while GitHub does not show jobs to its token."""
        answer = custom_answer(403, {"message": "Resource not accessible by integration"})
        self.github.fail(answer, to="GET /repos/acme/shop/actions/jobs/*", times=None)
        payload = rest_views.deployment_status_event("https://api.github.com", deployment.status_history[-1])
        ran = self.action("deployment_status", payload, "ledger", {})
        self.github.heal()
        return ran

    def action(self, event: str, payload: dict[str, Any], ledger: str, inputs: dict[str, object]) -> ActionRun:
        folder = self.folder / ledger
        folder.mkdir(exist_ok=True)
        all_inputs = {"github-token": self.github.token, "report": "off", "window": "all", **inputs}
        all_inputs["deployment-source"] = "deployments"
        self.github.requests.clear()
        environment = {"GITHUB_API_URL": self.github.api_url}
        return run_action(folder, event, payload, all_inputs, now=NOW, environment=environment)

    @property
    def job_requests(self) -> int:
        """How often the last sync asked for jobs."""
        return [request.operation for request in self.github.requests].count("JobsById")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BusyShop]:
    monkeypatch.setattr(jobs, "MAX_REQUESTS", 1)
    monkeypatch.setattr(job_backlog, "PAGE_SIZE", 15)
    with FakeGitHub(now=lambda: NOW) as github:
        yield BusyShop(github, tmp_path)


def scope_of(ran: ActionRun) -> dict[str, Any]:
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    return dict(scope)


def deployments_in(ran: ActionRun) -> int:
    return int(scope_of(ran)["metrics"]["deployment_frequency"]["deployments"])


def unread_in(ran: ActionRun) -> str | None:
    """The number of deployments whose jobs the summary says are not read yet."""
    _, found, rest = ran.summary.partition("The jobs of ")
    return rest.partition(" are not read yet")[0] if found else None


def test_the_next_syncs_go_on_until_all_jobs_are_read(shop: BusyShop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.work(DEPLOYMENTS)
    first = shop.sync()
    assert deployments_in(first) > REAL_DEPLOYMENTS
    assert unread_in(first) == f"{DEPLOYMENTS - NEWEST_ITEMS} deployments"
    assert "The next sync continues." in first.summary
    assert [unread_in(shop.sync()) for _ in range(2)] == ["20 deployments", "5 deployments"]
    last = shop.sync()
    assert (unread_in(last), deployments_in(last)) == (None, REAL_DEPLOYMENTS)
    idle = shop.sync()
    assert shop.job_requests == 0
    assert len(shop.github.requests) <= 4
    monkeypatch.setattr(jobs, "MAX_REQUESTS", 25)
    assert scope_of(idle)["evidence"] == scope_of(shop.sync("full"))["evidence"]


def test_a_job_that_github_no_longer_has_is_asked_for_once(shop: BusyShop) -> None:
    shop.work(DEPLOYMENTS)
    for deployment in shop.made[::3]:
        assert deployment.job
        del shop.github.state.nodes[deployment.job.id]
    syncs = [shop.sync() for _ in range(5)]
    assert [unread_in(ran) for ran in syncs] == ["35 deployments", "20 deployments", "5 deployments", None, None]
    assert shop.job_requests == 0


def test_a_cancelled_job_among_the_older_ones_is_no_failure_in_the_end(shop: BusyShop) -> None:
    shop.job(0, "Deploy")
    shop.job(1, "Deploy", "cancelled")
    shop.made.clear()
    shop.work(DEPLOYMENTS)
    statuses = [[each["status"] for each in scope_of(shop.sync())["evidence"]["deployments"]] for _ in range(4)]
    assert [each.count("failure") for each in statuses] == [1, 1, 1, 0]
    assert statuses[-1].count("cancelled") == 1


def statuses_in(ran: ActionRun) -> list[str]:
    return [each["status"] for each in scope_of(ran)["evidence"]["deployments"]]


def test_a_cancelled_job_of_which_an_event_could_not_ask_is_no_failure_after_an_outage(shop: BusyShop) -> None:
    shop.job(0, "Deploy")
    shop.sync()
    shop.job(1, "Deploy", "cancelled")
    assert statuses_in(shop.event_that_cannot_ask(shop.made[-1])) == ["success", "failure"]
    shop.github.fail(unavailable(502), to="JobsById", times=3)
    assert statuses_in(shop.sync()) == ["success", "failure"]
    shop.github.heal()
    assert statuses_in(shop.sync()) == ["success", "cancelled"]


def test_cancelled_jobs_of_which_events_could_not_ask_are_read_by_as_many_syncs_as_it_takes(shop: BusyShop) -> None:
    shop.job(0, "Deploy")
    shop.job(1, "Deploy", "cancelled")
    shop.job(2, "Deploy", "cancelled")
    for deployment in shop.made[1:]:
        shop.event_that_cannot_ask(deployment)
    shop.made.clear()
    shop.work(DEPLOYMENTS)
    assert [statuses_in(shop.sync()).count("failure") for _ in range(4)] == [2, 2, 2, 0]
    shop.sync()
    assert shop.job_requests == 0


def test_a_job_that_ends_after_the_sync_that_read_it_is_asked_for_again(shop: BusyShop) -> None:
    shop.job(0, "Deploy")
    shop.sync()
    shop.job(485, "Deploy", "cancelled")
    job = shop.made[-1].job
    assert job
    job.conclusion = None
    assert statuses_in(shop.sync()) == ["success", "failure"]
    shop.github.fail(unavailable(502), to="JobsById", times=3)
    assert statuses_in(shop.sync()) == ["success", "failure"]
    shop.github.heal()
    assert statuses_in(shop.sync()) == ["success", "failure"]
    job.conclusion = "cancelled"
    assert statuses_in(shop.sync()) == ["success", "cancelled"]
    shop.sync()
    assert shop.job_requests == 0


def test_a_job_that_has_not_ended_a_day_after_its_deployment_is_asked_for_once(shop: BusyShop) -> None:
    shop.job(0, "Deploy")
    shop.job(470, "Deploy", "failure")
    assert shop.made[-1].job
    shop.made[-1].job.conclusion = None
    shop.sync()
    shop.sync()
    assert shop.job_requests == 0


def test_what_a_later_sync_leaves_is_read_by_the_one_after_it(shop: BusyShop) -> None:
    shop.work(20)
    shop.sync()
    shop.work(40)
    assert unread_in(shop.sync()) == "15 deployments"
    ran = shop.sync()
    assert (unread_in(ran), deployments_in(ran)) == (None, 6)


def test_jobs_that_a_token_may_not_see_are_read_when_it_may(shop: BusyShop) -> None:
    shop.work(20)
    shop.repository.is_private = True
    refused = shop.sync(**{"github-token": shop.github.grant(actions="none", checks="none")})
    assert deployments_in(refused) == 20
    assert unread_in(refused) is None
    shop.sync()
    assert deployments_in(shop.sync()) == 2


def test_one_sync_reads_the_jobs_of_thousands_of_deployments() -> None:
    assert jobs.MAX_REQUESTS * jobs.PAGE_SIZE >= 2_000
