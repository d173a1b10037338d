"""Read the config file of the default branch from GitHub: a file, none, or an error, never a guess."""

import re

from dora_metrics.core.ledger.layout import MonthSelection
from dora_metrics.errors import SettingsError, UnreadSettingsError
from dora_metrics.github.client import Client, GitHubError, RateLimitError, permission_advice
from dora_metrics.github.observation import Run
from dora_metrics.github.repository import GitObject, file_content, is_file, read_objects
from dora_metrics.settings.config_file import check_size, config_layer
from dora_metrics.settings.loading import Layer
from dora_metrics.storage.branch import BranchStorage

_PATH = re.compile(rb"[\w.-]*[./][\w./-]*", re.ASCII)
_ADVICE = "Run it again when GitHub answers; nothing is recorded twice. If this happens every time, {}"


def read_default_branch_config(
    client: Client, run: Run, path: str, storage: BranchStorage | None, months: MonthSelection
) -> Layer | None:
    """Return the config file of a repository's default branch, None if GitHub says that there is none.

    Args:
        client: of the GitHub with the repository.
        run: of the repository.
        path: the file's path in it.
        storage: the ledger to read in the same request; None if it is not on GitHub.
        months: the months of the ledger to read.

    Raises:
        SettingsError: if the file cannot be used.
        UnreadSettingsError: if GitHub does not show it.
    """
    repository = run.repository
    try:
        git_object = _config_object(client, repository, path, storage, months)
        if git_object is None:
            return None
        if not is_file(git_object):
            raise SettingsError(f"config {path}: cannot be read (it is not a file on the default branch)")
        check_size(path, git_object.get("byteSize", 0))
        content = file_content(client, repository, git_object)
    except GitHubError as error:
        problem = f"{path} cannot be read from the default branch of {repository}, so nothing is recorded: {error}"
        raise UnreadSettingsError(
            (problem, _ADVICE.format(permission_advice("contents: read", has_job=run.has_job)))
        ) from None
    return _layer(path, content or b"")


def _layer(path: str, content: bytes) -> Layer:
    """Parse the file. GitHub shows a link as a file that holds nothing but the path to which it leads."""
    if _PATH.fullmatch(content):
        raise SettingsError(
            f"config {path}: cannot be read (it has only the text '{content.decode()}', so it is probably a link, "
            "which GitHub does not follow; put the settings into the file itself)"
        )
    return config_layer(path, content)


def _config_object(
    client: Client, repository: str, path: str, storage: BranchStorage | None, months: MonthSelection
) -> GitObject:
    """Return the file as GitHub shows it. If it does not with the ledger, the file alone is requested."""
    if storage:
        try:
            return storage.read_config_and_prefetch(repository, path, months)
        except RateLimitError:
            raise
        except GitHubError:
            pass
    return read_objects(client, repository, [f"HEAD:{path}"])[0]
