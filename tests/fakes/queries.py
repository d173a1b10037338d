"""GraphQL resolvers of the query root and of repositories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from fakes import nodes
from fakes.nodes import GitNode, Ref
from fakes.records import Actor, Deployment, Issue, Label, PullRequest, Release
from fakes.repository import Repository
from fakes.resolvers import Info, TypedError, Value, connection, context, field, require, sort_records, timestamp

Page = dict[str, object]
Some = TypeVar("Some", bound=Issue)


@field("Query", "repository")
def _repository(_: object, info: Info, *, owner: str, name: str, **__: object) -> Repository:
    return repository_named(info, f"{owner}/{name}")


def repository_named(info: Info, name: str) -> Repository:
    repository = context(info).state.find_repository(name, context(info).token)
    if repository is None:
        raise TypedError("NOT_FOUND", f"Could not resolve to a Repository with the name '{name}'.")
    return repository


@dataclass(frozen=True)
class Owner:
    """An organisation or person that owns repositories."""

    login: str
    visible_repositories: list[Repository]
    typename = "Organization"


@field("Query", "repositoryOwner")
def _repository_owner(_: object, info: Info, *, login: str) -> Owner | None:
    owned = context(info).state.owned_repositories(login, context(info).token)
    return Owner(login, owned) if owned else None


@field("Organization", "repositories")
def _owned(owner: Owner, info: Info, **arguments: Value) -> Page:
    return connection(info, owner.visible_repositories, arguments)


@field("Repository", "isArchived")
def _is_archived(repository: Repository, _: Info) -> bool:
    return repository.is_archived


@field("Repository", "isFork")
def _is_fork(repository: Repository, _: Info) -> bool:
    return repository.is_fork


@field("Repository", "repositoryTopics")
def _repository_topics(repository: Repository, info: Info, **arguments: Value) -> Page:
    return connection(info, repository.topics, arguments, lambda name: {"topic": {"name": name}})


@field("Query", "node")
def _node(_: object, info: Info, *, id: str) -> object:  # noqa: A002 - GraphQL's name
    node = context(info).state.nodes.get(id)
    if node is None:
        raise TypedError("NOT_FOUND", f"Could not resolve to a node with the global id of '{id}'")
    return node


@field("Query", "nodes")
def _nodes(_: object, info: Info, *, ids: list[str]) -> list[object]:
    """Null and an error for each id that does not exist; the others are returned, as on GitHub."""
    return [_node_or_error(info, node_id) for node_id in ids]


def _node_or_error(info: Info, node_id: str) -> object:
    try:
        return _node(None, info, id=node_id)
    except TypedError as error:
        return error


@field("Query", "viewer")
def _viewer(_: object, info: Info) -> Actor:
    return context(info).token.actor


@field("Query", "rateLimit")
def _rate_limit(_: object, info: Info, **__: object) -> Page:
    budget, size = context(info).state.budgets["graphql"], context(info).size
    return {
        "cost": size.cost,
        "limit": budget.limit,
        "nodeCount": size.nodes,
        "remaining": budget.remaining,
        "resetAt": timestamp(datetime.fromtimestamp(budget.reset).astimezone()),
        "used": budget.used,
    }


@field("Repository", "isInOrganization")
def _is_in_organisation(repository: Repository, _: Info) -> bool:
    return repository.owner_login.lower() not in repository.state.people


@field("Repository", "isEmpty")
def _is_empty(repository: Repository, _: Info) -> bool:
    return not repository.git.refs("refs/")


@field("Repository", "visibility")
def _visibility(repository: Repository, _: Info) -> str:
    return "PRIVATE" if repository.is_private else "PUBLIC"


@field("Repository", "defaultBranchRef")
def _default_branch(repository: Repository, info: Info) -> Ref | None:
    require(info, repository, "contents")
    return Ref(repository, f"refs/heads/{repository.default_branch}") if repository.head() else None


@field("Repository", "ref")
def _ref(repository: Repository, info: Info, *, qualifiedName: str) -> Ref | None:  # noqa: N803 - GraphQL's name
    require(info, repository, "contents")
    names = [qualifiedName, f"refs/heads/{qualifiedName}", f"refs/tags/{qualifiedName}"]
    return next((Ref(repository, name) for name in names if repository.git.ref(name)), None)


@field("Repository", "refs")
def _refs(repository: Repository, info: Info, *, refPrefix: str, **arguments: Value) -> Page:  # noqa: N803 - GraphQL's name
    require(info, repository, "contents")
    names = [name for name in repository.git.refs(refPrefix) if (arguments.get("query") or "") in name]
    return connection(info, names, arguments, lambda name: Ref(repository, name))


@field("Repository", "object")
def _object(
    repository: Repository, info: Info, *, expression: str | None = None, oid: str | None = None
) -> GitNode | None:
    require(info, repository, "contents")
    return nodes.node(repository, oid or expression or "")


def _by_number(repository: Repository, kind: type[Issue], number: int) -> Issue:
    record = next((record for record in repository.records_of(kind) if record.number == number), None)
    if record is None:
        raise TypedError("NOT_FOUND", f"Could not resolve to {_with_article(kind)} with the number of {number}.")
    return record


def _with_article(kind: type[Issue]) -> str:
    return f"an {kind.typename}" if kind is Issue else f"a {kind.typename}"


@field("Repository", "pullRequest")
def _pull(repository: Repository, info: Info, *, number: int) -> Issue:
    require(info, repository, "pull-requests")
    return _by_number(repository, PullRequest, number)


@field("Repository", "issue")
def _issue(repository: Repository, info: Info, *, number: int) -> Issue:
    require(info, repository, "issues")
    return _by_number(repository, Issue, number)


@field("Repository", "pullRequests")
def _pulls(repository: Repository, info: Info, **arguments: Value) -> Page:
    require(info, repository, "pull-requests")
    base, head = arguments.get("baseRefName"), arguments.get("headRefName")
    pulls = [
        pull
        for pull in _filtered(repository.records_of(PullRequest), arguments)
        if base in {None, pull.base_ref_name} and head in {None, pull.head_ref_name}
    ]
    return connection(info, sort_records(pulls, arguments), arguments)


@field("Repository", "issues")
def _issues(repository: Repository, info: Info, **arguments: Value) -> Page:
    require(info, repository, "issues")
    filters = arguments.get("filterBy") or {}
    since = timestamp(datetime.fromisoformat(filters["since"])) if filters.get("since") else None
    criteria = {key: filters.get(key) or arguments.get(key) for key in ("labels", "states")}
    issues = repository.records_of(Issue) if repository.has_issues_enabled else []
    matching = [issue for issue in _filtered(issues, criteria) if not since or timestamp(issue.updated_at) >= since]
    return connection(info, sort_records(matching, arguments), arguments)


@field("Repository", "labels")
def _labels(repository: Repository, info: Info, **arguments: Value) -> Page:
    require(info, repository, "issues")
    names = [name for name in repository.labels if (arguments.get("query") or "").lower() in name.lower()]
    return connection(info, [Label(name) for name in names], arguments)


def _filtered(records: Sequence[Some], arguments: dict[str, Any]) -> list[Some]:
    labels, states = set(arguments.get("labels") or ()), arguments.get("states")
    return [
        record
        for record in records
        if (not states or record.state in states) and (not labels or labels & set(record.labels))
    ]


@field("Repository", "deployments")
def _deployments(repository: Repository, info: Info, **arguments: Value) -> Page:
    require(info, repository, "deployments")
    environments = arguments.get("environments")
    deployments = [
        deployment
        for deployment in repository.records_of(Deployment)
        if not environments or deployment.environment in environments
    ]
    return connection(info, sort_records(deployments, arguments), arguments)


@field("Repository", "releases")
def _releases(repository: Repository, info: Info, **arguments: Value) -> Page:
    require(info, repository, "contents")
    releases = repository.records_of(Release)
    return connection(
        info, sort_records(releases, arguments) if arguments.get("orderBy") else releases[::-1], arguments
    )


@field("User", "id")
@field("Bot", "id")
def _actor_id(actor: Actor, _: Info) -> str:
    return f"{actor.typename[0]}_{actor.name}"


@field("Repository", "owner")
def _owner(repository: Repository, _: Info) -> Actor:
    return Actor(repository.owner_login)


@field("Repository", "nameWithOwner")
def _full_name(repository: Repository, _: Info) -> str:
    return repository.name_with_owner
