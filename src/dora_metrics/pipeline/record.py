"""The event's facts into the ledger, and the numbers out of it: read, decide, write; again if overtaken.

A ledger as a run reads it: as far as its windows reach, and further only where a fact from further back changes.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from dora_metrics.core import selection
from dora_metrics.core.cursors import decoded, is_no_further
from dora_metrics.core.facts.model import Change, Deployment, Fact
from dora_metrics.core.ledger import checkpoint, layout
from dora_metrics.core.ledger.checkpoint import Checkpoint, Judged, encode
from dora_metrics.core.ledger.layout import CHECKPOINT, CURSORS, EVERYTHING, Contents, Plan, Reach, month_at
from dora_metrics.core.metrics.comparison import Subject
from dora_metrics.core.metrics.totals import Totals, added
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.prometheus import Families, text
from dora_metrics.errors import LedgerError, SettingsError
from dora_metrics.github.events.observe import Observed, Run
from dora_metrics.pipeline.evaluate import families_of, rules_of, subject_of
from dora_metrics.settings.model import Settings, policy
from dora_metrics.storage.base import Ledger, Snapshot, counted

_CARRIED = (
    "by the last of those before: what was not delivered, not ended or deployed since then. "
    "`mode: rebuild` judges by all."
)


@dataclass(frozen=True)
class Book:
    """What was read: the files, what is sealed of them, what they hold.

    `since`: the first month that the windows reach, None for all. `kept`: the checkpoint as it lies in the ledger.
    """

    seen: Snapshot
    since: datetime | None
    kept: Checkpoint
    checkpoint: Checkpoint
    contents: Contents

    @property
    def whole(self) -> bool:
        return self.checkpoint.until is None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about how far back it was read."""
        until = self.checkpoint.until
        return (f"Judged by all facts since {until:%Y-%m}, and {_CARRIED}",) if until else ()

    def lacks(self, plan: Plan) -> Reach | None:
        """What has to be read before this can be planned; None if nothing.

        A fact is merged with what its month holds. One that changes what is sealed needs all months.
        """
        reach = self.seen.reach
        known = [fact for new in plan.news if (fact := self.contents.known(new.id))]
        months = set().union(*(_months(fact) for fact in (*plan.news, *known)))
        if unread := {month for month in months if not reach.holds(month)}:
            return Reach(reach.since, reach.also | unread)
        if self.whole or not any(self._is_late(fact, plan) for fact in plan.news):
            return None
        return EVERYTHING

    def _is_late(self, fact: Fact, plan: Plan) -> bool:
        """Whether it changes what is sealed: not if it ends what is carried, or was delivered by nothing before."""
        known = self.contents.known(fact.id)
        if all(month_at(one.defining_time) >= self.contents.sealed for one in (fact, known) if one):
            return False
        carried = fact.id in self.contents.carried
        match fact:
            case Deployment():
                return True
            case Change() if carried:
                return fact.id in self.contents.delivered
            case Change():
                return known is not None or fact.id not in plan.after.delivered
            case _:
                return not carried

    def carrying(self, after: Contents, rules: Policy) -> Checkpoint:
        """The checkpoint beside the facts that are judged after this run."""
        return self.checkpoint if self.whole else self._called_up(after, rules)

    def sealed_anew(self, found: Checkpoint, after: Contents, state: Judged) -> Checkpoint:
        """The checkpoint for the next run: with months sealed that no window reaches any more."""
        until = self.since or self.kept.until
        if until is None or until == found.until:
            return found
        old = after.old(month_at(until))
        return checkpoint.sealed(state, found, until, old) if old else found

    def _called_up(self, after: Contents, rules: Policy) -> Checkpoint:
        """The checkpoint with the newest of what it carries, and with what lies further back and counts again."""
        facts = {fact.id: fact for fact in after.facts}
        again = (after.out_of_sight & facts.keys()) - self.contents.carried
        were = [known for identity in sorted(again) if (known := self.contents.known(identity))]
        base = checkpoint.base_without(self.checkpoint.base, were, self.contents.facts, rules)
        carried = [*(one.id for one in self.checkpoint.carried), *sorted(again)]
        return replace(self.checkpoint, base=base, carried=tuple(facts[one] for one in carried if one in facts))


