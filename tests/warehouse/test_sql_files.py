"""The files of `sql/` are those that `tools/views.py` makes, one object in each."""

import re
from pathlib import Path

import pytest
import sqlglot
import views
from sqlglot import exp

from dora_metrics.core.rows.tables import TABLES

DIALECTS = ("bigquery", "duckdb", "postgres")
VIEW_FILES = sorted(path for dialect in DIALECTS for path in (views.FOLDER / dialect).iterdir())


def test_they_are_what_the_tool_makes() -> None:
    """`make schema` writes them."""
    made = dict(views.files())
    assert {*VIEW_FILES, *(views.FOLDER / "load").iterdir()} == made.keys()
    for path, text in made.items():
        assert path.read_text("utf-8") == text, path


@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.name)
def test_one_for_bigquery_names_the_dataset_of_each_table(view: views.View) -> None:
    text = (views.FOLDER / "bigquery" / f"{view.name}.sql").read_text("utf-8")
    query = sqlglot.parse_one(
        text.partition("\nAS (\n")[2].removesuffix("\n);\n").replace("${dataset}", "acme.dora"), read="bigquery"
    )
    parts = {part.alias for part in query.find_all(exp.CTE)}
    tables = {(table.catalog, table.db, table.name) for table in query.find_all(exp.Table)}
    stored = {names for names in tables if names not in {("", "", part) for part in parts}}
    assert stored
    assert stored <= {("acme", "dora", table.name) for table in TABLES}


@pytest.mark.parametrize("path", VIEW_FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_one_that_has_no_window_of_its_own_takes_it_as_arguments(path: Path) -> None:
    (view,) = (view for view in views.VIEWS if view.name == path.stem)
    has_arguments = re.search(r"(?m)^CREATE OR REPLACE .*\b(FUNCTION|MACRO)\b.*from.*to.*now", path.read_text("utf-8"))
    assert bool(has_arguments) == (view.window is None)
