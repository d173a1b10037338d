"""Where the checkout of a file is, and whether it is this job's: only what git wrote since the job began shows it.

A runner writes the event's file again before each step, so the folder of that file shows when the job began.
"""

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from dora_metrics.pipeline.checkout import checkout_folder, has_checkout_of_job
from support.runs import set_age

BEFORE_THE_JOB, JOB, IN_THE_JOB = timedelta(hours=3), timedelta(hours=2), timedelta(hours=1)


@pytest.fixture
def event(tmp_path: Path) -> Path:
    """The event's file of a job that began some time ago, written again for this step."""
    folder = tmp_path / "_github_workflow"
    folder.mkdir()
    (folder / "event.json").write_text("{}", "utf-8")
    set_age(folder, JOB)
    return folder / "event.json"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def write(path: Path, age: timedelta, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    set_age(path, age)


def write_all(git: Path, age: timedelta) -> None:
    for name in ("HEAD", "FETCH_HEAD", "config", "index", "description"):
        write(git / name, age)


@pytest.mark.parametrize(
    ("checkouts", "expected"),
    [
        ([], "."),
        (["."], "."),
        (["app"], "app"),
        ([".", "app"], "app"),
        (["other"], "."),
        (["app", "app/.github"], "app/.github"),
    ],
)
def test_a_file_is_of_the_nearest_checkout_in_the_workspace(
    workspace: Path, checkouts: list[str], expected: str
) -> None:
    for folder in checkouts:
        write(workspace / folder / ".git" / "HEAD", IN_THE_JOB)
    assert checkout_folder(workspace, "app/.github/dora.yml") == workspace / expected


def test_a_checkout_around_the_workspace_is_not_the_jobs(workspace: Path) -> None:
    write(workspace.parent / ".git" / "HEAD", IN_THE_JOB)
    assert checkout_folder(workspace, "dora.yml") == workspace


def test_a_folder_without_git_is_no_checkout(workspace: Path, event: Path) -> None:
    assert not has_checkout_of_job(workspace, str(event))
    assert not has_checkout_of_job(workspace, "")


def test_what_git_wrote_before_the_job_is_an_earlier_jobs(workspace: Path, event: Path) -> None:
    write_all(workspace / ".git", BEFORE_THE_JOB)
    assert not has_checkout_of_job(workspace, str(event))


@pytest.mark.parametrize("name", ["HEAD", "FETCH_HEAD", "config", "index"])
def test_one_file_that_git_wrote_in_the_job_is_enough(workspace: Path, event: Path, name: str) -> None:
    """A checkout of the same commit does not write HEAD again, one without a fetch has no FETCH_HEAD."""
    write_all(workspace / ".git", BEFORE_THE_JOB)
    write(workspace / ".git" / name, IN_THE_JOB)
    assert has_checkout_of_job(workspace, str(event))


def test_another_file_in_the_folder_of_git_is_not(workspace: Path, event: Path) -> None:
    write_all(workspace / ".git", BEFORE_THE_JOB)
    write(workspace / ".git" / "description", IN_THE_JOB)
    assert not has_checkout_of_job(workspace, str(event))


@pytest.mark.skipif(sys.platform == "win32", reason="a file has no such time")
def test_a_time_that_an_earlier_job_has_set_does_not_count(workspace: Path, event: Path) -> None:
    set_age(event, -IN_THE_JOB)
    set_age(event.parent, -IN_THE_JOB)
    write_all(workspace / ".git", -JOB)
    assert not has_checkout_of_job(workspace, str(event))


def test_times_in_whole_seconds_are_as_good(workspace: Path, event: Path) -> None:
    write_all(workspace / ".git", JOB + timedelta(seconds=0.9))
    assert has_checkout_of_job(workspace, str(event))


def test_an_event_that_is_written_once_shows_the_start_by_itself(workspace: Path, event: Path) -> None:
    set_age(event, BEFORE_THE_JOB)
    write_all(workspace / ".git", BEFORE_THE_JOB - timedelta(minutes=1))
    assert has_checkout_of_job(workspace, str(event))


@pytest.mark.parametrize("event_path", ["", "/nowhere/event.json"])
def test_without_an_event_any_checkout_counts(workspace: Path, event_path: str) -> None:
    write_all(workspace / ".git", BEFORE_THE_JOB)
    assert has_checkout_of_job(workspace, event_path)


@pytest.mark.parametrize("name", [".git", ".git/HEAD"])
def test_a_second_name_of_a_file_that_the_runner_writes_in_each_job_does_not_count(
    workspace: Path, event: Path, name: str
) -> None:
    written_by_the_runner = workspace.parent / "PipelineFolder.json"
    write(written_by_the_runner, IN_THE_JOB)
    (workspace / name).parent.mkdir(exist_ok=True)
    (workspace / name).hardlink_to(written_by_the_runner)
    assert not has_checkout_of_job(workspace, str(event))


@pytest.mark.parametrize("event_path", ["x" * 5_000, "a\0b", "/dev/null/event.json"])
def test_a_name_that_no_file_can_have_is_no_event(workspace: Path, event_path: str) -> None:
    write_all(workspace / ".git", BEFORE_THE_JOB)
    assert has_checkout_of_job(workspace, event_path)


@pytest.mark.parametrize(("age", "is_of_job"), [(IN_THE_JOB, True), (BEFORE_THE_JOB, False)])
def test_a_file_in_place_of_gits_folder_counts_by_itself_whatever_folder_it_names(
    workspace: Path, event: Path, age: timedelta, *, is_of_job: bool
) -> None:
    write_all(workspace.parent / "worktree", IN_THE_JOB)
    write(workspace / ".git", age, "gitdir: ../worktree\n")
    assert has_checkout_of_job(workspace, str(event)) == is_of_job


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
@pytest.mark.parametrize("name", [".git", ".git/HEAD"])
def test_a_link_that_an_earlier_job_left_does_not_count(workspace: Path, event: Path, name: str) -> None:
    set_age(event, -IN_THE_JOB)
    set_age(event.parent, -IN_THE_JOB)
    write_all(workspace.parent / "fresh", -JOB)
    link = workspace / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(workspace.parent / "fresh" / ("HEAD" if name.endswith("HEAD") else ""))
    assert not has_checkout_of_job(workspace, str(event))
