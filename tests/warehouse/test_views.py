"""Every number of the views is the one of `compute`: rows go through a database and are compared cell by cell."""

import json
import runpy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dora_metrics.commands.demo import NOW
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.policy import FAILURE_RULES, Policy
from dora_metrics.core.windows import Window, parse_instant, parse_window
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.sources import fact_files
from support.facts import at, deployment
from support.golden_cases import CASES, load_case
from support.paths import ROOT
from support.property_cases import cases
from support.runs import run_action
from support.strategies import fact_lists
from support.tools import leave_out
from support.warehouse import COLUMNS, SCOPE, DuckDb, Key, Question, Row, compare, differing
from support.warehouse_questions import QUESTIONS, TEAMS, facts_at

DUCKDB_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ", "FLOAT": "DOUBLE"}
CONFORMANCE = ROOT.parent / "shared" / "conformance" / "run.py"

policies = st.builds(
    Policy,
    failure_rules=st.frozensets(st.sampled_from(FAILURE_RULES)),
    count_failed_runs=st.booleans(),
    lead_time_start=st.sampled_from(["first-commit", "commit", "opened", "merged"]),
    exclude_bots=st.booleans(),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles"]).map(ZoneInfo),
    teams=st.sampled_from([None, TEAMS]),
)
windows = st.sampled_from(["30d", "all", "90m", "2024-03-01..2024-04-01", "2024-03-05T12:00:00Z..2024-03-05T12:00:01Z"])


@pytest.fixture(scope="module")
def database() -> DuckDb:
    return DuckDb()


def question_of(facts: list[Fact], layers: tuple[Layer, ...], now: str) -> Question:
    chosen = load_settings(layers)
    return Question(facts, chosen.policy, chosen.window_spec, parse_instant(now))


@settings(max_examples=cases(40))
@given(fact_lists(), policies, windows, st.sampled_from(["03-20", "04-01", "05-01T10:00"]))
def test_random_facts(database: DuckDb, facts: list[Fact], policy: Policy, window: str, now: str) -> None:
    question = Question(facts, policy, parse_window(window, policy.zone), at(now))
    with TemporaryDirectory() as folder:
        assert not differing(compare(question, database, Path(folder)))


@pytest.mark.parametrize("name", QUESTIONS)
def test_chosen_questions(database: DuckDb, name: str, tmp_path: Path) -> None:
    cells = compare(QUESTIONS[name](), database, tmp_path)
    assert len(cells) > len(COLUMNS)
    assert not differing(cells)


@pytest.mark.parametrize("name", CASES)
def test_golden_cases(database: DuckDb, name: str, tmp_path: Path) -> None:
    """The rows are made of the ledger that the run of the case leaves, and the numbers are those that it published."""
    case = load_case(name)
    case.write_ledger(tmp_path)
    published = json.loads(run_action(tmp_path, case.event, case.payload, case.inputs, now=case.now).outputs["metrics"])
    question = question_of(facts_at(tmp_path / "ledger"), (Layer("test", case.inputs),), published["generated_at"])
    assert metrics_of(json.loads(msgspec.json.encode(question.document))) == metrics_of(published)
    assert not differing(compare(question, database, tmp_path))


def test_the_function_works_beside_its_namesake_in_tables_of_another_making(tmp_path: Path) -> None:
    """The tables are those of Terraform. Arguments are times or texts, by position or by name."""
    question = QUESTIONS["sample"]()
    question.write_rows(tmp_path)
    connection = duckdb.connect(config={"threads": 1})
    for name, table in json.loads((ROOT / "terraform" / "tables.json").read_text("utf-8")).items():
        types = {column["name"]: DUCKDB_TYPES.get(column["type"], column["type"]) for column in table["schema"]}
        connection.execute(f"CREATE TABLE {name} ({', '.join(f'{column} {types[column]}' for column in types)})")
        if (rows := tmp_path / f"{name}.ndjson").exists():
            connection.execute(f"COPY {name} FROM '{rows}' (FORMAT json)")
    connection.execute((ROOT / "sql" / "duckdb" / "metrics.sql").read_text("utf-8"))
    times = [question.window.start, question.window.end, question.now]
    by_position = connection.execute("SELECT deployments, lead_p50_seconds FROM metrics(?, ?, ?)", times).fetchall()
    named = ", ".join(
        f"\"{name}\" := '{time.isoformat()}'" for name, time in zip(("from", "to", "now"), times, strict=True)
    )
    assert by_position == [(9, 95898.0)]
    assert connection.execute(f"SELECT deployments, lead_p50_seconds FROM metrics({named})").fetchall() == by_position
    assert connection.execute("SELECT DISTINCT window_name FROM metrics ORDER BY 1").fetchall()[0] == ("30d",)


