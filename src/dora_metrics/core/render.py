"""Report and template become Markdown or HTML."""

from jinja2 import Environment, StrictUndefined

from dora_metrics.core.markdown import escape
from dora_metrics.core.report import Report

LARGEST = 1_000_000
"""GitHub drops a step summary above 1 MiB (1,048,576 bytes)."""


def markdown(report: Report, template: str) -> str:
    """The template filled with the report."""
    return filled(template, report=report)


def filled(template: str, **values: object) -> str:
    """A template filled with values. Each that is not `Md` is escaped on its way in."""
    environment = Environment(  # noqa: S701 - `finalize` escapes, for Markdown instead of HTML
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.from_string(template).render(**values)


def html(template: str, **values: object) -> str:
    """A template filled with values. Each that is not `Markup` is escaped on its way in."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(template).render(**values)
