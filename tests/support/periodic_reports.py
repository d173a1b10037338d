"""Periodic reports of a few facts, as text."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from dora_metrics.core import periods, windows
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.document import build_document
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.periods import PeriodKind
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.content import ReportInput
from dora_metrics.core.reports.periodic.issue_body import IssueBody, render_issue_body
from dora_metrics.templates import load_parts, load_template
from support.facts import at

MONDAY = "03-18T06:00"
"""A Monday in 2024. The week before, week 11, begins on 11 March."""


@dataclass(frozen=True)
class RenderedReport:
    """A report of the only scope: its issue body, and access to its lines."""

    issue_body: IssueBody

    @property
    def text(self) -> str:
        return self.issue_body.generated

    @property
    def headline(self) -> str:
        return self.text.splitlines()[0]

    def row(self, name: str) -> list[str]:
        """Cells of a table row."""
        (line,) = (line for line in self.text.splitlines() if line.startswith(f"| {name} |"))
        return [cell.strip() for cell in line.strip("|").split("|")][1:]

    def section(self, title: str) -> list[str]:
        """Lines below a heading without empty ones; none if the heading is missing."""
        _, _, after = self.text.partition(f"### {title}\n")
        below = after.split("\n#", maxsplit=1)[0].split("\n<details", maxsplit=1)[0]
        return [line for line in below.splitlines() if line]


def report_input(
    *facts: Fact,
    kind: PeriodKind = "weekly",
    now: str = MONDAY,
    zone: str = "UTC",
    **policy: Any,  # noqa: ANN401 - fields of Policy
) -> ReportInput:
    """The input of a report of the only scope."""
    resolved_policy, time, window_spec = (
        Policy(zone=ZoneInfo(zone), **policy),
        at(now),
        windows.parse_window("30d", ZoneInfo(zone)),
    )
    records = evaluate_facts(facts, resolved_policy)
    subject = Results(
        records, build_document(records, resolved_policy, window_spec, time), window_spec, resolved_policy, time
    )
    (record,) = records.histories
    return ReportInput.of(subject, record, periods.due_period(kind, time, resolved_policy.zone, "monday"))


def render_report(
    *facts: Fact,
    kind: PeriodKind = "weekly",
    text: str | None = None,
    **settings: Any,  # noqa: ANN401 - fields of Policy
) -> RenderedReport:
    """The report of the only scope, from the default template or from `text`."""
    return RenderedReport(
        render_issue_body(
            report_input(*facts, kind=kind, **settings), text or load_template(f"{kind}.md.j2"), load_parts()
        )
    )
