"""What a run records, by mode: the facts of its event, GitHub's history, or nothing new (a rebuild)."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dora_metrics.core.cursors import decode_cursors, has_read_issues
from dora_metrics.core.facts.merge import CLOCK_SKEW, is_same_information, prepare_event_facts, win_over_future
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.ledger.layout import CURSORS_FILE, LedgerContents
from dora_metrics.core.outcome import Outcome
from dora_metrics.errors import EventError
from dora_metrics.github.events.observe import newest_commit_time, observe, repository_in
from dora_metrics.github.observation import Observation, Recorded, Run, nothing_to_record
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.record import Enrich, Observe, RecordRequest, production_sources

if TYPE_CHECKING:
    from dora_metrics.core.ledger.union import OtherLedgers

_RECORDED_ALREADY = "The ledger already has this; nothing changes."
_NEWER_IS_RECORDED = (
    "the ledger has a newer state of it, so this changes nothing; a correction of that needs a later `observed_at`"
)
_COMPUTED = "all numbers were computed again from the ledger"


def record_request(context: RunContext) -> RecordRequest:
    """Return what this run records."""
    request = _request_of_mode(context)
    if not context.settings.kubernetes:
        return request
    from dora_metrics.pipeline.cluster_rollouts import with_cluster  # noqa: PLC0415 - most runs read no cluster

    return with_cluster(request, context)


def _request_of_mode(context: RunContext) -> RecordRequest:
    match context.work:
        case "record":
            return _record_event(context)
        case "sync" if context.has_token:
            return _sync(context)
        case "sync":
            is_requested = context.settings.mode == "sync"
            reason = "reading GitHub's history needs a `github-token`"
            context.note(Outcome("sync", "failed" if is_requested else "skipped", reason))
            return _rebuild(context)
        case _:
            return replace(_rebuild(context), claim=context.claim_reports)


def _record_event(context: RunContext) -> RecordRequest:
    """Record the event; an unreadable one is noted once, and has no facts."""
    run, settings = context.run, context.settings
    try:
        payload = context.request.payload()
        problems = observe(run, payload, settings, frozenset()).problems
    except EventError as error:
        context.outcomes += [Outcome("event", "failed", problem) for problem in error.problems]
        unreadable = Observation((), f"This {run.event} event could not be read, so nothing was recorded")
        return RecordRequest(lambda _: unreadable, _enricher(context), context.identify, claim=context.claim_reports)
    context.outcomes += [Outcome("event", "failed", problem) for problem in problems]
    context.use_payload_repository(repository_in(payload))
    return RecordRequest(_observer(context, payload), _enricher(context), context.identify, claim=context.claim_reports)


def _observer(context: RunContext, payload: Mapping[str, object]) -> Observe:
    settings = context.settings

    def observe_event(contents: LedgerContents) -> Observation:
        run, newest_commit = context.run_under_present_name(contents.names), newest_commit_time(payload)
        sources = production_sources(contents.facts, run.repository, settings, run.now, newest_commit)
        observation = observe(run, payload, settings, sources, _recorded(context, contents))
        for warning in observation.warnings:
            context.note(Outcome("event", "failed", warning))
        return _with_ledger(observation, contents, run.now)

    return observe_event


def _recorded(context: RunContext, contents: LedgerContents) -> Recorded:
    return Recorded(
        has=lambda fact_id: contents.fact_by_id(fact_id) is not None,
        has_read_issues=lambda time: _has_read_issues(context.run, contents, time),
        deployments=lambda: [fact for fact in contents.facts if isinstance(fact, Deployment)],
        full_sha=lambda repository, digits: context.full_sha(repository, digits, contents),
        present_name=contents.names.present_name,
    )


def _has_read_issues(run: Run, contents: LedgerContents, time: datetime) -> bool:
    cursors = decode_cursors(contents.files.get(CURSORS_FILE, b""), run.now + CLOCK_SKEW)
    return has_read_issues(cursors.get(contents.names.stable_name(run.repository), {}), time)


def _with_ledger(observation: Observation, contents: LedgerContents, now: datetime) -> Observation:
    """Return what an event observed as it is to be merged with the ledger."""
    facts = tuple(
        win_over_future(contents.fact_by_id(prepared.id), contents.names.observed_now(prepared), now)
        for fact in observation.facts
        for prepared in prepare_event_facts(contents.records_named_like(fact.id), fact, observation.unstated)
    )
    if observation.facts and not facts:
        earlier = nothing_to_record("a later attempt of this run is recorded and counts instead")
        return replace(earlier, may_repeat_since=observation.may_repeat_since)
    if facts and all(_is_outdated(contents.fact_by_id(fact.id), fact) for fact in facts):
        return replace(observation, facts=(), title=nothing_to_record(_NEWER_IS_RECORDED).title)
    observation = replace(observation, title=observation.title_with(facts))
    is_recorded = bool(facts) and all(is_same_information(contents.fact_by_id(fact.id), fact) for fact in facts)
    return replace(observation, facts=facts, notes=(*observation.notes, *([_RECORDED_ALREADY] if is_recorded else ())))


def _is_outdated(record: Fact | None, fact: Fact) -> bool:
    """Whether the ledger has a newer record that says something else, so that merging drops the fact."""
    return record is not None and record.observed_at > fact.observed_at and not is_same_information(record, fact)


def _enricher(context: RunContext) -> Enrich:
    """What GitHub adds to an event's facts and, if one is configured, the health check."""
    settings = context.settings
    if settings.health_check_url is None:
        return context.enrich
    from dora_metrics.pipeline.health import HealthCheckEnricher  # noqa: PLC0415 - loads what only checks need

    run, note, time = context.run, context.note, context.health_check_time
    return HealthCheckEnricher(context.enrich, settings, run.now, context.runtime, note, time)