def _months(fact: Fact) -> set[str]:
    """Where a fact lies, and where an earlier end of a deployment may lie that ends once more."""
    times = [fact.defining_time]
    if isinstance(fact, Deployment) and fact.started_at:
        times.append(fact.started_at)
    return set(map(month_at, times))


def opened(ledger: Ledger, settings: Settings, now: datetime, *, whole: bool) -> Book:
    """The ledger as far as the settings' windows reach, or `whole`.

    Raises:
        LedgerError: if it cannot be read, or is something else.
        SettingsError: if the window cannot be.
    """
    try:
        since = checkpoint.needed_since(settings.window_spec, now)
    except ValueError as problem:
        raise SettingsError(f"window: {problem}") from None
    seen = ledger.read(Reach(month_at(since)) if since and not whole else EVERYTHING)
    if layout.is_foreign(seen.files, seen.folders, seen.sequence):
        raise LedgerError(f"{ledger.name} holds something else, which stays as it is; name a place of its own")
    rules = rules_of(settings)
    kept = checkpoint.decode(seen.files.get(CHECKPOINT, b""), rules)
    used = kept if seen.reach.since and kept.until and since and kept.until <= since else Checkpoint(rules)
    reach = Reach(month_at(used.until)) if used.until else EVERYTHING
    return _book(ledger.more(seen, reach), since, kept, used)


def widened(ledger: Ledger, book: Book, reach: Reach) -> Book:
    """The same state of the ledger, read further back; read whole, it needs no checkpoint.

    Raises:
        LedgerError: if it cannot be read.
    """
    used = book.checkpoint if reach.since else Checkpoint(book.kept.rules)
    return _book(ledger.more(book.seen, reach), book.since, book.kept, used)


def _book(seen: Snapshot, since: datetime | None, kept: Checkpoint, used: Checkpoint) -> Book:
    return Book(seen, since, kept, used, layout.read(seen.files, used.carried, used.until))


TRIES = 40
_LONG_PAUSE_SECONDS = 4
_TICK = timedelta(microseconds=1)
_CLOCKS = timedelta(minutes=5)

Observer = Callable[[layout.Contents], Observed]
"""From the ledger to what is new about it: what an event says, or GitHub's past."""

Asking = Callable[[tuple[Fact, ...], layout.Contents], tuple[Fact, ...]]
"""From the event's facts and the ledger to the facts with what GitHub adds to them."""

Publish = Callable[[Subject, Ledger, Snapshot], Mapping[str, bytes]]
"""From the numbers and the ledger to files that show them to people, as far as they differ from what is there."""


def _unpublished(_numbers: Subject, _ledger: Ledger, _seen: Snapshot) -> Mapping[str, bytes]:
    return {}


@dataclass(frozen=True)
class Eyes:
    """How a run sees: `observe` what happened, `ask` what GitHub adds to it.

    `whole`: all facts of the ledger are needed for that. `publish`: what people are shown, of a ledger that was read
    whole. `idle`: if nothing is new, what was computed from the ledger so short a time ago is left as it is.
    `book`: the ledger, where it was opened already; if that is stale, writing it tells. `claim`: from the ledger to
    the file of it by which this run makes a report, which needs all facts.
    """

    observe: Observer
    ask: Asking = lambda facts, _: facts
    whole: bool = False
    publish: Publish = _unpublished
    idle: timedelta = timedelta()
    book: Book | None = None
    claim: Callable[[layout.Contents], Mapping[str, bytes]] = lambda _: {}


@dataclass(frozen=True)
class Entry:
    """What a run's event says, and what it does to the ledger."""

    book: Book
    observed: Observed
    facts: tuple[Fact, ...]
    plan: layout.Plan
    claim: Mapping[str, bytes]


@dataclass(frozen=True)
class Recorded:
    """A run's facts in the ledger, and the numbers with them.

    `earlier`: the numbers without them, where they are news and a summary will say what they changed.
    `totals`: what is counted of everything that was ever recorded. `begun`: there was no ledger before.
    `notes`: what a reader must know about how far back it was read.
    """

    observed: Observed
    facts: tuple[Fact, ...]
    plan: layout.Plan
    subject: Subject
    earlier: Subject | None
    totals: Totals
    saved: Snapshot
    begun: bool
    notes: tuple[str, ...]


