"""The views in PostgreSQL's dialect, on a real server: the same comparison as on DuckDB, for fewer cases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres import Postgres, postgres
from support.warehouse import compare, differing
from support.warehouse_questions import QUESTIONS


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as started:
        yield started


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_number_is_that_of_compute(database: Postgres, name: str, tmp_path: Path) -> None:
    assert not differing(compare(QUESTIONS[name](), database, tmp_path))


def test_rows_are_loaded_again_below_the_views(database: Postgres, tmp_path: Path) -> None:
    question = QUESTIONS["sample"]()
    question.write_rows(tmp_path)
    database.load(tmp_path)
    database.load(tmp_path)
    (row,) = database.select("SELECT count(*) AS failures, count(DISTINCT deployment) AS deployments FROM failures")
    assert row["failures"] == row["deployments"]
