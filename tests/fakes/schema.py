"""GitHub's published GraphQL schema, and documents checked against it once: valid, how large, how dear."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    build_ast_schema,
    parse,
    validate,
    value_from_ast_untyped,
)

from support import npm_packages

NODE_LIMIT = 500_000
_UNKNOWN_FIELD = re.compile(r"Cannot query field '(\w+)' on type '(\w+)'")

Json = dict[str, Any]


def schema_path() -> Path:
    """Where the schema is; skips the test where npm has not installed it, and fails in CI."""
    return npm_packages.package_folder("@octokit/graphql-schema") / "schema.graphql"


@lru_cache(maxsize=1)
def load_schema(path: Path) -> GraphQLSchema:
    """Parsing takes most of a second, so once a process."""
    return build_ast_schema(parse(path.read_text("utf-8"), no_location=True), assume_valid=True)


@dataclass(frozen=True)
class Document:
    """A query text: what it asks for, and what is wrong with it."""

    ast: DocumentNode | None
    errors: tuple[Json, ...] = ()

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation of that name; without a name the first."""
        operations = (node for node in self._definitions() if isinstance(node, OperationDefinitionNode))
        return next((node for node in operations if name is None or (node.name and node.name.value == name)), None)

    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        return {node.name.value: node for node in self._definitions() if isinstance(node, FragmentDefinitionNode)}

    def roots(self, name: str | None) -> tuple[str, ...]:
        """The fields at the top of an operation, as in `createCommitOnBranch`."""
        operation = self.operation(name)
        selections = operation.selection_set.selections if operation else ()
        return tuple(node.name.value for node in selections if isinstance(node, FieldNode))

    def _definitions(self) -> tuple[object, ...]:
        return tuple(self.ast.definitions) if self.ast else ()


@lru_cache(maxsize=256)
def parse_query(query: str) -> Document:
    """A query text parsed, without a look at the schema."""
    try:
        return Document(parse(query))
    except GraphQLSyntaxError as error:
        return Document(None, ({"message": error.message, "locations": locations(error)},))


@lru_cache(maxsize=256)
def validate_query(query: str, path: Path) -> Document:
    """A query text parsed and validated."""
    document = parse_query(query)
    if document.ast is None:
        return document
    return Document(document.ast, tuple(_github_error(error) for error in validate(load_schema(path), document.ast)))


def locations(error: GraphQLError) -> list[Json]:
    return [{"line": location.line, "column": location.column} for location in error.locations or ()]


def _github_error(error: GraphQLError) -> Json:
    """A validation error in GitHub's words where they are known."""
    match = _UNKNOWN_FIELD.match(error.message)
    if match is None:
        return {"message": error.message, "locations": locations(error)}
    name, kind = match.groups()
    extensions = {"code": "undefinedField", "typeName": kind, "fieldName": name}
    message = f"Field '{name}' doesn't exist on type '{kind}'"
    return {"path": ["query", name], "extensions": extensions, "locations": locations(error), "message": message}


@dataclass(frozen=True)
class QuerySize:
    """Nodes that a query may return at most, and connections it opens: what GitHub's limit and price go by."""

    nodes: int
    calls: int

    @property
    def cost(self) -> int:
        return max(1, round(self.calls / 100))


def query_size(document: Document, name: str | None, variables: Mapping[str, Any]) -> QuerySize:
    operation = document.operation(name)
    if operation is None:
        return QuerySize(0, 0)
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value
    }
    connections = list(_connections(operation.selection_set, document.fragments(), defaults | dict(variables), 1))
    return QuerySize(sum(calls * page_size for calls, page_size in connections), sum(calls for calls, _ in connections))


def _connections(
    selections: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
    times: int,
) -> Iterator[tuple[int, int]]:
    """How often each connection is opened, and how many nodes it gives at most; what is left out opens none."""
    for node in selections.selections:
        if _is_left_out(node, variables):
            continue
        if isinstance(node, FragmentSpreadNode):
            yield from _connections(fragments[node.name.value].selection_set, fragments, variables, times)
        elif isinstance(node, InlineFragmentNode):
            yield from _connections(node.selection_set, fragments, variables, times)
        elif isinstance(node, FieldNode) and node.selection_set:
            page_size = _page_size(node, variables)
            if page_size is not None:
                yield times, page_size
            yield from _connections(
                node.selection_set, fragments, variables, times * (1 if page_size is None else page_size)
            )


def _is_left_out(node: SelectionNode, variables: Mapping[str, Any]) -> bool:
    """Whether `@include` or `@skip` leaves it out."""
    conditions = {
        directive.name.value: directive.arguments[0].value for directive in node.directives or () if directive.arguments
    }
    values = {name: value_from_ast_untyped(condition, dict(variables)) for name, condition in conditions.items()}
    return not values.get("include", True) or values.get("skip", False)


def _page_size(node: FieldNode, variables: Mapping[str, Any]) -> int | None:
    for argument in node.arguments or ():
        if argument.name.value in {"first", "last"}:
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
            if isinstance(argument.value, VariableNode):
                value = variables.get(argument.value.name.value)
                return value if isinstance(value, int) else None
    return None
