"""What a run has for a warehouse: the rows of each repository, encoded, with a digest for each table."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from msgspec import Struct

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Deployment, Fact
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
        repository_id: its number on GitHub as ledgers have it; None if that is not known.
        needed_ids: of the facts that another ledger needs to replace this one, without the name of the repository.
        unneeded_ids: of the other facts, which no ledger needs.
        lesser_sources: the sources whose deployments do not count with those that there are.
    """

    repository: str
    repository_id: str | None
    needed_ids: AbstractSet[str]
    unneeded_ids: AbstractSet[str]
    lesser_sources: Sequence[str]

    @classmethod
    def of(
        cls, repository: str, repository_id: str | None, facts: Iterable[Fact], lesser_sources: Sequence[str]
    ) -> "FactNames":
        """Take the facts of a repository."""
        by_need: dict[bool, set[str]] = {True: set(), False: set()}
        for fact in facts:
            by_need[_is_needed(fact, lesser_sources)].add(_digest(fact.id.replace(f":{repository}#", ":#")))
        return cls(repository, repository_id, by_need[True], by_need[False], lesser_sources)

    @property
    def byte_count(self) -> int:
        """The size of the digests in a statement."""
        return (len(self.needed_ids) + len(self.unneeded_ids)) * (DIGEST_LENGTH + 1)


def _is_needed(fact: Fact, lesser_sources: Collection[str]) -> bool:
    """Whether a ledger must have a fact to replace another one; SQL has the same rule (statements.py).

    What is withdrawn counts nowhere. A commit without a pull request is read with the deployment that delivers it.
    """
    is_lesser = isinstance(fact, Deployment) and fact.source in lesser_sources
    return not (fact.retracted or is_lesser or ids.is_commit(fact.id))


def _digest(text: str) -> str:
    """The beginning of a SHA-256; SQL has the same (statements.py)."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


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
        repository_ids: the numbers of these repositories on GitHub, as ledgers have them, by name; without those that
            are not known.
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
    repository_ids: Mapping[str, str]
    time_zones: Sequence[str]
    fact_names: Callable[[str], FactNames]
    rows: Callable[[], Iterator[RepositoryRows]]
