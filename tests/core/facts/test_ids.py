"""Ids of facts: what they may be, and what names become in them (docs/architecture.md, "Facts")."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.jsonl import BadLine, canonical_json, decode_lines
from support.facts import deployment

INVISIBLE = [
    " ",
    "\t",
    "\n",
    "\r",
    "\x00",
    "\x07",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\u00a0",
    "\u00ad",
    "\u200b",
    "\u202e",
]
INVISIBLE += [
    "\u2028",
    "\u2066",
    "\u3000",
    "\ufeff",
    "\u061c",
    "\u034f",
    "\u115f",
    "\u17b4",
    "\u180e",
    "\u2800",
    "\u3164",
    "\uffa0",
]
INVISIBLE += ["\uffff", "\U000e0041"]

names = st.text(st.one_of(st.sampled_from("a%:/#@ "), st.sampled_from(INVISIBLE), st.characters()), max_size=400)


@pytest.mark.parametrize(
    "valid",
    [
        "github:deployment:1",
        "github:run:9:production:job:12:shop:attempt:2",
        "github:pull:acme/shop#12",
        "commit:" + "a" * 40,
        "pagerduty:Q1",
        "alertmanager:0f3e:2026-11-21T12:00:00Z",
        "flux:apps/shop:main@sha1:0f3e",
        "git:tag:v1.0-\u00fc",
        "x:" + "y" * 298,
    ],
)
def test_an_id_is_a_source_and_a_name(valid: str) -> None:
    assert ids.is_valid(valid)


@pytest.mark.parametrize(
    "invalid", ["", "x", ":x", "x:", "#12", "@team:x", "<img>:x", "x y:z", "x:" + "y" * 299, "-->:x", "\u00fc:x"]
)
def test_anything_else_is_none(invalid: str) -> None:
    assert not ids.is_valid(invalid)


@pytest.mark.parametrize("character", INVISIBLE)
@pytest.mark.parametrize("place", ["{}x:y", "x{}:y", "x:{}y", "x:y{}z", "x:y{}"])
def test_nothing_invisible_is_in_an_id(place: str, character: str) -> None:
    assert not ids.is_valid(place.format(character))


def test_an_id_with_the_spaces_of_an_environment_is_read() -> None:
    """As ids of jobs were written before."""
    assert ids.is_valid("github:run:9:production eu west:till shop")


@pytest.mark.parametrize("bad", ["#12", "x:y z", "x:" + "y" * 299])
def test_a_line_with_another_id_is_no_fact(bad: str) -> None:
    line = canonical_json({**to_builtins(deployment(1)), "id": bad})
    problem = "id: expected `source:name`, printable, without white space, at most 300 characters"
    assert decode_lines(line + b"\n") == ([], [BadLine(1, problem, line)])


@pytest.mark.parametrize("bad", ["", "x y", "\u202ex"])
def test_a_line_that_names_others_by_no_ids_is_no_fact(bad: str) -> None:
    line = canonical_json({**to_builtins(deployment(1)), "changes": [bad]})
    (problem,) = (bad_line.problem for bad_line in decode_lines(line + b"\n")[1])
    assert re.match(r"changes\S*: expected ids, printable, without white space, at most 300 characters", problem)


@given(names, names, names)
def test_every_name_makes_a_valid_id(environment: str, service: str, part: str) -> None:
    job = ids.deploy_job("9", environment or "production", service, part and f"part:{part}-0")
    assert ids.is_valid(job), job
    assert ids.is_valid(ids.occurrence(job, ids.attempt_name(2), service))
    assert ids.DeploymentId.parse(job) == ("job", "9", True)
    assert ids.is_valid(ids.push("a" * 40, service))
    assert ids.is_valid(ids.release(2**63, service))
    assert not environment or ids.is_valid(ids.git_tag(environment))


@given(names.filter(bool), names.filter(bool))
def test_two_environments_have_two_ids(one: str, other: str) -> None:
    same = ids.deploy_job("9", one, None) == ids.deploy_job("9", other, None)
    assert same == (one == other)


def test_usual_names_stay_as_they_are() -> None:
    assert ids.deploy_job("9", "prod-eu/1", "till", "job:4") == "github:run:9:prod-eu/1:job:4:till"
    assert ids.deploy_job("9", "prod eu", "100%") == "github:run:9:prod%20eu:100%25"
    assert ids.git_tag("shop@v1.0+b") == "git:tag:shop@v1.0+b"


def test_an_emoji_keeps_the_selector_that_belongs_to_it() -> None:
    assert ids.is_valid("github:run:9:\u2699\ufe0f")
