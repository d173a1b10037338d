"""The words with which Argo CD says how a sync ended, and what a sync of several sources deployed."""

from collections.abc import Callable, Iterable

from msgspec import Struct

from dora_metrics.core.gitops.commits import sha_in_revision
from dora_metrics.core.versions import ref_reads_as_version

SUCCEEDED = "Succeeded"
FAILURES = ("Failed", "Error")


class SyncedSource(Struct, frozen=True):
    """One of an Application's sources, as a sync used it.

    Attributes:
        revision: a commit or a chart version; empty if it has none.
        url: the address of its repository.
        target: the branch, tag or chart version that the Application asks for.
    """

    revision: str
    url: str = ""
    target: str = ""


class SyncedRevision(Struct, frozen=True):
    """What a sync deployed.

    Attributes:
        text: the revisions of all sources, with commas between them; empty if none has one.
        sha: the commit of the first source that is a git repository.
        version: the first chart version or tag.
        url: the address of the repository that the commit is of.
        commits: the address and the commit of each source that is a git repository, in order.
    """

    text: str
    sha: str | None
    version: str | None
    url: str
    commits: tuple[tuple[str, str], ...] = ()

    def commits_by(self, repository_of: Callable[[str], str | None]) -> tuple[tuple[str, str], ...]:
        """Return the repository and the commit of each source whose address leads to one, for an `Occurrence`."""
        return tuple((name, sha) for url, sha in self.commits if (name := repository_of(url)))


def synced_revision(sources: Iterable[SyncedSource]) -> SyncedRevision:
    """Return what a sync of some sources deployed; those without a revision deployed nothing."""
    deployed = [source for source in sources if source.revision]
    in_git = next((source for source in deployed if sha_in_revision(source.revision)), SyncedSource(""))
    names = (name for source in deployed for name in (source.revision, source.target))
    return SyncedRevision(
        text=",".join(source.revision for source in deployed),
        sha=sha_in_revision(in_git.revision),
        version=next(filter(ref_reads_as_version, names), None),
        url=in_git.url,
        commits=tuple((source.url, sha) for source in deployed if (sha := sha_in_revision(source.revision))),
    )
