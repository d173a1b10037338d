"""Reports to endpoints: sent once, by the run that claims the report, or by the next one that reads all months."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dora_metrics.core.ledger.layout import ENDPOINTS_OUTBOX_FILE
from fakes.github import FakeGitHub
from support.reporting_shop import MONDAY, ReportingShop
from support.runs import deployment_status
from support.servers import Answer, listen

CHAT = {"endpoint-template": "slack"}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ReportingShop]:
    with FakeGitHub(now=lambda: MONDAY) as github:
        yield ReportingShop(github, tmp_path)


def owed_lines(shop: ReportingShop) -> list[bytes]:
    return (shop.read(ENDPOINTS_OUTBOX_FILE) or b"").splitlines()


def test_a_report_is_sent_once(shop: ReportingShop) -> None:
    with listen(Answer(200, b"ok")) as chat:
        first = shop.report(**CHAT, **{"endpoint-url": chat.url})
        again = shop.report(**CHAT, **{"endpoint-url": chat.url})
    (message,) = chat.requests
    assert b"week 47" in message.body.lower()
    assert "endpoint ✓ 1 report" in first.summary
    assert "nothing to send" in again.summary
    assert owed_lines(shop) == []


def test_a_report_that_was_refused_is_sent_by_the_next_run_that_reads_all_months(shop: ReportingShop) -> None:
    with listen(Answer(503)) as down:
        ran = shop.report(**CHAT, **{"endpoint-url": down.url})
    assert "1 report is kept for the next run" in ran.summary
    assert owed_lines(shop) == [b'{"endpoint":"default","id":"report:weekly:2026-W47","owed_at":4}']
    with listen(Answer(200, b"ok")) as chat:
        shop.report(**CHAT, **{"endpoint-url": chat.url})
    assert len(chat.requests) == 1
    assert owed_lines(shop) == []


def test_an_endpoint_that_did_not_name_reports_is_owed_none(shop: ReportingShop) -> None:
    with listen(Answer(503)) as down:
        shop.report(**{"endpoint-url": down.url})
    assert owed_lines(shop) == []


def test_a_deployment_is_a_message_and_a_report_that_waits_goes_with_it(shop: ReportingShop) -> None:
    """The ledger is young, so an event's run has read all of it."""
    with listen(Answer(503)) as down:
        shop.report(**CHAT, **{"endpoint-url": down.url})
    with listen(Answer(200, b"ok")) as chat:
        payload = deployment_status(9, at=f"{MONDAY:%Y-%m-%dT%H:%M:%SZ}")
        ran = shop.run_event("deployment_status", payload, {**CHAT, "endpoint-url": chat.url}, now=MONDAY)
    assert "endpoint ✓ 1 fact and 1 report" in ran.summary
    assert len(chat.requests) == 2
