"""Render Jinja templates to Markdown (in a sandbox, for templates that users write) or to HTML."""

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
_MAX_OPERAND = 10_000_000


class TemplateError(Exception):
    """A template cannot be rendered; the message is the reason."""


_CUT_SENTENCE = (
    "\n\n**The summary ends here**: GitHub shows at most 1 MiB of it. The outputs and the ledger have everything.\n"
)


def summary_markdown(
    report: SummaryReport, template: str, parts: Mapping[str, str], max_bytes: int = MAX_SUMMARY_BYTES
) -> str:
    """Render the template of the job summary, up to the last line that GitHub shows."""
    text = markdown(template, parts, report=report)
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    kept, _, _ = encoded[: max_bytes - _ROOM_FOR_END_BYTES].decode("utf-8", "ignore").rpartition("\n")
    return kept + _closing_marks(kept) + _CUT_SENTENCE


_ROOM_FOR_END_BYTES = 500


def _closing_marks(markdown_text: str) -> str:
    """End the blocks that a cut left open, so that the sentence after it is not a part of them."""
    fence = "\n```" if sum(line.startswith("```") for line in markdown_text.splitlines()) % 2 else ""
    open_details = markdown_text.count("<details>") - markdown_text.count("</details>")
    return fence + "\n\n</details>" * max(0, open_details)


def markdown(template: str, parts: Mapping[str, str] | None = None, **values: object) -> str:
    """Render a template to Markdown in a sandbox. Every value is escaped unless it is `Md`.

    Args:
        template: text of the template.
        parts: templates that it may include, by name.
        values: variables of the template.

    Raises:
        TemplateError: if it has a syntax error, fails, or exceeds a limit of the sandbox.
    """
    environment = _Sandbox(  # `finalize` escapes for Markdown; `autoescape` would escape for HTML
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
        raise TemplateError(f"it repeats without end ({type(error).__name__})") from None
    except (JinjaError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise TemplateError(str(error)) from None


def _limit_size(chunks: Iterable[str]) -> Iterator[str]:
    """Pass the chunks on until they exceed the maximum output size.

    Raises:
        TemplateError: if they exceed it.
    """
    character_count = 0
    for chunk in chunks:
        character_count += len(chunk)
        if character_count > _MAX_CHARACTERS:
            raise TemplateError(f"it writes more than {_MAX_CHARACTERS:,} characters")
        yield chunk


class _RangeBudget:
    """`range` for templates, with a limit on the numbers of all calls together, so that nested loops end."""

    remaining = 100_000

    def range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        self.remaining -= len(numbers)
        if self.remaining < 0:
            raise TemplateError("its `range` calls count beyond 100,000")
        return numbers


class _Sandbox(ImmutableSandboxedEnvironment):
    """Allows `*` for small numbers only and forbids `**`: `'x' * 3000000000` would exhaust the memory."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        are_small = all(isinstance(each, int | float) and abs(each) < _MAX_OPERAND for each in (left, right))
        if operator == "**" or not are_small:
            raise TemplateError(f"{operator} is for small numbers only")
        return super().call_binop(context, operator, left, right)


def plain_text(template: str, **values: object) -> str:
    """Render a template of the package to text for a terminal. Nothing is escaped."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - no HTML
    return environment.from_string(template).render(**values)


def html(template: str, **values: object) -> str:
    """Render a template of the package to HTML. Every value is escaped unless it is `Markup`."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(template).render(**values)
