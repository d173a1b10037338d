"""A periodic report as the body of an issue: the generated part between two markers, then a section for people.

Detail is dropped until the generated part fits into an issue.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dora_metrics.core.markdown import Md
from dora_metrics.core.reports import render
from dora_metrics.core.reports.periodic.all_scopes import (
    AllScopesReport,
    RowLimits,
    ScopeInReport,
    build_all_scopes_report,
)
from dora_metrics.core.reports.periodic.claims import report_marker
from dora_metrics.core.reports.periodic.content import ListLimits, PeriodicReport, ReportInput, outline, with_details
from dora_metrics.core.reports.periodic.page_address import PageAddress
from dora_metrics.core.reports.sandbox import TemplateError

MAX_BODY_UTF16_LENGTH = 65_536
"""GitHub rejects longer bodies. It counts characters; UTF-16 code units are never fewer."""

_BEGIN_MARKER = "<!-- dora-metrics:report {} -->"
_BEGIN_MARKER_PATTERN = re.compile(r"<!-- dora-metrics:report ([\w:-]+) -->")
_END_MARKER = "<!-- dora-metrics:end: Text between the two markers is rewritten. All other text is yours. -->"
_END_MARKER_PATTERN = re.compile("<!-- dora-metrics:end: [^<>\n]* -->")
"""Also the marker of earlier versions, whose words differ."""

USER_SECTION_MARK = Md("<!-- yours -->")
"""The line of a template that separates the generated part from the user section."""


@dataclass(frozen=True)
class IssueBody:
    """A rendered report. `generated` is rewritten whenever it changes; `user_section` is written once.

    Parameter `previous_issue` of the methods: number of the previous report's issue, None without one.
    """

    marker: str
    title: str
    generated: str
    user_section: str = ""

    @property
    def digest(self) -> str:
        """Hash of the generated part, to detect that it changed."""
        return hashlib.sha256(self.generated.encode()).hexdigest()[:16]

    def text_of_new_issue(self, previous_issue: int | None) -> str:
        """Return the body of a new issue, with a link to the previous one."""
        return f"{self._generated_block(previous_issue)}\n{self.user_section}"

    def update_in(self, text: str, previous_issue: int | None) -> str | None:
        """Return `text`, the body of the issue, with the generated part replaced; None if the markers were removed."""
        begin, end = _BEGIN_MARKER_PATTERN.search(text), _END_MARKER_PATTERN.search(text)
        if begin is None or end is None or begin[1] != self.marker or end.start() < begin.end():
            return None
        return text[: begin.start()] + self._generated_block(previous_issue) + text[end.end() :]

    def _generated_block(self, previous_issue: int | None) -> str:
        link = f"\nPrevious report: #{previous_issue}\n" if previous_issue else ""
        return f"{_BEGIN_MARKER.format(self.marker)}\n{self.generated.strip()}\n{link}\n{_END_MARKER}"


def marker_in(text: str) -> str | None:
    """Return the marker of the report that a body holds; None if it holds none."""
    begin = _BEGIN_MARKER_PATTERN.search(text)
    return begin[1] if begin else None


def has_open_tasks(text: str) -> bool:
    """Whether people have written a task into the issue and not ticked it.

    A task that the template proposes counts once one of its gaps is filled in. The generated part never counts.
    """
    begin, end = _BEGIN_MARKER_PATTERN.search(text), _END_MARKER_PATTERN.search(text)
    is_marked = begin is not None and end is not None and end.start() > begin.end()
    user_text = text[: begin.start()] + text[end.start() :] if begin and end and is_marked else text
    open_boxes = (line.rstrip() for line in user_text.splitlines() if _OPEN_BOX.match(line))
    return any(not box.endswith(_UNFILLED_ENDINGS) for box in open_boxes)


_OPEN_BOX = re.compile(r"[\s>]*(?:[-*+]|\d+[.)])\s+\[ \]\s+\S")
_UNFILLED_ENDINGS = ("(owner: … , due: …)", "(owner: …)")
"""How the tasks end that the templates propose."""


def available_utf16_length(user_section: str) -> int:
    """Return how long the generated part of a new issue may be, next to the user section, markers and link."""
    return MAX_BODY_UTF16_LENGTH - 500 - utf16_length(user_section)


def utf16_length(text: str) -> int:
    """Return the length of a text in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def split_user_section(rendered: str) -> tuple[str, str]:
    """Split a rendered template at its line `<!-- yours -->` into generated part and user section."""
    generated, _, user_section = rendered.partition(USER_SECTION_MARK)
    return generated, user_section.lstrip("\n")


