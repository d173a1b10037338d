"""Judged facts as rows by table: the entry point."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from msgspec import Raw

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.facts.model import EPOCH, Fact
from dora_metrics.core.metrics.scope_history import Evaluation, ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.history_rows import HistoryRows
from dora_metrics.core.rows.metrics_rows import metrics_row, windows_by_name
from dora_metrics.core.rows.tables import FactRow, MetricsRow, Row, WarehouseTable, WeekStartRow
from dora_metrics.core.windows import Window, WindowSpec, iso_weeks, local_date

_WEEKS_FROM = datetime(2015, 1, 1, tzinfo=UTC)
_WEEKS_TO = datetime(2041, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class JudgedFacts:
    """What rows are made from.

    Attributes:
        histories: the scopes, in order.
        facts: those that the scopes were judged from.
        policy: the settings that they were judged by.
        windows: those of the table `metrics`, by name.
        weeks: the time whose Mondays the table `week_starts` has.
        now: the time that the table `metrics` is as of.
    """

    histories: Sequence[ScopeHistory]
    facts: Sequence[Fact]
    policy: Policy
    windows: Mapping[str, Window]
    weeks: Window
    now: datetime

    @classmethod
    def of(
        cls, evaluation: Evaluation, facts: Sequence[Fact], policy: Policy, window_spec: WindowSpec, now: datetime
    ) -> "JudgedFacts":
        """Take evaluated facts, as of `now`.

        Raises:
            ValueError: if the window would not start before it ends.
        """
        began_at = evaluation.first_deployment_at
        windows = windows_by_name(window_spec, now, began_at)
        weeks = _weeks(min((window.start for window in windows.values()), default=now), began_at, now)
        return cls(evaluation.histories, facts, policy, windows, weeks, now)

    def rows(self, table: WarehouseTable) -> Iterator[Row]:
        """Yield the rows of a table: by scope and time, facts by id. The same facts give the same rows and order."""
        return self._rows_by_table[table.name]()

    @property
    def _rows_by_table(self) -> Mapping[str, Callable[[], Iterator[Row]]]:
        return {
            "scopes": partial(self._of_histories, HistoryRows.scopes),
            "deployments": partial(self._of_histories, HistoryRows.deployments),
            "lead_times": partial(self._of_histories, HistoryRows.lead_times),
            "incidents": partial(self._of_histories, HistoryRows.incidents),
            "streaks": partial(self._of_histories, HistoryRows.streaks),
            "vulnerabilities": partial(self._of_histories, HistoryRows.vulnerabilities),
            "metrics": self._metrics,
            "facts": self._fact_rows,
            "week_starts": self._week_starts,
        }

    def _of_histories(self, rows_of: Callable[[HistoryRows], Iterator[Row]]) -> Iterator[Row]:
        for history in self.histories:
            yield from rows_of(HistoryRows(history, self.policy))

    def _metrics(self) -> Iterator[MetricsRow]:
        day = local_date(self.now, self.policy.zone)
        for history in self.histories:
            for name, window in self.windows.items():
                yield metrics_row(history, name, window, self.policy, day)

    def _fact_rows(self) -> Iterator[FactRow]:
        return map(_fact_row, sorted(self.facts, key=lambda fact: fact.id))

    def _week_starts(self) -> Iterator[WeekStartRow]:
        zone = self.policy.zone
        for week in iso_weeks(self.weeks, zone, self.weeks.end, None):
            start, end = week.window.start, week.window.end
            yield WeekStartRow(timezone=zone.key, week=local_date(start, zone), starts_at=start, ends_at=end)


def _weeks(earliest: datetime, began_at: datetime | None, now: datetime) -> Window:
    """Return the years 2015 to 2040, and what else is asked about: from the first window or deployment until now."""
    return Window(max(EPOCH, min(_WEEKS_FROM, earliest, began_at or now)), max(_WEEKS_TO, now))


def _fact_row(fact: Fact) -> FactRow:
    return FactRow(
        id=fact.id,
        kind=str(fact.__struct_config__.tag),
        repository=fact.repository,
        occurred_at=fact.defining_time,
        observed_at=fact.observed_at,
        fact=Raw(encode_fact(fact)),
    )
