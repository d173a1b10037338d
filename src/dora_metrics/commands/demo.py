"""`demo`: one event on shipped sample data, through the whole action, with a ledger in a folder; then its page."""

import os
import shutil
from dataclasses import replace
from functools import partial
from importlib.resources import as_file, files
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from dora_metrics.commands import action
from dora_metrics.core.periods import due_period
from dora_metrics.core.reports.render import plain_text
from dora_metrics.core.reports.terminal_summary import summary_blocks
from dora_metrics.core.windows import parse_instant
from dora_metrics.errors import DoraError
from dora_metrics.github import console
from dora_metrics.github.observation import Run
from dora_metrics.github.runner import Runner
from dora_metrics.github.terminal import Terminal
from dora_metrics.pipeline.evaluate import evaluate, last_deployed
from dora_metrics.pipeline.inputs import RunRequest
from dora_metrics.pipeline.reports import render_reports
from dora_metrics.pipeline.user_templates import read_template
from dora_metrics.runtime import Runtime
from dora_metrics.settings.loading import INPUT, Layer
from dora_metrics.settings.model import Settings
from dora_metrics.sources import fact_files
from dora_metrics.sources.paths import is_file, is_link
from dora_metrics.templates import load_template

NOW = "2026-11-21T09:05:00Z"
"""When the sample event happened; the demo's clock."""

MONDAY = "2026-11-23T06:00:00Z"
"""When the report of that week is due."""


class _Paths(NamedTuple):
    """Where the demo writes."""

    ledger: Path
    summary: Path
    outputs: Path
    weekly: Path


def run(output: Path, runtime: Runtime) -> int:
    """Run the sample event, print its summary and where everything is, and return the exit code.

    Raises:
        DoraError: if the output folder holds files of these names that no demo wrote, or cannot be written.
    """
    output = output.resolve()
    paths = _Paths(output / "ledger", output / "summary.md", output / "outputs.txt", output / "weekly.md")
    try:
        code = _write_files(output, paths, runtime)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise DoraError([f"demo: {output} cannot be written ({reason})", _OTHER_FOLDER]) from None
    if runtime.stdout.isatty():
        _show_on_terminal(paths.ledger, runtime)
    else:
        console.write_text(runtime.stdout, paths.summary.read_text("utf-8"))
    console.write_text(runtime.stdout, _guide(paths))
    return code


_OTHER_FOLDER = "pass another folder with --output"


def _write_files(output: Path, paths: _Paths, runtime: Runtime) -> int:
    """Write everything in place of what an earlier demo left, and return the exit code of the run."""
    if _is_demo_ledger(paths.ledger):
        _remove(paths)
    elif obstacle := next(filter(os.path.lexists, paths), None):
        raise DoraError(f"{obstacle} is not from a demo of this version, so it stays as it is; {_OTHER_FOLDER}")
    code = _run_event(output, paths, replace(runtime, environment={}, stdout=StringIO(), now=parse_instant(NOW)))
    paths.weekly.write_text(_weekly_report(paths.ledger, runtime), "utf-8")
    return code


def _show_on_terminal(ledger: Path, runtime: Runtime) -> None:
    """Show the numbers after the event, as `compute` would; the job summary is Markdown for GitHub."""
    results = evaluate(fact_files.read(str(ledger), runtime.stdin).facts, Settings(), parse_instant(NOW))
    latest = last_deployed(results.evaluation.histories, results.now)
    Terminal.of(runtime.stdout, runtime.environment).show(summary_blocks(results, latest.scope if latest else None))


def _run_event(output: Path, paths: _Paths, runtime: Runtime) -> int:
    """Run the action on the sample event, then rebuild, as the next scheduled run would, to make the page."""
    with as_file(files("dora_metrics") / "sample") as sample:
        shutil.copytree(sample / "ledger", paths.ledger)
        event = RunRequest(
            layers=(Layer(INPUT, {"ledger": "dir:ledger"}),),
            run=Run(event="repository_dispatch", repository="acme/shop", now=runtime.now),
            workspace=output,
            event_path=str(sample / "event.json"),
        )
        code = action.run(runtime, lambda _: event, Runner(runtime.stdout, paths.outputs, paths.summary))
    rebuild = Layer(INPUT, {"ledger": "dir:ledger", "mode": "rebuild", "summary": "false"})
    scheduled = replace(event, layers=(rebuild,), run=replace(event.run, event="workflow_dispatch"))
    action.run(runtime, lambda _: scheduled, Runner(runtime.stdout, None, None))
    return code


def _weekly_report(ledger: Path, runtime: Runtime) -> str:
    """The report that is due on the next Monday."""
    settings, now = Settings(), parse_instant(MONDAY)
    results = evaluate(fact_files.read(str(ledger), runtime.stdin).facts, settings, now)
    period = due_period("weekly", now, settings.zone, settings.report_day)
    return render_reports(results, period, settings, partial(read_template, ledger)).as_markdown()


def _is_demo_ledger(ledger: Path) -> bool:
    """Whether a ledger began as the sample; one of the user's own is of the same form."""
    if is_link(ledger):
        return False
    with as_file(files("dora_metrics") / "sample" / "ledger") as sample:
        names = [file.relative_to(sample) for file in sample.rglob("*.jsonl")]
        return all(_begins_with(ledger / name, (sample / name).read_bytes()) for name in names)


def _begins_with(file: Path, content: bytes) -> bool:
    return is_file(file) and file.read_bytes().startswith(content)


def _remove(paths: _Paths) -> None:
    """Remove what an earlier demo left. A folder in place of one of its files is the user's."""
    for file in (paths.summary, paths.outputs, paths.weekly):
        file.unlink(missing_ok=True)
    shutil.rmtree(paths.ledger)


def _guide(paths: _Paths) -> str:
    """Where everything is, as plain text."""
    return plain_text(load_template("demo.txt.j2"), **paths._asdict())
