"""Show a run that ended because GitHub did not show its config file, and keep the facts that only it knows."""

from dora_metrics.core.reports.render import markdown
from dora_metrics.errors import UnreadSettingsError
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.pipeline.outputs import METRIC_OUTPUTS
from dora_metrics.pipeline.unrecorded import annotate_unrecorded, keep_without_settings
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
    """Write annotation, summary and outputs; return the exit code: 1 with `strict`, otherwise 0.

    Args:
        runner: the log and files of the workflow's step.
        request: what the run was asked for; of its settings, `strict` and `summary` count.
        error: what happened, and what to do.
    """
    settings, unrecorded = request.reaction_settings, keep_without_settings(request)
    runner.annotate("warning", "dora-metrics: settings", "\n".join(error.problems))
    runner.write_outputs({**OUTPUTS, "unrecorded-facts": unrecorded.path})
    annotate_unrecorded(runner, unrecorded)
    if settings.summary and request.summary_format == "markdown":
        template = load_template("unread-settings.md.j2")
        runner.append_summary(markdown(template, load_parts(), problems=error.problems, unrecorded=unrecorded))
    return int(settings.strict)
