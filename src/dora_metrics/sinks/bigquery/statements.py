"""The SQL of a load. Values are parameters; only names of the program and of the validated dataset are in the text."""

# ruff: noqa: S608

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dora_metrics.core.facts.ids import COMMIT_PREFIX
from dora_metrics.core.rows.tables import WarehouseTable
from dora_metrics.sinks.bigquery.contents import DIGEST_LENGTH, FactNames

Parameter = Mapping[str, object]
"""A named parameter in the form of the API."""


class RowsClaim(NamedTuple):
    """What a load brings: rows with a digest, of a repository, for a table. `repository_id` is empty if not known."""

    repository: str
    table_name: str
    digest: str
    repository_id: str = ""


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


def _structs(name: str, columns: Sequence[str], values: Iterable[Sequence[str]]) -> Parameter:
    struct_types = [{"name": column, "type": {"type": "STRING"}} for column in columns]
    return {
        "name": name,
        "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRUCT", "structTypes": struct_types}},
        "parameterValue": {
            "arrayValues": [
                {"structValues": {column: {"value": text} for column, text in zip(columns, texts_of_one, strict=True)}}
                for texts_of_one in values
            ]
        },
    }


def _claims(name: str, claims: Iterable[RowsClaim]) -> Parameter:
    return _structs(name, RowsClaim._fields, claims)


class Names(NamedTuple):
    """The names of tables in SQL."""

    dataset: str

    def __call__(self, table_name: str) -> str:
        return f"`{self.dataset}.{table_name}`"


def read_loads(names: Names, ledger: str, repositories: Iterable[str]) -> Statement:
    """Select what the warehouse holds of some repositories, and of others that came from the same ledger."""
    sql = (
        "SELECT repository, table_name, load_id, digest, ledger, sequence, repository_id,\n"
        "  UNIX_MILLIS(claimed_at) AS claimed_milliseconds, UNIX_MILLIS(loaded_at) AS loaded_milliseconds\n"
        f"FROM {names('loads')}\n"
        "WHERE ledger = @ledger OR repository IN UNNEST(@repositories)"
    )
    return Statement(sql, [text("ledger", ledger), texts("repositories", repositories)])


_SOURCE_AND_WITHDRAWAL = {
    "facts": "IF(kind = 'deployment', JSON_VALUE(fact, '$.source'), NULL) AS source,\n"
    "      IFNULL(JSON_VALUE(fact, '$.retracted'), 'false') = 'true' AS is_withdrawn",
    "deployments": "source, FALSE AS is_withdrawn",
    "incidents": "CAST(NULL AS STRING) AS source, FALSE AS is_withdrawn",
    "vulnerabilities": "CAST(NULL AS STRING) AS source, FALSE AS is_withdrawn",
}
"""Of each table with ids of facts, the columns that say the source of a deployment, and whether a fact is withdrawn."""


def _digest_of(sql: str) -> str:
    """The digest of a text, as `FactNames` has it."""
    return f"SUBSTR(TO_HEX(SHA256({sql})), 1, {DIGEST_LENGTH})"


def _held_by_others(names: Names, tables: Iterable[WarehouseTable]) -> str:
    """Return the query of the facts in some tables that other ledgers have sent."""
    return "\n  UNION ALL ".join(
        f"SELECT repository, id, {_SOURCE_AND_WITHDRAWAL[table.name]}\n    FROM {names(table.name)}\n"
        f"    WHERE repository IN (SELECT repository FROM {names('loads')}\n"
        f"      WHERE table_name = '{table.name}' AND ledger <> @ledger)"
        for table in tables
    )


def tables_with_ids(tables: Iterable[WarehouseTable]) -> Sequence[WarehouseTable]:
    """Return those of the tables whose rows have ids of facts."""
    return [table for table in tables if table.name in _SOURCE_AND_WITHDRAWAL]


