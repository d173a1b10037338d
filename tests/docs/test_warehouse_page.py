"""The queries and commands of docs/warehouse.md run, and its tables are those of the code."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path

import duckdb
import pytest
import sqlglot
import warehouse_page

from dora_metrics.cli import run
from dora_metrics.commands.demo import NOW
from dora_metrics.core.policy import Policy
from dora_metrics.core.teams import Teams
from dora_metrics.core.windows import parse_instant, parse_window
from dora_metrics.runtime import Runtime
from support.facts import change, deployment, incident, vulnerability
from support.paths import ROOT
from support.postgres import Postgres, postgres
from support.warehouse import DuckDb, Question
from support.warehouse_questions import SAMPLE, facts_at

PAGE = warehouse_page.PAGE.read_text("utf-8")
QUERIES = {
    question.strip(" *"): query
    for question, query in re.findall(r"^\*\*(.*?\?)\*\*.*?^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
}


def rows_of_the_page(folder: Path) -> None:
    """The sample, and what it lacks: an open incident and alert, a deployment in the last 30 days."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    recent = (
        deployment(901, yesterday.isoformat(), changes=[901]),
        change(901, (yesterday - timedelta(days=2)).isoformat(), merged_at=(yesterday - timedelta(days=1)).isoformat()),
        incident(902, yesterday.isoformat()),
        vulnerability(903, yesterday.isoformat()),
    )
    policy = Policy(teams=Teams.parse({"shop": "acme/shop"}))
    window = parse_window("30d", policy.zone)
    Question([*facts_at(SAMPLE), *recent], policy, window, datetime.now(UTC)).write_rows(folder)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    rows_of_the_page(folder)
    return folder


@pytest.fixture(scope="module")
def duck(rows: Path) -> DuckDb:
    database = DuckDb()
    database.load(rows)
    return database


@pytest.fixture(scope="module")
def server(rows: Path) -> Iterator[Postgres]:
    with postgres() as database:
        database.load(rows)
        yield database


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> DuckDb:
    """Two services that share an alert, and metrics of two earlier days besides, as in BigQuery."""
    folder = tmp_path_factory.mktemp("crowded")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    facts = (
        deployment(901, yesterday),
        deployment(904, yesterday, service="web"),
        vulnerability(903, yesterday, service=None),
    )
    Question(facts, Policy(), parse_window("30d", Policy().zone), datetime.now(UTC)).write_rows(folder)
    today = [json.loads(line) for line in (folder / "metrics.ndjson").read_text("utf-8").splitlines()]
    earlier = [{**row, "day": day} for row in today for day in ("2026-01-01", "2026-01-02")]
    (folder / "metrics.ndjson").write_text("\n".join(json.dumps(row) for row in [*earlier, *today]), "utf-8")
    database = DuckDb()
    database.load(folder)
    return database


def test_an_alert_that_scopes_share_is_counted_once(crowded: DuckDb) -> None:
    assert crowded.select("SELECT count(*) AS rows, count(DISTINCT id) AS alerts FROM vulnerabilities") == [
        {"rows": 2, "alerts": 1}
    ]
    (row,) = crowded.select(QUERIES["Which security alerts are open, and since when?"])
    assert row["alerts"] == 1


def test_earlier_days_are_not_shown_beside_the_last_one(crowded: DuckDb) -> None:
    levels = crowded.select(QUERIES["What is the level of each service, and how certain is it?"])
    keys = [(row["service"], row["environment"], row["window_name"]) for row in levels]
    assert len(keys) == len(set(keys)) == 6
    assert {str(row["day"]) for row in levels} == {f"{datetime.now(UTC):%Y-%m-%d}"}


@pytest.mark.parametrize("question", QUERIES)
def test_a_query_that_names_services_names_their_environments(duck: DuckDb, question: str) -> None:
    """Otherwise numbers of two environments are in one row, or in two that look the same."""
    columns = {name for row in duck.select(QUERIES[question]) for name in row}
    assert "service" not in columns or "environment" in columns


def test_its_tables_are_those_of_the_rows_and_views() -> None:
    """`make schema` writes them."""
    assert warehouse_page.filled(PAGE) == PAGE


def test_every_query_answers_a_question() -> None:
    assert len(QUERIES) == len(re.findall(r"^```sql$", PAGE, re.MULTILINE)) > 10


@pytest.mark.parametrize("question", QUERIES)
def test_a_query_has_an_answer_in_duckdb(duck: DuckDb, question: str) -> None:
    assert duck.select(QUERIES[question])


@pytest.mark.parametrize("question", QUERIES)
def test_a_query_has_an_answer_in_postgresql(server: Postgres, question: str) -> None:
    assert server.select(QUERIES[question])


@pytest.mark.parametrize("question", QUERIES)
def test_a_query_is_understood_as_bigquery_writes_it(question: str) -> None:
    """No function of another database: what a parser of BigQuery's dialect reads, it writes again as it was."""
    query = sqlglot.parse_one(QUERIES[question], read="bigquery")
    assert sqlglot.parse_one(query.sql("bigquery"), read="bigquery") == query


def test_the_commands_for_duckdb(tmp_path: Path) -> None:
    commands = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0].splitlines()
    (tmp_path / "sql").symlink_to(ROOT / "sql")
    to_rows = (
        commands[0].replace("build/demo/ledger", str(SAMPLE)).replace("build/rows", str(tmp_path / "build" / "rows"))
    )
    runtime = Runtime({}, BytesIO(), StringIO(), StringIO(), parse_instant(NOW), lambda _: None)
    assert run(shlex.split(to_rows)[1:], runtime) == 0
    shell, _, _ = commands[1].partition(" | duckdb ")
    script = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"SET file_search_path = '{tmp_path / 'build' / 'rows'}'")
    connection.execute(script)
    query = commands[2].partition('"')[2].removesuffix('"')
    assert len(connection.execute(query).fetchall()) == 1


def test_the_command_for_postgresql(server: Postgres, rows: Path, tmp_path: Path) -> None:
    (command,) = re.findall(r"^cd build/rows && .*psql.*$", PAGE, re.MULTILINE)
    (tmp_path / "sql").symlink_to(ROOT / "sql")
    shutil.copytree(rows, tmp_path / "build" / "rows")
    environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, check=True)


def test_the_command_for_bigquery_names_the_dataset_everywhere() -> None:
    (substitution,) = re.findall(r"^  (sed '.*') \"\$view\"", PAGE, re.MULTILINE)
    for path in sorted((ROOT / "sql" / "bigquery").iterdir()):
        ran = subprocess.run(["bash", "-c", f"{substitution} {path}"], capture_output=True, text=True, check=True)
        assert ran.stdout == path.read_text("utf-8").replace("${dataset}", "acme-metrics.dora")
