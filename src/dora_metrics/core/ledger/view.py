"""A ledger as one run reads it: the months that its windows reach, and a checkpoint in place of older months."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.facts.model import Change, Deployment, Fact, Repository
from dora_metrics.core.ledger import checkpoint as checkpoints
from dora_metrics.core.ledger.checkpoint import Checkpoint, LedgerState
from dora_metrics.core.ledger.checkpoint_files import read_checkpoint
from dora_metrics.core.ledger.layout import (
    ALL_MONTHS,
    CHECKPOINT_FILE,
    LedgerContents,
    MergePlan,
    MonthSelection,
    parse_ledger,
)
from dora_metrics.core.ledger.month_files import FACTS_FOLDER, month_of_path, month_of_time
from dora_metrics.core.ledger.snapshot import Snapshot
from dora_metrics.core.linking.former_names import NO_NAMES, RepositoryNames
from dora_metrics.core.policy import Policy
from dora_metrics.core.windows import WindowSpec

_NOTE = (
    "Calculated from all facts since {until:%Y-%m}, and from those older facts that still mattered then: changes not "
    "yet delivered, open incidents and the last deployments. `mode: rebuild` uses all facts."
)


class LedgerView(Struct, frozen=True):
    """The files that were read, the checkpoint that stands for the rest, and what both hold.

    Attributes:
        snapshot: the files that were read.
        since: the first month that a window reaches; None if a window reaches all months.
        stored_checkpoint: the checkpoint in the ledger.
        checkpoint: the checkpoint that replaces the months that were not read; an empty one if all were read.
        contents: the facts of the files and of the checkpoint.
    """

    snapshot: Snapshot
    since: datetime | None
    stored_checkpoint: Checkpoint
    checkpoint: Checkpoint
    contents: LedgerContents

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        since: datetime | None,
        stored: Checkpoint,
        used: Checkpoint,
        known: RepositoryNames = NO_NAMES,
    ) -> "LedgerView":
        """Parse the files of a snapshot; `known` is what the run knows besides, see `parse_ledger`."""
        contents = parse_ledger(snapshot.files, used.retained_facts, used.until, used.repositories, known)
        return cls(snapshot, since, stored, used, contents)

    def knowing(self, learned: Sequence[Repository]) -> "LedgerView":
        """Return the view with names of repositories that this run has learned."""
        if not learned:
            return self
        known = self._services_only.including(learned)
        return LedgerView.of(self.snapshot, self.since, self.stored_checkpoint, self.checkpoint, known)

    @property
    def _services_only(self) -> RepositoryNames:
        return RepositoryNames(services=self.contents.names.services)

    @property
    def has_renamed_checkpoint(self) -> bool:
        """Whether the checkpoint has names of repositories that are former ones by now."""
        facts, totals = self.checkpoint.retained_facts, self.checkpoint.base_totals
        names = {fact.repository for fact in facts} | {series.scope.repository for series in totals}
        return not self.contents.names.leads_like(RepositoryNames.of(self.checkpoint.repositories), names)

    @property
    def is_complete(self) -> bool:
        """Whether all months were read."""
        return self.checkpoint.until is None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers must know about the months that were not read."""
        return (_NOTE.format(until=self.checkpoint.until),) if self.checkpoint.until else ()

    def extended(self, snapshot: Snapshot) -> "LedgerView":
        """Return the view of the same state with more months; with all of them it needs no checkpoint."""
        fingerprint = self.stored_checkpoint.policy_fingerprint
        used = self.checkpoint if snapshot.months.since else Checkpoint(fingerprint)
        return LedgerView.of(snapshot, self.since, self.stored_checkpoint, used, self._services_only)

    def after_write(self, snapshot: Snapshot) -> "LedgerView":
        """Return the view of a ledger into which files were written on top of this one."""
        is_kept = CHECKPOINT_FILE in snapshot.files
        stored = self.stored_checkpoint if is_kept else Checkpoint(self.stored_checkpoint.policy_fingerprint)
        return LedgerView.of(snapshot, self.since, stored, self.checkpoint, self._services_only)

    def outdates_checkpoint(self, plan: MergePlan) -> bool:
        """Whether a merge changes files of months that the stored checkpoint stands for."""
        until = self.stored_checkpoint.until
        months = (month_of_path(path) for path in plan.file_changes if path.startswith(FACTS_FOLDER))
        return until is not None and any(month < month_of_time(until) for month in months)

    def missing_months(self, plan: MergePlan) -> MonthSelection | None:
        """Return the months to read before new facts can be merged; None if nothing is missing.

        A fact is merged with the facts of its month. A fact that changes a checkpointed month needs all months, as does
        a repository that was renamed since the checkpoint was made.
        """
        if self.has_renamed_checkpoint:
            return ALL_MONTHS
        months = self.snapshot.months
        recorded = [fact for new in plan.new_facts if (fact := self.contents.fact_by_id(new.id))]
        touched = set().union(*(_months_of(fact) for fact in (*plan.new_facts, *recorded)))
        if unread := {month for month in touched if not months.includes(month)}:
            return MonthSelection(months.since, months.extra_months | unread)
        if self.is_complete or not any(self._changes_checkpoint(fact, plan) for fact in plan.new_facts):
            return None
        return ALL_MONTHS

    def is_dropped(self, fact: Fact) -> bool:
        """Whether a fact is one of the checkpointed months that is neither retained nor read."""
        ids = {fact.id, self.contents.names.present_id(fact.id)}
        is_known = self.contents.fact_by_id(fact.id) is not None
        return not is_known and any(map(self.checkpoint.may_have_dropped, ids))

    def unread_months_since(self, time: datetime | None) -> MonthSelection | None:
        """Return the months to read so that all from `time` on are known; None if they are, or `time` is None."""
        months = self.snapshot.months
        if time is None or not months.since:
            return None
        first, last = month_of_time(time), months.since
        unread = {month for month in _months_between(first, last) if not months.includes(month)}
        return MonthSelection(months.since, months.extra_months | unread) if unread else None

    def _changes_checkpoint(self, fact: Fact, plan: MergePlan) -> bool:
        """Whether a fact changes what is checkpointed.

        It does not if it ends a retained fact, or is a change that no checkpointed deployment delivered.
        """
        recorded = self.contents.fact_by_id(fact.id)
        versions = [fact, recorded] if recorded else [fact]
        if all(month_of_time(f.defining_time) >= self.contents.checkpointed_before for f in versions):
            return False
        is_retained = fact.id in self.contents.retained_ids
        match fact:
            case Deployment():
                return True
            case Change() if is_retained:
                return fact.id in self.contents.delivered_change_ids
            case Change():
                return recorded is not None or fact.id not in plan.after.delivered_change_ids
            case _:
                return not is_retained

    def restored_checkpoint(self, after: LedgerContents, policy: Policy) -> Checkpoint:
        """Return the checkpoint that fits the facts after a merge.

        It has the newest version of each retained fact, and also retains checkpointed facts that count again.
        """
        if self.is_complete:
            return self.checkpoint
        facts = {fact.id: fact for fact in after.facts}
        restored_ids = sorted((after.checkpointed_ids & facts.keys()) - self.contents.retained_ids)
        restored = [fact for fact_id in restored_ids if (fact := self.contents.fact_by_id(fact_id))]
        base = checkpoints.base_totals_without(self.checkpoint.base_totals, restored, self.contents.facts, policy)
        retained_ids = [*(fact.id for fact in self.checkpoint.retained_facts), *restored_ids]
        retained = tuple(facts[fact_id] for fact_id in retained_ids if fact_id in facts)
        return replace(self.checkpoint, base_totals=base, retained_facts=retained)

    def next_checkpoint(self, current: Checkpoint, after: LedgerContents, state: LedgerState) -> Checkpoint:
        """Return the checkpoint for the next run, with the months that no window reaches any more."""
        until = self.since or self.stored_checkpoint.until
        current = replace(current, repositories=tuple(after.names.repositories.values()))
        if until is None or until == current.until:
            return current
        old_ids = after.ids_before(month_of_time(until))
        return checkpoints.compact(state, current, until, old_ids) if old_ids else current


