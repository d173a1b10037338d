"""Templates of users are bounded in time, memory and length, whatever they hold; the run goes on without them."""

import re
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from dora_metrics.core.reports.periodic.issue_body import IssueBody, render_issue_bodies
from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.errors import CancelledError
from dora_metrics.pipeline.template_process import TemplateLimits, render_apart
from dora_metrics.templates import load_parts, load_template
from support.facts import deployment
from support.periodic_reports import render_report, report_input
from support.template_bombs import BOMBS, ESCAPES, LIMITS

FACTS = [deployment(number, f"03-1{number}T12:00") for number in (1, 2, 3)]


def render(template: str, limits: TemplateLimits = LIMITS) -> str:
    return issue_body(template, limits).generated


def issue_body(template: str, limits: TemplateLimits) -> IssueBody:
    bodies = partial(render_issue_bodies, (report_input(*FACTS),), template, load_parts())
    (body,) = render_apart(bodies, list[IssueBody], limits)
    return body


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not enforce the limit of memory")
@pytest.mark.parametrize("name", BOMBS)
def test_a_template_that_wants_too_much_is_a_reason_and_nothing_else(name: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(BOMBS[name])
    assert 0 < len(str(caught.value)) < 400


def test_a_template_is_killed_at_its_deadline_where_the_system_knows_no_other_limit() -> None:
    limits = replace(LIMITS, cpu_seconds=1_000, total_seconds=1.5)
    with pytest.raises(TemplateError, match=re.escape("1.5 s or 400 MB; make fewer or shorter loops and texts")):
        render(BOMBS["nested loops"], limits)


@pytest.mark.skipif(sys.platform == "win32", reason="a runner on Windows sends no signals")
def test_a_cancel_while_a_template_is_rendered_ends_its_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Process(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            started.append(self)
            if len(started) == 1:
                raise CancelledError(signal.SIGTERM)
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Process)
    with pytest.raises(CancelledError):
        render(BOMBS["nested loops"], replace(LIMITS, cpu_seconds=1_000, total_seconds=1_000))
    assert started[0].returncode == -signal.SIGKILL


def test_a_result_beyond_its_limit_is_not_read() -> None:
    with pytest.raises(TemplateError):
        render("{{ 'x' * 1 }}" * 2_000, replace(LIMITS, result_bytes=1_000))


def test_a_usual_template_gives_what_it_gives_in_this_process() -> None:
    body = issue_body(load_template("weekly.md.j2"), TemplateLimits())
    assert body == render_report(*FACTS).issue_body


@pytest.mark.parametrize("template", ESCAPES)
def test_a_template_reaches_no_python(template: str) -> None:
    try:
        text = render(template)
    except TemplateError:
        return
    assert not re.search(r"environ|class|module|globals|mappingproxy|Environment", text)


def test_the_process_gets_no_variable_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    environments = []

    class RecordingPopen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as its base has them
            environments.append(options["env"])
            super().__init__(*arguments, **options)

    monkeypatch.setenv("GITHUB_TOKEN", "ghs_1")
    monkeypatch.setattr(subprocess, "Popen", RecordingPopen)
    assert render("fine").strip() == "fine"
    assert [names.keys() - {"SYSTEMROOT"} for names in environments] == [set()]
