"""The event's facts into the ledger, and the numbers out of it: read, decide, write; again if overtaken.

A ledger as a run reads it: as far as its windows reach, and further only where a fact from further back changes.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from dora_metrics.core import selection
from dora_metrics.core.cursors import decode_cursors, differs_only_in_newest
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.ledger import checkpoint, layout
from dora_metrics.core.ledger.checkpoint import Checkpoint, LedgerState, encode_checkpoint
from dora_metrics.core.ledger.layout import (
    ALL_MONTHS,
    CHECKPOINT_FILE,
    CURSORS_FILE,
    LedgerContents,
    MergePlan,
    MonthSelection,
    month_of_time,
)
from dora_metrics.core.metrics.comparison import Results
from dora_metrics.core.metrics.totals import Totals, add_totals
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.prometheus import LedgerCollector, exposition_text
from dora_metrics.errors import LedgerError, SettingsError
from dora_metrics.github.events.observe import Observation, Run
from dora_metrics.pipeline.evaluate import evaluate, prometheus_families, rules_fingerprint
from dora_metrics.settings.model import Settings, policy_of
from dora_metrics.storage.base import Snapshot, Storage, with_next_sequence

_CARRIED = (
    "by the last of those before: what was not delivered, not ended or deployed since then. "
    "`mode: rebuild` judges by all."
)


@dataclass(frozen=True)
class LedgerView:
    """What was read: the files, what is sealed of them, what they hold.

    `since`: the first month that the windows reach, None for all. `kept`: the checkpoint as it lies in the ledger.
    """

    snapshot: Snapshot
    since: datetime | None
    stored_checkpoint: Checkpoint
    checkpoint: Checkpoint
    contents: LedgerContents

    @property
    def is_complete(self) -> bool:
        return self.checkpoint.until is None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about how far back it was read."""
        until = self.checkpoint.until
        return (f"Judged by all facts since {until:%Y-%m}, and {_CARRIED}",) if until else ()

    def missing_months(self, plan: MergePlan) -> MonthSelection | None:
        """What has to be read before this can be planned; None if nothing.

        A fact is merged with what its month holds. One that changes what is sealed needs all months.
        """
        reach = self.snapshot.months
        known = [fact for new in plan.new_facts if (fact := self.contents.fact_by_id(new.id))]
        months = set().union(*(_months(fact) for fact in (*plan.new_facts, *known)))
        if unread := {month for month in months if not reach.includes(month)}:
            return MonthSelection(reach.since, reach.extra_months | unread)
        if self.is_complete or not any(self._is_late(fact, plan) for fact in plan.new_facts):
            return None
        return ALL_MONTHS

    def _is_late(self, fact: Fact, plan: MergePlan) -> bool:
        """Whether it changes what is sealed: not if it ends what is carried, or was delivered by nothing before."""
        known = self.contents.fact_by_id(fact.id)
        if all(month_of_time(one.defining_time) >= self.contents.checkpointed_before for one in (fact, known) if one):
            return False
        carried = fact.id in self.contents.retained_ids
        match fact:
            case Deployment():
                return True
            case Change() if carried:
                return fact.id in self.contents.delivered_change_ids
            case Change():
                return known is not None or fact.id not in plan.after.delivered_change_ids
            case _:
                return not carried

    def restored_checkpoint(self, after: LedgerContents, rules: Policy) -> Checkpoint:
        """The checkpoint beside the facts that are judged after this run."""
        return self.checkpoint if self.is_complete else self._restored(after, rules)

    def next_checkpoint(self, found: Checkpoint, after: LedgerContents, state: LedgerState) -> Checkpoint:
        """The checkpoint for the next run: with months sealed that no window reaches any more."""
        until = self.since or self.stored_checkpoint.until
        if until is None or until == found.until:
            return found
        old = after.ids_before(month_of_time(until))
        return checkpoint.compact(state, found, until, old) if old else found

    def _restored(self, after: LedgerContents, rules: Policy) -> Checkpoint:
        """The checkpoint with the newest of what it carries, and with what lies further back and counts again."""
        facts = {fact.id: fact for fact in after.facts}
        again = (after.checkpointed_ids & facts.keys()) - self.contents.retained_ids
        were = [known for identity in sorted(again) if (known := self.contents.fact_by_id(identity))]
        base = checkpoint.base_totals_without(self.checkpoint.base_totals, were, self.contents.facts, rules)
        carried = [*(one.id for one in self.checkpoint.retained_facts), *sorted(again)]
        return replace(
            self.checkpoint, base_totals=base, retained_facts=tuple(facts[one] for one in carried if one in facts)
        )