def months_needed(spec: WindowSpec, now: datetime, *, reads_everything: bool) -> MonthSelection:
    """Return the months that windows and gauges reach at `now`; all of them for a run that reads everything.

    Raises:
        ValueError: if the window would not start before it ends.
    """
    since = checkpoints.first_month_needed(spec, now)
    return MonthSelection(month_of_time(since)) if since and not reads_everything else ALL_MONTHS


def usable_checkpoint(snapshot: Snapshot, since: datetime | None, fingerprint: str) -> tuple[Checkpoint, Checkpoint]:
    """Return the checkpoint in a ledger, and the one that this run may use in place of old months.

    An empty one is used if all months are read, or if a window reaches months that are checkpointed.
    """
    stored = read_checkpoint(snapshot.files, fingerprint)
    fits = snapshot.months.since and stored.until and since and stored.until <= since
    return stored, stored if fits else Checkpoint(fingerprint)


def _months_between(first: str, end: str) -> Iterator[str]:
    """Yield the months from `first` until `end`, which is not among them."""
    year, month = map(int, first.removeprefix(FACTS_FOLDER).split("/"))
    while (name := f"{FACTS_FOLDER}{year:04}/{month:02}") < end:
        yield name
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)  # noqa: PLR2004 - months of a year


def _months_of(fact: Fact) -> set[str]:
    """The month of a fact, and the one where an earlier end of the same deployment may be recorded."""
    times = [fact.defining_time]
    if isinstance(fact, Deployment) and fact.started_at:
        times.append(fact.started_at)
    return set(map(month_of_time, times))
