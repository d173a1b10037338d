"""`rows`: judged rows of facts files, a git clone or a ledger, as files that databases load. It changes no ledger."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from dora_metrics.commands.ledger import with_folder
from dora_metrics.commands.repository_name import stated_repository
from dora_metrics.core import formatting
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import LedgerContents, is_foreign, parse_ledger
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.metrics.scope_history import Evaluation, evaluate_facts
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.core.rows.loads import LOADS
from dora_metrics.core.rows.ndjson import encode_rows
from dora_metrics.core.rows.tables import TABLES, WarehouseTable
from dora_metrics.errors import DoraError, LedgerError, SettingsError
from dora_metrics.github import console
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.runtime import Runtime
from dora_metrics.settings.config_file import read_chosen_config
from dora_metrics.settings.flags import flags_without_effect
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.sources import FactSource, fact_files
from dora_metrics.storage.base import Storage
from dora_metrics.storage.folder import Folder

_MAX_NAMED_LINES = 20
"""Of a ledger that are not valid facts; the others are counted."""


@dataclass(frozen=True)
class RowsRequest:
    """What to read, and where to write.

    Attributes:
        source: reads facts files or a git history; otherwise a ledger, as the setting `ledger` names it.
        to: the folder for the files.
        repository: whose ledger it is; None for that of GITHUB_REPOSITORY, or for no repository in particular.
        config: a config file that was named.
        flags: settings of the command line.
        now: the time to compute for.
    """

    source: FactSource | str
    to: Path
    repository: str | None
    config: Path | None
    flags: Layer
    now: datetime


class _Input(NamedTuple):
    """Facts, the settings to judge them by, the time that numbers are as of, and what readers must know."""

    facts: list[Fact]
    settings: Settings
    now: datetime
    notes: tuple[str, ...]


def run(request: RowsRequest, runtime: Runtime) -> int:
    """Write the rows, and print how many each table has. Notes go to standard error.

    Raises:
        SettingsError: with every problem of the settings.
        DoraError: if facts or ledger cannot be read, or the folder cannot be written.
    """
    source = _read(request, runtime)
    evaluation = evaluate_facts(source.facts, source.settings.policy)
    for table, row_count in _write(request.to, _judged(source, evaluation)).items():
        path = request.to / _file_name(table)
        console.write_line(runtime.stdout, f"{path}: {formatting.count(row_count, 'row')}")
    for note in (*source.notes, *evaluation.notes):
        console.write_line(runtime.stderr, f"dora-metrics: {note}")
    return 0


def _judged(source: _Input, evaluation: Evaluation) -> JudgedFacts:
    settings = source.settings
    try:
        return JudgedFacts.of(evaluation, source.facts, settings.policy, settings.window_spec, source.now)
    except ValueError as error:
        raise SettingsError(f"window: {error}") from None


def _read(request: RowsRequest, runtime: Runtime) -> _Input:
    if isinstance(request.source, str):
        return _read_ledger(request.source, request, runtime)
    return _read_facts(request.source, request)


def _read_facts(facts: FactSource, request: RowsRequest) -> _Input:
    """Read facts files as `compute` does, or a git history as `report` does.

    Raises:
        DoraError: with every problem of the settings, or of the facts.
    """
    config = read_chosen_config(request.config)
    settings = load_settings((*([config] if config else ()), request.flags))
    read = facts(settings, request.now)
    selection = (read.selection,) if read.selection else ()
    return _Input(read.facts, settings, request.now, (*selection, *read.notes))


def _read_ledger(ledger: str, request: RowsRequest, runtime: Runtime) -> _Input:
    """Read all of a ledger with the settings that `rebuild` would use.

    Raises:
        DoraError: with every problem of the settings, or if the ledger cannot be read.
    """
    context = _context(ledger, request, runtime)
    settings, storage = context.settings, context.storage()
    contents = _contents(storage, RepositoryNames(services=frozenset(settings.services)))
    unused = flags_without_effect("rows")
    outcomes = (f"{each.name}: {each.detail}" for each in context.outcomes if each.name not in unused)
    return _Input(contents.facts, settings, context.run.now, (*outcomes, *_notes(contents, storage.name)))


def _context(ledger: str, request: RowsRequest, runtime: Runtime) -> RunContext:
    """Load the settings as `rebuild` does.

    Raises:
        DoraError: if one of them, or the repository, is wrong, or the ledger is a folder that does not exist.
    """
    access = {
        "mode": "rebuild",
        "ledger": ledger,
        "github-token": runtime.environment.get("GITHUB_TOKEN"),
        "config": request.config and str(request.config),
    }

    def read_request(at: Runtime) -> RunRequest:
        repository = stated_repository(request.repository, at) or EVERY_REPOSITORY
        flags = Layer(request.flags.origin, {**request.flags.values, **access})
        asked = RunRequest.from_command_line(at, repository, flags, has_fixed_time=request.now != runtime.now)
        return replace(asked, is_read_only=True)

    at_time = replace(runtime, now=request.now)
    return RunContext.load(with_folder(read_request, at_time), at_time, Runner.of({}, StringIO()))


def _contents(storage: Storage, names: RepositoryNames) -> LedgerContents:
    """Read all facts of a ledger.

    Raises:
        LedgerError: if it cannot be read, or there is no ledger.
    """
    if not storage.is_persistent:
        raise LedgerError("--ledger none has no facts; write dir:PATH or branch:NAME@OWNER/NAME")
    snapshot = storage.read()
    if is_foreign(snapshot.files, snapshot.folders, snapshot.sequence):
        raise LedgerError(f"{storage.name} is not a ledger; name the branch or the folder that the action writes to")
    if not snapshot.files:  # a misspelt name must not empty the tables
        raise LedgerError(f"{storage.name} is missing or empty; check the name, or create it with 'dora-metrics sync'")
    return parse_ledger(snapshot.files, known=names)


def _notes(contents: LedgerContents, name: str) -> Iterator[str]:
    """Yield what is in a ledger and in no row, and that nothing is in it."""
    for line in contents.quarantined[:_MAX_NAMED_LINES]:
        yield f"{line.path}:{line.bad_line.number}: {line.bad_line.problem}; the line is in no row"
    if hidden_count := len(contents.quarantined[_MAX_NAMED_LINES:]):
        yield f"and {hidden_count:,} more such lines"
    yield from contents.names.notes
    yield from fact_files.unknown_kind_notes(line.record for line in contents.lines_by_id.values())
    if not contents.facts:
        yield f"{name} holds no facts, so the tables are empty."


def _write(folder: Path, judged: JudgedFacts) -> Mapping[WarehouseTable, int]:
    """Write a file for each table, as a whole or not at all; return the numbers of rows.

    Each table of terraform/tables.json has a file. That of `loads` is empty, since a warehouse fills the table itself.

    Raises:
        DoraError: if a file cannot be written; two problems, what happened and what to do.
    """
    files = Folder(folder)
    lines_by_table = {table: _CountedLines(encode_rows(table, judged.rows(table))) for table in TABLES}
    with _explained(f"--to {folder}"):
        files.make()
    lines_by_file: dict[str, Iterable[bytes]] = {_file_name(table): lines for table, lines in lines_by_table.items()}
    for name, lines in (lines_by_file | {_file_name(LOADS): ()}).items():
        with _explained(f"--to {folder}: {name}"):
            files.replace_by_parts(name, lines)
    return {table: lines.count for table, lines in lines_by_table.items()}


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Say which folder or file the system refuses to write."""
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise DoraError([f"{place} cannot be written ({reason})", "choose a folder you can write to"]) from None


class _CountedLines:
    """Lines that are counted as they are read, so that they need not be in memory together."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line


def _file_name(table: WarehouseTable) -> str:
    return f"{table.name}.ndjson"
