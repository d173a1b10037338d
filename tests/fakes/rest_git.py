"""REST API of git: commits, compare, contents, and the git database."""

import base64
import binascii
from datetime import datetime
from functools import partial
from typing import Any

from fakes import rest_views
from fakes.git import NULL_OID, TREE_MODE, Commit, Entry, Leaf, Signature
from fakes.git_queries import comparison_status
from fakes.repository import Repository
from fakes.routing import Answer, Call, HttpError, route

COMPARE_PAGE, COMPARE_MAXIMUM, COMPARE_FILES = 250, 1000, 300
CONTENT_LIMIT = 1_000_000
Json = dict[str, Any]


def require_readable(call: Call, repository: Repository) -> None:
    call.require(repository, "contents")
    if not repository.git.refs("refs/"):
        raise HttpError(409, "Git Repository is empty.")


def require_writable(call: Call, repository: Repository) -> Json:
    call.require(repository, "contents", "write")
    require_readable(call, repository)
    return call.request.json()


def _commit_or_error(repository: Repository, name: str, status: int = 404, message: str = "Not Found") -> Commit:
    commit = repository.git.commit(repository.git.resolve(name) or NULL_OID)
    if commit is None:
        raise HttpError(status, message)
    return commit


@route("GET", "/commits")
def commits(call: Call, repository: Repository) -> Answer:
    require_readable(call, repository)
    head = _commit_or_error(repository, call.query.get("sha") or repository.default_branch)
    times = [f"--{key}={call.query[key]}" for key in ("since", "until") if call.query.get(key)]
    path = ["--", call.query["path"]] if call.query.get("path") else []
    shas = repository.git.rev_list(*times, head.oid, *path)
    return call.page_answer(
        shas, lambda oid: rest_views.commit(call.base, repository, _commit_or_error(repository, oid))
    )


@route("GET", "/commits/{sha*}")
def commit(call: Call, repository: Repository, sha: str) -> Answer:
    require_readable(call, repository)
    commit = _commit_or_error(repository, sha, 422, f"No commit found for SHA: {sha}")
    parent = repository.git.commit(commit.parents[0]) if commit.parents else None
    return Answer(200, rest_views.commit(call.base, repository, commit) | {"files": _files(repository, parent, commit)})


def _files(repository: Repository, before: Commit | None, after: Commit) -> list[Json]:
    old = before.tree if before else None
    return [
        {"filename": path, "status": _change_status(repository, old, path, leaf), "sha": leaf[1] if leaf else NULL_OID}
        for path, leaf in list(repository.git.changes(old, after.tree).items())[:COMPARE_FILES]
    ]


def _change_status(repository: Repository, before: str | None, path: str, leaf: Leaf | None) -> str:
    if leaf is None:
        return "removed"
    return "modified" if before and repository.git.read(f"{before}:{path}") else "added"


@route("GET", "/compare/{spec*}")
def compare(call: Call, repository: Repository, spec: str) -> Answer:
    """Pages of 250 commits by default; only the first page has the files."""
    require_readable(call, repository)
    names = spec.split("...")
    if len(names) != 2:
        raise HttpError(404, "Not Found")
    base, head = (_commit_or_error(repository, name.rpartition(":")[2]) for name in names)
    fork = repository.git.merge_base(base.oid, head.oid)
    if fork is None:
        raise HttpError(404, f"No common ancestor between {names[0]} and {names[1]}.")
    ahead, behind = (
        repository.git.rev_list("--reverse", f"{base.oid}..{head.oid}"),
        repository.git.rev_list(f"{head.oid}..{base.oid}"),
    )
    view = partial(rest_views.commit, call.base, repository)
    rows, headers = call.page(
        ahead, lambda oid: view(_commit_or_error(repository, oid)), default=COMPARE_PAGE, maximum=COMPARE_MAXIMUM
    )
    is_first_page = call.number("page", 1, 1_000_000) == 1
    return Answer(200, {
        "url": f"{rest_views.repository_url(call.base, repository)}/compare/{spec}",
        "html_url": f"{repository.url}/compare/{spec}",
        "base_commit": view(base),
        "merge_base_commit": view(_commit_or_error(repository, fork)),
        "status": comparison_status(len(ahead), len(behind)),
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": rows,
        "files": _files(repository, _commit_or_error(repository, fork), head) if is_first_page else [],
    }, headers)  # fmt: skip


@route("GET", "/contents")
@route("GET", "/contents/{path*}")
def contents(call: Call, repository: Repository, path: str = "") -> Answer:
    require_readable(call, repository)
    ref = call.query.get("ref") or repository.default_branch
    commit = _commit_or_error(repository, ref, 404, f"No commit found for the ref {ref}")
    git_object = repository.git.read(f"{commit.oid}:{path.strip('/')}")
    if git_object is None:
        raise HttpError(404, "Not Found")
    url = f"{rest_views.repository_url(call.base, repository)}/contents"
    if git_object.kind == "tree":
        folder = f"{path.strip('/')}/" if path else ""
        return Answer(200, [_folder_row(url, folder, entry) for entry in repository.git.entries(git_object.oid)[:1000]])
    if "raw" in call.request.headers.get("Accept", ""):
        return Answer(200, git_object.data, {"Content-Type": "application/vnd.github.raw+json"})
    has_content = len(git_object.data) <= CONTENT_LIMIT
    return Answer(
        200,
        {
            "type": "file",
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": git_object.oid,
            "size": len(git_object.data),
            "encoding": "base64" if has_content else "none",
            "content": base64.encodebytes(git_object.data).decode() if has_content else "",
            "url": f"{url}/{path}?ref={ref}",
            "git_url": f"{rest_views.repository_url(call.base, repository)}/git/blobs/{git_object.oid}",
        },
    )


