"""A BigQuery with one project: datasets, tables, load jobs and queries over REST, on an own DuckDB.

It runs the statements that arrive, translated by sqlglot. It behaves where emulators do not: a job's name can be used
once, jobs take a while, and an answer may be lost after the request was done.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import duckdb
import sqlglot

from support.paths import ROOT
from support.servers import Answer, ListeningFake, Request, listening
from support.sink_payloads import NOW

PROJECT, DATASET, LOCATION, TOKEN = "acme-metrics", "dora", "EU", "b1gquery-t0ken"
NAME = f"{PROJECT}.{DATASET}"
TABLES: dict[str, dict[str, Any]] = json.loads((ROOT / "terraform" / "tables.json").read_text("utf-8"))
"""What Terraform creates."""

_DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "TIMESTAMP": "TIMESTAMPTZ",
    "DATE": "DATE",
    "BOOLEAN": "BOOLEAN",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "JSON": "JSON",
}
_UNSTORABLE = ("claimed_at", "loaded_at", "load_id")
"""Columns of `loads` that differ between runs with the same effect."""

JsonObject = dict[str, Any]
Fault = Callable[[Request], Answer | None]
"""What is done with a request before anything else; None to answer it as usual."""


def refusal(status: int, reason: str, message: str = "refused") -> Answer:
    detail = {"reason": reason, "message": message, "domain": "global"}
    return answer({"error": {"code": status, "message": message, "errors": [detail]}}, status)


def answer(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def result_page(rows: Sequence[Sequence[object]], total: int, next_token: str | None = None) -> Answer:
    """Some of the rows of a query's result, and how many there are."""
    page = [{"f": [{"v": None if value is None else str(value)} for value in row]} for row in rows]
    token = {"pageToken": next_token} if next_token else {}
    return answer({"jobComplete": True, "totalRows": str(total), "rows": page, **token})


class JobFailedError(Exception):
    """A job's failure, with its first errors."""

    def __init__(self, reason: str, *messages: str) -> None:
        super().__init__(reason)
        self.reason, self.messages = reason, messages

    @property
    def status(self) -> JsonObject:
        errors = [{"reason": self.reason, "message": message} for message in self.messages]
        return {"state": "DONE", "errorResult": errors[0], "errors": errors}


@dataclass
class StoredJob:
    """A job that has run; its state is only shown as DONE after some polls."""

    status: JsonObject
    polls_left: int
    rows: Sequence[Sequence[object]] = ()
    statistics: JsonObject = field(default_factory=dict)


