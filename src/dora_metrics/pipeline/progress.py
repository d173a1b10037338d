"""How far a reading of GitHub's past is: a bar a kind on a terminal, grouped lines in a workflow's log."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from dora_metrics.core import formatting
from dora_metrics.github.history import HistoryPart, PartOrFailure
from dora_metrics.github.runner import Runner

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_PACE_SECONDS = 5


class Progress(Protocol):
    """The port: entered while something is read, shown each part of it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def show(self, repository: str, part: PartOrFailure) -> None: ...


@dataclass
class ProgressLines:
    """Lines in a log: each kind when it is done, and where it takes long now and then in between."""

    runner: Runner
    monotonic: Callable[[], float] = time.monotonic
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _last: float = float("-inf")

    def __enter__(self) -> Self:
        self.runner.start_group("Reading GitHub's history")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.runner.end_group()

    def show(self, repository: str, part: PartOrFailure) -> None:
        if not isinstance(part, HistoryPart):
            self.runner.info(f"{repository}: {part}")
            return
        key = (repository, part.kind)
        self._counts[key] = self._counts.get(key, 0) + len(part.facts)
        waited = self.monotonic() - self._last
        if waited >= _PACE_SECONDS or (part.is_complete and self._counts[key]):
            self._last = self.monotonic()
            self.runner.info(f"{repository}: {part}, {formatting.count(self._counts[key], 'fact')}")


@dataclass
class ProgressBars:
    """Bars on a terminal, by how far back in time each kind is, with the rate and the time left."""

    out: TextIO
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
        self._rich = RichProgress(*columns, console=Console(file=self.out))
        self._rich.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._rich:
            self._rich.stop()

    def show(self, repository: str, part: PartOrFailure) -> None:
        if self._rich is None or not isinstance(part, HistoryPart):
            return
        key = (repository, part.kind)
        if key not in self._tasks:
            name = f"{repository} {part.kind}"
            self._tasks[key] = self._rich.add_task(name, total=self._total, facts=0, rate="–")
        task = self._rich.tasks[self._tasks[key]]
        facts = task.fields["facts"] + len(part.facts)
        rate = f"{facts / task.elapsed:.0f}" if task.elapsed else "–"
        total = self._total or 1.0
        done = total if part.is_complete else (self.now - part.reached).total_seconds() if part.reached else 0
        self._rich.update(
            self._tasks[key], completed=done, total=total if part.is_complete else self._total, facts=facts, rate=rate
        )

    @property
    def _total(self) -> float | None:
        """Seconds of history to read, unknown where all of it is."""
        return (self.now - self.since).total_seconds() if self.since else None


def make_progress(runner: Runner, out: TextIO, now: datetime, since: datetime | None) -> Progress:
    """Bars where a person is watching, if the library for them is there (`pip install dora-metrics[terminal]`)."""
    if out.isatty():
        try:
            import rich  # noqa: F401, PLC0415 - an optional library
        except ImportError:
            return ProgressLines(runner)
        return ProgressBars(out, now, since)
    return ProgressLines(runner)
