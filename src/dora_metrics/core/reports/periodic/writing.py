"""From a matter to a letter: told in as much detail as an issue has room for."""

from collections.abc import Mapping

from dora_metrics.core.reports import render
from dora_metrics.core.reports.periodic.claims import marker
from dora_metrics.core.reports.periodic.content import Detail, Matter, detailed, gist
from dora_metrics.core.reports.periodic.issue_body import LARGEST, Letter, divided, length, room

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
