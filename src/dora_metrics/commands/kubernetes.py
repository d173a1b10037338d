"""`kubernetes`: deployments from what kubectl wrote, as facts, one JSON object a line. It reads files only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from dora_metrics.commands.repository_name import repository_of_folder, stated_repository
from dora_metrics.core import formatting
from dora_metrics.core.facts import jsonl
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.gitops.commits import known_sha
from dora_metrics.core.gitops.deployments import NewDeployments
from dora_metrics.errors import DoraError
from dora_metrics.github import console
from dora_metrics.github.observation import Run
from dora_metrics.pipeline.cluster_rollouts import ClusterRollouts
from dora_metrics.runtime import Runtime
from dora_metrics.settings.config_file import read_chosen_config
from dora_metrics.settings.loading import load_settings
from dora_metrics.sources import SourceFacts, fact_files
from dora_metrics.sources.kubernetes.files import ClusterFile, read_file, read_stream

_STDIN = "-"


@dataclass(frozen=True)
class KubernetesRequest:
    """What to read, and where to write.

    Attributes:
        files: files that kubectl wrote; `-` for standard input.
        facts: recorded facts, such as a ledger, whose deployments are not printed again; None for none.
        out: a file for the facts; None for standard output.
        repository: whose deployments they are; None for that of GITHUB_REPOSITORY or of the current folder.
        config: a config file that was named.
        now: the time of the run. A file was written at its own time, which is not later.
    """

    files: tuple[str, ...]
    facts: str | None
    out: Path | None
    repository: str | None
    config: Path | None
    now: datetime


def run(request: KubernetesRequest, runtime: Runtime) -> int:
    """Print the deployments that are new; what else readers must know goes to standard error.

    Raises:
        SettingsError: with every problem of the config file.
        DoraError: if a file cannot be read, or the repository is not OWNER/NAME.
    """
    config = read_chosen_config(request.config)
    settings = load_settings([config] if config else [])
    recorded = _recorded(request, runtime.stdin)
    rollouts = ClusterRollouts.of(_read_files(request.files, runtime.stdin), settings, _run(request, runtime))
    new = _new(rollouts, recorded)
    _write(request.out, new.deployments, runtime)
    for line in _lines(rollouts, new, request.out):
        console.write_line(runtime.stderr, f"dora-metrics: {line}")
    return 0


def _read_files(names: tuple[str, ...], stdin: BinaryIO) -> list[ClusterFile]:
    """Read the files.

    Raises:
        DoraError: with every file that cannot be read.
    """
    files = [
        read_stream("standard input", stdin) if name == _STDIN else read_file(name, Path(name), may_be_a_pipe=True)
        for name in names
    ]
    if problems := [f"--from {file.name}: {file.problem}" for file in files if file.problem]:
        raise DoraError(problems)
    return files


def _recorded(request: KubernetesRequest, stdin: BinaryIO) -> SourceFacts:
    if request.facts is None:
        return SourceFacts([], ())
    if request.facts == _STDIN and _STDIN in request.files:
        raise DoraError("--facts and --from cannot both be standard input; write one of them to a file")
    return fact_files.read(request.facts, stdin)


def _run(request: KubernetesRequest, runtime: Runtime) -> Run:
    """Return the run that stands for the command line."""
    repository = stated_repository(request.repository, runtime) or repository_of_folder(runtime)
    server_url = runtime.environment.get("GITHUB_SERVER_URL") or "https://github.com"
    return Run(event="workflow_dispatch", repository=repository, now=request.now, server_url=server_url, has_job=False)


def _new(rollouts: ClusterRollouts, recorded: SourceFacts) -> NewDeployments:
    def full_sha(repository: str, digits: str) -> str | None:
        return known_sha(digits, repository, recorded.facts)

    return rollouts.new_to(recorded.facts, recorded.names, rollouts.run, full_sha)


def _write(out: Path | None, deployments: tuple[Deployment, ...], runtime: Runtime) -> None:
    """Write facts to a file, or to standard output.

    Raises:
        DoraError: if the file cannot be written.
    """
    lines = [jsonl.encode_fact(each) for each in deployments]
    if out is None:
        for line in lines:
            console.write_json(runtime.stdout, line.decode())
        return
    try:
        out.write_bytes(b"".join(line + b"\n" for line in lines))
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise DoraError(f"--out {out} cannot be written ({reason}); choose a folder you can write to") from None


def _lines(rollouts: ClusterRollouts, new: NewDeployments, out: Path | None) -> Iterator[str]:
    """Yield what readers must know besides the facts."""
    yield from (outcome.detail for outcome in rollouts.outcomes)
    yield from (*new.notes, *rollouts.notes)
    if out:
        yield f"{formatting.count(len(new.deployments), 'deployment')} written to {out}"
