"""What was computed, to where it is wanted; each sink's failure is a value."""

from collections.abc import Iterator

from pydantic import SecretStr
from requests.auth import HTTPBasicAuth

from dora_metrics.computing import families_of
from dora_metrics.core import ledger as layout
from dora_metrics.core import outbox
from dora_metrics.core.facts import Fact
from dora_metrics.errors import LedgerError
from dora_metrics.github.events import Run
from dora_metrics.ledgers.port import Ledger
from dora_metrics.recording import Recorded
from dora_metrics.settings import Settings
from dora_metrics.sinks.endpoint import Endpoint
from dora_metrics.sinks.patience import Patience
from dora_metrics.sinks.port import Delivery, NotSent, Outcome, Sent, Sink, Skipped
from dora_metrics.sinks.pushgateway import Pushgateway

_TRIES = 3
_ACKNOWLEDGED = "Note what the endpoint has acknowledged"


def deliver(recorded: Recorded, ledger: Ledger, settings: Settings, run: Run, patience: Patience) -> Iterator[Outcome]:
    """Sends to every sink that is set."""
    if settings.pushgateway_url:
        yield _push(recorded, ledger, settings, run, patience)
    if settings.endpoint_url:
        yield _post(recorded, ledger, settings, run, patience)


def _delivery(recorded: Recorded, run: Run, facts: list[Fact]) -> Delivery:
    families = families_of(recorded.subject, recorded.plan.after.facts, recorded.saved.sequence, run.repository)
    return Delivery(run.repository, run.event, facts, recorded.subject.document, families)


def _push(recorded: Recorded, ledger: Ledger, settings: Settings, run: Run, patience: Patience) -> Outcome:
    """A counter that falls is read as a reset, so only a run that knows everything, and is the newest, pushes."""
    sink = Pushgateway(_plain(settings.pushgateway_url), settings.pushgateway_job, _basic(settings), patience)
    if _overtaken(recorded, ledger):
        return Skipped(sink.name, "a newer run has written the ledger since, and pushes more than this one knows")
    if not ledger.remembers and settings.ledger != "none":
        return Skipped(sink.name, "the ledger was not written, and its counters must not fall again at the next run")
    return sink.send(_delivery(recorded, run, []))


def _overtaken(recorded: Recorded, ledger: Ledger) -> bool:
    try:
        return ledger.overtaken(recorded.saved)
    except LedgerError:
        return False


def _post(recorded: Recorded, ledger: Ledger, settings: Settings, run: Run, patience: Patience) -> Outcome:
    """Posts what is owed, oldest first, and then what this event brought."""
    sink: Sink = Endpoint(
        _plain(settings.endpoint_url),
        _secret(settings.endpoint_token),
        _secret(settings.endpoint_secret),
        patience,
    )
    waiting = outbox.added(outbox.owed(recorded.saved.files), (fact.id for fact in recorded.facts))
    batch = waiting[: outbox.LARGEST_BATCH]
    known = {fact.id: fact for fact in recorded.plan.after.facts}
    outcome = sink.send(_delivery(recorded, run, [known[identity] for identity in batch if identity in known]))
    match outcome:
        case Sent():
            return _acknowledged(recorded, ledger, set(batch), outcome)
        case NotSent() if recorded.saved.sequence is not None and waiting:
            return NotSent(outcome.sink, f"{outcome.reason}; {len(waiting)} facts are kept for the next run")
        case _:
            return outcome


def _acknowledged(recorded: Recorded, ledger: Ledger, batch: set[str], sent: Sent) -> Outcome:
    """Takes what arrived out of the outbox; where that fails it is sent once more, which does no harm."""
    if recorded.saved.sequence is None:
        return sent
    try:
        now = recorded.saved
        for _ in range(_TRIES):
            left = outbox.contents(identity for identity in outbox.owed(now.files) if identity not in batch)
            done = left == now.files.get(layout.OUTBOX, b"")
            if done or ledger.write(now, {layout.OUTBOX: left}, _ACKNOWLEDGED) is not None:
                break
            now = ledger.read()
    except LedgerError as problem:
        return Sent(sent.sink, f"{sent.detail}; the ledger does not know it, so they are sent again ({problem})")
    return sent


def _basic(settings: Settings) -> HTTPBasicAuth | None:
    if settings.pushgateway_username is None or settings.pushgateway_password is None:
        return None
    return HTTPBasicAuth(settings.pushgateway_username, settings.pushgateway_password.get_secret_value())


def _secret(value: object) -> str | None:
    return value.get_secret_value() if isinstance(value, SecretStr) else None


def _plain(value: object) -> str:
    return _secret(value) or ""
