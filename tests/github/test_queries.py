"""Every query sent to GitHub is valid against GitHub's published schema, and none costs more than needed."""

import re
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import NotRequired, get_args, get_origin, get_type_hints

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    parse,
    validate,
)

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
    assert sorted(shapes.OF_QUERIES) == NAMES


def selected_fields(document: DocumentNode, selection: SelectionSetNode | None) -> Iterator[FieldNode]:
    """The fields of a selection, with those of the fragments in it."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    for node in selection.selections if selection else ():
        match node:
            case FieldNode():
                yield node
            case FragmentSpreadNode():
                yield from selected_fields(document, fragments[node.name.value].selection_set)
            case InlineFragmentNode():
                yield from selected_fields(document, node.selection_set)


def key_shapes(shape: object, place: tuple[str, ...], query: shapes.QueryShape) -> dict[str, object]:
    """The shape of each key of an object, also of one that may be null, is in a list or need not be there."""
    if get_origin(shape) in (NotRequired, list):
        return key_shapes(get_args(shape)[0], place, query)
    if isinstance(shape, UnionType):
        (shape,) = (each for each in get_args(shape) if each is not NoneType)
        return key_shapes(shape, place, query)
    slots: dict[str, object] = {}
    if place == query.slot_place:
        slots = dict.fromkeys(("slot", *(f"path{number}" for number in range(20))), query.slot)
    return slots if get_origin(shape) is dict else get_type_hints(shape, include_extras=True) | slots


def unshaped_fields(
    document: DocumentNode, selection: SelectionSetNode | None, shape: object, query: shapes.QueryShape, *place: str
) -> Iterator[str]:
    """The fields of a selection, and of those in them, whose values nobody checks."""
    keys = key_shapes(shape, place, query)
    for field in selected_fields(document, selection):
        name = (field.alias or field.name).value
        if name not in keys:
            yield ".".join((*place, name))
        elif field.selection_set:
            yield from unshaped_fields(document, field.selection_set, keys[name], query, *place, name)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_that_a_query_asks_for_is_in_its_shape(name: str) -> None:
    document, query = parse(queries.load(name)), shapes.OF_QUERIES[name]
    (operation,) = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    assert list(unshaped_fields(document, operation.selection_set, query.answer, query)) == []


@pytest.mark.parametrize("name", [name for name in NAMES if "slot:" in queries.load(name)])
@pytest.mark.parametrize("times", [1, 50])
def test_a_query_for_several_things_fits_as_well(name: str, times: int, schema: object) -> None:
    repeated = queries.with_slots(queries.load(name), times)
    assert validate(schema, parse(repeated)) == []  # type: ignore[arg-type]
    assert len(re.findall(r"^ *slot\d+: ", repeated, re.MULTILINE)) == times
