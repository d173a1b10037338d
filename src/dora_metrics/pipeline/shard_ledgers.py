"""Read the ledgers of shards, one after another, for a run that shows them together. Nothing is written to them."""

from collections.abc import Iterator
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.union import OtherLedger, OtherLedgers
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import LedgerError
from dora_metrics.pipeline.context import RunContext
from dora_metrics.storage.base import Storage

_NAME = "shard ledger"
_NO_LEDGER = "{}: there is no ledger. Its name may be wrong, or the shard's first sync has not ended yet"
_FOREIGN = "{} holds other files than a ledger. Write the name of the shard's ledger in `shard-ledgers`"
_UNREAD = "{}. The numbers lack its repositories"
_NEWER = "{}: {} of a newer version of dora-metrics, so the numbers lack them. Use the same version in all jobs"
_BAD_LINES = "{}: {} not valid, so the numbers lack them. The shard's next sync sets them aside"


def read_shard_ledgers(context: RunContext) -> OtherLedgers:
    """Read the ledgers in `shard-ledgers`, each once. One that cannot be read is noted, and the others count.

    Raises:
        SettingsError: if a command line lacks the token or the repository of a branch.
    """
    ledgers: list[OtherLedger] = []
    unread: list[str] = []
    for setting in _ledgers_to_read(context):
        try:
            storage = context.storage_of(setting)
            ledger = _read(storage, context.run.now)
        except LedgerError as error:
            unread.append(setting)
            context.note(Outcome(_NAME, "failed", _UNREAD.format(error)))
        else:
            ledgers.append(ledger)
            _note_uncounted(context, storage.name, ledger)
    if ledgers:
        context.note(Outcome("shard ledgers", "done", f"{len(ledgers):,} read"))
    return OtherLedgers(tuple(ledgers), tuple(unread))


def _ledgers_to_read(context: RunContext) -> Iterator[str]:
    """Yield each ledger once; the run's own one is read anyway."""
    own = context.place_of(context.settings.ledger)
    places = {own}
    for setting in context.settings.shard_ledgers:
        place = context.place_of(setting)
        if place not in places:
            yield setting
        else:
            because = "it is this run's own ledger" if place == own else "it is listed twice"
            context.note(Outcome("shard-ledgers", "skipped", f"{setting} is read once: {because}"))
        places.add(place)


def _read(storage: Storage, now: datetime) -> OtherLedger:
    """Read all months of a ledger.

    Raises:
        LedgerError: if it cannot be read, or if there is none.
    """
    snapshot = storage.read()
    if layout.is_foreign(snapshot.files, snapshot.folders, snapshot.sequence):
        raise LedgerError(_FOREIGN.format(storage.name))
    if not (snapshot.files or snapshot.sequence):
        raise LedgerError(_NO_LEDGER.format(storage.name))
    return OtherLedger.of(snapshot.files, now + CLOCK_SKEW)


def _note_uncounted(context: RunContext, name: str, ledger: OtherLedger) -> None:
    """Warn about lines that are in no number."""
    if count := ledger.newer_record_count:
        context.note(Outcome(_NAME, "failed", _NEWER.format(name, formatting.count_are(count, "fact"))))
    if count := ledger.bad_line_count:
        context.note(Outcome(_NAME, "failed", _BAD_LINES.format(name, formatting.count_are(count, "line"))))
