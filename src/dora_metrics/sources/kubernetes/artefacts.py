"""The sources of Flux: what repository a revision is of, and what an OCI artefact was built from; pure."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from dora_metrics.core.gitops.repositories import repository_at

SOURCE_KINDS = ("GitRepository", "OCIRepository", "ExternalArtifact")
"""The kinds of Flux's sources that say where their revisions come from."""

SourceKey = tuple[str, str, str]
"""How a source is found: kind, namespace, name."""

_REVISION_ANNOTATION, _SOURCE_ANNOTATION = "org.opencontainers.image.revision", "org.opencontainers.image.source"
_GITHUB = "https://github.com"


class _Metadata(Struct, frozen=True):
    name: str
    namespace: str


class _Artefact(Struct, frozen=True):
    revision: str = ""
    metadata: dict[str, str] | None = None


class _SourceSpec(Struct, frozen=True):
    url: str = ""


class _SourceStatus(Struct, frozen=True):
    artifact: _Artefact | None = None


class _Source(Struct, frozen=True):
    metadata: _Metadata
    spec: _SourceSpec = _SourceSpec()
    status: _SourceStatus = _SourceStatus()


class SourceReference(Struct, frozen=True):
    """How an object names its source; without a namespace it is in the object's own."""

    kind: str
    name: str
    namespace: str | None = None


class Artefact(Struct, frozen=True):
    """What a source holds.

    Attributes:
        repository: `owner/name` of the repository that it is of; None if it is on another server.
        revision: its present revision.
        origin_revision: the git revision that an OCI artefact says it was built from.
        annotations: the annotations of an OCI artefact.
    """

    repository: str | None
    revision: str
    origin_revision: str | None
    annotations: tuple[tuple[str, str], ...]


UNKNOWN_ARTEFACT = Artefact(None, "", None, ())


class Artefacts(Struct, frozen=True):
    """The sources in a cluster. `server_url` is the address of the run's GitHub."""

    by_source: Mapping[SourceKey, Artefact] = {}
    server_url: str = _GITHUB

    def of(self, reference: SourceReference | None, namespace: str) -> Artefact:
        """Return what a source holds that an object in a namespace refers to; empty if that was not read."""
        if reference is None:
            return UNKNOWN_ARTEFACT
        return self.by_source.get((reference.kind, reference.namespace or namespace, reference.name), UNKNOWN_ARTEFACT)

    def repository_of(self, url: str) -> str | None:
        """Return `owner/name` of a repository on the run's GitHub, by an address that git clones."""
        return repository_at(url, self.server_url)


def read_source(kind: str, text: bytes, server_url: str) -> tuple[SourceKey, Artefact]:
    """Return how objects refer to a source of a kind, and what it holds, from its JSON.

    Raises:
        msgspec.DecodeError: if it has another shape.
    """
    source = msgspec.json.decode(text, type=_Source)
    return (kind, source.metadata.namespace, source.metadata.name), _artefact(kind, source, server_url)


def _artefact(kind: str, source: _Source, server_url: str) -> Artefact:
    artefact = source.status.artifact or _Artefact()
    annotations = artefact.metadata or {}
    address = source.spec.url if kind == "GitRepository" else annotations.get(_SOURCE_ANNOTATION, "")
    return Artefact(
        repository_at(address, server_url),
        artefact.revision,
        annotations.get(_REVISION_ANNOTATION),
        tuple(sorted(annotations.items())),
    )
