"""One browser for all tests of a worker."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from support.browser import launch_chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launch_chromium() as found:
        yield found
