"""A bare git repository: loose objects are written here, `git cat-file` reads them, `git update-ref` moves refs."""

import hashlib
import os
import re
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

NULL_OID = "0" * 40
TREE_MODE = "40000"
FILE_MODE = "100644"
Leaf = tuple[str, str]
"""Mode and object id of a file or folder in a tree."""

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "LC_ALL": "C",
    "GIT_LITERAL_PATHSPECS": "1",  # paths are literal, not patterns
}
_BAD_REF = re.compile(r"[\x00-\x20~^:?*\[\\\x7f]|\.\.|@\{|//|/$|\.lock$|\.$|/\.")


class RefConflictError(Exception):
    """A ref is not at the expected commit, or a folder of refs has its name."""


@dataclass(frozen=True)
class Object:
    oid: str
    kind: str
    data: bytes


@dataclass(frozen=True)
class Entry:
    mode: str
    name: str
    oid: str

    @property
    def kind(self) -> str:
        return {TREE_MODE: "tree", "160000": "commit"}.get(self.mode, "blob")


@dataclass(frozen=True)
class Signature:
    name: str
    email: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.name} <{self.email}> {int(self.at.timestamp())} {self.at:%z}"


@dataclass(frozen=True)
class Commit:
    oid: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


class Git:
    """A repository. Its folder is made for the first thing that is written, since making one starts git.

    `on_push` is called after refs have changed.
    """

    def __init__(self, folder: Path, branch: str, on_push: Callable[[], None]) -> None:
        self.folder, self._branch, self.on_push = folder, branch, on_push
        self._is_made = False
        self._lock = threading.RLock()
        self._reader: subprocess.Popen[bytes] | None = None
        self._folders: set[str] = set()
        self._commits: dict[str, Commit] = {}
        self._walks: dict[tuple[str, ...], tuple[str, ...]] = {}

    def _make(self) -> None:
        with self._lock:
            if not self._is_made:
                run_git("init", "-q", "--bare", "--template=", "-b", self._branch, str(self.folder))
            self._is_made = True

    def close(self) -> None:
        if self._reader is not None:
            self._reader.communicate()

    def run(self, *arguments: str, stdin: str = "") -> str:
        self._make()
        return run_git("--git-dir", str(self.folder), *arguments, stdin=stdin)

    # objects

    def write(self, kind: str, data: bytes) -> str:
        """Write a loose object and return its id. No ref names it yet, so nobody can read it half written."""
        self._make()
        body = f"{kind} {len(data)}\0".encode() + data
        oid = hashlib.sha1(body, usedforsecurity=False).hexdigest()
        folder = self.folder / "objects" / oid[:2]
        if oid[:2] not in self._folders:
            folder.mkdir(exist_ok=True)
            self._folders.add(oid[:2])
        with suppress(FileExistsError), (folder / oid[2:]).open("xb") as file:
            file.write(zlib.compress(body, 1))
        return oid

    def read(self, name: str) -> Object | None:
        """Read the object of an id, ref or expression such as `main:facts/2026`; None if there is none."""
        if not name or "\n" in name or not self._is_made:
            return None
        with self._lock:
            reader = self._reader = self._reader or self._start_reader()
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdin.write(name.encode() + b"\n")
            reader.stdin.flush()
            header = reader.stdout.readline().rstrip(b"\n")
            if header.endswith((b" missing", b" ambiguous")):
                return None
            oid, kind, size = header.decode().split()
            return Object(oid, kind, reader.stdout.read(int(size) + 1)[:-1])

    def _start_reader(self) -> subprocess.Popen[bytes]:
        command = ["git", "--git-dir", str(self.folder), "cat-file", "--batch"]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env={**os.environ, **_ENVIRONMENT}
        )

    def commit(self, oid: str) -> Commit | None:
        """The commit with this id; use `resolve` for names."""
        if oid not in self._commits:
            git_object = self.read(oid)
            if git_object is None or git_object.oid != oid or git_object.kind != "commit":
                return None
            self._commits[oid] = _parse_commit(git_object)
        return self._commits[oid]

    def resolve(self, name: str) -> str | None:
        """Id of the commit that a branch, tag or id names."""
        commit = self.read(name + "^{commit}") if name else None
        return commit.oid if commit else None

    def write_commit(
        self, tree: str, parents: Sequence[str], author: Signature, committer: Signature, message: str
    ) -> str:
        lines = [f"tree {tree}", *(f"parent {oid}" for oid in parents), f"author {author}", f"committer {committer}"]
        return self.write("commit", "\n".join([*lines, "", message]).encode())

    # trees

    def entries(self, tree: str) -> list[Entry]:
        tree_object = self.read(tree)
        return list(_parse_entries(tree_object.data)) if tree_object and tree_object.kind == "tree" else []

    def write_tree(self, leaves: Mapping[str, Leaf]) -> str:
        ordered = sorted(leaves.items(), key=lambda item: item[0] + ("/" if item[1][0] == TREE_MODE else ""))
        return self.write("tree", b"".join(f"{m} {n}\0".encode() + bytes.fromhex(oid) for n, (m, oid) in ordered))

    def amend_tree(self, tree: str | None, changes: Mapping[str, Leaf | None]) -> str:
        """Write a tree with some paths replaced, or removed where the leaf is None; empty folders are removed."""
        leaves = {entry.name: (entry.mode, entry.oid) for entry in self.entries(tree)} if tree else {}
        changes_by_folder: dict[str, dict[str, Leaf | None]] = {}
        for path, leaf in changes.items():
            name, _, rest = path.partition("/")
            if rest:
                changes_by_folder.setdefault(name, {})[rest] = leaf
            elif leaf is None:
                leaves.pop(name, None)
            else:
                leaves[name] = leaf
        for name, folder_changes in changes_by_folder.items():
            mode, oid = leaves.pop(name, ("", ""))
            amended = self.amend_tree(oid if mode == TREE_MODE else None, folder_changes)
            if self.entries(amended):
                leaves[name] = (TREE_MODE, amended)
        return self.write_tree(leaves)

    def changes(self, before: str | None, after: str, prefix: str = "") -> dict[str, Leaf | None]:
        """Leaves that turn one tree into the other, by path; None where a file is removed."""
        old = {entry.name: entry for entry in self.entries(before)} if before else {}
        new = {entry.name: entry for entry in self.entries(after)} if after else {}
        changed: dict[str, Leaf | None] = {}
        for name in sorted(old.keys() | new.keys()):
            old_entry, new_entry = old.get(name), new.get(name)
            if old_entry == new_entry:
                continue
            tree_oids = [entry.oid if entry and entry.mode == TREE_MODE else "" for entry in (old_entry, new_entry)]
            if old_entry and old_entry.mode != TREE_MODE and not (new_entry and new_entry.mode != TREE_MODE):
                changed[prefix + name] = None
            if new_entry and new_entry.mode != TREE_MODE:
                changed[prefix + name] = (new_entry.mode, new_entry.oid)
            if any(tree_oids):
                changed |= self.changes(tree_oids[0], tree_oids[1], f"{prefix}{name}/")
        return changed

    # history

    def rev_list(self, *arguments: str) -> tuple[str, ...]:
        """Output of `git rev-list`, cached: arguments name commits by id, so it cannot change."""
        if arguments not in self._walks:
            self._walks[arguments] = tuple(self.run("rev-list", *arguments).split())
        return self._walks[arguments]

    def merge_base(self, first: str, second: str) -> str | None:
        try:
            return self.run("merge-base", first, second).strip()
        except subprocess.CalledProcessError:
            return None

    def contains(self, descendant: str, ancestor: str) -> bool:
        return self.merge_base(descendant, ancestor) == ancestor

    # refs

    def ref(self, name: str) -> str | None:
        target = self.read(name) if valid_ref(name) else None
        return target.oid if target else None

    def refs(self, prefix: str) -> dict[str, str]:
        if not self._is_made:
            return {}
        lines = self.run("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(line.rsplit(" ", 1) for line in lines)

    def set_ref(self, name: str, oid: str) -> None:
        """Set a ref without a git process, whatever its value was; for preparing a repository."""
        self._make()
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_file = path.with_name(f"{path.name}.lock")
        lock_file.write_text(f"{oid}\n", "ascii")
        lock_file.replace(path)
        self.on_push()

    def update_refs(self, *updates: tuple[str, str, str | None]) -> None:
        """Set refs, all or none, as (name, after, before). 40 zeros mean absent; before None skips the check."""
        lines = [f"update {name} {after}" + (f" {before}" if before else "") for name, after, before in updates]
        try:
            self.run("update-ref", "--stdin", stdin="\n".join(["start", *lines, "prepare", "commit", ""]))
        except subprocess.CalledProcessError as error:
            raise RefConflictError(error.stderr.strip()) from error
        self.on_push()


def run_git(*arguments: str, stdin: str = "") -> str:
    completed = subprocess.run(
        ["git", *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={**os.environ, **_ENVIRONMENT},
    )
    return completed.stdout


def valid_ref(name: str) -> bool:
    return name.startswith("refs/") and name.count("/") > 1 and not _BAD_REF.search(name)


def _parse_entries(data: bytes) -> Iterator[Entry]:
    start = 0
    while start < len(data):
        end = data.index(b"\0", start)
        mode, name = data[start:end].decode("utf-8", "surrogateescape").split(" ", 1)
        yield Entry(mode, name, data[end + 1 : end + 21].hex())
        start = end + 21


def _parse_commit(git_object: Object) -> Commit:
    head, _, message = git_object.data.decode("utf-8", "replace").partition("\n\n")
    pairs = [line.partition(" ") for line in head.split("\n") if not line.startswith(" ")]
    first = {key: value for key, _, value in reversed(pairs)}
    parents = tuple(value for key, _, value in pairs if key == "parent")
    author, committer = parse_signature(first["author"]), parse_signature(first["committer"])
    return Commit(git_object.oid, first["tree"], parents, author, committer, message)


def parse_signature(line: str) -> Signature:
    name_and_email, seconds, zone = line.rsplit(" ", 2)
    name, _, email = name_and_email.rpartition(" <")
    minutes = int(zone[:1] + "1") * (int(zone[1:3]) * 60 + int(zone[3:]))
    offset = timezone(timedelta(minutes=minutes)) if minutes else UTC
    return Signature(name, email.rstrip(">"), datetime.fromtimestamp(int(seconds), offset))
