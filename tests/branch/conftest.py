"""A shop whose GitHub's clock stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from branch.shop import Shop
from fakes.github import FakeGitHub
from support.runs import NOW


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with FakeGitHub(now=lambda: NOW) as github:
        yield Shop(github, tmp_path)
