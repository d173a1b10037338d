"""The shell of an action run: gather → decide → apply; the only place that owns the exit code."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from dora_metrics.core import formatting
from dora_metrics.core.facts.merge import prepare_event_fact
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import PAGE_FILE, LedgerContents
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports import render, summary
from dora_metrics.core.reports.event_story import EventInfo
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.thresholds import ThresholdResult, Violation
from dora_metrics.errors import EventError, LedgerError, SettingsError
from dora_metrics.github.events.observe import Observation, nothing_to_record, observe
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline import inputs
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.evaluate import check_thresholds
from dora_metrics.pipeline.outputs import judged_scopes, main_scope, outputs
from dora_metrics.pipeline.record import Enrich, Observe, Publish, RecordRequest, RunResult, known_sources, record
from dora_metrics.runtime import Runtime
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import EVERY_REPOSITORY
from dora_metrics.sinks.base import NotSent, Sent, SinkOutcome
from dora_metrics.storage.base import NoStorage, ReadOnlyStorage, Storage
from dora_metrics.templates import load_parts, load_template

_AGAIN = "everything was computed again from the ledger"


def action(world: Runtime, flags: Layer | None = None) -> int:
    """One run of the action: records the event, computes, sends, writes summary and outputs.

    Args:
        world: everything real.
        flags: settings that win over all others.

    Returns:
        0 done, also with failed sinks; 1 something failed and `strict` is on, or a threshold of `fail-on` was hit;
        2 the settings are wrong.
    """
    runner = Runner.of(world.environment, world.stdout)
    try:
        told: list[Outcome] = []
        opening = RunContext(
            inputs.gather(world.environment, world.now, flags), world.sleep, partial(_tell_once, told), runner.info
        )
        given = opening.settle()
        told += [Outcome(name, "skipped", "has no effect in this version") for name in given.without_effect]
        recorded, ledger = _recorded(opening, world, told)
    except SettingsError as error:
        for problem in error.problems:
            runner.annotate("error", "dora-metrics: settings", problem)
        return 2
    told += [_worded(outcome) for outcome in _delivered(recorded, ledger, given, world)]
    told += _reported(opening, recorded, ledger)
    if opening.requests:
        told.append(Outcome("GitHub", "done", formatting.count(opening.requests, "request")))
    thresholds = check_thresholds(recorded.results, given.settings, judged_scopes(recorded, _about(given)))
    told += _thresholds_told(thresholds)
    report = opening.reporting.issue_numbers if opening.reporting else {}
    published = _publish(Outcomes(recorded, told, thresholds.violations, report), given, runner)
    failed = not published or any(one.status == "failed" for one in told)
    return int(thresholds.is_failing or (given.settings.strict and failed))


def _recorded(opening: RunContext, world: Runtime, told: list[Outcome]) -> tuple[RunResult, Storage]:
    """The run's work in the ledger; where that cannot be, with what can be read of the ledger, or else alone."""
    work = _work(opening, world, told)
    for ledger in _ledgers(opening, told):
        try:
            recorded = work(ledger)
        except LedgerError as problem:
            _tell_once(told, Outcome("ledger", "failed", str(problem)))
        else:
            if not any(one.name == "ledger" for one in told):
                told.append(_ledger_told(recorded, ledger, opening.given.settings.ledger))
            told += _aside_told(recorded)
            return recorded, ledger
    raise AssertionError


def _work(opening: RunContext, world: Runtime, told: list[Outcome]) -> Callable[[Storage], RunResult]:
    """What this run does to a ledger."""
    given = opening.given
    match given.work:
        case "sync" if opening.client_wanted:
            from dora_metrics.pipeline.progress import make_progress  # noqa: PLC0415 - a run of one event has none

            since = given.settings.since_time(world.now)
            sync = opening.sync(
                make_progress(Runner.of(world.environment, world.stdout), world.stderr, world.now, since)
            )
            return lambda ledger: sync.into(ledger, world.sleep)
        case "record":
            eyes = RecordRequest(_observer(given, world, told), _asking(opening, world, told), claim=opening.claim)
        case "sync":
            asked = given.settings.mode == "sync"
            told.append(
                Outcome("sync", "failed" if asked else "skipped", "no `github-token` to read GitHub's history with")
            )
            eyes = RecordRequest(lambda _: nothing_to_record(_AGAIN), whole=True, publish=_publish_of(given))
        case _:
            again = nothing_to_record(f"mode is {given.settings.mode}, so {_AGAIN}")
            eyes = RecordRequest(lambda _: again, whole=True, claim=opening.claim, publish=_publish_of(given))
    return lambda ledger: record(eyes, ledger, given.settings, given.run, world.sleep)


def _publish_of(given: inputs.Inputs) -> Publish:
    from dora_metrics.pipeline.publish import site_publisher  # noqa: PLC0415 - a run of one event has none

    return site_publisher(given.settings)


def _asking(opening: RunContext, world: Runtime, told: list[Outcome]) -> Enrich:
    """What GitHub adds to an event, and, where that is set, a health check."""
    given = opening.given
    if given.settings.health_check_url is None:
        return opening.ask
    from dora_metrics.pipeline.health import HealthCheckEnricher  # noqa: PLC0415 - its libraries are for those who check

    tell = partial(_tell_once, told)
    return HealthCheckEnricher(opening.ask, given.settings, given.run.now, world.http_limits, world.sleep, tell)


def _ledgers(opening: RunContext, told: list[Outcome]) -> Iterator[Storage]:
    """From the one that was asked for down to none at all."""
    try:
        ledger = opening.ledger()
        yield ledger
        yield ReadOnlyStorage(ledger)
    except LedgerError as problem:
        _tell_once(told, Outcome("ledger", "failed", str(problem)))
    yield NoStorage()


