"""A new repository and the `report` command for each test."""

from pathlib import Path

import pytest

from support.git_repository import GitRepository, ReportCommand
from support.tools import require_tool


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    require_tool("git")
    return GitRepository.create(tmp_path / "shop")


@pytest.fixture
def report(tmp_path: Path) -> ReportCommand:
    return ReportCommand(tmp_path)


@pytest.fixture
def start(repository: GitRepository) -> str:
    return repository.release("v1.0.0", "Start", at="03-01")
