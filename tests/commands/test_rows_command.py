"""`dora-metrics rows`: files that a database loads, with what `compute` has as evidence; and bad input."""

import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from dora_metrics.cli import run
from dora_metrics.commands.demo import NOW
from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.core.rows.loads import LOADS
from dora_metrics.core.rows.tables import TABLES
from dora_metrics.runtime import Runtime
from fakes.github import FakeGitHub
from support.facts import at, change, deployment, deployment_id, incident
from support.git_repository import GitRepository, two_releases
from support.paths import ROOT
from support.runs import deployment_status, run_action

SAMPLE = str(files("dora_metrics") / "sample" / "ledger")
GOLDEN = sorted(path.parent for path in (ROOT / "tests" / "golden").glob("*/facts.jsonl"))
SCHEMA = json.loads((ROOT / "schema" / "rows.schema.json").read_text("utf-8"))
FILES = [f"{table.name}.ndjson" for table in (*TABLES, LOADS)]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def run_command(*arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Ran:
    out, err = StringIO(), StringIO()
    code = run(arguments, Runtime(environment or {}, BytesIO(stdin), out, err, at("04-01"), lambda _: None))
    return Ran(code, out.getvalue(), err.getvalue())


def write_facts(path: Path, *facts: Any) -> str:  # noqa: ANN401
    path.write_bytes(b"".join(encode_fact(fact) + b"\n" for fact in facts))
    return str(path)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_git_clone_has_rows_too(empty_folder: Path) -> None:
    clone = GitRepository.create(empty_folder / "clone")
    two_releases(clone)
    ran = run_command("rows", "--git", str(clone.folder), "--to", "rows", "--window", "all")
    assert ran.code == 0, ran.err
    deployments = [json.loads(line) for line in (empty_folder / "rows" / "deployments.ndjson").read_text().splitlines()]
    (scope,) = [json.loads(line) for line in (empty_folder / "rows" / "scopes.ndjson").read_text().splitlines()]
    assert [row["source"] for row in deployments] == ["git", "git"]
    assert not scope["knows_incidents"]


# What DuckDB reads from the files


class Warehouse:
    """The files of a folder as tables of DuckDB, with the types of `terraform/tables.json`."""

    def __init__(self, folder: Path) -> None:
        self._database = duckdb.connect()
        self._database.execute("SET TimeZone = 'UTC'")
        tables = json.loads((ROOT / "terraform" / "tables.json").read_text("utf-8"))
        for name, table in tables.items():
            columns = {column["name"]: DUCKDB_TYPES[column["type"]] for column in table["schema"]}
            source = f"read_json('{folder}/{name}.ndjson', format = 'newline_delimited', columns = {columns})"
            self._database.execute(f"CREATE TABLE {name} AS SELECT * FROM {source}")
            for column in table["schema"]:
                if column["mode"] == "REQUIRED":
                    assert self(f"SELECT count(*) FROM {name} WHERE {column['name']} IS NULL") == [(0,)]

    def __call__(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._database.execute(query, parameters).fetchall()


DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "TIMESTAMP": "TIMESTAMPTZ",
    "DATE": "DATE",
    "BOOLEAN": "BOOLEAN",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "JSON": "JSON",
}
TEXT_OF_TIME = "strftime({}, '%Y-%m-%dT%H:%M:%SZ')"


def cases() -> Iterator[Any]:
    yield pytest.param(SAMPLE, NOW, id="sample")
    for folder in GOLDEN:
        now = json.loads((folder / "case.json").read_text("utf-8"))["now"]
        yield pytest.param(str(folder / "facts.jsonl"), now, id=folder.name)


@pytest.mark.parametrize(("facts", "now"), list(cases()))
@pytest.mark.parametrize(
    "options", [(), ("--timezone", "Asia/Tokyo", "--lead-time-start", "commit", "--window", "90d")]
)
def test_a_window_of_the_tables_is_the_evidence_that_compute_prints(
    facts: str, now: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    arguments = ("--facts", facts, "--now", now, *options)
    document = json.loads(run_command("compute", *arguments, "--format", "json").out)
    assert run_command("rows", *arguments, "--to", str(tmp_path / "rows")).code == 0
    warehouse = Warehouse(tmp_path / "rows")
    window = (document["window"]["from"], document["window"]["to"])
    for scope in document["scopes"]:
        key = (scope["repository"], scope["service"], scope["environment"])
        evidence = scope["evidence"]
        finished, recovered = TEXT_OF_TIME.format("finished_at"), TEXT_OF_TIME.format("recovered_at")
        assert warehouse(
            _in_scope(f"id, sha, {finished}, status, commit_count", "deployments", "finished_at"), *key, *window
        ) == [
            (each["deployment"], each["sha"], each["finished_at"], each["status"], each["commit_count"])
            for each in evidence["deployments"]
        ]
        failures = f"id, failure_rule, failure_because, remediated_by, {recovered}"
        assert warehouse(_in_scope(failures, "deployments", "finished_at", "failed"), *key, *window) == [
            (each["deployment"], each["rule"], each["because"], each["remediated_by"], each["recovered_at"])
            for each in evidence["failed_deployments"]
        ]
        measured = _in_scope("change, deployment, seconds, sha", "lead_times", "deployed_at", "excluded IS NULL")
        assert warehouse(measured, *key, *window) == [
            (each["change"], each["deployment"], each["seconds"], each.get("sha")) for each in evidence["lead_times"]
        ]
        unmatched = _in_scope("id, because", "incidents", "detected_at", "deployment IS NULL")
        assert warehouse(unmatched, *key, *window) == [
            (each["incident"], each["because"]) for each in evidence["unmatched_incidents"]
        ]
    assert warehouse("SELECT count(*) FROM scopes") == [(len(document["scopes"]),)]
    seconds = TEXT_OF_TIME.format("observed_at")
    assert warehouse(f"SELECT count(*) FROM facts WHERE {seconds} != left(fact->>'observed_at', 19) || 'Z'") == [(0,)]


def _in_scope(columns: str, table: str, time: str, condition: str = "true") -> str:
    scope = "repository = ? AND service = ? AND environment = ?"
    window = f"{time} >= ?::TIMESTAMPTZ AND {time} < ?::TIMESTAMPTZ"
    return f"SELECT {columns} FROM {table} WHERE {scope} AND {window} AND {condition} ORDER BY rowid"


@pytest.mark.parametrize(("facts", "now"), list(cases()))
def test_every_line_is_as_the_schema_says(facts: str, now: str, tmp_path: Path) -> None:
    run_command("rows", "--facts", facts, "--now", now, "--to", str(tmp_path / "rows"))
    for table in TABLES:
        validator = Draft202012Validator({**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{table.name}"}]})
        for line in (tmp_path / "rows" / f"{table.name}.ndjson").read_bytes().splitlines()[:200]:
            row = json.loads(line)
            validator.validate(row)
            assert list(row) == [column.name for column in table.columns]


# Files


def test_it_says_how_many_rows_each_table_has(tmp_path: Path) -> None:
    facts = write_facts(tmp_path / "facts.jsonl", deployment(1), change(1), incident(1))
    ran = run_command("rows", "--facts", facts, "--to", "rows")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "rows/scopes.ndjson: 1 row",
        "rows/deployments.ndjson: 1 row",
        "rows/lead_times.ndjson: 0 rows",
        "rows/incidents.ndjson: 1 row",
        "rows/streaks.ndjson: 0 rows",
        "rows/vulnerabilities.ndjson: 0 rows",
        "rows/metrics.ndjson: 3 rows",
        "rows/facts.ndjson: 3 rows",
        "rows/week_starts.ndjson: 1,358 rows",
    ]


def test_the_same_facts_give_the_same_bytes_however_they_are_split_into_files(tmp_path: Path) -> None:
    facts = [deployment(2, "03-06", changes=(1,)), incident(1), change(1), deployment(1)]
    (tmp_path / "split").mkdir()
    for number, fact in enumerate(reversed(facts)):
        write_facts(tmp_path / "split" / f"{number}.jsonl", fact)
    run_command("rows", "--facts", write_facts(tmp_path / "facts.jsonl", *facts), "--to", "once")
    run_command("rows", "--facts", "split", "--to", "twice")
    assert contents(Path("once")) == contents(Path("twice"))
    assert sorted(contents(Path("once"))) == sorted(FILES)


def test_no_facts_give_empty_tables_and_all_weeks(tmp_path: Path) -> None:
    ran = run_command("rows", "--facts", "-", "--to", "rows")
    assert ran.code == 0
    assert ran.err.startswith("dora-metrics: Standard input holds no facts.")
    sizes = {name: len(content.splitlines()) for name, content in contents(tmp_path / "rows").items()}
    assert sizes == {**dict.fromkeys(FILES, 0), "week_starts.ndjson": 1358}


def test_older_files_are_replaced_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "deployments.ndjson").write_text("old\n" * 1000)
    (folder / "notes.txt").write_text("mine")
    run_command("rows", "--facts", write_facts(tmp_path / "facts.jsonl", deployment(1)), "--to", "rows")
    assert json.loads((folder / "deployments.ndjson").read_text())["id"] == deployment_id(1)
    assert sorted(contents(folder)) == sorted([*FILES, "notes.txt"])


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    folder, secret = tmp_path / "rows", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("mine")
    (folder / "scopes.ndjson").symlink_to(secret)
    (folder / ".scopes.ndjson.new").symlink_to(secret)
    assert run_command("rows", "--facts", SAMPLE, "--to", "rows").code == 0
    assert secret.read_text() == "mine"
    assert stat.S_ISREG((folder / "scopes.ndjson").lstat().st_mode)
    assert sorted(contents(folder)) == sorted(FILES)


def test_the_settings_of_the_file_and_of_options_count(tmp_path: Path) -> None:
    facts = write_facts(tmp_path / "facts.jsonl", deployment(1, "03-05T23:30"))
    Path("dora.yml").write_text("timezone: Asia/Tokyo\nteams: {checkout: acme/*}\n")
    run_command("rows", "--facts", facts, "--config", "dora.yml", "--window", "12w", "--to", "rows")
    (scope,) = (json.loads(line) for line in Path("rows/scopes.ndjson").read_text().splitlines())
    assert (scope["team"], scope["timezone"]) == ("checkout", "Asia/Tokyo")
    assert json.loads(Path("rows/deployments.ndjson").read_text())["day"] == "2024-03-06"
    windows = [json.loads(line)["window_name"] for line in Path("rows/metrics.ndjson").read_text().splitlines()]
    assert windows == ["7d", "30d", "90d", "12w"]


# A ledger


def test_a_ledger_gives_the_rows_of_its_facts_and_is_not_changed() -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in Path(SAMPLE).rglob("*") if path.is_file()}
    from_ledger = run_command("rows", "--ledger", f"dir:{SAMPLE}", "--now", NOW, "--to", "one")
    assert (from_ledger.code, from_ledger.err) == (0, "")
    run_command("rows", "--facts", SAMPLE, "--now", NOW, "--to", "two")
    assert contents(Path("one")) == contents(Path("two"))
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in Path(SAMPLE).rglob("*") if path.is_file()}
    assert before == after


