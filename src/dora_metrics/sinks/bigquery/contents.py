"""What a run has for a warehouse: the rows of each repository, encoded, with a digest for each table."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from msgspec import Struct

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import EPOCH
from dora_metrics.core.rows.tables import WarehouseTable

NO_ROWS = ""
"""The digest of no rows."""

DIGEST_LENGTH = 16
"""Characters of the digest of an id."""


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


class FactNames(Struct, frozen=True):
    """What the facts of a repository are recognised by, also under another name of it. Digests, to be short.

    Attributes:
        repository: its name.
        ids: of all facts, without the name of the repository.
        deployments: of its deployments on GitHub, with their times. Two repositories may have a commit in common, so a
            deployment is the same only at the same time. Names that people give prove nothing: one pipeline may report
            one name at one time for several repositories.
    """

    repository: str
    ids: AbstractSet[str]
    deployments: AbstractSet[str]

    @classmethod
    def of(cls, repository: str, fact_ids: Iterable[str], deployments: Mapping[str, datetime]) -> "FactNames":
        """Take the ids of facts, and the times of those that are deployments."""
        return cls(
            repository,
            frozenset(_digest(each.replace(f":{repository}#", ":#")) for each in fact_ids),
            frozenset(
                _digest(f"{each} {_microseconds(time)}") for each, time in deployments.items() if ids.is_github(each)
            ),
        )


def _digest(text: str) -> str:
    """The beginning of a SHA-256; SQL has the same (statements.py)."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


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
        time_zones: the other names in `rows`.
        fact_names: makes what the facts of a repository are recognised by.
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
    time_zones: Sequence[str]
    fact_names: Callable[[str], FactNames]
    rows: Callable[[], Iterator[RepositoryRows]]
