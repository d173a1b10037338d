"""How far a run is with a warehouse: the rows of its next load, and what the earlier ones did."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from dora_metrics.core import formatting
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.rows.tables import WarehouseTable
from dora_metrics.sinks.bigquery.contents import TableRows

MAX_LOAD_BYTES = 8 * 1024 * 1024
"""Of a load, unless one repository has more."""

MAX_CLAIMS = 2_000
"""Of a load. They are parameters of a statement, which may have 10 MB."""

_MAX_PROBLEMS, _MAX_NAMED = 2, 3

RowsByTable = Mapping[WarehouseTable, Mapping[str, TableRows]]
"""The rows of a load, by table and repository."""


class NextLoad:
    """Rows that are collected for the next load."""

    def __init__(self) -> None:
        self._rows: defaultdict[WarehouseTable, dict[str, TableRows]] = defaultdict(dict)
        self._byte_count = self._claim_count = 0

    def add(self, repository: str, table: WarehouseTable, rows: TableRows) -> None:
        self._rows[table][repository] = rows
        self._byte_count += len(rows.lines)
        self._claim_count += 1

    @property
    def is_full(self) -> bool:
        return self._byte_count >= MAX_LOAD_BYTES or self._claim_count >= MAX_CLAIMS

    def take(self) -> RowsByTable:
        """Return what was collected, and begin again with nothing."""
        rows, self._rows = self._rows, defaultdict(dict)
        self._byte_count = self._claim_count = 0
        return rows


@dataclass
class LoadProgress:
    """What a run has sent so far.

    Attributes:
        repositories: those whose rows were replaced.
        row_count: the rows that were sent.
        later_sequence: of the later version of the ledger that the dataset has; 0 if it has none.
        is_begun_again: whether it had that before the run began, so that the ledger is not what it was.
        problems: why something was not sent.
        left: repositories that are left to another ledger, which has all of their facts.
        disputed: repositories of which each ledger has facts that the other one does not have.
    """

    repositories: set[str] = field(default_factory=set)
    row_count: int = 0
    later_sequence: int = 0
    is_begun_again: bool = False
    problems: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    disputed: list[str] = field(default_factory=list)

    def complete(self, rows: RowsByTable) -> None:
        """Count the rows of a load that is complete."""
        for table, by_repository in rows.items():
            if table.clustering[0] == "repository":
                self.repositories |= by_repository.keys()
            self.row_count += sum(each.lines.count(b"\n") for each in by_repository.values())

    def outcome(self, name: str, sequence: int, remedy: str) -> Outcome:
        """Say how it went; `remedy` is the statement after which an earlier version replaces a later one."""
        sent = formatting.count(self.row_count, "row")
        if self.repositories:
            count = formatting.count(len(self.repositories), "repository", "repositories")
            sent = f"{sent} of {count}"
        if problems := [*self.problems, *self._dispute]:
            return Outcome(name, "failed", f"{_listed(problems)} ({sent} sent)")
        if self.is_begun_again:
            return Outcome(name, "failed", f"{self._begun_again_text(sequence, remedy)} ({sent} sent)")
        if self.later_sequence:
            return Outcome(name, "skipped", f"{sent} sent; {self._overtaken_text(sequence)}")
        has_sent = self.row_count or self.repositories
        text = f"{sent} sent" if has_sent else "nothing has changed; 0 rows sent"
        return Outcome(name, "done", f"{text}{self._left_text}")

    @property
    def _left_text(self) -> str:
        if not self.left:
            return ""
        return f"; left to another ledger, which has all of these facts: {_named(self.left)}"

    @property
    def _dispute(self) -> list[str]:
        if not self.disputed:
            return []
        text = (
            f"{_named(self.disputed)}: the dataset has facts from another ledger that this one does not have, so "
            "nothing was sent or deleted there; the shards have changed, or a repository was renamed. Run once with "
            "`since: all` (docs/warehouse.md#another-ledger)"
        )
        return [text]

    def _overtaken_text(self, sequence: int) -> str:
        return (
            f"since this run began with version {sequence:,} of the ledger, another run has sent version "
            f"{self.later_sequence:,}"
        )

    def _begun_again_text(self, sequence: int, remedy: str) -> str:
        return (
            f"BigQuery had version {self.later_sequence:,} of this ledger before this run began, which has version "
            f"{sequence:,}. The ledger was restored or begun again; to have its rows replaced, run {remedy}"
        )


def _named(repositories: list[str]) -> str:
    further_count = len(repositories) - _MAX_NAMED
    further = [f"{further_count} more"] if further_count > 0 else []
    return ", ".join((*repositories[:_MAX_NAMED], *further))


def _listed(problems: list[str]) -> str:
    further_count = len(problems) - _MAX_PROBLEMS
    further = [f"{formatting.count(further_count, 'more problem')}"] if further_count > 0 else []
    return "; ".join((*problems[:_MAX_PROBLEMS], *further))
