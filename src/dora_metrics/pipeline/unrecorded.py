"""Facts that no ledger took: kept as a file for later steps, and shown as the commands that record them again."""

from pathlib import Path

from dora_metrics.core.facts.ids import ROLLOUT_PREFIXES
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Deployment, Fact, Incident
from dora_metrics.core.reports.unrecorded import UnrecordedFacts, dispatch_command
from dora_metrics.errors import EventError
from dora_metrics.github.events.observe import observe
from dora_metrics.github.events.repository_dispatch import dispatch_body
from dora_metrics.github.observation import Observation
from dora_metrics.github.runner import Runner, append_whole
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.sources.paths import exists, is_file

_FILE = "unrecorded-facts.jsonl"
_MAX_COMMANDS = 10


def keep_unrecorded(context: RunContext, result: RunResult) -> UnrecordedFacts:
    """Write the facts that this run could not record to a file; return its path and the commands for the summary.

    A sync finds again what GitHub knows, so it is the facts of an event that get a command: GitHub keeps neither the
    payload of a dispatch nor the inputs of a deploy job.
    """
    if result.storage.is_persistent or context.settings.ledger == "none":
        return UnrecordedFacts()
    facts = result.merge.new_facts
    if context.work != "record":
        return _keep(context.request, facts, Observation((), ""))
    return _keep(context.request, facts, _as_stated(context, facts))


def keep_without_settings(request: RunRequest) -> UnrecordedFacts:
    """Keep what GitHub does not, for a run that could not read its config file: a dispatch, a deploy job's inputs.

    They state their facts themselves. The run that receives the dispatch applies the config file.
    """
    settings = request.settings_without_config
    if settings is None or settings.mode != "auto" or settings.ledger == "none":
        return UnrecordedFacts()
    if request.run.event != "repository_dispatch" and settings.environment is None:
        return UnrecordedFacts()
    try:
        observation = observe(request.run, request.payload(), settings, frozenset())
    except EventError:
        return UnrecordedFacts()
    if any(fact.id.startswith(ROLLOUT_PREFIXES) for fact in observation.facts):
        return UnrecordedFacts()  # only the config file says whose deployment it is; the job can be run again
    return _keep(request, observation.facts, observation)


def announce_unrecorded(runner: Runner, unrecorded: UnrecordedFacts) -> None:
    """Say in the log, on the run's page and to later steps how many facts are kept, and where, if there are any."""
    if unrecorded.count:
        runner.write_outputs({"unrecorded-facts": unrecorded.path})
        runner.annotate("warning", "dora-metrics: unrecorded facts", unrecorded.text)


def _as_stated(context: RunContext, facts: tuple[Fact, ...]) -> Observation:
    """Return the facts of a run's event as the event states them, not as they are with what the ledger has.

    The others, which are so only in this run, are as they were to be recorded.
    """
    if context.run.event != "repository_dispatch":
        return Observation(facts, "")
    stated = observe(context.run, context.request.payload(), context.settings, frozenset())
    is_same = [fact.id for fact in stated.facts] == [fact.id for fact in facts]
    return stated if is_same else Observation(facts, "")


def _keep(request: RunRequest, facts: tuple[Fact, ...], event: Observation) -> UnrecordedFacts:
    """Write facts to the file; `event` has those that get a command."""
    dispatched = [fact for fact in event.facts if isinstance(fact, Deployment | Incident)]
    url = request.run.repository_url
    commands = (dispatch_command(url, dispatch_body(fact, event.unstated)) for fact in dispatched[:_MAX_COMMANDS])
    return UnrecordedFacts(len(facts), _append(facts, request.temporary_folder), tuple(filter(None, commands)))


def _append(facts: tuple[Fact, ...], folder: Path | None) -> str:
    """Append facts to the file of this job, whose steps share it; return its path, empty if that is not possible."""
    if not facts or folder is None:
        return ""
    path = folder / "dora-metrics" / _FILE
    if exists(path) and not is_file(path):  # a pipe would be waited for
        return ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        append_whole(path, b"".join(encode_fact(fact) + b"\n" for fact in facts))
    except OSError:
        return ""
    return str(path)