def _tell_once(told: list[Outcome], one: Outcome) -> None:
    if one not in told:
        told.append(one)


def _observer(given: inputs.Inputs, world: Runtime, told: list[Outcome]) -> Observe:
    """An unreadable event is told once, and is an event without facts."""
    run, settings = given.run, given.settings
    try:
        payload = inputs.payload(world.environment)
        observe(run, payload, settings, frozenset())
    except EventError as error:
        told += [Outcome("event", "failed", problem) for problem in error.problems]
        return lambda _: Observation((), f"This {run.event} event could not be read, so nothing was recorded")

    def observer(before: LedgerContents) -> Observation:
        observed = observe(run, payload, settings, known_sources(before.facts, run.repository, settings))
        return replace(
            observed, facts=tuple(prepare_event_fact(before.fact_by_id(fact.id), fact) for fact in observed.facts)
        )

    return observer


def _ledger_told(recorded: RunResult, ledger: Storage, place: str) -> Outcome:
    if not ledger.is_persistent:
        return Outcome("ledger", "skipped", "none: only what this run has seen is known")
    many = len(recorded.plan.new_facts)
    new = f"+{formatting.count(many, 'fact')}" if many else "nothing new"
    return Outcome("ledger", "done", f"{new}, in a new ledger ({place})" if recorded.created else new)


def _aside_told(recorded: RunResult) -> Iterator[Outcome]:
    """Broken lines of the ledger: set aside, and said."""
    for aside in recorded.plan.after.quarantined[:10]:
        yield Outcome(
            "ledger",
            "failed",
            f"{aside.path}:{aside.bad_line.number}: {aside.bad_line.problem}; kept in quarantine.jsonl",
        )


def _delivered(recorded: RunResult, ledger: Storage, given: inputs.Inputs, world: Runtime) -> Iterator[SinkOutcome]:
    if given.settings.pushgateway_url or given.settings.endpoint_url:
        from dora_metrics.pipeline.deliver import deliver  # noqa: PLC0415 - its libraries are for those who send

        yield from deliver(recorded, ledger, given.settings, given.run, world.http_limits)


def _reported(opening: RunContext, recorded: RunResult, ledger: Storage) -> Iterator[Outcome]:
    """The report issues that are due."""
    if opening.reporting:
        yield from opening.reporting.file(recorded, ledger)
    elif opening.given.settings.mode == "report":
        why = "`report` is `off`" if opening.client_wanted else "no `github-token` to make issues with"
        yield Outcome("report", "failed", why)


def _worded(outcome: SinkOutcome) -> Outcome:
    match outcome:
        case Sent():
            return Outcome(outcome.sink, "done", outcome.detail)
        case NotSent():
            return Outcome(outcome.sink, "failed", outcome.reason)
        case _:
            return Outcome(outcome.sink, "skipped", outcome.reason)


def _thresholds_told(found: ThresholdResult) -> Iterator[Outcome]:
    """What was kept, and what nobody can say yet; what was hit has lines of its own."""
    kept = (f"{found.passed_count} kept",) if found.passed_count else ()
    if kept or found.not_evaluated:
        yield Outcome("thresholds", "done" if kept else "skipped", "; ".join((*kept, *found.not_evaluated)))


@dataclass(frozen=True)
class Outcomes:
    """What a run leaves behind: the numbers, how its effects went, thresholds that were hit, issues by scope."""

    recorded: RunResult
    told: Sequence[Outcome]
    violations: Sequence[Violation]
    reports: Mapping[Scope, int]


def _publish(found: Outcomes, given: inputs.Inputs, runner: Runner) -> bool:
    """Summary, outputs, annotations, and the gist in the log; whether all could be written."""
    recorded = found.recorded
    main = main_scope(recorded, _about(given))
    written = [
        runner.write_outputs(outputs(recorded, main, found.violations, found.reports, _page_path(recorded, given)))
    ]
    if given.settings.summary:
        facts = recorded.facts if given.work == "record" else ()
        written.append(runner.append_summary(_summary(found, main, facts)))
    runner.info(recorded.observed.title)
    for hit in found.violations:
        level: Literal["error", "warning"] = "error" if hit.on == "fail" else "warning"
        runner.annotate(level, "dora-metrics: threshold", f"{hit.text} ({hit.on}-on: {hit.rule})")
    for one in found.told:
        if one.status == "failed":
            runner.annotate("warning", f"dora-metrics: {one.name}", one.detail)
        else:
            runner.info(f"{one.name}: {one.detail or one.status}")
    return all(written)


def _page_path(recorded: RunResult, given: inputs.Inputs) -> str:
    if PAGE_FILE not in recorded.snapshot.files:
        return ""
    from dora_metrics.pipeline.publish import page_path  # noqa: PLC0415 - as above

    return page_path(recorded.snapshot, given)


def _summary(found: Outcomes, main: Scope | None, facts: tuple[Fact, ...]) -> str:
    """`facts`: what the story is about; many facts of the past are none."""
    recorded = found.recorded
    happening = EventInfo(recorded.observed.title, facts)
    built = summary.build(recorded.results, main, happening, recorded.before, found.told)
    alarms = [summary.alarm_line(one, main) for one in found.violations]
    notes = [*recorded.observed.notes, *recorded.notes, *built.notes]
    return render.summary_markdown(
        replace(built, alarms=alarms, notes=notes), load_template("summary.md.j2"), load_parts()
    )


def _about(given: inputs.Inputs) -> str:
    """Whose numbers a run is about."""
    return EVERY_REPOSITORY if given.settings.repositories else given.run.repository
