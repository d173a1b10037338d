"""The shell of an action run: gather → decide → apply; the only place that owns the exit code."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from dora_metrics.core import formatting
from dora_metrics.core.facts.merge import enriched
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import PAGE, Contents
from dora_metrics.core.outcome import Told
from dora_metrics.core.reports import render, summary
from dora_metrics.core.reports.event_story import Happening
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.thresholds import Judged, Violation
from dora_metrics.errors import EventError, LedgerError, SettingsError
from dora_metrics.github.events.observe import Observed, nothing, observe
from dora_metrics.github.runner import Runner
from dora_metrics.pipeline import inputs
from dora_metrics.pipeline.context import Opening
from dora_metrics.pipeline.evaluate import judged
from dora_metrics.pipeline.outputs import judged_scopes, main_scope, outputs
from dora_metrics.pipeline.record import Asking, Eyes, Observer, Publish, Recorded, known_sources, record
from dora_metrics.runtime import World
from dora_metrics.settings.loading import Layer
from dora_metrics.settings.model import EVERY_REPOSITORY
from dora_metrics.sinks.base import NotSent, Outcome, Sent
from dora_metrics.storage.base import Ledger, NoLedger, ReadOnly
from dora_metrics.templates import parts, template

_AGAIN = "everything was computed again from the ledger"


def action(world: World, flags: Layer | None = None) -> int:
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
        told: list[Told] = []
        opening = Opening(
            inputs.gather(world.environment, world.now, flags), world.pause, partial(_tell_once, told), runner.say
        )
        given = opening.settle()
        told += [Told(name, "skipped", "has no effect in this version") for name in given.without_effect]
        recorded, ledger = _recorded(opening, world, told)
    except SettingsError as error:
        for problem in error.problems:
            runner.annotate("error", "dora-metrics: settings", problem)
        return 2
    told += [_worded(outcome) for outcome in _delivered(recorded, ledger, given, world)]
    told += _reported(opening, recorded, ledger)
    if opening.requests:
        told.append(Told("GitHub", "done", formatting.count(opening.requests, "request")))
    thresholds = judged(recorded.subject, given.settings, judged_scopes(recorded, _about(given)))
    told += _thresholds_told(thresholds)
    report = opening.reporting.numbers if opening.reporting else {}
    published = _publish(Outcomes(recorded, told, thresholds.violations, report), given, runner)
    failed = not published or any(one.how == "failed" for one in told)
    return int(thresholds.failing or (given.settings.strict and failed))


def _recorded(opening: Opening, world: World, told: list[Told]) -> tuple[Recorded, Ledger]:
    """The run's work in the ledger; where that cannot be, with what can be read of the ledger, or else alone."""
    work = _work(opening, world, told)
    for ledger in _ledgers(opening, told):
        try:
            recorded = work(ledger)
        except LedgerError as problem:
            _tell_once(told, Told("ledger", "failed", str(problem)))
        else:
            if not any(one.name == "ledger" for one in told):
                told.append(_ledger_told(recorded, ledger, opening.given.settings.ledger))
            told += _aside_told(recorded)
            return recorded, ledger
    raise AssertionError


def _work(opening: Opening, world: World, told: list[Told]) -> Callable[[Ledger], Recorded]:
    """What this run does to a ledger."""
    given = opening.given
    match given.work:
        case "sync" if opening.client_wanted:
            from dora_metrics.pipeline.progress import progress  # noqa: PLC0415 - a run of one event has none

            since = given.settings.since_moment(world.now)
            sync = opening.sync(progress(Runner.of(world.environment, world.stdout), world.stderr, world.now, since))
            return lambda ledger: sync.into(ledger, world.pause)
        case "record":
            eyes = Eyes(_observer(given, world, told), _asking(opening, world, told), claim=opening.claim)
        case "sync":
            asked = given.settings.mode == "sync"
            told.append(
                Told("sync", "failed" if asked else "skipped", "no `github-token` to read GitHub's history with")
            )
            eyes = Eyes(lambda _: nothing(_AGAIN), whole=True, publish=_publish_of(given))
        case _:
            again = nothing(f"mode is {given.settings.mode}, so {_AGAIN}")
            eyes = Eyes(lambda _: again, whole=True, claim=opening.claim, publish=_publish_of(given))
    return lambda ledger: record(eyes, ledger, given.settings, given.run, world.pause)


def _publish_of(given: inputs.Inputs) -> Publish:
    from dora_metrics.pipeline.publish import publisher  # noqa: PLC0415 - a run of one event has none

    return publisher(given.settings)


def _asking(opening: Opening, world: World, told: list[Told]) -> Asking:
    """What GitHub adds to an event, and, where that is set, a health check."""
    given = opening.given
    if given.settings.health_check_url is None:
        return opening.ask
    from dora_metrics.pipeline.health import Checker  # noqa: PLC0415 - its libraries are for those who check

    tell = partial(_tell_once, told)
    return Checker(opening.ask, given.settings, given.run.now, world.patience, world.pause, tell)


def _ledgers(opening: Opening, told: list[Told]) -> Iterator[Ledger]:
    """From the one that was asked for down to none at all."""
    try:
        ledger = opening.ledger()
        yield ledger
        yield ReadOnly(ledger)
    except LedgerError as problem:
        _tell_once(told, Told("ledger", "failed", str(problem)))
    yield NoLedger()


