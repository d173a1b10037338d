"""Jobs of BigQuery: started under a name of their own, waited for, and started again after failures that pass."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.rows.tables import WarehouseTable
from dora_metrics.sinks.bigquery.answers import BigQueryJob, ErrorDetail, Field, QueryResultPage, ResultRow
from dora_metrics.sinks.bigquery.refusals import job_failure
from dora_metrics.sinks.bigquery.rest import CONFLICT, BigQueryApi, Call, OutOfTimeError, RefusedError, undocumented
from dora_metrics.sinks.bigquery.statements import Statement
from dora_metrics.sinks.http import SendError

_MAX_JOBS = 4
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0
_ROWS_OF_A_PAGE = 10_000
_BOUNDARY = b"dora-metrics-rows"
"""Between the parts of an upload. Each line of rows begins with a brace, so none is a boundary."""

_PASSING_REASONS = frozenset({
    "backendError", "internalError", "jobBackendError", "jobInternalError", "rateLimitExceeded", "jobRateLimitExceeded",
})  # fmt: skip
_CONCURRENT_UPDATE = "due to concurrent update"

T = TypeVar("T")


class JobError(SendError):
    """A job failed and has changed nothing."""


@dataclass
class Jobs:
    """The jobs of one run.

    Attributes:
        api: BigQuery.
        project: that the jobs belong to.
        location: where they run: that of the dataset.
        prefix: of their names, which no other run has.
        count: how many were started.
    """

    api: BigQueryApi
    project: str
    location: str
    prefix: str
    count: int = 0

    def rows(self, statement: Statement, row_type: type[T]) -> Iterator[T]:
        """Run a query and yield the rows of its result.

        Raises:
            SendError: if the query fails, or its result cannot be read.
        """
        self._run(statement.configuration)
        row_count = 0
        for page in self._pages():
            row_count += len(page.rows)
            _check_count(row_count, page)
            yield from (_typed(row, row_type) for row in page.rows)

    def _pages(self) -> Iterator[QueryResultPage]:
        """Yield the pages of the result of the job that was started last."""
        job_id, page_token = self._job_id, ""
        while True:
            page = self._page(job_id, page_token)
            yield page
            if not page.page_token:
                return
            if page.page_token == page_token:
                raise SendError("a page of a result names itself as the next; is a proxy in between?")
            page_token = page.page_token

    @property
    def _job_id(self) -> str:
        """The name of the job that was started last."""
        return f"{self.prefix}_{self.count}"

    def _page(self, job_id: str, page_token: str) -> QueryResultPage:
        query = {"location": self.location, "maxResults": str(_ROWS_OF_A_PAGE), "pageToken": page_token}
        path = f"projects/{self.project}/queries/{job_id}"
        return self.api.ask(Call("GET", path, {name: value for name, value in query.items() if value}), QueryResultPage)

    def change(self, statement: Statement) -> bool:
        """Run a statement that changes rows; return whether it may have changed any.

        Raises:
            SendError: if it fails. It has then changed nothing, unless the time was over.
        """
        return self._run(statement.configuration).may_have_changed_rows

    def load(self, table: WarehouseTable, destination: Mapping[str, str], content: bytes) -> None:
        """Put lines of JSON into a table that has the columns of another one, in place of what is in it.

        Raises:
            SendError: if BigQuery refuses a line; then the table is as it was.
        """
        configuration = {
            "destinationTable": destination,
            "schema": {"fields": fields_of(table)},
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
            "writeDisposition": "WRITE_TRUNCATE",
        }
        self._run({"load": configuration}, content)

    def _run(self, configuration: Mapping[str, object], content: bytes | None = None) -> BigQueryJob:
        """Run a job to its end, and once more after a failure that passes: then under another name."""
        earlier_jobs = 0
        while (error := (job := self._finished(self._start(configuration, content))).status.error_result) is not None:
            earlier_jobs += 1
            if earlier_jobs == _MAX_JOBS or not _may_pass(error):
                raise JobError(job_failure(self._job_id, error.reason, is_concurrent=_is_concurrent(error)))
            self._pause(self.api.limits.pause_seconds * 2**earlier_jobs)
        return job

    def _start(self, configuration: Mapping[str, object], content: bytes | None) -> BigQueryJob:
        """Start a job. Its name tells a request whose answer was lost from a second job."""
        self.count += 1
        reference = {"projectId": self.project, "jobId": self._job_id, "location": self.location}
        job = {"jobReference": reference, "configuration": configuration}
        path = f"projects/{self.project}/jobs"
        call = Call.with_json("POST", path, job) if content is None else _upload(path, canonical_json(job), content)
        try:
            return self.api.ask(call, BigQueryJob)
        except RefusedError as refusal:
            if refusal.status != CONFLICT:
                raise
        return self._job()

    def _finished(self, job: BigQueryJob) -> BigQueryJob:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while job.status.state != "DONE":
            self._pause(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            job = self._job()
        return job

    def _job(self) -> BigQueryJob:
        query = {"location": self.location}
        return self.api.ask(Call("GET", f"projects/{self.project}/jobs/{self._job_id}", query), BigQueryJob)

    def _pause(self, seconds: float) -> None:
        deadline = self.api.deadline
        if not deadline.seconds_left:
            raise OutOfTimeError(f"not finished in {deadline.seconds:g} s")
        time.sleep(min(seconds, deadline.seconds_left))


def fields_of(table: WarehouseTable) -> Sequence[Field]:
    """Return the columns of a table as BigQuery writes them."""
    return [
        Field(column.name, column.type, "REQUIRED" if column.is_required else "NULLABLE") for column in table.columns
    ]


def _check_count(row_count: int, page: QueryResultPage) -> None:
    """Refuse a result with other rows than it is said to have: what is missing would be taken for what nobody sent.

    Raises:
        SendError: if rows are missing after the last page, or there are too many after any.
    """
    total = int(page.total_rows)
    if row_count > total or (row_count < total and not page.page_token):
        raise SendError(f"{row_count:,} of the {total:,} rows of a result were answered; is a proxy in between?")


def _typed(row: ResultRow, row_type: type[T]) -> T:
    try:
        return msgspec.convert([cell.v for cell in row.f], row_type)
    except msgspec.ValidationError as problem:
        raise undocumented("a row of the result", problem) from None


def _may_pass(error: ErrorDetail) -> bool:
    return error.reason in _PASSING_REASONS or _is_concurrent(error)


def _is_concurrent(error: ErrorDetail) -> bool:
    return _CONCURRENT_UPDATE in error.message


def _upload(path: str, job: bytes, content: bytes) -> Call:
    """Return a request with a job and its data, as `multipart/related`."""
    separator = b"\r\n--" + _BOUNDARY
    body = b"".join(
        (
            separator[2:], b"\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n", job,
            separator, b"\r\nContent-Type: application/octet-stream\r\n\r\n", content,
            separator, b"--\r\n",
        )
    )  # fmt: skip
    content_type = f"multipart/related; boundary={_BOUNDARY.decode()}"
    return Call("POST", path, {"uploadType": "multipart"}, body, content_type, is_upload=True)