def _months(fact: Fact) -> set[str]:
    """Where a fact lies, and where an earlier end of a deployment may lie that ends once more."""
    times = [fact.defining_time]
    if isinstance(fact, Deployment) and fact.started_at:
        times.append(fact.started_at)
    return set(map(month_of_time, times))


def open_ledger(ledger: Storage, settings: Settings, now: datetime, *, whole: bool) -> LedgerView:
    """The ledger as far as the settings' windows reach, or `whole`.

    Raises:
        LedgerError: if it cannot be read, or is something else.
        SettingsError: if the window cannot be.
    """
    try:
        since = checkpoint.first_month_needed(settings.window_spec, now)
    except ValueError as problem:
        raise SettingsError(f"window: {problem}") from None
    seen = ledger.read(MonthSelection(month_of_time(since)) if since and not whole else ALL_MONTHS)
    if layout.is_foreign(seen.files, seen.folders, seen.sequence):
        raise LedgerError(f"{ledger.name} holds something else, which stays as it is; name a place of its own")
    rules = rules_fingerprint(settings)
    kept = checkpoint.decode_checkpoint(seen.files.get(CHECKPOINT_FILE, b""), rules)
    used = kept if seen.months.since and kept.until and since and kept.until <= since else Checkpoint(rules)
    reach = MonthSelection(month_of_time(used.until)) if used.until else ALL_MONTHS
    return _book(ledger.read_more(seen, reach), since, kept, used)


def with_months(ledger: Storage, book: LedgerView, reach: MonthSelection) -> LedgerView:
    """The same state of the ledger, read further back; read whole, it needs no checkpoint.

    Raises:
        LedgerError: if it cannot be read.
    """
    used = book.checkpoint if reach.since else Checkpoint(book.stored_checkpoint.policy_fingerprint)
    return _book(ledger.read_more(book.snapshot, reach), book.since, book.stored_checkpoint, used)


def _book(seen: Snapshot, since: datetime | None, kept: Checkpoint, used: Checkpoint) -> LedgerView:
    return LedgerView(seen, since, kept, used, layout.parse_ledger(seen.files, used.retained_facts, used.until))


TRIES = 40
_LONG_PAUSE_SECONDS = 4
_TICK = timedelta(microseconds=1)
_CLOCKS = timedelta(minutes=5)

Observe = Callable[[layout.LedgerContents], Observation]
"""From the ledger to what is new about it: what an event says, or GitHub's past."""

Enrich = Callable[[tuple[Fact, ...], layout.LedgerContents], tuple[Fact, ...]]
"""From the event's facts and the ledger to the facts with what GitHub adds to them."""

Publish = Callable[[Results, Storage, Snapshot], Mapping[str, bytes]]
"""From the numbers and the ledger to files that show them to people, as far as they differ from what is there."""


def _unpublished(_numbers: Results, _ledger: Storage, _seen: Snapshot) -> Mapping[str, bytes]:
    return {}


