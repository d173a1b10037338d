"""A report as the text of an issue: ours between two marks, and beneath them whatever people write there.

From a matter to a letter: told in as much detail as an issue has room for.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dora_metrics.core.markdown import Md
from dora_metrics.core.reports import render
from dora_metrics.core.reports.periodic.claims import report_marker
from dora_metrics.core.reports.periodic.content import ListLimits, ReportInput, outline, with_details

MAX_BODY_UTF16_LENGTH = 65_536
"""GitHub refuses a longer text. It says characters; what counts here are those of UTF-16, of which there are more."""

_BEGIN_MARK = "<!-- dora-metrics:report {} -->"
_BEGIN_MARK_PATTERN = re.compile(r"<!-- dora-metrics:report ([\w:-]+) -->")
_END_MARK = "<!-- dora-metrics:end: what stands above is written anew, what stands below is yours -->"


@dataclass(frozen=True)
class IssueBody:
    """What a report says: `ours` is written anew whenever it changes, `beneath` once.

    Where `before` is asked for, it is the number of the last report's issue.
    """

    marker: str
    title: str
    generated: str
    user_section: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.generated.encode()).hexdigest()[:16]

    def text_of_new_issue(self, previous_issue: int | None) -> str:
        """The whole text of a new issue, linked to the last one."""
        return f"{self._generated_block(previous_issue)}\n{self.user_section}"

    def update_in(self, text: str, previous_issue: int | None) -> str | None:
        """The text of its issue with what is ours written anew; None where people have taken the marks away."""
        begin = _BEGIN_MARK_PATTERN.search(text)
        end = text.find(_END_MARK)
        if begin is None or begin[1] != self.marker or end < begin.end():
            return None
        return text[: begin.start()] + self._generated_block(previous_issue) + text[end + len(_END_MARK) :]

    def _generated_block(self, previous_issue: int | None) -> str:
        link = f"\nThe report before: #{previous_issue}\n" if previous_issue else ""
        return f"{_BEGIN_MARK.format(self.marker)}\n{self.generated.strip()}\n{link}\n{_END_MARK}"


def marker_in(text: str) -> str | None:
    """Which report a text is, if it is one."""
    begin = _BEGIN_MARK_PATTERN.search(text)
    return begin[1] if begin else None


def has_open_tasks(text: str) -> bool:
    """Whether somebody has written down what is to be done, and not ticked it.

    A box of ours counts once a gap of it was filled. What stands between the marks is never anybody's work.
    """
    begin, end = _BEGIN_MARK_PATTERN.search(text), text.find(_END_MARK)
    user_text = text[: begin.start()] + text[end:] if begin and end > begin.end() else text
    open_boxes = (line.rstrip() for line in user_text.splitlines() if _OPEN_BOX.match(line))
    return any(not box.endswith(_UNFILLED_ENDINGS) for box in open_boxes)


_OPEN_BOX = re.compile(r"[\s>]*(?:[-*+]|\d+[.)])\s+\[ \]\s+\S")
_UNFILLED_ENDINGS = ("(owner: … , due: …)", "(owner: …)")
"""How the boxes end that the templates propose."""


def available_utf16_length(user_section: str) -> int:
    """How long `ours` may be, beside what is beneath it, the marks and the link."""
    return MAX_BODY_UTF16_LENGTH - 500 - utf16_length(user_section)


def utf16_length(text: str) -> int:
    """In units of UTF-16."""
    return len(text.encode("utf-16-le")) // 2


def split_user_section(rendered: str) -> tuple[str, str]:
    """What a template says above and below its line `<!-- yours -->`."""
    generated, _, user_section = rendered.partition(USER_SECTION_MARK)
    return generated, user_section.lstrip("\n")


USER_SECTION_MARK = Md("<!-- yours -->")


_LIMITS_IN_ORDER = (
    ListLimits(deployments=400, changes=100, failures=100, incidents=100),
    ListLimits(deployments=300, changes=10, failures=60, incidents=60),
    ListLimits(deployments=200, changes=3, failures=40, incidents=40),
    ListLimits(deployments=100, changes=0, failures=30, incidents=30),
    ListLimits(deployments=20, changes=0, failures=10, incidents=10, has_derivation=False),
    ListLimits(deployments=0, changes=0, failures=3, incidents=3, has_derivation=False),
)


def render_issue_body(
    report_input: ReportInput, template: str, parts: Mapping[str, str], surrounding_utf16_length: int | None = None
) -> IssueBody:
    """The report of a scope and a period.

    Args:
        matter: what it is about.
        template: of the whole text; what it says below a line `<!-- yours -->` is written once and then left to people.
        parts: templates that it may import, by name.
        around: how much stands around ours in the issue that there is; None for a new one.

    Raises:
        TemplateError: if a template cannot be used, or says too much even where all lists are left out.
    """
    outline_report = outline(report_input)
    for limits in _LIMITS_IN_ORDER:
        report = with_details(outline_report, report_input, limits)
        generated, user_section = split_user_section(render.markdown(template, parts, report=report))
        if utf16_length(generated) <= (
            available_utf16_length(user_section)
            if surrounding_utf16_length is None
            else MAX_BODY_UTF16_LENGTH - surrounding_utf16_length
        ):
            return IssueBody(
                report_marker(report_input.period, report_input.history.scope),
                outline_report.title,
                generated,
                user_section,
            )
    raise render.TemplateError("it says more than an issue has room for, even without its lists")
