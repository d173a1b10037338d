"""GitHub's published GraphQL schema, and queries checked against it: validity, size, cost."""

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
    """Path of the schema. If npm has not installed it, the test is skipped; in CI it fails."""
    return npm_packages.package_folder("@octokit/graphql-schema") / "schema.graphql"


@lru_cache(maxsize=1)
def load_schema(path: Path) -> GraphQLSchema:
    """Load the schema once a process, since parsing takes most of a second."""
    return build_ast_schema(parse(path.read_text("utf-8"), no_location=True), assume_valid=True)


@dataclass(frozen=True)
class Document:
    """A parsed query and its errors."""

    ast: DocumentNode | None
    errors: tuple[Json, ...] = ()

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation of that name; without a name the first."""
        operations = (node for node in self._definitions() if isinstance(node, OperationDefinitionNode))
        return next((node for node in operations if name is None or (node.name and node.name.value == name)), None)

    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        return {node.name.value: node for node in self._definitions() if isinstance(node, FragmentDefinitionNode)}

    def roots(self, name: str | None) -> tuple[str, ...]:
        """Top-level fields of an operation, such as `createCommitOnBranch`."""
        operation = self.operation(name)
        selections = operation.selection_set.selections if operation else ()
        return tuple(node.name.value for node in selections if isinstance(node, FieldNode))

    def _definitions(self) -> tuple[object, ...]:
        return tuple(self.ast.definitions) if self.ast else ()


@lru_cache(maxsize=256)
def parse_query(query: str) -> Document:
    """Parse a query without checking it against the schema."""
    try:
        return Document(parse(query))
    except GraphQLSyntaxError as error:
        return Document(None, ({"message": error.message, "locations": locations(error)},))


@lru_cache(maxsize=256)
def validate_query(query: str, path: Path) -> Document:
    """Parse and validate a query."""
    document = parse_query(query)
    if document.ast is None:
        return document
    return Document(document.ast, tuple(_github_error(error) for error in validate(load_schema(path), document.ast)))


def locations(error: GraphQLError) -> list[Json]:
    return [{"line": location.line, "column": location.column} for location in error.locations or ()]


def _github_error(error: GraphQLError) -> Json:
    """A validation error with GitHub's wording where it is known."""
    match = _UNKNOWN_FIELD.match(error.message)
    if match is None:
        return {"message": error.message, "locations": locations(error)}
    name, kind = match.groups()
    extensions = {"code": "undefinedField", "typeName": kind, "fieldName": name}
    message = f"Field '{name}' doesn't exist on type '{kind}'"
    return {"path": ["query", name], "extensions": extensions, "locations": locations(error), "message": message}


@dataclass(frozen=True)
class QuerySize:
    """Nodes that a query may return at most, and connections that it opens; GitHub's limit and cost depend on them."""

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
    """For each connection: how often it is opened, and its maximum of nodes. Skipped fields count nothing."""
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
    """Whether `@include` or `@skip` removes the field."""
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