def record(eyes: Eyes, ledger: Ledger, settings: Settings, run: Run, pause: Callable[[float], None]) -> Recorded:
    """Writes what the event says; where another run was faster, reads and decides again, with jitter.

    Raises:
        LedgerError: if the ledger cannot be read or written, or others were faster every time.
        EventError: if the event is not of the expected shape.
        SettingsError: if the window cannot be.
    """
    for attempt in range(TRIES):
        first = eyes.book if attempt == 0 else None
        entry = _entered(eyes, ledger, first or opened(ledger, settings, run.now, whole=eyes.whole))
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


def _entered(eyes: Eyes, ledger: Ledger, book: Book) -> Entry:
    """The event in the ledger, read as far back as that needs."""
    while True:
        before = book.contents
        claim = eyes.claim(before)
        if claim and not book.whole:
            book = widened(ledger, book, EVERYTHING)
            continue
        observed = eyes.observe(before)
        facts = eyes.ask(observed.facts, before)
        plan = layout.plan(before, facts)
        lacking = book.lacks(plan)
        if lacking is None:
            return Entry(book, observed, facts, plan, claim)
        book = widened(ledger, book, lacking)


def _written(entry: Entry, ledger: Ledger, settings: Settings, run: Run, eyes: Eyes) -> Recorded | None:
    """The ledger with the event and all that follows from it; None if another run was faster."""
    plan, seen, now = entry.plan, entry.book.seen, _after(run.now, entry.facts)
    facts = plan.after.facts
    cursors = {**seen.files, **entry.observed.files}.get(layout.CURSORS, b"")
    subject = subject_of(facts, settings, now, selection.notes(decoded(cursors), settings.security))
    state = Judged(facts, subject.records, subject.policy)
    beside = entry.book.carrying(plan.after, subject.policy)
    totals = added(beside.base, state.totals)
    kept = entry.book.sealed_anew(beside, plan.after, state)
    # The outbox first: owed without being there does no harm, there without being owed would be forgotten.
    also = {layout.CHECKPOINT: encode(kept), **entry.observed.files, **entry.claim}
    changes = {**_outbox(seen, entry.facts, settings), **plan.changes, **_unlike(seen, also)}
    sequence = None if seen.sequence is None else counted(seen.sequence, changes)[0]
    families = families_of(subject, totals, sequence)
    if _is_nothing(seen, changes) and seen.written_at and timedelta() <= run.now - seen.written_at < eyes.idle:
        saved: Snapshot | None = seen
    else:
        shown = {**_welcome(seen), **_derived(subject, families), **eyes.publish(subject, ledger, seen)}
        saved = ledger.write(seen, {**changes, **shown}, _message(plan.news))
    if saved is None:
        return None
    earlier = subject_of(entry.book.contents.facts, settings, now) if plan.news and settings.summary else None
    return Recorded(
        observed=entry.observed,
        facts=entry.facts,
        plan=plan,
        subject=subject,
        earlier=earlier,
        totals=totals,
        saved=saved,
        begun=not seen.files,
        notes=entry.book.notes,
    )


def _is_nothing(seen: Snapshot, changes: Mapping[str, bytes]) -> bool:
    """Whether nothing would be lost if these were not written."""
    before = seen.files.get(CURSORS, b"")
    return changes.keys() <= {CURSORS} and is_no_further(before, changes.get(CURSORS, before))


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
    rules = policy(settings)
    deployments = (f for f in facts if isinstance(f, Deployment) and f.repository == repository and not f.retracted)
    return frozenset(d.source for d in deployments if d.source and rules.is_production(d.environment or "production"))


def _outbox(seen: Snapshot, facts: Iterable[Fact], settings: Settings) -> dict[str, bytes]:
    """What an endpoint is owed from now on; kept before it is sent, so that a killed run forgets nothing."""
    if settings.endpoint_url is None:
        return {}
    return _unlike(seen, {layout.OUTBOX: layout.contents(layout.added(layout.owed(seen.files), facts))})


def _welcome(seen: Snapshot) -> dict[str, bytes]:
    """What the place is, unless somebody has said it in other words."""
    there = seen.files.get(layout.README, b"")
    is_other = there and not there.startswith(layout.TITLE)
    return {} if is_other else _unlike(seen, {layout.README: layout.WELCOME})


def _derived(subject: Subject, families: Families) -> Mapping[str, bytes]:
    """Files that are served as they are and can be computed again from the facts."""
    return {
        layout.METRICS: msgspec.json.encode(subject.document) + b"\n",
        "metrics.prom": text(families).encode(),
    }
