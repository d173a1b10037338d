"""A real browser, Debian's Chromium, that reaches nothing beyond this machine and tells all that it was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, sync_playwright

from support.tools import needs


@dataclass
class Watched:
    """A page, what it complained about, and every address it asked for beyond files and data."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; without one the test is skipped, and fails in CI."""
    program = needs("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser, **options: object) -> Iterator[Watched]:
    """A fresh page without network. `options`: of a browser context, such as `color_scheme` or `viewport`."""
    context: BrowserContext = browser.new_context(**options)  # type: ignore[arg-type] # a dozen different types
    found = Watched(context.new_page())
    context.route("**/*", lambda route: _answered(route, found))
    found.page.on("console", found.said)
    found.page.on("pageerror", lambda problem: found.complaints.append(str(problem)))
    yield found
    context.close()


def _answered(route: Route, found: Watched) -> None:
    if route.request.url.startswith(("file:", "data:", "blob:", "about:")):
        route.continue_()
    else:
        found.asked.append(route.request.url)
        route.abort()
