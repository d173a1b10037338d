"""The parts of BigQuery's answers that are read. https://cloud.google.com/bigquery/docs/reference/rest has the rest."""

from typing import Annotated

from msgspec import Meta, Struct

_Digits = Annotated[str, Meta(pattern="^[0-9]{1,18}$")]
_Milliseconds = _Digits
"""Since 1970, as text."""


class ErrorDetail(Struct, frozen=True):
    """Why a request or a job failed. `reason` is a word such as `accessDenied`, `message` a sentence."""

    reason: str = ""
    message: str = ""


class ErrorBody(Struct, frozen=True):
    errors: tuple[ErrorDetail, ...] = ()


class ErrorAnswer(Struct, frozen=True):
    """The body of an answer that is no success."""

    error: ErrorBody = ErrorBody()


class DatasetAnswer(Struct, frozen=True):
    """A dataset. Jobs on it run at its location."""

    location: str


class Field(Struct, frozen=True):
    """A column. `type` may be an alias, such as INT64 for INTEGER."""

    name: str
    type: str
    mode: str = "NULLABLE"


class TableSchema(Struct, frozen=True):
    fields: tuple[Field, ...] = ()


class TableAnswer(Struct, frozen=True, rename="camel"):
    """A table, or what else has a name in a dataset: `type` is `TABLE`, `VIEW`, `EXTERNAL` and so on.

    `creation_time` is in milliseconds since 1970, as text.
    """

    type: str
    schema: TableSchema = TableSchema()
    creation_time: _Milliseconds | int = "0"


class JobStatus(Struct, frozen=True, rename="camel"):
    """How far a job is: PENDING, RUNNING or DONE. With `error_result`, it has changed nothing."""

    state: str
    error_result: ErrorDetail | None = None


class DmlStats(Struct, frozen=True, rename="camel"):
    """How many rows a statement has changed, as texts."""

    inserted_row_count: str = "0"
    updated_row_count: str = "0"
    deleted_row_count: str = "0"


class QueryStatistics(Struct, frozen=True, rename="camel"):
    dml_stats: DmlStats | None = None


class JobStatistics(Struct, frozen=True):
    query: QueryStatistics = QueryStatistics()


class BigQueryJob(Struct, frozen=True, rename="camel"):
    status: JobStatus
    statistics: JobStatistics = JobStatistics()

    @property
    def may_have_changed_rows(self) -> bool:
        """Whether a statement has changed rows; true if that is not known."""
        counts = self.statistics.query.dml_stats
        return counts is None or counts != DmlStats()


class Cell(Struct, frozen=True):
    v: str | None


class ResultRow(Struct, frozen=True):
    f: tuple[Cell, ...]


class QueryResultPage(Struct, frozen=True, rename="camel"):
    """A page of a query's result. Without `page_token` it is the last one.

    `total_rows` are those of all pages, as text. Only the answer to a query that has ended has it, so that an answer
    without rows is never taken for an empty result.
    """

    total_rows: _Digits
    rows: tuple[ResultRow, ...] = ()
    page_token: str = ""


class LoadedCells(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A row of `loads`, in the order in which `read_loads` selects its columns."""

    repository: str
    table_name: str
    load_id: str
    digest: str | None
    ledger: str
    sequence: _Digits
    repository_id: str | None
    claimed_milliseconds: _Milliseconds
    loaded_milliseconds: _Milliseconds | None


class HoldingCells(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A repository of ours and a name under which another ledger sent it, in the order of `compare_facts`."""

    repository: str
    holder: str
    needed_here_count: _Digits
    covered_count: _Digits
    needed_there_count: _Digits
