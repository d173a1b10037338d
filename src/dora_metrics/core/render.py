"""Report and template become Markdown or HTML."""

from collections.abc import Mapping

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateSyntaxError
from jinja2 import TemplateError as JinjaError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dora_metrics.core.markdown import escape
from dora_metrics.core.report import Report

LARGEST = 1_000_000
"""GitHub drops a step summary above 1 MiB (1,048,576 bytes)."""


class TemplateError(Exception):
    """A template cannot be used; the message says why."""


def markdown(report: Report, template: str, parts: Mapping[str, str]) -> str:
    """The template filled with the report."""
    return filled(template, parts, report=report)


def filled(template: str, parts: Mapping[str, str] | None = None, **values: object) -> str:
    """A template filled with values, each of which is escaped on its way in unless it is `Md`.

    Args:
        template: the text of it.
        parts: templates that it may import, by name.
        values: what it may name.

    Raises:
        TemplateError: if it cannot be used.
    """
    environment = ImmutableSandboxedEnvironment(  # `finalize` escapes, for Markdown instead of HTML
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        loader=DictLoader(dict(parts or {})),
    )
    try:
        return environment.from_string(template).render(**values)
    except TemplateSyntaxError as problem:
        raise TemplateError(f"line {problem.lineno}: {problem.message}") from None
    except (JinjaError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as problem:
        raise TemplateError(str(problem)) from None


def html(template: str, **values: object) -> str:
    """A template filled with values. Each that is not `Markup` is escaped on its way in."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(template).render(**values)
