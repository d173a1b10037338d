"""What a sync reads of incidents besides GitHub: when it reads them, and the cursor from which it goes on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from dora_metrics.core.cursors import Cursor, Cursors, decode_cursors, encode_cursors
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.ledger.layout import CURSORS_FILE, LedgerContents
from dora_metrics.github.observation import Observation, Run
from dora_metrics.pipeline.record import RecordRequest


class IncidentSync(Protocol):
    """One reading of incidents; what it reads is asked once, even if the ledger is read again."""

    def read(self, contents: LedgerContents) -> None:
        """Read what is new since the ledger's cursor."""

    def added_to(self, observation: Observation, contents: LedgerContents) -> Observation:
        """Return what a sync observed, with the incidents that the ledger does not know, and the next cursor."""
        ...


def with_incident_syncs(request: RecordRequest, syncs: Sequence[IncidentSync]) -> RecordRequest:
    """Return the request of a sync that reads incidents after GitHub's history."""

    def read_in_steps(contents: LedgerContents) -> Iterator[None]:
        yield from request.read_in_steps(contents)
        for sync in syncs:
            sync.read(contents)

    def observe(contents: LedgerContents) -> Observation:
        observation = request.observe(contents)
        for sync in syncs:
            observation = sync.added_to(observation, contents)
        return observation

    return replace(request, observe=observe, read_in_steps=read_in_steps)


@dataclass
class ReadingCursor:
    """From where a sync reads, and from where the next one does.

    Attributes:
        kind: what stands in `cursors.json` in place of a repository.
        system: the name of the system, if several have cursors of this kind; otherwise empty.
        selection: what selects the incidents. The cursor of a reading with another selection does not count.
        run: the workflow run.
    """

    kind: str
    system: str
    selection: str
    run: Run
    _read_from: Cursor = field(default_factory=Cursor)

    def begin(self, contents: LedgerContents) -> None:
        """Begin a reading at the ledger's cursor."""
        self._read_from = self._recorded(contents)

    @property
    def last(self) -> Cursor:
        """The cursor of the last reading with this selection; an empty one if there is none."""
        return self._read_from if self._read_from.open[:1] == (self.selection,) else Cursor()

    @property
    def last_missing(self) -> tuple[str, ...]:
        """What the system did not show any more in the last reading."""
        return self.last.open[1:]

    def after(self, newest: datetime | None, problem: str | None, missing: tuple[str, ...] = ()) -> Cursor:
        """Return the cursor of a reading that got to a time, why it ended early if it did, and what it missed."""
        cursor = Cursor(newest=newest, open=(self.selection, *missing))
        if problem is None:
            return cursor
        return replace(cursor, refused=problem, refused_at=self.last.refused_at or self.run.now)

    def with_next(
        self, files: Mapping[str, bytes], contents: LedgerContents, next_cursor: Cursor
    ) -> Mapping[str, bytes]:
        """Return files of the ledger with the cursor from which the next reading goes on.

        A ledger whose cursor is another one than the reading began at keeps that, since it may lack what was left out.
        """
        cursors = self._decode(files)
        if self._recorded(contents) == self._read_from:
            cursors.setdefault(self.kind, {})[self._name(contents)] = next_cursor
        return {**files, CURSORS_FILE: encode_cursors(cursors)}

    def _recorded(self, contents: LedgerContents) -> Cursor:
        return self._decode(contents.files).get(self.kind, {}).get(self._name(contents), Cursor())

    def _decode(self, files: Mapping[str, bytes]) -> Cursors:
        return decode_cursors(files.get(CURSORS_FILE, b""), self.run.now + CLOCK_SKEW)

    def _name(self, contents: LedgerContents) -> str:
        return f"{contents.names.stable_name(self.run.repository)} {self.system}".rstrip()
