"""A report as the text of an issue: ours between two marks, and beneath them whatever people write there.

From a matter to a letter: told in as much detail as an issue has room for.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dora_metrics.core.markdown import Md
from dora_metrics.core.reports import render
from dora_metrics.core.reports.periodic.claims import marker
from dora_metrics.core.reports.periodic.content import Detail, Matter, detailed, gist

LARGEST = 65_536
"""GitHub refuses a longer text. It says characters; what counts here are those of UTF-16, of which there are more."""

_BEGIN = "<!-- dora-metrics:report {} -->"
_BEGUN = re.compile(r"<!-- dora-metrics:report ([\w:-]+) -->")
_END = "<!-- dora-metrics:end: what stands above is written anew, what stands below is yours -->"


@dataclass(frozen=True)
class Letter:
    """What a report says: `ours` is written anew whenever it changes, `beneath` once.

    Where `before` is asked for, it is the number of the last report's issue.
    """

    marker: str
    title: str
    ours: str
    beneath: str = ""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.ours.encode()).hexdigest()[:16]

    def text(self, before: int | None) -> str:
        """The whole text of a new issue, linked to the last one."""
        return f"{self._ours(before)}\n{self.beneath}"

    def renewed(self, text: str, before: int | None) -> str | None:
        """The text of its issue with what is ours written anew; None where people have taken the marks away."""
        found = _BEGUN.search(text)
        end = text.find(_END)
        if found is None or found[1] != self.marker or end < found.end():
            return None
        return text[: found.start()] + self._ours(before) + text[end + len(_END) :]

    def _ours(self, before: int | None) -> str:
        link = f"\nThe report before: #{before}\n" if before else ""
        return f"{_BEGIN.format(self.marker)}\n{self.ours.strip()}\n{link}\n{_END}"


def marker_in(text: str) -> str | None:
    """Which report a text is, if it is one."""
    found = _BEGUN.search(text)
    return found[1] if found else None


def has_work(text: str) -> bool:
    """Whether somebody has written down what is to be done, and not ticked it.

    A box of ours counts once a gap of it was filled. What stands between the marks is never anybody's work.
    """
    begun, end = _BEGUN.search(text), text.find(_END)
    theirs = text[: begun.start()] + text[end:] if begun and end > begun.end() else text
    boxes = (line.rstrip() for line in theirs.splitlines() if _TO_DO.match(line))
    return any(not box.endswith(_GAPS) for box in boxes)


_TO_DO = re.compile(r"[\s>]*(?:[-*+]|\d+[.)])\s+\[ \]\s+\S")
_GAPS = ("(owner: … , due: …)", "(owner: …)")
"""How the boxes end that the templates propose."""


def room(beneath: str) -> int:
    """How long `ours` may be, beside what is beneath it, the marks and the link."""
    return LARGEST - 500 - length(beneath)


def length(text: str) -> int:
    """In units of UTF-16."""
    return len(text.encode("utf-16-le")) // 2


def divided(rendered: str) -> tuple[str, str]:
    """What a template says above and below its line `<!-- yours -->`."""
    ours, _, beneath = rendered.partition(YOURS)
    return ours, beneath.lstrip("\n")


YOURS = Md("<!-- yours -->")


_DETAILS = (
    Detail(deployments=400, changes=100, failures=100, incidents=100),
    Detail(deployments=300, changes=10, failures=60, incidents=60),
    Detail(deployments=200, changes=3, failures=40, incidents=40),
    Detail(deployments=100, changes=0, failures=30, incidents=30),
    Detail(deployments=20, changes=0, failures=10, incidents=10, making=False),
    Detail(deployments=0, changes=0, failures=3, incidents=3, making=False),
)


def letter(matter: Matter, template: str, parts: Mapping[str, str], around: int | None = None) -> Letter:
    """The report of a scope and a period.

    Args:
        matter: what it is about.
        template: of the whole text; what it says below a line `<!-- yours -->` is written once and then left to people.
        parts: templates that it may import, by name.
        around: how much stands around ours in the issue that there is; None for a new one.

    Raises:
        TemplateError: if a template cannot be used, or says too much even where all lists are left out.
    """
    whole = gist(matter)
    for detail in _DETAILS:
        report = detailed(whole, matter, detail)
        ours, beneath = divided(render.filled(template, parts, report=report))
        if length(ours) <= (room(beneath) if around is None else LARGEST - around):
            return Letter(marker(matter.period, matter.record.scope), whole.title, ours, beneath)
    raise render.TemplateError("it says more than an issue has room for, even without its lists")
