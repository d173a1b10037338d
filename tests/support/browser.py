"""Debian's Chromium without network; every complaint and request of a page is recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, sync_playwright

from support.tools import require_tool


@dataclass
class WatchedPage:
    """A page, its console errors, and the URLs it requested other than files and data."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requested_urls: list[str] = field(default_factory=list)

    def record_console_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    """Start the browser. Without Chromium the test is skipped; in CI it fails."""
    program = require_tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_watched_page(browser: Browser, **options: object) -> Iterator[WatchedPage]:
    """Open an empty page without network. `options` are those of a browser context, such as `color_scheme`."""
    context: BrowserContext = browser.new_context(**options)  # type: ignore[arg-type] # the options have a dozen different types
    watched = WatchedPage(context.new_page())
    context.route("**/*", lambda route: _allow_local_only(route, watched))
    watched.page.on("console", watched.record_console_message)
    watched.page.on("pageerror", lambda problem: watched.complaints.append(str(problem)))
    yield watched
    context.close()


def _allow_local_only(route: Route, watched: WatchedPage) -> None:
    if route.request.url.startswith(("file:", "data:", "blob:", "about:")):
        route.continue_()
    else:
        watched.requested_urls.append(route.request.url)
        route.abort()
