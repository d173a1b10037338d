"""The action records a page and, later, the issue of the same incident: one incident, whichever comes first."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.events import dispatch, issue
from support.prometheus_text import counter_values, shop_value
from support.runs import ActionRun, run_action

PAGE = "https://acme.pagerduty.com/incidents/Q1ABC"
REPOSITORY = {"default_branch": "main"}


class ReportingRuns:
    """Runs of acme/shop with a ledger in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, event: str, payload: Mapping[str, object], **inputs: str) -> ActionRun:
        inputs = {"ledger": "dir:ledger", **inputs}
        return run_action(self.folder, event, {**payload, "repository": REPOSITORY}, inputs)

    def deploy(self) -> ActionRun:
        fields = {"id": "d1", "version": "v1", "sha": "a" * 40, "finished_at": "2026-11-20T12:00:00Z"}
        return self.run("repository_dispatch", dispatch("dora-deployment", **fields))

    def page(self, **fields: object) -> ActionRun:
        default = {"id": "pagerduty:Q1ABC", "severity": "high", "detected_at": "2026-11-20T14:00:00Z"}
        return self.run("repository_dispatch", dispatch("dora-incident", **default, **fields))

    def resolve_page(self) -> ActionRun:
        return self.page(resolved_at="2026-11-20T14:40:00Z")

    def issue(self, body: str) -> ActionRun:
        return self.run("issues", issue("opened", "incident", title="Checkout is down", body=body))

    def close_issue(self, body: str) -> ActionRun:
        moment = "2026-11-21T10:00:00Z"
        closed = issue("closed", "incident", title="Checkout is down", body=body, state="closed", closed_at=moment)
        return self.run("issues", {**closed, "issue": {**closed["issue"], "updated_at": moment}})

    def counter(self, name: str) -> float | None:
        return shop_value(counter_values((self.folder / "ledger" / "metrics.prom").read_text("utf-8")), name)

    def restore(self) -> dict[str, Any]:
        document = json.loads((self.folder / "ledger" / "metrics.json").read_text("utf-8"))
        restore: dict[str, Any] = document["scopes"][0]["metrics"]["incident_restore"]
        return restore


@pytest.fixture
def runs(tmp_path: Path) -> ReportingRuns:
    runs = ReportingRuns(tmp_path)
    runs.deploy()
    return runs


def test_a_page_and_the_issue_that_names_it_are_one_incident(runs: ReportingRuns) -> None:
    runs.page()
    runs.resolve_page()
    opened = runs.issue(f"also: {PAGE}")
    assert "✅ Incident resolved after" in opened.summary
    assert "also reported as pagerduty:Q1ABC" in opened.summary.replace("\u200b", "").replace("\\", "")
    assert (runs.restore()["incidents"], runs.restore()["open"], runs.counter("dora_incidents_total")) == (1, 0, 1)
    runs.close_issue(f"also: {PAGE}")
    assert (runs.restore()["p50_seconds"], runs.counter("dora_incident_restore_seconds_count")) == (40 * 60, 1)
    (failure,) = json.loads(runs.run("schedule", {}, mode="rebuild").outputs["metrics"])["scopes"][0]["evidence"][
        "failed_deployments"
    ]
    assert (failure["remediated_by"], failure["recovered_at"]) == ("github:issue:acme/shop#7", "2026-11-20T14:40:00Z")


def test_the_link_may_come_later_and_no_counter_falls(runs: ReportingRuns) -> None:
    runs.issue("")
    runs.resolve_page()
    assert (runs.restore()["incidents"], runs.counter("dora_incidents_total")) == (2, 2)
    runs.close_issue(f"also: {PAGE}")
    assert (runs.restore()["incidents"], runs.counter("dora_incidents_total")) == (1, 2)
    assert "1 incident was reported more than once" in (runs.folder / "ledger" / "metrics.json").read_text("utf-8")


def test_the_page_shows_one_incident_and_its_reports(runs: ReportingRuns) -> None:
    runs.resolve_page()
    runs.issue("also: pagerduty:Q1ABC")
    runs.run("schedule", {}, mode="rebuild")
    page = (runs.folder / "ledger" / "index.html").read_text("utf-8")
    assert page.count("Checkout is down") == 1
    assert "also reported as pagerduty:Q1ABC" in page
