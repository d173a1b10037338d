"""The same alert by both ways is one incident: as a real Alertmanager notifies it, and as a real Prometheus has it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dora_metrics.core.alertmanager import fingerprint_of
from fakes.github import FakeGitHub
from support.alerted_shop import AlertedShop, Incidents
from support.alerting import AlertingStack, alerting

EXTERNAL_LABELS = {"cluster": "eu-1"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertingStack]:
    """The alert fired twice and ended, and then fires a third time."""
    with alerting(tmp_path_factory.mktemp("alerting")) as running:
        running.fire()
        running.fire()
        running.begin()
        yield running


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as made:
        made.repository("acme/shop").commit({"README.md": "shop"}, message="Begin")
        yield made


def notified_shop(github: FakeGitHub, folder: Path, stack: AlertingStack) -> AlertedShop:
    """A shop that recorded all notifications so far."""
    shop = AlertedShop(github, folder, stack.prometheus.url)
    for body in stack.notifications:
        ran = shop.dispatch_payload({"alertmanager": body}, now=datetime.now(UTC))
        assert ran.code == 0, ran.log
    return shop


def states(incidents: Incidents) -> dict[str, tuple[object, ...]]:
    names = ("detected_at", "resolved_at", "severity", "service", "environment", "repository", "source")
    return {fact_id: tuple(incident[name] for name in names) for fact_id, incident in incidents.items()}


def test_a_sync_finds_the_incidents_that_notifications_reported(
    stack: AlertingStack, github: FakeGitHub, tmp_path: Path
) -> None:
    notified = notified_shop(github, tmp_path / "notified", stack).incidents()
    reading = AlertedShop(github, tmp_path / "reading", stack.prometheus.url)
    ran = reading.sync(now=datetime.now(UTC), strict="true")
    assert ran.code == 0, ran.log
    assert states(reading.incidents()) == states(notified)
    assert [incident["resolved_at"] is None for _, incident in sorted(notified.items())] == [False, False, True]
    assert {incident["title"] for incident in notified.values()} == {"The shop is down"}
    assert {incident["title"] for incident in reading.incidents().values()} == {"ShopDown"}


def test_both_ways_in_one_ledger_are_one_incident(stack: AlertingStack, github: FakeGitHub, tmp_path: Path) -> None:
    shop = notified_shop(github, tmp_path, stack)
    notified = shop.incidents()
    ran = shop.sync(now=datetime.now(UTC), strict="true")
    assert ran.code == 0, ran.log
    assert shop.incidents() == notified
    assert len(notified) == 3


def test_notifications_after_a_sync_add_their_summary(stack: AlertingStack, github: FakeGitHub, tmp_path: Path) -> None:
    AlertedShop(github, tmp_path, stack.prometheus.url).sync(now=datetime.now(UTC))
    incidents = notified_shop(github, tmp_path, stack).incidents()
    assert len(incidents) == 3
    assert {incident["title"] for incident in incidents.values()} == {"The shop is down"}


def test_a_second_sync_changes_nothing(stack: AlertingStack, github: FakeGitHub, tmp_path: Path) -> None:
    shop = AlertedShop(github, tmp_path, stack.prometheus.url)
    shop.sync(now=datetime.now(UTC))
    incidents = shop.incidents()
    shop.sync(now=datetime.now(UTC))
    assert shop.incidents() == incidents


def test_the_fingerprint_is_that_of_alertmanager(stack: AlertingStack) -> None:
    alerts = [alert for body in stack.notifications for alert in body["alerts"]]
    assert {fingerprint_of(alert["labels"]) for alert in alerts} == {alert["fingerprint"] for alert in alerts}


def test_with_external_labels_they_are_one_incident_once_these_are_known(github: FakeGitHub, tmp_path: Path) -> None:
    with alerting(tmp_path, EXTERNAL_LABELS) as stack:
        stack.begin()
        notified = notified_shop(github, tmp_path / "notified", stack).incidents()
        reading = AlertedShop(github, tmp_path / "reading", stack.prometheus.url)
        reading.sync(now=datetime.now(UTC))
        assert states(reading.incidents()) != states(notified)
        told = AlertedShop(github, tmp_path / "told", stack.prometheus.url)
        told.configure({"prometheus-external-labels": EXTERNAL_LABELS})
        told.sync(now=datetime.now(UTC))
        assert states(told.incidents()) == states(notified)
