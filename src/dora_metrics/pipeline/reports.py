"""Render the periodic reports that are due: one for each active scope, by the user's template or the built-in one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dora_metrics.core.markdown import md
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.periods import Period
from dora_metrics.core.reports.periodic.content import ReportInput, has_activity
from dora_metrics.core.reports.periodic.issue_body import IssueBody, render_issue_body
from dora_metrics.core.reports.render import TemplateError
from dora_metrics.core.scope import Scope
from dora_metrics.pipeline.template_process import render_apart
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.templates import load_parts, load_template

RenderBodies = Callable[[tuple[ReportInput, ...], int | None], list[IssueBody]]
"""From reports, and the length of what people wrote into their issue (None for new ones), to issue bodies."""

MAX_REPORTS = 20
"""Scopes with a report of their own; GitHub limits how many issues are created in a minute."""


MAX_TEMPLATE_BYTES = 1_000_000


@dataclass(frozen=True)
class RenderedReports:
    """The reports of one period as issue bodies.

    Attributes:
        bodies: by scope, the most recently deployed first.
        omitted_count: active scopes beyond `MAX_REPORTS`.
        problem: why the user's template was not used; empty if it was, or if there is none.
    """

    bodies: dict[Scope, IssueBody]
    omitted_count: int
    problem: str
    _inputs: dict[Scope, ReportInput]
    _render: RenderBodies

    def shorter(self, scope: Scope, user_length: int) -> IssueBody:
        """Render a report with less detail, for an issue in which people wrote `user_length` UTF-16 units.

        Raises:
            TemplateError: if they left no room for a report.
        """
        return self._render((self._inputs[scope],), user_length)[0]

    @property
    def omitted_text(self) -> str:
        """Which scopes have no report, and why; empty if all have one."""
        if not self.omitted_count:
            return ""
        return f"{self.omitted_count} more scopes have none, because a run creates at most {MAX_REPORTS}"

    def as_markdown(self) -> str:
        """All reports, each below its title."""
        bodies = self.bodies.values()
        return "\n".join(f"{md('# {}', body.title)}\n\n{body.text_of_new_issue(None)}" for body in bodies)


def render_reports(
    results: Results, repository: str, period: Period, settings: Settings, read_template: Callable[[Path], str]
) -> RenderedReports:
    """Render the reports of a repository's scopes.

    Args:
        results: the numbers.
        repository: whose scopes; `EVERY_REPOSITORY` for all.
        period: the week, month or quarter.
        settings: the user's template, if there is one.
        read_template: reads it by its path.
    """
    own = [h for h in results.evaluation.histories if repository in (EVERY_REPOSITORY, h.scope.repository)]
    active = sorted((h for h in own if has_activity(h, period)), key=_deployed_last, reverse=True)
    inputs = {history.scope: ReportInput.of(results, history, period) for history in active[:MAX_REPORTS]}
    omitted_count = max(0, len(active) - MAX_REPORTS)
    path, problem = settings.report_template, ""
    if path is not None:
        try:
            return _render(inputs, _by_user_template(read_template(path)), omitted_count, "")
        except (OSError, UnicodeDecodeError, TemplateError) as error:
            problem = f"report-template {path} cannot be used: {_reason(error)}"
    return _render(inputs, _by_own_template(load_template(f"{period.kind}.md.j2")), omitted_count, problem)


def _render(
    inputs: dict[Scope, ReportInput], render: RenderBodies, omitted_count: int, problem: str
) -> RenderedReports:
    bodies = dict(zip(inputs, render(tuple(inputs.values()), None), strict=True))
    return RenderedReports(bodies, omitted_count, problem, inputs, render)


def _by_own_template(template: str) -> RenderBodies:
    parts = load_parts()

    def render(inputs: tuple[ReportInput, ...], user_length: int | None) -> list[IssueBody]:
        return [render_issue_body(report_input, template, parts, user_length) for report_input in inputs]

    return render


def _by_user_template(template: str) -> RenderBodies:
    parts = load_parts()

    def render(inputs: tuple[ReportInput, ...], user_length: int | None) -> list[IssueBody]:
        return render_apart(inputs, template, parts, user_length) if inputs else []

    return render


def _deployed_last(history: ScopeHistory) -> tuple[str, Scope]:
    """Sorts scopes by their last deployment."""
    last = history.deployments[-1].finished_at.isoformat() if history.deployments else ""
    return last, history.scope


def read_template(workspace: Path, path: Path) -> str:
    """Read a file of the repository.

    Raises:
        OSError: if it cannot be read.
        UnicodeDecodeError: if it is not UTF-8.
        TemplateError: if it links to a file outside the workspace, is not a regular file, or is too large.
    """
    resolved = (workspace / path).resolve()
    if not resolved.is_relative_to(workspace.resolve()):
        raise TemplateError("it links to a file outside the workspace")
    size_bytes = resolved.stat().st_size
    if not (resolved.is_file() or resolved.is_dir()) or size_bytes > MAX_TEMPLATE_BYTES:
        raise TemplateError(f"it is not a regular file of at most {MAX_TEMPLATE_BYTES:,} bytes")
    return resolved.read_text("utf-8")


def _reason(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "the file is neither in the workspace nor, for a job without a checkout, on the default branch"
        case OSError():
            return str(error.strerror)
        case UnicodeDecodeError():
            return "it is not UTF-8"
        case _:
            return str(error)
