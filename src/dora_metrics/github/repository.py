"""Which repositories a list such as `owner/*, !owner/sandbox` means.

Files and folders of a repository on GitHub, as they are at a commit or a branch.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dora_metrics.github.client import Client, owner_and_name


def named(client: Client, patterns: Sequence[str]) -> list[str]:
    """The repositories, each once. Later items win, as in GitHub's own lists.

    A pattern leaves out archived repositories and forks; a whole name means what it says.

    Raises:
        GitHubError: if GitHub does not say which ones an owner has.
    """
    found: dict[str, None] = {}
    owners = {pattern.partition("/")[0] for pattern in patterns if "*" in pattern and not pattern.startswith("!")}
    owned = {owner: list(_owned(client, owner)) for owner in sorted(owners)}
    for pattern in patterns:
        if pattern.startswith("!"):
            found = {name: None for name in found if not _fits(pattern[1:], name)}
        elif "*" not in pattern:
            found[pattern] = None
        else:
            nodes = (node for node in owned[pattern.partition("/")[0]] if not (node["isArchived"] or node["isFork"]))
            found |= {node["nameWithOwner"]: None for node in nodes if _fits(pattern, node["nameWithOwner"])}
    return list({name.lower(): name for name in found}.values())


def _owned(client: Client, owner: str) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    while True:
        answer = client.query("Repositories", {"login": owner, "after": after})["repositoryOwner"]
        if answer is None:
            return
        yield from answer["repositories"]["nodes"]
        info = answer["repositories"]["pageInfo"]
        if not info["hasNextPage"]:
            return
        after = info["endCursor"]


def _fits(pattern: str, name: str) -> bool:
    """Whether a name is one of a pattern's; `*` is anything, GitHub's names have no case."""
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), name, re.IGNORECASE) is not None


Found = Mapping[str, Any] | None
"""What GraphQL says of a file or folder (the fragment Content); None where there is none."""

_MOST = 50
"""Files in one request; of a ledger's they come to 20 MB at most."""


def objects(client: Client, repository: str, names: Sequence[str]) -> list[Found]:
    """What is at each of `<commit or branch>:<path>`, in one request for every fifty.

    Raises:
        GitHubError: by meaning.
    """
    found: list[Found] = []
    for start in range(0, len(names), _MOST):
        some = names[start : start + _MOST]
        answer = client.query("Objects", owner_and_name(repository), some)["repository"]
        found += [answer[f"slot{number}"] for number in range(len(some))]
    return found


def content(client: Client, repository: str, found: Found) -> bytes | None:
    """A file's bytes, None for what is no file. GraphQL shows no more than 512,000 of them, and only of text.

    Raises:
        GitHubError: by meaning.
    """
    if not found or "oid" not in found:
        return None
    if not found["isTruncated"] and found["text"] is not None:
        return str(found["text"]).encode()
    whole = client.get(f"/repos/{repository}/git/blobs/{found['oid']}", {})
    return base64.b64decode(whole["content"])
