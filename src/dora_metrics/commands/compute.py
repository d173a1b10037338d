"""Facts from a source become numbers on standard output: what `compute` and `report` have in common; no network."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TextIO

import msgspec

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.comparison import Subject
from dora_metrics.core.periods import KINDS, Kind, due
from dora_metrics.core.reports import prometheus, summary
from dora_metrics.core.reports.explain.case import case_of
from dora_metrics.core.reports.explain.explain import explain
from dora_metrics.core.reports.explain.find import NotFound
from dora_metrics.errors import DoraError, SettingsError
from dora_metrics.github.runner import harmless
from dora_metrics.pipeline.evaluate import families_of, judged, latest_of, subject_of, totals_of
from dora_metrics.settings import loading
from dora_metrics.settings.loading import Layer, load, without_effect
from dora_metrics.settings.model import DEFAULT_CONFIG, EVERY_REPOSITORY, Settings
from dora_metrics.sources import Source
from dora_metrics.templates import parts, template


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    format: str
    config: Path | None
    flags: Layer
    now: datetime
    explain: str | None = None


def run(request: Request, source: Source, stdout: TextIO, stderr: TextIO) -> int:
    """Prints the metrics of what a source holds, and what their thresholds say.

    Returns:
        0, or 1 if a threshold of `fail-on` was hit.

    Raises:
        SettingsError: with every problem of the settings.
        DoraError: if the source cannot be read, or what is to be explained is not known, with what is near to it.
    """
    file = loading.read(request.config or DEFAULT_CONFIG)
    if request.config and file is None:
        raise SettingsError(f"config {request.config}: there is no such file")
    layers = (*([file] if file else ()), request.flags)
    settings = load(layers)
    found = source(settings, request.now)
    notes = (
        *(f"{name} is set, and has no effect in this version." for name in without_effect(layers)),
        *found.notes,
    )
    subject = subject_of(found.facts, settings, request.now, notes)
    if request.explain is not None:
        stdout.write(_explained(request.explain, subject, found.facts))
        return 0
    stdout.write(_WRITERS[request.format](subject, found.facts, settings))
    return _judged(subject, settings, stderr)


def _explained(name: str, subject: Subject, facts: list[Fact]) -> str:
    """Everything about what a name means, as Markdown."""
    match explain(case_of(facts, subject.policy, subject.window), name):
        case NotFound() as missing:
            near = f"; near to it: {', '.join(missing.near)}" if missing.near else ""
            raise DoraError(harmless(f"explain: {missing.why}{near}"))
        case explanations:
            from dora_metrics.core.reports import render  # noqa: PLC0415 - only Markdown needs Jinja

            return render.filled(template("explain.md.j2"), explanations=explanations)


def _judged(subject: Subject, settings: Settings, stderr: TextIO) -> int:
    """The thresholds on all scopes; the exit code."""
    found = judged(subject, settings, [record.scope for record in subject.records.records])
    for one in found.violations:
        place = f"{one.repository} {one.service} {one.environment}"
        stderr.write(f"dora-metrics: {one.on}-on: {harmless(one.text)} ({harmless(one.rule)}) in {harmless(place)}\n")
    stderr.writelines(f"dora-metrics: threshold {harmless(text)}\n" for text in found.unknown)
    return int(found.failing)


def _json(subject: Subject, _facts: list[Fact], _settings: Settings) -> str:
    return msgspec.json.encode(subject.document).decode() + "\n"


def _markdown(subject: Subject, _facts: list[Fact], _settings: Settings) -> str:
    """The scope that was deployed last in full, the others in a line each."""
    from dora_metrics.core.reports import render  # noqa: PLC0415 - its template engine is for Markdown alone

    latest = latest_of(subject.records.records)
    built = summary.build(subject, latest.scope if latest else None, None, None)
    return render.markdown(built, template("summary.md.j2"), parts())


def _html(subject: Subject, _facts: list[Fact], _settings: Settings) -> str:
    from dora_metrics.pipeline import publish  # noqa: PLC0415 - its template engine and library are for the page alone

    return publish.html(subject)


def _prometheus(subject: Subject, facts: list[Fact], _settings: Settings) -> str:
    return prometheus.text(families_of(subject, totals_of(subject, facts), None))


def _report(kind: Kind, subject: Subject, _facts: list[Fact], settings: Settings) -> str:
    """The report that is due, of each scope that has one, as its issue would be."""
    from dora_metrics.pipeline.reports import in_folder, letters, printed  # noqa: PLC0415 - as above

    period = due(kind, subject.now, settings.zone, settings.report_day)
    found = letters(subject, EVERY_REPOSITORY, period, settings, partial(in_folder, Path()))
    if found.problem:
        raise DoraError(found.problem)
    return printed(found)


_WRITERS: dict[str, Callable[[Subject, list[Fact], Settings], str]] = {
    "json": _json,
    "markdown": _markdown,
    "html": _html,
    "prometheus": _prometheus,
    **{kind: partial(_report, kind) for kind in KINDS},
}
