"""`make report REPO=../your-clone`: numbers and page of any clone, by one command."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.git_repository import CLEAN_ENVIRONMENT, GitRepository
from support.paths import ROOT
from support.tools import require_tool


def make_report(folder: Path, *variables: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run it in a copy of what it needs, with this Python instead of an environment to be installed."""
    checkout = folder / "dora-metrics"
    if not checkout.exists():
        checkout.mkdir()
        for name in ("src", "templates", "Makefile", "pyproject.toml", "requirements"):
            (checkout / name).symlink_to(ROOT / name)
        (checkout / ".venv" / "bin").mkdir(parents=True)
        python = checkout / ".venv" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "utf-8")
        python.chmod(0o755)
        (checkout / ".venv" / "runtime").touch()
    return subprocess.run(
        [str(require_tool("make")), "report", *variables],
        cwd=checkout,
        env={**CLEAN_ENVIRONMENT, "HOME": str(folder), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    require_tool("git")
    made = GitRepository.create(tmp_path / "a clone")
    sha = made.commit("Start", at="03-01")
    for name in ("v1.0.0", "v1", "latest"):
        made.tag(name, sha)
    made.release("v1.1.0", "More", sha, at="03-02")
    return made


def test_without_a_clone_two_lines_say_what_to_do(tmp_path: Path) -> None:
    ran = make_report(tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    first, second = ran.stderr.splitlines()
    assert "REPO is missing" in first
    assert second.startswith("Run: make report REPO=../your-clone")


@pytest.mark.parametrize("place", ["../a clone", "~/a clone"])
def test_a_clone_is_summarised_and_the_page_written(tmp_path: Path, repository: GitRepository, place: str) -> None:
    ran = make_report(tmp_path, f"REPO={place}", "OPTIONS=--now 2024-04-01T00:00:00Z")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0] == "acme/shop · production · last 364 days (2023-04-03 to 2024-03-31)"
    assert lines[-1] == "  Page     build/report/index.html"
    page = (tmp_path / "dora-metrics" / "build" / "report" / "index.html").read_text("utf-8")
    assert "v1.1.0" in page
    assert repository.git("status", "--porcelain=v1", "--branch").startswith("##")


def test_options_are_those_of_the_command(tmp_path: Path, repository: GitRepository) -> None:
    ran = make_report(tmp_path, f"REPO={repository.folder}", "OPTIONS=--tags 'no-*'")
    assert ran.returncode == 2
    assert "no tag matches 'no-*'; the repository has 4 tags" in ran.stderr


def test_a_folder_that_is_no_clone_is_named(tmp_path: Path) -> None:
    ran = make_report(tmp_path, f"REPO={tmp_path}")
    assert ran.returncode == 2
    assert str(tmp_path) in ran.stderr
