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
from support.facts import at, deployment, failed_deployment, incident
from support.golden_cases import CASES, load_case
from support.paths import ROOT
from support.property_cases import cases
from support.runs import run_action
from support.strategies import fact_lists
from support.tools import leave_out
from support.warehouse import COLUMNS, SCOPE, DuckDb, Key, Question, Row, compare, differing
from support.warehouse_questions import QUESTIONS, TEAMS, facts_at

DUCKDB_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ", "FLOAT": "DOUBLE"}
SESSIONS = [
    (zone, time_type)
    for zone in ("UTC", "Asia/Kathmandu", "America/Los_Angeles")
    for time_type in ("TIMESTAMPTZ", "TIMESTAMP")
]
"""Time zones of a session, and types of the columns that hold times."""
ARGUMENTS = {
    "with a time zone": "TIMESTAMPTZ '{:%Y-%m-%d %H:%M:%S}+00'",
    "without": "TIMESTAMP '{:%Y-%m-%d %H:%M:%S}'",
    "a text": "'{:%Y-%m-%dT%H:%M:%SZ}'",
    "a text without an offset": "'{:%Y-%m-%d %H:%M:%S}'",
    "a text without seconds": "'{:%Y-%m-%dT%H:%M}'",
    "a date": "DATE '{:%Y-%m-%d}'",
    "a text that is a date": "'{:%Y-%m-%d}'",
}
"""Ways to write midnight in UTC as an argument of a macro."""
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


@pytest.mark.parametrize(("zone", "time_type"), SESSIONS[1:])
@pytest.mark.parametrize("name", QUESTIONS)
def test_neither_the_session_nor_the_type_of_times_matters(
    name: str, zone: str, time_type: str, tmp_path: Path
) -> None:
    assert not differing(compare(QUESTIONS[name](), DuckDb(zone=zone, time_type=time_type), tmp_path))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Los_Angeles"])
@pytest.mark.parametrize("time_type", ["TIMESTAMPTZ", "TIMESTAMP"])
def test_an_argument_without_an_offset_is_in_utc(zone: str, time_type: str, tmp_path: Path) -> None:
    """The window is chosen so that a deployment is at its start and one at its end, both at midnight."""
    database = DuckDb(zone=zone, time_type=time_type)
    busy = QUESTIONS["busy"]()
    busy.write_rows(tmp_path)
    database.load(tmp_path)
    for function in ("metrics", "metrics_by_team", "metrics_pooled", "metrics_by_week"):
        expected = database.call(function, busy.window, busy.now)
        for name, form in ARGUMENTS.items():
            times = ", ".join(map(form.format, (busy.window.start, busy.window.end, busy.now)))
            assert database.select(f"SELECT * FROM {function}({times})") == expected, (function, name)


def test_an_argument_keeps_its_own_offset(tmp_path: Path) -> None:
    database = DuckDb(zone="America/Los_Angeles")
    busy = QUESTIONS["busy"]()
    busy.write_rows(tmp_path)
    database.load(tmp_path)
    times = "'2024-03-01T02:00:00+02:00', '2024-03-31 18:30:00-0530', '2024-04-02 20:00:00 America/New_York'"
    assert database.select(f"SELECT * FROM metrics({times})") == database.call("metrics", busy.window, busy.now)


@pytest.mark.parametrize(("zone", "time_type"), SESSIONS)
def test_views_without_arguments_do_not_depend_on_the_session(zone: str, time_type: str, tmp_path: Path) -> None:
    """Times come out with a time zone. The deployment is 10 minutes inside of the last 30 days, the incident as old."""
    database = DuckDb(zone=zone, time_type=time_type)
    now = datetime.now(UTC)
    began_at = now - timedelta(days=30) + timedelta(minutes=10)
    facts: list[Fact] = [
        failed_deployment(1, began_at.isoformat(), reached_users=True),
        incident(2, began_at.isoformat()),
    ]
    Question(facts, Policy(), parse_window("30d", Policy().zone), now).write_rows(tmp_path)
    database.load(tmp_path)
    (metrics,) = database.select("SELECT failed_deployments, incidents FROM metrics_30d")
    assert metrics == {"failed_deployments": 1, "incidents": 1}
    (open_incident,) = database.select("SELECT open_seconds / 86400 AS days, detected_at FROM open_incidents")
    assert open_incident["days"] == pytest.approx(30 - 10 / 1440, abs=0.03)
    assert open_incident["detected_at"] == began_at
    (failure,) = database.select("SELECT failed_at FROM failures")
    assert failure["failed_at"] == began_at
    starts = database.select("SELECT DISTINCT extract(hour FROM starts_at AT TIME ZONE 'UTC') AS h FROM metrics_weekly")
    assert starts == [{"h": 0}]


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


@pytest.mark.parametrize(("zone", "time_type"), [SESSIONS[0], ("Asia/Kathmandu", "TIMESTAMP")])
def test_the_conformance_collection(zone: str, time_type: str, tmp_path: Path) -> None:
    database = DuckDb(zone=zone, time_type=time_type)
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
