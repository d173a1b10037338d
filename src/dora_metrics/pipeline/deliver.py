"""What was computed, to where it is wanted; each sink's failure is a value."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from pydantic import SecretStr
from requests.auth import HTTPBasicAuth

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.layout import EVERYTHING, Owed, Reach
from dora_metrics.errors import LedgerError
from dora_metrics.github.events.observe import Run
from dora_metrics.pipeline.evaluate import families_of
from dora_metrics.pipeline.record import Recorded
from dora_metrics.runtime import Patience
from dora_metrics.settings.model import Settings
from dora_metrics.sinks.base import Delivery, NotSent, Outcome, Sent, Sink, Skipped
from dora_metrics.sinks.endpoint import Endpoint, counted
from dora_metrics.sinks.pushgateway import Pushgateway
from dora_metrics.storage.base import Ledger, Snapshot

_TRIES = 3
_ACKNOWLEDGED = "Note what the endpoint has acknowledged"


def deliver(recorded: Recorded, ledger: Ledger, settings: Settings, run: Run, patience: Patience) -> Iterator[Outcome]:
    """Sends to every sink that is set."""
    if settings.pushgateway_url:
        yield _push(recorded, ledger, settings, run, patience)
    if settings.endpoint_url:
        yield _post(recorded, ledger, settings, run, patience)


def _delivery(recorded: Recorded, run: Run, facts: list[Fact]) -> Delivery:
    families = families_of(recorded.subject, recorded.totals, recorded.saved.sequence, run.repository)
    return Delivery(run.repository, run.event, facts, recorded.subject.document, families)


def _push(recorded: Recorded, ledger: Ledger, settings: Settings, run: Run, patience: Patience) -> Outcome:
    """A counter that falls is read as a reset, so only a run that knows everything, and is the newest, pushes."""
    sink = Pushgateway(_plain(settings.pushgateway_url), settings.pushgateway_job, _basic(settings), patience)
    if _overtaken(recorded, ledger):
        return Skipped(sink.name, "a newer run has written the ledger since, and pushes more than this one knows")
    if not ledger.remembers:
        return Skipped(sink.name, "it gets totals of everything recorded, and no ledger was written that has them")
    return sink.send(_delivery(recorded, run, []))


def _overtaken(recorded: Recorded, ledger: Ledger) -> bool:
    """Whether the ledger has other facts by now; a change of anything else pushes nothing newer."""
    try:
        return ledger.overtaken(recorded.saved) and _facts(ledger.read(recorded.saved.reach)) != _facts(recorded.saved)
    except LedgerError:
        return False


def _facts(snapshot: Snapshot) -> dict[str, bytes]:
    return {path: content for path, content in snapshot.files.items() if path.startswith(layout.FACTS)}


def _post(recorded: Recorded, ledger: Ledger, settings: Settings, run: Run, patience: Patience) -> Outcome:
    """Posts what is owed, oldest first, and then what this event brought."""
    sink: Sink = Endpoint(
        _plain(settings.endpoint_url),
        _secret(settings.endpoint_token),
        _secret(settings.endpoint_secret),
        patience,
    )
    waiting = layout.added(layout.owed(recorded.saved.files), recorded.facts)
    try:
        saved, batch = _batch(recorded, ledger, waiting[: layout.LARGEST_BATCH])
    except LedgerError as problem:
        return NotSent(sink.name, f"what is owed to it cannot be read: {problem}")
    outcome = sink.send(_delivery(recorded, run, [fact for fact in batch.values() if fact]))
    match outcome:
        case Sent():
            return _acknowledged(saved, ledger, batch, outcome)
        case NotSent() if ledger.remembers and waiting:
            return NotSent(outcome.sink, f"{outcome.reason}; kept for the next run: {counted(len(waiting))}")
        case _:
            return outcome


def _batch(recorded: Recorded, ledger: Ledger, waiting: Sequence[Owed]) -> tuple[Snapshot, dict[str, Fact | None]]:
    """What is owed, by id, and the ledger read as far back as that lies; None for what is no longer there."""
    reach, known = recorded.saved.reach, recorded.plan.after
    missing = [one for one in waiting if known.known(one.id) is None]
    months = frozenset(one.month for one in missing if not reach.holds(one.month))
    if not months:
        return recorded.saved, {one.id: known.known(one.id) for one in waiting}
    saved = ledger.more(recorded.saved, Reach(reach.since, reach.also | months) if all(months) else EVERYTHING)
    contents = layout.read(saved.files)
    return saved, {one.id: known.known(one.id) or contents.known(one.id) for one in waiting}


def _acknowledged(saved: Snapshot, ledger: Ledger, batch: Mapping[str, Fact | None], sent: Sent) -> Outcome:
    """Takes what arrived out of the outbox; where that fails it is sent once more, which does no harm."""
    if not ledger.remembers:
        return sent
    try:
        now = saved
        arrived: AbstractSet[str] = batch.keys()
        for _ in range(_TRIES):
            left = layout.contents(one for one in layout.owed(now.files) if one.id not in arrived)
            done = left == now.files.get(layout.OUTBOX, b"")
            if done or ledger.write(now, {layout.OUTBOX: left}, _ACKNOWLEDGED) is not None:
                break
            now = ledger.read(saved.reach)
            arrived = _unchanged(now, batch)
    except LedgerError as problem:
        return Sent(sent.sink, f"{sent.detail}; the ledger does not know it, so they are sent again ({problem})")
    return sent


def _unchanged(now: Snapshot, batch: Mapping[str, Fact | None]) -> AbstractSet[str]:
    """What is still as it was sent; what has changed since is owed anew, whoever sends it."""
    contents = layout.read(now.files)
    return {identity for identity, fact in batch.items() if contents.known(identity) == fact}


def _basic(settings: Settings) -> HTTPBasicAuth | None:
    if settings.pushgateway_username is None or settings.pushgateway_password is None:
        return None
    password = settings.pushgateway_password.get_secret_value()
    return HTTPBasicAuth(settings.pushgateway_username.encode(), password.encode())  # texts would be Latin-1


def _secret(value: object) -> str | None:
    return value.get_secret_value() if isinstance(value, SecretStr) else None


def _plain(value: object) -> str:
    return _secret(value) or ""
