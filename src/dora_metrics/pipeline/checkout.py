"""Where a job's checkout is, and whether it is this job's or what an earlier job left on a self-hosted runner.

`actions/checkout` leaves its files in the workspace. A later job of the same repository finds them there, whatever
pull request they are from.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from dora_metrics.sources.paths import exists, is_folder, is_link

_WRITTEN_BY_GIT = ("HEAD", "FETCH_HEAD", "config", "index")
"""What a clone, a fetch and a checkout write in git's folder; each writes some of them, and gives each one name."""

_COARSEST_TIME_SECONDS = 1
"""Some file systems keep the times of files in whole seconds."""


def checkout_folder(workspace: Path, path: str) -> Path:
    """Return the folder into which git checked a file out: the workspace, or one in it (`path` of `actions/checkout`).

    Args:
        workspace: the folder that holds all checkouts of a job.
        path: the file, from the workspace; it need not exist.
    """
    folders_inside = takewhile(lambda folder: folder != workspace, (workspace / path).parents)
    return next((folder for folder in folders_inside if exists(folder / ".git")), workspace)


def has_checkout_of_job(folder: Path, event_path: str) -> bool:
    """Whether git wrote into a folder since the job began.

    Args:
        folder: the folder that may hold a checkout.
        event_path: the file with the event's payload. If it is empty or no such file exists, any checkout counts.
    """
    git = folder / ".git"
    began_at = _job_start(Path(event_path)) if event_path else None
    if began_at is None:
        return exists(git)
    statuses = _statuses(_files_of_git(git))
    # an earlier job can give a second name to a file that the runner writes in each job
    written_times = (_writing_time(status) for status in statuses if status.st_nlink <= 1)
    return any(written_at >= began_at - _COARSEST_TIME_SECONDS for written_at in written_times)


def _job_start(event_path: Path) -> float | None:
    """Return the earliest time that the event's file and its folder show, in seconds.

    A runner empties its temporary folder when a job begins, and makes the event's folder before the first step. It
    writes the file again before each step, which does not change the time of the folder:
    https://github.com/actions/runner/blob/main/src/Runner.Worker/ExecutionContext.cs (`WriteWebhookPayload`)
    """
    if not exists(event_path):
        return None
    return min((status.st_mtime for status in _statuses((event_path, event_path.parent))), default=None)


def _files_of_git(git: Path) -> Iterator[Path]:
    """Yield what git writes in its folder. In place of the folder, a worktree or a submodule has a file."""
    if is_folder(git) and not is_link(git):
        yield from (git / name for name in _WRITTEN_BY_GIT)
    else:
        yield git  # an earlier job can make it name a folder that this job has written


def _writing_time(status: os.stat_result) -> float:
    """Return when a file was written, in seconds; no later than its status changed, which no program can set."""
    return status.st_mtime if sys.platform == "win32" else min(status.st_mtime, status.st_ctime)


def _statuses(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    """Yield the status of each file that exists, or of a link itself."""
    for path in paths:
        try:
            yield path.lstat()
        except OSError:
            continue
