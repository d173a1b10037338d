"""Payloads, facts and templates of any shape and any text: no traceback, no command, no live mention, no unescaped tag.

`make fuzz` runs ten thousand cases of each; a test run takes fewer.
"""

import copy
import json
import os
import re
import tempfile
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dora_metrics import cli
from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.core.shapes.template import render_requests, shaped_requests, template_values
from dora_metrics.runtime import Runtime
from support.events import SAMPLES
from support.facts import deployment, incident
from support.property_cases import cases
from support.runs import NOW, deployment_status, incident_issue, run_action
from support.shape_inputs import shape_input_of

CASES = int(os.environ.get("FUZZ_CASES", cases(40)))
OWED = shape_input_of(deployment(1), incident(2, title='"hostile" @dora-victim'))
FUZZ = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))

HOSTILE_TEXTS = (
    "@dora-victim/team",
    "fixes acme/shop#99991",
    "#99991",
    "GH-99991",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "https://evil.example/@dora-victim",
    "`code` @dora-victim `",
    "a|b\n| @dora-victim |",
    "\n::error file=x::injected command",
    "::add-mask::injected command",
    "##[error]injected command",
    "\r\n::set-output name=x::injected command",
    "<!-- dora-metrics --> @dora-victim",
    "--> <b>@dora-victim</b>",
    "\x1b[31mred\x07\x7f\x00",
    "\ud800 lone",
    "\u202e@dora-victim",
    "{{ 7 * 7 }} {% for %}",
    "$(touch /tmp/x) `id` ; '",
    "x" * 70_000,
    "",
    " ",
)
HOSTILE_VALUES = st.one_of(
    st.sampled_from(HOSTILE_TEXTS),
    st.text(max_size=20),
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.lists(st.sampled_from(HOSTILE_TEXTS), max_size=2),
    st.dictionaries(st.sampled_from(("id", "name", "login", "")), st.sampled_from(HOSTILE_TEXTS), max_size=2),
    st.sampled_from(("0000-00-00T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-21T11:00:00+14:00", "now")),
)

_LIVE = re.compile(r"@dora-victim|#99991|GH-99991|<script|<img|<b>|\]\(https://evil", re.IGNORECASE)
_CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_COMMAND = re.compile(
    r"^\s*::(?!group::|endgroup::|error|warning|notice)|##\[|^\s*::[^\n]*::.*injected command$", re.MULTILINE
)


def payloads() -> dict[str, dict[str, Any]]:
    """A valid payload of each event."""
    run = {
        "id": 7,
        "name": "Deploy",
        "head_sha": "a" * 40,
        "head_branch": "main",
        "event": "push",
        "conclusion": "success",
        "run_attempt": 1,
        "created_at": "2026-11-21T10:00:00Z",
        "updated_at": "2026-11-21T11:00:00Z",
        "run_started_at": "2026-11-21T10:00:00Z",
        "html_url": "https://github.com/acme/shop/actions/runs/7",
    }
    repository = {"id": 1, "full_name": "acme/shop", "default_branch": "main", "pushed_at": 1795258800}
    release = {
        "id": 5,
        "tag_name": "v1.2.0",
        "prerelease": False,
        "draft": False,
        "published_at": "2026-11-21T11:00:00Z",
    }
    dispatched = {"id": "x:1", "environment": "production", "status": "success", "finished_at": "2026-11-21T11:00:00Z"}
    outage = {"id": "x:2", "title": "Down", "detected_at": "2026-11-21T11:00:00Z", "severity": "high"}
    return {
        "deployment_status": deployment_status(1, version="v1", payload={"service": "shop", "version": "v1.2.3"}),
        "workflow_run": {
            "action": "completed",
            "workflow": {"name": "Deploy"},
            "workflow_run": run,
            "repository": repository,
        },
        "release": {"action": "published", "release": release, "repository": repository},
        "push": {
            "ref": "refs/heads/main",
            "after": "b" * 40,
            "repository": repository,
            "head_commit": {"timestamp": "2026-11-21T11:00:00Z"},
        },
        "pull_request": json.loads((SAMPLES / "pull_request.closed.merged.json").read_text("utf-8")),
        "issues": incident_issue(9, labels=[{"name": "incident"}]),
        "repository_dispatch": {"action": "dora-deployment", "client_payload": dispatched},
        "repository_dispatch incident": {"action": "dora-incident", "client_payload": outage},
    }


