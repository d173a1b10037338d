"""The ledger's file of reports: who makes one, and what was filed."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dora_metrics.core.ledger.layout import REPORTS
from dora_metrics.core.periods import Kind, Period
from dora_metrics.core.reports.periodic import claims as filed
from dora_metrics.core.reports.periodic.claims import Drawer, Entry
from dora_metrics.errors import LedgerError
from dora_metrics.storage.base import Ledger, Snapshot

_TRIES = 3
_FILED = "File the report"


@dataclass(frozen=True)
class Claimant:
    """A run that makes reports, under a name of its own. `began`: when, by the clock of `now`."""

    repository: str
    began: datetime
    asked: bool
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    _started: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> datetime:
        """As long after the run began as it is by now."""
        return self.began + timedelta(seconds=time.monotonic() - self._started)

    def claims(self, files: Mapping[str, bytes], due: Mapping[Kind, Period]) -> dict[str, bytes]:
        """The file with this run's claim on every report that is due and free; nothing where none is."""
        drawer = opened(files, self.repository)
        found = ((k, filed.claimed(drawer, one, self.name, self.now, asked=self.asked)) for k, one in due.items())
        return _put(files, self.repository, {str(kind): entry for kind, entry in found if entry})

    def owns(self, entry: Entry) -> bool:
        return entry.claimed_by == self.name and not entry.done


def opened(files: Mapping[str, bytes], repository: str) -> Drawer:
    """What was filed in one of the repositories that share a ledger."""
    return filed.decoded(files.get(REPORTS, b"")).get(repository, {})


def _put(files: Mapping[str, bytes], repository: str, entries: Drawer) -> dict[str, bytes]:
    """The file with other entries of a repository; nothing without any."""
    cabinet = filed.decoded(files.get(REPORTS, b""))
    drawer = {**cabinet.get(repository, {}), **entries}
    return {REPORTS: filed.encoded({**cabinet, repository: drawer})} if entries else {}


@dataclass
class Shelf:
    """The file in a ledger as this run has last seen it."""

    ledger: Ledger
    seen: Snapshot
    repository: str

    def entry(self, kind: Kind) -> Entry | None:
        return opened(self.seen.files, self.repository).get(kind)

    def again(self, kind: Kind) -> Entry | None:
        """As the ledger has it now.

        Raises:
            LedgerError: if it cannot be read.
        """
        self.seen = self.ledger.read(self.seen.reach)
        return self.entry(kind)

    def take(self, kind: Kind, entry: Entry) -> bool:
        """Puts an entry there, unless another run has changed the ledger since.

        Raises:
            LedgerError: if it cannot be written.
        """
        saved = self.ledger.write(self.seen, _put(self.seen.files, self.repository, {kind: entry}), _FILED)
        self.seen = saved or self.seen
        return saved is not None

    def keep(self, kind: Kind, entry: Entry) -> None:
        """Puts an entry there, on top of what others have written meanwhile.

        Raises:
            LedgerError: if it cannot be written.
        """
        for _ in range(_TRIES):
            if self.take(kind, entry):
                return
            self.again(kind)
        raise LedgerError("other runs wrote to the ledger first; the next run finds the issue by its marker")
