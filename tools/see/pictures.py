"""Draw the dashboards against a Prometheus: `python tools/see/pictures.py URL` writes docs/images/dashboard-*.png.

See README.md beside it for what must be installed. `--to` is the time at which the dashboards end.
"""

import argparse
import functools
import http.server
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from dora_metrics.core.windows import parse_instant

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WIDTH = 1400
ROW_PIXELS = 38
"""A row of Grafana's grid with the gap below it."""

UIDS = ("dora-overview", "dora-trends", "dora-recovery")


@contextmanager
def served() -> Iterator[str]:
    """Serve this folder on a free port; yield its address."""
    handler = functools.partial(_Handler, directory=str(HERE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


def page_html(uid: str, mode: str, prometheus: str, to: datetime) -> str:
    dashboard = json.loads((ROOT / "monitoring" / "grafana" / f"{uid}.json").read_text("utf-8"))
    see = {"prometheus": prometheus, "mode": mode, "to": f"{to.timestamp():.0f}", "dashboard": dashboard}
    return f"""<!doctype html><meta charset=utf-8><link rel=stylesheet href=app.css>
<body style="margin:0"><div id=root></div>
<script>window.SEE={json.dumps(see)};window.__grafana_public_path__="/";
window.grafanaBootData={{settings:{{featureToggles:{{}}}},user:{{}}}};</script><script src=app.js></script>"""


def take(browser: Browser, address: str, html: str, picture: Path) -> list[str]:
    """Write the picture of a dashboard; return what went wrong in it."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 900})
    page.route("**/page.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.route("**/*.svg", lambda route: route.abort())  # icons, which Grafana's packages do not contain
    page.goto(f"{address}/page.html")
    rows = page.evaluate("Math.max(...SEE.dashboard.panels.map((panel) => panel.gridPos.y + panel.gridPos.h))")
    page.set_viewport_size({"width": WIDTH, "height": rows * ROW_PIXELS + 130})
    page.wait_for_function("SEE.report.queries.length && !SEE.report.pending")
    page.wait_for_timeout(3000)  # charts are drawn after their data have arrived
    page.screenshot(path=picture)
    errors: list[str] = page.evaluate("SEE.report.errors")
    page.close()
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the dashboards against a Prometheus.")
    parser.add_argument("prometheus", help="its address, such as http://127.0.0.1:9090")
    parser.add_argument("--to", type=parse_instant, default=datetime.now(UTC), help="when the dashboards end")
    parser.add_argument("--mode", choices=("light", "dark"), default="light")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-web-security"]
        )
        for uid in UIDS:
            picture = arguments.folder / f"dashboard-{uid.removeprefix('dora-')}.png"
            html = page_html(uid, arguments.mode, arguments.prometheus, arguments.to)
            errors = take(browser, address, html, picture)
            print(f"{picture.name}: {picture.stat().st_size // 1000} kB", *errors, sep="\n  ")
            if errors:
                sys.exit(1)
        browser.close()


if __name__ == "__main__":
    main()
