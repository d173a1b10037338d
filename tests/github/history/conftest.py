"""A fake GitHub with one repository."""

from collections.abc import Iterator

import pytest

from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.github_history import NOW, at


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(now=lambda: NOW) as made:
        yield made


@pytest.fixture
def shop(github: FakeGitHub) -> Repository:
    """acme/shop with its first commit."""
    made = github.repository("acme/shop", empty=True)
    made.commit({"README.md": "shop"}, message="Begin", author_date=at(0))
    return made
