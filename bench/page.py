"""The page: its size, how long it takes to build, and when it is usable in Chromium. `python bench/page.py`."""

import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "bench"), str(ROOT / "tests")]

import facts as sample_facts  # noqa: E402 - beside this file

from dora_metrics.core.facts import jsonl  # noqa: E402
from dora_metrics.core.metrics.results import Results  # noqa: E402
from dora_metrics.pipeline import publish  # noqa: E402 - from src
from dora_metrics.pipeline.evaluate import evaluate  # noqa: E402
from dora_metrics.settings.model import Settings  # noqa: E402
from support.tools import require_tool  # noqa: E402 - from tests

REPETITIONS = 7
FIVE_YEARS_DAYS = 5 * 365 + 1


def results_of(deployments: int, repositories: int, days: int) -> Results:
    """Results of `deployments` over `days`, with two changes each and an incident for every tenth."""
    lines = "".join(sample_facts.line(fact) for fact in sample_facts.facts(3 * deployments, repositories, days=days))
    facts, _ = jsonl.decode_lines(lines.encode())
    return evaluate(facts, Settings(), sample_facts.START + timedelta(days=days))  # type: ignore[arg-type]


def build(subject: Results) -> tuple[str, float]:
    """The page, and the median of the seconds that it takes to build."""
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        html = publish.page_html(subject)
        seconds.append(time.perf_counter() - start)
    return html, median(seconds)


def measure_in_browser(html: str, program: str) -> tuple[float, float]:
    """Milliseconds until the page is drawn and usable, and until the next view is drawn; medians.

    The next view is all time, or of several scopes the one with the latest deployment.
    """
    note_first_frame = """addEventListener("DOMContentLoaded", () => {
        requestAnimationFrame(() => requestAnimationFrame(() => { window.drawnAt = performance.now(); }));
    })"""
    show_next = """() => new Promise(done => {
        const start = performance.now(), [first, ...others] = [...document.querySelectorAll("#scope option")];
        const finish = () => requestAnimationFrame(() => done(performance.now() - start));
        const nextFrame = () => requestAnimationFrame(finish);
        addEventListener("hashchange", nextFrame, { once: true });
        location.hash = others.length ? `scope=${encodeURIComponent(first.value)}` : "window=all";
    })"""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "index.html"
        path.write_text(html, "utf-8")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened_ms, chosen_ms = [], []
        for _ in range(REPETITIONS):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.add_init_script(note_first_frame)
            page.goto(path.as_uri(), wait_until="load")
            page.wait_for_timeout(200)
            opened_ms.append(page.evaluate("window.drawnAt"))
            chosen_ms.append(page.evaluate(show_next))
            page.close()
        browser.close()
    return median(opened_ms), median(chosen_ms)


def growth_kilobytes(deployments: int, days: int) -> float:
    """Kilobytes that the next day's page adds to a packed repository."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0"]
        subprocess.run([*git, "init", "-q"], check=True)
        sizes = []
        for day in (0, 1, 2):
            html = publish.page_html(results_of(deployments + day, 1, days + day))
            (Path(folder) / "index.html").write_text(html, "utf-8")
            subprocess.run([*git, "add", "."], check=True)
            subprocess.run([*git, "commit", "-qm", "page"], check=True)
            subprocess.run([*git, "repack", "-adfq", "--depth=50", "--window=10"], check=True)
            sizes.append(sum(path.stat().st_size for path in Path(folder, ".git/objects/pack").glob("*.pack")))
    return (sizes[-1] - sizes[0]) / 2 / 1000


def main() -> None:
    program = require_tool("chromium")
    cases = (
        ("five years of daily deployments", results_of(FIVE_YEARS_DAYS, 1, FIVE_YEARS_DAYS)),
        ("500 repositories, 30,000 deployments: the overview", results_of(30_000, 500, 365)),
        ("one deployment", results_of(1, 1, 1)),
    )
    print("| page of | MB | made in | usable after | next view after |\n|---|---|---|---|---|")
    for name, subject in cases:
        html, seconds = build(subject)
        opened_ms, chosen_ms = measure_in_browser(html, str(program))
        print(
            f"| {name} | {len(html.encode()) / 1e6:.2f} | {seconds:.2f} s | {opened_ms:.0f} ms | {chosen_ms:.0f} ms |"
        )
    print(
        "\nThe next day's page of five years adds "
        f"{growth_kilobytes(FIVE_YEARS_DAYS, FIVE_YEARS_DAYS):.0f} kB to a packed branch."
    )


if __name__ == "__main__":
    main()
