"""A renamed or transferred repository is one; another one that takes its old name is another."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from dora_metrics.core.reports.periodic.issue_body import marker_in
from fakes.faults import meanwhile, unavailable
from fakes.github import FakeGitHub
from fakes.records import Issue
from fakes.repository import Repository
from support.fake_endpoint import FakeEndpoint, accept
from support.github_history import NOW, at, deploy
from support.prometheus_text import counter_values
from support.runs import ActionRun, deployment_status, incident_issue, run_action
from support.servers import Answer, Request, listening
from support.sync_shop import facts_on_branch, names_on_branch

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_NAMES = pytest.mark.parametrize("new_name", ["acme/store", "umbrella/shop"], ids=["renamed", "transferred"])


class Repositories:
    """Repositories on a fake GitHub, and runs in them. Their ledger is a folder, or the branch of the repository."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.shop = self.create()

    def create(self) -> Repository:
        """Create acme/shop, with one commit."""
        repository = self.github.repository("acme/shop", empty=True)
        repository.commit({"README.md": "shop"}, message="Begin", author_date=at(0))
        return repository

    def rename(self, new_name: str) -> None:
        self.github.state.rename(self.shop.name_with_owner, new_name)

    def run(
        self,
        event: str,
        payload: dict[str, Any],
        repository: Repository | None = None,
        *,
        name: str | None = None,
        now: datetime = NOW,
        **inputs: object,
    ) -> ActionRun:
        """Run the action in a repository; `name` is a former name that the runner still has."""
        where = repository or self.shop
        self.github.requests.clear()
        environment = {
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_REPOSITORY": name or where.name_with_owner,
            "GITHUB_REPOSITORY_ID": str(where.database_id),
        }
        all_inputs = {"ledger": "branch:dora-metrics", "github-token": self.github.token, "report": "off", **inputs}
        return run_action(Path(mkdtemp(dir=self.folder)), event, payload, all_inputs, now=now, environment=environment)

    def deployed(self, number: int, repository: Repository | None = None, **arguments: Any) -> ActionRun:  # noqa: ANN401
        """Run on a deployment that has succeeded."""
        return self.run("deployment_status", deployment_status(number), repository, **arguments)

    def sync(self, repository: Repository | None = None, **arguments: Any) -> ActionRun:  # noqa: ANN401
        return self.run("schedule", {"schedule": "17 5 * * *"}, repository, **{"since": "all", **arguments})

    @property
    def metrics(self) -> dict[str, Any]:
        """`metrics.json` on the branch."""
        metrics: dict[str, Any] = json.loads(self.shop.read("metrics.json", "dora-metrics") or b"")
        return metrics

    @property
    def scopes(self) -> dict[str, int]:
        """The number of deployments in the window by repository."""
        frequencies = (
            (scope["repository"], scope["metrics"]["deployment_frequency"]) for scope in self.metrics["scopes"]
        )
        return {repository: frequency["deployments"] for repository, frequency in frequencies}


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Repositories]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield Repositories(github, tmp_path)


# Events


@NEW_NAMES
def test_events_before_and_after_are_of_one_repository(team: Repositories, new_name: str) -> None:
    team.deployed(1)
    team.rename(new_name)
    ran = team.deployed(2, now=NOW + DAY)
    assert team.scopes == {new_name: 2}
    assert names_on_branch(team.shop) == [["acme/shop", new_name]]
    assert f'repository="{new_name}"' in (team.shop.read("metrics.prom", "dora-metrics") or b"").decode()
    assert "acme/shop" not in json.dumps(team.metrics)
    assert [fact["id"] for fact in ran.facts] == ["github:deployment:2"], "a name is no news"
    assert "+1 fact" in ran.summary


@NEW_NAMES
def test_counters_go_on_under_the_new_name_and_none_stays_under_the_old_one(team: Repositories, new_name: str) -> None:
    team.deployed(1)
    team.deployed(2)
    team.rename(new_name)
    team.run("repository_dispatch", withdrawal(2), now=NOW + DAY)
    text = (team.shop.read("metrics.prom", "dora-metrics") or b"").decode()
    (line,) = [
        line
        for line in text.splitlines()
        if line.startswith("dora_deployments_total{") and 'source="deployments"' in line
    ]
    assert f'repository="{new_name}"' in line
    assert line.endswith(" 2.0"), "a counter never falls"
    assert "acme/shop" not in text


