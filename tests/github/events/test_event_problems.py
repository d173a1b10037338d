"""Payloads of the wrong shape: the error names each field, without a traceback or a value."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from dora_metrics.core.facts import jsonl
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.errors import EventError
from dora_metrics.github.events.observe import observe
from support import events
from support.events import Payload, make_run, observe_event, settings

SECRET = "hunter2"

PAYLOADS: dict[str, Callable[[], Payload]] = {
    "deployment_status": events.deployment_status,
    "deployment": events.deployment_status,
    "workflow_run": events.workflow_run,
    "release": events.release,
    "push": events.push,
    "pull_request": lambda: {"action": "closed", "pull_request": PULL, "repository": events.REPOSITORY},
    "issues": lambda: events.issue(
        body=events.form(severity="high", detected_at="2026-11-20T14:05Z", deployment="v1"),
        event={"label": {"name": "incident"}, "changes": {"old_issue": events.issue()["issue"]}},
    ),
    "repository_dispatch": lambda: events.dispatch("dora-deployment", deployment=DEPLOYMENT),
}
PULL: Payload = {
    "number": 42,
    "merged": True,
    "merge_commit_sha": events.SHA,
    "title": "Add express checkout",
    "body": "Reverts #12",
    "user": {"login": "ada", "type": "User"},
    "labels": [{"name": "feature"}],
    "base": {"ref": "main"},
    "head": {"ref": "express"},
    "created_at": "2026-11-18T09:00:00Z",
    "merged_at": "2026-11-20T10:30:05Z",
    "closed_at": "2026-11-20T10:30:05Z",
}
DEPLOYMENT: Payload = {
    "id": "1",
    "environment": "eu",
    "sha": events.SHA,
    "status": "failure",
    "started_at": "2026-11-20T10:00:00Z",
    "changes": ["commit:1"],
    "reached_users": True,
    "commit_count": 3,
    "health": "passed",
}


def problems_of(event: str, payload: Payload) -> tuple[str, ...]:
    with pytest.raises(EventError) as raised:
        observe_event(event, payload)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value.problems


def test_every_wrong_field_is_named_with_what_was_expected_and_what_is_there() -> None:
    payload = events.deployment_status(created_at=SECRET, target_url=5, deployment_fields={"id": None, "sha": ["x"]})
    del payload["deployment_status"]["state"]
    assert set(problems_of("deployment_status", payload)) == {
        "deployment.id: expected a whole number, but it is null",
        "deployment.sha: expected a string, but it is a list",
        "deployment_status.state: expected a string, but it is missing",
        "deployment_status.created_at: expected a time such as 2026-11-21T12:00:00Z, but it is another string",
        "deployment_status.target_url: expected a string, but it is another number",
    }


def test_a_missing_object_and_a_wrong_item_of_a_list() -> None:
    assert problems_of("push", {"ref": "refs/heads/main", "after": events.SHA, "deleted": "no"}) == (
        "repository: expected an object, but it is missing",
        "deleted: expected true or false, but it is another string",
    )
    assert problems_of("pull_request", events.pull_request(labels=[{"name": "a"}, {"name": 1}, "b"])) == (
        "pull_request.labels.1.name: expected a string, but it is another number",
        "pull_request.labels.2: expected an object, but it is another string",
    )


def test_values_are_nobodys_business() -> None:
    payload = events.deployment_status(created_at=SECRET, updated_at=SECRET)
    assert SECRET not in "".join(problems_of("deployment_status", payload))


def test_numbers_are_no_times_and_true_is_no_number() -> None:
    assert len(problems_of("deployment_status", events.deployment_status(created_at=1763640000))) == 1
    assert len(problems_of("deployment_status", events.deployment_status(deployment_fields={"id": True}))) == 1


def _paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in inner:
        yield (*path, step)
        yield from _paths(part, (*path, step))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["\0", "\ud800", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", "x" * 10_000, "0" * 40]),
    st.lists(st.none() | st.text(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.none() | st.text(), max_size=2),
)


@st.composite
def mutated_payloads(draw: st.DrawFn) -> tuple[str, Payload]:
    event = draw(st.sampled_from(sorted(PAYLOADS)))
    payload = copy.deepcopy(PAYLOADS[event]())
    for _ in range(draw(st.integers(1, 4))):
        *path, last = draw(st.sampled_from(list(_paths(payload)) or [("action",)]))
        parent: Any = payload
        for step in path:
            parent = parent[step]
        if draw(st.booleans()):
            parent[last] = draw(JUNK)
        else:
            parent.pop(last, None) if isinstance(parent, dict) else parent.pop(last)
    return event, payload


@hypothesis.settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is not a failure
@given(mutated_payloads(), st.sampled_from([None, "production"]))
def test_mutated_payloads_give_facts_or_nothing_or_a_problem(change: tuple[str, Payload], job: str | None) -> None:
    event, payload = change
    check_outcome(*facts_and_sentences(event, payload, job))


@given(st.sampled_from(sorted(PAYLOADS)), st.dictionaries(st.text(), JUNK))
def test_any_object_at_all(event: str, payload: Payload) -> None:
    check_outcome(*facts_and_sentences(event, payload, None))


def facts_and_sentences(event: str, payload: Payload, job: str | None) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """Facts and notes of an event."""
    try:
        observed = observe(make_run(event), payload, settings(environment=job), frozenset())
    except EventError as error:
        return (), error.problems
    return observed.facts, (observed.title, *observed.notes)


def check_outcome(facts: tuple[Fact, ...], sentences: tuple[str, ...]) -> None:
    assert sentences
    assert all("\n" not in sentence for sentence in sentences)
    assert [jsonl.decode_line(jsonl.encode_fact(fact)) for fact in facts] == list(facts)


TWENTY_DIGITS = 98765432109876543210


@pytest.mark.parametrize(
    ("event", "payload", "fact_id"),
    [
        ("deployment_status", events.deployment_status(deployment_fields={"id": TWENTY_DIGITS}), "deployment"),
        ("release", events.release(id=TWENTY_DIGITS), "release"),
        ("workflow_run", events.workflow_run(id=TWENTY_DIGITS), "run"),
    ],
)
def test_a_number_of_twenty_digits_is_kept_as_it_is(event: str, payload: Payload, fact_id: str) -> None:
    (fact,) = observe_event(event, payload).facts
    assert fact.id == f"github:{fact_id}:{TWENTY_DIGITS}"
    decoded = jsonl.decode_line(jsonl.canonical_json(fact))
    assert isinstance(decoded, Deployment)
    assert decoded == fact


@pytest.mark.parametrize("event", ["deployment_status", "release", "workflow_run"])
def test_a_number_that_no_id_holds_is_named(event: str) -> None:
    field = event.removesuffix("_status")
    payload = PAYLOADS[event]()
    payload[field]["id"] = 10**200
    assert problems_of(event, payload) == (f"{field}.id: expected a smaller number, but it is another number",)


def test_what_a_job_deployed_is_observed_beside_an_event_that_cannot_be_read() -> None:
    observation = observe_event("release", {"action": "published"}, environment="production")
    (fact,) = observation.facts
    assert isinstance(fact, Deployment)
    assert fact.environment == "production"
    assert any(problem.startswith("release: ") for problem in observation.problems)
