"""Fill the tables of docs/warehouse.md from the tables of rows and from the views (`make schema`)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
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
    first_by_source: dict[str, views.View] = {}
    for view in views.VIEWS:
        arguments = "" if view.window is not None else f"({', '.join(views.PARAMETERS)})"
        columns = _view_columns(view, first_by_source.setdefault(view.source, view))
        yield f"| `{view.name}{arguments}` | {view.about.removesuffix('.')} | {columns} |"


def _view_columns(view: views.View, first: views.View) -> str:
    """Name the columns of a view, without those at its end that the first view of its source has as well."""
    names, first_names = view.query().named_selects, first.query().named_selects
    if view is first:
        return _in_code(names)
    pairs = zip(reversed(names), reversed(first_names), strict=False)
    shared_count = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    own, shared = names[: len(names) - shared_count], names[len(names) - shared_count :]
    return f"{_in_code(own)}, then those of `{first.name}` from `{shared[0]}` on" if own else f"those of `{first.name}`"


def _in_code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


_ROWS: Mapping[str, Callable[[], Iterator[str]]] = {"tables": _table_rows, "views": _view_rows}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8", newline="\n")