def test_settings_of_a_checkout_that_rows_do_not_use_are_not_mentioned() -> None:
    Path(".github").mkdir()
    Path(".github/dora.yml").write_text("timezone: Asia/Tokyo\nendpoint-url: https://endpoint.example\n")
    ran = run_command("rows", "--ledger", f"dir:{SAMPLE}", "--now", NOW, "--to", "rows")
    assert (ran.code, ran.err) == (0, "")
    (scope,) = map(json.loads, Path("rows/scopes.ndjson").read_bytes().splitlines())
    assert scope["timezone"] == "Asia/Tokyo"


def ledger(folder: Path, *lines: bytes) -> str:
    (folder / "facts" / "2024").mkdir(parents=True)
    (folder / "facts" / "2024" / "03.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return f"dir:{folder}"


def test_a_ledger_on_a_branch_is_only_read(tmp_path: Path) -> None:
    with FakeGitHub() as github:
        github.repository("acme/shop").commit({"a": "1"}, message="Begin")
        access = {"ledger": "branch:dora", "github-token": github.token}
        url = {"GITHUB_API_URL": github.api_url}
        run_action(tmp_path, "deployment_status", deployment_status(1), access, environment=url)
        github.requests.clear()
        environment = {**url, "GITHUB_TOKEN": github.token, "GITHUB_WORKSPACE": str(tmp_path)}
        place = ("--ledger", "branch:dora@acme/shop", "--to", "rows")
        ran = run_command("rows", *place, "--now", "2026-11-21T12:00:00Z", environment=environment)
        operations = [request.operation for request in github.requests]
    assert (ran.code, ran.err) == (0, "")
    assert operations == ["Ledger"]
    (row,) = map(json.loads, Path("rows/deployments.ndjson").read_bytes().splitlines())
    assert (row["repository"], row["status"]) == ("acme/shop", "success")


def test_a_branch_that_is_missing_is_an_error_and_leaves_the_tables_as_they_are(tmp_path: Path) -> None:
    with FakeGitHub() as github:
        github.repository("acme/shop").commit({"a": "1"}, message="Begin")
        environment = {
            "GITHUB_API_URL": github.api_url,
            "GITHUB_TOKEN": github.token,
            "GITHUB_WORKSPACE": str(tmp_path),
        }
        ran = run_command("rows", "--ledger", "branch:dora@acme/shop", "--to", "rows", environment=environment)
    problem = "branch:dora of acme/shop is missing or empty; check the name, or create it with 'dora-metrics sync'"
    assert (ran.code, ran.err) == (2, f"dora-metrics: {problem}\n")
    assert not Path("rows").exists()


def test_a_ledger_without_facts_gives_empty_tables_and_a_note(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "README.md").write_text("# The ledger of dora-metrics\n")
    ran = run_command("rows", "--ledger", "dir:ledger", "--to", "rows")
    assert (ran.code, ran.err) == (0, "dora-metrics: dir:ledger holds no facts, so the tables are empty.\n")


def test_records_of_a_newer_version_are_in_no_row_and_a_note_says_so(tmp_path: Path) -> None:
    newer = b'{"id":"new:1","kind":"approval","observed_at":"2024-03-05T00:00:00Z","v":2}'
    place = ledger(tmp_path / "ledger", encode_fact(deployment(1)), newer)
    ran = run_command("rows", "--ledger", place, "--to", "rows")
    assert ran.code == 0
    assert ran.err == (
        "dora-metrics: 1 record of a kind or version that this program does not know is not counted (approval).\n"
    )
    assert len(Path("rows/facts.ndjson").read_bytes().splitlines()) == 1


def test_a_line_of_a_ledger_that_is_no_fact_is_named(tmp_path: Path) -> None:
    place = ledger(tmp_path / "ledger", encode_fact(deployment(1)), *[b"{"] * 21)
    ran = run_command("rows", "--ledger", place, "--to", "rows")
    assert ran.code == 0
    first, *_, last = ran.err.splitlines()
    assert first.startswith("dora-metrics: facts/2024/03.jsonl:2: not a complete JSON object")
    assert first.endswith("; the line is in no row")
    assert last == "dora-metrics: and 1 more such lines"


# Bad input


def test_lines_that_are_no_facts_are_named_as_compute_names_them(tmp_path: Path) -> None:
    facts = write_facts(tmp_path / "facts.jsonl", deployment(1))
    with Path(facts).open("ab") as file:
        file.write(b'{"kind":"deployment"}\n')
    ran = run_command("rows", "--facts", facts, "--to", "rows")
    assert (ran.code, ran.err) == (2, run_command("compute", "--facts", facts).err)
    assert not Path("rows").exists()


HINT = "run 'dora-metrics rows --help' for usage"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("", "rows: --to is missing"),
        ("--to x", "rows: --facts, --git or --ledger is missing"),
        ("--to x --facts - --ledger dir:y", "rows: --facts and --ledger exclude each other"),
        ("--to x --git . --ledger dir:y", "rows: --git and --ledger exclude each other"),
    ],
)
def test_wrong_arguments_are_named_with_where_the_options_are_listed(arguments: str, problem: str) -> None:
    ran = run_command("rows", *arguments.split())
    assert (ran.code, ran.err.splitlines()) == (2, [f"dora-metrics: {problem}", f"dora-metrics: {HINT}"])


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ("--ledger here", "--ledger: 'here' is not a valid ledger; write branch:NAME"),
        ("--ledger none", "--ledger none has no facts; write dir:PATH or branch:NAME@OWNER/NAME"),
        ("--ledger dir:y", "dir:y: there is no ledger."),
        ("--ledger branch:dora@acme/shop", "GITHUB_TOKEN is not set, so the ledger's branch cannot be read."),
        ("--ledger branch:dora --repository shop", "--repository 'shop' is not OWNER/NAME"),
        ("--facts - --window 2025-01-01..2026-01-01", "window: '2025-01-01..2026-01-01' starts in the future"),
        ("--facts nowhere", "nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_written(arguments: str, start: str) -> None:
    ran = run_command("rows", "--to", "x", *arguments.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"dora-metrics: {start}")
    assert len(ran.err.splitlines()) == 1
    assert not Path("x").exists()


def test_a_folder_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"x")
    ran = run_command("rows", "--ledger", "dir:photos", "--to", "x")
    expected = "dora-metrics: dir:photos is not a ledger; name the branch or the folder that the action writes to\n"
    assert (ran.code, ran.err) == (2, expected)