@dataclass(frozen=True)
class RecordRequest:
    """How a run sees: `observe` what happened, `ask` what GitHub adds to it.

    `whole`: all facts of the ledger are needed for that. `publish`: what people are shown, of a ledger that was read
    whole. `idle`: if nothing is new, what was computed from the ledger so short a time ago is left as it is.
    `book`: the ledger, where it was opened already; if that is stale, writing it tells. `claim`: from the ledger to
    the file of it by which this run makes a report, which needs all facts.
    """

    observe: Observe
    enrich: Enrich = lambda facts, _: facts
    whole: bool = False
    publish: Publish = _unpublished
    unchanged_for: timedelta = timedelta()
    view: LedgerView | None = None
    claim: Callable[[layout.LedgerContents], Mapping[str, bytes]] = lambda _: {}


@dataclass(frozen=True)
class PlannedRun:
    """What a run's event says, and what it does to the ledger."""

    book: LedgerView
    observed: Observation
    facts: tuple[Fact, ...]
    plan: layout.MergePlan
    claim: Mapping[str, bytes]


@dataclass(frozen=True)
class RunResult:
    """A run's facts in the ledger, and the numbers with them.

    `earlier`: the numbers without them, where they are news and a summary will say what they changed.
    `totals`: what is counted of everything that was ever recorded. `begun`: there was no ledger before.
    `notes`: what a reader must know about how far back it was read.
    """

    observed: Observation
    facts: tuple[Fact, ...]
    plan: layout.MergePlan
    results: Results
    before: Results | None
    totals: Totals
    snapshot: Snapshot
    created: bool
    notes: tuple[str, ...]


def record(
    eyes: RecordRequest, ledger: Storage, settings: Settings, run: Run, pause: Callable[[float], None]
) -> RunResult:
    """Writes what the event says; where another run was faster, reads and decides again, with jitter.

    Raises:
        LedgerError: if the ledger cannot be read or written, or others were faster every time.
        EventError: if the event is not of the expected shape.
        SettingsError: if the window cannot be.
    """
    for attempt in range(TRIES):
        first = eyes.view if attempt == 0 else None
        entry = _entered(eyes, ledger, first or open_ledger(ledger, settings, run.now, whole=eyes.whole))
        if recorded := _written(entry, ledger, settings, run, eyes):
            return recorded
        pause(random.uniform(0, _longest_pause_seconds(attempt)))  # noqa: S311 - jitter
    # No `concurrency:` group is advised: GitHub keeps one run waiting in it and cancels the others.
    raise LedgerError(f"{ledger.name}: other runs wrote first {TRIES} times; run this job again when they are done")


def _longest_pause_seconds(attempt: int) -> float:
    """Doubled with each try, and then more slowly: the more writers there are, the fewer of them may try at once.

    Each try costs GitHub's limits two requests, so they are not hurried.
    """
    return min(0.5 * 2.0**attempt, max(_LONG_PAUSE_SECONDS, attempt))


def _entered(eyes: RecordRequest, ledger: Storage, book: LedgerView) -> PlannedRun:
    """The event in the ledger, read as far back as that needs."""
    while True:
        before = book.contents
        claim = eyes.claim(before)
        if claim and not book.is_complete:
            book = with_months(ledger, book, ALL_MONTHS)
            continue
        observed = eyes.observe(before)
        facts = eyes.enrich(observed.facts, before)
        plan = layout.plan_merge(before, facts)
        lacking = book.missing_months(plan)
        if lacking is None:
            return PlannedRun(book, observed, facts, plan, claim)
        book = with_months(ledger, book, lacking)