def withdrawal(number: int) -> dict[str, Any]:
    """The payload of a dispatch that retracts a deployment."""
    deployed = deployment_status(number)["deployment_status"]
    assert isinstance(deployed, dict)
    payload = {
        "id": f"github:deployment:{number}",
        "environment": "production",
        "status": "success",
        "finished_at": deployed["created_at"],
        "retracted": True,
    }
    return {"action": "dora-deployment", "client_payload": payload}


def test_the_number_may_be_known_by_the_event_alone(team: Repositories) -> None:
    for number, name in ((1, "acme/shop"), (2, "acme/store")):
        payload = deployment_status(number) | {"repository": {"id": 99, "full_name": name, "default_branch": "main"}}
        environment = {"GITHUB_REPOSITORY": name}
        run_action(team.folder, "deployment_status", payload, now=NOW + number * HOUR, environment=environment)
    metrics = json.loads((team.folder / "ledger" / "metrics.json").read_text("utf-8"))
    assert [scope["repository"] for scope in metrics["scopes"]] == ["acme/store"]


def test_an_event_costs_as_many_requests_after_a_rename_as_before(team: Repositories) -> None:
    def requests_of_next_deployment(number: int) -> int:
        sha = team.shop.commit({"a.txt": str(number)}, author_date=at(number))
        payload = deployment_status(number, at=f"2026-11-20T{number:02}:00:00Z", sha=sha)
        team.run("deployment_status", payload, now=NOW + number * HOUR)
        return len(team.github.requests)

    before = [requests_of_next_deployment(number) for number in (1, 2)]
    team.rename("acme/store")
    assert [requests_of_next_deployment(number) for number in (3, 4)][-1] == before[-1]


def test_a_run_that_still_has_the_old_name_records_under_the_present_one(team: Repositories) -> None:
    team.deployed(1)
    team.rename("acme/store")
    team.deployed(2, now=NOW + DAY)
    team.deployed(3, name="acme/shop", now=NOW + DAY - HOUR)
    assert team.scopes == {"acme/store": 3}


def test_an_incident_opened_under_the_old_name_is_closed_under_the_new_one(team: Repositories) -> None:
    team.deployed(1)
    team.run("issues", incident_issue(9))
    team.rename("acme/store")
    closed = incident_issue(9, state="closed", closed_at="2026-11-21T13:00:00Z", updated_at="2026-11-21T13:00:00Z")
    team.run("issues", {**closed, "action": "closed"}, now=NOW + 2 * HOUR)
    (scope,) = team.metrics["scopes"]
    restore = scope["metrics"]["incident_restore"]
    assert (restore["incidents"], restore["open"]) == (1, 0)


def test_an_incident_withdrawn_under_the_new_name_does_not_count(team: Repositories) -> None:
    team.deployed(1)
    team.run("issues", incident_issue(9))
    team.rename("acme/store")
    deleted = {**incident_issue(9, updated_at="2026-11-21T13:00:00Z"), "action": "deleted"}
    team.run("issues", deleted, now=NOW + 2 * HOUR)
    (scope,) = team.metrics["scopes"]
    assert scope["metrics"]["incident_restore"]["incidents"] == 0


