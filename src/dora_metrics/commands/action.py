"""The run of the action on one screen: load, record, deliver, report, publish; it owns the exit code."""

from collections.abc import Callable, Iterator

from dora_metrics.core import formatting
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.targets.thresholds import ThresholdResult
from dora_metrics.errors import CancelledError, SettingsError, UnreadSettingsError
from dora_metrics.github.runner import Runner, unreachable_file
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.ended_early import publish_cancelled, publish_unread_settings, shown_if_cancelled
from dora_metrics.pipeline.evaluate import check_thresholds
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.pipeline.modes import record_request
from dora_metrics.pipeline.outputs import publish_run, threshold_scopes
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.pipeline.record import record
from dora_metrics.pipeline.unrecorded import announce_unrecorded, keep_unrecorded
from dora_metrics.runtime import Runtime
from dora_metrics.settings.model import Settings


def run(
    runtime: Runtime,
    read_request: Callable[[Runtime], RunRequest] = RunRequest.from_runner,
    runner: Runner | None = None,
) -> int:
    """Do what a run is asked to do: record, compute, send, report, and write summary and outputs.

    Args:
        runtime: environment, streams and clocks.
        read_request: reads what is asked for; what is wrong with it is reported like any wrong setting.
        runner: the log and files of the workflow's step; by default those that the environment names.

    Returns:
        0 if it is done, also with failed sinks; 1 if something failed and `strict` is on, or if a threshold of
        `fail-on` is violated; 2 if the settings are wrong; 126 if this is a container that cannot reach the runner.
    """
    runner = runner or Runner.of(runtime.environment, runtime.stdout)
    if (file := unreachable_file(runtime.environment)) is not None:
        return _leave_container(file, runner)
    try:
        request = read_request(runtime)
        try:
            context = RunContext.load(request, runtime, runner)
            result = record(context, record_request(context))
        except UnreadSettingsError as error:
            return publish_unread_settings(runner, request, error)
        except CancelledError:
            publish_cancelled(runner, request)
            raise
        recorded = (history.scope.repository for history in result.results.evaluation.histories)
        context.use_recorded_name(result.merge.after.names, recorded)
    except SettingsError as error:
        return _settings_problems(error, runner)
    unrecorded = keep_unrecorded(context, result)  # before anything else takes its time
    announce_unrecorded(context.runner, unrecorded)
    with shown_if_cancelled(context, result, unrecorded):
        context.outcomes += _deliver(context, result)
        context.outcomes += _file_reports(context, result)
    thresholds = check_thresholds(result.results, context.settings, threshold_scopes(context, result))
    context.outcomes += _totals(context, thresholds)
    is_published = publish_run(context, result, thresholds.violations, unrecorded)
    return _exit_code(context, thresholds, is_published=is_published)


_UNUSABLE_CONTAINER = 126
"""As an engine's own exit code for a command that cannot be started: `action/run.sh` then takes the runner's Python."""


def _leave_container(file: str, runner: Runner) -> int:
    reason = f"{file} cannot be used in the container; usually SELinux or the engine's user mapping forbids it"
    runner.annotate("warning", "dora-metrics: container", f"{reason}. Set `runtime: python` to do without a container.")
    return _UNUSABLE_CONTAINER


_OF_FORK = "a run for a pull request from a fork sends nothing"


def _sink_names(settings: Settings, *, has_time: bool) -> Iterator[str]:
    if settings.pushgateway_url:
        yield "Pushgateway"
    yield from (endpoint.sink_name for endpoint in settings.all_endpoints)
    if settings.remote_write_url:
        yield "remote write"
    if settings.bigquery_dataset and has_time:
        yield "BigQuery"


def _settings_problems(error: SettingsError, runner: Runner) -> int:
    for problem in error.problems:
        runner.show_settings_problem(problem)
    return 2


def _deliver(context: RunContext, result: RunResult) -> Iterator[Outcome]:
    has_time = context.work != "record"
    sink_names = list(_sink_names(context.settings, has_time=has_time))
    if not sink_names:
        return
    if context.request.is_of_fork:
        yield from (Outcome(name, "skipped", _OF_FORK) for name in sink_names)
    else:
        from dora_metrics.pipeline.deliver import deliver  # noqa: PLC0415 - loads what only sinks need

        yield from deliver(
            result,
            context.settings,
            context.run,
            context.runtime.http_limits,
            read_template=context.read_template,
            has_time=has_time,
        )
        yield from _send_rows(context, result)


def _send_rows(context: RunContext, result: RunResult) -> Iterator[Outcome]:
    """Send rows to a warehouse, unless this run is for an event, for which somebody may wait."""
    if context.settings.bigquery_dataset and context.work != "record":
        from dora_metrics.pipeline.warehouse import send_to_bigquery  # noqa: PLC0415 - no event sends rows

        environment = context.runtime.environment
        emulator = environment.get("BIGQUERY_EMULATOR_HOST", "")
        yield send_to_bigquery(result, context.settings, context.run, context.runtime.http_limits, emulator)


def _file_reports(context: RunContext, result: RunResult) -> Iterator[Outcome]:
    """Create or update the report issues that are due."""
    if context.report_run:
        yield from context.report_run.file(result)
    elif context.settings.mode == "report":
        reason = (
            "`report` is `off`; set `report: weekly` to file one"
            if context.has_token
            else "creating issues needs a `github-token`"
        )
        yield Outcome("report", "failed", reason)


def _totals(context: RunContext, thresholds: ThresholdResult) -> Iterator[Outcome]:
    """How many requests GitHub got, and which conditions are not true; those that are have lines of their own."""
    if context.request_count:
        yield Outcome("GitHub", "done", formatting.count(context.request_count, "request"))
    count = thresholds.passed_count
    held = (f"{formatting.count(count, 'condition')} {'is' if count == 1 else 'are'} not true",) if count else ()
    if held or thresholds.not_evaluated:
        yield Outcome("thresholds", "done" if held else "skipped", "; ".join((*held, *thresholds.not_evaluated)))


def _exit_code(context: RunContext, thresholds: ThresholdResult, *, is_published: bool) -> int:
    has_failed = not is_published or any(outcome.status == "failed" for outcome in context.outcomes)
    return int(thresholds.is_failing or (context.settings.strict and has_failed))
