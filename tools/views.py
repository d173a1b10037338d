"""Write the SQL of the warehouse: `sql/source/`, in BigQuery's dialect, becomes views and functions in three dialects.

Each object is a file and reads tables only. So the files of a dialect may be run in any order, and Terraform can take
the query from between the parentheses. `sql/load/` has what creates and fills the tables where no sink does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
import sqlglot
from sqlglot import exp

from dora_metrics.core.rows.tables import TABLES, Column, WarehouseTable

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "sql"
SOURCE = FOLDER / "source"
_TABLES_BY_NAME = {table.name: table for table in TABLES}
PARAMETERS = ("from", "to", "now")
"""Arguments of a table function: the window, and the time that decides which weeks are over."""

_NOW = "CURRENT_TIMESTAMP()"
_ALL_TIME = {"from": "TIMESTAMP '1970-01-01 00:00:00+00'", "to": _NOW, "now": _NOW}
_LAST_30_DAYS = {"from": f"TIMESTAMP_SUB({_NOW}, INTERVAL 720 HOUR)", "to": _NOW, "now": _NOW}
"""In hours, since some engines take a day for one of the calendar."""


@dataclass(frozen=True)
class Pool:
    """What a row of metrics is about: a scope, a team, or everything.

    `keys`: the columns that rows are grouped by. `member`: columns of a scope that the keys need. `described`: columns
    of a group that are not keys. `shown`: the first columns of the result.
    """

    keys: str
    member: str
    described: str
    shown: str


SCOPE = Pool(
    keys="repository, service, environment",
    member="team,",
    described="MAX(team) AS team,",
    shown="repository, service, environment, team",
)
TEAM = Pool(
    keys="team_key",
    member="team, COALESCE(team, '') AS team_key,",
    described="MAX(team) AS team, COUNT(*) AS scopes,",
    shown="team, scopes",
)
EVERYTHING = Pool(keys="is_member", member="TRUE AS is_member,", described="COUNT(*) AS scopes,", shown="scopes")


@dataclass(frozen=True)
class View:
    """A view, or a table function if it has no window of its own.

    `window`: expressions that replace the parameters.
    """

    name: str
    source: str
    about: str
    pool: Pool = SCOPE
    window: Mapping[str, str] | None = None
    is_since_first: bool = False

    def query(self) -> exp.Select:
        """Return the query in BigQuery's dialect."""
        template = jinja2.Template((SOURCE / f"{self.source}.sql.j2").read_text("utf-8"), autoescape=False)
        text = template.render(**vars(self.pool), is_since_first=self.is_since_first)
        if self.window is not None:
            text = re.sub(r"@(\w+)", lambda parameter: (self.window or {})[parameter[1]], text)
        return sqlglot.parse_one(text, read="bigquery", into=exp.Select)


VIEWS = (
    View("metrics", "metrics", "The metrics of every scope in a window."),
    View("metrics_by_team", "metrics", "The metrics of every team in a window, from the values of its scopes.", TEAM),
    View("metrics_pooled", "metrics", "The metrics of all scopes together, from the values of each.", EVERYTHING),
    View(
        "metrics_by_week", "weeks", "Every ISO week that a window touches, by scope. Only what is in the window counts."
    ),
    View("metrics_30d", "metrics", "The metrics of every scope in the last 30 days.", window=_LAST_30_DAYS),
    View(
        "metrics_weekly",
        "weeks",
        "Every ISO week since the first recorded deployment of a scope.",
        window=_ALL_TIME,
        is_since_first=True,
    ),
    View("failures", "failures", "Every failed deployment, with its reason and its recovery.", window={}),
    View("open_incidents", "open_incidents", "Every incident that is not resolved.", window={"now": _NOW}),
)


_HEADER = "-- {about} Made by tools/views.py from {origin}.\n"


def files() -> Iterator[tuple[Path, str]]:
    """Yield every file below `sql/` that is made, with its text."""
    for dialect, write_view in (("bigquery", _bigquery), ("duckdb", _duckdb), ("postgres", _postgres)):
        for view in VIEWS:
            header = _HEADER.format(about=view.about, origin=f"sql/source/{view.source}.sql.j2")
            yield FOLDER / dialect / f"{view.name}.sql", header + write_view(view)
    for dialect, write_load in (("duckdb", _duckdb_load), ("postgres", _postgres_load)):
        header = _HEADER.format(about="Loads the rows from the working directory.", origin="core/rows/tables.py")
        yield FOLDER / "load" / f"{dialect}.sql", header + "".join(map(write_load, TABLES))


