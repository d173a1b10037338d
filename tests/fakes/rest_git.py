"""REST, the git side: commits, compare, contents, and the git database."""

import base64
import binascii
from datetime import datetime
from functools import partial
from typing import Any

from fakes import rest_views
from fakes.git import NOTHING, TREE, Commit, Entry, Leaf, Signature
from fakes.git_queries import status
from fakes.repository import Repository
from fakes.routing import Answer, Call, HttpError, route

COMPARE_PAGE, COMPARE_MOST, COMPARE_FILES = 250, 1000, 300
CONTENT_LIMIT = 1_000_000
Json = dict[str, Any]


def readable(call: Call, home: Repository) -> None:
    call.need(home, "contents")
    if not home.git.refs("refs/"):
        raise HttpError(409, "Git Repository is empty.")


def writable(call: Call, home: Repository) -> Json:
    call.need(home, "contents", "write")
    readable(call, home)
    return call.request.json()


def _commit(home: Repository, name: str, status: int = 404, message: str = "Not Found") -> Commit:
    found = home.git.commit(home.git.resolve(name) or NOTHING)
    if found is None:
        raise HttpError(status, message)
    return found


@route("GET", "/commits")
def commits(call: Call, home: Repository) -> Answer:
    readable(call, home)
    head = _commit(home, call.query.get("sha") or home.default_branch)
    times = [f"--{key}={call.query[key]}" for key in ("since", "until") if call.query.get(key)]
    path = ["--", call.query["path"]] if call.query.get("path") else []
    found = home.git.walk(*times, head.oid, *path)
    return call.listed(found, lambda oid: rest_views.commit(call.base, home, _commit(home, oid)))


@route("GET", "/commits/{sha*}")
def commit(call: Call, home: Repository, sha: str) -> Answer:
    readable(call, home)
    made = _commit(home, sha, 422, f"No commit found for SHA: {sha}")
    parent = home.git.commit(made.parents[0]) if made.parents else None
    return Answer(200, rest_views.commit(call.base, home, made) | {"files": _files(home, parent, made)})


def _files(home: Repository, before: Commit | None, after: Commit) -> list[Json]:
    old = before.tree if before else None
    return [
        {"filename": path, "status": _change(home, old, path, leaf), "sha": leaf[1] if leaf else NOTHING}
        for path, leaf in list(home.git.changes(old, after.tree).items())[:COMPARE_FILES]
    ]


def _change(home: Repository, before: str | None, path: str, leaf: Leaf | None) -> str:
    if leaf is None:
        return "removed"
    return "modified" if before and home.git.read(f"{before}:{path}") else "added"


@route("GET", "/compare/{spec*}")
def compare(call: Call, home: Repository, spec: str) -> Answer:
    """Pages of 250 unless asked otherwise; the files come with the first page only."""
    readable(call, home)
    names = spec.split("...")
    if len(names) != 2:
        raise HttpError(404, "Not Found")
    base, head = (_commit(home, name.rpartition(":")[2]) for name in names)
    fork = home.git.merge_base(base.oid, head.oid)
    if fork is None:
        raise HttpError(404, f"No common ancestor between {names[0]} and {names[1]}.")
    ahead, behind = home.git.walk("--reverse", f"{base.oid}..{head.oid}"), home.git.walk(f"{head.oid}..{base.oid}")
    view = partial(rest_views.commit, call.base, home)
    shown, headers = call.page(ahead, lambda oid: view(_commit(home, oid)), default=COMPARE_PAGE, most=COMPARE_MOST)
    first = call.number("page", 1, 1_000_000) == 1
    return Answer(200, {
        "url": f"{rest_views.api(call.base, home)}/compare/{spec}",
        "html_url": f"{home.url}/compare/{spec}",
        "base_commit": view(base),
        "merge_base_commit": view(_commit(home, fork)),
        "status": status(len(ahead), len(behind)),
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": shown,
        "files": _files(home, _commit(home, fork), head) if first else [],
    }, headers)  # fmt: skip


@route("GET", "/contents")
@route("GET", "/contents/{path*}")
def contents(call: Call, home: Repository, path: str = "") -> Answer:
    readable(call, home)
    ref = call.query.get("ref") or home.default_branch
    made = _commit(home, ref, 404, f"No commit found for the ref {ref}")
    found = home.git.read(f"{made.oid}:{path.strip('/')}")
    if found is None:
        raise HttpError(404, "Not Found")
    url = f"{rest_views.api(call.base, home)}/contents"
    if found.kind == "tree":
        folder = f"{path.strip('/')}/" if path else ""
        return Answer(200, [_listed(url, folder, entry) for entry in home.git.entries(found.oid)[:1000]])
    if "raw" in call.request.headers.get("Accept", ""):
        return Answer(200, found.data, {"Content-Type": "application/vnd.github.raw+json"})
    small = len(found.data) <= CONTENT_LIMIT
    return Answer(200, {
        "type": "file", "name": path.rpartition("/")[2], "path": path, "sha": found.oid, "size": len(found.data),
        "encoding": "base64" if small else "none",
        "content": base64.encodebytes(found.data).decode() if small else "",
        "url": f"{url}/{path}?ref={ref}", "git_url": f"{rest_views.api(call.base, home)}/git/blobs/{found.oid}",
    })  # fmt: skip


