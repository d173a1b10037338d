"""The token of an incident system goes only to its own host, or to one that the workflow names.

A checkout may be a stranger's pull request. Its file must neither send a token elsewhere nor make a run ask an address
that nobody who is trusted has named.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fakes.github import FakeGitHub
from fakes.incident_systems import PLAIN_FIELDS, TOKEN, FakeLinked, FakePagerDuty
from support.runs import NOW, ActionRun, check_out, run_action
from support.servers import Answer, Listener, listen, listening

CONFIG = ".github/dora.yml"
WITHHELD = "has a `url` on a host that the input `incident-hosts` does not name"


class CheckedOutShop:
    """A repository whose default branch has one file, and a checkout that has another."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.repository = github.repository("acme/shop")

    def sync(self, checkout: object, default_branch: object = None, **inputs: object) -> ActionRun:
        content = None if default_branch is None else json.dumps({"incidents": default_branch})
        self.repository.commit({CONFIG: content}, message="Configure")
        check_out(self.folder, {CONFIG: json.dumps({"incidents": checkout})})
        access = {
            "github-token": self.github.token,
            "ledger": "branch:dora-metrics",
            "mode": "sync",
            "incident-tokens": f"pagerduty: {TOKEN}\njira: ada:{TOKEN}\nstatuspage: {TOKEN}\npager: {TOKEN}",
        }
        settings = {name.replace("_", "-"): value for name, value in inputs.items()}
        environment = {"GITHUB_API_URL": self.github.api_url}
        return run_action(self.folder, "workflow_dispatch", {"inputs": {}}, access | settings, environment=environment)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[CheckedOutShop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield CheckedOutShop(github, tmp_path)


@pytest.fixture
def outside() -> Iterator[Listener]:
    with listen(Answer(200, b"[]")) as listener:
        yield listener


def planted(url: str) -> list[list[Mapping[str, object]]]:
    """The ways in which a file could try to get a token, or a request, to an address."""
    custom = {"system": "custom", "name": "pager", "url": f"{url}/x", "fields": PLAIN_FIELDS}
    return [
        [{"system": "pagerduty", "url": url}],
        [{"system": "jira", "url": url, "jql": "a = b"}],
        [{"system": "statuspage", "url": url, "page-id": "abc"}],
        [custom],
        [{**custom, "headers": {"X-Key": "${token}"}}],
        [{"system": "pagerduty"}, custom],
    ]


@pytest.mark.parametrize("way", range(6))
def test_an_address_that_only_the_checkout_names_is_not_asked(
    shop: CheckedOutShop, outside: Listener, way: int
) -> None:
    systems = [each for each in planted(outside.url)[way] if "url" in each]
    ran = shop.sync(systems)
    assert ran.code == 0
    assert outside.requests == []
    assert f"incidents: not read: `incidents` in the checkout's {CONFIG} {WITHHELD}" in ran.summary
    assert TOKEN not in ran.log + ran.summary


@pytest.mark.parametrize("way", range(5))
def test_an_address_of_the_default_branch_gets_no_token_unless_the_workflow_names_its_host(
    shop: CheckedOutShop, outside: Listener, way: int
) -> None:
    systems = planted(outside.url)[way]
    ran = shop.sync(systems, default_branch=systems)
    assert outside.requests == []
    assert "its token is not sent to 127.0.0.1" in ran.summary


@pytest.mark.parametrize(
    "url",
    [
        "http://{host}@evil.example",
        "http://user:pass@{host}",
        "http://{host}\\@evil.example",
        "http://evil.example/{host}",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_a_wrong_setting(
    shop: CheckedOutShop, outside: Listener, url: str
) -> None:
    ran = shop.sync([{"system": "pagerduty", "url": url.format(host=outside.host)}], incident_hosts=outside.host)
    assert ran.code == 2
    assert "incidents: pagerduty: url: " in ran.log
    assert outside.requests == []


def test_a_file_cannot_name_hosts(shop: CheckedOutShop, outside: Listener) -> None:
    check_out(shop.folder, {CONFIG: ""})
    shop.repository.commit({"a": "b"}, message="x")
    check_out(shop.folder, {CONFIG: json.dumps({"incident-hosts": outside.host, "incidents": planted(outside.url)[0]})})
    access = {"github-token": shop.github.token, "mode": "sync", "incident-tokens": f"pagerduty: {TOKEN}"}
    environment = {"GITHUB_API_URL": shop.github.api_url}
    ran = run_action(shop.folder, "workflow_dispatch", {"inputs": {}}, access, environment=environment)
    assert ran.code == 2
    assert "incident-hosts: a file must not say where tokens go; set it as an input" in ran.log
    assert outside.requests == []


def test_the_default_branchs_systems_are_read_in_place_of_a_planted_one(
    shop: CheckedOutShop, outside: Listener
) -> None:
    with listening(FakePagerDuty()) as duty:
        trusted = [{"system": "pagerduty", "url": duty.url}]
        ran = shop.sync([{"system": "pagerduty", "url": outside.url}], default_branch=trusted, incident_hosts=duty.host)
        assert WITHHELD in ran.summary
        assert len(duty.requests) == 2
    assert outside.requests == []


def test_a_host_that_the_workflow_names_is_enough(shop: CheckedOutShop) -> None:
    with listening(FakePagerDuty()) as duty:
        ran = shop.sync([{"system": "pagerduty", "url": duty.url}], incident_hosts=duty.host)
        assert duty.requests[0].headers["Authorization"] == f"Token token={TOKEN}"
        assert WITHHELD not in ran.summary


def test_a_port_is_another_host(shop: CheckedOutShop, outside: Listener) -> None:
    shop.sync([{"system": "pagerduty", "url": outside.url}], incident_hosts="127.0.0.1\n127.0.0.1:1")
    assert outside.requests == []


def test_a_system_whose_address_a_file_changes_does_not_use_a_token_of_another(
    shop: CheckedOutShop, outside: Listener
) -> None:
    """A custom system cannot have the name of a preset, and so not its token."""
    custom = {"system": "custom", "name": "pagerduty", "url": outside.url, "fields": PLAIN_FIELDS}
    ran = shop.sync([custom], incident_hosts=outside.host)
    assert ran.code == 2
    assert outside.requests == []


@pytest.mark.parametrize("link", ["{url}/next", "//{host}/next", "http://x@{host}/next", "http:{host}"])
def test_no_link_of_an_answer_leads_elsewhere(shop: CheckedOutShop, outside: Listener, link: str) -> None:
    header = f'<{link.format(url=outside.url, host=outside.host)}>; rel="next"'
    with listening(FakeLinked()) as fake:
        body = json.dumps({"data": []}).encode()
        fake.answers = {1: Answer(200, body, {"Link": header})}
        system = {
            "system": "custom",
            "name": "pager",
            "url": f"{fake.url}/api/incidents",
            "fields": PLAIN_FIELDS,
            "page": {"link": "next"},
            "each": "data",
        }
        shop.sync([system], incident_hosts=f"{fake.host}\n{outside.host}")
        assert fake.requests
    assert outside.requests == []


def test_an_event_asks_no_system(shop: CheckedOutShop) -> None:
    with listening(FakePagerDuty()) as duty:
        shop.sync([{"system": "pagerduty", "url": duty.url}], incident_hosts=duty.host, mode="rebuild")
        assert duty.requests == []
