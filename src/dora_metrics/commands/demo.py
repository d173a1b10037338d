"""`demo`: one event on shipped sample data, through the whole path, with a ledger in a folder; then its page."""

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.resources import as_file, files
from io import StringIO
from pathlib import Path

from dora_metrics.commands import action
from dora_metrics.core import windows
from dora_metrics.core.ledger.layout import README_FILE, README_TITLE
from dora_metrics.core.periods import due_period
from dora_metrics.errors import DoraError
from dora_metrics.pipeline.evaluate import evaluate
from dora_metrics.pipeline.reports import as_markdown, read_template, render_reports
from dora_metrics.runtime import Runtime
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings
from dora_metrics.sources import fact_files

NOW = "2026-11-21T09:05:00Z"
"""When the sample event happened; the demo's clock."""

MONDAY = "2026-11-23T06:00:00Z"
"""When the report of that week is due."""


def run(output: Path, world: Runtime) -> int:
    """Runs the sample event, prints its summary, says where everything is, and returns the exit code."""
    output = output.resolve()
    ledger, summary, outputs = output / "ledger", output / "summary.md", output / "outputs.txt"
    weekly = output / "weekly.md"
    if ledger.exists() and not _is_ours(ledger / README_FILE):
        raise DoraError(f"{ledger} is no earlier demo's; name another folder with --output")
    for stale in (ledger, summary, outputs, weekly):
        _remove(stale)
    with as_file(files("dora_metrics") / "sample") as sample:
        shutil.copytree(sample / "ledger", ledger)
        environment = {
            "GITHUB_EVENT_NAME": "repository_dispatch",
            "GITHUB_EVENT_PATH": str(sample / "event.json"),
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_WORKSPACE": str(output),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_STEP_SUMMARY": str(summary),
            "DORA_INPUTS": json.dumps({"ledger": "dir:ledger"}),
        }
        then = replace(world, environment=environment, stdout=StringIO(), now=windows.parse_instant(NOW))
        code = action.action(then)
        action.action(replace(then, environment=_rebuilding(environment)))
    weekly.write_text(_report(ledger, world), "utf-8")
    world.stdout.write(summary.read_text("utf-8") + _places(ledger, summary, outputs))
    return code


def _report(ledger: Path, world: Runtime) -> str:
    """The report that is due on the next Monday."""
    settings, now = Settings(), windows.parse_instant(MONDAY)
    subject = evaluate(fact_files.read(str(ledger), world.stdin).facts, settings, now)
    period = due_period("weekly", now, settings.zone, settings.report_day)
    return as_markdown(render_reports(subject, EVERY_REPOSITORY, period, settings, partial(read_template, ledger)))


def _rebuilding(environment: dict[str, str]) -> dict[str, str]:
    """What the next scheduled run would do: the page is made by runs that read everything."""
    given = json.dumps({"ledger": "dir:ledger", "mode": "rebuild", "summary": "false"})
    return {**environment, "GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_OUTPUT": "", "DORA_INPUTS": given}


def _is_ours(readme: Path) -> bool:
    return readme.is_file() and readme.read_bytes().startswith(README_TITLE)


def _remove(path: Path) -> None:
    """Only what an earlier demo left."""
    with suppress(FileNotFoundError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _places(ledger: Path, summary: Path, outputs: Path) -> str:
    return f"""
---
This was one event (a deployment of acme/shop) on sample data: recorded, computed, summarised. Look at:
  {summary}  the summary above, as GitHub shows it
  {summary.with_name("weekly.md")}  the report that Monday's run makes an issue of
  {ledger / "index.html"}  the page: open it in a browser
  {ledger / "metrics.json"}  the numbers with their evidence
  {ledger / "metrics.prom"}  the same for Prometheus
  {ledger / "facts"}  what they are computed from, one fact a line
  {outputs}  the step's outputs
"""
