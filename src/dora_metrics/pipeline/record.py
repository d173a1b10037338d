"""Record a run's facts in a ledger: gather, plan, write; again if another run wrote in between."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.ledger import checkpoint, layout
from dora_metrics.core.ledger.layout import ALL_MONTHS, LedgerContents, MergePlan, MonthSelection, month_of_time
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.ledger.view import LedgerView, usable_checkpoint
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.totals import Totals
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import environment_of
from dora_metrics.errors import LedgerError, SettingsError
from dora_metrics.github.observation import Observation, Run
from dora_metrics.pipeline.evaluate import evaluate, policy_fingerprint
from dora_metrics.pipeline.plan import Gathered, RunPlan, plan_run
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import Change, Storage, update

MAX_TRIES = 40
_LONG_PAUSE_SECONDS = 4

Files = Mapping[str, bytes]

Observe = Callable[[LedgerContents], Observation]
"""From the ledger to what is new about it: what an event says, or GitHub's history."""

Enrich = Callable[[tuple[Fact, ...], LedgerContents], tuple[Fact, ...]]
"""From observed facts and the ledger to these facts with what GitHub adds to them."""

Claim = Callable[[LedgerContents], Files]
"""From the ledger to its file with this run's claims on reports; needs all months if there are any."""

Publish = Callable[[Results, Storage, Snapshot], Files]
"""From the numbers and the ledger to the files of its site that differ from those in it."""


@dataclass(frozen=True)
class RecordRequest:
    """What to record, and what to write with it; the parts of recording that differ by mode.

    Attributes:
        observe: what happened.
        enrich: what GitHub adds to the observed facts.
        reads_everything: whether all months of the ledger are needed.
        claim: claims reports.
        publish: makes the site of a ledger that was read completely.
        unchanged_for: without news, numbers that are younger than this are left as they are.
        view: the ledger, if it was read already; if it is out of date, the write says so.
    """

    observe: Observe
    enrich: Enrich = lambda facts, _: facts
    reads_everything: bool = False
    claim: Claim = lambda _: {}
    publish: Publish = lambda _results, _storage, _snapshot: {}
    unchanged_for: timedelta = timedelta()
    view: LedgerView | None = None


@dataclass(frozen=True)
class RunResult:
    """A run's facts in the ledger, and the numbers with them.

    Attributes:
        storage: where the facts were recorded.
        observation: what the run observed.
        facts: the observed facts, completed.
        merge: the ledger's facts with these.
        results: the numbers with these facts.
        before: the numbers without them; None if nothing is new or no summary is written.
        totals: cumulative counts of everything that was ever recorded.
        snapshot: the ledger as it was written.
        is_new_ledger: whether this run created the ledger.
        notes: what a reader must know about how far back the ledger was read.
    """

    storage: Storage
    observation: Observation
    facts: tuple[Fact, ...]
    merge: MergePlan
    results: Results
    before: Results | None
    totals: Totals
    snapshot: Snapshot
    is_new_ledger: bool
    notes: tuple[str, ...]


def record(
    request: RecordRequest, storage: Storage, settings: Settings, run: Run, pause: Callable[[float], None]
) -> RunResult:
    """Record what a run observed, and compute the numbers.

    Args:
        request: what to record.
        storage: where the ledger is.
        settings: what the numbers depend on, and how far back to read.
        run: the workflow run, for its time.
        pause: waits for some seconds.

    Raises:
        LedgerError: if the ledger cannot be read or written, or other runs were faster every time.
        EventError: if the event does not have the expected shape.
        SettingsError: if the window is not valid at the run's time.
    """

    def read() -> LedgerView:
        return open_ledger(storage, settings, run.now, reads_everything=request.reads_everything)

    def decide(view: LedgerView) -> Change[tuple[Gathered, RunPlan]]:
        gathered = _gather(request, storage, view)
        plan = plan_run(gathered, settings, run.now)
        snapshot = gathered.view.snapshot
        if plan.is_without_news and _is_recent(snapshot, run.now, request.unchanged_for):
            return Change(snapshot, {}, plan.message, (gathered, plan))
        site = request.publish(plan.results, storage, snapshot)
        return Change(snapshot, {**plan.primary_files, **plan.derived_files, **site}, plan.message, (gathered, plan))

    def wait(attempt: int) -> None:
        pause(random.uniform(0, _longest_pause_seconds(attempt)))  # noqa: S311 - jitter

    updated = update(storage, read, decide, first=request.view, tries=MAX_TRIES, pause=wait)
    if updated is None:
        # No `concurrency:` group is advised: GitHub keeps one run waiting in it and cancels the others.
        raise LedgerError(
            f"{storage.name}: other runs wrote first {MAX_TRIES} times; run this job again when they are done"
        )
    snapshot, (gathered, plan) = updated
    return _result(storage, gathered, plan, snapshot, settings)


