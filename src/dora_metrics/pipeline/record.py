"""Record a run's facts in a ledger: gather, evaluate, plan, write; again if another run wrote in between."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting, selection
from dora_metrics.core.facts.model import Deployment, Fact, Repository
from dora_metrics.core.ledger import checkpoint, layout
from dora_metrics.core.ledger.layout import ALL_MONTHS, LedgerContents, MonthSelection
from dora_metrics.core.ledger.month_files import month_of_time
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.ledger.view import LedgerView, months_needed, usable_checkpoint
from dora_metrics.core.linking.environment_uses import EnvironmentUses
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import environment_of
from dora_metrics.errors import LedgerError, SettingsError
from dora_metrics.github.observation import Observation
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.evaluate import policy_fingerprint
from dora_metrics.pipeline.plan import Gathered, RunPlan, RunResult, plan_run, step_files, step_message
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import NoStorage, ReadOnlyStorage, Storage, attempts
from dora_metrics.templates import load_template

if TYPE_CHECKING:
    from dora_metrics.core.ledger.union import OtherLedgers

MAX_TRIES = 40
_LONG_PAUSE_SECONDS = 4
_MAX_QUARANTINE_NOTES = 10
_MAX_DERIVED_BYTES = 300_000
"""Of `metrics.json` and `metrics.prom`, which have all scopes, as a run of an event writes them. About ten scopes have
as much; the files of more are left to the next sync or rebuild."""
_REWRITTEN = (
    "The ledger was rewritten during this run: its sequence went from {} back to {}. A sync brings back what GitHub "
    "still knows; other facts are only in the former commits of the branch."
)

Files = Mapping[str, bytes]

Observe = Callable[[LedgerContents], Observation]
"""From the ledger to what is new about it: what an event says, or GitHub's history."""

Identify = Callable[[RepositoryNames], tuple[Repository, ...]]
"""From the names of repositories in the ledger to what this run adds to them."""

Enrich = Callable[[tuple[Fact, ...], LedgerContents], tuple[Fact, ...]]
"""From observed facts and the ledger to these facts with what GitHub adds to them."""

Claim = Callable[[LedgerContents], Files]
"""From the ledger to its file with this run's claims on reports; needs all months if there are any."""

Publish = Callable[[Results, Storage, Snapshot], Files]
"""From the numbers and the ledger to the files of its site that differ from those in it."""


def _identify_nothing(_names: RepositoryNames) -> tuple[Repository, ...]:
    return ()


def _claim_nothing(_contents: LedgerContents) -> Files:
    return {}


def _publish_nothing(_results: Results, _storage: Storage, _snapshot: Snapshot) -> Files:
    return {}


class RecordRequest(Struct, frozen=True):
    """What to record, and what to write with it; the parts of recording that differ by mode.

    Attributes:
        observe: what happened.
        identify: which names repositories have; known before anything is observed, and recorded with it.
        enrich: what GitHub adds to the observed facts.
        reads_everything: whether all months of the ledger are needed.
        read_in_steps: reads what `observe` tells; facts and cursors are written after each step that it
            yields, and everything at the end.
        claim: claims reports, in the last write.
        publish: makes the site of a ledger that was read completely, in the last write.
        has_read_nothing: whether nothing could be read of what is to be recorded. A new ledger without facts would then
            look like one of repositories where nothing happened, so none is begun.
        unchanged_for: without news, numbers that are younger than this are left as they are.
        other_ledgers: they count in all numbers and are only read, and the names of their repositories are recorded;
            needs all months. None if there are none.
    """

    observe: Observe
    enrich: Enrich = lambda facts, _: facts
    identify: Identify = _identify_nothing
    reads_everything: bool = False
    read_in_steps: Callable[[LedgerContents], Iterator[None]] = lambda _: iter(())
    claim: Claim = _claim_nothing
    publish: Publish = _publish_nothing
    has_read_nothing: Callable[[], bool] = lambda: False
    unchanged_for: timedelta = timedelta()
    other_ledgers: "OtherLedgers | None" = None

    def repositories(self, recorded: RepositoryNames) -> tuple[Repository, ...]:
        """Return the names to record, also those that only other ledgers know; `recorded` are in the ledger already."""
        own = self.identify(recorded)
        if self.other_ledgers is None:
            return own
        return (*own, *self.other_ledgers.news_in_names(recorded.including(own)))


