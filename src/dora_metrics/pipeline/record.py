"""The event's facts into the ledger, and the numbers out of it: read, decide, write; again if overtaken."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from dora_metrics.core import selection
from dora_metrics.core.cursors import decoded, is_no_further
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.ledger import layout, outbox
from dora_metrics.core.ledger.checkpoint import Judged
from dora_metrics.core.ledger.checkpoint_part import encode
from dora_metrics.core.ledger.layout import CURSORS, EVERYTHING
from dora_metrics.core.metrics.totals import Totals, added
from dora_metrics.core.reports.prometheus import Families, text
from dora_metrics.core.reports.summary import Subject
from dora_metrics.errors import LedgerError
from dora_metrics.github.events.observe import Observed, Run
from dora_metrics.pipeline.evaluate import families_of, subject_of
from dora_metrics.pipeline.reading import Book, opened, widened
from dora_metrics.settings.model import Settings, policy
from dora_metrics.storage.base import Ledger, Snapshot
from dora_metrics.storage.sequence import counted

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
    return _unlike(seen, {layout.OUTBOX: outbox.contents(outbox.added(outbox.owed(seen.files), facts))})


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
