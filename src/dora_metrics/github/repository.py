"""Which repositories a list such as `owner/*, !owner/sandbox` means.

Files and folders of a repository on GitHub, as they are at a commit or a branch.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dora_metrics.github.client import Client, owner_and_name


def expand_patterns(client: Client, patterns: Sequence[str]) -> list[str]:
    """The repositories, each once. Later items win, as in GitHub's own lists.

    A pattern leaves out archived repositories and forks; a whole name means what it says.

    Raises:
        GitHubError: if GitHub does not say which ones an owner has.
    """
    repositories: dict[str, None] = {}
    owners = {pattern.partition("/")[0] for pattern in patterns if "*" in pattern and not pattern.startswith("!")}
    nodes_by_owner = {owner: list(_repository_nodes(client, owner)) for owner in sorted(owners)}
    for pattern in patterns:
        if pattern.startswith("!"):
            repositories = {name: None for name in repositories if not _matches(pattern[1:], name)}
        elif "*" not in pattern:
            repositories[pattern] = None
        else:
            nodes = (
                node for node in nodes_by_owner[pattern.partition("/")[0]] if not (node["isArchived"] or node["isFork"])
            )
            repositories |= {node["nameWithOwner"]: None for node in nodes if _matches(pattern, node["nameWithOwner"])}
    return list({name.lower(): name for name in repositories}.values())


def _repository_nodes(client: Client, owner: str) -> Iterator[Mapping[str, Any]]:
    page_token: str | None = None
    while True:
        owner_node = client.query("Repositories", {"login": owner, "after": page_token})["repositoryOwner"]
        if owner_node is None:
            return
        yield from owner_node["repositories"]["nodes"]
        page_info = owner_node["repositories"]["pageInfo"]
        if not page_info["hasNextPage"]:
            return
        page_token = page_info["endCursor"]


def _matches(pattern: str, name: str) -> bool:
    """Whether a name is one of a pattern's; `*` is anything, GitHub's names have no case."""
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), name, re.IGNORECASE) is not None


GitObject = Mapping[str, Any] | None
"""What GraphQL says of a file or folder (the fragment Content); None where there is none."""

_OBJECTS_PER_REQUEST = 50
"""Files in one request; of a ledger's they come to 20 MB at most."""


def read_objects(client: Client, repository: str, expressions: Sequence[str]) -> list[GitObject]:
    """What is at each of `<commit or branch>:<path>`, in one request for every fifty.

    Raises:
        GitHubError: by meaning.
    """
    git_objects: list[GitObject] = []
    for start in range(0, len(expressions), _OBJECTS_PER_REQUEST):
        batch = expressions[start : start + _OBJECTS_PER_REQUEST]
        slots = client.query("Objects", owner_and_name(repository), batch)["repository"]
        git_objects += [slots[f"slot{number}"] for number in range(len(batch))]
    return git_objects


def file_content(client: Client, repository: str, git_object: GitObject) -> bytes | None:
    """A file's bytes, None for what is no file. GraphQL shows no more than 512,000 of them, and only of text.

    Raises:
        GitHubError: by meaning.
    """
    if not git_object or "oid" not in git_object:
        return None
    if not git_object["isTruncated"] and git_object["text"] is not None:
        return str(git_object["text"]).encode()
    blob = client.get(f"/repos/{repository}/git/blobs/{git_object['oid']}", {})
    return base64.b64decode(blob["content"])
