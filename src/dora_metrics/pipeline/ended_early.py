"""Show a run that ended before it had done everything, and keep the facts that only it knows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.markdown import Md, md
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports.render import markdown
from dora_metrics.core.reports.unrecorded import UnrecordedFacts
from dora_metrics.errors import CancelledError, UnreadSettingsError
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.pipeline.outputs import METRIC_OUTPUTS, publish_run
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.pipeline.unrecorded import announce_unrecorded, keep_without_settings
from dora_metrics.templates import load_parts, load_template

OUTPUTS = {
    **dict.fromkeys(METRIC_OUTPUTS, ""),
    "metrics": "",
    "violations": "[]",
    "page-path": "",
    "unrecorded-facts": "",
    "facts": "[]",
    "report-issue": "",
}
"""The step's outputs; lists are empty JSON lists, as in any run that recorded nothing."""


def publish_unread_settings(runner: Runner, request: RunRequest, error: UnreadSettingsError) -> int:
    """Show a run that ended because GitHub did not show its config file.

    Args:
        runner: the log and files of the workflow's step.
        request: what the run was asked for; of its settings, `strict` and `summary` count.
        error: what happened, and what to do.

    Returns:
        The exit code: 1 with `strict`, otherwise 0.
    """
    title = md("Nothing was recorded, sent or reported: the settings could not be read")
    _publish(runner, request, EarlyEnd("settings", title, error.problems, keep_without_settings(request)))
    return int(request.reaction_settings.strict)


def publish_cancelled(runner: Runner, request: RunRequest) -> None:
    """Show a run that was cancelled before it knew whether its event is recorded."""
    title = md("This run was cancelled before it had recorded everything")
    advice = "Run it again to record what is missing; nothing is recorded twice. A later sync finds what GitHub knows"
    unrecorded = replace(keep_without_settings(request), is_certain=False)
    _publish(runner, request, EarlyEnd("cancelled", title, (advice,), unrecorded))


@contextmanager
def shown_if_cancelled(context: RunContext, result: RunResult, unrecorded: UnrecordedFacts) -> Iterator[None]:
    """Show what a run has recorded, and the facts that it could not, also if it is cancelled in the block."""
    try:
        yield
    except CancelledError:
        reason = "cancelled before everything was sent and reported; the next run does that"
        context.note(Outcome("run", "failed", reason))
        publish_run(context, result, (), unrecorded)
        raise


class EarlyEnd(NamedTuple):
    """Why a run ended early: a name for annotations, a headline, what happened and what to do, and what was kept."""

    name: str
    title: Md
    problems: Sequence[str]
    unrecorded: UnrecordedFacts


def _publish(runner: Runner, request: RunRequest, end: EarlyEnd) -> None:
    runner.annotate("warning", f"dora-metrics: {end.name}", "\n".join(end.problems))
    runner.write_outputs(OUTPUTS)
    announce_unrecorded(runner, end.unrecorded)
    if request.reaction_settings.summary and request.summary_format == "markdown":
        runner.append_summary(markdown(load_template("ended-early.md.j2"), load_parts(), end=end))
