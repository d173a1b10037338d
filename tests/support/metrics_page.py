"""The page in a browser: opened as a file, with everything that it complains about and asks for."""

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
from dora_metrics.core.metrics.comparison import Subject
from dora_metrics.pipeline import publish
from dora_metrics.pipeline.evaluate import subject_of
from dora_metrics.settings.model import Settings
from dora_metrics.sources import fact_files
from support.browser import Watched, watched
from support.npm_packages import package

PHONE = {"width": 390, "height": 844}


def demo(**settings: object) -> Subject:
    """The numbers of the shipped sample."""
    with as_file(files("dora_metrics") / "sample" / "ledger") as ledger:
        facts = fact_files.read(str(ledger), BytesIO()).facts
    return subject_of(facts, Settings.model_validate(settings), windows.instant(NOW))


@dataclass(frozen=True)
class Looking:
    """A page that somebody looks at."""

    seen: Watched

    @property
    def page(self) -> Page:
        return self.seen.page

    def card(self, title: str) -> Locator:
        return self.page.locator(".card", has=self.page.get_by_role("heading", name=title))

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def drawn(self, metric: str) -> int:
        """How many pixels of a chart have a colour."""
        script = """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let place = 3; place < data.length; place += 4) count += data[place] > 0;
            return count;
        }"""
        found: int = self.page.locator(f"#{metric} .canvas canvas").evaluate(script)
        return found

    def serious(self) -> list[tuple[str, list[str]]]:
        """What axe finds wrong that keeps people from reading, with the elements."""
        self.page.evaluate((package("axe-core") / "axe.min.js").read_text("utf-8"))
        found: dict[str, Any] = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            (one["id"], [node["html"][:120] for node in one["nodes"][:3]])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@contextmanager
def looking(
    browser: Browser, folder: Path, subject: Subject, fragment: str = "", **options: object
) -> Iterator[Looking]:
    """The page of these numbers; whatever it complained about or asked for by the end is an error."""
    path = folder / "index.html"
    path.write_text(publish.html(subject), "utf-8")
    with watched(browser, **options) as seen:
        seen.page.goto(path.as_uri() + (f"#{fragment}" if fragment else ""))
        yield Looking(seen)
        assert (seen.complaints, seen.asked) == ([], [])


def texts(locator: Locator) -> Sequence[str]:
    return locator.all_inner_texts()
