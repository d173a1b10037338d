"""Files and folders of a repository on GitHub, as they are at a commit or a branch."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from dora_metrics.github.client import Client, owner_and_name

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
