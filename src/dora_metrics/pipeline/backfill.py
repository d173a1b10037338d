"""The Prometheus metrics at past times, computed from the facts alone. Pure.

A time series database that starts today gets them as its history. What a run pushes later continues them, so no counter
is ever above what the facts say at the end: Prometheus would read the first push as a restart from zero.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from dora_metrics import __version__
from dora_metrics.core.facts.as_of import PastFacts
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, HighWaterMarks
from dora_metrics.core.metrics.scope_history import Evaluation, evaluate_facts
from dora_metrics.core.metrics.totals import Totals, count_totals, fact_counts_by_repository
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.pipeline.evaluate import exported_histories, raised_marks


def past_families(facts: PastFacts, policy: Policy, steps: Iterable[datetime]) -> Iterator[LedgerCollector]:
    """Yield the families of all repositories at each of these times, which must be in order."""
    return (moment.families for moment in past_moments(facts, policy, list(steps)))


def past_moments(
    facts: PastFacts, policy: Policy, steps: Sequence[datetime], fallen: HighWaterMarks = NO_MARKS
) -> Iterator["PastMoment"]:
    """Yield the families of all repositories at each of these times, which must be in order.

    A counter never falls, and ends at its total at the last step. All that is counted by then begins at zero, so that
    `increase()` sees the first deployment of a scope.

    Args:
        facts: the facts at any time.
        policy: the settings that numbers depend on.
        steps: the times.
        fallen: `PastMoment.fallen` at the first step, to continue what another call yielded up to there.
    """
    snapshots, marks = _Snapshots(facts, policy), fallen
    end = snapshots.at(steps[-1])
    limits = end.raised(NO_MARKS)
    for step in steps:
        snapshot = end if step == steps[-1] else snapshots.at(step)
        marks = snapshot.raised(marks)
        histories, fact_counts = exported_histories(snapshot.evaluation), fact_counts_by_repository(snapshot.totals)
        counters = marks.at_most(limits)
        families = LedgerCollector(histories, counters, fact_counts, policy, step, None, __version__)
        yield PastMoment(families, snapshot)


class PastMoment(Struct, frozen=True):
    """The families at a past time, and what they were computed from."""

    families: LedgerCollector
    snapshot: "_Snapshot"

    @property
    def fallen(self) -> HighWaterMarks:
        """The counters that are above their totals of this time, since these had fallen before."""
        totals, counters = self.snapshot.raised(NO_MARKS).values, self.families.counters.values
        return HighWaterMarks(Counter({series: value for series, value in counters.items() if value > totals[series]}))


class _Snapshot(Struct, frozen=True):
    """All facts of a time, evaluated."""

    evaluation: Evaluation
    totals: Totals

    def raised(self, marks: HighWaterMarks) -> HighWaterMarks:
        return raised_marks(marks, self.evaluation, self.totals)


class _Snapshots:
    """Snapshots at times in order. While no fact changes, nothing is evaluated again."""

    def __init__(self, facts: PastFacts, policy: Policy) -> None:
        self._facts = facts
        self._policy = policy
        self._change_count = -1
        self._latest = _Snapshot(Evaluation([], [], {}), Totals())

    def at(self, moment: datetime) -> _Snapshot:
        if (change_count := self._facts.count_changes(moment)) != self._change_count:
            facts = self._facts.at(moment)
            evaluation = evaluate_facts(facts, self._policy)
            self._latest = _Snapshot(evaluation, count_totals(evaluation.histories, facts, self._policy))
            self._change_count = change_count
        return self._latest
