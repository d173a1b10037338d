"""Fill the tables of docs/reference.md from the settings and from action.yml (`make schema`).

A comment such as `<!-- settings: window, timezone -->` or `<!-- outputs: metrics, facts -->` names the rows of the
table below it. So the page decides on groups and their order, and the program on names, defaults and meanings.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from dora_metrics.settings.model import FILE_ONLY, NAMES, NEVER_IN_FILES, Settings, default_text

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference.md"
_TABLE = re.compile(r"^<!-- (?P<kind>settings|outputs): (?P<names>.*?) -->\n(?:\n(?:\|.*\n)+)?", re.MULTILINE)


class ReferencePageError(Exception):
    """The page misses names, repeats them, or has names that do not exist."""


def outputs() -> dict[str, Any]:
    """Outputs of action.yml by name."""
    declared: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["outputs"]
    return declared


def filled(page: str) -> str:
    """Return the page with all tables made again.

    Raises:
        ReferencePageError: if a setting or an output is not in exactly one table.
    """
    _check("settings", page, NAMES)
    _check("outputs", page, outputs())
    return _TABLE.sub(lambda match: _table(match["kind"], _names(match["names"])), page)


def _check(kind: str, page: str, expected: Iterable[str]) -> None:
    listed = [name for match in _TABLE.finditer(page) if match["kind"] == kind for name in _names(match["names"])]
    if sorted(listed) != sorted(expected):
        difference = {*listed} ^ {*expected} or {name for name in listed if listed.count(name) > 1}
        raise ReferencePageError(f"docs/reference.md: {kind} that are not in exactly one table: {sorted(difference)}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _table(kind: str, names: list[str]) -> str:
    rows = _setting_rows(names) if kind == "settings" else _output_rows(names)
    return f"<!-- {kind}: {', '.join(names)} -->\n\n" + "".join(f"{row}\n" for row in rows)


def _setting_rows(names: list[str]) -> Iterator[str]:
    yield "| setting | default | meaning |"
    yield "|---|---|---|"
    for name in names:
        default = "" if name in FILE_ONLY else default_text(name)
        yield f"| `{name}` |{f' `{default}`' if default else ''} | {_meaning(name)} |"


def _meaning(name: str) -> str:
    description = (Settings.model_fields[name.replace("-", "_")].description or "").rstrip(".")
    return f"{description}. **Input only**" if name in NEVER_IN_FILES else description


def _output_rows(names: list[str]) -> Iterator[str]:
    yield "| output | value |"
    yield "|---|---|"
    for name in names:
        yield f"| `{name}` | {' '.join(outputs()[name]['description'].split()).rstrip('.')} |"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8", newline="\n")