def quantiles_as_aggregates(query: exp.Select) -> exp.Select:
    """Turn quantiles over a partition, the only exact ones of BigQuery, into aggregates of groups."""
    for select in query.find_all(exp.Select):
        windows = [window for column in select.expressions for window in column.find_all(exp.Window)]
        if windows:
            select.set("distinct", None)
            select.group_by(*windows[0].args["partition_by"], copy=False)
        for window in windows:
            window.replace(window.this)
    return query


def _bigquery(view: View) -> str:
    query = _with_arguments(view.query(), _name)
    for table in _stored_tables(query):
        table.set("this", exp.to_identifier(f"${{dataset}}.{table.name}", quoted=True))
    for difference in query.find_all(exp.TimestampSub):  # as documented; sqlglot would put the number in quotes
        difference.set("expression", exp.Literal.number(difference.text("expression")))
    kind = f"VIEW `${{dataset}}.{view.name}`"
    if view.window is None:
        declared = ", ".join(f"`{name}` TIMESTAMP" for name in PARAMETERS)
        kind = f"TABLE FUNCTION `${{dataset}}.{view.name}`({declared})"
    return f"CREATE OR REPLACE {kind}\nAS (\n{_text(query, 'bigquery')}\n);\n"


def _duckdb(view: View) -> str:
    query = _with_utc_columns(_with_arguments(quantiles_as_aggregates(view.query()), _chosen))
    kind, start = f"VIEW {view.name}", "AS"
    if view.window is None:
        declared = ", ".join(f'"{name}"' for name in PARAMETERS)
        query = _with_utc_arguments(query)
        kind, start = f"MACRO {view.name}({declared})", "AS TABLE"
    return f"CREATE OR REPLACE {kind}\n{start} (\n{_text(query, 'duckdb')}\n);\n"


def _postgres(view: View) -> str:
    query = _with_arguments(quantiles_as_aggregates(view.query()), _name)
    for difference in query.find_all(exp.TimestampDiff):
        difference.replace(_exact_difference(difference))
    text = _text(query, "postgres")
    if view.window is not None:
        return f"CREATE OR REPLACE VIEW {view.name}\nAS (\n{text}\n);\n"
    declared = ", ".join(f'"{name}" timestamptz' for name in PARAMETERS)
    columns = ",\n".join(f"  {name} {_postgres_type(name)}" for name in query.named_selects)
    return (
        f"CREATE OR REPLACE FUNCTION {view.name}({declared})\n"
        f"RETURNS TABLE (\n{columns}\n)\nLANGUAGE sql STABLE\nAS $$\n{text}\n$$;\n"
    )


def _name(parameter: str) -> exp.Column:
    return exp.column(exp.to_identifier(parameter, quoted=True))


def _with_arguments(query: exp.Select, argument: Callable[[str], exp.Expr]) -> exp.Select:
    """Replace the parameters of a query by the arguments of a function."""
    for parameter in query.find_all(exp.Parameter):
        parameter.replace(argument(parameter.name))
    return query


_UTC_ARGUMENT = """
COALESCE(
  TRY_CAST(CAST("{name}" AS VARCHAR) || '+00' AS TIMESTAMPTZ),
  TRY_CAST(CAST("{name}" AS VARCHAR) || ' 00:00+00' AS TIMESTAMPTZ),
  CAST("{name}" AS TIMESTAMPTZ)
) AS {name}_at
"""
"""A time without an offset is in UTC, and so is a date. One that has an offset takes no other, and keeps its own."""


def _chosen(parameter: str) -> exp.Expr:
    return exp.select(f"{parameter}_at").from_("chosen").subquery()


def _with_utc_arguments(query: exp.Select) -> exp.Select:
    """Read the arguments of a macro, which have no type, as times that do not depend on the session's zone."""
    times = ", ".join(_UTC_ARGUMENT.format(name=name) for name in PARAMETERS)
    chosen = sqlglot.parse_one(f"SELECT {times}", read="duckdb", into=exp.Select)
    with_chosen = query.with_("chosen", as_=chosen)
    with_chosen.args["with_"].expressions.insert(0, with_chosen.args["with_"].expressions.pop())
    return with_chosen