def _written(entry: PlannedRun, ledger: Storage, settings: Settings, run: Run, eyes: RecordRequest) -> RunResult | None:
    """The ledger with the event and all that follows from it; None if another run was faster."""
    plan, seen, now = entry.plan, entry.book.snapshot, _after(run.now, entry.facts)
    facts = plan.after.facts
    cursors = {**seen.files, **entry.observed.ledger_files}.get(layout.CURSORS_FILE, b"")
    subject = evaluate(facts, settings, now, selection.alert_notes(decode_cursors(cursors), settings.security))
    state = LedgerState(facts, subject.evaluation, subject.policy)
    beside = entry.book.restored_checkpoint(plan.after, subject.policy)
    totals = add_totals(beside.base_totals, state.totals)
    kept = entry.book.next_checkpoint(beside, plan.after, state)
    # The outbox first: owed without being there does no harm, there without being owed would be forgotten.
    also = {layout.CHECKPOINT_FILE: encode_checkpoint(kept), **entry.observed.ledger_files, **entry.claim}
    changes = {**_outbox(seen, entry.facts, settings), **plan.file_changes, **_unlike(seen, also)}
    sequence = None if seen.sequence is None else with_next_sequence(seen.sequence, changes)[0]
    families = prometheus_families(subject, totals, sequence)
    if _is_nothing(seen, changes) and seen.written_at and timedelta() <= run.now - seen.written_at < eyes.unchanged_for:
        saved: Snapshot | None = seen
    else:
        shown = {**_welcome(seen), **_derived(subject, families), **eyes.publish(subject, ledger, seen)}
        saved = ledger.write(seen, {**changes, **shown}, _message(plan.new_facts))
    if saved is None:
        return None
    earlier = evaluate(entry.book.contents.facts, settings, now) if plan.new_facts and settings.summary else None
    return RunResult(
        observed=entry.observed,
        facts=entry.facts,
        plan=plan,
        results=subject,
        before=earlier,
        totals=totals,
        snapshot=saved,
        created=not seen.files,
        notes=entry.book.notes,
    )


def _is_nothing(seen: Snapshot, changes: Mapping[str, bytes]) -> bool:
    """Whether nothing would be lost if these were not written."""
    before = seen.files.get(CURSORS_FILE, b"")
    return changes.keys() <= {CURSORS_FILE} and differs_only_in_newest(before, changes.get(CURSORS_FILE, before))


def _unlike(seen: Snapshot, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those that say something else than what is there."""
    return {path: content for path, content in files.items() if content != seen.files.get(path, b"")}


def _after(now: datetime, facts: Sequence[Fact]) -> datetime:
    """A moment that comes after what has just been seen: windows are half-open, and clocks differ a little."""
    return max((now, *(fact.defining_time for fact in facts if fact.defining_time - now < _CLOCKS))) + _TICK


def _message(news: Sequence[Fact]) -> str:
    """What was recorded, as a commit's headline."""
    if len(news) == 1:
        return f"Record {news[0].id}"
    return f"Record {len(news)} facts" if news else "Compute the metrics again"


def known_sources(facts: Iterable[Fact], repository: str, settings: Settings) -> frozenset[str]:
    """Where this repository's production deployments have come from so far."""
    rules = policy_of(settings)
    deployments = (f for f in facts if isinstance(f, Deployment) and f.repository == repository and not f.retracted)
    return frozenset(d.source for d in deployments if d.source and rules.is_production(d.environment or "production"))


def _outbox(seen: Snapshot, facts: Iterable[Fact], settings: Settings) -> dict[str, bytes]:
    """What an endpoint is owed from now on; kept before it is sent, so that a killed run forgets nothing."""
    if settings.endpoint_url is None:
        return {}
    return _unlike(
        seen, {layout.OUTBOX_FILE: layout.encode_outbox(layout.add_to_outbox(layout.read_outbox(seen.files), facts))}
    )


def _welcome(seen: Snapshot) -> dict[str, bytes]:
    """What the place is, unless somebody has said it in other words."""
    there = seen.files.get(layout.README_FILE, b"")
    is_other = there and not there.startswith(layout.README_TITLE)
    return {} if is_other else _unlike(seen, {layout.README_FILE: layout.README_TEXT})


def _derived(subject: Results, families: LedgerCollector) -> Mapping[str, bytes]:
    """Files that are served as they are and can be computed again from the facts."""
    return {
        layout.METRICS_FILE: msgspec.json.encode(subject.document) + b"\n",
        "metrics.prom": exposition_text(families).encode(),
    }