def compare_facts(names: Names, ledger: str, tables: Sequence[WarehouseTable], ours: Iterable[FactNames]) -> Statement:
    """Count what other ledgers have sent of our repositories, and how much of that is ours.

    Each row has our name, the name there, the number of facts there that we need, how many of these we have, and how
    many facts are there that the other ledger needs from us.
    """
    sql = (
        f"WITH ours AS (\n{_OURS}),\n"
        f"others AS (SELECT repository, repository_id FROM {names('loads')} WHERE ledger <> @ledger),\n"
        f"pairs AS (\n{_PAIRS}),\n"
        f"held AS (\n  {_held_by_others(names, tables)}\n),\n"
        "held_ids AS (\n"
        f"  SELECT repository, {_digest_of(_NAMELESS_ID)} AS id, IFNULL(MAX(source), '-') AS source,\n"
        f"    LOGICAL_AND(is_withdrawn OR {_IS_COMMIT}) AS is_unneeded\n"
        "  FROM held GROUP BY 1, 2\n"
        "),\n"
        "compared AS (\n"
        "  SELECT pairs.repository, pairs.holder, ours.id IS NOT NULL AS is_ours,\n"
        "    IFNULL(ours.is_needed, FALSE) AS is_needed_there,\n"
        "    NOT is_unneeded AND source NOT IN UNNEST(SPLIT(pairs.lesser_sources, ' ')) AS is_needed_here\n"
        "  FROM pairs JOIN held_ids ON held_ids.repository = pairs.holder\n"
        "  LEFT JOIN ours ON ours.repository = pairs.repository AND ours.id = held_ids.id\n"
        ")\n"
        "SELECT repository, holder, COUNTIF(is_needed_here) AS needed_here_count,\n"
        "  COUNTIF(is_needed_here AND is_ours) AS covered_count, COUNTIF(is_needed_there) AS needed_there_count\n"
        "FROM compared GROUP BY repository, holder"
    )
    return Statement(sql, [text("ledger", ledger), _structs("ours", FactNames.__struct_fields__, map(_texts_of, ours))])


_OURS = (
    "  SELECT mine.repository, id, TRUE AS is_needed\n"
    "  FROM UNNEST(@ours) AS mine, UNNEST(SPLIT(mine.needed_ids, ' ')) AS id\n"
    "  UNION ALL SELECT mine.repository, id, FALSE AS is_needed\n"
    "  FROM UNNEST(@ours) AS mine, UNNEST(SPLIT(mine.unneeded_ids, ' ')) AS id\n"
)
"""The ids of our facts."""

_PAIRS = (
    "  SELECT mine.repository, mine.lesser_sources, others.repository AS holder\n"
    "  FROM UNNEST(@ours) AS mine JOIN others ON others.repository = mine.repository\n"
    "  UNION DISTINCT SELECT mine.repository, mine.lesser_sources, others.repository AS holder\n"
    "  FROM UNNEST(@ours) AS mine JOIN others ON others.repository_id = mine.repository_id\n"
)
"""The names under which others have our repositories: the same one, or another one with the same number."""

_NAMELESS_ID = "REPLACE(id, CONCAT(':', repository, '#'), ':#')"
_IS_COMMIT = f"STARTS_WITH(id, '{COMMIT_PREFIX}')"


def _texts_of(ours: FactNames) -> Sequence[str]:
    """The fields as texts, in their order."""
    return (
        ours.repository,
        ours.repository_id or "",
        " ".join(sorted(ours.needed_ids)),
        " ".join(sorted(ours.unneeded_ids)),
        " ".join(ours.lesser_sources),
    )


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


_CLAIMED = "claim.repository, claim.table_name, claim.digest, NULLIF(claim.repository_id, '') AS repository_id"


