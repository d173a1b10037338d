"""Events that other systems send by repository_dispatch, and the examples of docs/events.md."""

import json
import re

import pytest

from dora_metrics.core.facts import jsonl
from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.errors import EventError
from dora_metrics.github.events.observe import observe
from dora_metrics.github.events.repository_dispatch import DispatchedDeployment, DispatchedIncident
from support.events import NOW, SHA, Payload, at, deployment, dispatch, incident, make_run, observe_event, settings
from support.paths import ROOT

DOCS = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)]


def dispatched_deployment(**fields: object) -> Deployment:
    return deployment(observe_event("repository_dispatch", dispatch("dora-deployment", **fields)))


def dispatched_incident(**fields: object) -> Incident:
    return incident(observe_event("repository_dispatch", dispatch("dora-incident", **fields)))


def problems_of(action: str, **fields: object) -> tuple[str, ...]:
    with pytest.raises(EventError) as raised:
        observe_event("repository_dispatch", dispatch(action, **fields))
    return raised.value.problems


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["client_payload"])[:40])
def test_documented_payloads_are_recorded_without_a_remark(example: Payload) -> None:
    observed = observe_event(
        "repository_dispatch", {"action": example["event_type"], "client_payload": example["client_payload"]}
    )
    (fact,) = observed.facts
    assert jsonl.decode_line(jsonl.encode_fact(fact)) == fact
    assert observed.notes == ()


def test_there_are_documented_payloads_of_both_types() -> None:
    assert {example["event_type"] for example in EXAMPLES} == {"dora-deployment", "dora-incident"}


@pytest.mark.parametrize("model", [DispatchedDeployment, DispatchedIncident])
def test_every_field_is_documented(model: type[DispatchedDeployment | DispatchedIncident]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in DOCS] == []


def test_a_deployment_with_defaults() -> None:
    fact = dispatched_deployment(id="d-1", version="v2")
    assert (fact.id, fact.status, fact.environment, fact.source) == (
        "dispatch:d-1",
        "success",
        "production",
        "dispatch",
    )
    assert fact.finished_at == fact.observed_at == NOW


def test_a_deployment_with_everything() -> None:
    fact = dispatched_deployment(
        id="argo:shop/7",
        environment="eu",
        service="till",
        sha=SHA.upper(),
        ref="refs/tags/v2",
        status="failure",
        started_at="2026-11-20T10:00:00+01:00",
        finished_at="2026-11-20T10:00:00Z",
        changes=[f"commit:{SHA}"],
        remediates="argo:shop/5",
        reached_users=True,
        health="failed",
        url="file:///etc/passwd",
        source="argo",
    )
    assert (fact.id, fact.environment, fact.service, fact.source) == ("argo:shop/7", "eu", "till", "argo")
    assert (fact.sha, fact.ref, fact.status, fact.health) == (SHA, "v2", "failure", "failed")
    assert (fact.started_at, fact.finished_at, fact.observed_at) == (
        at("20T09:00"),
        at("20T10:00"),
        at("20T10:00"),
    )
    assert (fact.changes, fact.remediates, fact.reached_users, fact.url) == (
        (f"commit:{SHA}",),
        "argo:shop/5",
        True,
        None,
    )


def test_fields_may_stand_flat_or_under_the_name_of_the_thing() -> None:
    assert dispatched_deployment(deployment={"id": "1"}) == dispatched_deployment(id="1")
    assert dispatched_incident(incident={"id": "1", "deployment": "v2"}) == dispatched_incident(id="1", deployment="v2")


def test_without_an_id_the_content_identifies_and_never_the_run() -> None:
    payload = dispatch("dora-deployment", sha=SHA)
    first = deployment(observe_event("repository_dispatch", payload))
    again = observe(make_run("repository_dispatch", run_id="100", now=at("23T00:00")), payload, settings(), frozenset())
    assert first.id.startswith("dispatch:")
    assert deployment(again).id == first.id
    others = [
        dispatched_deployment(sha="b" * 40),
        dispatched_deployment(sha=SHA, environment="eu"),
        dispatched_deployment(sha=SHA, status="failure"),
    ]
    assert len({first.id, *(fact.id for fact in others)}) == 4


def test_an_incident_that_ends_is_the_same_incident() -> None:
    began = {"title": "Checkout answers 500", "detected_at": "2026-11-20T10:00:00Z"}
    opened, ended = (
        dispatched_incident(**began),
        dispatched_incident(**began, resolved_at="2026-11-20T11:00:00Z", severity="high"),
    )
    assert opened.id == ended.id
    assert (opened.observed_at, ended.observed_at) == (at("20T10:00"), at("20T11:00"))


