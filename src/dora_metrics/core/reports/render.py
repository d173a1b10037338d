"""Render Jinja templates to Markdown (in a sandbox, for templates that users write) or to HTML."""

from collections.abc import Mapping

from jinja2 import Environment, StrictUndefined

from dora_metrics.core.markdown import escape
from dora_metrics.core.reports.sandbox import Sandbox
from dora_metrics.core.reports.summary import SummaryReport

MAX_SUMMARY_BYTES = 1_000_000
"""GitHub drops a step summary above 1 MiB (1,048,576 bytes)."""

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
    environment = Sandbox(parts, finalize=escape)  # for Markdown; `autoescape` would escape for HTML
    return environment.render(template, values)


def plain_text(template: str, **values: object) -> str:
    """Render a template of the package to text for a terminal. Nothing is escaped."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - no HTML
    return environment.from_string(template).render(**values)


def html(template: str, **values: object) -> str:
    """Render a template of the package to HTML. Every value is escaped unless it is `Markup`."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(template).render(**values)
