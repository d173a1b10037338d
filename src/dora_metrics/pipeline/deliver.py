"""Send the numbers to every sink that is configured; a sink's failure is an outcome, never an exception."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from msgspec.structs import replace
from pydantic import SecretStr
from requests.auth import HTTPBasicAuth

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.formatting import count_are
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.layout import ALL_MONTHS, MonthSelection, OutboxEntry
from dora_metrics.core.ledger.month_files import FACTS_FOLDER
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, HighWaterMarks
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import LedgerError
from dora_metrics.github.observation import Run
from dora_metrics.pipeline.evaluate import prometheus_families
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.sinks.base import Sink, SinkPayload
from dora_metrics.sinks.endpoint import Endpoint, fact_count
from dora_metrics.sinks.pushgateway import Pushgateway
from dora_metrics.storage.base import Storage, attempts

if TYPE_CHECKING:
    from dora_metrics.sinks.remote_write import RemoteWrite

_MAX_TRIES = 3
_PUSHED_BY_SHARDS = "the runs that write the `shard-ledgers` send the series of their scopes, so this run sends none"
_ACKNOWLEDGED = "Remove the facts that the endpoint has acknowledged"

Batch = Mapping[str, Fact | None]
"""The facts to send, by id; None for a fact that the ledger no longer has."""


def deliver(
    result: RunResult, settings: Settings, run: Run, limits: HttpLimits, *, has_time: bool = False
) -> Iterator[Outcome]:
    """Send to every sink that is configured; all of them together have one deadline.

    Args:
        result: what was recorded, and the numbers.
        settings: which sinks there are.
        run: the workflow run.
        limits: of each request, and of all of them together.
        has_time: whether nobody waits for this run, so that it may send the past.
    """
    deadline = Deadline(limits.total_seconds)
    pushes = settings.pushgateway_url or settings.remote_write_url
    skip_reason = _reason_not_to_push(result, settings) if pushes else ""
    if settings.pushgateway_url:
        auth = _basic_auth(settings)
        url, job = _text(settings.pushgateway_url), settings.pushgateway_job
        gateway = Pushgateway(url, job, auth, limits, deadline, settings.labels)
        yield _push(result, run, gateway, skip_reason)
    if settings.endpoint_url:
        token, secret = _secret(settings.endpoint_token), _secret(settings.endpoint_secret)
        yield _post(result, run, Endpoint(_text(settings.endpoint_url), token, secret, limits, deadline))
    if settings.remote_write_url:  # last, since the past may take the time that the others leave
        sink = _remote_write(settings, limits, deadline)
        if skip_reason:
            yield Outcome(sink.name, "skipped", skip_reason)
        elif has_time:
            yield from _write_with_past(result, settings, run, sink)
        else:
            yield sink.send(_payload(result, run, [], result.marks, run.repository))


def _remote_write(settings: Settings, limits: HttpLimits, deadline: Deadline) -> "RemoteWrite":
    from dora_metrics.sinks.remote_write import RemoteWrite  # noqa: PLC0415 - loads what only it needs

    url, token = _text(settings.remote_write_url), _secret(settings.remote_write_token)
    group = {"job": settings.pushgateway_job, **settings.labels}
    return RemoteWrite(url, group, settings.remote_write_username, token, limits, deadline)


def _write_with_past(result: RunResult, settings: Settings, run: Run, sink: "RemoteWrite") -> Iterator[Outcome]:
    """Write the series of the repositories that a sync reads, and the past of those whose past is not there yet."""
    from dora_metrics.pipeline.remote_writing import write_with_past  # noqa: PLC0415 - as above

    is_about_several = settings.repositories or run.repository == EVERY_REPOSITORY
    repository = None if is_about_several else run.repository
    yield from write_with_past(result, sink, _payload(result, run, [], result.marks, repository))


def _payload(
    result: RunResult, run: Run, facts: list[Fact], marks: HighWaterMarks, repository: str | None
) -> SinkPayload:
    """Return what a sink gets, with the families of one repository, or of all."""
    sequence = result.snapshot.sequence
    families = prometheus_families(result.results, result.totals, sequence, repository, marks)
    return SinkPayload(run.repository, run.event, facts, result.results.document, families)


def _push(result: RunResult, run: Run, gateway: Pushgateway, skip_reason: str) -> Outcome:
    """Push to the Pushgateway, unless there is a reason not to.

    No counter is pushed below what the gateway holds: an older ledger that was restored has older marks. What the
    gateway holds does not become a mark of the ledger: each push reads it again, and the ledger follows from its facts
    alone. The group of a name that another repository had before may hold the counters of that one, so it is not read.
    """
    sink: Sink = gateway
    if skip_reason:
        return Outcome(sink.name, "skipped", skip_reason)
    is_own_group = not result.merge.after.names.has_had_other_holder(run.repository)
    pushed_counters = gateway.pushed_counters(run.repository) if is_own_group else NO_MARKS
    return sink.send(_payload(result, run, [], result.marks | pushed_counters, run.repository))


def _reason_not_to_push(result: RunResult, settings: Settings) -> str:
    """Return why counters are not pushed; empty if they are.

    Prometheus reads a counter that falls as a reset, so only a run that knows everything, and is the newest, pushes.
    Two writers of one series would overtake each other, so that of a shard is pushed by the shard alone.
    """
    if settings.shard_ledgers:
        return _PUSHED_BY_SHARDS
    if _is_overtaken(result):
        return "a newer run has written the ledger since; its push is more complete"
    if not result.storage.is_persistent:
        return "it needs the totals of a ledger, and this run wrote none"
    return ""


def _is_overtaken(result: RunResult) -> bool:
    """Whether the ledger has other facts or marks by now; a change of other files leads to no newer push."""
    storage, snapshot = result.storage, result.snapshot
    try:
        if not storage.has_changed_since(snapshot):
            return False
        return _pushed_files(storage.read(snapshot.months)) != _pushed_files(snapshot)
    except LedgerError:
        return False


def _pushed_files(snapshot: Snapshot) -> dict[str, bytes]:
    """The files that a push depends on."""
    paths = (FACTS_FOLDER, layout.COUNTERS_FILE, layout.NEW_COUNTERS_FILE)
    return {path: content for path, content in snapshot.files.items() if path.startswith(paths)}


def _post(result: RunResult, run: Run, sink: Sink) -> Outcome:
    """Post the facts that the endpoint is owed, oldest first, and then those of this event."""
    if not result.storage.is_persistent:
        return _post_all(result, run, sink)
    owed = layout.add_to_outbox(layout.read_outbox(result.snapshot.files), result.facts)
    try:
        snapshot, batch = _batch(result, owed[: layout.MAX_BATCH_FACTS])
    except LedgerError as error:
        return Outcome(sink.name, "failed", f"the unsent facts cannot be read: {error}")
    outcome = sink.send(_payload(result, run, [fact for fact in batch.values() if fact], result.marks, run.repository))
    if outcome.status == "done":
        return _acknowledge(outcome, result.storage, snapshot, batch, result.merge.after.names)
    return (
        replace(outcome, detail=f"{outcome.detail}; {count_are(len(owed), 'fact')} kept for the next run")
        if owed
        else outcome
    )


def _post_all(result: RunResult, run: Run, sink: Sink) -> Outcome:
    """Post all facts of this run, batch by batch: no ledger keeps for the next run what this one does not send."""
    contents = result.merge.after
    ids = dict.fromkeys(fact.id for fact in result.facts)
    facts = [fact for fact_id in ids if (fact := contents.fact_by_id(fact_id))]
    for start in range(0, max(1, len(facts)), layout.MAX_BATCH_FACTS):
        batch = facts[start : start + layout.MAX_BATCH_FACTS]
        outcome = sink.send(_payload(result, run, batch, result.marks, run.repository))
        if outcome.status != "done":
            return _with_unsent(outcome, len(facts) - start)
    return Outcome(sink.name, "done", fact_count(len(facts)))


def _with_unsent(outcome: Outcome, count: int) -> Outcome:
    if not count:
        return outcome
    return replace(outcome, detail=f"{outcome.detail}; {count_are(count, 'unsent fact')} kept in no ledger")


def _batch(result: RunResult, owed: Sequence[OutboxEntry]) -> tuple[Snapshot, Batch]:
    """The facts that are owed, and the ledger read as far back as they are recorded.

    Raises:
        LedgerError: if the ledger cannot be read.
    """
    snapshot, contents = result.snapshot, result.merge.after
    missing = [entry for entry in owed if contents.fact_by_id(entry.id) is None]
    unread = frozenset(entry.month for entry in missing if not snapshot.months.includes(entry.month))
    if not unread:
        return snapshot, {entry.id: contents.fact_by_id(entry.id) for entry in owed}
    more = MonthSelection(snapshot.months.since, snapshot.months.extra_months | unread)
    snapshot = result.storage.read_more(snapshot, more if all(unread) else ALL_MONTHS)
    older = layout.parse_ledger(snapshot.files, known=contents.names)
    return snapshot, {entry.id: contents.fact_by_id(entry.id) or older.fact_by_id(entry.id) for entry in owed}


def _acknowledge(sent: Outcome, storage: Storage, snapshot: Snapshot, batch: Batch, names: RepositoryNames) -> Outcome:
    """Take what arrived out of the outbox. If that fails, it is sent again, which does no harm."""
    arrived_ids: AbstractSet[str] = batch.keys()
    try:
        for attempt in attempts(_MAX_TRIES):
            if attempt:
                snapshot = storage.read(snapshot.months)
                arrived_ids = _unchanged_ids(snapshot, batch, names)
            remaining = [entry for entry in layout.read_outbox(snapshot.files) if entry.id not in arrived_ids]
            changes = snapshot.changed({layout.OUTBOX_FILE: layout.encode_outbox(remaining)})
            if not changes or storage.write(snapshot, changes, _ACKNOWLEDGED):
                break
    except LedgerError as error:
        detail = f"{sent.detail}; the ledger could not record this, so the next run sends them again ({error})"
        return replace(sent, detail=detail)
    return sent


def _unchanged_ids(snapshot: Snapshot, batch: Batch, names: RepositoryNames) -> AbstractSet[str]:
    """The facts that are still as they were sent; one that has changed since is owed again."""
    contents = layout.parse_ledger(snapshot.files, known=names)
    return {fact_id for fact_id, fact in batch.items() if contents.fact_by_id(fact_id) == fact}


def _basic_auth(settings: Settings) -> HTTPBasicAuth | None:
    if settings.pushgateway_username is None or settings.pushgateway_password is None:
        return None
    password = settings.pushgateway_password.get_secret_value()
    return HTTPBasicAuth(settings.pushgateway_username.encode(), password.encode())  # a str would be sent as Latin-1


def _secret(value: object) -> str | None:
    return value.get_secret_value() if isinstance(value, SecretStr) else None


def _text(value: object) -> str:
    return _secret(value) or ""
