"""Templates of users for endpoints: what they write is sent as it is, or is a reason that says where it is wrong."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.reports.sandbox import TemplateError
from dora_metrics.core.shapes.shape import OwedReport, ShapedRequest
from dora_metrics.core.shapes.template import render_requests, shaped_requests, template_values
from support import strategies
from support.facts import change, deployment, deployment_id, incident
from support.hostile_text import HOSTILE
from support.periodic_reports import report_input
from support.property_cases import cases
from support.shape_inputs import shape_input_of

INPUT = shape_input_of(deployment(1, "03-11"), deployment(2, "03-12", version="v2"), incident(3, title='"He said" \\'))

LOOP = "{% for fact in facts %}{% request %}{{ fact|tojson }}{% endrequest %}{% endfor %}"


def requests(template: str) -> list[ShapedRequest]:
    rendered = render_requests(template, template_values(INPUT))
    return list(shaped_requests(rendered, INPUT))


def test_a_template_without_blocks_is_one_json_body_with_all_facts() -> None:
    (request,) = requests('  {"ids": {{ facts|map(attribute="id")|list|tojson }}, "by": {{ event|tojson }} }\n')
    assert json.loads(request.body) == {"ids": [fact.id for fact in INPUT.facts], "by": "deployment_status"}
    assert request.delivers == tuple(fact.id for fact in INPUT.facts)
    assert (request.method, request.path, request.content_type) == ("POST", "", "application/json")
    assert request.body == request.body.strip()


def test_facts_and_numbers_are_as_the_schemas_have_them() -> None:
    (request,) = requests('{"facts": {{ facts|tojson }}, "metrics": {{ metrics|tojson }}}')
    body = json.loads(request.body)
    assert [(fact["kind"], fact["id"]) for fact in body["facts"]] == [
        ("deployment", deployment_id(1)),
        ("deployment", deployment_id(2)),
        ("incident", INPUT.facts[2].id),
    ]
    assert body["metrics"]["schema"] == "dora-metrics/1"
    assert body["metrics"]["scopes"][0]["metrics"]["deployment_frequency"]["deployments"] == 2


def test_a_block_is_a_request_with_method_path_content_type_and_the_facts_that_it_names() -> None:
    template = """
    {% for fact in facts if fact.kind == "deployment" %}
      {% request "PUT", "/deployments/" ~ fact.id|urlpart, "text/plain; charset=utf-8", facts=[fact] %}
{{ fact.version }} at {{ fact.finished_at }}
      {% endrequest %}
    {% endfor %}
    """
    first, second = requests(template)
    assert (first.method, first.content_type) == ("PUT", "text/plain; charset=utf-8")
    assert first.path == "/deployments/github%3Adeployment%3A1"
    assert first.delivers == (deployment_id(1),)
    assert second.body == b"v2 at 2024-03-12T00:00:00Z\n"
    assert first.key != second.key


def test_a_block_takes_its_arguments_by_name_and_from_a_macro() -> None:
    template = """
    {% macro send(fact) %}
    {% request content_type="application/vnd.acme+json", facts=fact, path="/in", method="PATCH" %}
    {{ fact.id|tojson }}
    {% endrequest %}
    {% endmacro %}
    {% for fact in facts %}{{ send(fact) }}{% endfor %}
    """
    assert {(each.method, each.path, each.content_type) for each in requests(template)} == {
        ("PATCH", "/in", "application/vnd.acme+json")
    }
    assert [each.delivers for each in requests(template)] == [(fact.id,) for fact in INPUT.facts]


def test_the_same_facts_give_the_same_bytes_and_keys_and_any_difference_another_key() -> None:
    assert requests(LOOP) == requests(LOOP)
    variants = [LOOP, *(LOOP.replace("{% request %}", f"{{% request {each} %}}") for each in ('"PUT"', 'path="/x"'))]
    variants.append(LOOP.replace("{% request %}", '{% request content_type="text/plain" %}'))
    keys = {requests(each)[0].key for each in variants}
    assert len(keys) == len(variants)
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)


def test_a_template_that_has_nothing_to_say_about_these_facts_makes_no_request() -> None:
    assert requests('{% for fact in facts if fact.kind == "change" %}{% request %}1{% endrequest %}{% endfor %}') == []


def test_a_request_that_names_no_fact_delivers_reports_too_and_one_that_names_facts_does_not() -> None:
    report = OwedReport("report:weekly:2024-W10", [report_input(deployment(1))])
    owed = shape_input_of(deployment(1), reports=[report])
    template = "{% request %}1{% endrequest %}{% request facts=facts %}2{% endrequest %}"
    rendered = render_requests(template, template_values(owed))
    everything, named = shaped_requests(rendered, owed)
    assert everything.delivers == (deployment_id(1), "report:weekly:2024-W10")
    assert named.delivers == (deployment_id(1),)


def test_a_request_that_deletes_needs_no_body() -> None:
    (request,) = requests('{% request "DELETE", "/old" %}{% endrequest %}')
    assert (request.method, request.body) == ("DELETE", b"")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_title_is_one_json_string_and_one_part_of_a_path(text: str) -> None:
    owed = shape_input_of(change(1, title=text))
    template = (
        '{% request "POST", "/a/" ~ (facts[0].title ~ "x")|urlpart ~ "/b" %}{{ facts[0].title|tojson }}{% endrequest %}'
    )
    (request,) = render_requests(template, template_values(owed))
    assert json.loads(request.body) == text
    assert request.path.count("/") == 3


@settings(max_examples=cases(20))
@given(st.lists(strategies.deployments | strategies.changes, max_size=5))
def test_any_facts_can_be_written_as_json(facts: list[Fact]) -> None:
    owed = shape_input_of(*{fact.id: fact for fact in facts}.values())
    (request,) = shaped_requests(render_requests("{{ facts|tojson }}", template_values(owed)), owed)
    assert [fact["id"] for fact in json.loads(request.body)] == list(request.delivers)


# What is broken

BROKEN = {
    "empty": ("", "it renders nothing"),
    "blank": (" \n{# a comment #}\n", "it renders nothing"),
    "nothing for these facts": ('{% for fact in facts if fact.kind == "x" %}1{% endfor %}', "it renders nothing"),
    "not JSON": ('{\n"a": }', r"body is not valid JSON \(its line 2, column 6: .*\); write values with `tojson`"),
    "JSON with a quotation mark too many": (
        '{"title": "{{ facts[2].title }}"}',
        r"the body is not valid JSON \(its line 1, column ",
    ),
    "a request of no JSON": (
        "\n\n{% request %}\n{nope}{% endrequest %}",
        r"^line 3: request 1 is not valid JSON \(its line 1, column 2: ",
    ),
    "two bodies": ("{}{}", r"the body is not valid JSON \(its line 1, column 3: "),
    "a name twice": ('{"a": 1, "b": {"a": 1, "a": 2}}', "an object has 'a' twice"),
    "NaN": ('{"a": NaN}', "NaN is not a JSON value"),
    "Infinity": ('{"a": -Infinity}', "-Infinity is not a JSON value"),
    "Infinity by the filter": ('{% set x = "1e999" %}{{ x|float|tojson }}', "line 1: Out of range float"),
    "what Jinja makes no valid Python of": ('{{ ("1e999"|float)|tojson }}', "line 1: name 'inf' is not defined"),
    "25 nested loops": ("{% for x in [1] %}" * 25 + "{% endfor %}" * 25, "too many statically nested blocks"),
    "too deep": ("[" * 100_000, "nested too deeply"),
    "a number without end": ("9" * 100_000, "the body is not valid JSON"),
    "a syntax error": ("{}\n{% for %}", "line 2: "),
    "a tag without an end": ("{% request %}{}", "line 1: .*endrequest"),
    "what is undefined": ("{}\n{{ fakt.id }}", "line 2: 'fakt' is undefined"),
    "what is undefined in a filter": ("{{ fakt|tojson }}", "'fakt' is undefined"),
    "a field that no fact has": ("{{ facts[0].titel|tojson }}", "no attribute 'titel'"),
    "what JSON cannot hold": ('{{ facts|selectattr("id")|tojson }}', "cannot write a generator; .* needs `list`"),
    "raising": ("{{ 1 // 0 }}", "line 1: "),
    "a type error": ("{{ 1 + event }}", "line 1: "),
    "another file": ('{% include "weekly.md.j2" %}', "it includes 'weekly.md.j2', which does not exist"),
    "the second request": (
        "{% request %}{}{% endrequest %}{% request %}[{% endrequest %}",
        r"request 2 is not valid JSON \(its line 1, column 2: ",
    ),
    "text outside": ("hello\n{% request %}{}{% endrequest %}", r"outside of its request blocks \('hello'\)"),
    "an empty request": ("{% request %} {% endrequest %}", "request 1 is empty"),
    "a request in a request": (
        "{% request %}{% request %}{}{% endrequest %}{% endrequest %}",
        "a request block is inside of another one",
    ),
    "501 requests": ("{% for _ in range(501) %}{% request %}1{% endrequest %}{% endfor %}", "more than 500 requests"),
    "a body above 1 MB": ('{{ "%01000001d" % 0 }}', "the body has more than 1,000,000 bytes"),
    "11 MB in requests": (
        "{% for _ in range(12) %}{% request content_type='a/b' %}{{ '%0999999d' % 0 }}{% endrequest %}{% endfor %}",
        "more than 10,000,000 bytes together",
    ),
    "GET": ('{% request "GET" %}{}{% endrequest %}', "the method 'GET' is not one of POST, PUT, PATCH, DELETE"),
    "a method that is not text": ("{% request 1 %}{}{% endrequest %}", "the method 'int' is not one of"),
    "a method with a line break": (r'{% request "POST\r\nX: 1" %}{}{% endrequest %}', "the method .* is not one of"),
    "a content type": ('{% request "POST", "", "json" %}{}{% endrequest %}', "the content type 'json' is not valid"),
    "a content type with a line break": (
        r'{% request content_type="text/plain\r\nAuthorization: x" %}{}{% endrequest %}',
        "the content type .* is not valid",
    ),
    "a fact that is not there": (
        '{% request facts=[{"id": "github:deployment:9"}] %}{}{% endrequest %}',
        "the fact 'github:deployment:9', which is not among `facts`",
    ),
    "facts that are a text": ('{% request facts="x" %}{}{% endrequest %}', "is not a list of facts"),
    "facts that are ids": ('{% request facts=["x"] %}{}{% endrequest %}', "is not a list of facts"),
    "facts that are undefined": ("{% request facts=fakts %}{}{% endrequest %}", "fakts|list of facts"),
    "an unknown argument": ('{% request paht="/x" %}{}{% endrequest %}', "line 1: a request has no 'paht'"),
    "too many arguments": ('{% request "POST", "", "a/b", 1 %}{}{% endrequest %}', "line 1: a request has a method"),
    "an argument twice": ('{% request "POST", method="PUT" %}{}{% endrequest %}', "line 1: a request has a method"),
    "arguments without a comma": ('{% request event "/x" %}{}{% endrequest %}', "line 1: expected token ','"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_template_is_a_reason_that_says_what_is_wrong(name: str) -> None:
    template, reason = BROKEN[name]
    with pytest.raises(TemplateError, match=reason) as caught:
        requests(template)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "path",
    [
        "x", "//evil.example/x", "https://evil.example/x", "@evil.example", ":80@evil.example/", "/../x", "/a/../../x",
        "/%2e%2e/x", "/a/./b", "/a/%2E", "/a/.%2e/b", "/a\\b", "/a b", "/a\nb", "/a?token=1", "/a#b",
        "/\N{LATIN SMALL LETTER E WITH ACUTE}", "/a%2f..%2f..%2fadmin", "/..;/admin", "/..%5cadmin", "/a%00",
        "/a%0d%0aX:y", "/%", "/%zz", "/a//b", "/" + "a" * 8_001,
    ],
)  # fmt: skip
def test_a_path_stays_below_the_address_of_the_endpoint(path: str) -> None:
    with pytest.raises(TemplateError, match="the path"):
        requests("{% request 'POST', " + repr(path) + " %}{}{% endrequest %}")


@pytest.mark.parametrize("value", ["", ".", "..", "../..", "a/../b", "%2e%2e", "\\..", "..;x", "?x#y", "\n", "a\x00b"])
def test_no_value_spoils_a_path(value: str) -> None:
    (request,) = requests("{% request path='/a/' ~ " + repr(value) + "|urlpart ~ '/b' %}{}{% endrequest %}")
    assert re.fullmatch("/a/[^/]+/b", request.path)


@pytest.mark.parametrize("body", ['{"a": 1e999}', '{"a": -1e999}', '{"a": "\\ud800"}'])
def test_what_only_some_readers_take_for_json_is_refused(body: str) -> None:
    with pytest.raises(TemplateError):
        requests(body)


@pytest.mark.parametrize("path", ["", "/", "/a", "/a/", "/v1/x:y/@me/a%20b"])
def test_ordinary_paths_are_used_as_they_are(path: str) -> None:
    (request,) = requests("{% request path=" + repr(path) + " %}{}{% endrequest %}")
    assert request.path == path
