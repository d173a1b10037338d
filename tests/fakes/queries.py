"""What can be asked of GitHub's GraphQL at the top, and of a repository."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from fakes import nodes
from fakes.nodes import GitNode, Ref
from fakes.records import Actor, Deployment, Issue, Label, PullRequest, Release
from fakes.repository import Repository
from fakes.resolvers import Info, TypedError, Value, connection, context, field, need, ordered, stamp

Page = dict[str, object]
Some = TypeVar("Some", bound=Issue)


@field("Query", "repository")
def _repository(_: object, info: Info, *, owner: str, name: str, **__: object) -> Repository:
    return named(info, f"{owner}/{name}")


def named(info: Info, name: str) -> Repository:
    found = context(info).world.find(name, context(info).token)
    if found is None:
        raise TypedError("NOT_FOUND", f"Could not resolve to a Repository with the name '{name}'.")
    return found


@dataclass(frozen=True)
class Owner:
    """An organisation or person, as far as it has repositories."""

    login: str
    repositories_seen: list[Repository]
    typename = "Organization"


@field("Query", "repositoryOwner")
def _repository_owner(_: object, info: Info, *, login: str) -> Owner | None:
    world, token = context(info).world, context(info).token
    seen = {one.name_with_owner: one for one in world.repositories.values() if token.sees(one)}
    owned = [one for name, one in sorted(seen.items()) if one.owner_login.lower() == login.lower()]
    return Owner(login, owned) if owned else None


@field("Organization", "repositories")
def _owned(owner: Owner, info: Info, **arguments: Value) -> Page:
    return connection(info, owner.repositories_seen, arguments)


@field("Repository", "isArchived")
def _is_archived(home: Repository, _: Info) -> bool:
    return home.is_archived


@field("Repository", "isFork")
def _is_fork(home: Repository, _: Info) -> bool:
    return home.is_fork


@field("Query", "node")
def _node(_: object, info: Info, *, id: str) -> object:  # noqa: A002 - GraphQL's name
    found = context(info).world.nodes.get(id)
    if found is None:
        raise TypedError("NOT_FOUND", f"Could not resolve to a node with the global id of '{id}'")
    return found


@field("Query", "nodes")
def _nodes(_: object, info: Info, *, ids: list[str]) -> list[object]:
    return [_node(None, info, id=one) for one in ids]


@field("Query", "viewer")
def _viewer(_: object, info: Info) -> Actor:
    return context(info).token.actor


@field("Query", "rateLimit")
def _rate_limit(_: object, info: Info, **__: object) -> Page:
    budget, size = context(info).world.budgets["graphql"], context(info).size
    return {
        "cost": size.cost,
        "limit": budget.limit,
        "nodeCount": size.nodes,
        "remaining": budget.remaining,
        "resetAt": stamp(datetime.fromtimestamp(budget.reset).astimezone()),
        "used": budget.used,
    }


@field("Repository", "isEmpty")
def _is_empty(home: Repository, _: Info) -> bool:
    return not home.git.refs("refs/")


@field("Repository", "visibility")
def _visibility(home: Repository, _: Info) -> str:
    return "PRIVATE" if home.is_private else "PUBLIC"


@field("Repository", "defaultBranchRef")
def _default_branch(home: Repository, info: Info) -> Ref | None:
    need(info, home, "contents")
    return Ref(home, f"refs/heads/{home.default_branch}") if home.head() else None


@field("Repository", "ref")
def _ref(home: Repository, info: Info, *, qualifiedName: str) -> Ref | None:  # noqa: N803 - GraphQL's name
    need(info, home, "contents")
    names = [qualifiedName, f"refs/heads/{qualifiedName}", f"refs/tags/{qualifiedName}"]
    return next((Ref(home, name) for name in names if home.git.ref(name)), None)


@field("Repository", "refs")
def _refs(home: Repository, info: Info, *, refPrefix: str, **arguments: Value) -> Page:  # noqa: N803 - GraphQL's name
    need(info, home, "contents")
    names = [name for name in home.git.refs(refPrefix) if (arguments.get("query") or "") in name]
    return connection(info, names, arguments, lambda name: Ref(home, name))


@field("Repository", "object")
def _object(home: Repository, info: Info, *, expression: str | None = None, oid: str | None = None) -> GitNode | None:
    need(info, home, "contents")
    return nodes.node(home, oid or expression or "")


def _one(home: Repository, kind: type[Issue], number: int) -> Issue:
    found = next((record for record in home.every(kind) if record.number == number), None)
    if found is None:
        raise TypedError("NOT_FOUND", f"Could not resolve to {_an(kind)} with the number of {number}.")
    return found


def _an(kind: type[Issue]) -> str:
    return f"an {kind.typename}" if kind is Issue else f"a {kind.typename}"


@field("Repository", "pullRequest")
def _pull(home: Repository, info: Info, *, number: int) -> Issue:
    need(info, home, "pull-requests")
    return _one(home, PullRequest, number)


@field("Repository", "issue")
def _issue(home: Repository, info: Info, *, number: int) -> Issue:
    need(info, home, "issues")
    return _one(home, Issue, number)


@field("Repository", "pullRequests")
def _pulls(home: Repository, info: Info, **arguments: Value) -> Page:
    need(info, home, "pull-requests")
    base, head = arguments.get("baseRefName"), arguments.get("headRefName")
    found = [
        pull
        for pull in _issues_like(home.every(PullRequest), arguments)
        if base in {None, pull.base_ref_name} and head in {None, pull.head_ref_name}
    ]
    return connection(info, ordered(found, arguments), arguments)


@field("Repository", "issues")
def _issues(home: Repository, info: Info, **arguments: Value) -> Page:
    need(info, home, "issues")
    narrow = arguments.get("filterBy") or {}
    since = stamp(datetime.fromisoformat(narrow["since"])) if narrow.get("since") else None
    asked = {key: narrow.get(key) or arguments.get(key) for key in ("labels", "states")}
    every = home.every(Issue) if home.has_issues_enabled else []
    found = [issue for issue in _issues_like(every, asked) if not since or stamp(issue.updated_at) >= since]
    return connection(info, ordered(found, arguments), arguments)


@field("Repository", "labels")
def _labels(home: Repository, info: Info, **arguments: Value) -> Page:
    need(info, home, "issues")
    found = [name for name in home.labels if (arguments.get("query") or "").lower() in name.lower()]
    return connection(info, [Label(name) for name in found], arguments)


def _issues_like(records: Sequence[Some], arguments: dict[str, Any]) -> list[Some]:
    labels, states = set(arguments.get("labels") or ()), arguments.get("states")
    return [
        record
        for record in records
        if (not states or record.state in states) and (not labels or labels & set(record.labels))
    ]


@field("Repository", "deployments")
def _deployments(home: Repository, info: Info, **arguments: Value) -> Page:
    need(info, home, "deployments")
    wanted = arguments.get("environments")
    found = [made for made in home.every(Deployment) if not wanted or made.environment in wanted]
    return connection(info, ordered(found, arguments), arguments)


@field("Repository", "releases")
def _releases(home: Repository, info: Info, **arguments: Value) -> Page:
    need(info, home, "contents")
    found = home.every(Release)
    return connection(info, ordered(found, arguments) if arguments.get("orderBy") else found[::-1], arguments)


@field("User", "id")
@field("Bot", "id")
def _actor_id(actor: Actor, _: Info) -> str:
    return f"{actor.typename[0]}_{actor.name}"


@field("Repository", "owner")
def _owner(home: Repository, _: Info) -> Actor:
    return Actor(home.owner_login)


@field("Repository", "nameWithOwner")
def _full_name(home: Repository, _: Info) -> str:
    return home.name_with_owner
