"""A repository whose runs file reports as issues."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dora_metrics.core.ledger.layout import REPORTS_FILE
from dora_metrics.core.reports.periodic.claims import CLAIM_DURATION
from dora_metrics.core.reports.periodic.issue_body import marker_in
from fakes.github import FakeGitHub
from fakes.records import Issue
from support.branch_shop import BranchShop
from support.runs import ActionRun, deployment_status

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
WEEK = timedelta(weeks=1)
SCHEDULE = {"schedule": "17 5 * * *"}
WEEKLY = {"report": "weekly"}
PER_SCOPE = {"report-per-scope": "true"}
AFTER_CLAIM = CLAIM_DURATION + timedelta(minutes=1)
"""Time after which an unfinished claim has expired, the run included."""


class ReportingShop(BranchShop):
    """A repository that deployed in week 47, and runs that create reports."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        super().__init__(github, folder)
        for number in (1, 2, 3):
            self.deploy(number, f"2026-11-1{number + 5}T11:00:00Z")

    def deploy(self, number: int, at: str, **inputs: object) -> ActionRun:
        """Record a deployment in a run that creates no report."""
        moment = datetime.fromisoformat(at) + timedelta(minutes=1)
        payload = deployment_status(number, at=at)
        return self.run_event("deployment_status", payload, {"report": "off", **inputs}, now=moment)

    def report(self, now: datetime = MONDAY, /, **inputs: object) -> ActionRun:
        """Run that creates reports and reads no history."""
        self.github.requests.clear()
        token = str(inputs.pop("token", self.github.token))
        report_inputs = {"mode": "report", "report": "weekly", **inputs}
        return self.run_event("workflow_dispatch", {"inputs": {}}, report_inputs, now=now, token=token)

    @property
    def issues(self) -> list[Issue]:
        return sorted(self.repository.records_of(Issue), key=lambda issue: issue.number)

    @property
    def reports(self) -> list[Issue]:
        return [issue for issue in self.issues if marker_in(issue.body)]

    @property
    def requested_operations(self) -> list[str]:
        return [f"{one.method} {one.operation or one.path}" for one in self.github.requests]

    @property
    def stored_claims(self) -> dict[str, Any]:
        found: dict[str, dict[str, Any]] = json.loads(self.read(REPORTS_FILE) or b"{}")
        return found.get("acme/shop", {})
