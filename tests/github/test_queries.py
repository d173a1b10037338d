"""Every query sent to GitHub is valid against GitHub's published schema, and none costs more than needed."""

import re

import pytest
from graphql import build_schema, parse, validate

from dora_metrics.github import queries, shapes
from support.npm_packages import package_folder
from support.paths import ROOT

FOLDER = ROOT / "src" / "dora_metrics" / "github" / "queries"
NAMES = sorted(path.stem for path in FOLDER.glob("*.graphql") if not path.stem.endswith(".fragment"))


@pytest.fixture(scope="module")
def schema() -> object:
    text = (package_folder("@octokit/graphql-schema") / "schema.graphql").read_text("utf-8")
    return build_schema(text, assume_valid=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_query_fits_githubs_schema(name: str, schema: object) -> None:
    assert validate(schema, parse(queries.load(name))) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_query_is_named_as_its_file(name: str) -> None:
    assert re.search(rf"^(query|mutation) {name}\b", queries.load(name), re.MULTILINE)


def test_every_query_has_a_shape_for_its_answer() -> None:
    assert sorted(shapes.query_names()) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if "slot:" in queries.load(name)])
@pytest.mark.parametrize("times", [1, 50])
def test_a_query_for_several_things_fits_as_well(name: str, times: int, schema: object) -> None:
    repeated = queries.with_slots(queries.load(name), times)
    assert validate(schema, parse(repeated)) == []  # type: ignore[arg-type]
    assert len(re.findall(r"^ *slot\d+: ", repeated, re.MULTILINE)) == times
