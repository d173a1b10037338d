"""Numbers of a repository stay the same when it is renamed, whatever names its service like the repository."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fakes.github import FakeGitHub
from fakes.records import Issue
from support.alerted_shop import notification
from support.prometheus_text import counter_values
from support.runs import NOW, ActionRun, deployment_status, run_action, write_settings
from support.servers import OK, listen
from support.written_series import Written

NEW_NAMES = pytest.mark.parametrize("new_name", ["acme/store", "acme/Shop"], ids=["renamed", "in other letters"])
NUMBER = 7


class Shop:
    """The repository with number 7, which has one name and then another; its ledger is a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, "acme/shop"
        self.inputs: dict[str, object] = {}

    def run(self, event: str, payload: dict[str, Any], **inputs: object) -> ActionRun:
        about = {"id": NUMBER, "full_name": self.name, "default_branch": "main"}
        environment = {"GITHUB_REPOSITORY": self.name, "GITHUB_REPOSITORY_ID": str(NUMBER)}
        everything = {**self.inputs, **inputs}
        ran = run_action(self.folder, event, {**payload, "repository": about}, everything, environment=environment)
        assert ran.code == int(bool(inputs.get("strict"))), ran.log
        return ran

    def deploy(self, *numbers: int, **inputs: object) -> None:
        """Deploy once on each of these days after the tenth."""
        for number in numbers:
            self.run("deployment_status", deployment_status(number, at=f"2026-11-{10 + number}T11:00:00Z"), **inputs)

    def alert(self, **inputs: object) -> ActionRun:
        """Record an alert after the first deployment, with the present labels of the shop."""
        body = notification(alert_with(service="shop", environment="production"))
        return self.dispatch(body, **inputs)

    def dispatch(self, body: object, **inputs: object) -> ActionRun:
        payload = {"action": "dora-incident", "client_payload": {"alertmanager": body}}
        return self.run("repository_dispatch", payload, **inputs)

    def rebuild(self, **inputs: object) -> ActionRun:
        return self.run("workflow_dispatch", {"inputs": {}}, mode="rebuild", **inputs)

    @property
    def numbers(self) -> dict[tuple[str, str], tuple[int, int, float | None]]:
        """Deployments, failures and seconds of recovery by repository and service."""
        scopes = json.loads((self.folder / "ledger" / "metrics.json").read_text("utf-8"))["scopes"]
        return {(scope["repository"], scope["service"]): numbers_of(scope["metrics"]) for scope in scopes}

    @property
    def totals(self) -> dict[str, float]:
        """The counter of deployments by service."""
        return deployments_by_service((self.folder / "ledger" / "metrics.prom").read_text("utf-8"))


def alert_with(**labels: str) -> dict[str, object]:
    return {
        "status": "resolved",
        "labels": {"alertname": "Down", **labels},
        "annotations": {},
        "startsAt": "2026-11-11T12:00:00Z",
        "endsAt": "2026-11-11T13:00:00Z",
        "generatorURL": "",
        "fingerprint": "c59d274570a8a903",
    }


def numbers_of(metrics: dict[str, Any]) -> tuple[int, int, float | None]:
    rate = metrics["change_failure_rate"]
    return rate["deployments"], rate["failed"], metrics["recovery_time"]["p50_seconds"]


def deployments_by_service(text: str) -> dict[str, float]:
    series = ((dict(labels), value) for (name, labels), value in counter_values(text).items() if is_total(name))
    return {labels["service"]: value for labels, value in series if labels["source"] == "deployments"}


def is_total(name: str) -> bool:
    return name == "dora_deployments_total"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# Incidents


@NEW_NAMES
@pytest.mark.parametrize("is_rebuilt", [True, False])
def test_an_incident_keeps_its_deployment(shop: Shop, new_name: str, *, is_rebuilt: bool) -> None:
    shop.deploy(1, 2, 3)
    shop.alert()
    assert shop.numbers == {("acme/shop", "shop"): (3, 1, 7200.0)}
    shop.name = new_name
    shop.deploy(4)
    if is_rebuilt:
        shop.rebuild()
    assert shop.numbers == {(new_name, new_name.removeprefix("acme/")): (4, 1, 7200.0)}


def test_an_alert_with_the_former_name_as_its_service_fails_a_deployment(shop: Shop) -> None:
    shop.deploy(1)
    shop.name = "acme/store"
    shop.deploy(2)
    ran = shop.alert()
    assert [fact["service"] for fact in ran.facts] == ["store"]
    assert shop.numbers == {("acme/store", "store"): (2, 1, 7200.0)}


# The service of deployments


@NEW_NAMES
def test_a_setting_that_goes_on_to_name_it_changes_nothing(shop: Shop, new_name: str) -> None:
    shop.inputs = {"service": "shop"}
    shop.deploy(1, 2, 3)
    shop.name = new_name
    shop.deploy(4)
    assert shop.totals == {new_name.removeprefix("acme/"): 4}
    shop.rebuild()
    assert shop.totals == {new_name.removeprefix("acme/"): 4}


