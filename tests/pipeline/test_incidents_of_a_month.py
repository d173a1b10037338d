"""A month of deployments and incidents of PagerDuty through the action, to numbers worked out by hand."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fakes.github import FakeGitHub
from fakes.incident_systems import TOKEN, FakePagerDuty
from support.runs import NOW, check_out, run_action
from support.servers import listening

DAY = timedelta(days=1)
SHA = "80827a6600000000000000000000000000000000"


def on(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def duty() -> Iterator[FakePagerDuty]:
    with listening(FakePagerDuty()) as system:
        # 40 min after the deployment of the 3rd, for 50 min
        system.add("P1", on(3, 9, 40), on(3, 10, 30))
        # names the deployment of the 10th by its version, for 2 h
        system.add("P2", on(11, 8), on(11, 10), extra={"body": {"version": "v2"}})
        # five days after the deployment before it, so it is attributed to none, for 4 h
        system.add("P3", on(15, 12), on(15, 16))
        # open
        system.add("P4", on(20, 10))
        # of a service that is skipped, and of one that nobody named
        system.add("S1", on(12, 8), on(12, 9), service="Search")
        system.add("M1", on(12, 8), on(12, 9), service="Mail")
        yield system


class Shop:
    def __init__(self, github: FakeGitHub, folder: Path, duty: FakePagerDuty) -> None:
        self.github, self.folder, self.duty = github, folder, duty
        system = {
            "system": "pagerduty",
            "url": duty.url,
            "services": {"Checkout": {"service": "shop", "environment": "production"}, "Search": "skip"},
            "fields": {"deployment": "body.version"},
        }
        check_out(folder, {".github/dora.yml": json.dumps({"incidents": [system], "since": "30d"})})

    def run(self, event: str, payload: object, now: datetime = NOW, **inputs: object) -> dict[str, Any]:
        """Run the action; return the only scope's numbers."""
        access = {
            "github-token": self.github.token,
            "ledger": "branch:dora-metrics",
            "incident-tokens": f"pagerduty: {TOKEN}",
            "incident-hosts": self.duty.host,
        }
        environment = {"GITHUB_API_URL": self.github.api_url}
        assert isinstance(payload, dict)
        ran = run_action(self.folder, event, payload, access | inputs, now=now, environment=environment)
        assert ran.code == 0, ran.log
        (scope,) = json.loads(ran.outputs["metrics"])["scopes"]
        metrics: dict[str, Any] = scope["metrics"]
        return {**metrics, "evidence": scope["evidence"], "summary": ran.summary}

    def deploy(self, version: str, at: datetime) -> None:
        deployment = {"id": version, "version": version, "sha": SHA, "finished_at": at.isoformat(), "service": "shop"}
        payload = {"action": "dora-deployment", "client_payload": {"deployment": deployment}}
        self.run("repository_dispatch", payload, now=at + timedelta(minutes=1))

    def sync(self, now: datetime = NOW) -> dict[str, Any]:
        return self.run("schedule", {"schedule": "17 5 * * *"}, now=now)


@pytest.fixture
def shop(tmp_path: Path, duty: FakePagerDuty) -> Iterator[Shop]:
    with FakeGitHub(now=lambda: NOW) as github:
        github.repository("acme/shop").commit({"README.md": "shop"}, message="Begin")
        yield Shop(github, tmp_path, duty)


def test_the_numbers_are_those_worked_out_by_hand(shop: Shop, duty: FakePagerDuty) -> None:
    for version, at in (("v1", on(3, 9)), ("v2", on(10, 9)), ("v3", on(12, 9))):
        shop.deploy(version, at)
    metrics = shop.sync()
    restore = metrics["incident_restore"]
    # 50 min, 2 h and 4 h: the median is 2 h, the mean 6 h 50 min / 3
    assert (restore["incidents"], restore["resolved"], restore["open"]) == (4, 3, 1)
    assert restore["p50_seconds"] == 7_200
    assert restore["mean_seconds"] == pytest.approx((3_000 + 7_200 + 14_400) / 3)
    # P3 and P4 began more than 24 h after the last deployment
    assert restore["unmatched"] == 2
    assert sorted(each["incident"] for each in metrics["evidence"]["unmatched_incidents"]) == [
        "pagerduty:P3",
        "pagerduty:P4",
    ]
    # v1 by the time, v2 because the incident names its version
    rate = metrics["change_failure_rate"]
    assert (rate["failed"], rate["deployments"]) == (2, 3)
    failed = {
        each["deployment"]: (each["rule"], each["recovered_at"]) for each in metrics["evidence"]["failed_deployments"]
    }
    assert failed == {
        "dispatch:v1": ("incident", "2026-11-03T10:30:00Z"),
        "dispatch:v2": ("explicit", "2026-11-11T10:00:00Z"),
    }
    assert (
        "pagerduty: 1 incident of services that `services` does not name, not recorded: Mail (1)." in metrics["summary"]
    )

    # the next day, the open one has ended after 25 h, and nothing else changed
    duty.change("P4", ended=on(21, 11))
    restore = shop.sync(NOW + DAY)["incident_restore"]
    assert (restore["incidents"], restore["resolved"], restore["open"]) == (4, 4, 0)
    # 50 min, 2 h, 4 h and 25 h: the median is 3 h
    assert restore["p50_seconds"] == 10_800
    before = len(duty.requests)
    again = shop.sync(NOW + DAY + timedelta(hours=2))
    assert again["incident_restore"]["p50_seconds"] == 10_800
    assert len(duty.requests) - before == 2


def test_a_sync_that_cannot_read_says_so_in_the_numbers_until_one_can(shop: Shop, duty: FakePagerDuty) -> None:
    shop.deploy("v1", on(3, 9))
    token, duty.token = duty.token, "another"
    metrics = shop.sync()
    assert metrics["incident_restore"]["incidents"] == 0
    note = (
        "The incidents of pagerduty for acme/shop are unread since the beginning, which does not mean that there were"
    )
    assert note in metrics["summary"]
    duty.token = token
    metrics = shop.sync(NOW + timedelta(hours=1))
    assert metrics["incident_restore"]["incidents"] == 4
    assert note not in metrics["summary"]
