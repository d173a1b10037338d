"""A repository is renamed and another one is created under its name; each has the same workflow and its own ledger."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.datadog import TOKEN, FakeDatadog
from support.runs import NOW, ActionRun, deployment_status, incident_issue, run_action
from support.servers import PushgatewayGroups, listening, pushgateway

DAY = timedelta(days=1)


@dataclass
class Workflow:
    """The workflow of a repository, which may be renamed; its ledger is in a folder."""

    folder: Path
    number: int
    name: str

    def run(self, event: str, payload: dict[str, object], days_ago: float = 0, **inputs: object) -> ActionRun:
        payload = {**payload, "repository": {"full_name": self.name, "id": self.number, "default_branch": "main"}}
        environment = {"GITHUB_REPOSITORY": self.name, "GITHUB_REPOSITORY_ID": str(self.number)}
        named = {name.replace("_", "-"): value for name, value in inputs.items()}
        ran = run_action(self.folder, event, payload, named, now=NOW - days_ago * DAY, environment=environment)
        assert ran.code == 0, ran.log
        return ran

    def deploy(self, number: int, days_ago: float, url: str) -> None:
        time = NOW - days_ago * DAY
        payload = deployment_status(number, at=time.isoformat())
        ran = self.run("deployment_status", payload, days_ago - 0.01, pushgateway_url=url)
        assert "Pushgateway ✓" in ran.summary

    def report_incident(self, number: int, days_ago: float, datadog: FakeDatadog, title: str = "Down") -> None:
        opened = (NOW - days_ago * DAY).isoformat()
        address = f"https://github.com/{self.name}/issues/{number}"
        payload = incident_issue(number, title, created_at=opened, updated_at=opened, html_url=address)
        endpoint = {"name": "dd", "template": "datadog", "url": datadog.url, "events": ["incident"], "token": "dd"}
        inputs = {"endpoints": [endpoint], "endpoint_tokens": f"dd: {TOKEN}"}
        ran = self.run("issues", payload, days_ago - 0.01, **inputs)
        assert "endpoint dd ✓" in ran.summary, ran.log


@pytest.fixture
def old(tmp_path: Path) -> Workflow:
    (tmp_path / "old").mkdir()
    return Workflow(tmp_path / "old", 11, "acme/api")


@pytest.fixture
def new(tmp_path: Path) -> Workflow:
    (tmp_path / "new").mkdir()
    return Workflow(tmp_path / "new", 22, "acme/api")


@pytest.fixture
def datadog() -> Iterator[FakeDatadog]:
    with listening(FakeDatadog()) as fake:
        yield fake


def test_datadog_has_the_incidents_of_both(old: Workflow, new: Workflow, datadog: FakeDatadog) -> None:
    old.report_incident(5, 9, datadog)
    old.name = "acme/api-legacy"
    new.report_incident(5, 3, datadog)
    assert sorted(incident["custom_tags"][0] for incident in datadog.incidents.values()) == ["repository:acme/api"] * 2
    old.report_incident(5, 2, datadog, title="Still down")
    assert len(datadog.incidents) == 2, "a rename changes no id"
    assert {incident["name"] for incident in datadog.incidents.values()} == {"Still down", "Down"}


def pushed(url: str, name: str) -> float:
    """The deployments that a Pushgateway has of a repository."""
    return sum(value for _, value in PushgatewayGroups.read(url).samples(name, "dora_deployments_total"))


def test_a_pushgateway_counts_the_deployments_of_the_new_one_from_its_first_one(
    old: Workflow, new: Workflow, tmp_path: Path
) -> None:
    with pushgateway(tmp_path) as url:
        for number in range(4):
            old.deploy(number + 1, 20 - number, url)
        old.name = "acme/api-legacy"
        old.deploy(5, 10, url)
        assert (pushed(url, "acme/api"), pushed(url, "acme/api-legacy")) == (4, 5)
        new.deploy(100, 5, url)
        assert pushed(url, "acme/api") == 1
        new.deploy(101, 4, url)
        assert (pushed(url, "acme/api"), pushed(url, "acme/api-legacy")) == (2, 5)
        (labels,) = (labels for labels, _ in PushgatewayGroups.read(url).samples("acme/api", "dora_repository_info"))
        assert labels["repository_id"] == "github:repository:22"


def test_an_older_ledger_of_the_new_one_lowers_no_counter(old: Workflow, new: Workflow, tmp_path: Path) -> None:
    """Also where it has read both: its own number is in the group."""
    with pushgateway(tmp_path) as url:
        old.deploy(1, 20, url)
        new.folder = old.folder
        new.deploy(100, 5, url)
        counters = (new.folder / "ledger" / "counters.json").read_bytes()
        facts = {path: path.read_bytes() for path in (new.folder / "ledger" / "facts").rglob("*.jsonl")}
        new.deploy(101, 4, url)
        (new.folder / "ledger" / "counters.json").write_bytes(counters)
        for path, content in facts.items():
            path.write_bytes(content)
        assert json.loads(counters)
        new.deploy(100, 3, url)
        assert pushed(url, "acme/api") == 2