def test_deployments_with_and_without_it_stay_in_one_scope(shop: Shop) -> None:
    shop.deploy(1, 2, 3)
    shop.deploy(4, 5, service="shop")
    shop.name = "acme/store"
    shop.deploy(6, service="shop")
    shop.deploy(7, service="store")
    shop.deploy(8)
    assert shop.totals == {"store": 8}
    assert [numbers[0] for numbers in shop.numbers.values()] == [8]


def test_a_service_of_a_monorepo_keeps_its_name_and_its_counters(shop: Shop) -> None:
    shop.inputs = write_settings(shop.folder, "services:\n  shop: shop/**\n  web: web/**\n")
    for day in (1, 3):
        shop.deploy(day, service="shop")
        shop.deploy(day + 1, service="web")
    shop.name = "acme/store"
    shop.deploy(5, service="shop")
    shop.rebuild()
    assert shop.totals == {"shop": 3, "web": 2}


def test_a_series_that_an_earlier_version_made_is_gone_after_a_rebuild(shop: Shop) -> None:
    shop.inputs = {"service": "shop"}
    shop.deploy(1, 2, 3)
    shop.name = "acme/store"
    shop.deploy(4)
    counters = shop.folder / "ledger" / "counters.json"
    content = json.loads(counters.read_text("utf-8"))
    (marks,) = content["scopes"]
    content["scopes"].append({**marks, "service": "shop"})
    counters.write_text(json.dumps(content), "utf-8")
    shop.rebuild()
    assert shop.totals == {"store": 4}
    assert [each["service"] for each in json.loads(counters.read_text("utf-8"))["scopes"]] == [""]


def test_pushgateway_and_remote_write_get_one_series(shop: Shop) -> None:
    with listen(OK) as target:
        shop.inputs = {"service": "shop", "remote-write-url": f"{target.url}/w", "pushgateway-url": f"{target.url}/p"}
        shop.deploy(1, 2, 3)
        shop.name = "acme/store"
        shop.deploy(4)
        target.requests.clear()
        shop.rebuild()
        (push,) = [request for request in target.requests if request.method == "PUT"]
        assert deployments_by_service(push.body.decode()) == {"store": 4}
        written = [dict(labels) for request in target.requests if request.path == "/w" for labels, _ in series(request)]
    totals = [labels for labels in written if is_total(labels["__name__"]) and labels["source"] == "deployments"]
    assert {labels["service"] for labels in totals} == {"store"}


def series(request: Any) -> Any:  # noqa: ANN401 - what was sent
    return Written.of(request).series


# Reports


def test_each_scope_has_its_own_report(tmp_path: Path) -> None:
    with FakeGitHub(now=lambda: NOW) as github:
        repository = github.repository("acme/shop", empty=True)
        repository.commit({"README.md": "shop"}, message="Begin")
        settings = write_settings(tmp_path, "services:\n  shop: shop/**\n")

        def run(event: str, payload: dict[str, Any], weeks: int = 0, **inputs: object) -> ActionRun:
            environment = {
                "GITHUB_API_URL": github.api_url,
                "GITHUB_REPOSITORY": repository.name_with_owner,
                "GITHUB_REPOSITORY_ID": str(repository.database_id),
            }
            access = {"ledger": "branch:dora-metrics", "github-token": github.token, **settings, **inputs}
            now = NOW + timedelta(weeks=weeks)
            return run_action(tmp_path, event, payload, access, now=now, environment=environment)

        for number, service in enumerate(["shop", "", "shop", ""]):
            if number == 1:
                github.state.rename("acme/shop", "acme/store")
            payload = deployment_status(number + 1, at=f"2026-11-{10 + number}T11:00:00Z")
            run("deployment_status", payload, service=service)
        for weeks in (0, 0, 1):
            report = {"mode": "report", "report": "weekly", "report-per-scope": "true"}
            run("workflow_dispatch", {"inputs": {}}, weeks, **report)
        titles = [issue.title for issue in repository.records_of(Issue)]
        assert titles == [
            f"Delivery report · acme/store{scope} · week {week}, 2026"
            for week in (46, 47)
            for scope in ("", " · shop · production")
        ]


# Alerts that name the repository


def test_an_alert_with_the_former_name_of_the_repository_is_recorded(shop: Shop) -> None:
    shop.deploy(1)
    shop.name = "acme/store"
    shop.deploy(2)
    ran = shop.dispatch(notification(alert_with(repository="acme/shop", environment="production")))
    assert [fact["repository"] for fact in ran.facts] == ["acme/store"]
    assert "::warning" not in ran.log


@pytest.mark.parametrize("strict", [True, False])
def test_an_alert_of_a_repository_that_the_ledger_does_not_cover_is_a_warning(shop: Shop, *, strict: bool) -> None:
    ran = shop.dispatch(notification(alert_with(repository="acme/pay")), strict=strict)
    assert ran.facts == []
    assert "::warning title=dora-metrics%3A event::1 alert is not recorded" in ran.log
    assert "does not cover: acme/pay. Add it to `repositories`" in ran.log
