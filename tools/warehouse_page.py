"""Fill the tables of docs/warehouse.md from the tables of rows and from the views (`make schema`)."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import views

from dora_metrics.core.rows.tables import TABLES, WarehouseTable

PAGE = Path(__file__).resolve().parents[1] / "docs" / "warehouse.md"
_TABLE = re.compile(r"^<!-- made: (?P<name>\w+) -->\n(?:\n(?:\|.*\n)+)?", re.MULTILINE)


def filled(page: str) -> str:
    """Return the page with its tables made again."""
    return _TABLE.sub(lambda match: _made(match["name"]), page)


def _made(name: str) -> str:
    return f"<!-- made: {name} -->\n\n" + "".join(f"{row}\n" for row in _ROWS[name]())


def _table_rows() -> Iterator[str]:
    yield "| table | a row is | columns |"
    yield "|---|---|---|"
    for table in TABLES:
        text = " ".join((table.row_type.__doc__ or "").split())
        yield f"| `{table.name}` | {text} | {_columns(table)} |"


def _columns(table: WarehouseTable) -> str:
    """Name the columns; those that may be null are in italics."""
    return ", ".join(f"`{each.name}`" if each.is_required else f"*`{each.name}`*" for each in table.columns)


def _view_rows() -> Iterator[str]:
    yield "| view | rows | columns |"
    yield "|---|---|---|"
    for view in views.VIEWS:
        arguments = "" if view.window is not None else f"({', '.join(views.PARAMETERS)})"
        columns = ", ".join(f"`{name}`" for name in view.query().named_selects)
        yield f"| `{view.name}{arguments}` | {view.about.removesuffix('.')} | {columns} |"


_ROWS: Mapping[str, Callable[[], Iterator[str]]] = {"tables": _table_rows, "views": _view_rows}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8", newline="\n")