def _tell_once(told: list[Told], one: Told) -> None:
    if one not in told:
        told.append(one)


def _observer(given: inputs.Inputs, world: World, told: list[Told]) -> Observer:
    """An unreadable event is told once, and is an event without facts."""
    run, settings = given.run, given.settings
    try:
        payload = inputs.payload(world.environment)
        observe(run, payload, settings, frozenset())
    except EventError as error:
        told += [Told("event", "failed", problem) for problem in error.problems]
        return lambda _: Observed((), f"This {run.event} event could not be read, so nothing was recorded")

    def observer(before: Contents) -> Observed:
        observed = observe(run, payload, settings, known_sources(before.facts, run.repository, settings))
        return replace(observed, facts=tuple(enriched(before.known(fact.id), fact) for fact in observed.facts))

    return observer


def _ledger_told(recorded: Recorded, ledger: Ledger, place: str) -> Told:
    if not ledger.remembers:
        return Told("ledger", "skipped", "none: only what this run has seen is known")
    many = len(recorded.plan.news)
    new = f"+{formatting.count(many, 'fact')}" if many else "nothing new"
    return Told("ledger", "done", f"{new}, in a new ledger ({place})" if recorded.begun else new)


def _aside_told(recorded: Recorded) -> Iterator[Told]:
    """Broken lines of the ledger: set aside, and said."""
    for aside in recorded.plan.after.aside[:10]:
        yield Told(
            "ledger",
            "failed",
            f"{aside.path}:{aside.bad.number}: {aside.bad.problem}; kept in quarantine.jsonl",
        )


def _delivered(recorded: Recorded, ledger: Ledger, given: inputs.Inputs, world: World) -> Iterator[Outcome]:
    if given.settings.pushgateway_url or given.settings.endpoint_url:
        from dora_metrics.pipeline.deliver import deliver  # noqa: PLC0415 - its libraries are for those who send

        yield from deliver(recorded, ledger, given.settings, given.run, world.patience)


def _reported(opening: Opening, recorded: Recorded, ledger: Ledger) -> Iterator[Told]:
    """The report issues that are due."""
    if opening.reporting:
        yield from opening.reporting.publish(recorded, ledger)
    elif opening.given.settings.mode == "report":
        why = "`report` is `off`" if opening.client_wanted else "no `github-token` to make issues with"
        yield Told("report", "failed", why)


def _worded(outcome: Outcome) -> Told:
    match outcome:
        case Sent():
            return Told(outcome.sink, "done", outcome.detail)
        case NotSent():
            return Told(outcome.sink, "failed", outcome.reason)
        case _:
            return Told(outcome.sink, "skipped", outcome.reason)


def _thresholds_told(found: Judged) -> Iterator[Told]:
    """What was kept, and what nobody can say yet; what was hit has lines of its own."""
    kept = (f"{found.held} kept",) if found.held else ()
    if kept or found.unknown:
        yield Told("thresholds", "done" if kept else "skipped", "; ".join((*kept, *found.unknown)))


@dataclass(frozen=True)
class Outcomes:
    """What a run leaves behind: the numbers, how its effects went, thresholds that were hit, issues by scope."""

    recorded: Recorded
    told: Sequence[Told]
    violations: Sequence[Violation]
    reports: Mapping[Scope, int]


def _publish(found: Outcomes, given: inputs.Inputs, runner: Runner) -> bool:
    """Summary, outputs, annotations, and the gist in the log; whether all could be written."""
    recorded = found.recorded
    main = main_scope(recorded, _about(given))
    written = [runner.outputs(outputs(recorded, main, found.violations, found.reports, _page_path(recorded, given)))]
    if given.settings.summary:
        facts = recorded.facts if given.work == "record" else ()
        written.append(runner.summarise(_summary(found, main, facts)))
    runner.say(recorded.observed.title)
    for hit in found.violations:
        level: Literal["error", "warning"] = "error" if hit.on == "fail" else "warning"
        runner.annotate(level, "dora-metrics: threshold", f"{hit.text} ({hit.on}-on: {hit.rule})")
    for one in found.told:
        if one.how == "failed":
            runner.annotate("warning", f"dora-metrics: {one.name}", one.text)
        else:
            runner.say(f"{one.name}: {one.text or one.how}")
    return all(written)


def _page_path(recorded: Recorded, given: inputs.Inputs) -> str:
    if PAGE not in recorded.saved.files:
        return ""
    from dora_metrics.pipeline.publish import page_path  # noqa: PLC0415 - as above

    return page_path(recorded.saved, given)


def _summary(found: Outcomes, main: Scope | None, facts: tuple[Fact, ...]) -> str:
    """`facts`: what the story is about; many facts of the past are none."""
    recorded = found.recorded
    happening = Happening(recorded.observed.title, facts)
    built = summary.build(recorded.subject, main, happening, recorded.earlier, found.told)
    alarms = [summary.alarm(one, main) for one in found.violations]
    notes = [*recorded.observed.notes, *recorded.notes, *built.notes]
    return render.markdown(replace(built, alarms=alarms, notes=notes), template("summary.md.j2"), parts())


def _about(given: inputs.Inputs) -> str:
    """Whose numbers a run is about."""
    return EVERY_REPOSITORY if given.settings.repositories else given.run.repository
