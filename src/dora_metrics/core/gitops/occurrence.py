"""What a GitOps tool says about one rollout, before the settings decide whose deployment it is."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

Tool = Literal["flux", "flagger", "argocd", "argo-rollouts"]
"""The tools, by the names that `source` has in facts."""


OBJECT_NAME = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
"""The regular expression of a name that Kubernetes allows for objects and namespaces."""


class GitOpsObject(Struct, frozen=True):
    """An object in a cluster that deploys something, such as a Kustomization."""

    tool: Tool
    kind: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """`namespace/name`, as the setting `gitops` names it."""
        return f"{self.namespace}/{self.name}"


class Occurrence(Struct, frozen=True, kw_only=True):
    """One rollout that ended.

    Attributes:
        deployer: the object that rolled out.
        revision: what was rolled out, as the tool writes it.
        succeeded: whether it did, by the tool's own words.
        finished_at: when it ended.
        observed_at: when the tool said so, or was asked.
        started_at: when it began.
        sha: the git commit in the revision, or the one that an OCI artefact says it was built from.
        version: a tag, chart version or hash for people.
        reached_users: whether a failed rollout reached users.
        environment: what the sender says; None if it does not.
        source_repository: `owner/name` of the repository that the sha is of, if the tool says so.
        source_commits: of a rollout from several repositories, each repository with its commit. The one that the
            deployment belongs to counts; without it, `source_repository` and `sha`.
        images: the images that it rolls out, as `registry/name:tag` or `registry/name@digest`.
        annotations: annotations of the object or of its artefact that may name the application's commit.
        url: a page about it.
        is_time_of_asking: whether `finished_at` is only the time at which somebody asked, because the tool keeps none.
        unchanged_since: since when the object has deployed the same with the same result, if the tool says so. What is
            recorded of it since then is this rollout, also if a later revision made no difference.
    """

    deployer: GitOpsObject
    revision: str
    succeeded: bool
    finished_at: datetime
    observed_at: datetime
    started_at: datetime | None = None
    sha: str | None = None
    version: str | None = None
    reached_users: bool = False
    environment: str | None = None
    source_repository: str | None = None
    source_commits: tuple[tuple[str, str], ...] = ()
    images: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    url: str | None = None
    is_time_of_asking: bool = False
    unchanged_since: datetime | None = None


def from_repository(occurrence: Occurrence, names: Iterable[str]) -> Occurrence:
    """Return a rollout with the commit in the first of some repositories that it is of; unchanged if it is of none."""
    for name in names:
        for repository, sha in occurrence.source_commits:
            if repository.casefold() == name.casefold():
                return replace(occurrence, source_repository=repository, sha=sha)
    return occurrence


def start_before(start: datetime | None, end: datetime) -> datetime | None:
    """Return when a rollout began; None if that is unknown, or after its end."""
    return start if start and start <= end else None


class NoOccurrence(Struct, frozen=True):
    """Why an object or an event says nothing about a rollout that ended."""

    reason: str
