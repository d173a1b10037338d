"""Pipes and devices in a repository: git would wait for them, and a report never does."""

import contextlib
import os
import re
import shutil
import socket
import sys
from pathlib import Path

import pytest

from dora_metrics.commands.init.gather import checkout_root
from dora_metrics.errors import GitError
from dora_metrics.sources.git.repository import Git
from support.git_repository import CLEAN_ENVIRONMENT, GitRepository, ReportCommand

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes with a name")


def put_pipe(repository: GitRepository, name: str) -> Path:
    path = repository.folder / ".git" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    "name", ["HEAD", "config", "packed-refs", "shallow", "refs/tags/v9", "objects/info/alternates", "info/grafts"]
)
def test_a_pipe_in_the_data_folder_is_named_and_not_opened(
    repository: GitRepository, report: ReportCommand, name: str
) -> None:
    repository.tag("v1.0.0", repository.commit("Begin"))
    path = put_pipe(repository, name)
    assert (
        report(repository.folder).problem
        == f"{path}: this is a pipe or a device, for which git would wait; remove it, or the link to it"
    )


@pytest.mark.parametrize("place", ["folder within", "bare", "link"])
def test_it_is_found_wherever_the_data_folder_is(repository: GitRepository, place: str) -> None:
    repository.commit("Begin")
    folder = repository.folder
    match place:
        case "folder within":
            put_pipe(repository, "config")
            folder /= "docs"
            folder.mkdir()
        case "bare":
            put_pipe(repository, "config")
            folder /= ".git"
        case _:
            os.mkfifo(folder / "pipe")
            (folder / ".git" / "shallow").symlink_to(folder / "pipe")
    with pytest.raises(GitError, match="a pipe or a device"):
        Git(str(folder), CLEAN_ENVIRONMENT)


@pytest.mark.parametrize("place", ["worktree", "shared objects", "linked objects", "the file .git itself"])
def test_it_is_found_in_folders_that_the_data_folder_refers_to(
    repository: GitRepository, tmp_path: Path, place: str
) -> None:
    repository.commit("Begin")
    folder = tmp_path / "other"
    match place:
        case "worktree":
            repository.git("worktree", "add", "--quiet", str(folder))
            put_pipe(repository, "info/grafts")
        case "shared objects":
            repository.git("clone", "--quiet", "--shared", str(repository.folder), str(folder))
            put_pipe(repository, "objects/info/commit-graph")
        case "linked objects":
            (repository.folder / ".git" / "objects").rename(folder)
            (repository.folder / ".git" / "objects").symlink_to(folder)
            put_pipe(repository, "objects/info/packs")
            folder = repository.folder
        case _:
            folder.mkdir()
            os.mkfifo(folder / ".git")
    with pytest.raises(GitError, match="a pipe or a device"):
        Git(str(folder), CLEAN_ENVIRONMENT)


def test_folders_that_refer_to_each_other_are_looked_at_once(repository: GitRepository) -> None:
    repository.tag("v1.0.0", repository.commit("Begin"))
    objects = repository.folder / ".git" / "objects"
    (objects / "info").mkdir(exist_ok=True)
    (objects / "info" / "alternates").write_text(f"{objects}\n", "utf-8")
    (objects / "loop").symlink_to(objects)
    Git(str(repository.folder), CLEAN_ENVIRONMENT)


def hostile_references(repository: GitRepository, case: str) -> None:
    """Let files that refer to data folders refer to something that has no end, or that no system call takes."""
    folder, git_folder = repository.folder, repository.folder / ".git"
    (git_folder / "objects" / "info").mkdir(exist_ok=True)
    file, content = git_folder / "commondir", case.partition(": ")[2]
    match case.partition(": ")[0]:
        case "a file .git":
            shutil.rmtree(git_folder)
            file, content = git_folder, f"gitdir: {content}"
        case "two files .git":
            shutil.rmtree(git_folder)
            (folder / "within").mkdir()
            (folder / "within" / ".git").write_text("gitdir: ../.git\n", "utf-8")
            file, content = git_folder, "gitdir: within/.git"
        case "alternates":
            file = git_folder / "objects" / "info" / "alternates"
        case _:
            assert case.startswith("commondir")
    file.write_text(f"{content}\n", "utf-8")


@pytest.mark.parametrize(
    "case",
    [
        "a file .git: .git",
        "a file .git: " + "b" * 5_000,
        "two files .git",
        "commondir: commondir",
        "commondir: .",
        "commondir: " + "commondir\n" * 9_000,
        "commondir: " + "a" * 5_000,
        "commondir: /",
        "alternates: objects/info/alternates",
        "alternates: info/alternates",
        "alternates: " + "a" * 5_000,
        "alternates: " + "x/../" * 300,
        "alternates: /",
        "alternates: " + "\n".join(f"/{number}" for number in range(15_000)),
    ],
)
def test_references_without_an_end_or_a_place_are_no_obstacle(
    repository: GitRepository, report: ReportCommand, case: str
) -> None:
    repository.tag("v1.0.0", repository.commit("Begin"))
    hostile_references(repository, case)
    ran = report(repository.folder)
    assert ran.code in (0, 2)
    assert len(ran.err.splitlines()) == (1 if ran.code else 0)


def test_folders_in_folders_are_no_obstacle(repository: GitRepository, report: ReportCommand) -> None:
    repository.tag("v1.0.0", repository.commit("Begin"))
    deepest = repository.folder.joinpath(".git", "x", *"x" * 1_500)
    folders = [folder for folder in (deepest, *deepest.parents) if folder.name == "x"]
    for folder in reversed(folders):
        folder.mkdir()
    ran = report(repository.folder)
    for folder in folders:  # what removes the folders of tests is not as careful
        folder.rmdir()
    assert ran.code == 0


def test_a_shallow_file_with_other_bytes_is_read_as_far_as_git_reads_it(
    repository: GitRepository, report: ReportCommand
) -> None:
    sha = repository.commit("Begin")
    repository.tag("v1.0.0", sha)
    (repository.folder / ".git" / "shallow").write_bytes(sha.encode() + b"\xff\n")
    assert report(repository.folder).code == 0


def test_a_pipe_that_only_the_settings_name_is_given_up_after_a_silence(repository: GitRepository) -> None:
    repository.git("config", "include.path", "../included")
    os.mkfifo(repository.folder / "included")
    git = Git(str(repository.folder), CLEAN_ENVIRONMENT, max_silence_seconds=0.5)
    with pytest.raises(GitError, match=re.escape("git wrote nothing for 0.5 s and was stopped")):
        git.read("rev-parse", "--git-dir")


def test_init_names_it_too(repository: GitRepository) -> None:
    repository.commit("Begin")
    put_pipe(repository, "config")
    with pytest.raises(GitError, match="a pipe or a device"):
        checkout_root(repository.folder, CLEAN_ENVIRONMENT)


def test_the_socket_of_gits_own_file_monitor_does_no_harm(repository: GitRepository, report: ReportCommand) -> None:
    repository.tag("v1.0.0", repository.commit("Begin"))
    with socket.socket(socket.AF_UNIX) as monitor, contextlib.chdir(repository.folder / ".git"):
        monitor.bind("fsmonitor--daemon.ipc")  # the whole path may be too long for a socket
    assert report(repository.folder).code == 0
