"""Every event is valid, whatever the facts: golden cases, the sample, random and hostile ones.

The check finds planted faults.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.jsonl import decode_lines
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident
from dora_metrics.core.policy import Policy
from dora_metrics.core.shapes.cdevents import CDEVENTS
from dora_metrics.core.shapes.shape import FactChange
from support.cdevents import PUBLISHED, digest, problems, requests_for, schema_of
from support.facts import at, change, deployment, incident, results_of
from support.golden_cases import CASES, load_case
from support.hostile_text import HOSTILE
from support.property_cases import cases
from support.strategies import fact_lists

KINDS = (Deployment, Change, Incident)


@pytest.mark.parametrize("happening", PUBLISHED)
def test_the_schema_is_the_published_one(happening: str) -> None:
    assert digest(schema_of(happening)) == PUBLISHED[happening]


def facts_of(case: str) -> list[Fact]:
    lines = b"".join(content for path, content in load_case(case).ledger.items() if path.startswith("facts/"))
    facts, bad_lines = decode_lines(lines)
    assert not bad_lines
    return [fact for fact in facts if isinstance(fact, KINDS)]


@pytest.mark.parametrize("case", CASES)
def test_the_events_of_golden_cases_are_valid(case: str) -> None:
    """The case `demo` is the sample."""
    facts = facts_of(case)
    bodies = [request.body for request in requests_for(facts, results_of(*facts))]
    assert [problem for body in bodies for problem in problems(body)] == []
    assert bool(bodies) == bool(facts)


@settings(max_examples=cases(50))
@given(fact_lists(), st.integers(0, 25))
def test_the_events_of_any_facts_are_valid(facts: list[Fact], owed_count: int) -> None:
    owed = facts[:owed_count]
    requests = requests_for(owed, results_of(*facts))
    assert [problem for request in requests for problem in problems(request.body)] == []
    assert {fact_id for request in requests for fact_id in request.delivers} <= {fact.id for fact in owed}
    assert all(request.delivers for request in requests)
    times = [json.loads(request.body)["time"] for request in requests]
    assert times == sorted(times, key=at)


@settings(max_examples=cases(50))
@given(fact_lists(), st.randoms(use_true_random=False))
def test_the_same_facts_make_the_same_bytes_in_any_order(facts: list[Fact], random: Any) -> None:  # noqa: ANN401
    results, shuffled = results_of(*facts), random.sample(facts, len(facts))
    bodies = [{request.body for request in requests_for(owed, results)} for owed in (facts, shuffled)]
    assert bodies[0] == bodies[1]
    keys = [request.key for request in requests_for(facts, results)]
    assert len(set(keys)) == len(keys)


@settings(max_examples=cases(100))
@given(fact_lists(), fact_lists())
def test_a_fact_that_is_not_owed_again_says_what_it_said(before: list[Fact], after: list[Fact]) -> None:
    """Apart from the judgement which deployment came first, which is made once."""
    known = {fact.id: fact for fact in before}
    for fact in after:
        earlier = known.get(fact.id)
        if earlier and not CDEVENTS.is_owed(FactChange(earlier, fact, at("04-01"), Policy())):
            assert said_alone(fact) <= said_alone(earlier)


def said_alone(fact: Fact) -> set[bytes]:
    if isinstance(fact, Deployment):
        fact = replace(fact, environment="staging", url=None, previous=None, descends_from=None)
    return {request.body for request in requests_for([replace(fact, url=None)], results_of())}


HOSTILE_VALUES = [
    *HOSTILE,
    "x" * 300,
    "\x00",
    "\x85\n",
    "%0A",
    " ",
    "é\u0301",
    "日本語",
    "٣٤",
    "\U0001fffe",
    "\ufdd0",
    "a:b@c?d#e/../f",
]


@pytest.mark.parametrize("text", HOSTILE_VALUES)
def test_hostile_values_make_valid_events(text: str) -> None:
    assert_events_are_valid(text)


@settings(max_examples=cases(50))
@given(st.text(min_size=1, max_size=300))
def test_any_text_makes_valid_events(text: str) -> None:
    assert_events_are_valid(text)


def assert_events_are_valid(text: str) -> None:
    owed: list[Fact] = [
        deployment(1, service=text, environment=text, version=text, run_id=text, workflow=text, url=text),
        deployment(2, service=text, version=text, run_id=text, run_attempt=3, url=text),
        deployment(3, repository=f"acme/{text}x", service="", environment="production", sha=None, run_id="7"),
        change(4, merged_at="03-02", repository=f"acme/{text}x", title=text, branch=text, url=text),
        incident(5, service=text, environment=text, title=text, deployment=text, resolved_at="03-06", url=text),
        incident(6, id="pagerduty:" + "é" * 290, repository=f"acme/{text}x"),
    ]
    requests = requests_for(owed, results_of(*owed))
    assert [problem for request in requests for problem in problems(request.body)] == []
    assert {fact_id for request in requests for fact_id in request.delivers} == {fact.id for fact in owed}
    attributes = [value for request in requests for key, value in json.loads(request.body).items() if key != "data"]
    assert not [value for value in attributes if any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in value)]


def _set(*path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def fault(event: dict[str, Any]) -> None:
        for name in path[:-1]:
            event = event[name]
        event[path[-1]] = value

    return fault


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def fault(event: dict[str, Any]) -> None:
        for name in path[:-1]:
            event = event[name]
        del event[path[-1]]

    return fault


FAULTS = {
    "CloudEvents": [
        _drop("source"),
        _drop("type"),
        _set("subject", value=""),
        _set("time", value="yesterday"),
        _set("Facts", value="x"),
    ],
    "CDEvents": [
        _drop("data", "context", "id"),
        _drop("data", "subject", "id"),
        _drop("data", "subject", "content", "artifactId"),
        _set("data", "context", "source", value="a b"),
        _set("data", "context", "timestamp", value="2024-03-05 12:00"),
        _set("data", "context", "type", value="dev.cdevents.service.deployed.0.2.0"),
        _set("data", "subject", "type", value="service"),
        _set("data", "subject", "content", "environment", "id", value=""),
        _set("data", "customData", value=["fact"]),
        _set("data", "facts", value=[]),
    ],
    "binding": [
        _set("id", value="another"),
        _drop("id"),
        _drop("specversion"),
        _set("subject", value="another"),
        _set("time", value="2024-03-05T12:00:01Z"),
        _set("datacontenttype", value="text/json"),
        _set("extension", value="x"),
    ],
    "purl": [
        _set("data", "subject", "content", "artifactId", value="acme/shop@v1"),
        _set("data", "subject", "content", "artifactId", value="pkg:github/Acme/Shop@v 1"),
    ],
}


@pytest.mark.parametrize(
    ("finder", "fault"), [(finder, fault) for finder, faults in FAULTS.items() for fault in faults]
)
def test_a_planted_fault_is_found(finder: str, fault: Callable[[dict[str, Any]], None]) -> None:
    (request,) = requests_for([deployment(1)], results_of(deployment(1)))
    event = json.loads(request.body)
    fault(event)
    assert [problem.partition(":")[0] for problem in problems(json.dumps(event).encode())][:1] == [finder]
