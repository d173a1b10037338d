"""Which repository the facts of a command belong to."""

from pathlib import Path

from dora_metrics.core.scope import is_repository_name
from dora_metrics.errors import DoraError, GitError
from dora_metrics.github import console
from dora_metrics.runtime import Runtime
from dora_metrics.sources.git.repository import Git, RepositoryIdentity, identify_repository


def stated_repository(option: str | None, runtime: Runtime) -> str | None:
    """Return the repository that an option or GITHUB_REPOSITORY names; None if neither does.

    Raises:
        DoraError: if it is not OWNER/NAME.
    """
    repository = option or runtime.environment.get("GITHUB_REPOSITORY") or None
    if repository and not is_repository_name(repository):
        raise DoraError(f"--repository {repository!r} is not OWNER/NAME")
    return repository


def repository_of_folder(runtime: Runtime) -> str:
    """Return what the current folder's clone calls itself, as `report --git` does, and say so on standard error."""
    identity = _identity(Path.cwd(), runtime)
    reason = "as its remote origin says" if identity.is_from_remote else "since no clone is there that has an origin"
    line = f"dora-metrics: the repository is {identity.repository}, {reason}; --repository names another"
    console.write_line(runtime.stderr, line)
    return identity.repository


def _identity(folder: Path, runtime: Runtime) -> RepositoryIdentity:
    try:
        return identify_repository(Git(str(folder), runtime.environment), folder)
    except GitError:
        return RepositoryIdentity(f"local/{folder.name or 'folder'}", is_from_remote=False)
