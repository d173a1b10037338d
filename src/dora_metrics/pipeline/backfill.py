"""The Prometheus metrics at past times, computed from the facts alone. Pure.

A time series database that starts today gets them as its history. What a run pushes later continues them, so no counter
is ever above what the facts say at the end: Prometheus would read the first push as a restart from zero.
"""

from collections.abc import Iterable, Iterator
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
    """Yield the families of all repositories at each of these times, which must be in order.

    A counter never falls, and ends at its total at the last step. All that is counted by then begins at zero, so that
    `increase()` sees the first deployment of a scope.
    """
    moments = list(steps)
    snapshots, marks = _Snapshots(facts, policy), NO_MARKS
    end = snapshots.at(moments[-1]).raised(NO_MARKS)
    for moment in moments:
        snapshot = snapshots.at(moment)
        marks = snapshot.raised(marks)
        histories, fact_counts = exported_histories(snapshot.evaluation), fact_counts_by_repository(snapshot.totals)
        counters = marks.at_most(end)
        yield LedgerCollector(histories, counters, fact_counts, policy, moment, None, __version__)


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