def record(context: RunContext, request: RecordRequest) -> RunResult:
    """Record in the first ledger that allows it, and note how that went.

    Raises:
        SettingsError: if the window is not valid at the run's time.
    """
    for storage in _storages(context):
        recorder = Recorder(storage, context.settings, context.run.now, context.pause_between_writes, context.tenant)
        try:
            with context.recording_time(is_persistent=storage.is_persistent):
                result = recorder.record(request)
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


@dataclass(frozen=True)
class Recorder:
    """Records in one ledger.

    Attributes:
        storage: where the ledger is.
        settings: what the numbers depend on, and how far back to read.
        now: the time of the run.
        sleep: waits for some seconds.
        tenant: the run's repository, if the ledger is that of another one, which others may write too; otherwise empty.
    """

    storage: Storage
    settings: Settings
    now: datetime
    sleep: Callable[[float], None]
    tenant: str = ""

    def record(self, request: RecordRequest) -> RunResult:
        """Record what a run observed, and compute the numbers.

        Raises:
            LedgerError: if the ledger cannot be read or written, or other runs were faster every time.
            EventError: if the event does not have the expected shape.
            SettingsError: if the window is not valid at `now`.
        """
        view = self._open(request)
        view = view.knowing(request.repositories(view.contents.recorded_names))
        for _ in request.read_in_steps(view.contents):
            view = self._record_step(replace(request, claim=_claim_nothing), view)
        return self._compare_and_swap(request, view)

    def _record_step(self, request: RecordRequest, view: LedgerView) -> LedgerView:
        """Write what was read so far, and nothing that can be computed from it; return the ledger with it."""
        if not self.storage.is_persistent:
            return view
        latest: LedgerView | None = view
        for _ in attempts(MAX_TRIES, self._pause):
            gathered = self._gather(request, latest or self._open(request))
            view, latest = gathered.view, None
            files = step_files(gathered, self.settings, self.now)
            if not files:
                return view
            files = {**_readme(view.snapshot), **_unpublished(view.snapshot), **files}
            if written := self.storage.write(view.snapshot, files, step_message(gathered)):
                return view.after_write(written)
        raise self._overtaken()

    def _compare_and_swap(self, request: RecordRequest, view: LedgerView | None = None) -> RunResult:
        """Gather, evaluate, plan and write; with a view that was read before, the first attempt reads nothing again."""
        highest_sequence = 0
        for _ in attempts(MAX_TRIES, self._pause):
            gathered = self._gather(request, view or self._open(request))
            evaluation = evaluate_facts(gathered.counted_facts, self.settings.policy)
            max_derived_bytes = inf if request.reads_everything else _MAX_DERIVED_BYTES
            plan = plan_run(gathered, evaluation, self.settings, self.now, max_derived_bytes)
            sequence = gathered.view.snapshot.sequence or 0
            highest_sequence = max(highest_sequence, sequence)
            if snapshot := self._write(request, gathered, plan):
                return self._result(gathered, plan, snapshot, _rewrite_notes(highest_sequence, sequence))
            view = None
        raise self._overtaken()

    def _overtaken(self) -> LedgerError:
        # No `concurrency:` group is advised: GitHub keeps one run waiting in it and cancels the others.
        name = self.storage.name
        problem = f"{MAX_TRIES} tries failed, because other runs wrote to it each time"
        return LedgerError(f"{name}: {problem}; run this job again when they are done")

    def _pause(self, attempt: int) -> None:
        self.sleep(random.uniform(0, _longest_pause_seconds(attempt)))  # noqa: S311 - jitter

    def _open(self, request: RecordRequest) -> LedgerView:
        """Read the ledger as far back as the windows of the settings reach, or completely.

        Raises:
            LedgerError: if it cannot be read, or if the place holds something else than a ledger.
            SettingsError: if the window is not valid at `now`.
        """
        try:
            since = checkpoint.first_month_needed(self.settings.window_spec, self.now)
            months = months_needed(self.settings.window_spec, self.now, reads_everything=request.reads_everything)
        except ValueError as error:
            raise SettingsError(f"window: {error}") from None
        snapshot = self.storage.read(months)
        if layout.is_foreign(snapshot.files, snapshot.folders, snapshot.sequence):
            raise LedgerError(
                f"{self.storage.name} holds other files, which stay unchanged; give the ledger its own place"
            )
        stored, used = usable_checkpoint(snapshot, since, policy_fingerprint(self.settings.policy))
        needed = MonthSelection(month_of_time(used.until)) if used.until else ALL_MONTHS
        read = self.storage.read_more(snapshot, needed)
        return LedgerView.of(read, since, stored, used, RepositoryNames(services=frozenset(self.settings.services)))

    def _gather(self, request: RecordRequest, view: LedgerView) -> Gathered:
        """Observe and enrich, and read the ledger as far back as the new facts need."""
        while True:
            repositories = request.repositories(view.contents.recorded_names)
            view = view.knowing(repositories)
            claims = request.claim(view.contents)
            if claims and not view.is_complete:
                view = self._extend(view, ALL_MONTHS)
                continue
            observation = request.observe(view.contents)
            if any(map(view.is_dropped, observation.facts)):
                view = self._extend(view, ALL_MONTHS)
                continue
            if unread := view.unread_months_since(observation.may_repeat_since):
                view = self._extend(view, unread)
                continue
            facts = request.enrich(observation.facts, view.contents)
            merge = layout.plan_merge(view.contents, (*facts, *repositories))
            missing = view.missing_months(merge)
            if missing is None:
                union = request.other_ledgers.united_with(merge) if request.other_ledgers else None
                tenant = merge.after.names.stable_name(self.tenant)
                return Gathered(view, observation, facts, merge, claims, union, tenant)
            view = self._extend(view, missing)

    def _extend(self, view: LedgerView, months: MonthSelection) -> LedgerView:
        return view.extended(self.storage.read_more(view.snapshot, months))

    def _write(self, request: RecordRequest, gathered: Gathered, plan: RunPlan) -> Snapshot | None:
        """Write the planned files and the site; None if another run wrote in between."""
        snapshot = gathered.view.snapshot
        if plan.is_without_news and _is_recent(snapshot.published_at, self.now, request.unchanged_for):
            return snapshot
        if not (snapshot.files or gathered.merge.new_facts or self._begins_empty_ledger(request, plan)):
            return snapshot  # nothing to keep, so there is no ledger to begin
        site = request.publish(plan.results, self.storage, snapshot)
        # The README first: by it the next run knows the ledger of a run that was killed after its first file.
        files = {**_readme(snapshot), **plan.primary_files, **plan.derived_files, **site}
        if request.reads_everything:
            published = {layout.PUBLISHED_FILE: f"{self.now:%Y-%m-%dT%H:%M:%SZ}\n".encode()}
            return self.storage.write(snapshot, files | published, plan.message)
        return self.storage.write(snapshot, {**_unpublished(snapshot), **files}, plan.message)

    def _begins_empty_ledger(self, request: RecordRequest, plan: RunPlan) -> bool:
        """Whether a ledger without facts says something, such as that a shard was read, and that nothing is there."""
        if request.has_read_nothing():
            return False
        is_of_shard = request.reads_everything and self.settings.repository_shard is not None
        return is_of_shard or bool(plan.primary_files)

    def _result(self, gathered: Gathered, plan: RunPlan, snapshot: Snapshot, notes: tuple[str, ...]) -> RunResult:
        is_alone = gathered.union is None
        view, shows_change = gathered.view, gathered.merge.new_facts and self.settings.summary and is_alone
        return RunResult(
            storage=self.storage,
            observation=gathered.observation,
            facts=gathered.facts,
            merge=gathered.merge,
            results=plan.results,
            evaluation_before=evaluate_facts(view.contents.facts, self.settings.policy) if shows_change else None,
            totals=plan.totals,
            marks=plan.marks,
            snapshot=snapshot,
            is_new_ledger=not view.snapshot.files and bool(snapshot.files),
            notes=(*notes, *view.notes),
            tenant=gathered.tenant,
        )