def test_old_months_that_are_sealed_are_renamed_too(team: Repositories) -> None:
    for days in (400, 399, 0):
        moment = NOW - days * DAY
        payload = deployment_status(1000 - days, at=f"{moment - HOUR:%Y-%m-%dT%H:%M:%SZ}")
        team.run("deployment_status", payload, now=moment)
    team.rename("acme/store")
    team.deployed(2, now=NOW + DAY)
    team.deployed(3, now=NOW + 2 * DAY)
    exposition = (team.shop.read("metrics.prom", "dora-metrics") or b"").decode()
    totals = [line for line in exposition.splitlines() if line.startswith("dora_deployments_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in totals) == 5
    assert 'repository="acme/shop"' not in exposition
    assert "acme/shop" in (team.shop.read("checkpoint.json", "dora-metrics") or b"").decode(), "as a former name"


# Sync


def merge_and_deploy(repository: Repository, number: int, hours: float) -> None:
    pull_request = repository.pull(f"Pull {number}", files={f"{number}.txt": "x"}, created_at=at(hours))
    repository.merge_pull(pull_request, method="squash", at=at(hours + 1))
    deploy(repository, hours + 2)


@NEW_NAMES
def test_a_sync_goes_on_where_it_was_before_the_rename(team: Repositories, new_name: str) -> None:
    for number in range(4):
        merge_and_deploy(team.shop, number, 24 * number)
    team.shop.issue("Slow", labels=["incident"], created_at=at(50))
    team.sync()
    before = facts_on_branch(team.shop)
    team.sync(now=NOW + HOUR)
    quiet = [request.operation for request in team.github.requests]
    team.rename(new_name)
    ran = team.sync(now=NOW + 2 * HOUR)
    assert [request.operation for request in team.github.requests[: len(quiet)]] == quiet
    assert "nothing new" in ran.log
    assert facts_on_branch(team.shop) == before, "what is recorded stays as it is"
    assert names_on_branch(team.shop) == [["acme/shop", new_name]]
    merge_and_deploy(team.shop, 4, 24 * 4)
    team.sync(now=NOW + 3 * HOUR)
    assert len(facts_on_branch(team.shop)) == len(before) + 2
    assert {scope["repository"] for scope in team.metrics["scopes"]} == {new_name}
    lead_time = json.loads(ran.outputs["metrics"])["scopes"][0]["metrics"]["lead_time"]
    assert set(json.loads(team.shop.read("cursors.json", "dora-metrics") or b"")) == {"acme/shop"}
    assert lead_time is not None


def test_the_old_name_finds_the_repository(team: Repositories) -> None:
    merge_and_deploy(team.shop, 1, 1)
    team.sync()
    team.rename("acme/store")
    ran = team.sync(repositories="acme/shop, acme/store")
    assert "nothing new" in ran.log
    assert {scope["repository"] for scope in team.metrics["scopes"]} == {"acme/store"}
    assert [request.operation for request in team.github.requests].count("NewestItems") == 2


def test_a_sync_of_the_old_name_alone_learns_of_the_rename(team: Repositories) -> None:
    payload = deployment_status(1) | {"repository": {"default_branch": "main"}}
    environment = {"GITHUB_API_URL": team.github.api_url}
    inputs = {"ledger": "branch:dora-metrics", "github-token": team.github.token}
    run_action(team.folder, "deployment_status", payload, inputs, now=NOW, environment=environment)
    assert names_on_branch(team.shop) == [], "nothing told the number"
    team.rename("acme/store")
    team.sync(repositories="acme/shop")
    assert team.scopes == {"acme/store": 1}


@pytest.mark.parametrize("request_number", range(12))
def test_a_rename_in_the_middle_of_a_sync_makes_no_second_repository(team: Repositories, request_number: int) -> None:
    for number in range(3):
        merge_and_deploy(team.shop, number, 24 * number)
    for _ in range(30):
        team.shop.run("Nightly", at=at(3))
    team.shop.alert(at=at(4))
    team.github.fail(meanwhile(lambda: team.rename("acme/app")), skip=request_number)
    ran = team.sync()
    team.github.heal()
    assert ran.code == 0
    assert "✗" not in ran.log
    assert "failed" not in ran.log
    team.github.state.rename(team.shop.name_with_owner, "acme/app")
    team.sync(now=NOW + DAY)
    facts = facts_on_branch(team.shop)
    assert len([fact for fact in facts.values() if fact["kind"] == "deployment"]) == 3
    assert len([fact for fact in facts.values() if fact["kind"] == "change"]) == 3
    assert [scope["repository"] for scope in team.metrics["scopes"]] == ["acme/app"]


# Another repository takes the old name


def shared(team: Repositories) -> dict[str, Any]:
    """Inputs of runs that share one ledger."""
    return {"ledger": f"dir:{team.folder}/ledger"}


def deployments_by_repository(ran: ActionRun) -> dict[str, int]:
    scopes = json.loads(ran.outputs["metrics"])["scopes"]
    return {scope["repository"]: scope["metrics"]["deployment_frequency"]["deployments"] for scope in scopes}


@pytest.mark.parametrize("is_rename_seen_first", [True, False])
def test_the_successor_is_never_mixed_with_it(team: Repositories, *, is_rename_seen_first: bool) -> None:
    inputs = {**shared(team), "repositories": "acme/*"}
    team.deployed(1, **inputs)
    team.rename("acme/store")
    successor = team.create()
    runs = [(2, team.shop), (3, successor)] if is_rename_seen_first else [(3, successor), (2, team.shop)]
    for hours, (number, repository) in enumerate(runs, 1):
        team.deployed(number, repository, now=NOW + hours * HOUR, **inputs)
    ran = team.deployed(4, successor, now=NOW + 3 * HOUR, **inputs)
    assert deployments_by_repository(ran) == {"acme/store": 2, "acme/shop": 2}


def counted_deployments(team: Repositories) -> dict[str, float]:
    """`dora_deployments_total` of the shared ledger by repository and service."""
    values = counter_values((team.folder / "ledger" / "metrics.prom").read_text("utf-8"))
    series = ((dict(labels), value) for (name, labels), value in values.items() if name == "dora_deployments_total")
    return {
        f"{labels['repository']} {labels['service']}": value
        for labels, value in series
        if labels["source"] == "deployments"
    }


def test_counters_stay_with_the_repository_that_had_the_name_before(team: Repositories) -> None:
    """Whether or not its new name is known yet; the one that took the name begins at its own totals."""
    for number in (1, 2, 3):
        team.deployed(number, **shared(team))
    stable_number = f"acme/shop@{team.shop.database_id}"
    team.rename("acme/store")
    successor = team.create()
    expected = [
        (successor, {"acme/shop shop": 1, f"{stable_number} {stable_number.partition('/')[2]}": 3}),
        (team.shop, {"acme/shop shop": 1, "acme/store store": 4}),
        (successor, {"acme/shop shop": 2, "acme/store store": 4}),
    ]
    for hours, (repository, counts) in enumerate(expected, 1):
        team.deployed(3 + hours, repository, now=NOW + hours * HOUR, **shared(team))
        assert counted_deployments(team) == counts
    payload = withdrawal(3)
    team.run("repository_dispatch", payload, team.shop, now=NOW + DAY, **shared(team))
    assert counted_deployments(team) == {"acme/shop shop": 2, "acme/store store": 4}, "a counter never falls"


def test_pull_requests_of_both_stay_apart_in_a_sync(team: Repositories) -> None:
    merge_and_deploy(team.shop, 1, 1)
    inputs = {**shared(team), "repositories": "acme/*"}
    team.sync(**inputs)
    team.rename("acme/store")
    successor = team.create()
    for number in (1, 2):
        merge_and_deploy(successor, number, 24 * number)
    ran = team.sync(now=NOW + HOUR, **inputs)
    again = team.sync(now=NOW + 2 * HOUR, **inputs)
    for each in (ran, again):
        scopes = json.loads(each.outputs["metrics"])["scopes"]
        assert {scope["repository"] for scope in scopes} == {"acme/shop", "acme/store"}
    assert "nothing new" in again.log
    lines = "".join(
        path.read_text("utf-8") for path in (team.folder / "ledger" / "facts").rglob("*.jsonl")
    ).splitlines()
    pulls = [record for line in lines if (record := json.loads(line))["id"] == "github:pull:acme/shop#1"]
    assert len(pulls) == 2, "the ledger keeps what it had"


# Reports


def test_a_report_issue_is_found_again_after_a_rename(team: Repositories) -> None:
    monday = datetime.fromisoformat("2026-11-23T06:00:00Z")
    for number in (1, 2):
        moment = monday - number * DAY
        payload = deployment_status(number, at=f"{moment:%Y-%m-%dT%H:%M:%SZ}")
        team.run("deployment_status", payload, now=moment + HOUR)

    def report(now: datetime) -> ActionRun:
        return team.run("workflow_dispatch", {"inputs": {}}, now=now, mode="report", report="weekly")

    report(monday)
    team.rename("acme/store")
    report(monday + HOUR)
    (issue,) = [issue for issue in team.shop.records_of(Issue) if marker_in(issue.body)]
    assert issue.title == "Delivery report · acme/store · week 47, 2026"
    report(monday + 7 * DAY)
    first, second = sorted(
        (issue for issue in team.shop.records_of(Issue) if marker_in(issue.body)), key=lambda issue: issue.number
    )
    assert first.closed_at is not None
    assert second.closed_at is None


@NEW_NAMES
def test_the_jobs_of_deployments_before_a_rename_are_found(team: Repositories, new_name: str) -> None:
    for hours, workflow, conclusion in (
        (30, "Deploy", "success"),
        (40, "Nightly backup", "success"),
        (50, "Deploy", "cancelled"),
    ):
        run = team.shop.run(
            workflow, sha=team.shop.head(), at=at(hours), finished_at=at(hours + 1), conclusion=conclusion
        )
        team.shop.job_deployment(run, started_at=at(hours), finished_at=at(hours + 0.5), conclusion=conclusion)
    team.rename(new_name)
    ran = team.sync(window="all")
    (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
    assert scope["metrics"]["deployment_frequency"]["deployments"] == 1
    assert scope["metrics"]["pipeline"]["failed_runs"] == 0
    assert "Nightly backup (1)" in ran.summary


def answer_all(answer: Answer, _: Request) -> Answer:
    return answer


@NEW_NAMES
def test_what_an_endpoint_is_owed_stays_owed_and_is_sent_once(team: Repositories, new_name: str) -> None:
    """The ids of pull requests and issues have the name of the repository in them."""
    pull_request = team.shop.pull("Pull", files={"1.txt": "x"}, created_at=at(24))
    team.shop.merge_pull(pull_request, method="squash", at=at(28))
    deploy(team.shop, 30)
    team.shop.issue("Checkout answers 500", labels=("incident",), created_at=NOW - 3 * HOUR)
    with listening(FakeEndpoint(rule=lambda _: Answer(503))) as endpoint:
        inputs: dict[str, Any] = {"endpoint-url": endpoint.url}
        team.sync(**inputs)
        team.rename(new_name)
        for answer in (Answer(503), Answer(400)):
            endpoint.rule = partial(answer_all, answer)
            team.sync(now=NOW + HOUR, **inputs)
        endpoint.rule = accept
        team.sync(now=NOW + 2 * HOUR, **inputs)
    sent = endpoint.accepted_ids
    assert len(sent) == len(set(sent))
    assert {each for each in sent if "#" in each} == {f"github:pull:{new_name}#1", f"github:issue:{new_name}#2"}


# A ledger that began after the rename


def deliver(team: Repositories, title: str, hours: float, body: str = "") -> None:
    """Merge a pull request and deploy it an hour later."""
    shop = team.shop
    pull = shop.pull(title, files={f"{hours}.txt": title}, body=body, created_at=at(hours - 2))
    deploy(shop, hours=hours + 1, sha=shop.merge_pull(pull, "squash", at=at(hours)))


def reverted_shop(team: Repositories, body: str = "Reverts acme/shop#1") -> None:
    """Deploy a change and its revert, which names it with the name of that time."""
    deploy(team.shop, hours=1, sha=team.shop.head() or "")
    deliver(team, "Faster checkout", 10)
    deliver(team, 'Revert "Faster checkout"', 20, body)


def failed_count(team: Repositories) -> int:
    (scope,) = team.metrics["scopes"]
    failed: int = scope["metrics"]["change_failure_rate"]["failed"]
    return failed


NUMBERS = "RepositoryNumbers"


def question_count(team: Repositories) -> int:
    """How often the last run has asked GitHub which repositories have some names."""
    return sum(request.operation == NUMBERS for request in team.github.requests)


@NEW_NAMES
@pytest.mark.parametrize("body", ["Reverts acme/shop#1", "Reverts https://github.com/acme/shop/pull/1"])
def test_a_first_sync_after_the_rename_knows_what_was_reverted_before(
    team: Repositories, new_name: str, body: str
) -> None:
    reverted_shop(team, body)
    team.rename(new_name)
    team.sync(window="all")
    assert failed_count(team) == 1
    assert names_on_branch(team.shop) == [["acme/shop", new_name]]
    assert question_count(team) == 1
    team.sync(now=NOW + HOUR, window="all")
    assert failed_count(team) == 1
    assert question_count(team) == 0


def test_an_incident_may_name_a_pull_request_by_a_former_name(team: Repositories) -> None:
    deploy(team.shop, hours=1, sha=team.shop.head() or "")
    deliver(team, "Faster checkout", 10)
    body = "### Deployment\n\nhttps://github.com/acme/shop/pull/1"
    team.shop.issue("Down", labels=["incident"], body=body, created_at=at(12))
    team.rename("acme/store")
    team.sync(window="all")
    assert failed_count(team) == 1


def test_a_name_of_another_repository_is_asked_for_once(team: Repositories) -> None:
    team.github.repository("acme/tools")
    reverted_shop(team, "Reverts acme/tools#1, acme/secret#1 and acme/shop#1")
    team.rename("acme/store")
    team.sync(window="all")
    assert question_count(team) == 1
    assert names_on_branch(team.shop) == [["acme/shop", "acme/store"]]
    team.sync(now=NOW + HOUR, window="all")
    assert question_count(team) == 0
    assert failed_count(team) == 1


def test_a_name_is_asked_for_again_if_github_does_not_answer(team: Repositories) -> None:
    reverted_shop(team)
    team.rename("acme/store")
    team.github.fail(unavailable(502), to=NUMBERS, times=None)
    ran = team.sync(window="all")
    assert "did not say which repositories" in ran.log
    assert failed_count(team) == 0
    team.github.heal()
    team.sync(now=NOW + HOUR, window="all")
    assert failed_count(team) == 1


def test_reverts_by_the_present_name_need_no_request(team: Repositories) -> None:
    reverted_shop(team)
    team.sync(window="all")
    assert failed_count(team) == 1
    assert question_count(team) == 0
