"""A repository and the command, for each test its own."""

from pathlib import Path

import pytest

from support.git_repository import Report, Repository
from support.tools import needs


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    needs("git")
    return Repository.new(tmp_path / "shop")


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(tmp_path)


@pytest.fixture
def start(repository: Repository) -> str:
    return repository.release("v1.0.0", "Start", at="03-01")