def test_the_last_30_days_are_those_before_now(database: DuckDb, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    finished_at = {number: now - timedelta(days=number) for number in (1, 29, 31)}
    facts = [deployment(number, time.isoformat()) for number, time in finished_at.items()]
    Question(facts, Policy(), parse_window("30d", Policy().zone), now).write_rows(tmp_path)
    database.load(tmp_path)
    (row,) = database.select("SELECT deployments, days FROM metrics_30d")
    assert row == {"deployments": 2, "days": 30.0}


def test_weeks_begin_with_the_first_deployment_of_the_scope(database: DuckDb, tmp_path: Path) -> None:
    question = QUESTIONS["all that is busy"]()
    question.write_rows(tmp_path)
    database.load(tmp_path)
    every_week = Window(datetime(1970, 1, 1, tzinfo=UTC), question.window.end)
    columns = f"{', '.join(SCOPE)}, CAST(week AS VARCHAR) AS week, deployments, lead_p50_seconds"
    by_week = {week_key(row): row for row in database.call("metrics_by_week", every_week, question.now, columns)}
    weekly = {week_key(row): row for row in database.select(f"SELECT {columns} FROM metrics_weekly")}
    assert min(str(key[-1]) for key in weekly) == "2024-02-05"
    assert all(weekly[key] == row for key, row in by_week.items() if row["deployments"])
    first_by_repository = {key[0]: key[-1] for key in sorted(weekly, reverse=True)}
    assert first_by_repository["acme/shop"] == "2024-02-19"
    assert first_by_repository["acme/api"] == "2024-03-04"


def week_key(row: Row) -> Key:
    return tuple(str(row[name]) for name in (*SCOPE, "week"))


def test_failures_and_open_incidents_are_those_of_all_time(database: DuckDb, tmp_path: Path) -> None:
    question = QUESTIONS["busy"]()
    question.write_rows(tmp_path)
    database.load(tmp_path)
    histories = question.evaluation.histories
    failures = {failure.deployment.id: failure for history in histories for failure in history.failures}
    rows = database.select("SELECT deployment, failure_rule, recovery_seconds, is_open FROM failures")
    assert {row["deployment"]: (row["failure_rule"], row["recovery_seconds"], row["is_open"]) for row in rows} == {
        id_: (failure.rule, failure.recovery_seconds, failure.recovered_at is None) for id_, failure in failures.items()
    }
    incidents = [each.incident for history in histories for each in history.incidents if not each.incident.resolved_at]
    open_rows = database.select("SELECT incident, team, open_seconds > 0 AS has_begun FROM open_incidents")
    assert {row["incident"] for row in open_rows} == {incident.id for incident in incidents}
    assert all(row["has_begun"] for row in open_rows)


def metrics_of(document: Any) -> dict[tuple[str, ...], Any]:  # noqa: ANN401 - JSON
    return {tuple(scope[name] for name in SCOPE): (scope["metrics"], scope["previous"]) for scope in document["scopes"]}


def test_the_conformance_collection(database: DuckDb, tmp_path: Path) -> None:
    if not CONFORMANCE.is_file():
        leave_out("there is no ../shared/conformance beside this checkout")
    questions = dict(conformance_questions(tmp_path))
    differences = {name: differing(compare(each, database, tmp_path)) for name, each in questions.items()}
    assert len(questions) >= 30
    assert not {name: cells for name, cells in differences.items() if cells}


def conformance_questions(folder: Path) -> Iterator[tuple[str, Question]]:
    """Yield the cases that are answered with numbers, by name."""
    runner = runpy.run_path(str(CONFORMANCE))
    for case in runner["load_cases"]():
        for number, run in enumerate(runner["runs_of"](case)):
            if "raw" not in run and "expect_exit" not in case:
                location, stdin = runner["write_input"](folder, case, run)
                read = fact_files.read(location, BytesIO(stdin or b""))
                arguments = run["args"]
                flags = {**arguments.get("flags", {}), **{n: arguments[n] for n in ("window",) if n in arguments}}
                layers = (Layer("config", arguments.get("config", {})), Layer("flags", flags))
                yield f"{case['name']} {number}", question_of(read.facts, layers, arguments.get("now", NOW))
