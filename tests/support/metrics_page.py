"""The metrics page opened in a browser as a file, with its complaints and requests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page

from dora_metrics.commands.demo import NOW
from dora_metrics.core import windows
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.reports.site.feeds import WeeksByScope
from dora_metrics.pipeline import publish
from dora_metrics.pipeline.evaluate import evaluate
from dora_metrics.settings.model import Settings
from dora_metrics.sources import fact_files
from support.browser import WatchedPage, open_watched_page
from support.npm_packages import package_folder

PHONE_VIEWPORT = {"width": 390, "height": 844}


def demo_results(**settings: object) -> Results:
    """Results of the sample facts that the package contains."""
    with as_file(files("dora_metrics") / "sample" / "ledger") as ledger:
        facts = fact_files.read(str(ledger), BytesIO()).facts
    return evaluate(facts, Settings.model_validate(settings), windows.parse_instant(NOW))


@dataclass(frozen=True)
class MetricsPage:
    """An open metrics page."""

    watched: WatchedPage

    @property
    def page(self) -> Page:
        return self.watched.page

    def card(self, title: str) -> Locator:
        return self.page.locator(".card", has=self.page.get_by_role("heading", name=title))

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def coloured_pixels(self, metric: str) -> int:
        """Number of pixels of a chart that have a colour."""
        script = """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let place = 3; place < data.length; place += 4) count += data[place] > 0;
            return count;
        }"""
        count: int = self.page.locator(f"#{metric} .canvas canvas").evaluate(script)
        return count

    def serious_violations(self) -> list[tuple[str, list[str]]]:
        """Accessibility violations of axe with impact `serious` or `critical`, with their elements."""
        self.page.evaluate((package_folder("axe-core") / "axe.min.js").read_text("utf-8"))
        report: dict[str, Any] = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            (violation["id"], [node["html"][:120] for node in violation["nodes"][:3]])
            for violation in report["violations"]
            if violation["impact"] in ("serious", "critical")
        ]


@contextmanager
def open_page(
    browser: Browser,
    folder: Path,
    results: Results,
    fragment: str = "",
    *,
    weeks: WeeksByScope | None = None,
    **options: object,
) -> Iterator[MetricsPage]:
    """Open the page of these results. Any complaint or request by the end of the block is an error."""
    path = folder / "index.html"
    path.write_text(publish.page_html(results, weeks), "utf-8")
    with open_watched_page(browser, **options) as watched:
        watched.page.goto(path.as_uri() + (f"#{fragment}" if fragment else ""))
        yield MetricsPage(watched)
        assert (watched.complaints, watched.requested_urls) == ([], [])


def texts(locator: Locator) -> Sequence[str]:
    return locator.all_inner_texts()
