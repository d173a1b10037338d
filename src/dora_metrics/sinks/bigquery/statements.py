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
        "SELECT repository, table_name, load_id, digest, ledger, sequence,\n"
        "  UNIX_MILLIS(claimed_at) AS claimed_milliseconds, UNIX_MILLIS(loaded_at) AS loaded_milliseconds\n"
        f"FROM {names('loads')}\n"
        "WHERE ledger = @ledger OR repository IN UNNEST(@repositories)"
    )
    return Statement(sql, [text("ledger", ledger), texts("repositories", repositories)])


def forget_digests(names: Names, ledger: str) -> str:
    """Return the statement with which a person has all rows of a ledger sent again, also by an earlier version of it.

    Its rows in `loads` stay, so that rows of repositories which have left are known to be its own. A summary on GitHub
    puts an invisible character behind each @, so that nobody is mentioned; a copy of the statement must not have it.
    """
    literal = ledger.replace("\\", "\\\\").replace("'", "\\'").replace("@", "', CHR(64), '")
    return f"UPDATE {names('loads')} SET digest = NULL, sequence = 0 WHERE ledger = CONCAT('{literal}')"


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


def adopt_rows(names: Names, ledger: str, sequence: int, claims: Iterable[RowsClaim]) -> Statement:
    """Say that rows of another ledger, which the warehouse has as they are claimed, are of this one from now on."""
    sql = (
        f"MERGE {names('loads')} AS t\n"
        "USING (\n"
        "  SELECT claim.repository, claim.table_name, claim.digest FROM UNNEST(@claims) AS claim\n"
        f"  WHERE NOT EXISTS (SELECT 1 FROM {names('loads')} WHERE ledger = @ledger AND sequence > @sequence)\n"
        ") AS s\n"
        "ON t.repository = s.repository AND t.table_name = s.table_name\n"
        "WHEN MATCHED AND t.digest = s.digest THEN\n"
        "  UPDATE SET ledger = @ledger, sequence = @sequence, claimed_at = CURRENT_TIMESTAMP()"
    )
    return Statement(sql, [text("ledger", ledger), integer("sequence", sequence), _claims("claims", claims)])


class ReplacedRows(NamedTuple):
    """Rows of a load that were replaced, by repository and table.

    `may_be_changed` is false if the statement is known to have changed nothing, as without a claim.
    """

    repository: str
    table_name: str
    may_be_changed: bool


def complete_load(names: Names, load_id: str, replaced: Sequence[ReplacedRows]) -> Statement:
    """Say that the replaced rows that a load still claims are complete, and that those of a lost claim are not.

    Another load that claims rows while they are replaced may not see what this one inserts, so that the table has both.
    Without a digest and under another load's name, nobody takes them for complete, and they are loaded again.
    """
    is_ours = "load_id = @load_id"
    sql = (
        f"UPDATE {names('loads')}\n"
        f"SET digest = IF({is_ours}, claimed_digest, NULL),\n"
        f"  loaded_at = IF({is_ours}, CURRENT_TIMESTAMP(), NULL),\n"
        f"  load_id = IF({is_ours}, load_id, @lost_id)\n"
        f"WHERE ({is_ours} AND table_name IN UNNEST(@table_names))\n"
        "  OR (load_id <> @load_id AND CONCAT(table_name, ' ', repository) IN UNNEST(@changed))"
    )
    changed = [f"{each.table_name} {each.repository}" for each in replaced if each.may_be_changed]
    parameters = [
        text("load_id", load_id),
        text("lost_id", f"{load_id}_lost"),
        texts("table_names", sorted({each.table_name for each in replaced})),
        texts("changed", changed),
    ]
    return Statement(sql, parameters)


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
