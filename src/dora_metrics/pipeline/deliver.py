"""What was computed, to where it is wanted; each sink's failure is a value."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from pydantic import SecretStr
from requests.auth import HTTPBasicAuth

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.layout import ALL_MONTHS, MonthSelection, OutboxEntry
from dora_metrics.errors import LedgerError
from dora_metrics.github.events.observe import Run
from dora_metrics.pipeline.evaluate import prometheus_families
from dora_metrics.pipeline.record import RunResult
from dora_metrics.runtime import HttpLimits
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.base import NotSent, Sent, Sink, SinkOutcome, SinkPayload, Skipped
from dora_metrics.sinks.endpoint import Endpoint, fact_count
from dora_metrics.sinks.pushgateway import Pushgateway
from dora_metrics.storage.base import Snapshot, Storage

_TRIES = 3
_ACKNOWLEDGED = "Note what the endpoint has acknowledged"


def deliver(
    recorded: RunResult, ledger: Storage, settings: Settings, run: Run, patience: HttpLimits
) -> Iterator[SinkOutcome]:
    """Sends to every sink that is set."""
    if settings.pushgateway_url:
        yield _push(recorded, ledger, settings, run, patience)
    if settings.endpoint_url:
        yield _post(recorded, ledger, settings, run, patience)


def _delivery(recorded: RunResult, run: Run, facts: list[Fact]) -> SinkPayload:
    families = prometheus_families(recorded.results, recorded.totals, recorded.snapshot.sequence, run.repository)
    return SinkPayload(run.repository, run.event, facts, recorded.results.document, families)


def _push(recorded: RunResult, ledger: Storage, settings: Settings, run: Run, patience: HttpLimits) -> SinkOutcome:
    """A counter that falls is read as a reset, so only a run that knows everything, and is the newest, pushes."""
    sink = Pushgateway(_plain(settings.pushgateway_url), settings.pushgateway_job, _basic(settings), patience)
    if _overtaken(recorded, ledger):
        return Skipped(sink.name, "a newer run has written the ledger since, and pushes more than this one knows")
    if not ledger.is_persistent:
        return Skipped(sink.name, "it gets totals of everything recorded, and no ledger was written that has them")
    return sink.send(_delivery(recorded, run, []))


def _overtaken(recorded: RunResult, ledger: Storage) -> bool:
    """Whether the ledger has other facts by now; a change of anything else pushes nothing newer."""
    try:
        return ledger.has_changed_since(recorded.snapshot) and _facts(ledger.read(recorded.snapshot.months)) != _facts(
            recorded.snapshot
        )
    except LedgerError:
        return False


def _facts(snapshot: Snapshot) -> dict[str, bytes]:
    return {path: content for path, content in snapshot.files.items() if path.startswith(layout.FACTS_FOLDER)}


def _post(recorded: RunResult, ledger: Storage, settings: Settings, run: Run, patience: HttpLimits) -> SinkOutcome:
    """Posts what is owed, oldest first, and then what this event brought."""
    sink: Sink = Endpoint(
        _plain(settings.endpoint_url),
        _secret(settings.endpoint_token),
        _secret(settings.endpoint_secret),
        patience,
    )
    waiting = layout.add_to_outbox(layout.read_outbox(recorded.snapshot.files), recorded.facts)
    try:
        saved, batch = _batch(recorded, ledger, waiting[: layout.MAX_BATCH_FACTS])
    except LedgerError as problem:
        return NotSent(sink.name, f"what is owed to it cannot be read: {problem}")
    outcome = sink.send(_delivery(recorded, run, [fact for fact in batch.values() if fact]))
    match outcome:
        case Sent():
            return _acknowledged(saved, ledger, batch, outcome)
        case NotSent() if ledger.is_persistent and waiting:
            return NotSent(outcome.sink, f"{outcome.reason}; kept for the next run: {fact_count(len(waiting))}")
        case _:
            return outcome


def _batch(
    recorded: RunResult, ledger: Storage, waiting: Sequence[OutboxEntry]
) -> tuple[Snapshot, dict[str, Fact | None]]:
    """What is owed, by id, and the ledger read as far back as that lies; None for what is no longer there."""
    reach, known = recorded.snapshot.months, recorded.plan.after
    missing = [one for one in waiting if known.fact_by_id(one.id) is None]
    months = frozenset(one.month for one in missing if not reach.includes(one.month))
    if not months:
        return recorded.snapshot, {one.id: known.fact_by_id(one.id) for one in waiting}
    saved = ledger.read_more(
        recorded.snapshot, MonthSelection(reach.since, reach.extra_months | months) if all(months) else ALL_MONTHS
    )
    contents = layout.parse_ledger(saved.files)
    return saved, {one.id: known.fact_by_id(one.id) or contents.fact_by_id(one.id) for one in waiting}


def _acknowledged(saved: Snapshot, ledger: Storage, batch: Mapping[str, Fact | None], sent: Sent) -> SinkOutcome:
    """Takes what arrived out of the outbox; where that fails it is sent once more, which does no harm."""
    if not ledger.is_persistent:
        return sent
    try:
        now = saved
        arrived: AbstractSet[str] = batch.keys()
        for _ in range(_TRIES):
            left = layout.encode_outbox(one for one in layout.read_outbox(now.files) if one.id not in arrived)
            done = left == now.files.get(layout.OUTBOX_FILE, b"")
            if done or ledger.write(now, {layout.OUTBOX_FILE: left}, _ACKNOWLEDGED) is not None:
                break
            now = ledger.read(saved.months)
            arrived = _unchanged(now, batch)
    except LedgerError as problem:
        return Sent(sent.sink, f"{sent.detail}; the ledger does not know it, so they are sent again ({problem})")
    return sent


def _unchanged(now: Snapshot, batch: Mapping[str, Fact | None]) -> AbstractSet[str]:
    """What is still as it was sent; what has changed since is owed anew, whoever sends it."""
    contents = layout.parse_ledger(now.files)
    return {identity for identity, fact in batch.items() if contents.fact_by_id(identity) == fact}


def _basic(settings: Settings) -> HTTPBasicAuth | None:
    if settings.pushgateway_username is None or settings.pushgateway_password is None:
        return None
    password = settings.pushgateway_password.get_secret_value()
    return HTTPBasicAuth(settings.pushgateway_username.encode(), password.encode())  # texts would be Latin-1


def _secret(value: object) -> str | None:
    return value.get_secret_value() if isinstance(value, SecretStr) else None


def _plain(value: object) -> str:
    return _secret(value) or ""