def open_ledger(storage: Storage, settings: Settings, now: datetime, *, reads_everything: bool) -> LedgerView:
    """Read a ledger as far back as the windows of the settings reach, or completely.

    Raises:
        LedgerError: if it cannot be read, or if the place holds something else than a ledger.
        SettingsError: if the window is not valid at `now`.
    """
    try:
        since = checkpoint.first_month_needed(settings.window_spec, now)
    except ValueError as error:
        raise SettingsError(f"window: {error}") from None
    months = MonthSelection(month_of_time(since)) if since and not reads_everything else ALL_MONTHS
    snapshot = storage.read(months)
    if layout.is_foreign(snapshot.files, snapshot.folders, snapshot.sequence):
        raise LedgerError(f"{storage.name} holds something else, which stays as it is; name a place of its own")
    stored, used = usable_checkpoint(snapshot, since, policy_fingerprint(settings.policy))
    needed = MonthSelection(month_of_time(used.until)) if used.until else ALL_MONTHS
    return LedgerView.of(storage.read_more(snapshot, needed), since, stored, used)


def production_sources(facts: Iterable[Fact], repository: str, policy: Policy) -> frozenset[str]:
    """The sources that a repository's production deployments have come from so far."""
    return frozenset(
        fact.source
        for fact in facts
        if isinstance(fact, Deployment)
        and fact.repository == repository
        and not fact.retracted
        and fact.source
        and policy.is_production(environment_of(fact))
    )


def _gather(request: RecordRequest, storage: Storage, view: LedgerView) -> Gathered:
    """Observe and enrich, and read the ledger as far back as the new facts need."""
    while True:
        claims = request.claim(view.contents)
        if claims and not view.is_complete:
            view = view.extended(storage.read_more(view.snapshot, ALL_MONTHS))
            continue
        observation = request.observe(view.contents)
        facts = request.enrich(observation.facts, view.contents)
        merge = layout.plan_merge(view.contents, facts)
        missing = view.missing_months(merge)
        if missing is None:
            return Gathered(view, observation, facts, merge, claims)
        view = view.extended(storage.read_more(view.snapshot, missing))


def _is_recent(snapshot: Snapshot, now: datetime, duration: timedelta) -> bool:
    """Whether the ledger was written less than this long ago."""
    return snapshot.written_at is not None and timedelta() <= now - snapshot.written_at < duration


def _longest_pause_seconds(attempt: int) -> float:
    """The upper bound of the random pause after an attempt: doubled each time, then growing by a second.

    With many writers, few of them may try at once; and each try costs two requests of GitHub's rate limit.
    """
    return min(0.5 * 2.0**attempt, max(_LONG_PAUSE_SECONDS, attempt))


def _result(storage: Storage, gathered: Gathered, plan: RunPlan, snapshot: Snapshot, settings: Settings) -> RunResult:
    view = gathered.view
    shows_change = gathered.merge.new_facts and settings.summary
    return RunResult(
        storage=storage,
        observation=gathered.observation,
        facts=gathered.facts,
        merge=gathered.merge,
        results=plan.results,
        before=evaluate(view.contents.facts, settings, plan.results.now) if shows_change else None,
        totals=plan.totals,
        snapshot=snapshot,
        is_new_ledger=not view.snapshot.files,
        notes=view.notes,
    )
