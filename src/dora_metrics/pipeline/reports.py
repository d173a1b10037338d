"""The reports that are due, as letters: of each scope that is alive, by the user's template or the usual one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dora_metrics.core.metrics.comparison import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.periods import Period
from dora_metrics.core.reports.periodic.content import ReportInput, has_activity
from dora_metrics.core.reports.periodic.issue_body import IssueBody, render_issue_body
from dora_metrics.core.reports.render import TemplateError
from dora_metrics.core.scope import Scope
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.templates import load_parts, load_template

MOST = 20
"""Scopes with a report of their own; GitHub limits how many issues are made in a minute."""


@dataclass(frozen=True)
class RenderedReports:
    """By scope; `more`: scopes beyond the most. `problem`: why the user's template gave way to the usual one."""

    bodies: dict[Scope, IssueBody]
    more: int
    problem: str
    _matters: dict[Scope, ReportInput]
    _template: str

    def shorter(self, scope: Scope, around: int) -> IssueBody:
        """The same with less detail, for an issue in which people wrote so much around it.

        Raises:
            TemplateError: if they left no room.
        """
        return render_issue_body(self._matters[scope], self._template, load_parts(), around)

    @property
    def rest(self) -> str:
        """Which scopes have no report, and why."""
        return f"{self.more} more scopes have none, since a run makes {MOST}" if self.more else ""


def render_reports(
    subject: Results, about: str, period: Period, settings: Settings, template_of: Callable[[Path], str]
) -> RenderedReports:
    """The reports of a repository's scopes, or of all, the most recently deployed first.

    `template_of` reads the user's template.
    """
    ours = [one for one in subject.evaluation.histories if about in (EVERY_REPOSITORY, one.scope.repository)]
    alive = sorted((one for one in ours if has_activity(one, period)), key=_newest, reverse=True)
    matters = {record.scope: ReportInput.of(subject, record, period) for record in alive[:MOST]}
    more, wanted, problem = max(0, len(alive) - MOST), settings.report_template, ""
    if wanted is not None:
        try:
            return _letters(matters, template_of(wanted), more, "")
        except (OSError, UnicodeDecodeError, TemplateError) as why:
            problem = f"report-template {wanted} cannot be used: {_why(why)}"
    return _letters(matters, load_template(f"{period.kind}.md.j2"), more, problem)


def as_markdown(found: RenderedReports) -> str:
    """All of them, each below its title."""
    return "\n".join(f"# {one.title}\n\n{one.text_of_new_issue(None)}" for one in found.bodies.values())


def _letters(matters: dict[Scope, ReportInput], text: str, more: int, problem: str) -> RenderedReports:
    pieces = load_parts()
    return RenderedReports(
        {scope: render_issue_body(one, text, pieces) for scope, one in matters.items()}, more, problem, matters, text
    )


def _newest(record: ScopeHistory) -> tuple[str, Scope]:
    newest = record.deployments[-1].finished_at.isoformat() if record.deployments else ""
    return newest, record.scope


def read_template(workspace: Path, wanted: Path) -> str:
    """A file of the repository, and nothing that a link in it leads to elsewhere."""
    path = (workspace / wanted).resolve()
    if not path.is_relative_to(workspace.resolve()):
        raise TemplateError("it leads out of the workspace")
    return path.read_text("utf-8")


def _why(problem: Exception) -> str:
    match problem:
        case FileNotFoundError():
            return "there is no such file in the workspace, nor, without a checkout, on the default branch"
        case OSError():
            return str(problem.strerror)
        case UnicodeDecodeError():
            return "it is not UTF-8"
        case _:
            return str(problem)