def _rewrite_notes(highest_sequence: int, sequence: int) -> tuple[str, ...]:
    """Say that somebody put an older ledger, or none, in place of the one that this run had read before."""
    if sequence >= highest_sequence:
        return ()
    return (_REWRITTEN.format(highest_sequence, sequence),)


def _readme(snapshot: Snapshot) -> dict[str, bytes]:
    """The README of a ledger, for people who come across it; empty if somebody has replaced it by their own."""
    present = snapshot.files.get(layout.README_FILE, b"")
    if present and not present.startswith(layout.README_TITLE):
        return {}
    return snapshot.changed({layout.README_FILE: load_template("ledger/README.md").encode()})


def _unpublished(snapshot: Snapshot) -> dict[str, bytes]:
    """The change that says that page and numbers do not have all facts any more; it goes before facts."""
    return snapshot.changed({layout.PUBLISHED_FILE: b""})


def _is_recent(published_at: datetime | None, now: datetime, duration: timedelta) -> bool:
    """Whether all numbers were written less than this long ago, and no facts were added since."""
    return published_at is not None and timedelta() <= now - published_at < duration


def _longest_pause_seconds(attempt: int) -> float:
    """The upper bound of the random pause after an attempt: doubled each time, then growing by a second.

    With many writers, few of them may try at once; and each try costs two requests of GitHub's rate limit.
    """
    return min(0.5 * 2.0**attempt, max(_LONG_PAUSE_SECONDS, attempt))