@dataclass
class FakeBigQuery(ListeningFake):
    """What it has, and how it behaves.

    Attributes:
        faults: asked in order about each request.
        lost_answers: the numbers of requests that are done, and whose answers are lost.
        ends_after: the number of requests after which it is gone; None for never.
        polls: how often a job is PENDING or RUNNING before it is DONE.
        job_failures: what the next jobs fail with.
        page_size: the rows of a page of results.
        now: its clock, which each job and each new table moves by a second.
    """

    faults: list[Fault] = field(default_factory=list)
    lost_answers: set[int] = field(default_factory=set)
    ends_after: int | None = None
    polls: int = 0
    job_failures: list[JobFailedError] = field(default_factory=list)
    page_size: int = 1_000
    now: datetime = NOW
    views: set[str] = field(default_factory=set)
    expirations: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._database = duckdb.connect(config={"threads": 1})
        self._database.execute(f"SET TimeZone = 'UTC'; CREATE SCHEMA {DATASET}")
        self._lock = RLock()
        self._schemas: dict[str, list[JsonObject]] = {}
        self._creation_times: dict[str, int] = {}
        self._jobs: dict[str, StoredJob] = {}
        self._answered_count = 0
        self._during: tuple[str, Callable[[], object]] | None = None

    @classmethod
    def with_tables(cls, tables: Mapping[str, Mapping[str, Any]] = TABLES) -> "FakeBigQuery":
        """Return one with the tables that Terraform creates."""
        made = cls()
        for name, table in tables.items():
            made.create(name, table["schema"])
        return made

    def create(self, name: str, fields: list[JsonObject]) -> None:
        self._schemas[name] = fields
        self._creation_times[name] = round(self._tick().timestamp() * 1000)
        columns = ", ".join(
            f'"{each["name"]}" {_DUCKDB_TYPES[each["type"]]}{" NOT NULL" if each["mode"] == "REQUIRED" else ""}'
            for each in fields
        )
        self._database.execute(f'CREATE TABLE {DATASET}."{name}" ({columns})')

    def _tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def drop(self, name: str) -> None:
        del self._schemas[name]
        self._database.execute(f'DROP TABLE {DATASET}."{name}"')

    # What a test looks at

    def rows(self, name: str) -> list[tuple[str | None, ...]]:
        """The rows of a table as texts, in a fixed order."""
        columns = ", ".join(f'CAST("{each["name"]}" AS VARCHAR)' for each in self._schemas[name])
        with self._lock:
            return sorted(self._database.execute(f'SELECT {columns} FROM {DATASET}."{name}"').fetchall(), key=repr)

    @property
    def state(self) -> dict[str, list[tuple[str | None, ...]]]:
        """All rows, without what differs between runs that have the same effect."""
        columns = [each["name"] for each in self._schemas.get("loads", [])]
        kept = [position for position, name in enumerate(columns) if name not in _UNSTORABLE]
        state = {name: self.rows(name) for name in self._schemas if not name.endswith("_incoming")}
        loads = [tuple(row[position] for position in kept) for row in state.pop("loads", [])]
        return {**state, "loads": sorted(loads, key=repr)}

    @property
    def staging(self) -> list[str]:
        return [name for name in self._schemas if name.endswith("_incoming")]

    @property
    def uploaded_bytes(self) -> int:
        """The rows that were sent, in bytes."""
        return sum(len(_parts(request)[1]) for request in self.requests if "/upload/" in request.path)

    def while_running(self, beginning: str, action: Callable[[], object]) -> None:
        """Do something while the next statement with this beginning runs: it does not see what that changes.

        Two statements that insert rows do not conflict, in BigQuery and here.
        """
        self._during = (beginning, action)

    def forget_requests(self) -> None:
        self.requests.clear()
        self._answered_count = 0

    # The API

    def answer_to(self, request: Request) -> Answer:
        with self._lock:
            self._answered_count += 1
            number = self._answered_count
            if self.ends_after is not None and number > self.ends_after:
                return Answer(drop=True)
        for fault in self.faults:
            if (result := fault(request)) is not None:
                return result
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refusal(401, "authError", "Request had invalid authentication credentials")
        with self._lock:
            result = self._routed(request)
        return Answer(drop=True) if number in self.lost_answers else result

    def _routed(self, request: Request) -> Answer:
        path = [unquote(part) for part in urlsplit(request.path).path.split("/") if part]
        path = path[1:] if path[0] == "upload" else path
        assert path[:3] == ["bigquery", "v2", "projects"], request.path
        if path[3] != PROJECT:
            return refusal(404, "notFound", f"Not found: Project {path[3]}")
        match request.method, path[4:]:
            case "POST", ["jobs"]:
                return self._start(request)
            case "GET", ["jobs", job_id]:
                return self._shown(job_id)
            case "GET", ["queries", job_id]:
                return self._page(job_id, parse_qs(urlsplit(request.path).query))
            case method, ["datasets", dataset, *rest] if dataset == DATASET:
                return self._of_dataset(method, rest, request)
        return refusal(404, "notFound", f"Not found: {request.path}")

    def _of_dataset(self, method: str, path: Sequence[str], request: Request) -> Answer:
        match method, path:
            case "GET", []:
                return answer({"datasetReference": {"datasetId": DATASET}, "location": LOCATION})
            case "POST", ["tables"]:
                name = request.json["tableReference"]["tableId"]
                if name in self._schemas:
                    return refusal(409, "duplicate", f"Already Exists: Table {name}")
                self.create(name, request.json["schema"]["fields"])
                self.expirations[name] = request.json["expirationTime"]
                return answer({"type": "TABLE", "schema": request.json["schema"]})
            case "GET", ["tables", name] if name in self._schemas:
                kind = "VIEW" if name in self.views else "TABLE"
                created = str(self._creation_times[name])
                return answer({"type": kind, "schema": {"fields": self._schemas[name]}, "creationTime": created})
            case "DELETE", ["tables", name] if name in self._schemas:
                self.drop(name)
                return Answer(204)
        return refusal(404, "notFound", f"Not found: {'/'.join(path)}")

    def _start(self, request: Request) -> Answer:
        job, content = _parts(request) if "/upload/" in request.path else (request.json, b"")
        reference = job["jobReference"]
        job_id = reference["jobId"]
        assert reference["location"] == LOCATION
        if job_id in self._jobs:
            return refusal(409, "duplicate", f"Already Exists: Job {job_id}")
        try:
            if self.job_failures:
                raise self.job_failures.pop(0)
            rows = self._run(job["configuration"], content)
            self._jobs[job_id] = StoredJob({"state": "DONE"}, self.polls, rows, _statistics(job["configuration"], rows))
        except JobFailedError as failure:
            self._jobs[job_id] = StoredJob(failure.status, self.polls)
        return self._shown(job_id)

    def _shown(self, job_id: str) -> Answer:
        job = self._jobs.get(job_id)
        if job is None:
            return refusal(404, "notFound", f"Not found: Job {job_id}")
        status = job.status
        if job.polls_left:
            status = {"state": "PENDING" if job.polls_left > 1 else "RUNNING"}
            job.polls_left -= 1
        reference = {"jobId": job_id, "location": LOCATION}
        return answer({"jobReference": reference, "status": status, "statistics": job.statistics})

    def _page(self, job_id: str, query: Mapping[str, list[str]]) -> Answer:
        rows = self._jobs[job_id].rows
        start = int(query.get("pageToken", ["0"])[0])
        end = start + self.page_size
        return result_page(rows[start:end], len(rows), str(end) if end < len(rows) else None)

    def _run(self, configuration: JsonObject, content: bytes) -> Sequence[Sequence[object]]:
        if "load" in configuration:
            self._load(configuration["load"], content)
            return ()
        query = configuration["query"]
        parameters = {
            each["name"]: _value(each["parameterType"], each["parameterValue"]) for each in query["queryParameters"]
        }
        sql = query["query"].replace("CURRENT_TIMESTAMP()", "@present")
        if sql != query["query"]:
            parameters["present"] = self._tick()
        try:
            if self._during and sql.startswith(self._during[0]):
                return self._interrupted(sql, parameters)
            return self._database.execute(_translated(sql), parameters).fetchall()
        except duckdb.CatalogException as problem:
            raise JobFailedError("notFound", str(problem)) from None
        except duckdb.Error as problem:
            raise JobFailedError("invalidQuery", str(problem)) from None

    def _interrupted(self, sql: str, parameters: JsonObject) -> Sequence[Sequence[object]]:
        """Run a statement in a transaction that ends after something else was done by other requests."""
        assert self._during
        action, self._during = self._during[1], None
        transaction = self._database.cursor()
        transaction.execute("SET TimeZone = 'UTC'; BEGIN")
        rows = transaction.execute(_translated(sql), parameters).fetchall()
        self._lock.release()
        try:
            action()
        finally:
            self._lock.acquire()
        transaction.execute("COMMIT")
        return rows

    def _load(self, load: JsonObject, content: bytes) -> None:
        """Replace the content of a table; if one line is wrong, nothing is changed."""
        name, fields = load["destinationTable"]["tableId"], load["schema"]["fields"]
        assert load["sourceFormat"] == "NEWLINE_DELIMITED_JSON"
        assert load["writeDisposition"] == "WRITE_TRUNCATE"
        if problems := [problem for line in content.splitlines() for problem in _problems(json.loads(line), fields)]:
            raise JobFailedError("invalid", "Error while reading data", *problems)
        columns = ", ".join(f"'{each['name']}': '{_DUCKDB_TYPES[each['type']]}'" for each in fields)
        names = ", ".join(f'"{each["name"]}"' for each in fields)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.ndjson"
            path.write_bytes(content)
            source = (
                f"read_json('{path}', format='newline_delimited', maximum_object_size=100000000, columns={{{columns}}})"
            )
            self._database.execute(f'BEGIN; DELETE FROM {DATASET}."{name}"')
            try:
                self._database.execute(f'INSERT INTO {DATASET}."{name}" ({names}) SELECT {names} FROM {source}; COMMIT')
            except duckdb.Error as problem:
                self._database.execute("ROLLBACK")
                raise JobFailedError("invalid", str(problem)) from None


