"""REST, refs and branches."""

from fakes import git_writes, nodes, rest_views
from fakes.git import NOTHING, valid_ref
from fakes.git_writes import RefUpdate, WriteRefusedError
from fakes.repository import Repository
from fakes.rest_git import readable, writable
from fakes.routing import Answer, Call, HttpError, invalid, route


def _ref(call: Call, home: Repository, name: str) -> Answer:
    found = nodes.node(home, name)
    if found is None:
        raise HttpError(404, "Not Found")
    url = rest_views.api(call.base, home)
    kind = found.typename.lower()
    target = {"sha": found.oid, "type": kind, "url": f"{url}/git/{kind}s/{found.oid}"}
    return Answer(200, {"ref": name, "node_id": f"REF_{name}", "url": f"{url}/git/{name}", "object": target})


@route("GET", "/git/ref/{name*}")
def ref(call: Call, home: Repository, name: str) -> Answer:
    readable(call, home)
    return _ref(call, home, f"refs/{name}")


@route("GET", "/git/matching-refs/{name*}")
def matching_refs(call: Call, home: Repository, name: str) -> Answer:
    readable(call, home)
    names = [full for full in home.git.refs("refs/") if full.startswith(f"refs/{name}")]
    return Answer(200, [_ref(call, home, full).body for full in names])


@route("GET", "/branches/{name*}")
def branch(call: Call, home: Repository, name: str) -> Answer:
    readable(call, home)
    head = home.git.commit(home.head(name) or NOTHING)
    if head is None:
        raise HttpError(404, "Branch not found")
    shown = rest_views.commit(call.base, home, head)
    return Answer(200, {"name": name, "commit": shown, "protected": name in home.protected})


def _moved(call: Call, home: Repository, update: RefUpdate) -> Answer:
    try:
        git_writes.move(home, [update])
    except WriteRefusedError as error:
        raise HttpError(422, str(error)) from error
    return _ref(call, home, update.name) if update.after != NOTHING else Answer(204)


@route("POST", "/git/refs")
def create_ref(call: Call, home: Repository) -> Answer:
    given = writable(call, home)
    name = str(given.get("ref"))
    if not valid_ref(name):
        raise invalid("Reference", "ref")
    if home.git.ref(name):
        raise HttpError(422, "Reference already exists")
    made = _moved(call, home, RefUpdate(name, str(given.get("sha")), NOTHING))
    return Answer(201, made.body)


@route("PATCH", "/git/refs/{name*}")
def update_ref(call: Call, home: Repository, name: str) -> Answer:
    given = writable(call, home)
    if home.git.ref(f"refs/{name}") is None:
        raise HttpError(422, "Reference does not exist")
    update = RefUpdate(f"refs/{name}", str(given.get("sha")), force=given.get("force") is True)
    return _moved(call, home, update)


@route("DELETE", "/git/refs/{name*}")
def delete_ref(call: Call, home: Repository, name: str) -> Answer:
    writable(call, home)
    if home.git.ref(f"refs/{name}") is None:
        raise HttpError(422, "Reference does not exist")
    return _moved(call, home, RefUpdate(f"refs/{name}", NOTHING))
