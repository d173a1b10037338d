"""The SQL of a load. Values are parameters; only names of the program and of the validated dataset are in the text."""

# ruff: noqa: S608

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dora_metrics.core.rows.tables import WarehouseTable

Parameter = Mapping[str, object]
"""A named parameter in the form of the API."""


class RowsClaim(NamedTuple):
    """What a load brings: rows with a digest, of a repository, for a table."""

    repository: str
    table_name: str
    digest: str


class Statement(NamedTuple):
    """A statement and its parameters."""

    sql: str
    parameters: Sequence[Parameter]

    @property
    def configuration(self) -> Mapping[str, object]:
        """The statement as the configuration of a job."""
        return {
            "query": {
                "query": self.sql,
                "useLegacySql": False,
                "parameterMode": "NAMED",
                "queryParameters": self.parameters,
            }
        }


def text(name: str, value: str) -> Parameter:
    return _scalar(name, "STRING", value)


def integer(name: str, value: int) -> Parameter:
    return _scalar(name, "INT64", str(value))


def day(name: str, value: str) -> Parameter:
    return _scalar(name, "DATE", value)


def _scalar(name: str, type_name: str, value: str) -> Parameter:
    return {"name": name, "parameterType": {"type": type_name}, "parameterValue": {"value": value}}


def texts(name: str, values: Iterable[str]) -> Parameter:
    return {
        "name": name,
        "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
        "parameterValue": {"arrayValues": [{"value": value} for value in values]},
    }


def _claims(name: str, claims: Iterable[RowsClaim]) -> Parameter:
    columns = RowsClaim._fields
    struct_types = [{"name": column, "type": {"type": "STRING"}} for column in columns]
    return {
        "name": name,
        "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRUCT", "structTypes": struct_types}},
        "parameterValue": {
            "arrayValues": [
                {"structValues": {column: {"value": value} for column, value in zip(columns, claim, strict=True)}}
                for claim in claims
            ]
        },
    }


class Names(NamedTuple):
    """The names of tables in SQL."""

    dataset: str

    def __call__(self, table_name: str) -> str:
        return f"`{self.dataset}.{table_name}`"


def read_loads(names: Names, ledger: str, repositories: Iterable[str]) -> Statement:
    """Select what the warehouse holds of some repositories, and of others that came from the same ledger."""
    sql = (
        "SELECT repository, table_name, digest, ledger, sequence\n"
        f"FROM {names('loads')}\n"
        "WHERE ledger = @ledger OR repository IN UNNEST(@repositories)"
    )
    return Statement(sql, [text("ledger", ledger), texts("repositories", repositories)])


class Load(NamedTuple):
    """What all claims of a load have in common. The fields are columns of `loads`."""

    load_id: str
    ledger: str
    sequence: int
    version: str
    policy: str

    @property
    def parameters(self) -> Sequence[Parameter]:
        return [
            text("load_id", self.load_id),
            text("ledger", self.ledger),
            integer("sequence", self.sequence),
            text("version", self.version),
            text("policy", self.policy),
        ]


def claim_rows(names: Names, load: Load, claims: Iterable[RowsClaim]) -> Statement:
    """Claim rows for a load, unless a load of a later version of the same ledger has begun.

    Until the load is complete, the rows have no digest. So whatever stops it, the next run loads them again.
    """
    columns = ("claimed_digest", "claimed_at", *Load._fields)
    values = ("s.digest", "CURRENT_TIMESTAMP()", *(f"@{column}" for column in Load._fields))
    updates = ", ".join(f"{column} = {value}" for column, value in zip(columns, values, strict=True))
    sql = (
        f"MERGE {names('loads')} AS t\n"
        "USING (\n"
        "  SELECT claim.repository, claim.table_name, claim.digest FROM UNNEST(@claims) AS claim\n"
        f"  WHERE NOT EXISTS (SELECT 1 FROM {names('loads')} WHERE ledger = @ledger AND sequence > @sequence)\n"
        ") AS s\n"
        "ON t.repository = s.repository AND t.table_name = s.table_name\n"
        "WHEN MATCHED THEN\n"
        f"  UPDATE SET digest = NULL, loaded_at = NULL, {updates}\n"
        "WHEN NOT MATCHED BY TARGET THEN\n"
        f"  INSERT (repository, table_name, {', '.join(columns)})\n"
        f"  VALUES (s.repository, s.table_name, {', '.join(values)})"
    )
    return Statement(sql, [*load.parameters, _claims("claims", claims)])


def complete_load(names: Names, load_id: str, table_names: Iterable[str]) -> Statement:
    """Say that the rows that a load still claims in some tables are complete."""
    sql = (
        f"UPDATE {names('loads')}\n"
        "SET digest = claimed_digest, loaded_at = CURRENT_TIMESTAMP()\n"
        "WHERE load_id = @load_id AND table_name IN UNNEST(@table_names)"
    )
    return Statement(sql, [text("load_id", load_id), texts("table_names", table_names)])


class Replacement(NamedTuple):
    """Rows that a load replaces.

    Attributes:
        table: the table.
        load_id: the load that must still claim them.
        repositories: whose rows; for `week_starts`, time zones.
        staging: the table with the new rows; None if there are none.
        day: the only day whose rows are replaced; None for all.
    """

    table: WarehouseTable
    load_id: str
    repositories: Sequence[str]
    staging: str | None
    day: str | None = None


def replace_rows(names: Names, replacement: Replacement) -> Statement:
    """Replace the rows of some repositories in one atomic statement; repeating it changes nothing.

    Only rows that the load still claims when the statement begins are deleted or inserted. Rows are not compared:
    `ON FALSE` with a condition on clustering columns reads only the blocks of these repositories.
    """
    table = replacement.table
    owner = table.clustering[0]
    claimed = f"(SELECT repository FROM {names('loads')} WHERE load_id = @load_id AND table_name = @table_name)"
    is_replaced = f"t.{owner} IN UNNEST(@repositories) AND t.{owner} IN {claimed}"
    parameters = [
        text("load_id", replacement.load_id),
        text("table_name", table.name),
        texts("repositories", replacement.repositories),
    ]
    if replacement.day is not None:
        is_replaced += " AND t.day = @day"
        parameters.append(day("day", replacement.day))
    if replacement.staging is None:
        return Statement(f"DELETE FROM {names(table.name)} AS t\nWHERE {is_replaced}", parameters)
    columns = [f"`{column.name}`" for column in table.columns]
    sql = (
        f"MERGE {names(table.name)} AS t\n"
        f"USING (SELECT * FROM {names(replacement.staging)} WHERE {owner} IN {claimed}) AS s\n"
        "ON FALSE\n"
        "WHEN NOT MATCHED BY TARGET THEN\n"
        f"  INSERT ({', '.join(columns)})\n"
        f"  VALUES ({', '.join(f's.{column}' for column in columns)})\n"
        f"WHEN NOT MATCHED BY SOURCE AND {is_replaced} THEN\n"
        "  DELETE"
    )
    return Statement(sql, parameters)
