"""`incidents`: the incidents of one system as facts in a file, without a ledger."""

from dataclasses import dataclass, replace
from datetime import datetime
from io import StringIO
from pathlib import Path

from dora_metrics.commands.repository_name import repository_of_folder, stated_repository
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import Incident
from dora_metrics.core.linking.former_names import NO_NAMES
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import DoraError, SettingsError
from dora_metrics.github import console
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.incident_history import SystemReader, first_time, reading_outcome, system_facts
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.runtime import Runtime
from dora_metrics.settings.addresses import INCIDENTS
from dora_metrics.settings.incidents.parsing import parse_systems
from dora_metrics.settings.incidents.systems import IncidentSystem
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import EVERY_REPOSITORY
from dora_metrics.sources.incidents.read import ReadingRequest

STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class IncidentsRequest:
    """What to read, and where to write it.

    Attributes:
        system: the name of a system in the setting `incidents`.
        out: the file; `-` for standard output.
        repository: which repository incidents belong to unless `services` names another; None for that of
            GITHUB_REPOSITORY or of the current folder.
        config: a config file that was named.
        flags: settings of the command line.
        now: the time of the run.
    """

    system: str
    out: str
    repository: str | None
    config: Path | None
    flags: Layer
    now: datetime


def run(request: IncidentsRequest, runtime: Runtime) -> int:
    """Read a system from `since` on, and write its incidents as facts, one a line.

    Returns:
        0 if it is done; 1 if the system could not be read to the end, and then nothing is written.

    Raises:
        DoraError: if a setting or an option is wrong.
    """
    runtime = replace(runtime, now=request.now)
    context = _context(request, runtime)
    system = _selected_system(request.system, context)
    since = first_time(context.settings, request.now)
    reading = SystemReader.of(context.settings, request.now, runtime).read(system, ReadingRequest(since, request.now))
    facts = system_facts(system, reading, context.settings, context.run.repository, NO_NAMES)
    outcome = reading_outcome(system, reading, since)
    for line in (_text(outcome), *facts.notes):
        console.write_line(runtime.stderr, line)
    if outcome.status == "failed":
        return 1
    _write(request.out, facts.incidents, runtime)
    return 0


def _context(request: IncidentsRequest, runtime: Runtime) -> RunContext:
    """Load the settings as `sync` does, without GitHub.

    Raises:
        DoraError: if one of them, or the repository, is wrong.
    """
    repository = stated_repository(request.repository, runtime)
    access = {
        "mode": "sync",
        "ledger": "none",
        "incident-tokens": runtime.environment.get("INCIDENT_TOKENS"),
        "config": request.config and str(request.config),
    }
    flags = Layer(request.flags.origin, {**request.flags.values, **access})
    run_request = RunRequest.from_command_line(runtime, repository or EVERY_REPOSITORY, flags, has_fixed_time=True)
    without_github = replace(run_request, layers=tuple(map(_without_github, run_request.layers)))
    context = RunContext.load(without_github, runtime, Runner.of({}, StringIO()))
    if repository is None and not context.settings.repositories:
        return _context(replace(request, repository=repository_of_folder(runtime)), runtime)
    return context


def _without_github(layer: Layer) -> Layer:
    return Layer(layer.origin, {name: value for name, value in layer.values.items() if name != "github-token"})


def _selected_system(name: str, context: RunContext) -> IncidentSystem:
    """Return the system with a name.

    Raises:
        SettingsError: if the settings have none; with the reason, if those of the checkout do not count.
    """
    systems = {system.name: system for system in parse_systems(context.settings.incidents)}
    if name in systems:
        return systems[name]
    if withheld := [_text(outcome) for outcome in context.outcomes if outcome.name == INCIDENTS]:
        raise SettingsError(withheld)
    known = f"it has {', '.join(systems)}" if systems else f"{context.request.config_path} has no `incidents`"
    raise SettingsError(f"--system {name!r} is not in the setting `incidents`; {known}")


def _text(outcome: Outcome) -> str:
    return f"{outcome.name}: {outcome.detail}"


def _write(out: str, incidents: tuple[Incident, ...], runtime: Runtime) -> None:
    """Write facts in the order of their beginning.

    Raises:
        DoraError: if the file cannot be written.
    """
    in_order = sorted(incidents, key=lambda incident: (incident.detected_at, incident.id))
    lines = [encode_fact(incident).decode() for incident in in_order]
    if out == STANDARD_OUTPUT:
        for line in lines:
            console.write_json(runtime.stdout, line)
        return
    try:
        Path(out).write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="\n")
    except (OSError, ValueError) as error:
        raise DoraError(f"--out {out}: cannot be written ({getattr(error, 'strerror', None) or error})") from None
