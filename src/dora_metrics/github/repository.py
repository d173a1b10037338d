"""Which repositories a list such as `owner/*, !owner/sandbox` means."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dora_metrics.github.client import Client


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
