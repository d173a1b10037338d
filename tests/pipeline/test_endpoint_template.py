"""A user's template as a shape: rendered in a process with limits, and a reason wherever it cannot be used."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.core.shapes.shape import Shape, content_key
from dora_metrics.pipeline.endpoint_template import ENDPOINT_LIMITS, template_shape
from dora_metrics.pipeline.template_process import TemplateLimits
from dora_metrics.pipeline.user_templates import read_template
from support.branch_shop import BranchShop
from support.facts import deployment, deployment_id
from support.runs import ActionRun, deployment_status
from support.servers import listen
from support.shape_inputs import shape_input_of
from support.template_bombs import BOMBS, ESCAPES, LIMITS

INPUT = shape_input_of(deployment(1, "03-11"), deployment(2, "03-12"))


def shape_of(template: str, limits: TemplateLimits = ENDPOINT_LIMITS) -> Shape:
    return template_shape("mine.json.j2", lambda _: template, limits)


def test_a_template_is_a_shape_that_makes_its_requests_in_the_process() -> None:
    template = "{% for fact in facts %}{% request facts=[fact] %}{{ fact.id|tojson }}{% endrequest %}{% endfor %}"
    shape = shape_of(template)
    first, second = shape.requests(INPUT)
    assert (json.loads(first.body), first.delivers) == (deployment_id(1), (deployment_id(1),))
    assert second.delivers == (deployment_id(2),)
    assert first.key == content_key(["POST", "", "application/json", first.body.decode()])
    assert (shape.name, shape.events, shape.sends_numbers) == ("mine.json.j2", None, False)


def test_all_that_a_template_may_send_comes_back_from_the_process() -> None:
    body = "{{ ('%0333333d' % 0)|replace('0', '\x01\x02\x01') }}"
    template = "{% for _ in range(10) %}{% request content_type='a/b' %}" + body + "{% endrequest %}{% endfor %}"
    requests = shape_of(template).requests(INPUT)
    assert [len(request.body) for request in requests] == [999_999] * 10


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not enforce the limit of memory")
@pytest.mark.parametrize("name", BOMBS)
def test_a_template_that_wants_too_much_is_a_reason_and_nothing_else(name: str) -> None:
    with pytest.raises(TemplateError) as caught:
        shape_of(BOMBS[name], LIMITS).requests(INPUT)
    assert 0 < len(str(caught.value)) < 400


def test_a_template_takes_no_more_time_than_the_sinks_have_left() -> None:
    """All sinks of a run share a minute, and templates are rendered in it."""
    with pytest.raises(TemplateError, match=r"0\.01 s or"):
        shape_of("{{ facts|length }}").requests(replace(INPUT, seconds_left=0.01))


@pytest.mark.parametrize("template", ESCAPES)
def test_a_template_reaches_no_python(template: str) -> None:
    text_request = "{% request content_type='text/plain' %}" + template.replace("report", "facts") + "{% endrequest %}"
    try:
        (request,) = shape_of(text_request, LIMITS).requests(INPUT)
    except TemplateError:
        return
    assert not re.search(rb"environ|class|module|globals|mappingproxy|Environment", request.body)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"\xff", "it is not UTF-8"),
        (b"x" * 1_000_001, "it has more than 1,000,000 bytes"),
        (b"", "it renders nothing"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_reason(content: bytes | None, reason: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "mine.j2").write_bytes(content)
    shape = template_shape("mine.j2", partial(read_template, tmp_path))
    with pytest.raises(TemplateError, match=reason):
        shape.requests(INPUT)


def test_a_folder_and_a_file_outside_of_the_workspace_are_reasons_too(tmp_path: Path) -> None:
    for path in (".", "../outside.j2"):
        with pytest.raises(TemplateError):
            template_shape(path, partial(read_template, tmp_path)).requests(INPUT)


def test_a_file_that_the_default_branch_does_not_have_is_a_reason() -> None:
    def read(_: Path) -> str:
        raise FileNotFoundError

    with pytest.raises(TemplateError, match="no such file on the default branch"):
        template_shape("mine.j2", read).requests(INPUT)


# A run


def deploy(shop: BranchShop, number: int, url: str, workspace: Mapping[str, str] | None = None) -> ActionRun:
    at = f"2026-11-2{number}T11:00:00Z"
    inputs = {"endpoint-url": url, "endpoint-template": "mine.j2"}
    moment = datetime.fromisoformat(at) + timedelta(minutes=1)
    return shop.run_event(
        "deployment_status", deployment_status(number, at=at), inputs, now=moment, workspace=workspace
    )


def test_a_run_sends_what_the_template_of_the_default_branch_makes(shop: BranchShop) -> None:
    template = '{% request "PUT", "/x", facts=facts %}{{ facts|map(attribute="id")|list|tojson }}{% endrequest %}'
    shop.repository.commit({"mine.j2": template}, message="Configure")
    with listen() as server:
        ran = deploy(shop, 1, server.url, workspace={"mine.j2": '"from the checkout"'})
    assert "endpoint ✓ 1 fact" in ran.summary
    assert [(request.method, request.path, request.body) for request in server.requests] == [
        ("PUT", "/x", b'["github:deployment:1"]')
    ]


@pytest.mark.parametrize("broken", [None, "{{ nope }}", "{% for %}", "{", '{% request "GET" %}{}{% endrequest %}', ""])
def test_a_broken_template_sends_nothing_and_its_facts_are_sent_once_it_is_repaired(
    shop: BranchShop, broken: str | None
) -> None:
    shop.repository.commit({"mine.j2": broken, "README.md": "shop"}, message="Break")
    with listen() as server:
        ran = deploy(shop, 1, server.url)
        assert not server.requests
        shop.repository.commit({"mine.j2": '{{ facts|map(attribute="id")|list|tojson }}'}, message="Repair")
        deploy(shop, 2, server.url)
    assert ran.code == 0
    assert "endpoint ✗" in ran.summary
    assert "mine.j2" in ran.summary
    assert [json.loads(request.body) for request in server.requests] == [["github:deployment:1", "github:deployment:2"]]


def test_facts_about_which_a_template_says_nothing_are_done(shop: BranchShop) -> None:
    template = '{% for fact in facts if fact.kind == "incident" %}{% request %}1{% endrequest %}{% endfor %}'
    shop.repository.commit({"mine.j2": template}, message="Configure")
    with listen() as server:
        ran = deploy(shop, 1, server.url)
    assert "endpoint ✗" not in ran.summary
    assert not server.requests
    assert not shop.read("outbox.jsonl")
