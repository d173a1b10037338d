"""The rows of judged facts in a database with our views, and the numbers of a document beside those of the views."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec

from dora_metrics.core import schema
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.document import build_document
from dora_metrics.core.metrics.scope_history import Evaluation, ScopeHistory, evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.core.rows.ndjson import encode_rows
from dora_metrics.core.rows.tables import TABLES
from dora_metrics.core.windows import Window, WindowSpec
from support.pooled_metrics import pooled_values

SQL = Path(__file__).parents[2] / "sql"
SCOPE = ("repository", "service", "environment")
TOLERANCE = 1e-9

Value = str | float | date | datetime | None
Row = Mapping[str, Value]
Key = tuple[str | None, ...]

COLUMNS = {
    "deployment_frequency.deployments": "deployments",
    "deployment_frequency.per_day": "deployments_per_day",
    "deployment_frequency.deployment_days": "deployment_days",
    "deployment_frequency.median_deployment_days_per_week": "median_deployment_days_per_week",
    "lead_time.changes": "changes",
    **{f"lead_time.p{each}_seconds": f"lead_p{each}_seconds" for each in (50, 75, 90, 95)},
    "lead_time.mean_seconds": "lead_mean_seconds",
    **{f"lead_time.stages.{each}.p50_seconds": f"{each}_p50_seconds" for each in schema.Stages.__struct_fields__},
    **{f"lead_time.excluded.{each}": f"excluded_{each}" for each in schema.Excluded.__struct_fields__},
    "change_failure_rate.failed": "failed_deployments",
    "change_failure_rate.deployments": "counted_deployments",
    "change_failure_rate.ratio": "change_failure_ratio",
    "recovery_time.recovered": "recovered",
    "recovery_time.open": "open_failures",
    **{f"recovery_time.{each}_seconds": f"recovery_{each}_seconds" for each in ("p50", "p90", "mean")},
    "rework_rate.rework": "rework_deployments",
    "rework_rate.deployments": "reached_deployments",
    "rework_rate.ratio": "rework_ratio",
    "incident_restore.incidents": "incidents",
    "incident_restore.resolved": "resolved",
    "incident_restore.open": "open_incidents",
    "incident_restore.unmatched": "unmatched_incidents",
    **{f"incident_restore.{each}_seconds": f"restore_{each}_seconds" for each in ("p50", "p90", "mean")},
    "pipeline.failed_runs": "failed_runs",
    "pipeline.recovery_p50_seconds": "pipeline_recovery_p50_seconds",
}
"""The column of `metrics(…)` for each field of a document's metrics."""

LOWER_BOUNDS = ("lead_time", "change_failure_rate", "rework_rate")
"""Metrics that may be higher than their value; the document says so with `at_least`."""

WEEK_COLUMNS = {
    "partial": "partial",
    "deployments": "deployments",
    "deployment_days": "deployment_days",
    "lead_time_p50_seconds": "lead_p50_seconds",
    "change_failure_ratio": "change_failure_ratio",
    "recovery_p50_seconds": "recovery_p50_seconds",
    "rework_ratio": "rework_ratio",
    "incidents": "incidents",
}
"""The column of `metrics_by_week(…)` for each field of a document's week."""


