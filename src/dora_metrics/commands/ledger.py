"""`sync` and `rebuild` on a command line: the action in one of these modes, as a person who starts it by hand."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from dora_metrics.commands import action
from dora_metrics.core.scope import is_repository_name
from dora_metrics.errors import DoraError, SettingsError
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.inputs import NO_REPOSITORY, RunRequest, SummaryFormat
from dora_metrics.runtime import Runtime
from dora_metrics.settings.flags import LEDGER_DEFAULTS
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import EVERY_REPOSITORY
from dora_metrics.sources.paths import exists


@dataclass(frozen=True)
class LedgerRequest:
    """What to do with a ledger.

    Attributes:
        mode: `sync` reads GitHub's history; `rebuild` computes all derived files again.
        format: how the numbers are printed. With `json` the log goes to stderr.
        repository: whose ledger it is; None for the one in GITHUB_REPOSITORY, or for no repository in particular.
        config: a config file that was named.
        flags: settings of the command line.
        now: the time of the run.
    """

    mode: Literal["sync", "rebuild"]
    format: SummaryFormat
    repository: str | None
    config: Path | None
    flags: Layer
    now: datetime


def run(request: LedgerRequest, runtime: Runtime) -> int:
    """Run the action in the mode; see `action.run` for the exit code. Any failure is 1, and no report is filed.

    Raises:
        DoraError: if the repository is not OWNER/NAME.
    """
    if request.repository is not None and not is_repository_name(request.repository):
        raise DoraError(f"--repository {request.repository!r} is not OWNER/NAME")
    environment = runtime.environment
    repository = request.repository or environment.get("GITHUB_REPOSITORY") or EVERY_REPOSITORY
    access = {
        "mode": request.mode,
        "github-token": environment.get("GITHUB_TOKEN"),
        "remote-write-token": environment.get("REMOTE_WRITE_TOKEN"),
        "bigquery-token": environment.get("BIGQUERY_TOKEN"),
        "endpoint-tokens": environment.get("ENDPOINT_TOKENS"),
        "incident-tokens": environment.get("INCIDENT_TOKENS"),
        "config": request.config and str(request.config),
    }
    flags = Layer(request.flags.origin, {**LEDGER_DEFAULTS, **request.flags.values, **access})
    read_request = partial(
        RunRequest.from_command_line,
        repository=repository,
        flags=flags,
        has_fixed_time=request.now != runtime.now,
        summary_format=request.format,
    )
    read_request = partial(_with_token if request.mode == "sync" else with_folder, read_request)
    log = runtime.stderr if request.format == "json" else runtime.stdout
    return action.run(replace(runtime, now=request.now), read_request, Runner.of(environment, log))


def _with_token(read_request: Callable[[Runtime], RunRequest], runtime: Runtime) -> RunRequest:
    """Read a request that GitHub's history is needed for.

    Raises:
        SettingsError: if there is no token; then a missing repository is named too.
    """
    request = read_request(runtime)
    if not request.names_token:
        raise SettingsError([_MISSING_ACCESS] if request.names_repository else [_MISSING_ACCESS, NO_REPOSITORY])
    return request


_MISSING_ACCESS = (
    "sync: GITHUB_TOKEN is not set. Set it to a token that can read the repository and, for a ledger on a "
    "branch, write to it. For example: GITHUB_TOKEN=$(gh auth token)."
)


def with_folder(read_request: Callable[[Runtime], RunRequest], runtime: Runtime) -> RunRequest:
    """Read a request that computes from a ledger.

    Raises:
        SettingsError: if the ledger of the command line or the environment is a folder that does not exist, unless the
            numbers are those of shards.
    """
    request = read_request(runtime)
    ledger = request.access_settings.ledger
    kind, _, place = ledger.partition(":")
    if kind == "dir" and not request.names_shard_ledgers and not exists(request.workspace / place):
        raise SettingsError(
            f"{ledger}: there is no ledger. 'dora-metrics sync --ledger {shlex.quote(ledger)}' creates one."
        )
    return request
