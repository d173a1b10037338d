"""The pictures of the README and the docs: `make picture` takes what the demo left, Markdown as GitHub shows it.

Needs Chromium, npm (for Mermaid) and, for the looks, the fonts Noto Sans and Noto Color Emoji (Debian: chromium
fonts-noto-core fonts-noto-color-emoji).
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from markdown_it import MarkdownIt
from playwright.sync_api import Browser, sync_playwright
from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import MONOKAI

ROOT = Path(__file__).parents[2]
MERMAID = ROOT / "tests" / "web" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
STYLE = """
body { font: 15px/1.5 "Noto Sans", "DejaVu Sans", "Noto Color Emoji", sans-serif; color: #1f2328; margin: 32px 40px; }
h1 { font-size: 1.6em; font-weight: 600; border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; margin: 0 0 16px; }
h3 { font-size: 1.25em; font-weight: 600; margin: 24px 0 16px; }
h3:first-child { margin-top: 0; }
table { border-collapse: collapse; margin: 16px 0; }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; }
tr:nth-child(2n) td { background: #f6f8fa; }
a { color: #0969da; text-decoration: none; }
code { background: #818b981f; border-radius: 6px; padding: .2em .4em; font: 85% "DejaVu Sans Mono", monospace; }
.mermaid { width: 820px; }
"""
DRAW = """async () => {
  mermaid.initialize({ startOnLoad: false });
  for (const [number, source] of document.querySelectorAll(".mermaid").entries())
    source.innerHTML = (await mermaid.render(`chart${number}`, source.textContent)).svg;
}"""


def html(markdown: str) -> str:
    """A page as GitHub shows Markdown, with its diagrams to be drawn."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    body = re.sub(
        r'<pre><code class="language-mermaid">(.*?)</code></pre>',
        r'<pre class="mermaid">\1</pre>',
        body,
        flags=re.DOTALL,
    )
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}"


NOW = "2026-11-21T09:05:00Z"
REPOSITORIES = ("billing", "catalogue", "checkout", "orders", "search", "shop")


def facts_of_several(ledger: Path) -> Iterator[str]:
    """The sample facts as those of six repositories; each but the last lacks another part of them."""
    for number, repository in enumerate(REPOSITORIES, 2):
        for path in sorted(ledger.glob("facts/*/*.jsonl")):
            for position, line in enumerate(path.read_text("utf-8").splitlines()):
                if position % (number + 1) or repository == "shop":
                    renamed = line.replace("acme/shop", f"acme/{repository}").replace('"shop"', f'"{repository}"')
                    yield re.sub(r"(?<=github:deployment:)(?=\d)|(?<=dispatch:)", str(number), renamed)


def computed(folder: Path, facts: Path, *options: str) -> str:
    """What `dora-metrics compute` prints, in the colours of a terminal."""
    command = [sys.executable, "-m", "dora_metrics", "compute", "--facts", str(facts.resolve()), "--now", NOW, *options]
    variables = {"FORCE_COLOR": "1", "COLUMNS": "100", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=True, text=True).stdout


def take_terminal(chromium: Browser, text: str, picture: Path) -> None:
    console = Console(record=True, width=104, file=StringIO())
    for line in AnsiDecoder().decode(text):
        console.print(line)
    page = chromium.new_page(viewport={"width": 1000, "height": 380}, device_scale_factor=1.5)
    page.set_content(console.export_html(theme=MONOKAI))
    page.screenshot(path=picture)


def take_overview(chromium: Browser, folder: Path, picture: Path) -> None:
    facts = folder / "several.jsonl"
    facts.write_text("\n".join(facts_of_several(folder / "ledger")) + "\n", "utf-8")
    overview = folder / "several.html"
    overview.write_text(computed(folder, facts, "--format", "html"), "utf-8")
    page = chromium.new_page(viewport={"width": 1240, "height": 700}, device_scale_factor=1.5)
    page.goto(overview.resolve().as_uri())
    page.screenshot(path=picture)


def main(folder: Path, pictures: Path) -> None:
    browser = shutil.which("chromium") or sys.exit("picture: chromium is missing")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for name, height in (("summary", 530), ("weekly", 800)):
            page = chromium.new_page(viewport={"width": 1240, "height": height}, device_scale_factor=1.5)
            page.set_content(html((folder / f"{name}.md").read_text("utf-8")))
            page.add_script_tag(path=MERMAID)
            page.evaluate(DRAW)
            page.screenshot(path=pictures / f"{name}.png")
        address = (folder / "ledger" / "index.html").resolve().as_uri()
        for name, part, height in (("page", "", 925), ("evidence", "#theme=dark&show=change_failure_rate", 790)):
            page = chromium.new_page(viewport={"width": 1240, "height": height}, device_scale_factor=1.5)
            page.goto(address + part)
            page.screenshot(path=pictures / f"{name}.png")
        take_overview(chromium, folder, pictures / "overview.png")
        take_terminal(chromium, computed(folder, folder / "ledger", "--format", "text"), pictures / "terminal.png")
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
