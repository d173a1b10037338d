"""Render the periodic reports that are due: one on all active scopes, or one for each of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from dora_metrics.core.markdown import md
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.periods import Period
from dora_metrics.core.reports.periodic.claims import all_scopes_marker, report_marker
from dora_metrics.core.reports.periodic.content import ReportInput, has_activity
from dora_metrics.core.reports.periodic.issue_body import IssueBody, render_all_scopes_body, render_issue_bodies
from dora_metrics.core.reports.periodic.page_address import PageAddress
from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.core.scope import Scope, scope_label
from dora_metrics.github.observation import Run
from dora_metrics.pipeline.template_process import render_apart
from dora_metrics.pipeline.user_templates import template_problem
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.templates import load_parts, load_template

MAX_REPORTS = 20
"""Scopes with a report of their own; GitHub limits how many issues are created in a minute."""


@dataclass(frozen=True)
class ReportSubject:
    """What one report is about: a scope, or all scopes together."""

    scopes: tuple[Scope, ...]

    @property
    def name(self) -> str:
        """Such as `acme/shop · web production`, or `12 scopes`."""
        if len(self.scopes) > 1:
            return f"{len(self.scopes)} scopes"
        return f"{self.scopes[0].repository} · {scope_label(self.scopes[0])}"


RenderSubject = Callable[[ReportSubject, int], IssueBody]
"""From a subject, and the length of what people wrote into its issue, to an issue body that fits."""


@dataclass(frozen=True)
class RenderedReports:
    """The reports of one period as issue bodies.

    Attributes:
        bodies: by subject.
        remark: which scopes have no report, or why a template was left aside; empty if there is nothing to say.
        problem: why the user's template could not be used; empty if it was, or if there is none.
    """

    bodies: dict[ReportSubject, IssueBody]
    remark: str
    problem: str
    _render: RenderSubject

    def shorter(self, subject: ReportSubject, user_length: int) -> IssueBody:
        """Render a report with less detail, for an issue in which people wrote `user_length` UTF-16 units.

        Raises:
            TemplateError: if they left no room for a report.
        """
        return self._render(subject, user_length)

    def as_markdown(self) -> str:
        """All reports, each below its title."""
        bodies = self.bodies.values()
        return "\n".join(f"{md('# {}', body.title)}\n\n{body.text_of_new_issue(None)}" for body in bodies)


@dataclass(frozen=True)
class DueReports:
    """The reports of a period that can be rendered, in either form.

    Attributes:
        results: the numbers.
        repository: whose scopes; `EVERY_REPOSITORY` for all.
        period: the week, month or quarter.
        settings: the form, the user's template, and where the page is.
        read_template: reads the user's template by its path.
        host: the first known name of the repository that holds the issues.
        page: where readers find the page.
    """

    results: Results
    repository: str
    period: Period
    settings: Settings
    read_template: Callable[[Path], str]
    host: str
    page: PageAddress

    @cached_property
    def all_scopes_marker(self) -> str:
        """The marker of the report on all scopes, whichever way the settings write a ledger of this repository."""
        place, _, repository = self.settings.ledger.partition("@")
        is_own = repository.lower() in (self.repository.lower(), self.host.lower())
        return all_scopes_marker(self.period, self.host, place if is_own else self.settings.ledger)

    def render(self, filed_markers: Collection[str] = (), existing_markers: Collection[str] = ()) -> RenderedReports:
        """Render the reports in the form that was filed before, otherwise in the configured one.

        So a week has one form, whatever setting or version of this program it began with.

        Args:
            filed_markers: those of this period's reports that the ledger has recorded.
            existing_markers: those of all report issues that GitHub shows; a killed run may have recorded none.
        """
        is_for_each_scope = self._is_for_each_scope(filed_markers, existing_markers)
        return self._for_each_scope if is_for_each_scope else self._on_all_scopes

    def _is_for_each_scope(self, filed_markers: Collection[str], existing_markers: Collection[str]) -> bool:
        if filed_markers:
            return self.all_scopes_marker not in filed_markers
        if self.all_scopes_marker in existing_markers:
            return False
        return self.settings.report_per_scope or any(marker in existing_markers for marker in self._scope_markers)

    @cached_property
    def _active(self) -> list[ScopeHistory]:
        return _active_scopes(self.results, self.repository, self.period)

    @property
    def _scope_markers(self) -> list[str]:
        names = self.results.names
        return [report_marker(self.period, names.stable_scope(history.scope)) for history in self._active]

    def _input(self, history: ScopeHistory) -> ReportInput:
        return ReportInput.of(self.results, history, self.period, self.page)

    @cached_property
    def _for_each_scope(self) -> RenderedReports:
        inputs = [self._input(history) for history in self._active[:MAX_REPORTS]]
        omitted_count = len(self._active[MAX_REPORTS:])
        remark = f"{omitted_count} more scopes have none, since a run files at most {MAX_REPORTS}"
        return self._of_scopes(inputs, remark if omitted_count else "")

    @cached_property
    def _on_all_scopes(self) -> RenderedReports:
        if len(self._active) <= 1:
            alone = self._of_scopes([self._input(history) for history in self._active], "")
            return _with_marker(alone, self.all_scopes_marker)
        inputs = [self._input(history) for history in self._active]
        template = load_template("scopes.md.j2")

        def render(_: ReportSubject, user_length: int | None = None) -> IssueBody:
            return render_all_scopes_body(inputs, self.all_scopes_marker, self.page, template, user_length)

        subject = ReportSubject(tuple(history.scope for history in self._active))
        remark = _TEMPLATE_REMARK if self.settings.report_template else ""
        return RenderedReports({subject: render(subject)}, remark, "", render)

    def _of_scopes(self, inputs: Sequence[ReportInput], remark: str) -> RenderedReports:
        """Render a report of each scope, by the user's template if it can be used."""
        path, problem = self.settings.report_template, ""
        if path is not None:
            try:
                return _render_scopes(inputs, _by_user_template(self.read_template(path)), remark, "")
            except (OSError, UnicodeDecodeError, TemplateError) as error:
                problem = f"report-template {path} cannot be used: {template_problem(error)}"
        template = load_template(f"{self.period.kind}.md.j2")
        return _render_scopes(inputs, _by_own_template(template), remark, problem)


