"""Sends to a dataset of BigQuery what it does not have yet.

A load claims rows in the table `loads`, puts the new ones into staging tables of its own, replaces the old ones, table
by table, and then says that they are complete. Each step may be repeated, and two runs may do this at once: a statement
replaces only what its load still claims, and a claim goes to the later version of a ledger.

What another ledger has sent is taken over only by one that has all of it (takeover.py).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple
from uuid import uuid4

from dora_metrics.core.outcome import Outcome
from dora_metrics.core.rows.loads import LOADS
from dora_metrics.core.rows.tables import WarehouseTable
from dora_metrics.runtime import Deadline, HttpLimits
from dora_metrics.sinks.bigquery.answers import DatasetAnswer, LoadedCells, TableAnswer
from dora_metrics.sinks.bigquery.contents import Contents, TableRows
from dora_metrics.sinks.bigquery.jobs import JobError, Jobs, fields_of
from dora_metrics.sinks.bigquery.progress import MAX_CLAIMS, LoadProgress, NextLoad, RowsByTable
from dora_metrics.sinks.bigquery.rest import (
    CONFLICT,
    GOOGLE,
    NOT_FOUND,
    BigQueryApi,
    Call,
    OutOfTimeError,
    RefusedError,
    exchange_session,
)
from dora_metrics.sinks.bigquery.schema import problem_of
from dora_metrics.sinks.bigquery.statements import (
    Completion,
    Load,
    Names,
    ReplacedRows,
    Replacement,
    RowsClaim,
    adopt_rows,
    claim_rows,
    complete_load,
    forget_digests,
    read_loads,
    replace_rows,
    tables_with_ids,
)
from dora_metrics.sinks.bigquery.takeover import Comparing, Judgement, Ruling
from dora_metrics.sinks.http import SendError

_STAGING_HOURS = 24
"""After which BigQuery removes the staging tables of a run that was stopped."""

_MAX_ROUNDS = 3
"""A run compares again after it has sent something: an older run may have replaced rows meanwhile."""

_DAILY = "metrics"
"""The table with rows for each day, of which only those of the present day are replaced."""

_SHARED = "week_starts"
"""The table whose rows several ledgers need, so none removes them."""


class DatasetName(NamedTuple):
    """A dataset: its project, which may have a domain as in `example.com:project`, and its own name."""

    project: str
    name: str

    @classmethod
    def of(cls, text: str) -> "DatasetName":
        """Take apart `project.dataset`."""
        project, _, name = text.rpartition(".")
        return cls(project, name)

    @property
    def path(self) -> str:
        return f"projects/{self.project}/datasets/{self.name}"

    def table_reference(self, table_name: str) -> Mapping[str, str]:
        return {"projectId": self.project, "datasetId": self.name, "tableId": table_name}


@dataclass(frozen=True)
class BigQuery:
    """A dataset, and the token that may write to it.

    Attributes:
        dataset: the dataset.
        token: an OAuth access token.
        location: of the dataset; None to ask for it.
        limits: of each request.
        deadline: of all requests.
        address: scheme, host and port of BigQuery.
    """

    dataset: DatasetName
    token: str = field(repr=False)
    location: str | None = None
    limits: HttpLimits = HttpLimits()
    deadline: Deadline = field(default_factory=lambda: Deadline(HttpLimits().warehouse_seconds))
    address: str = GOOGLE
    name: str = "BigQuery"

    def send(self, contents: Contents) -> Outcome:
        """Send the rows that differ from those in the dataset; what fails is sent by the next run."""
        with exchange_session(self.limits) as session:
            api = BigQueryApi(session, self.token, self.limits, self.deadline, self.address)
            sending = _Sending(api, self, contents)
            try:
                sending.run()
            except SendError as problem:
                sending.progress.problems.append(_described(problem))
        return sending.progress.outcome(self.name, contents.sequence, forget_digests(self.names, contents.ledger))

    @property
    def names(self) -> Names:
        return Names(f"{self.dataset.project}.{self.dataset.name}")


def _described(problem: SendError) -> str:
    text = str(problem)
    return f"{text}; the next run sends the rest" if isinstance(problem, OutOfTimeError) else text


_Key = tuple[str, str]
"""A repository and the name of a table."""


class _Loaded(NamedTuple):
    """What `loads` says about a repository's rows in a table."""

    load_id: str
    digest: str | None
    is_of_ledger: bool
    repository_id: str

    def together_with(self, other: "_Loaded") -> "_Loaded":
        """Return what two rows of `loads` say about the same rows.

        Two runs may have claimed them for the first time at the same moment, and then neither digest is certain. A
        load that claims them later has both rows.
        """
        if self == other:
            return self
        return self._replace(digest=None, is_of_ledger=self.is_of_ledger and other.is_of_ledger)