@pytest.mark.parametrize("problem", ["a file", "a folder in the place of a table"])
def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(problem: str, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    if problem == "a file":
        folder.write_text("mine")
        refused = "rows cannot be written (File exists)"
    else:
        (folder / "scopes.ndjson").mkdir(parents=True)
        refused = "rows: scopes.ndjson cannot be written (Is a directory)"
    ran = run_command("rows", "--facts", SAMPLE, "--to", "rows")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        f"dora-metrics: --to {refused}",
        "dora-metrics: choose a folder you can write to",
    ]


@pytest.mark.parametrize("to", ["", "-"])
def test_nothing_and_standard_output_are_no_folder(to: str, tmp_path: Path) -> None:
    ran = run_command("rows", "--facts", SAMPLE, "--to", to)
    assert ran.code == 2
    assert ran.err.startswith(f"dora-metrics: rows: --to {to!r} is not a folder; there is a file for each table\n")
    assert not list(tmp_path.iterdir())


def test_reading_a_branch_asks_for_a_token_that_reads() -> None:
    ran = run_command("rows", "--ledger", "branch:dora@acme/shop", "--to", "x")
    assert "Set it to a token that can read the branch, or use --ledger dir:PATH." in ran.err


def test_ten_thousand_repositories_of_which_ten_have_facts(tmp_path: Path) -> None:
    names = [f"acme/service-{number}" for number in range(10_000)]
    records = [
        json.dumps({
            "kind": "repository", "id": f"github:repository:{number}", "repository": name, "names": [name],
            "observed_at": "2024-03-01T00:00:00Z",
        }).encode()
        for number, name in enumerate(names)
    ]  # fmt: skip
    deployed = [deployment(number, repository=names[number], service=None) for number in range(10)]
    (tmp_path / "facts.jsonl").write_bytes(b"\n".join([*records, *map(encode_fact, deployed)]))
    ran = run_command("rows", "--facts", "facts.jsonl", "--to", "rows")
    assert ran.code == 0
    assert ran.out.splitlines()[:2] == ["rows/scopes.ndjson: 10 rows", "rows/deployments.ndjson: 10 rows"]
