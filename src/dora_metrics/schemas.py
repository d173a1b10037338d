"""Schemas that are generated from the models: `python -m dora_metrics.schemas schema [terraform]`.

JSON Schemas of facts, metrics, settings and rows go into the first folder, the tables of a warehouse into the second.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dora_metrics.core.facts.model import StoredFact
from dora_metrics.core.reports.numbers import EvidenceFile
from dora_metrics.core.reports.site.feeds import Badge, WeeklyHistory
from dora_metrics.core.rows.loads import LOADS
from dora_metrics.core.rows.tables import TABLES, WarehouseTable
from dora_metrics.core.schema import Document
from dora_metrics.settings.model import Settings, default_text


def schemas() -> dict[str, str]:
    """Return the text of every schema file, by file name."""
    schema_by_file = {
        "facts.schema.json": _with_title("One line of a facts file", msgspec.json.schema(StoredFact)),
        "metrics.schema.json": _with_title("Output of compute, and metrics.json", _metrics_schema()),
        "evidence.schema.json": _with_title("evidence.json", msgspec.json.schema(EvidenceFile)),
        "history.schema.json": _with_title("history.json", msgspec.json.schema(WeeklyHistory)),
        "badge.schema.json": _with_title("A file in badges/", msgspec.json.schema(Badge)),
        "rows.schema.json": _with_title("A line of TABLE.ndjson, as `rows` writes it", _rows_schema()),
        "settings.schema.json": _with_title(".github/dora.yml", _settings_schema()),
    }
    return {file_name: _json_text(schema) for file_name, schema in schema_by_file.items()}


def warehouse_tables() -> dict[str, str]:
    """Return the text of the file that Terraform creates the tables from, by file name."""
    return {"tables.json": _json_text({table.name: _warehouse_table(table) for table in (*TABLES, LOADS)})}


def _json_text(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _metrics_schema() -> dict[str, object]:
    """Return the schema of the numbers: `metrics.json` has neither weeks nor evidence."""
    schema = msgspec.json.schema(Document)
    definitions = schema["$defs"]["ScopeMetrics"]
    definitions["required"] = [name for name in definitions["required"] if name not in ("weeks", "evidence")]
    return schema


def _rows_schema() -> dict[str, object]:
    """Return the schema of a row: that of one of the tables, which are definitions by their names."""
    _, definitions = msgspec.json.schema_components([table.row_type for table in TABLES])
    return {
        "$defs": {table.name: {**definitions[table.row_type.__name__], "title": table.name} for table in TABLES},
        "anyOf": [{"$ref": f"#/$defs/{table.name}"} for table in TABLES],
    }


def _warehouse_table(table: WarehouseTable) -> dict[str, object]:
    """Return a table as BigQuery has it. `schema` is a list of fields in its form."""
    return {
        "clustering": table.clustering,
        "description": table.description,
        "partition": table.partition,
        "schema": [
            {"mode": "REQUIRED" if column.is_required else "NULLABLE", "name": column.name, "type": column.type}
            for column in table.columns
        ],
    }


def _settings_schema() -> dict[str, object]:
    """Return the schema of the settings file: durations as strings."""
    schema = Settings.model_json_schema(by_alias=True)
    for name, property_schema in schema["properties"].items():
        if property_schema.get("pattern"):
            property_schema["default"] = default_text(name)
    return schema


def _with_title(title: str, schema: dict[str, object]) -> dict[str, object]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def write_files(folder: Path, text_by_name: Mapping[str, str]) -> None:
    """Write files into a folder, and create the folder if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in text_by_name.items():
        (folder / name).write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    write_files(Path(sys.argv[1]), schemas())
    for name in sys.argv[2:]:
        write_files(Path(name), warehouse_tables())