class _Sending:
    """One run: what the dataset has, what is collected for the next load, and how it went."""

    def __init__(self, api: BigQueryApi, sink: BigQuery, contents: Contents) -> None:
        self.progress = LoadProgress()
        self._api = api
        self._dataset = sink.dataset
        self._names = sink.names
        self._contents = contents
        digits = uuid4().hex
        self._run_id = f"{digits[:6]}_{digits[6:12]}"  # GitHub takes seven hexadecimal digits for a commit
        self._jobs = Jobs(api, sink.dataset.project, sink.location or "", f"dora_{self._run_id}")
        self._loaded: dict[_Key, _Loaded] = {}
        self._digests: dict[_Key, str] = {}
        self._is_first_round = True
        self._is_usable_by_table: dict[str, bool] = {}
        self._created_milliseconds: dict[str, int] = {}
        self._next_load = NextLoad()
        self._adopted: list[RowsClaim] = []
        self._load_count = 0
        self._judgements: Mapping[str, Judgement] = {}

    def run(self) -> None:
        """Compare, and send what differs in loads of limited size.

        Raises:
            SendError: if nothing more can be sent.
        """
        if not self._jobs.location:
            self._jobs.location = self._api.ask(Call("GET", self._dataset.path), DatasetAnswer).location
        if not self._is_usable(LOADS):
            return
        for table in self._contents.tables:  # one that was created again is empty, whatever `loads` says
            self._is_usable(table)
        for _ in range(_MAX_ROUNDS):
            earlier_count = self._load_count
            self._read_loads()
            if self.progress.later_sequence or not self._has_differences():
                return
            self._send_differences()
            if self._load_count == earlier_count:
                return

    def _read_loads(self) -> None:
        """Read what the dataset has, and whether that is from a later version of the ledger."""
        contents, self._loaded = self._contents, {}
        later_claims: list[int] = []
        statement = read_loads(self._names, contents.ledger, [*contents.repositories, *contents.time_zones])
        for cells in self._jobs.rows(statement, LoadedCells):
            key, row = (cells.repository, cells.table_name), self._loaded_row(cells)
            self._loaded[key] = self._loaded.get(key, row).together_with(row)
            if row.is_of_ledger and int(cells.sequence) > contents.sequence:
                self.progress.later_sequence = max(self.progress.later_sequence, int(cells.sequence))
                later_claims.append(int(cells.claimed_milliseconds))
        began_milliseconds = contents.began_at.timestamp() * 1000
        self.progress.is_begun_again = bool(later_claims) and max(later_claims) < began_milliseconds

    def _loaded_row(self, cells: LoadedCells) -> _Loaded:
        created_milliseconds = self._created_milliseconds.get(cells.table_name, 0)
        is_present = int(cells.loaded_milliseconds or 0) >= created_milliseconds
        is_of_ledger = cells.ledger == self._contents.ledger
        return _Loaded(cells.load_id, cells.digest if is_present else None, is_of_ledger, cells.repository_id or "")

    def _has_differences(self) -> bool:
        """Whether something must be sent, as far as that is known: in the first round, no digest is."""
        return self._is_first_round or any(self._differs(key, digest) for key, digest in self._digests.items())

    def _send_differences(self) -> None:
        self._is_first_round, self._digests = False, {}
        self._judge()
        for repository, rows in self._wanted():
            self._send_repository(repository, rows)
            if self._next_load.is_full:
                self._load(self._next_load.take())
            if len(self._adopted) >= MAX_CLAIMS:
                self._adopt()
        self._load(self._next_load.take())
        self._adopt()

    def _judge(self) -> None:
        """Decide which repositories are sent that this ledger has not sent completely before."""
        unsettled = [name for name in self._contents.repositories if not self._is_settled(name)]
        of_others = {name for name in unsettled if any(self._is_of_other((name, each)) for each in self._own_tables)}
        comparing = Comparing(self._jobs, self._names, self._contents, self._comparable_tables)
        self._judgements = comparing.judgements(unsettled, of_others)
        self.progress.left = self._judged_as(Ruling.LEFT)
        self.progress.disputed = self._judged_as(Ruling.DISPUTED)

    def _judged_as(self, ruling: Ruling) -> list[str]:
        return [name for name, each in self._judgements.items() if each.ruling is ruling]

    @cached_property
    def _own_tables(self) -> Mapping[str, WarehouseTable]:
        """The tables whose rows belong to one ledger, by name."""
        return {table.name: table for table in self._contents.tables if table.name != _SHARED}

    @cached_property
    def _comparable_tables(self) -> Sequence[WarehouseTable]:
        return tables_with_ids(table for table in self._contents.tables if self._is_usable(table))

    def _is_settled(self, repository: str) -> bool:
        """Whether this ledger has sent the facts of a repository completely before, and no other one has since."""
        rows = {name: row for name in self._own_tables if (row := self._loaded.get((repository, name)))}
        is_identified = not any(self._has_new_id(repository, row) for row in rows.values())
        has_facts = all(rows[table.name].digest is not None for table in self._comparable_tables if table.name in rows)
        return (
            has_facts
            and is_identified
            and all(each.is_of_ledger for each in rows.values())
            and any(each.digest for each in rows.values())
        )

    def _has_new_id(self, repository: str, loaded: _Loaded) -> bool:
        """Whether we know a number of the repository that the dataset does not have with its rows."""
        return self._contents.repository_ids.get(repository, loaded.repository_id) != loaded.repository_id

    def _is_of_other(self, key: _Key) -> bool:
        loaded = self._loaded.get(key)
        return loaded is not None and not loaded.is_of_ledger

    def _wanted(self) -> Iterator[tuple[str, Mapping[WarehouseTable, TableRows]]]:
        """Yield the rows that the dataset should have; none for repositories that have left the ledger."""
        for rows in self._contents.rows():
            yield rows.repository, rows.tables
        present, removable = set(self._contents.repositories), self._own_tables.keys() - {_DAILY}
        for (repository, table_name), loaded in self._loaded.items():
            if repository not in present and loaded.is_of_ledger and table_name in removable:
                yield repository, {self._own_tables[table_name]: TableRows.of(b"")}

    def _send_repository(self, repository: str, tables: Mapping[WarehouseTable, TableRows]) -> None:
        """Collect what differs; with it, in the same load, the removal of the rows under its former names."""
        judgement = self._judgements.get(repository, Judgement(Ruling.SENT))
        if judgement.ruling in (Ruling.LEFT, Ruling.DISPUTED):
            tables = self._withdrawn(repository)
        for table, rows in tables.items():
            self._digests[(repository, table.name)] = rows.digest
            if judgement.ruling is not Ruling.LATER:
                self._send_table(repository, table, rows)
        for name in judgement.former_names:
            for table in self._own_tables.values():
                self._next_load.add(name, table, TableRows.of(b""))

    def _withdrawn(self, repository: str) -> Mapping[WarehouseTable, TableRows]:
        """Return no rows for what we have sent, if that was found to be there twice.

        Then it is not complete, or was sent before the number of the repository was known.
        """
        loaded = {table: self._loaded.get((repository, name)) for name, table in self._own_tables.items()}
        ours = {table: row for table, row in loaded.items() if row and row.is_of_ledger}
        is_incomplete = any(row.digest is None or self._has_new_id(repository, row) for row in ours.values())
        return {table: TableRows.of(b"") for table in ours} if is_incomplete else {}

    def _send_table(self, repository: str, table: WarehouseTable, rows: TableRows) -> None:
        key = (repository, table.name)
        if self._differs(key, rows.digest):
            self._next_load.add(repository, table, rows)
        elif self._is_adopted(key, rows.digest):
            self._adopted.append(self._claim(repository, table, rows))

    def _differs(self, key: _Key, digest: str) -> bool:
        """Whether rows must be sent: the dataset has others, and its table takes ours.

        What it has of a repository that `loads` does not name is not known, so it gets even no rows.
        """
        loaded = self._loaded.get(key)
        is_other = loaded is None or digest != loaded.digest
        return is_other and self._is_usable_by_table.get(key[1], True)

    def _is_adopted(self, key: _Key, digest: str) -> bool:
        """Whether the dataset has our very rows, but from another ledger, or without the repository's number.

        The other ledger may be where this one was before.
        """
        loaded = self._loaded.get(key)
        if key[1] == _SHARED or loaded is None or loaded.digest != digest:
            return False
        return not loaded.is_of_ledger or self._has_new_id(key[0], loaded)

    def _claim(self, repository: str, table: WarehouseTable, rows: TableRows) -> RowsClaim:
        return RowsClaim(repository, table.name, rows.digest, self._contents.repository_ids.get(repository, ""))

    def _adopt(self) -> None:
        """Make rows that are there already those of this ledger and repository, which replaces them from now on."""
        claims, self._adopted = self._adopted, []
        if claims:
            self._jobs.change(adopt_rows(self._names, self._contents.ledger, self._contents.sequence, claims))

    def _load(self, collected: RowsByTable) -> None:
        """Load rows. A table that does not take its rows does not stop the others."""
        pending = {table: rows for table, rows in collected.items() if self._is_usable(table)}
        if not pending:
            return
        self._load_count += 1
        contents = self._contents
        load_id = f"{self._run_id}_{self._load_count}"
        load = Load(load_id, contents.ledger, contents.sequence, contents.version, contents.policy)
        claims = [self._claim(name, table, each) for table, rows in pending.items() for name, each in rows.items()]
        self._jobs.change(claim_rows(self._names, load, claims))
        may_be_changed = {table: self._replace(load_id, table, rows) for table, rows in pending.items()}
        replaced = [
            ReplacedRows(name, table.name, is_changed)
            for table, is_changed in may_be_changed.items()
            if is_changed is not None
            for name in pending[table]
        ]
        if replaced:
            completion = Completion(load, replaced, self._comparable_tables)
            self._jobs.change(complete_load(self._names, completion))
            taken = [table for table, is_changed in may_be_changed.items() if is_changed is not None]
            self.progress.complete({table: pending[table] for table in taken})

    def _replace(self, load_id: str, table: WarehouseTable, rows: Mapping[str, TableRows]) -> bool | None:
        """Replace the rows of some repositories; return whether any may be changed, None if BigQuery refused them."""
        lines = b"".join(each.lines for each in rows.values())
        staging = f"{table.name}_{load_id}_incoming" if lines else None
        day = self._contents.day if table.name == _DAILY else None
        try:
            if staging:
                self._stage(table, staging, lines)
            return self._jobs.change(replace_rows(self._names, Replacement(table, load_id, list(rows), staging, day)))
        except JobError as problem:
            self._is_usable_by_table[table.name] = False
            self.progress.problems.append(f"{table.name}: {problem}")
            return None
        finally:
            if staging:
                self._remove(staging)

    def _stage(self, table: WarehouseTable, staging: str, lines: bytes) -> None:
        """Put rows into a table of this load, which BigQuery removes after a day if nothing else does."""
        reference = self._dataset.table_reference(staging)
        expiration_milliseconds = round((time.time() + _STAGING_HOURS * 3600) * 1000)
        definition = {
            "tableReference": reference,
            "schema": {"fields": fields_of(table)},
            "expirationTime": str(expiration_milliseconds),
        }
        try:
            self._api.ask(Call.with_json("POST", f"{self._dataset.path}/tables", definition), TableAnswer)
        except RefusedError as refusal:
            if refusal.status != CONFLICT:  # made by a request whose answer was lost
                raise
        self._jobs.load(table, reference, lines)

    def _remove(self, staging: str) -> None:
        try:
            self._api.ask(Call("DELETE", f"{self._dataset.path}/tables/{staging}"), dict)
        except SendError:
            return  # it expires

    def _is_usable(self, table: WarehouseTable) -> bool:
        """Whether a table takes our rows; if not, say why once."""
        if table.name not in self._is_usable_by_table:
            problem = self._problem_of(table)
            self._is_usable_by_table[table.name] = not problem
            self.progress.problems += [problem] if problem else []
        return self._is_usable_by_table[table.name]

    def _problem_of(self, table: WarehouseTable) -> str:
        sql_name = self._names(table.name)
        try:
            answer = self._api.ask(Call("GET", f"{self._dataset.path}/tables/{table.name}"), TableAnswer)
        except RefusedError as refusal:
            if refusal.status != NOT_FOUND:
                raise
            return f"there is no table {sql_name}; create it with terraform/ (docs/warehouse.md#send-to-bigquery)"
        self._created_milliseconds[table.name] = int(answer.creation_time)
        return problem_of(table, answer, sql_name)
