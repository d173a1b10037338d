"""REST API of refs and branches."""

from fakes import git_writes, nodes, rest_views
from fakes.git import NULL_OID, valid_ref
from fakes.git_writes import RefUpdate, WriteRefusedError
from fakes.repository import Repository
from fakes.rest_git import require_readable, require_writable
from fakes.routing import Answer, Call, HttpError, route, validation_error


def _ref_answer(call: Call, repository: Repository, name: str) -> Answer:
    target_node = nodes.node(repository, name)
    if target_node is None:
        raise HttpError(404, "Not Found")
    url = rest_views.repository_url(call.base, repository)
    kind = target_node.typename.lower()
    target = {"sha": target_node.oid, "type": kind, "url": f"{url}/git/{kind}s/{target_node.oid}"}
    return Answer(200, {"ref": name, "node_id": f"REF_{name}", "url": f"{url}/git/{name}", "object": target})


@route("GET", "/git/ref/{name*}")
def ref(call: Call, repository: Repository, name: str) -> Answer:
    require_readable(call, repository)
    return _ref_answer(call, repository, f"refs/{name}")


@route("GET", "/git/matching-refs/{name*}")
def matching_refs(call: Call, repository: Repository, name: str) -> Answer:
    require_readable(call, repository)
    names = [full for full in repository.git.refs("refs/") if full.startswith(f"refs/{name}")]
    return Answer(200, [_ref_answer(call, repository, full).body for full in names])


@route("GET", "/branches/{name*}")
def branch(call: Call, repository: Repository, name: str) -> Answer:
    require_readable(call, repository)
    head = repository.git.commit(repository.head(name) or NULL_OID)
    if head is None:
        raise HttpError(404, "Branch not found")
    commit = rest_views.commit(call.base, repository, head)
    return Answer(200, {"name": name, "commit": commit, "protected": name in repository.protected})


def _update_ref(call: Call, repository: Repository, update: RefUpdate) -> Answer:
    try:
        git_writes.update_refs(repository, [update])
    except WriteRefusedError as error:
        raise HttpError(422, str(error)) from error
    return _ref_answer(call, repository, update.name) if update.after != NULL_OID else Answer(204)


@route("POST", "/git/refs")
def create_ref(call: Call, repository: Repository) -> Answer:
    body = require_writable(call, repository)
    name = str(body.get("ref"))
    if not valid_ref(name):
        raise validation_error("Reference", "ref")
    if repository.git.ref(name):
        raise HttpError(422, "Reference already exists")
    answer = _update_ref(call, repository, RefUpdate(name, str(body.get("sha")), NULL_OID))
    return Answer(201, answer.body)


@route("PATCH", "/git/refs/{name*}")
def update_ref(call: Call, repository: Repository, name: str) -> Answer:
    body = require_writable(call, repository)
    if repository.git.ref(f"refs/{name}") is None:
        raise HttpError(422, "Reference does not exist")
    update = RefUpdate(f"refs/{name}", str(body.get("sha")), force=body.get("force") is True)
    return _update_ref(call, repository, update)


@route("DELETE", "/git/refs/{name*}")
def delete_ref(call: Call, repository: Repository, name: str) -> Answer:
    require_writable(call, repository)
    if repository.git.ref(f"refs/{name}") is None:
        raise HttpError(422, "Reference does not exist")
    return _update_ref(call, repository, RefUpdate(f"refs/{name}", NULL_OID))