def _rebuild(context: RunContext) -> RecordRequest:
    """Compute all derived files from the facts, and record nothing."""
    from dora_metrics.pipeline.publish import site_publisher  # noqa: PLC0415 - a run of one event makes no site

    title = f"Rebuilt: {_COMPUTED}" if context.settings.mode == "rebuild" else _COMPUTED.capitalize()
    other_ledgers = _shard_ledgers(context)

    def observe_ledger(contents: LedgerContents) -> Observation:
        if contents.facts or (other_ledgers and other_ledgers.has_facts):
            return Observation((), title)
        is_unread = any((outcome.name, outcome.status) == ("ledger", "failed") for outcome in context.outcomes)
        return Observation((), "The ledger could not be read" if is_unread else "The ledger has no facts")

    publish = site_publisher(with_page=context.settings.page)
    return RecordRequest(
        observe_ledger,
        identify=context.identify,
        reads_everything=True,
        publish=publish,
        other_ledgers=other_ledgers,
    )


def _shard_ledgers(context: RunContext) -> "OtherLedgers | None":
    """What this run shows besides its own ledger; None if that is all."""
    if not context.settings.shard_ledgers:
        return None
    from dora_metrics.pipeline.shard_ledgers import read_shard_ledgers  # noqa: PLC0415 - most runs have no shards

    return read_shard_ledgers(context)


def _sync(context: RunContext) -> RecordRequest:
    """Record what GitHub knows and the ledger does not."""
    from dora_metrics.pipeline.progress import make_progress  # noqa: PLC0415 - a run of one event has none
    from dora_metrics.pipeline.publish import site_publisher  # noqa: PLC0415 - as above
    from dora_metrics.pipeline.sync import UNCHANGED_FOR, Sync  # noqa: PLC0415 - as above

    settings, now = context.settings, context.run.now
    progress = make_progress(context.runner, context.runtime.stderr, now, settings.since_time(now))
    sync = Sync(context.client, settings, context.run, context.note, progress)
    request = RecordRequest(
        sync.observe,
        identify=sync.identify,
        reads_everything=True,
        read_in_steps=sync.read_in_steps,
        has_read_nothing=lambda: sync.has_read_nothing,
        claim=context.claim_reports,
        publish=site_publisher(with_page=settings.page),
        unchanged_for=UNCHANGED_FOR,
    )
    return _with_incident_history(_with_alert_history(request, context), context)


def _with_alert_history(request: RecordRequest, context: RunContext) -> RecordRequest:
    if context.settings.prometheus_url is None:
        return request
    from dora_metrics.pipeline.alert_history import with_alert_history  # noqa: PLC0415 - most syncs read no alerts

    return with_alert_history(request, context)


def _with_incident_history(request: RecordRequest, context: RunContext) -> RecordRequest:
    if not context.settings.incidents:
        return request
    from dora_metrics.pipeline.incident_history import with_incident_history  # noqa: PLC0415 - as above

    return with_incident_history(request, context)