def _note_ledger(context: RunContext, result: RunResult) -> None:
    """Note how recording went, and which lines of the ledger were set aside."""
    if not any(outcome.name == "ledger" for outcome in context.outcomes):
        context.note(_ledger_outcome(result, context.settings))
    for line in result.merge.after.quarantined[:_MAX_QUARANTINE_NOTES]:
        problem = f"{line.path}:{line.bad_line.number}: {line.bad_line.problem}; kept in quarantine.jsonl"
        context.outcomes.append(Outcome("ledger", "failed", problem))


def _ledger_outcome(result: RunResult, settings: Settings) -> Outcome:
    if not result.storage.is_persistent:
        included = "shard ledgers" if settings.shard_ledgers else "facts"
        return Outcome("ledger", "skipped", f"none: the numbers include only this run's {included}")
    count = len(result.merge.new_facts)
    news = f"+{formatting.count(count, 'fact')}" if count else "nothing new"
    return Outcome("ledger", "done", f"{news}, in a new ledger ({settings.ledger})" if result.is_new_ledger else news)


def production_sources(
    facts: Iterable[Fact], repository: str, settings: Settings, now: datetime, newest_commit: datetime | None = None
) -> frozenset[str]:
    """The sources that a repository's production deployments have come from so far, without jobs that are none.

    Releases are among them if one is in a window of the settings, or if the repository still releases.

    Args:
        facts: the ledger's facts.
        repository: the repository.
        settings: what is production, and the window.
        now: the time of the run.
        newest_commit: the time of the newest commit of the default branch; None if it is not known.
    """
    newest: dict[str, datetime] = {}
    for deployment in _production_deployments(facts, repository, settings.policy):
        if source := deployment.source:
            newest[source] = max(newest.get(source, deployment.finished_at), deployment.finished_at)
    newest_release, since = newest.get("releases"), checkpoint.first_month_needed(settings.window_spec, now)
    # two sources in one window would count a deployment twice
    is_in_window = newest_release is None or since is None or newest_release >= since
    if not is_in_window and not selection.is_release_habit(newest["releases"], newest_commit or now):
        del newest["releases"]
    return frozenset(newest)


def _production_deployments(facts: Iterable[Fact], repository: str, policy: Policy) -> Iterator[Deployment]:
    deployments = [
        fact
        for fact in facts
        if isinstance(fact, Deployment) and fact.repository == repository and not fact.retracted
        if policy.is_production(environment_of(fact))
    ]
    uses = EnvironmentUses.of(deployments, policy)
    return (each for each in deployments if uses.exclusion_reason(each) is None)
