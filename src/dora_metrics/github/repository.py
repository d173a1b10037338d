"""The files of a repository at a commit or branch, and its commits by their first digits."""

import base64
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from dora_metrics.core.ledger.layout import git_blob_sha
from dora_metrics.github import shapes
from dora_metrics.github.client import Client, IncompleteAnswerError, UncertainOutcomeError, owner_and_name
from dora_metrics.github.queries import JsonObject

GitObject = JsonObject | None
"""A file or folder with the fields of the fragment `GitObjectFields`; None if nothing is there."""
_OBJECTS_PER_REQUEST = 50
"""Files in one request; those of a ledger are 20 MB at most."""


def commit_beginning_with(client: Client, repository: str, digits: str) -> str | None:
    """Return the sha of the only commit of a repository that begins with some digits; None if there is none.

    A branch or tag of that name comes first for GitHub, so its commit counts only if it begins with them too.

    Raises:
        GitHubError: if GitHub refuses the request or does not answer.
    """
    answer = client.query("CommitByDigits", {**owner_and_name(repository), "digits": digits})
    sha: str = (answer["repository"]["object"] or {}).get("oid", "")
    return sha if sha.startswith(digits) else None


def read_objects(client: Client, repository: str, expressions: Sequence[str]) -> list[GitObject]:
    """Return the object at each `<commit or branch>:<path>`, with one request for every 50.

    Raises:
        GitHubError: if GitHub refuses a request or does not answer.
    """
    git_objects: list[GitObject] = []
    for start in range(0, len(expressions), _OBJECTS_PER_REQUEST):
        batch = expressions[start : start + _OBJECTS_PER_REQUEST]
        slots = client.query("GitObjects", owner_and_name(repository), batch).get("repository")
        git_objects += [object_in(slots, f"slot{number}") for number in range(len(batch))]
    return git_objects


def object_in(node: JsonObject | None, name: str) -> GitObject:
    """Return the file or folder in a part of an answer; None if GitHub says that nothing is there.

    Raises:
        UncertainOutcomeError: if it does not say so, such as where null stands for the whole repository.
    """
    if not isinstance(node, Mapping) or name not in node:
        raise UncertainOutcomeError(_NO_OBJECT)
    git_object: GitObject = node[name]
    return git_object


_NO_OBJECT = "GitHub's answer does not show the repository; the token has no access to it, or GitHub is busy"
_NO_CONTENT = "GitHub's answer has no content of the file; try again later"


def file_content(client: Client, repository: str, git_object: GitObject) -> bytes | None:
    """Return the bytes of a file, whose git object id shows that they are all there; None for anything else.

    GraphQL shows only text, and at most 512,000 bytes of it. Other files are read by REST.

    Raises:
        GitHubError: if GitHub refuses the request, does not answer, or shows no content or another one.
    """
    if not is_file(git_object):
        return None
    blob_id = git_object["oid"]
    text = git_object.get("text")
    if isinstance(text, str) and git_blob_sha(content := text.encode("utf-8", "surrogatepass")) == blob_id:
        return content
    blob = client.get(f"/repos/{repository}/git/blobs/{blob_id}", {}, shapes.Blob)
    content = base64.b64decode(blob["content"])
    if blob["encoding"] != "base64" or git_blob_sha(content) != blob_id:
        raise IncompleteAnswerError(_NO_CONTENT)
    return content


def is_file(git_object: GitObject) -> TypeGuard[JsonObject]:
    """Return whether it is a file, and no folder, submodule or nothing."""
    return git_object is not None and "oid" in git_object
