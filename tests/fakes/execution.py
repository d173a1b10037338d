"""Answer a GraphQL request as GitHub does: HTTP 200 with `data`, with `errors`, or with both."""

from pathlib import Path
from typing import Any

from graphql import GraphQLError, execute_sync

from fakes import git_queries, mutations, queries, record_queries, resolvers
from fakes.resolvers import Context, TypedError
from fakes.schema import NODE_LIMIT, load_schema, locations, query_size, validate_query
from fakes.state import ServerState, Token

__all__ = ["answer", "git_queries", "mutations", "queries", "record_queries"]

Json = dict[str, Any]


def answer(world: ServerState, token: Token, request: Json, path: Path, problems: list[str]) -> Json:
    """Answer one request. Errors of the fake itself (unknown field, failed resolver) are added to `problems`."""
    query, name, variables = request.get("query"), request.get("operationName"), request.get("variables") or {}
    if not isinstance(query, str):
        return {"errors": [{"message": "A query attribute must be specified and must be a string."}]}
    document = validate_query(query, path)
    if document.errors or document.ast is None:
        return {"errors": list(document.errors)}
    requested = query_size(document, name, variables)
    if requested.nodes > NODE_LIMIT:
        return {"errors": [_too_many_nodes(requested.nodes)]}
    world.budgets["graphql"].used += requested.cost
    result = execute_sync(
        load_schema(path),
        document.ast,
        context_value=Context(world, token, requested),
        variable_values=variables,
        operation_name=name,
        field_resolver=resolvers.resolve,
        type_resolver=resolvers.type_of,
    )
    errors = [_error_body(error, problems) for error in result.errors or ()]
    if result.data is None and not any("path" in error for error in errors):
        return {"errors": errors}
    return {"data": result.data} | ({"errors": errors} if errors else {})


def _too_many_nodes(nodes: int) -> Json:
    message = (
        f"This query requests up to {nodes:,} possible nodes which exceeds the maximum limit of {NODE_LIMIT:,} nodes."
    )
    return {"type": "MAX_NODE_LIMIT_EXCEEDED", "message": message}


def _error_body(error: GraphQLError, problems: list[str]) -> Json:
    cause = error.original_error
    body: Json = {"path": list(error.path)} if error.path else {}
    body |= {"locations": locations(error), "message": error.message}
    if isinstance(cause, TypedError):
        extensions = {"extensions": {"saml_failure": False}} if cause.kind == "FORBIDDEN" else {}
        return {"type": cause.kind, **body, **extensions}
    if error.path:
        problems.append(f"{'.'.join(map(str, error.path))}: {cause or error!r}")
    return body
