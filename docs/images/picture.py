"""The README's pictures: `make picture` takes the demo's summary, rendered as GitHub would, and the demo's page.

Needs Chromium and, for the looks, the fonts Noto Sans and Noto Color Emoji (Debian: chromium fonts-noto-core
fonts-noto-color-emoji).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt

STYLE = """
body { font: 15px/1.5 "Noto Sans", "DejaVu Sans", "Noto Color Emoji", sans-serif; color: #1f2328; margin: 32px 40px; }
h3 { font-size: 1.25em; font-weight: 600; margin: 0 0 16px; }
table { border-collapse: collapse; margin: 16px 0; }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; }
tr:nth-child(2n) td { background: #f6f8fa; }
a { color: #0969da; text-decoration: none; }
code { background: #818b981f; border-radius: 6px; padding: .2em .4em; font: 85% "DejaVu Sans Mono", monospace; }
"""
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1.5",
)


def main(demo: Path, pictures: Path) -> None:
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render((demo / "summary.md").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.html"
        summary.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}", "utf-8")
        take(summary.as_uri(), pictures / "summary.png", "1240,530")
    page = (demo / "ledger" / "index.html").resolve().as_uri()
    take(page, pictures / "page.png", "1240,925")
    take(f"{page}#theme=dark&show=change_failure_rate", pictures / "evidence.png", "1240,790")


def take(address: str, picture: Path, size: str) -> None:
    browser = shutil.which("chromium") or sys.exit("picture: chromium is missing")
    with tempfile.TemporaryDirectory() as profile:
        options = [
            *CHROMIUM,
            f"--window-size={size}",
            f"--user-data-dir={profile}",
            f"--screenshot={picture.resolve()}",
        ]
        subprocess.run([browser, *options, address], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
