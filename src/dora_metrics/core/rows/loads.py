"""The table `loads`: what a warehouse holds of each repository, so that a run sends only what differs.

A load has three steps. It claims the rows of a repository in a table, replaces them, and says that they are complete. A
run that is stopped in between leaves a claim without `digest`, so the next one loads these rows again.
"""

from datetime import datetime

from msgspec import Struct

from dora_metrics.core.rows.tables import WarehouseTable


class LoadRow(Struct, frozen=True, kw_only=True, gc=False):
    """The newest load of a repository's rows into one table.

    Attributes:
        repository: the repository; for `week_starts`, the time zone.
        table_name: the table.
        digest: of the rows that the table holds; null while a load is under way, if it was stopped, or if another one
            claimed the rows while they were replaced.
        claimed_digest: of the rows that the newest load brings.
        load_id: the load, and the middle of the names of its staging tables.
        ledger: where the facts come from, such as `branch:dora-metrics@acme/shop@12`.
        sequence: how often that ledger had changed. A load of an earlier version of it replaces nothing.
        claimed_at: when the load began, or when the ledger took over rows that another one had sent.
        loaded_at: when it was complete.
        version: of the program.
        policy: a fingerprint of the settings that the numbers depend on.
        repository_id: the repository by its number on GitHub, which no rename changes, as ledgers have it:
            `github:repository:12`. Null if the ledger does not know the number, if there are no rows because another
            name has replaced this one, and for `week_starts`.
    """

    repository: str
    table_name: str
    digest: str | None
    claimed_digest: str
    load_id: str
    ledger: str
    sequence: int
    claimed_at: datetime
    loaded_at: datetime | None
    version: str
    policy: str
    repository_id: str | None


LOADS = WarehouseTable("loads", LoadRow, ("repository", "table_name"), None, ("repository",))