@cache
def _translated(sql: str) -> str:
    return sqlglot.transpile(sql.replace(f"{NAME}.", f"{DATASET}."), read="bigquery", write="duckdb")[0]


def _statistics(configuration: JsonObject, rows: Sequence[Sequence[object]]) -> JsonObject:
    """What a job's statement has changed. DuckDB counts all rows of a MERGE together."""
    kind = configuration.get("query", {}).get("query", "").partition(" ")[0]
    name = {"MERGE": "inserted", "UPDATE": "updated", "DELETE": "deleted"}.get(kind)
    return {"query": {"dmlStats": {f"{name}RowCount": str(rows[0][0])}}} if name and rows else {}


def _parts(request: Request) -> tuple[JsonObject, bytes]:
    """The two parts of an upload."""
    separator = b"--" + request.headers["Content-Type"].partition("boundary=")[2].encode()
    empty, job, rows, end = (b"\r\n" + request.body).split(b"\r\n" + separator)
    assert (empty, end.strip()) == (b"", b"--")
    return json.loads(job.partition(b"\r\n\r\n")[2]), rows.partition(b"\r\n\r\n")[2]


def _value(kind: JsonObject, value: JsonObject) -> Any:  # noqa: ANN401 - as many types as SQL
    match kind["type"]:
        case "ARRAY":
            return [_value(kind["arrayType"], each) for each in value["arrayValues"]]
        case "STRUCT":
            types = {each["name"]: each["type"] for each in kind["structTypes"]}
            return {name: _value(types[name], each) for name, each in value["structValues"].items()}
        case "INT64":
            return int(value["value"])
        case _:
            return value["value"]


def _problems(row: JsonObject, fields: Sequence[JsonObject]) -> Iterator[str]:
    names = {each["name"] for each in fields}
    yield from (f"no such field: {name}" for name in row.keys() - names)
    required = [each["name"] for each in fields if each["mode"] == "REQUIRED"]
    yield from (f"missing required field: {name}" for name in required if row.get(name) is None)


@contextmanager
def bigquery(tables: Mapping[str, Mapping[str, Any]] = TABLES) -> Iterator[FakeBigQuery]:
    """Start a BigQuery that has the tables that Terraform creates."""
    with listening(FakeBigQuery.with_tables(tables)) as fake:
        yield fake
