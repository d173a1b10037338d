"""How far a sync is: bars on a terminal, grouped lines in a workflow's log."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from dora_metrics.core import formatting
from dora_metrics.github import console
from dora_metrics.github.history import HistoryPart, PartOrFailure
from dora_metrics.github.runner import Runner

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_SECONDS_BETWEEN_LINES = 5


class Progress(Protocol):
    """Shows a reading of GitHub's history; entered while it lasts."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, repository: str, part: PartOrFailure) -> None:
        """Show a part that was just read."""
        ...


@dataclass
class ProgressLines:
    """Lines in a log: one for each kind when it is complete, and one every few seconds for what takes long."""

    runner: Runner
    monotonic: Callable[[], float] = time.monotonic
    _fact_counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _last_line_seconds: float = float("-inf")

    def __enter__(self) -> Self:
        self.runner.start_group("Reading GitHub's history")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.runner.end_group()

    def show(self, repository: str, part: PartOrFailure) -> None:
        if not isinstance(part, HistoryPart):
            self.runner.info(f"{repository}: {part}")
            return
        key = (repository, part.kind)
        self._fact_counts[key] = self._fact_counts.get(key, 0) + len(part.facts)
        silent_seconds = self.monotonic() - self._last_line_seconds
        if silent_seconds >= _SECONDS_BETWEEN_LINES or (part.is_complete and self._fact_counts[key]):
            self._last_line_seconds = self.monotonic()
            self.runner.info(f"{repository}: {part}, {formatting.count(self._fact_counts[key], 'fact')}")


@dataclass
class ProgressBars:
    """A bar for each kind on a terminal, by how far back in time it was read, with its rate and the time left."""

    stream: TextIO
    now: datetime
    since: datetime | None
    _tasks: "dict[tuple[str, str], TaskID]" = field(default_factory=dict)
    _rich: "RichProgress | None" = None

    def __enter__(self) -> Self:
        from rich.console import Console  # noqa: PLC0415 - an optional library
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - as above
        from rich.progress import Progress as RichProgress  # noqa: PLC0415 - as above

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[facts]} facts, {task.fields[rate]}/s"),
            TimeRemainingColumn(),
        )
        self._rich = RichProgress(*columns, console=Console(file=self.stream))
        self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._rich:
            self._rich.stop()

    def show(self, repository: str, part: PartOrFailure) -> None:
        if self._rich is None or not isinstance(part, HistoryPart):
            return
        task_id = self._task_id(self._rich, repository, part)
        task = self._rich.tasks[task_id]
        facts = task.fields["facts"] + len(part.facts)
        rate = f"{facts / task.elapsed:.0f}" if task.elapsed else "–"
        total = (self._total_seconds or 1.0) if part.is_complete else self._total_seconds
        self._rich.update(task_id, completed=self._read_seconds(part), total=total, facts=facts, rate=rate)

    def _task_id(self, rich: "RichProgress", repository: str, part: HistoryPart) -> "TaskID":
        key = (repository, part.kind)
        if key not in self._tasks:
            name = console.neutral_line(f"{repository} {part.kind}")
            self._tasks[key] = rich.add_task(name, total=self._total_seconds, facts=0, rate="–")
        return self._tasks[key]

    def _read_seconds(self, part: HistoryPart) -> float:
        """Seconds of history that were read."""
        if part.is_complete:
            return self._total_seconds or 1.0
        return (self.now - part.reached).total_seconds() if part.reached else 0

    @property
    def _total_seconds(self) -> float | None:
        """Seconds of history to read; None if all of it is read, however long that is."""
        return (self.now - self.since).total_seconds() if self.since else None


def make_progress(runner: Runner, stream: TextIO, now: datetime, since: datetime | None) -> Progress:
    """Return bars for a person at a terminal, if `dora-metrics[terminal]` is installed; otherwise lines in the log."""
    if stream.isatty():
        try:
            import rich  # noqa: F401, PLC0415 - an optional library
        except ImportError:
            return ProgressLines(runner)
        return ProgressBars(stream, now, since)
    return ProgressLines(runner)
