"""Git objects as GraphQL nodes: commits, trees, blobs and tags with their repository."""

from collections.abc import Callable
from dataclasses import dataclass

from fakes.git import TREE_MODE, Commit, Entry, Object, Signature, parse_signature
from fakes.repository import Repository

TEXT_LIMIT = 512_000
"""Bytes of a blob that GraphQL returns; a longer text is cut and has `isTruncated`."""


@dataclass(frozen=True)
class GitNode:
    repository: Repository
    oid: str
    typename = "GitObject"

    @property
    def id(self) -> str:
        return f"{self.typename}_{self.repository.database_id}_{self.oid}"

    @property
    def abbreviated_oid(self) -> str:
        return self.oid[:7]

    @property
    def commit_url(self) -> str:
        return f"{self.repository.url}/commit/{self.oid}"


@dataclass(frozen=True)
class CommitNode(GitNode):
    data: Commit
    typename = "Commit"

    @property
    def message(self) -> str:
        return self.data.message.rstrip("\n")

    @property
    def message_headline(self) -> str:
        return self.message.split("\n", 1)[0]

    @property
    def message_body(self) -> str:
        return self.message.partition("\n")[2].strip("\n")

    @property
    def url(self) -> str:
        return self.commit_url

    @property
    def changes(self) -> list[str]:
        """Paths that this commit changed compared with its first parent."""
        git = self.repository.git
        parent = git.commit(self.data.parents[0]) if self.data.parents else None
        return list(git.changes(parent.tree if parent else None, self.data.tree))


@dataclass(frozen=True)
class TreeNode(GitNode):
    typename = "Tree"

    @property
    def entries(self) -> "list[TreeEntry]":
        return [TreeEntry(self.repository, entry, entry.name) for entry in self.repository.git.entries(self.oid)]


@dataclass(frozen=True)
class TreeEntry:
    repository: Repository
    entry: Entry
    path: str
    typename = "TreeEntry"

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def type(self) -> str:
        return self.entry.kind

    @property
    def mode(self) -> int:
        return int(self.entry.mode, 8)

    @property
    def oid(self) -> str:
        return self.entry.oid

    @property
    def object(self) -> GitNode | None:
        return node(self.repository, self.entry.oid)

    @property
    def size(self) -> int:
        blob = self.repository.git.read(self.oid) if self.entry.mode != TREE_MODE else None
        return len(blob.data) if blob else 0


@dataclass(frozen=True)
class BlobNode(GitNode):
    data: bytes
    typename = "Blob"

    @property
    def byte_size(self) -> int:
        return len(self.data)

    @property
    def is_binary(self) -> bool:
        try:
            self.data.decode()
        except UnicodeDecodeError:
            return True
        return b"\0" in self.data

    @property
    def is_truncated(self) -> bool:
        return len(self.data) > TEXT_LIMIT

    @property
    def text(self) -> str | None:
        return None if self.is_binary else self.data[:TEXT_LIMIT].decode("utf-8", "ignore")


@dataclass(frozen=True)
class TagNode(GitNode):
    data: bytes
    typename = "Tag"

    @property
    def _lines(self) -> dict[str, str]:
        head = self.data.decode("utf-8", "replace").partition("\n\n")[0]
        return dict(line.split(" ", 1) for line in head.split("\n") if " " in line)

    @property
    def name(self) -> str:
        return self._lines["tag"]

    @property
    def message(self) -> str:
        return self.data.decode("utf-8", "replace").partition("\n\n")[2].rstrip("\n")

    @property
    def tagger(self) -> Signature:
        return parse_signature(self._lines["tagger"])

    @property
    def target(self) -> GitNode | None:
        return node(self.repository, self._lines["object"])


@dataclass(frozen=True)
class Ref:
    repository: Repository
    full_name: str
    typename = "Ref"

    @property
    def id(self) -> str:
        return f"REF_{self.repository.database_id}_{self.full_name}"

    @property
    def prefix(self) -> str:
        return self.full_name[: len(self.full_name) - len(self.name)]

    @property
    def name(self) -> str:
        return self.full_name.split("/", 2)[2]

    @property
    def target(self) -> GitNode | None:
        return node(self.repository, self.full_name)


_NODE_TYPES: dict[str, Callable[[Repository, str, bytes], GitNode]] = {"blob": BlobNode, "tag": TagNode}


def node(repository: Repository, name: str) -> GitNode | None:
    """The node that a git expression names."""
    git_object: Object | None = repository.git.read(name)
    if git_object is None:
        return None
    if git_object.kind == "commit":
        return commit(repository, git_object.oid)
    return TreeNode(repository, git_object.oid) if git_object.kind == "tree" else _NODE_TYPES[git_object.kind](
        repository, git_object.oid, git_object.data
    )  # fmt: skip


def commit(repository: Repository, oid: str) -> CommitNode | None:
    data = repository.git.commit(oid)
    return CommitNode(repository, oid, data) if data else None