def _with_utc_columns(query: exp.Select) -> exp.Select:
    """Read times as what they are in UTC, also those of type TIMESTAMP, which DuckDB takes for the session's zone."""
    names = {column.name for column in query.find_all(exp.Column)}
    for table in list(_stored_tables(query)):
        columns = (column.name for column in _TABLES_BY_NAME[table.name].columns if column.type == "TIMESTAMP")
        if times := ", ".join(f"MAKE_TIMESTAMPTZ(EPOCH_US({name})) AS {name}" for name in columns if name in names):
            text = f"SELECT * REPLACE ({times}) FROM {table.name}"  # noqa: S608 - of our own names
            table.replace(sqlglot.parse_one(text, read="duckdb", into=exp.Select).subquery(table.name))
    return query


def _stored_tables(query: exp.Select) -> Iterator[exp.Table]:
    """Yield the places where a table of the warehouse is named, not a part of the query."""
    names = _TABLES_BY_NAME.keys() - {part.alias for part in query.ctes}
    return (table for table in query.find_all(exp.Table) if table.name in names)


def _exact_difference(difference: exp.TimestampDiff) -> exp.Expr:
    """Return a difference of times, which the sources have in microseconds, so that PostgreSQL understands it."""
    interval = exp.paren(exp.Sub(this=difference.this, expression=difference.expression))
    seconds = exp.Extract(this=exp.var("EPOCH"), expression=interval)
    return exp.cast(exp.Mul(this=seconds, expression=exp.Literal.number(1_000_000)), "DOUBLE PRECISION")


_NAMED_TYPES = {
    **dict.fromkeys(("repository", "service", "environment", "team"), "text"),
    **dict.fromkeys(("window_from", "window_to", "starts_at", "ends_at"), "timestamptz"),
    "week": "date",
    "partial": "boolean",
}


def _postgres_type(column: str) -> str:
    """Return the type of a column of a function's result, which its name shows."""
    if re.search(r"_seconds$|_ratio$|^days$|_per_(day|week)$", column):
        return "double precision"
    return "boolean" if column.endswith("_at_least") else _NAMED_TYPES.get(column, "bigint")


_TYPES = {  # of BigQuery, DuckDB, PostgreSQL
    "STRING": ("VARCHAR", "text"),
    "TIMESTAMP": ("TIMESTAMPTZ", "timestamptz"),
    "DATE": ("DATE", "date"),
    "BOOLEAN": ("BOOLEAN", "boolean"),
    "INTEGER": ("BIGINT", "bigint"),
    "FLOAT": ("DOUBLE", "double precision"),
    "JSON": ("JSON", "json"),
}


_DUCKDB_LOAD = """
CREATE OR REPLACE TABLE {name} AS
FROM read_json('{name}.ndjson', format = 'newline_delimited', columns = {{
{columns}
}});
"""
_POSTGRES_LOAD = r"""
CREATE TABLE IF NOT EXISTS {name} (
{columns}
);
CREATE TEMPORARY TABLE incoming (row json);
\copy incoming FROM '{name}.ndjson' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')
TRUNCATE {name};
INSERT INTO {name} SELECT made.* FROM incoming CROSS JOIN LATERAL json_populate_record(NULL::{name}, row) AS made;
DROP TABLE incoming;
"""
"""For psql. Quote and delimiter are characters that JSON never has, so that a line is one value."""


def _duckdb_load(table: WarehouseTable) -> str:
    columns = ",\n".join(f"  {column.name}: '{_TYPES[column.type][0]}'" for column in table.columns)
    return _DUCKDB_LOAD.format(name=table.name, columns=columns)


def _postgres_load(table: WarehouseTable) -> str:
    return _POSTGRES_LOAD.format(name=table.name, columns=",\n".join(map(_postgres_column, table.columns)))


def _postgres_column(column: Column) -> str:
    return f"  {column.name} {_TYPES[column.type][1]}{' NOT NULL' if column.is_required else ''}"


def _text(query: exp.Select, dialect: str) -> str:
    return query.sql(dialect, pretty=True, max_text_width=110, unsupported_level=sqlglot.ErrorLevel.RAISE)


if __name__ == "__main__":
    for path, text in files():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
