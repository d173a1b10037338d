"""The first sync of a proposal, into a temporary folder: the numbers that the workflow would show. Nothing is kept."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from dora_metrics.commands.init.findings import CONFIG_PATH
from dora_metrics.commands.init.summary import FirstNumbers
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import DoraError
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.evaluate import last_deployed
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.pipeline.modes import record_request
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.pipeline.record import record
from dora_metrics.runtime import Deadline, Runtime
from dora_metrics.settings.addresses import REPOSITORIES
from dora_metrics.settings.loading import Layer

MAX_SECONDS = 60
"""How long the sync may take; the workflow has no such limit."""

_KEPT_VARIABLES = ("PATH", "GITHUB_API_URL", "GITHUB_SERVER_URL")
"""Nothing else of the environment may change the numbers, such as inputs of another run."""


def read_first_numbers(repository: str, config_text: str, token: str, runtime: Runtime) -> FirstNumbers:
    """Sync a repository as the proposed workflow would, and compute its numbers.

    Args:
        repository: `OWNER/NAME` on GitHub.
        config_text: the text of the config file. It counts as a checkout's, since a stranger may have written it.
        token: for GitHub's API.
        runtime: where GitHub is, and the time.

    Returns:
        The numbers, and what went wrong; nothing is raised for it.
    """
    with TemporaryDirectory(prefix="dora-metrics-init-") as folder:
        config = Path(folder) / CONFIG_PATH
        config.parent.mkdir()
        config.write_text(config_text, encoding="utf-8")
        try:
            return _numbers_of(repository, _quiet(runtime, folder), _flags(token))
        except (DoraError, OSError) as error:
            return FirstNumbers(problems=tuple(getattr(error, "problems", (str(error),))))


def _quiet(runtime: Runtime, folder: str) -> Runtime:
    """Return the runtime with a log that nobody reads, and with the folder as its workspace."""
    environment: Mapping[str, str] = runtime.environment
    variables = {name: environment[name] for name in _KEPT_VARIABLES if name in environment}
    return replace(runtime, environment={**variables, "GITHUB_WORKSPACE": folder}, stdout=StringIO(), stderr=StringIO())


def _flags(token: str) -> Layer:
    return Layer(
        "init",
        {
            "mode": "sync",
            "github-token": token,
            "ledger": "dir:ledger",
            "report": "off",
            "page": "false",
            "summary": "false",
            "max-rate-limit-wait": "1m",
        },
    )


def _numbers_of(repository: str, runtime: Runtime, flags: Layer) -> FirstNumbers:
    request = RunRequest.from_command_line(runtime, repository, flags)
    context = RunContext.load(request, runtime, Runner(runtime.stdout, None, None))
    deadline = Deadline(MAX_SECONDS, runtime.monotonic)
    with context.client.within(deadline):
        result = record(context, record_request(context))
    problems = tuple(_problems(context.outcomes))
    if not deadline.seconds_left:
        problems = (f"it stopped after {MAX_SECONDS} s; the workflow reads the rest",)
    return _first_numbers(result, context.settings.since_time(runtime.now), problems)


def _problems(outcomes: list[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.status == "failed":
            yield f"{outcome.name}: {outcome.detail}"
        elif outcome.name == REPOSITORIES:
            yield f"{REPOSITORIES}: only this repository was read, since the settings in this checkout are not trusted"


def _first_numbers(result: RunResult, since: datetime | None, problems: tuple[str, ...]) -> FirstNumbers:
    histories = result.results.evaluation.histories
    latest = last_deployed(histories, result.results.now)
    return FirstNumbers(
        results=result.results,
        scope=latest.scope if latest else None,
        deployment_count=sum(len(history.deployments) for history in histories),
        since=since,
        problems=problems,
    )
