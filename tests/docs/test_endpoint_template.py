"""docs/endpoint.md has a template that can be pasted, and the file in examples/ is the same and works."""

import json
import re

import pytest

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import parse_ledger
from dora_metrics.core.shapes.template import (
    MAX_BODY_BYTES,
    MAX_REQUESTS,
    MAX_TOTAL_BYTES,
    METHODS,
    render_requests,
    template_values,
)
from support.facts import change, deployment, incident
from support.golden_cases import CASES, load_case
from support.paths import ROOT
from support.shape_inputs import shape_input_of

PAGE = (ROOT / "docs" / "endpoint.md").read_text("utf-8")
EXAMPLE = (ROOT / "examples" / "endpoint-template.json.j2").read_text("utf-8")


def test_the_page_shows_the_example_as_it_is() -> None:
    match = re.search(r"<!-- examples/endpoint-template.json.j2 -->\n```jinja\n(.*?)```", PAGE, re.DOTALL)
    assert match
    comment, _, template = EXAMPLE.partition("\n")
    assert comment.startswith("{#")
    assert match[1] == template


def test_the_example_makes_a_request_for_each_production_deployment_and_each_incident() -> None:
    facts = (deployment(1, version="v1"), deployment(2, environment="staging"), incident(3), change(4))
    requests = render_requests(EXAMPLE, template_values(shape_input_of(*facts)))
    assert [(each.method, each.path, each.delivers) for each in requests] == [
        ("PUT", "/deployments/github%3Adeployment%3A1", (facts[0].id,)),
        ("PUT", "/incidents/github%3Aissue%3Aacme%2Fshop%233", (facts[2].id,)),
    ]
    assert json.loads(requests[0].body)["version"] == "v1"


def methods(*facts: Fact) -> list[tuple[str, tuple[str, ...] | None]]:
    """The method of each request of the example, and the fact that it is about."""
    requests = render_requests(EXAMPLE, template_values(shape_input_of(*facts)))
    return [(each.method, each.delivers) for each in requests]


@pytest.mark.parametrize("environment", ["production", "prod", "live", None])
def test_the_example_has_what_counts_as_production(environment: str | None) -> None:
    fact = deployment(1, environment=environment)
    assert methods(fact) == [("PUT", (fact.id,))]


def test_the_example_leaves_out_cancelled_deployments_and_withdraws_what_is_retracted() -> None:
    withdrawn, cause = deployment(2, retracted=True), incident(3, retracted=True)
    left_out = (
        deployment(1, status="cancelled"),
        deployment(4, environment="staging", retracted=True),
        change(5, retracted=True),
    )
    assert methods(*left_out, withdrawn, cause) == [("DELETE", (withdrawn.id,)), ("DELETE", (cause.id,))]


def test_the_example_says_whether_a_deployment_succeeded() -> None:
    facts = (deployment(1), deployment(2, status="failure"))
    bodies = [json.loads(each.body) for each in render_requests(EXAMPLE, template_values(shape_input_of(*facts)))]
    assert [body["succeeded"] for body in bodies] == [True, False]


@pytest.mark.parametrize("name", CASES)
def test_the_example_takes_the_facts_of_every_golden_case(name: str) -> None:
    facts = parse_ledger(load_case(name).ledger).facts
    for request in render_requests(EXAMPLE, template_values(shape_input_of(*facts))):
        json.loads(request.body)


def test_the_page_names_the_limits_and_methods() -> None:
    assert f"{MAX_BODY_BYTES // 1_000_000} MB |" in PAGE
    assert f"| {MAX_TOTAL_BYTES // 1_000_000} MB, {MAX_REQUESTS} requests |" in PAGE
    assert ", ".join(f"`{method}`" for method in METHODS[:-1]) + f" or `{METHODS[-1]}`" in PAGE