_LIMITS_IN_ORDER = (
    ListLimits(deployments=400, changes=100, failures=100, incidents=100),
    ListLimits(deployments=300, changes=10, failures=60, incidents=60),
    ListLimits(deployments=200, changes=3, failures=40, incidents=40),
    ListLimits(deployments=100, changes=0, failures=30, incidents=30),
    ListLimits(deployments=20, changes=0, failures=10, incidents=10, has_derivation=False),
    ListLimits(deployments=0, changes=0, failures=3, incidents=3, has_derivation=False),
)
"""Tried from most to least detail until the report fits."""


def render_issue_body(
    report_input: ReportInput, template: str, parts: Mapping[str, str], surrounding_utf16_length: int | None = None
) -> IssueBody:
    """Render the report of one scope, with as much detail as fits into an issue.

    Args:
        report_input: the scope, the period and their metrics.
        template: text of the template; the section below its line `<!-- yours -->` is written once and then belongs to
            people.
        parts: templates that it may include, by name.
        surrounding_utf16_length: length of the existing issue's text outside the generated part; None for a new issue.

    Raises:
        TemplateError: if the template cannot be rendered, or does not fit even without lists.
    """
    report_without_lists = outline(report_input)
    versions = (with_details(report_without_lists, report_input, limits) for limits in _LIMITS_IN_ORDER)
    marker = report_marker(report_input.period, report_input.stable_scope)
    return _first_that_fits(versions, marker, _Frame(template, parts, surrounding_utf16_length))


def render_issue_bodies(
    inputs: Iterable[ReportInput], template: str, parts: Mapping[str, str], surrounding_utf16_length: int | None = None
) -> list[IssueBody]:
    """Render the report of each scope, as `render_issue_body` does."""
    return [render_issue_body(each, template, parts, surrounding_utf16_length) for each in inputs]


_ROW_LIMITS_IN_ORDER = (
    RowLimits(rows=500, has_links=True),
    RowLimits(rows=500, has_links=False),
    RowLimits(rows=300, has_links=False),
    RowLimits(rows=150, has_links=False),
    RowLimits(rows=50, has_links=False),
    RowLimits(rows=10, has_links=False),
    RowLimits(rows=0, has_links=False),
)


def render_all_scopes_body(
    inputs: Sequence[ReportInput],
    marker: str,
    page: PageAddress,
    template: str,
    surrounding_utf16_length: int | None = None,
) -> IssueBody:
    """Render one report on all scopes, with as many rows as fit into an issue.

    Args:
        inputs: the scopes, at least one.
        marker: identifies the report.
        page: where readers find the page.
        template: text of the template, which includes no others.
        surrounding_utf16_length: as in `render_issue_body`.

    Raises:
        TemplateError: if it does not fit even without rows.
    """
    scopes = sorted(map(ScopeInReport.of, inputs), key=lambda scope: scope.order)
    versions = (build_all_scopes_report(scopes, page, limits) for limits in _ROW_LIMITS_IN_ORDER)
    return _first_that_fits(versions, marker, _Frame(template, {}, surrounding_utf16_length))


@dataclass(frozen=True)
class _Frame:
    """What a report is rendered into. `surrounding_utf16_length`: as in `render_issue_body`."""

    template: str
    parts: Mapping[str, str]
    surrounding_utf16_length: int | None

    def max_utf16_length(self, user_section: str) -> int:
        """Return how long the generated part may be."""
        if self.surrounding_utf16_length is None:
            return available_utf16_length(user_section)
        return MAX_BODY_UTF16_LENGTH - self.surrounding_utf16_length


def _first_that_fits(versions: Iterable[PeriodicReport | AllScopesReport], marker: str, frame: _Frame) -> IssueBody:
    """Render versions of a report, the most detailed first, until one fits.

    Raises:
        TemplateError: if the template cannot be rendered, or none fits.
    """
    for report in versions:
        generated, user_section = split_user_section(render.markdown(frame.template, frame.parts, report=report))
        if utf16_length(generated) <= frame.max_utf16_length(user_section):
            return IssueBody(marker, report.title, generated, user_section)
    raise TemplateError("the report does not fit into an issue, even without its lists")
