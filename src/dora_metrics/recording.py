"""The event's facts into the ledger, and the numbers out of it: read, decide, write; again if overtaken."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from dora_metrics.computing import families_of, subject_of
from dora_metrics.core import ledger as layout
from dora_metrics.core import outbox
from dora_metrics.core.exposition import text
from dora_metrics.core.facts import Deployment, Fact
from dora_metrics.core.observing import completed, reobserved
from dora_metrics.core.report import Subject
from dora_metrics.errors import LedgerError
from dora_metrics.github.events import Observed, Run
from dora_metrics.inputs import Inputs
from dora_metrics.ledgers.directory import DirectoryLedger
from dora_metrics.ledgers.none import NoLedger
from dora_metrics.ledgers.port import Ledger, Snapshot
from dora_metrics.settings import Settings, policy

TRIES = 12
_TICK = timedelta(microseconds=1)
_CLOCKS = timedelta(minutes=5)

Observer = Callable[[frozenset[str]], Observed]
"""From the sources whose deployments the ledger knows of this repository to what the event says."""


@dataclass(frozen=True)
class Recorded:
    """A run's facts in the ledger, and the numbers with them; `earlier` without them, where they are news."""

    observed: Observed
    facts: tuple[Fact, ...]
    plan: layout.Plan
    subject: Subject
    earlier: Subject | None
    saved: Snapshot


def open_ledger(given: Inputs, pause: Callable[[float], None]) -> Ledger:
    """The ledger that the settings name.

    Raises:
        LedgerError: if there is no token for a branch.
    """
    kind, _, place = given.settings.ledger.partition(":")
    match kind:
        case "dir":
            return _directory(given, given.workspace / place)
        case "branch":
            return _branch(given, place, pause)
        case _:
            return NoLedger()


def _directory(given: Inputs, root: Path) -> Ledger:
    """A folder that would be written into the container would be gone with it."""
    if given.contained and not root.exists() and given.workspace.resolve() not in root.resolve().parents:
        raise LedgerError(
            f"dir:{root} is outside of what the container sees; name one in the workspace, or set `runtime: python`"
        )
    return DirectoryLedger(root)


def _branch(given: Inputs, place: str, pause: Callable[[float], None]) -> Ledger:
    if given.settings.github_token is None:
        raise LedgerError("ledger branch: no `github-token`, so only this event is known")
    from dora_metrics.github.client import Client  # noqa: PLC0415 - other ledgers need not wait for PyGithub
    from dora_metrics.ledgers.branch import BranchLedger  # noqa: PLC0415

    branch, _, repository = place.partition("@")
    client = Client(given.settings.github_token.get_secret_value(), given.api_url, pause)
    return BranchLedger(client, repository or given.run.repository, branch)


def record(observe: Observer, ledger: Ledger, settings: Settings, run: Run, pause: Callable[[float], None]) -> Recorded:
    """Writes what the event says; where another run was faster, reads and decides again, with jitter.

    Raises:
        LedgerError: if the ledger cannot be read or written, or others were faster every time.
        EventError: if the event is not of the expected shape.
        SettingsError: if the window cannot be.
    """
    for attempt in range(TRIES):
        seen = ledger.read()
        before = layout.read(seen.files)
        observed = observe(_sources(before.facts, run.repository, settings))
        facts = tuple(_enriched(before.known(fact.id), fact) for fact in observed.facts)
        plan = layout.plan(before, facts)
        now = _after(run.now, facts)
        subject = subject_of(plan.after.facts, settings, now)
        changes = {**plan.changes, **_outbox(seen, facts, settings)}
        sequence = None if seen.sequence is None else seen.sequence + bool(changes)
        saved = ledger.write(seen, {**changes, **_derived(subject, plan, sequence)}, _message(plan.news))
        if saved is not None:
            earlier = subject_of(before.facts, settings, now) if plan.news else None
            return Recorded(observed, facts, plan, subject, earlier, saved)
        pause(random.uniform(0, 0.05 * 2 ** min(attempt, 6)))  # noqa: S311 - jitter
    raise LedgerError(f"{ledger.name}: other runs wrote first {TRIES} times; give the workflow a `concurrency:` group")


def _after(now: datetime, facts: Sequence[Fact]) -> datetime:
    """A moment that comes after what has just been seen: windows are half-open, and clocks differ a little."""
    return max((now, *(fact.defining_time for fact in facts if fact.defining_time - now < _CLOCKS))) + _TICK


def _message(news: Sequence[Fact]) -> str:
    """What was recorded, as a commit's headline."""
    if len(news) == 1:
        return f"Record {news[0].id}"
    return f"Record {len(news)} facts" if news else "Compute the metrics again"


def _sources(facts: Iterable[Fact], repository: str, settings: Settings) -> frozenset[str]:
    """Where this repository's production deployments have come from so far."""
    rules = policy(settings)
    deployments = (f for f in facts if isinstance(f, Deployment) and f.repository == repository and not f.retracted)
    return frozenset(d.source for d in deployments if d.source and rules.is_production(d.environment or "production"))


def _enriched(known: Fact | None, seen: Fact) -> Fact:
    fact = completed(known, seen)
    if isinstance(fact, Deployment) and (known is None or isinstance(known, Deployment)):
        return reobserved(known, fact)
    return fact


def _outbox(seen: Snapshot, facts: Iterable[Fact], settings: Settings) -> dict[str, bytes]:
    """What an endpoint is owed from now on; kept before it is sent, so that a killed run forgets nothing."""
    if settings.endpoint_url is None:
        return {}
    waiting = outbox.contents(outbox.added(outbox.owed(seen.files), (fact.id for fact in facts)))
    return {layout.OUTBOX: waiting} if waiting != seen.files.get(layout.OUTBOX, b"") else {}


def _derived(subject: Subject, plan: layout.Plan, sequence: int | None) -> Mapping[str, bytes]:
    """Files that are served as they are and can be computed again from the facts."""
    families = families_of(subject, plan.after.facts, sequence)
    return {
        "README.md": README,
        "metrics.json": msgspec.json.encode(subject.document) + b"\n",
        "metrics.prom": text(families).encode(),
    }


README = b"""# The ledger of dora-metrics

What was observed, one fact a line, in `facts/` by month; `metrics.json` and `metrics.prom` are computed from it.
It is written by the dora-metrics action. Facts are only ever added: please do not edit or delete files by hand.
"""