def test_the_same_incident_elsewhere_is_one_name_or_several() -> None:
    page = "https://acme.pagerduty.com/incidents/Q1ABC"
    assert dispatched_incident(id="1").also == ()
    assert dispatched_incident(id="1", also=page).also == (page,)
    assert dispatched_incident(id="1", also=[page, " #12 "]).also == (page, "#12")
    assert problems_of("dora-incident", id="1", also=["#12", "a b"]) == (
        (
            "client_payload.also.1: expected an id, printable, without white space, at most 300 characters, "
            "but it is another string"
        ),
    )
    assert problems_of("dora-incident", id="1", also=7) == (
        "client_payload.also: expected a list, but it is another number",
    )


def test_observed_at_may_be_said_to_correct_an_earlier_report() -> None:
    fact = dispatched_incident(
        id="1", detected_at="2026-11-20T10:00:00Z", observed_at="2026-11-20T12:00:00Z", retracted=True
    )
    assert (fact.observed_at, fact.retracted) == (at("20T12:00"), True)


def test_what_has_no_time_of_its_own_has_that_of_its_report() -> None:
    observed_at = "2026-11-20T12:00:00Z"
    assert dispatched_incident(id="1", observed_at=observed_at).detected_at == at("20T12:00")
    assert dispatched_deployment(id="1", observed_at=observed_at).finished_at == at("20T12:00")


def test_the_case_of_letters_makes_no_other_issue() -> None:
    assert dispatched_incident(id="github:issue:ACME/Shop#9", retracted=True).id == "github:issue:acme/shop#9"
    assert dispatched_incident(id="pagerduty:ACME/Shop#9", retracted=True).id == "pagerduty:ACME/Shop#9"


def test_wrong_types_are_named_with_their_place() -> None:
    assert problems_of("dora-deployment", id=7, sha="abc", status="ok", changes="x", commit_count=-1) == (
        "client_payload.id: expected a string, but it is another number",
        "client_payload.sha: expected a full commit sha, 40 characters of 0-9a-f, but it is another string",
        "client_payload.status: expected one of success, failure, cancelled, but it is another string",
        "client_payload.changes: expected a list, but it is another string",
        "client_payload.commit_count: expected a whole number of 0 or more, but it is another number",
    )
    assert problems_of("dora-incident", incident={"id": "1", "detected_at": "noon"}) == (
        ("client_payload.incident.detected_at: expected a time such as 2026-11-21T12:00:00Z, but it is another string"),
    )


def test_payloads_that_say_too_little() -> None:
    assert problems_of("dora-deployment") == (
        ("client_payload.id: expected an id, or one of sha, ref, version, started_at, finished_at to identify it"),
    )
    assert problems_of("dora-incident", id="1", resolved_at="2026-11-20T11:00:00Z") == (
        "client_payload.detected_at: expected a time, because resolved_at is set; it is missing",
    )
    assert problems_of("dora-deployment", deployment="v1") == (
        "client_payload.deployment: expected an object with the deployment's fields",
    )


NO_NAMES = [" ", "a b", "a\nb", "a\u00a0b", "a\u200bb", "a\x1bb", "x" * 301]


@pytest.mark.parametrize("bad", [*NO_NAMES, "x" * 292, "#12:x", ":x", "x:"])
@pytest.mark.parametrize("kind", ["dora-deployment", "dora-incident"])
def test_an_id_is_a_name_or_has_its_source_before_it(kind: str, bad: str) -> None:
    assert problems_of(kind, id=bad, detected_at="2026-11-20T10:00:00Z") == (
        (
            "client_payload.id: expected a name or `source:name`, printable, without white space, "
            "at most 300 characters, but it is another string"
        ),
    )


@pytest.mark.parametrize("bad", NO_NAMES)
def test_what_a_deployment_delivered_is_named_by_ids(bad: str) -> None:
    assert problems_of("dora-deployment", id="1", changes=["github:pull:acme/shop#1", bad]) == (
        (
            "client_payload.changes.1: expected an id, printable, without white space, at most 300 characters, "
            "but it is another string"
        ),
    )


def test_empty_texts_are_no_values() -> None:
    assert dispatched_deployment(id="1", sha="", status="", environment="", finished_at="") == dispatched_deployment(
        id="1"
    )


def test_misspelt_fields_are_told() -> None:
    observed = observe_event("repository_dispatch", dispatch("dora-deployment", id="1", enviroment="eu"))
    assert observed.notes == ("Unknown fields are ignored: client_payload.enviroment",)


def test_other_types_are_nothing_to_record() -> None:
    assert observe_event("repository_dispatch", dispatch("on-demand-test")).facts == ()


def test_deployment_source_does_not_ask_about_dispatches() -> None:
    payload = dispatch("dora-deployment", id="1", source="pushes")
    assert observe_event("repository_dispatch", payload, "deployments", deployment_source="none").facts


def test_service_of_the_payload_before_that_of_the_settings() -> None:
    payload = dispatch("dora-deployment", id="1", service="till")
    assert deployment(observe_event("repository_dispatch", payload, service="shop")).service == "till"