def claim_rows(names: Names, load: Load, claims: Iterable[RowsClaim]) -> Statement:
    """Claim rows for a load, unless a load of a later version of the same ledger has begun.

    Until the load is complete, the rows have no digest. So whatever stops it, the next run loads them again.
    """
    columns = ("claimed_digest", "repository_id", "claimed_at", *Load._fields)
    values = ("s.digest", "s.repository_id", "CURRENT_TIMESTAMP()", *(f"@{column}" for column in Load._fields))
    updates = ", ".join(f"{column} = {value}" for column, value in zip(columns, values, strict=True))
    sql = (
        f"MERGE {names('loads')} AS t\n"
        "USING (\n"
        f"  SELECT {_CLAIMED} FROM UNNEST(@claims) AS claim\n"
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
    """Say that rows which the warehouse has as they are claimed are of this ledger and repository from now on."""
    sql = (
        f"MERGE {names('loads')} AS t\n"
        "USING (\n"
        f"  SELECT {_CLAIMED} FROM UNNEST(@claims) AS claim\n"
        f"  WHERE NOT EXISTS (SELECT 1 FROM {names('loads')} WHERE ledger = @ledger AND sequence > @sequence)\n"
        ") AS s\n"
        "ON t.repository = s.repository AND t.table_name = s.table_name\n"
        "WHEN MATCHED AND t.digest = s.digest THEN\n"
        "  UPDATE SET ledger = @ledger, sequence = @sequence, repository_id = s.repository_id,\n"
        "    claimed_at = CURRENT_TIMESTAMP()"
    )
    return Statement(sql, [text("ledger", ledger), integer("sequence", sequence), _claims("claims", claims)])


class ReplacedRows(NamedTuple):
    """Rows of a load that were replaced, by repository and table.

    `may_be_changed` is false if the statement is known to have changed nothing, as without a claim.
    """

    repository: str
    table_name: str
    may_be_changed: bool


class Completion(NamedTuple):
    """What is known about a load whose rows were replaced.

    Attributes:
        load: the load.
        replaced: its rows.
        tables: those with ids of facts.
    """

    load: Load
    replaced: Sequence[ReplacedRows]
    tables: Sequence[WarehouseTable]

    @property
    def compared(self) -> Sequence[str]:
        """The repositories whose facts were sent."""
        names = {table.name for table in self.tables}
        return sorted({each.repository for each in self.replaced if each.table_name in names})


def complete_load(names: Names, completion: Completion) -> Statement:
    """Say that the replaced rows that a load still claims are complete, and that those of a lost claim are not.

    Another load that claims rows while they are replaced may not see what this one inserts, so that the table has both.
    Without a digest and under another load's name, nobody takes them for complete, and they are loaded again.

    Another ledger may have sent the same repository under another name, also at the same time. Of two that insert and
    then look, at least one sees the other. Its rows stay without a digest, and are judged again.
    """
    load_id, replaced = completion.load.load_id, completion.replaced
    is_ours = "load_id = @load_id"
    sent_twice = _sent_twice(names, completion.tables) if completion.compared else ""
    is_complete = f"{is_ours} AND repository NOT IN ({sent_twice})" if sent_twice else is_ours
    sql = (
        f"UPDATE {names('loads')}\n"
        f"SET digest = IF({is_complete}, claimed_digest, NULL),\n"
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
    if sent_twice:
        parameters += [text("ledger", completion.load.ledger), texts("compared", completion.compared)]
    return Statement(sql, parameters)


def _sent_twice(names: Names, tables: Sequence[WarehouseTable]) -> str:
    """Return the query of our repositories that have rows, of which another ledger has sent rows under another name."""
    loads = names("loads")
    with_rows = " UNION ALL ".join(f"SELECT repository FROM {names(table.name)}" for table in tables)
    return (
        f"SELECT ours.repository FROM {loads} AS ours JOIN {loads} AS theirs\n"
        "    ON theirs.repository_id = ours.repository_id\n"
        "    WHERE ours.ledger = @ledger AND ours.repository IN UNNEST(@compared)\n"
        "      AND theirs.ledger <> @ledger AND theirs.repository <> ours.repository\n"
        f"      AND ours.repository IN ({with_rows})\n"
        f"      AND theirs.repository IN ({with_rows})"
    )


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
