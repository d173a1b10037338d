"""What a run does to its ledger, by mode: record an event, sync with GitHub's history, or rebuild."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from dora_metrics.core import formatting
from dora_metrics.core.facts.merge import prepare_event_fact
from dora_metrics.core.ledger.layout import LedgerContents
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import EventError, LedgerError
from dora_metrics.github.events.observe import observe
from dora_metrics.github.observation import Observation, nothing_to_record
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.record import Enrich, Observe, RecordRequest, RunResult, production_sources, record
from dora_metrics.storage.base import NoStorage, ReadOnlyStorage, Storage

_RECOMPUTED = "everything was computed again from the ledger"
_MAX_QUARANTINE_NOTES = 10


def run_mode(context: RunContext) -> RunResult:
    """Do the run's work in the first ledger that allows it, and note how that went.

    Raises:
        SettingsError: if the window is not valid at the run's time.
    """
    work = _work(context)
    for storage in _storages(context):
        try:
            result = work(storage)
        except LedgerError as error:
            context.note(Outcome("ledger", "failed", str(error)))
        else:
            _note_ledger(context, result)
            return result
    raise AssertionError("without a ledger nothing can fail")


def _storages(context: RunContext) -> Iterator[Storage]:
    """The ledgers to try in order: the configured one, a read-only view of it, none."""
    try:
        storage = context.storage()
        yield storage
        yield ReadOnlyStorage(storage)
    except LedgerError as error:
        context.note(Outcome("ledger", "failed", str(error)))
    yield NoStorage()


def _work(context: RunContext) -> Callable[[Storage], RunResult]:
    if context.work == "sync" and context.has_token:
        return _sync(context)
    request = _record_request(context)
    return lambda storage: record(request, storage, context.settings, context.run, context.runtime.sleep)


def _record_request(context: RunContext) -> RecordRequest:
    match context.work:
        case "record":
            return RecordRequest(_observer(context), _enricher(context), claim=context.claim_reports)
        case "sync":
            is_requested = context.settings.mode == "sync"
            reason = "no `github-token` to read GitHub's history with"
            context.note(Outcome("sync", "failed" if is_requested else "skipped", reason))
            return _rebuild(context, _RECOMPUTED)
        case _:
            request = _rebuild(context, f"mode is {context.settings.mode}, so {_RECOMPUTED}")
            return replace(request, claim=context.claim_reports)


def _rebuild(context: RunContext, reason: str) -> RecordRequest:
    """Compute all derived files from the facts, and record nothing."""
    from dora_metrics.pipeline.publish import site_publisher  # noqa: PLC0415 - a run of one event makes no site

    observation = nothing_to_record(reason)
    publish = site_publisher(with_page=context.settings.page)
    return RecordRequest(lambda _: observation, reads_everything=True, publish=publish)


def _sync(context: RunContext) -> Callable[[Storage], RunResult]:
    from dora_metrics.pipeline.progress import make_progress  # noqa: PLC0415 - a run of one event has none
    from dora_metrics.pipeline.sync import Sync  # noqa: PLC0415 - as above

    now = context.run.now
    progress = make_progress(context.runner, context.runtime.stderr, now, context.settings.since_time(now))
    sync = Sync(context.client, context.settings, context.run, context.note, progress, context.claim_reports)
    return lambda storage: sync.record_into(storage, context.runtime.sleep)


def _observer(context: RunContext) -> Observe:
    """Observe the event; an unreadable one is noted once, and has no facts."""
    run, settings = context.run, context.settings
    try:
        payload = context.request.payload()
        observe(run, payload, settings, frozenset())
    except EventError as error:
        context.outcomes += [Outcome("event", "failed", problem) for problem in error.problems]
        unreadable = Observation((), f"This {run.event} event could not be read, so nothing was recorded")
        return lambda _: unreadable

    def observe_event(contents: LedgerContents) -> Observation:
        sources = production_sources(contents.facts, run.repository, settings.policy)
        observation = observe(run, payload, settings, sources)
        facts = tuple(prepare_event_fact(contents.fact_by_id(fact.id), fact) for fact in observation.facts)
        return replace(observation, facts=facts)

    return observe_event


def _enricher(context: RunContext) -> Enrich:
    """What GitHub adds to an event's facts and, if one is configured, the health check."""
    settings = context.settings
    if settings.health_check_url is None:
        return context.enrich
    from dora_metrics.pipeline.health import HealthCheckEnricher  # noqa: PLC0415 - loads what only checks need

    return HealthCheckEnricher(
        context.enrich, settings, context.run.now, context.runtime.http_limits, context.runtime.sleep, context.note
    )


def _note_ledger(context: RunContext, result: RunResult) -> None:
    """How recording went, and which lines of the ledger were set aside."""
    if not any(outcome.name == "ledger" for outcome in context.outcomes):
        context.note(_ledger_outcome(result, context.settings.ledger))
    for line in result.merge.after.quarantined[:_MAX_QUARANTINE_NOTES]:
        problem = f"{line.path}:{line.bad_line.number}: {line.bad_line.problem}; kept in quarantine.jsonl"
        context.outcomes.append(Outcome("ledger", "failed", problem))


def _ledger_outcome(result: RunResult, ledger: str) -> Outcome:
    if not result.storage.is_persistent:
        return Outcome("ledger", "skipped", "none: only what this run has seen is known")
    count = len(result.merge.new_facts)
    news = f"+{formatting.count(count, 'fact')}" if count else "nothing new"
    return Outcome("ledger", "done", f"{news}, in a new ledger ({ledger})" if result.is_new_ledger else news)
