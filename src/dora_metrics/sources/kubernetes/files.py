"""Files that kubectl wrote: a list, one object, or a page of the API, read within limits."""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from dora_metrics.core.json_errors import UNREADABLE_JSON

MAX_FILE_BYTES = 64_000_000
"""Of one file. A Kustomization that applies 100 objects has about 10,000."""

MAX_OBJECTS = 20_000
"""In one file."""

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\[^u]"
)
"""Both halves of a character, one half alone (the group), or an escape of another kind."""

_BOM = b"\xef\xbb\xbf"
_LIST = "List"
_MAX_SHOWN_NAME = 120
_TOO_LARGE = f"larger than {MAX_FILE_BYTES:,} bytes; read fewer kinds or namespaces into one file"


class ObjectText(Struct, frozen=True):
    """One object: the group of its API, its kind, its JSON, and when its file was written, if that is known."""

    group: str
    kind: str
    text: bytes
    written_at: datetime | None = None


class ClusterFile(Struct, frozen=True):
    """What one file holds.

    Attributes:
        name: its path as the settings name it.
        objects: the objects in it.
        is_empty: whether it holds nothing, not even an empty list, or is absent: nobody has asked the cluster.
        is_cut: whether it is a page, and the cluster has more.
        problem: why it cannot be read; empty if it can.
    """

    name: str
    objects: Sequence[ObjectText] = ()
    is_empty: bool = False
    is_cut: bool = False
    problem: str = ""


class _Head(Struct, frozen=True, rename="camel"):
    """What an object says about itself, and the error of an API server."""

    api_version: str = ""
    kind: str = ""


class _ServerError(Struct, frozen=True):
    code: int = 0
    reason: str = ""


class _List(Struct, frozen=True):
    metadata: object = None
    items: list[Raw] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether it says, in any form, that there is more."""
        metadata = self.metadata if isinstance(self.metadata, Mapping) else {}
        return bool(metadata.get("continue") or metadata.get("remainingItemCount"))


def read_file(name: str, path: Path, *, may_be_a_pipe: bool = False) -> ClusterFile:
    """Read a regular file, or a pipe that a person names; nothing at the path is an empty file."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or (may_be_a_pipe and stat.S_ISFIFO(mode))):
            return ClusterFile(name, problem="not a regular file")
        with path.open("rb") as file:
            read = read_stream(name, file)
            return _with_time(read, os.fstat(file.fileno())) if stat.S_ISREG(mode) else read
    except FileNotFoundError:
        return ClusterFile(name, is_empty=True)
    except (OSError, ValueError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is not valid"
        return ClusterFile(name, problem=f"cannot be read ({reason})")


def _with_time(file: ClusterFile, status: os.stat_result) -> ClusterFile:
    """Return a regular file whose objects say when it was written. kubectl writes it once the cluster has answered."""
    written_at = datetime.fromtimestamp(status.st_mtime, UTC)
    return replace(file, objects=[replace(each, written_at=written_at) for each in file.objects])


def read_stream(name: str, stream: BinaryIO) -> ClusterFile:
    """Read what kubectl prints."""
    try:
        content = _with_whole_characters(stream.read(MAX_FILE_BYTES + 1).removeprefix(_BOM))
    except OSError as error:
        return ClusterFile(name, problem=f"cannot be read ({error.strerror})")
    if len(content) > MAX_FILE_BYTES:
        return ClusterFile(name, problem=_TOO_LARGE)
    if not content.strip():
        return ClusterFile(name, is_empty=True)
    return _read_content(name, content)


def _with_whole_characters(content: bytes) -> bytes:
    """Return JSON without what is only a part of a character, in UTF-8 or as an escape: one spoils the whole text."""
    try:
        content.decode()
    except UnicodeDecodeError:
        content = content.decode(errors="replace").encode()
    return _ESCAPES.sub(lambda match: b"?" if match[1] else match[0], content) if _HALF.search(content) else content


def _read_content(name: str, content: bytes) -> ClusterFile:
    try:
        return _parse(name, content)
    except msgspec.ValidationError:
        return ClusterFile(name, problem="not an object of Kubernetes; write it with `kubectl get -o json`")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ClusterFile(name, problem="not JSON; write it with `kubectl get -o json` or `kubectl get --raw`")
    except RecursionError:
        return ClusterFile(name, problem="nested too deeply for an object of Kubernetes")


def _parse(name: str, content: bytes) -> ClusterFile:
    head = msgspec.json.decode(content, type=_Head)
    if head.kind == "Status":
        return ClusterFile(name, problem=_server_error(content))
    if not head.kind.endswith(_LIST):
        return ClusterFile(name, [_object(content, head)])
    page = msgspec.json.decode(content, type=_List)
    items = page.items or []
    if len(items) > MAX_OBJECTS:
        return ClusterFile(name, problem=f"more than {MAX_OBJECTS:,} objects; read fewer kinds into one file")
    return ClusterFile(name, [_item(bytes(item), head) for item in items], is_cut=page.is_cut)


def _item(text: bytes, document: _Head) -> ObjectText:
    """Return an object of a list; one of no group and kind if it is none."""
    try:
        return _object(text, document)
    except msgspec.ValidationError:
        return ObjectText("", "", text)


def _object(text: bytes, document: _Head) -> ObjectText:
    """Return an object by what it says about itself; otherwise by the list that it is in."""
    head = _head_of(text)
    group, slash, _ = (head.api_version or document.api_version).partition("/")
    return ObjectText(group if slash else "", head.kind or document.kind.removesuffix(_LIST), text)


def _head_of(text: bytes) -> _Head:
    """Return what an object says about itself; nothing if that has another shape, which hides no other object."""
    try:
        return msgspec.json.decode(text, type=_Head)
    except UNREADABLE_JSON:
        return _Head()


class _Name(Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class _Named(Struct, frozen=True):
    metadata: _Name = _Name()


def name_in(text: bytes) -> str:
    """Return `namespace/name` of an object of any shape, as far as it has one."""
    try:
        name = msgspec.json.decode(text, type=_Named).metadata
    except UNREADABLE_JSON:
        return "without a name"
    return f"{name.namespace}/{name.name}"[:_MAX_SHOWN_NAME]


def _server_error(content: bytes) -> str:
    error = msgspec.json.decode(content, type=_ServerError)
    return (
        f"not objects but an error of the API server ({error.code} {error.reason[:60]}); check the access of the step"
    )