def _folder_row(url: str, folder: str, entry: Entry) -> Json:
    kind = "dir" if entry.mode == TREE_MODE else "file"
    path = folder + entry.name
    return {"type": kind, "name": entry.name, "path": path, "sha": entry.oid, "url": f"{url}/{path}"}


# the git database


def _object(repository: Repository, oid: str, kind: str) -> bytes:
    git_object = repository.git.read(oid)
    if git_object is None or git_object.kind != kind:
        raise HttpError(404, "Not Found")
    return git_object.data


@route("GET", "/git/blobs/{oid}")
def blob(call: Call, repository: Repository, oid: str) -> Answer:
    require_readable(call, repository)
    data = _object(repository, oid, "blob")
    content = base64.encodebytes(data).decode()
    return Answer(200, {"sha": oid, "size": len(data), "encoding": "base64", "content": content})


@route("POST", "/git/blobs")
def create_blob(call: Call, repository: Repository) -> Answer:
    body = require_writable(call, repository)
    text = str(body.get("content", ""))
    try:
        data = base64.b64decode(text, validate=True) if body.get("encoding") == "base64" else text.encode()
    except binascii.Error as error:
        raise HttpError(422, "content is not valid Base64") from error
    return _created_answer(call, repository, "blobs", repository.git.write("blob", data))


def _created_answer(call: Call, repository: Repository, kind: str, oid: str) -> Answer:
    return Answer(201, {"sha": oid, "url": f"{rest_views.repository_url(call.base, repository)}/git/{kind}/{oid}"})


@route("GET", "/git/trees/{name*}")
def tree(call: Call, repository: Repository, name: str) -> Answer:
    require_readable(call, repository)
    git_object = repository.git.read(name + "^{tree}")
    if git_object is None:
        raise HttpError(404, "Not Found")
    return Answer(
        200, {"sha": git_object.oid, "tree": _tree_rows(call, repository, git_object.oid), "truncated": False}
    )


def _tree_rows(call: Call, repository: Repository, oid: str, folder: str = "") -> list[Json]:
    rows: list[Json] = []
    for entry in repository.git.entries(oid):
        path = folder + entry.name
        rows.append({"path": path, "mode": entry.mode.zfill(6), "type": entry.kind, "sha": entry.oid})
        if entry.mode == TREE_MODE and call.query.get("recursive"):
            rows += _tree_rows(call, repository, entry.oid, f"{path}/")
    return rows


@route("POST", "/git/trees")
def create_tree(call: Call, repository: Repository) -> Answer:
    body = require_writable(call, repository)
    changes = {row["path"]: _leaf(repository, row) for row in body.get("tree") or ()}
    base = repository.git.read(body["base_tree"] + "^{tree}") if body.get("base_tree") else None
    oid = repository.git.amend_tree(base.oid if base else None, changes)
    return Answer(201, {"sha": oid, "tree": _tree_rows(call, repository, oid), "truncated": False})


def _leaf(repository: Repository, row: Json) -> Leaf | None:
    if isinstance(row.get("content"), str):
        return row.get("mode", "100644"), repository.git.write("blob", row["content"].encode())
    if row.get("sha") is None:
        return None
    if repository.git.read(row["sha"]) is None:
        raise HttpError(422, f"GitRPC::BadObjectState: tree.sha {row['sha']} is not a valid object")
    return str(row.get("mode", "100644")).lstrip("0"), row["sha"]


@route("GET", "/git/commits/{oid}")
def git_commit(call: Call, repository: Repository, oid: str) -> Answer:
    require_readable(call, repository)
    return Answer(200, rest_views.git_commit(call.base, repository, _commit_or_error(repository, oid)))


@route("POST", "/git/commits")
def create_commit(call: Call, repository: Repository) -> Answer:
    """Create a commit; `parents: []` makes an orphan."""
    body = require_writable(call, repository)
    parents = body.get("parents") or []
    if not repository.git.read(f"{body.get('tree')}^{{tree}}"):
        raise HttpError(422, "Tree SHA does not exist")
    if any(repository.git.commit(oid) is None for oid in parents):
        raise HttpError(422, "Parent SHA does not exist or is not a commit object")
    actor_signature = Signature(call.token.actor.name, call.token.actor.email, call.state.now())
    author = _signature(body.get("author"), actor_signature)
    committer = _signature(body.get("committer"), author)
    oid = repository.git.write_commit(body["tree"], parents, author, committer, body.get("message", ""))
    return Answer(201, rest_views.git_commit(call.base, repository, _commit_or_error(repository, oid)))


def _signature(fields: Json | None, default: Signature) -> Signature:
    if not fields:
        return default
    at = datetime.fromisoformat(fields["date"]) if fields.get("date") else default.at
    return Signature(fields["name"], fields["email"], at)
