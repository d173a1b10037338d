"""The shape `cdevents`: which fact makes which event, what an event says, and what makes two events the same."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact, Incident
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.policy import Policy
from dora_metrics.core.shapes.cdevents import CDEVENTS
from dora_metrics.core.shapes.cloud_event import subject_id
from dora_metrics.core.shapes.shape import FactChange
from dora_metrics.core.shapes.shipped import shipped_shape
from support.cdevents import problems, requests_for
from support.facts import (
    at,
    change,
    deployment,
    deployment_id,
    deployments_of_versions,
    direct_commit,
    failed_deployment,
    incident,
    results_of,
    sha,
    vulnerability,
)


def events_of(*owed: Fact, results: Results | None = None) -> list[dict[str, Any]]:
    """The CDEvents of facts; all that is known unless the results are of more. Each is valid."""
    requests = requests_for(owed, results or results_of(*owed))
    assert [problem for request in requests for problem in problems(request.body)] == []
    return [json.loads(request.body)["data"] for request in requests]


def names_of(*owed: Fact, results: Results | None = None) -> list[str]:
    return [name_of(event) for event in events_of(*owed, results=results)]


def name_of(event: dict[str, Any]) -> str:
    return str(event["context"]["type"]).removeprefix("dev.cdevents.").removesuffix(".0.3.0")


def service_names(*owed: Fact, results: Results | None = None) -> list[str]:
    return [name.removeprefix("service.") for name in names_of(*owed, results=results) if name.startswith("service.")]


def test_it_is_a_shipped_shape_for_deployments_incidents_and_changes() -> None:
    assert shipped_shape("cdevents") is CDEVENTS
    assert CDEVENTS.events == frozenset({"deployment", "incident", "change"})


def test_each_event_is_one_request_in_structured_mode() -> None:
    (request,) = requests_for([change(4, merged_at="03-02")], results_of())
    assert request.content_type == "application/cloudevents+json"
    assert (request.method, request.path, request.delivers) == ("POST", "", ("github:pull:acme/shop#4",))
    assert request.key == json.loads(request.body)["id"]


def test_the_first_success_of_a_service_is_deployed_and_later_ones_upgraded() -> None:
    assert service_names(*deployments_of_versions("V1 V2 V3")) == ["deployed", "upgraded", "upgraded"]


def test_services_and_environments_have_a_first_success_each() -> None:
    owed = [
        deployment(1, "03-01"),
        deployment(2, "03-02", service="web"),
        deployment(3, "03-03", environment="prod-eu"),
        deployment(4, "03-04"),
    ]
    assert service_names(*owed) == ["deployed", "deployed", "deployed", "upgraded"]


def test_without_an_environment_a_deployment_changes_no_service_where_others_name_one() -> None:
    named, unnamed = deployment(1, environment="prod-eu"), deployment(2, "03-06", environment=None)
    assert service_names(unnamed, results=results_of(named, unnamed)) == []
    assert service_names(unnamed, results=results_of(unnamed, production_environments=("live",))) == ["deployed"]


def test_the_whole_history_decides_not_what_is_owed() -> None:
    known = deployments_of_versions("V1 V2")
    assert service_names(known[1], results=results_of(*known)) == ["upgraded"]


def test_a_deployment_that_was_compared_with_an_earlier_one_is_an_upgrade() -> None:
    """The run of an event reads some months only, and the earlier one may be older."""
    assert service_names(deployment(2, previous=deployment_id(1))) == ["upgraded"]
    assert service_names(deployment(2, descends_from=(deployment_id(1),))) == ["upgraded"]


def test_a_deployment_of_an_earlier_version_is_a_rollback() -> None:
    assert service_names(*deployments_of_versions("V1 V2 V1 V3")) == ["deployed", "upgraded", "rolledback", "upgraded"]


def test_the_same_version_again_is_no_rollback() -> None:
    assert service_names(*deployments_of_versions("V1 V2 V2")) == ["deployed", "upgraded", "upgraded"]


def test_without_the_rollback_rule_only_a_remediation_is_a_rollback() -> None:
    v1, v2, again = deployments_of_versions("V1 V2 V1")
    rules = frozenset({"explicit"})
    quiet = results_of(v1, v2, again, failure_rules=rules)
    assert service_names(again, results=quiet) == ["upgraded"]
    fix = replace(again, remediates=v2.id)
    assert service_names(fix, results=results_of(v1, v2, fix, failure_rules=rules)) == ["rolledback"]


def test_a_remediation_after_a_failed_attempt_is_a_rollback_if_the_version_is_an_earlier_one() -> None:
    v1 = deployment(1, "03-01", sha=sha("V1"))
    failed = failed_deployment(2, "03-02", sha=sha("V2"), reached_users=True)
    back = deployment(3, "03-03", sha=sha("V1"), remediates=failed.id)
    forward = replace(back, sha=sha("V3"))
    retried = replace(back, sha=sha("V2"))
    assert service_names(back, results=results_of(v1, failed, back)) == ["rolledback"]
    assert service_names(forward, results=results_of(v1, failed, forward)) == ["upgraded"]
    assert service_names(retried, results=results_of(v1, failed, retried)) == ["upgraded"]


def test_the_same_version_again_repairs_without_a_rollback() -> None:
    v1, v2, v3, again = deployments_of_versions("V1 V2 V3 V2")
    restart, cancelled = replace(again, remediates=v2.id), replace(v3, status="cancelled")
    assert service_names(restart, results=results_of(v1, v2, restart)) == ["upgraded"]
    assert service_names(restart, results=results_of(v1, v2, cancelled, restart)) == ["upgraded"]


@pytest.mark.parametrize("status", ["failure", "cancelled"])
def test_an_attempt_without_success_changes_no_service(status: str) -> None:
    assert names_of(deployment(1, status=status, reached_users=True)) == []


def test_outside_production_the_facts_alone_decide() -> None:
    owed = [
        deployment(1, "03-01", environment="staging"),
        deployment(2, "03-02", environment="staging", previous=deployment_id(1)),
        deployment(3, "03-03", environment="staging", status="failure"),
    ]
    events = events_of(*owed)
    assert [name_of(event) for event in events] == ["service.deployed", "service.upgraded"]
    assert {event["subject"]["content"]["environment"]["id"] for event in events} == {"staging"}


def job(number: int, workflow: str, **fields: Any) -> Deployment:  # noqa: ANN401
    """The GitHub deployment of the only job of a run."""
    address = f"https://github.com/acme/shop/actions/runs/{number}/job/1"
    return deployment(number, f"03-0{number}", run_id=str(number), workflow=workflow, url=address, **fields)


def test_the_jobs_of_an_attempt_outside_production_are_one_deployment_if_they_are_sent_together() -> None:
    owed = [matrix_job(1, environment="staging"), matrix_job(2, environment="staging")]
    requests = requests_for(owed, results_of(*owed))
    delivered = [each.delivers for each in requests if b"service.deployed" in each.body]
    assert [sorted(each) for each in delivered] == [[each.id for each in owed]]


def test_a_job_that_only_uses_an_environment_makes_no_event() -> None:
    deploy, backup = job(1, "Deploy"), job(2, "Backup", run_event="schedule")
    results = results_of(deploy, backup)
    assert results.evaluation.left_out.keys() == {backup.id}
    assert names_of(backup, results=results) == []


def test_one_deployment_that_two_sources_report_is_one_event() -> None:
    reported = job(1, "Deploy")
    whole_run = deployment(1, "03-01", id="github:run:1", source="workflow-runs")
    results = results_of(reported, whole_run)
    assert [each.id for each in results.evaluation.histories[0].deployments] == [reported.id]
    assert service_names(reported, whole_run, results=results) == ["deployed"]
    assert service_names(whole_run, results=results) == []


def test_a_fact_of_a_month_that_was_not_read_is_sent_from_the_fact_alone() -> None:
    assert service_names(deployment(1, "01-05"), results=results_of(deployment(2, "03-05"))) == ["deployed"]


def matrix_job(number: int, finished_at: str = "03-05T12:00", **fields: Any) -> Deployment:  # noqa: ANN401
    job = {"run_id": "7", "run_attempt": 1, "workflow": "Deploy", "job_name": f"job {number}", "sha": sha("V1")}
    return deployment(number, finished_at, started_at="03-05T11:00", **{**job, **fields})


def test_the_jobs_of_an_attempt_are_one_deployment_and_one_run() -> None:
    owed = [matrix_job(1), matrix_job(2, "03-05T12:10"), matrix_job(3, "03-05T12:05", environment="prod-eu")]
    requests = requests_for(owed, results_of(*owed))
    said = [(name_of(json.loads(each.body)["data"]), sorted(each.delivers)) for each in requests]
    first, second, third = (each.id for each in owed)
    assert said == [
        ("service.deployed", [third]),
        ("pipelinerun.finished", [first, second, third]),
        ("service.deployed", [first, second]),
    ]


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        (["success", "success"], "success"),
        (["success", "failure"], "failure"),
        (["success", "cancelled"], "cancel"),
        (["cancelled", "failure"], "failure"),
    ],
)
def test_a_run_has_the_outcome_of_all_its_deployments(statuses: list[str], outcome: str) -> None:
    owed = [matrix_job(number, status=status) for number, status in enumerate(statuses, 1)]
    (run,) = [event for event in events_of(owed[0], results=results_of(*owed)) if "pipeline" in name_of(event)]
    assert run["subject"]["content"] == {
        "pipelineName": "Deploy",
        "outcome": outcome,
        "uri": "https://github.com/acme/shop/actions/runs/7/attempts/1",
    }


def test_each_attempt_of_a_run_is_finished_once() -> None:
    owed = [matrix_job(1, status="failure"), matrix_job(2, "03-05T13:00", run_attempt=2, job_name="job 1")]
    runs = [event["subject"] for event in events_of(*owed) if name_of(event) == "pipelinerun.finished"]
    outcomes = {run["id"]: run["content"]["outcome"] for run in runs}
    assert outcomes == {"actions/runs/7/attempts/1": "failure", "actions/runs/7/attempts/2": "success"}


def test_a_whole_run_and_a_job_by_its_address_have_a_run_too() -> None:
    whole = deployment(1, id="github:run:7", source="workflow-runs")
    job = deployment(2, "03-06", url="https://github.com/acme/shop/actions/runs/8/job/3")
    subjects = [event["subject"]["id"] for event in events_of(whole, job)]
    assert subjects == ["actions/runs/7", "shop", "actions/runs/8", "shop"]


def test_a_deployment_says_what_runs_where() -> None:
    (event,) = events_of(deployment(1, version="v1.2.0 (β)", sha=sha("V1")))
    assert event == {
        "context": {
            "specversion": "0.5.1",
            "id": event["context"]["id"],
            "source": "https://github.com/acme/shop",
            "type": "dev.cdevents.service.deployed.0.3.0",
            "timestamp": "2024-03-05T12:00:00Z",
        },
        "subject": {
            "id": "shop",
            "source": "https://github.com/acme/shop",
            "content": {
                "environment": {"id": "production", "source": "https://github.com/acme/shop"},
                "artifactId": "pkg:github/acme/shop@v1.2.0%20%28%CE%B2%29",
            },
        },
        "customData": {
            "fact": "github:deployment:1",
            "repository": "acme/shop",
            "sha": sha("V1"),
            "version": "v1.2.0 (β)",
        },
        "customDataContentType": "application/json",
    }


def test_without_a_version_the_commit_names_what_runs() -> None:
    (by_sha,) = events_of(deployment(1, repository="Acme/Shop"))
    (unknown,) = events_of(deployment(1, sha=None))
    assert by_sha["subject"]["content"]["artifactId"] == f"pkg:github/acme/shop@{sha(deployment_id(1))}"
    assert unknown["subject"]["content"]["artifactId"] == "pkg:github/acme/shop"


def test_the_server_is_that_of_the_addresses_of_the_repository() -> None:
    own = deployment(1, url="https://git.acme.example:8443/acme/shop/actions/runs/7")
    elsewhere = deployment(2, "03-06", url="https://ci.example/acme/shop/builds/7")
    page = incident(3, "03-07", id="pagerduty:Q1", url="https://acme.pagerduty.example/incidents/Q1")
    assert {event["context"]["source"] for event in events_of(own, elsewhere, page)} == {
        "https://git.acme.example:8443/acme/shop"
    }
    assert {event["context"]["source"] for event in events_of(elsewhere, page)} == {"https://github.com/acme/shop"}


def test_the_server_is_also_known_from_deployments_that_are_not_owed() -> None:
    known = results_of(deployment(1, url="https://GIT.acme.example/acme/shop/actions/runs/7"))
    others = deployment(2, "03-06", url="https://git.other.example/acme/api/actions/runs/7")
    sources = [event["context"]["source"] for event in events_of(incident(3), others, results=known)]
    assert set(sources) == {"https://git.acme.example/acme/shop"}


def test_without_a_service_it_is_the_repository() -> None:
    (event,) = events_of(deployment(1, service=None))
    assert event["subject"]["id"] == "shop"


def test_names_that_differ_have_subjects_that_differ() -> None:
    names = ["a\nb", "a%0Ab", "a b", "日本"]
    assert [subject_id(name) for name in names] == ["a%0Ab", "a%250Ab", "a b", "日本"]


def test_a_merged_pull_request_is_a_change_and_a_direct_commit_is_none() -> None:
    (event,) = events_of(change(4, merged_at="03-02"), change(5), direct_commit(6))
    assert (name_of(event), event["subject"]["id"]) == ("change.merged", "pull/4")
    assert event["context"]["timestamp"] == "2024-03-02T00:00:00Z"
    assert event["subject"]["content"]["repository"] == {"id": "acme/shop", "source": "https://github.com/acme/shop"}


def test_an_incident_that_is_open_again_is_another_event_than_its_first_detection() -> None:
    fact = incident(5, "03-05T13:00")
    (opened,), (reopened,) = events_of(fact), events_of(replace(fact, observed_at=at("03-06")))
    assert opened["context"]["id"] != reopened["context"]["id"]
    assert opened["subject"] == reopened["subject"]


def test_each_report_of_an_incident_is_resolved_once_the_incident_is() -> None:
    ticket = incident(6, "03-05T13:05", id="jira:OPS-1")
    page = incident(5, "03-05T13:00", id="pagerduty:Q1", also=("jira:OPS-1",), resolved_at=at("03-05T14:00"))
    sent = requests_for([page], results_of(deployment(1), page, ticket))
    events = [json.loads(request.body) for request in sent]
    resolved = [(event["subject"], event["time"]) for event in events if "resolved" in event["type"]]
    assert sorted(resolved) == [("jira:OPS-1", "2024-03-05T14:00:00Z"), ("pagerduty:Q1", "2024-03-05T14:00:00Z")]
    assert {request.delivers for request in sent} == {("pagerduty:Q1",)}
    both = names_of(page, ticket, results=results_of(deployment(1), page, ticket))
    assert sorted(both) == ["incident.detected"] * 2 + ["incident.resolved"] * 2


def test_an_incident_is_detected_and_resolved_once_it_is() -> None:
    fact = incident(5, "03-05T13:00", title="Checkout is down", severity="high", deployment="v1.2.0")
    (detected,) = events_of(fact)
    again, resolved = events_of(replace(fact, resolved_at=at("03-05T14:00")))
    assert (again["subject"], name_of(again)) == (detected["subject"], name_of(detected))
    assert [name_of(each) for each in (detected, resolved)] == ["incident.detected", "incident.resolved"]
    assert resolved["context"]["timestamp"] == "2024-03-05T14:00:00Z"
    assert resolved["subject"] == detected["subject"]
    assert detected["subject"]["id"] == fact.id
    assert detected["subject"]["content"]["description"] == "Checkout is down"
    assert detected["customData"] == {
        "fact": fact.id, "repository": "acme/shop", "severity": "high", "deployment": "v1.2.0",
        "observed_at": "2024-03-05T13:00:00Z",
    }  # fmt: skip


def test_the_oldest_happening_comes_first_whatever_is_owed_first() -> None:
    owed: list[Fact] = [
        incident(1, "03-04", resolved_at="03-06"),
        deployment(2, "03-05"),
        change(3, merged_at="03-01"),
    ]
    assert names_of(*owed) == ["change.merged", "incident.detected", "service.deployed", "incident.resolved"]


def test_what_makes_no_event_is_in_no_request() -> None:
    owed: list[Fact] = [
        deployment(1, retracted=True),
        incident(2, retracted=True),
        direct_commit(3),
        vulnerability(4),
        failed_deployment(5),
    ]
    assert requests_for(owed, results_of(*owed)) == []


def test_an_event_with_another_content_has_another_id() -> None:
    fact = incident(5, title="Down")
    others = [fact, replace(fact, title="Checkout is down"), replace(fact, detected_at=at("03-05T12:59"))]
    ids = [event["context"]["id"] for each in others for event in events_of(each)]
    assert len(set(ids)) == 3


FACTS: list[Fact] = [deployment(1), change(2, merged_at="03-02"), incident(3)]


def is_owed(before: Fact | None, after: Fact) -> bool:
    return CDEVENTS.is_owed(FactChange(before, after, at("04-01"), Policy()))


@pytest.mark.parametrize("fact", FACTS)
def test_a_new_fact_is_owed_and_one_that_says_the_same_is_not(fact: Fact) -> None:
    assert is_owed(None, fact)
    assert not is_owed(fact, replace(fact, observed_at=at("03-30"), url="https://a.example/"))


@pytest.mark.parametrize("fact", FACTS)
def test_a_withdrawal_is_not_owed_and_taking_it_back_is(fact: Fact) -> None:
    withdrawn = replace(fact, retracted=True)
    assert not is_owed(fact, withdrawn)
    assert not is_owed(None, withdrawn)
    assert is_owed(withdrawn, fact)


def test_a_correction_is_owed() -> None:
    first: Incident = incident(3)
    assert is_owed(first, replace(first, resolved_at=at("03-06")))
    assert is_owed(first, replace(first, title="Checkout is down"))
    assert is_owed(deployment(1, status="failure"), deployment(1))


def test_what_never_makes_an_event_is_not_owed() -> None:
    assert not is_owed(None, vulnerability(1))
    assert not is_owed(None, direct_commit(2))
    assert not is_owed(change(3), change(3, opened_at="03-01"))
    assert is_owed(change(3), change(3, merged_at="03-02"))
