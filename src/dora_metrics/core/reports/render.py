"""Report and template become Markdown or HTML."""

from collections.abc import Iterable, Iterator, Mapping

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateSyntaxError
from jinja2 import TemplateError as JinjaError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dora_metrics.core.markdown import escape
from dora_metrics.core.reports.summary import SummaryReport

MAX_SUMMARY_BYTES = 1_000_000
"""GitHub drops a step summary above 1 MiB (1,048,576 bytes)."""


_MAX_CHARACTERS = 10_000_000


class TemplateError(Exception):
    """A template cannot be used; the message says why."""


def summary_markdown(report: SummaryReport, template: str, parts: Mapping[str, str]) -> str:
    """The template filled with the report."""
    return markdown(template, parts, report=report)


def markdown(template: str, parts: Mapping[str, str] | None = None, **values: object) -> str:
    """A template filled with values, each of which is escaped on its way in unless it is `Md`.

    Args:
        template: the text of it.
        parts: templates that it may import, by name.
        values: what it may name.

    Raises:
        TemplateError: if it cannot be used.
    """
    environment = _Sandbox(  # `finalize` escapes, for Markdown instead of HTML
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        loader=DictLoader(dict(parts or {})),
    )
    environment.globals["range"] = _RangeBudget().range
    try:
        return "".join(_limit_size(environment.from_string(template).generate(**values)))
    except TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}") from None
    except (RecursionError, MemoryError) as error:
        raise TemplateError(f"it never ends ({type(error).__name__})") from None
    except (JinjaError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise TemplateError(str(error)) from None


def _limit_size(chunks: Iterable[str]) -> Iterator[str]:
    """The pieces, as long as they are no more than anybody shows."""
    character_count = 0
    for chunk in chunks:
        character_count += len(chunk)
        if character_count > _MAX_CHARACTERS:
            raise TemplateError(f"it says more than {_MAX_CHARACTERS:,} characters")
        yield chunk


class _RangeBudget:
    """All numbers that one template may count through, so that loops within loops come to an end."""

    remaining = 100_000

    def range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        self.remaining -= len(numbers)
        if self.remaining < 0:
            raise TemplateError("it counts further than 100,000")
        return numbers


class _Sandbox(ImmutableSandboxedEnvironment):
    """Multiplies numbers only: `'x' * 3000000000` would take all memory."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        if (
            not all(isinstance(operand, int | float) and abs(operand) < _MAX_CHARACTERS for operand in (left, right))
            or operator == "**"
        ):
            raise TemplateError(f"{operator} is for small numbers only")
        return super().call_binop(context, operator, left, right)


def html(template: str, **values: object) -> str:
    """A template filled with values. Each that is not `Markup` is escaped on its way in."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(template).render(**values)