def report_inputs(results: Results, repository: str, period: Period, page: PageAddress) -> list[ReportInput]:
    """Return the content of a period's report on each active scope, the most recently deployed first."""
    histories = _active_scopes(results, repository, period)
    return [ReportInput.of(results, history, period, page) for history in histories]


def page_address(settings: Settings, run: Run) -> PageAddress:
    """Return where readers find the page of a run."""
    return PageAddress.of(settings.page_url, settings.ledger if settings.page else "", run.repository, run.server_url)


def _active_scopes(results: Results, repository: str, period: Period) -> list[ScopeHistory]:
    """Return the scopes with a report, the most recently deployed first."""

    def last_deployed(history: ScopeHistory) -> tuple[str, Scope]:
        newest = history.last_deployment_by(results.now)
        return newest.finished_at.isoformat() if newest else "", history.scope

    histories = results.evaluation.histories
    own = [each for each in histories if repository in (EVERY_REPOSITORY, each.scope.repository)]
    return sorted((each for each in own if has_activity(each, period)), key=last_deployed, reverse=True)


_TEMPLATE_REMARK = "`report-template` is for the report of one scope; set `report-per-scope: true` to use it"

RenderBodies = Callable[[tuple[ReportInput, ...], int | None], list[IssueBody]]
"""From reports of scopes, and the length of what people wrote into their issue, to issue bodies."""


def render_reports(
    results: Results, period: Period, settings: Settings, read_template: Callable[[Path], str]
) -> RenderedReports:
    """Render the reports of all scopes as a command line shows them."""
    page = PageAddress(settings.page_url or "")
    return DueReports(results, EVERY_REPOSITORY, period, settings, read_template, EVERY_REPOSITORY, page).render()


def _render_scopes(
    inputs: Sequence[ReportInput], render_bodies: RenderBodies, remark: str, problem: str
) -> RenderedReports:
    subjects = {ReportSubject((each.history.scope,)): each for each in inputs}

    def render(subject: ReportSubject, user_length: int) -> IssueBody:
        return render_bodies((subjects[subject],), user_length)[0]

    bodies = dict(zip(subjects, render_bodies(tuple(subjects.values()), None), strict=True))
    return RenderedReports(bodies, remark, problem, render)


def _with_marker(reports: RenderedReports, marker: str) -> RenderedReports:
    """Let the report of the only scope be found as the one on all scopes, since there may be more later."""

    def render(subject: ReportSubject, user_length: int) -> IssueBody:
        return replace(reports.shorter(subject, user_length), marker=marker)

    bodies = {subject: replace(body, marker=marker) for subject, body in reports.bodies.items()}
    return RenderedReports(bodies, reports.remark, reports.problem, render)


def _by_own_template(template: str) -> RenderBodies:
    parts = load_parts()

    def render(inputs: tuple[ReportInput, ...], user_length: int | None) -> list[IssueBody]:
        return render_issue_bodies(inputs, template, parts, user_length)

    return render


def _by_user_template(template: str) -> RenderBodies:
    parts = load_parts()

    def render(inputs: tuple[ReportInput, ...], user_length: int | None) -> list[IssueBody]:
        bodies = partial(render_issue_bodies, inputs, template, parts, user_length)
        return render_apart(bodies, list[IssueBody]) if inputs else []

    return render