def leaves(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a document, the inner ones too."""
    match value:
        case dict():
            inner = [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
        case list():
            inner = [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
        case _:
            inner = []
    return [*([path] if path else []), *inner]


def mutated(document: dict[str, Any], changes: list[tuple[int, object]]) -> dict[str, Any]:
    """A document in which some values are replaced."""
    result = copy.deepcopy(document)
    for position, value in changes:
        paths = leaves(result)
        *parents, last = paths[position % len(paths)]
        target: Any = result
        for key in parents:
            target = target[key]
        target[last] = value
    return result


def check_markdown(text: str) -> None:
    """A text for GitHub mentions nobody, refers to nothing and has no tag but its own."""
    live = _LIVE.search(_CODE_SPAN.sub("", text))
    assert live is None, text[max(0, live.start() - 200) : live.end() + 50]


def check_log(text: str) -> None:
    """A log has no command but those of the program, and no control character."""
    command = _COMMAND.search(text)
    assert command is None, text[max(0, command.start() - 100) : command.end() + 100]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text), text


@FUZZ
@given(
    st.sampled_from(sorted(payloads())),
    st.lists(st.tuples(st.integers(0, 10_000), HOSTILE_VALUES), min_size=1, max_size=4),
)
def test_a_payload_of_any_shape_is_recorded_or_named(event: str, changes: list[tuple[int, object]]) -> None:
    payload = mutated(payloads()[event], changes)
    with tempfile.TemporaryDirectory() as folder:
        raw = json.dumps(payload).encode("utf-8", "surrogatepass")
        ran = run_action(Path(folder), event.partition(" ")[0], raw, {"report": "off"})
        assert ran.code == 0, ran.log
        check_log(ran.log)
        check_markdown(ran.summary)
        json.loads(ran.outputs["facts"])


def valid_facts() -> list[dict[str, Any]]:
    """One fact of each kind, with every field."""
    common = {
        "v": 1,
        "repository": "acme/shop",
        "service": "shop",
        "observed_at": "2026-11-20T10:00:00Z",
        "source": "x",
    }
    return [
        {**common, "kind": "deployment", "id": "github:deployment:1", "environment": "production", "sha": "a" * 40,
         "ref": "main", "version": "v1", "status": "success", "started_at": "2026-11-19T10:00:00Z",
         "finished_at": "2026-11-19T11:00:00Z", "changes": ["github:pull:acme/shop#1"], "previous": None,
         "remediates": None, "reached_users": False, "commit_count": 1, "health": "passed", "run_id": "7",
         "run_attempt": 1, "job_id": "8", "workflow": "Deploy", "run_event": "push",
         "url": "https://github.com/acme/shop/actions/runs/7/job/8", "descends_from": []},
        {**common, "kind": "deployment", "id": "github:deployment:2", "environment": "production", "sha": "b" * 40,
         "status": "failure", "finished_at": "2026-11-20T09:00:00Z", "reached_users": True, "version": "v2",
         "changes": ["github:pull:acme/shop#1", "commit:" + "c" * 40], "previous": "github:deployment:1"},
        {**common, "kind": "change", "id": "github:pull:acme/shop#1", "sha": "c" * 40, "title": "Faster",
         "first_commit_at": "2026-11-18T10:00:00Z", "opened_at": "2026-11-18T11:00:00Z",
         "merged_at": "2026-11-18T12:00:00Z", "labels": ["hotfix"], "branch": "hotfix/1", "bot": False,
         "reverts": "github:pull:acme/shop#0", "commits": [{"sha": "d" * 40, "authored_at": "2026-11-18T10:00:00Z"}],
         "url": "https://github.com/acme/shop/pull/1"},
        {**common, "kind": "incident", "id": "github:issue:acme/shop#9", "environment": "production",
         "severity": "high", "title": "Down", "detected_at": "2026-11-19T12:00:00Z",
         "resolved_at": "2026-11-19T13:00:00Z", "deployment": "v1"},
        {**common, "kind": "vulnerability", "id": "github:dependabot:acme/shop#3", "severity": "high",
         "introduced_at": None, "detected_at": "2026-11-01T00:00:00Z", "fixed_at": "2026-11-10T00:00:00Z",
         "dismissed_at": None, "package": "left-pad"},
        {"v": 1, "kind": "repository", "id": "github:repository:1", "repository": "acme/shop",
         "observed_at": "2026-11-01T00:00:00Z", "names": ["acme/old", "acme/shop"]},
    ]  # fmt: skip


FORMATS = ("json", "markdown", "weekly", "html", "prometheus")


@FUZZ
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 10_000), HOSTILE_VALUES | st.sampled_from(HOSTILE_TEXTS)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(FORMATS),
)
def test_facts_of_any_shape_are_computed_or_named(changes: list[tuple[int, int, object]], output_format: str) -> None:
    facts = valid_facts()
    for fact_number, position, value in changes:
        facts[fact_number] = mutated(facts[fact_number], [(position, value)])
    lines = "\n".join(json.dumps(fact) for fact in facts).encode("utf-8", "surrogatepass")
    stdout, stderr = StringIO(), StringIO()
    runtime = Runtime({}, BytesIO(lines), stdout, stderr, NOW, lambda _: None)
    code = cli.run(["compute", "--facts", "-", "--now", "2026-11-21T12:00:00Z", "--format", output_format], runtime)
    assert code in (0, 2), stderr.getvalue()
    assert "Traceback" not in stderr.getvalue()
    check_log(stderr.getvalue())
    if output_format in ("markdown", "weekly"):
        check_markdown(stdout.getvalue())
        check_log(stdout.getvalue())
    if output_format == "json" and code == 0:
        json.loads(stdout.getvalue())
    if output_format == "html":
        assert not re.search(r"<script>alert|<img src=x|<b>@", stdout.getvalue())


TEMPLATE_PIECES = (
    "{% request %}", '{% request "PUT", "/a/" ~ event|urlpart, facts=[facts[0]] %}', "{% request facts=facts %}",
    "{% request method=", '{% request "POST", "", "text/plain" %}', "{% endrequest %}", "{% for fact in facts %}",
    "{% endfor %}", "{% if facts %}", "{% else %}", "{% endif %}", "{% macro m(x) %}", "{% endmacro %}", "{{ m(1) }}",
    "{% set x = facts %}", "{% set x %}", "{% endset %}", "{{ x|tojson }}", "{{ facts|tojson }}", "{{ fact.id }}",
    "{{ metrics.scopes|length }}", "{{ words.facts[0].sentence|tojson }}", "{{ event.__class__ }}", "{{ self }}",
    "{{ request }}", "{{ caller() }}", "{% raw %}", "{% endraw %}", "{# ", " #}", "{{", "}}", "{%", "%}", "{", "}", "[",
    "]", '"', ",", ":", "null", "1e999", "NaN", " ", "\n", "::error::x", "\ud800",
)  # fmt: skip


@FUZZ
@given(st.lists(st.sampled_from(TEMPLATE_PIECES) | st.text(max_size=3), max_size=12).map("".join))
def test_any_template_is_requests_that_can_be_sent_or_a_reason(template: str) -> None:
    try:
        rendered = render_requests(template, template_values(OWED))
    except TemplateError:
        return
    for request in shaped_requests(rendered, OWED):
        assert set(request.delivers) <= {fact.id for fact in OWED.facts}
        assert not re.search(r"[\r\n]", f"{request.method}{request.path}{request.content_type}")
        if request.content_type == "application/json" and request.body:
            json.loads(request.body)
