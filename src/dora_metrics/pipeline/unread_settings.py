"""Show a run that ended because GitHub did not show its config file: annotation, summary, outputs without values."""

from dora_metrics.core.reports.render import markdown
from dora_metrics.errors import UnreadSettingsError
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.outputs import METRIC_OUTPUTS
from dora_metrics.settings.model import Settings
from dora_metrics.templates import load_template

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


def publish_unread_settings(runner: Runner, settings: Settings, error: UnreadSettingsError) -> int:
    """Write annotation, summary and outputs; return the exit code: 1 with `strict`, otherwise 0.

    Args:
        runner: the log and files of the workflow's step.
        settings: those of inputs and flags; `strict` and `summary` count.
        error: what happened, and what to do.
    """
    runner.annotate("warning", "dora-metrics: settings", "\n".join(error.problems))
    runner.write_outputs(OUTPUTS)
    if settings.summary:
        runner.append_summary(markdown(load_template("unread-settings.md.j2"), problems=error.problems))
    return int(settings.strict)
