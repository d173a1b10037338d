"""Whether a table of a dataset has the columns that our rows have. Tables are never created or altered."""

from collections.abc import Iterator

from dora_metrics.core.rows.tables import Column, WarehouseTable
from dora_metrics.sinks.bigquery.answers import Field, TableAnswer

_ALIASES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
_KNOWN_WORDS = frozenset({
    *_ALIASES, *_ALIASES.values(), "DATE", "JSON", "STRING", "TIMESTAMP",
    "BIGNUMERIC", "BYTES", "DATETIME", "GEOGRAPHY", "INTERVAL", "NUMERIC", "RANGE", "RECORD", "STRUCT", "TIME",
    "NULLABLE", "REPEATED", "REQUIRED",
    "EXTERNAL", "MATERIALIZED_VIEW", "MODEL", "SNAPSHOT", "VIEW",
})  # fmt: skip
"""What a message repeats of an answer. Nothing else is, because the answer may repeat the token."""
_MAX_NAMED = 3


def problem_of(table: WarehouseTable, answer: TableAnswer, sql_name: str) -> str:
    """Return why rows cannot be put into a table, and what to do; empty if they can."""
    if answer.type != "TABLE":
        return (
            f"{sql_name} is of type {_known(answer.type)}, not a table; rename it, and create the table with terraform/"
        )
    fields = {field.name.casefold(): field for field in answer.schema.fields}
    columns = list(table.columns)
    if missing := [column for column in columns if column.name not in fields]:
        return _missing(missing, sql_name)
    if other := [column for column in columns if not _fits(column, fields[column.name])]:
        return _other(other, fields, sql_name)
    unknown = fields.keys() - {column.name for column in columns}
    if any(fields[name].mode == "REQUIRED" for name in unknown):
        return f"{sql_name} has a required column that is not ours and that rows do not have; make it nullable"
    return ""


def _missing(columns: list[Column], sql_name: str) -> str:
    """Return the statement that adds columns. Those of a table with rows can only be nullable."""
    additions = ", ".join(f"ADD COLUMN IF NOT EXISTS {column.name} {column.type}" for column in columns)
    names = _listed([column.name for column in columns])
    sql_types = additions.replace(" BOOLEAN", " BOOL").replace(" INTEGER", " INT64").replace(" FLOAT", " FLOAT64")
    return f"{sql_name} has no {names}; apply terraform/ again, or run ALTER TABLE {sql_name} {sql_types}"


def _other(columns: list[Column], fields: dict[str, Field], sql_name: str) -> str:
    """Say which columns have another type, and what to do: a type cannot be changed."""
    pairs = [f"{column.name} {_text(fields[column.name])} instead of {column.type}" for column in columns]
    return f"{sql_name} has {_listed(pairs)}; create the table again with terraform/, it is filled by the next run"


def _text(field: Field) -> str:
    return _known(field.type) if field.mode == "NULLABLE" else f"{_known(field.type)} {_known(field.mode)}"


def _known(word: str) -> str:
    return word if word in _KNOWN_WORDS else "unknown"


def _fits(column: Column, field: Field) -> bool:
    """Whether a column takes our values. One that may be null takes those that never are."""
    field_type = _ALIASES.get(field.type, field.type)
    return field_type == column.type and field.mode in (
        ("NULLABLE", "REQUIRED") if column.is_required else ("NULLABLE",)
    )


def _listed(names: list[str]) -> str:
    return ", ".join(_first(names))


def _first(names: list[str]) -> Iterator[str]:
    yield from names[:_MAX_NAMED]
    if len(names) > _MAX_NAMED:
        yield f"{len(names) - _MAX_NAMED} more"
