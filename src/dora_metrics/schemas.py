"""JSON Schemas of facts, metrics and settings, generated from the models: `python -m dora_metrics.schemas DIR`."""

import json
import sys
from pathlib import Path

import msgspec

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.reports.site.feeds import Badge, History
from dora_metrics.core.schema import Document
from dora_metrics.settings.model import LATER, Settings, default_text


def schemas() -> dict[str, str]:
    """The text of every schema file, by name."""
    made = {
        "facts.schema.json": _titled("One line of a facts file", msgspec.json.schema(Fact)),
        "metrics.schema.json": _titled("The answer of compute, and metrics.json", msgspec.json.schema(Document)),
        "history.schema.json": _titled("history.json", msgspec.json.schema(History)),
        "badge.schema.json": _titled("A file in badges/", msgspec.json.schema(Badge)),
        "settings.schema.json": _titled(".github/dora.yml", _settings()),
    }
    return {name: json.dumps(schema, indent=2, sort_keys=True) + "\n" for name, schema in made.items()}


def _settings() -> dict[str, object]:
    """As people write them: spans as texts, and the names of later versions, which are accepted."""
    schema = Settings.model_json_schema(by_alias=True)
    for name, written in schema["properties"].items():
        if written.get("pattern"):
            written["default"] = default_text(name)
    schema["properties"] |= {name: {"description": "No effect in this version."} for name in sorted(LATER)}
    return schema


def _titled(title: str, schema: dict[str, object]) -> dict[str, object]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
