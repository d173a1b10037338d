"""What a run writes and shows, decided from what it gathered. Pure: the same input gives the same files."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from math import inf
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from dora_metrics.core import selection
from dora_metrics.core.cursors import (
    ALERT_HISTORY,
    INCIDENT_SYSTEMS,
    Cursor,
    Cursors,
    decode_cursors,
    differs_only_in_newest,
)
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger import layout
from dora_metrics.core.ledger.checkpoint import LedgerState, ledger_state
from dora_metrics.core.ledger.checkpoint_files import checkpoint_files
from dora_metrics.core.ledger.counters_file import marks_files, read_marks
from dora_metrics.core.ledger.layout import CURSORS_FILE, MergePlan
from dora_metrics.core.ledger.snapshot import Snapshot, with_next_sequence
from dora_metrics.core.ledger.view import LedgerView
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.markdown import unlinked_line
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, HighWaterMarks
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import Evaluation, evaluate_facts
from dora_metrics.core.metrics.totals import Totals, add_totals
from dora_metrics.core.reports.numbers import numbers_of
from dora_metrics.core.reports.prometheus import LedgerCollector, exposition_text
from dora_metrics.github.observation import Observation
from dora_metrics.pipeline.evaluate import prometheus_families, raised_marks, results_of
from dora_metrics.settings.model import Settings
from dora_metrics.storage.base import Storage

if TYPE_CHECKING:
    from dora_metrics.core.ledger.union import LedgerUnion

_ONE_MICROSECOND = timedelta(microseconds=1)


class Gathered(msgspec.Struct, frozen=True):
    """What a run knows before it decides.

    Attributes:
        view: the ledger, read as far back as the new facts need.
        observation: what the event, or GitHub's history, says.
        facts: the observed facts, completed with what GitHub adds to them.
        merge: the ledger's facts with the new ones.
        claims: the ledger's file with this run's claims on reports; empty if it claims none.
        union: the ledger after the merge together with others that are only read; None without others.
        tenant: the first known name of the run's repository, if the ledger is that of another one; otherwise empty.
    """

    view: LedgerView
    observation: Observation
    facts: tuple[Fact, ...]
    merge: MergePlan
    claims: Mapping[str, bytes]
    union: "LedgerUnion | None" = None
    tenant: str = ""

    @property
    def counted_facts(self) -> Sequence[Fact]:
        """The facts that the numbers are computed from."""
        return self.merge.after.facts if self.union is None else self.union.facts

    @property
    def names(self) -> RepositoryNames:
        """The names of the repositories of these facts."""
        return self.merge.after.names if self.union is None else self.union.names

    @property
    def recorded_marks(self) -> HighWaterMarks:
        """The high-water marks so far, by scopes as they are stored."""
        return read_marks(self.view.snapshot.files) | (self.union.marks if self.union else NO_MARKS)


class RunPlan(msgspec.Struct, frozen=True):
    """The files to write, and the numbers that they hold.

    Attributes:
        primary_files: changed files that cannot be computed again, in an order that is safe to interrupt.
        derived_files: files that the numbers are served from; empty if they are too large for this run.
        results: the numbers with the new facts.
        totals: cumulative counts of everything that was ever recorded.
        marks: the greatest value that each counter ever had, with this run's totals.
        message: what was recorded, in one line.
        is_without_news: whether nothing would be lost if the files were not written.
    """

    primary_files: Mapping[str, bytes]
    derived_files: Mapping[str, bytes]
    results: Results
    totals: Totals
    marks: HighWaterMarks
    message: str
    is_without_news: bool


class RunResult(msgspec.Struct, frozen=True):
    """A run's facts in the ledger, and the numbers with them.

    Attributes:
        storage: where the facts were recorded.
        observation: what the run observed.
        facts: the observed facts, completed.
        merge: the ledger's facts with these.
        results: the numbers with these facts.
        evaluation_before: what is known without them; None if nothing is new, no summary is written, or other ledgers
            count too.
        totals: cumulative counts of everything that was ever recorded.
        marks: the greatest value that each counter ever had, with these totals.
        snapshot: the ledger as it was written.
        is_new_ledger: whether this run created the ledger.
        notes: what a reader must know about how far back the ledger was read.
        tenant: that of `Gathered`.
    """

    storage: Storage
    observation: Observation
    facts: tuple[Fact, ...]
    merge: MergePlan
    results: Results
    evaluation_before: Evaluation | None
    totals: Totals
    marks: HighWaterMarks
    snapshot: Snapshot
    is_new_ledger: bool
    notes: tuple[str, ...]
    tenant: str = ""


def plan_run(
    gathered: Gathered, evaluation: Evaluation, settings: Settings, now: datetime, max_derived_bytes: float = inf
) -> RunPlan:
    """Decide what a run writes.

    Args:
        gathered: the ledger, and what is new.
        evaluation: all facts that count, linked and judged.
        settings: the window, and which files there are.
        now: the time of the run.
        max_derived_bytes: of all derived files together; without them if they are larger.

    Raises:
        SettingsError: if the window is not valid at `now`.
    """
    view, merge, snapshot = gathered.view, gathered.merge, gathered.view.snapshot
    names, results = gathered.names, _results(gathered, evaluation, settings, now)
    state = LedgerState(gathered.counted_facts, evaluation, settings.policy)
    checkpoint = view.restored_checkpoint(merge.after, settings.policy)
    totals = add_totals(checkpoint.base_totals, state.totals)
    own_state = ledger_state(merge.after.facts, settings.policy) if gathered.union else state
    next_checkpoint = view.next_checkpoint(checkpoint, merge.after, own_state)
    marks = raised_marks(gathered.recorded_marks.renamed(names.stored_scope), results.evaluation, totals)
    others = {
        **checkpoint_files(next_checkpoint, view.stored_checkpoint, snapshot.files),
        **marks_files(marks.renamed(names.scope_to_store), snapshot.files),
        **gathered.observation.ledger_files,
        **gathered.claims,
    }
    # The outbox first: to owe a fact that is not recorded does no harm, to record one that is not owed loses it.
    files = {**_outbox(gathered, settings, now, evaluation), **merge.file_changes, **snapshot.changed(others)}
    sequence = None if snapshot.sequence is None else with_next_sequence(snapshot.sequence, files)[0]
    families = prometheus_families(results, totals, sequence, marks=marks).with_labels(settings.labels)
    return RunPlan(
        primary_files=files,
        derived_files=_numbers(results, families, max_derived_bytes),
        results=results,
        totals=totals,
        marks=marks,
        message=_message(merge.new_facts),
        is_without_news=_is_without_news(snapshot, files),
    )


def _results(gathered: Gathered, evaluation: Evaluation, settings: Settings, now: datetime) -> Results:
    """Return the numbers. Their notes name unread ledgers first, since all numbers of these are missing."""
    unread = gathered.union.unread if gathered.union else ""
    notes = [*([unread] if unread else ()), *gathered.names.notes, *_alert_notes(gathered, settings, now)]
    computed = results_of(evaluation, settings, _after(now, gathered.facts), notes, gathered.names)
    return replace(
        computed,
        is_in_ledger=settings.ledger != "none",
        is_of_shards=gathered.union is not None,
        unread_ledgers=unread,
    )


def step_files(gathered: Gathered, settings: Settings, now: datetime) -> dict[str, bytes]:
    """The files that a step of a long sync changes: what was read, and how far. The last write computes the rest.

    A checkpoint that does not fit the facts any more is removed first: without one, a run reads the facts.
    """
    view, merge = gathered.view, gathered.merge
    outdated = dict.fromkeys(layout.CHECKPOINT_FILES, b"") if view.outdates_checkpoint(merge) else {}
    cursors = view.snapshot.changed(gathered.observation.ledger_files)
    files = {**view.snapshot.changed(outdated), **_outbox(gathered, settings, now), **merge.file_changes, **cursors}
    return {} if _is_without_news(view.snapshot, files) else files


def step_message(gathered: Gathered) -> str:
    """What a step recorded, in one line."""
    return _message(gathered.merge.new_facts) if gathered.merge.new_facts else "Remember how far GitHub was read"


def _alert_notes(gathered: Gathered, settings: Settings, now: datetime) -> Sequence[str]:
    """What readers must know about what could not be read: security alerts, alerts in Prometheus, incident systems."""
    files = {**gathered.view.snapshot.files, **gathered.observation.ledger_files}
    cursors = decode_cursors(files.get(CURSORS_FILE, b""), now + CLOCK_SKEW)
    if gathered.union:
        cursors = gathered.union.cursors_with(cursors)
    present_names = gathered.names.present_by_stable_name()
    cursors_by_present_name = {present_names.get(name, name): by_kind for name, by_kind in cursors.items()}
    history = cursors.get(ALERT_HISTORY, {}) if settings.incident_alerts else {}
    in_prometheus = selection.alert_history_notes(
        {present_names.get(name, name): each for name, each in history.items()}
    )
    in_systems = selection.incident_history_notes(_system_cursors(cursors, settings, present_names))
    return [*selection.alert_notes(cursors_by_present_name, settings.security), *in_prometheus, *in_systems]


def _system_cursors(
    cursors: Cursors, settings: Settings, present_names: Mapping[str, str]
) -> Mapping[tuple[str, str], Cursor]:
    """The cursors of the systems in the settings, by the present name of the repository and the system."""
    systems = {str(entry.get("name", entry["system"])) for entry in settings.incidents}
    return {
        (present_names.get(repository, repository), system): cursor
        for name, cursor in cursors.get(INCIDENT_SYSTEMS, {}).items()
        for repository, _, system in (name.partition(" "),)
        if system in systems
    }


def _after(now: datetime, facts: Sequence[Fact]) -> datetime:
    """The moment to compute for: after the newest fact, since windows are half-open and clocks differ a little."""
    recent = (fact.defining_time for fact in facts if fact.defining_time - now < CLOCK_SKEW)
    return max((now, *recent)) + _ONE_MICROSECOND


def _outbox(
    gathered: Gathered, settings: Settings, now: datetime, evaluation: Evaluation | None = None
) -> dict[str, bytes]:
    """What endpoints are owed; recorded before it is sent, so that a killed run forgets nothing."""
    if not settings.all_endpoints:
        return {}
    from dora_metrics.core.ledger import outbox  # noqa: PLC0415 - only endpoints need it
    from dora_metrics.pipeline import owed  # noqa: PLC0415 - loads what only endpoints need

    policy, contents, snapshot = settings.policy, gathered.view.contents, gathered.view.snapshot
    evaluate_before = cache(partial(evaluate_facts, contents.facts, policy))
    evaluate_after = cache(lambda: evaluation or evaluate_facts(gathered.merge.after.facts, policy))
    news = owed.News(
        owed.fact_changes(gathered.merge.new_facts, contents.fact_by_id, now, policy),
        owed.new_judgements(contents.facts, evaluate_before, evaluate_after),
        owed.claimed_reports(snapshot.files, gathered.claims),
        owed.changes_of_wholes(evaluate_before, evaluate_after),
    )
    sequence = (snapshot.sequence or 0) + 1
    debts = outbox.read_outbox(snapshot.files, gathered.merge.after.names)
    endpoints = {outbox.name_in_outbox(each.name, gathered.tenant): each for each in settings.all_endpoints}
    return snapshot.changed(owed.outbox_with(debts, endpoints, news, sequence))


def _numbers(results: Results, families: LedgerCollector, max_bytes: float) -> Mapping[str, bytes]:
    """The numbers as files; none if they have more than `max_bytes`."""
    files = {layout.METRICS_FILE: msgspec.json.encode(numbers_of(results.document)) + b"\n"}
    if len(files[layout.METRICS_FILE]) <= max_bytes:  # of many scopes, the other one takes a fifth of a run to make
        files[layout.PROMETHEUS_FILE] = exposition_text(families).encode()
    return files if sum(map(len, files.values())) <= max_bytes else {}


def _is_without_news(snapshot: Snapshot, files: Mapping[str, bytes]) -> bool:
    """Whether the files only say that GitHub was read again."""
    before = snapshot.files.get(CURSORS_FILE, b"")
    return files.keys() <= {CURSORS_FILE} and differs_only_in_newest(before, files.get(CURSORS_FILE, before))


def _message(new_facts: Iterable[Fact]) -> str:
    """What was recorded, as the headline of a commit. An issue in it would get a reference from each such commit."""
    match tuple(new_facts):
        case ():
            return "Compute the metrics again"
        case (fact,):
            return f"Record {unlinked_line(fact.id)}"
        case facts:
            return f"Record {len(facts)} facts"
