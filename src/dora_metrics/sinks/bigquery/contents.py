"""What a run has for a warehouse: the rows of each repository, encoded, with a digest for each table."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from dora_metrics.core.rows.tables import WarehouseTable

NO_ROWS = ""
"""The digest of no rows."""


class TableRows(Struct, frozen=True):
    """Rows of a repository in a table: a line of JSON each. Rows with the digest that a warehouse has are not sent."""

    digest: str
    lines: bytes

    @classmethod
    def of(cls, lines: bytes) -> "TableRows":
        return cls(hashlib.sha256(lines).hexdigest()[:32] if lines else NO_ROWS, lines)


class RepositoryRows(Struct, frozen=True):
    """The rows of a repository, by table. For `week_starts`, `repository` is a time zone."""

    repository: str
    tables: Mapping[WarehouseTable, TableRows]


class Contents(Struct, frozen=True):
    """Everything that a warehouse should have from one ledger.

    Attributes:
        ledger: where the facts come from.
        sequence: how often the ledger has changed.
        version: of the program.
        policy: a fingerprint of the settings that the numbers depend on.
        day: of the rows about metrics.
        began_at: when the run began, before it read the ledger.
        tables: those to send to.
        repositories: the names in `rows`.
        rows: makes them while they are sent, so that memory holds those of a few repositories.
    """

    ledger: str
    sequence: int
    version: str
    policy: str
    day: str
    began_at: datetime
    tables: Sequence[WarehouseTable]
    repositories: Sequence[str]
    rows: Callable[[], Iterator[RepositoryRows]]