class Cell(NamedTuple):
    """A number of the document, or one that was computed from raw values, and what the view has for it."""

    view: str
    key: Key
    column: str
    expected: float | None
    actual: Value

    @property
    def differs(self) -> bool:
        if self.expected is None or self.actual is None:
            return self.expected is not self.actual
        assert isinstance(self.actual, int | float)
        return not math.isclose(self.expected, self.actual, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


class Database(ABC):
    """A database that has our tables and views."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Load the rows of a folder, instead of those that are there."""

    @abstractmethod
    def select(self, query: str) -> list[Row]:
        """Run a query."""

    def call(self, function: str, window: Window, now: datetime, columns: str = "*") -> list[Row]:
        times = ", ".join(f"TIMESTAMPTZ '{moment.isoformat()}'" for moment in (window.start, window.end, now))
        return self.select(f"SELECT {columns} FROM {function}({times})")


class DuckDb(Database):
    """A DuckDB in memory.

    Args:
        edit: changes the text of a view before it is created.
        zone: the time zone of the session.
        time_type: the type of times in tables: TIMESTAMPTZ as sql/load has it, or TIMESTAMP, which then is in UTC.
    """

    def __init__(self, edit: Callable[[str], str] = str, *, zone: str = "UTC", time_type: str = "TIMESTAMPTZ") -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute(f"SET TimeZone = '{zone}'")
        self._time_type = time_type
        self._edit = edit
        self._has_views = False

    def load(self, folder: Path) -> None:
        self._connection.execute(f"SET file_search_path = '{folder}'")
        tables = (SQL / "load" / "duckdb.sql").read_text("utf-8").replace("'TIMESTAMPTZ'", f"'{self._time_type}'")
        self._connection.execute(tables)
        if not self._has_views:
            for text in view_texts("duckdb"):
                self._connection.execute(self._edit(text))
            self._has_views = True

    def select(self, query: str) -> list[Row]:
        result = self._connection.execute(query)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def view_texts(dialect: str) -> Iterator[str]:
    """Return the statements that create each view of a dialect."""
    return (path.read_text("utf-8") for path in sorted((SQL / dialect).glob("*.sql")))


@dataclass(frozen=True)
class Question:
    """Facts, and how to judge and count them."""

    facts: Sequence[Fact]
    policy: Policy
    window_spec: WindowSpec
    now: datetime

    @cached_property
    def evaluation(self) -> Evaluation:
        return evaluate_facts(self.facts, self.policy)

    @cached_property
    def window(self) -> Window:
        return self.window_spec.resolve(self.now, self.evaluation.first_deployment_at)

    @cached_property
    def document(self) -> schema.Document:
        return build_document(self.evaluation, self.policy, self.window_spec, self.now)

    def write_rows(self, folder: Path) -> None:
        judged = JudgedFacts.of(self.evaluation, self.facts, self.policy, self.window_spec, self.now)
        for table in TABLES:
            (folder / f"{table.name}.ndjson").write_bytes(b"".join(encode_rows(table, judged.rows(table))))


def differing(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.differs]


def compare(question: Question, database: Database, folder: Path) -> list[Cell]:
    """Load the rows of the facts, and return every number beside that of its view."""
    question.write_rows(folder)
    database.load(folder)
    windows = [("metrics", question.window)]
    if not question.window_spec.is_all:
        windows.append(("previous", question.window.previous()))
    cells = [cell for which, window in windows for cell in _metrics_cells(question, database, which, window)]
    return [*cells, *_pooled_cells(question, database), *_week_cells(question, database)]


def _metrics_cells(question: Question, database: Database, which: str, window: Window) -> Iterator[Cell]:
    rows = _by_key(database.call("metrics", window, question.now), SCOPE)
    expected = {_key_of(scope): msgspec.to_builtins(getattr(scope, which)) for scope in question.document.scopes}
    yield Cell("metrics", (), "rows", len(expected), len(rows))
    for key, metrics in expected.items():
        for path, column in COLUMNS.items():
            yield Cell(f"metrics, {which}", key, column, _at(metrics, path), rows[key][column])
        for metric in LOWER_BOUNDS:
            is_lower_bound = metrics[metric].get("at_least", False)
            yield Cell(f"metrics, {which}", key, metric, is_lower_bound, rows[key][f"{metric}_at_least"])


def _pooled_cells(question: Question, database: Database) -> Iterator[Cell]:
    """Yield the numbers of all scopes together and of each team, computed from the values of the scopes."""
    histories = question.evaluation.histories
    teams: dict[Key, list[ScopeHistory]] = {}
    for history in histories:
        teams.setdefault((question.policy.team_of(history.scope),), []).append(history)
    yield from _cells_of_pools(question, database, "metrics_by_team", teams)
    yield from _cells_of_pools(question, database, "metrics_pooled", {(): histories} if histories else {})


def _cells_of_pools(
    question: Question, database: Database, view: str, pools: Mapping[Key, Sequence[ScopeHistory]]
) -> Iterator[Cell]:
    names = ("team",) if view == "metrics_by_team" else ()
    rows = _by_key(database.call(view, question.window, question.now), names)
    yield Cell(view, (), "rows", len(pools), len(rows))
    for key, histories in pools.items():
        values = pooled_values(histories, question.window, question.policy, question.now)
        for column in ("scopes", *COLUMNS.values(), *(f"{metric}_at_least" for metric in LOWER_BOUNDS)):
            yield Cell(view, key, column, values[column], rows[key][column])


def _week_cells(question: Question, database: Database) -> Iterator[Cell]:
    rows = _by_key(database.call("metrics_by_week", question.window, question.now), (*SCOPE, "week"))
    expected = {
        (*_key_of(scope), _monday(week.week)): msgspec.to_builtins(week)
        for scope in question.document.scopes
        for week in scope.weeks
    }
    yield Cell("metrics_by_week", (), "rows", len(expected), len(rows))
    for key, week in expected.items():
        for field, column in WEEK_COLUMNS.items():
            yield Cell("metrics_by_week", key, column, week[field], rows[key][column])


def _key_of(scope: schema.ScopeMetrics) -> Key:
    return scope.repository, scope.service, scope.environment


def _monday(name: str) -> str:
    """Return the Monday of a week such as `2026-W47`."""
    year, _, number = name.partition("-W")
    return date.fromisocalendar(int(year), int(number), 1).isoformat()


def _by_key(rows: Iterable[Row], names: Sequence[str]) -> Mapping[Key, Row]:
    return {tuple(None if row[name] is None else str(row[name]) for name in names): row for row in rows}


def _at(value: object, path: str) -> float | None:
    for name in path.split("."):
        assert isinstance(value, dict)
        value = value[name]
    assert value is None or isinstance(value, int | float)
    return value