def _listed(url: str, folder: str, entry: Entry) -> Json:
    kind = "dir" if entry.mode == TREE else "file"
    path = folder + entry.name
    return {"type": kind, "name": entry.name, "path": path, "sha": entry.oid, "url": f"{url}/{path}"}


# the git database


def _object(home: Repository, oid: str, kind: str) -> bytes:
    found = home.git.read(oid)
    if found is None or found.kind != kind:
        raise HttpError(404, "Not Found")
    return found.data


@route("GET", "/git/blobs/{oid}")
def blob(call: Call, home: Repository, oid: str) -> Answer:
    readable(call, home)
    data = _object(home, oid, "blob")
    content = base64.encodebytes(data).decode()
    return Answer(200, {"sha": oid, "size": len(data), "encoding": "base64", "content": content})


@route("POST", "/git/blobs")
def create_blob(call: Call, home: Repository) -> Answer:
    given = writable(call, home)
    text = str(given.get("content", ""))
    try:
        data = base64.b64decode(text, validate=True) if given.get("encoding") == "base64" else text.encode()
    except binascii.Error as error:
        raise HttpError(422, "content is not valid Base64") from error
    return _created(call, home, "blobs", home.git.write("blob", data))


def _created(call: Call, home: Repository, kind: str, oid: str) -> Answer:
    return Answer(201, {"sha": oid, "url": f"{rest_views.api(call.base, home)}/git/{kind}/{oid}"})


@route("GET", "/git/trees/{name*}")
def tree(call: Call, home: Repository, name: str) -> Answer:
    readable(call, home)
    found = home.git.read(name + "^{tree}")
    if found is None:
        raise HttpError(404, "Not Found")
    return Answer(200, {"sha": found.oid, "tree": _rows(call, home, found.oid), "truncated": False})


def _rows(call: Call, home: Repository, oid: str, folder: str = "") -> list[Json]:
    rows: list[Json] = []
    for entry in home.git.entries(oid):
        path = folder + entry.name
        rows.append({"path": path, "mode": entry.mode.zfill(6), "type": entry.kind, "sha": entry.oid})
        if entry.mode == TREE and call.query.get("recursive"):
            rows += _rows(call, home, entry.oid, f"{path}/")
    return rows


@route("POST", "/git/trees")
def create_tree(call: Call, home: Repository) -> Answer:
    given = writable(call, home)
    changes = {row["path"]: _leaf(home, row) for row in given.get("tree") or ()}
    base = home.git.read(given["base_tree"] + "^{tree}") if given.get("base_tree") else None
    oid = home.git.amend(base.oid if base else None, changes)
    return Answer(201, {"sha": oid, "tree": _rows(call, home, oid), "truncated": False})


def _leaf(home: Repository, row: Json) -> Leaf | None:
    if isinstance(row.get("content"), str):
        return row.get("mode", "100644"), home.git.write("blob", row["content"].encode())
    if row.get("sha") is None:
        return None
    if home.git.read(row["sha"]) is None:
        raise HttpError(422, f"GitRPC::BadObjectState: tree.sha {row['sha']} is not a valid object")
    return str(row.get("mode", "100644")).lstrip("0"), row["sha"]


@route("GET", "/git/commits/{oid}")
def git_commit(call: Call, home: Repository, oid: str) -> Answer:
    readable(call, home)
    return Answer(200, rest_views.git_commit(call.base, home, _commit(home, oid)))


@route("POST", "/git/commits")
def create_commit(call: Call, home: Repository) -> Answer:
    """With `parents: []` an orphan."""
    given = writable(call, home)
    parents = given.get("parents") or []
    if not home.git.read(f"{given.get('tree')}^{{tree}}"):
        raise HttpError(422, "Tree SHA does not exist")
    if any(home.git.commit(oid) is None for oid in parents):
        raise HttpError(422, "Parent SHA does not exist or is not a commit object")
    me = Signature(call.token.actor.name, call.token.actor.email, call.world.now())
    author = _signature(given.get("author"), me)
    committer = _signature(given.get("committer"), author)
    oid = home.git.write_commit(given["tree"], parents, author, committer, given.get("message", ""))
    return Answer(201, rest_views.git_commit(call.base, home, _commit(home, oid)))


def _signature(given: Json | None, default: Signature) -> Signature:
    if not given:
        return default
    at = datetime.fromisoformat(given["date"]) if given.get("date") else default.at
    return Signature(given["name"], given["email"], at)
