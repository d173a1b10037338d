"""A fake GitHub with one repository, and a PyGithub client with careful settings."""

from collections.abc import Iterator
from typing import Any

import pytest
from github import Auth, Github, GithubRetry

from fakes.github import FakeGitHub
from fakes.repository import Repository


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


@pytest.fixture
def shop(github: FakeGitHub) -> Repository:
    return github.repository("acme/shop")


@pytest.fixture
def client(github: FakeGitHub) -> Iterator[Github]:
    retry = GithubRetry(total=1, allowed_methods={"GET"}, max_rate_limit_wait=0.5)
    auth = Auth.Token(github.token)
    pace: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
    with Github(base_url=github.api_url, auth=auth, retry=retry, per_page=100, **pace) as pygithub:
        yield pygithub
