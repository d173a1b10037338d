"""The shape `datadog`, against a Datadog that checks what its reference says (fakes/datadog.py)."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from datetime import datetime

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact, Repository
from dora_metrics.core.linking.former_names import RepositoryNames
from dora_metrics.core.linking.link import has_reached_users
from dora_metrics.core.policy import Policy
from dora_metrics.core.shapes.datadog import DATADOG, event_id
from dora_metrics.core.shapes.shape import FactChange, ShapedRequest, ShapeInput
from dora_metrics.core.shapes.shipped import shipped_shape
from fakes.datadog import API_KEY, TOKEN, FakeDatadog, too_many_requests
from support import strategies
from support.facts import at, change, deployment, failed_deployment, incident, sha
from support.golden_cases import CASES
from support.property_cases import cases
from support.servers import listening
from support.shaped import golden_input, shape_input

NOW = at("04-01")
SHOP = ("shop", "production")


@pytest.fixture
def datadog() -> Iterator[FakeDatadog]:
    with listening(FakeDatadog()) as fake:
        yield fake


def statuses(fake: FakeDatadog, sent: Iterable[ShapedRequest], token: str = TOKEN) -> list[int]:
    """The status of the answer to each request, in order."""
    answers = []
    for request in sent:
        headers = {**DATADOG.token_headers.of(token), "Content-Type": request.content_type}
        answer = requests.request(
            request.method, f"{fake.url}{request.path}", data=request.body, headers=headers, timeout=9
        )
        answers.append(answer.status_code)
    return answers


def deliver(fake: FakeDatadog, inputs: ShapeInput) -> None:
    """Send everything; each request must be accepted."""
    sent = DATADOG.requests(inputs)
    assert set(statuses(fake, sent)) <= {200, 202}


def methods_of(sent: Iterable[ShapedRequest]) -> list[str]:
    return [request.method for request in sent]


def owed(*facts: Fact, known: Iterable[Fact] = (), now: datetime = NOW, **policy: object) -> list[ShapedRequest]:
    """The requests for facts that are owed, if others are known as well."""
    return list(DATADOG.requests(shape_input([*known, *facts], now, facts, **policy)))


def verdict_of(fake: FakeDatadog, fact: Deployment) -> tuple[bool | None, str | None]:
    """Whether a deployment is marked as failed, and how it was remediated."""
    stored = fake.deployments[event_id(fact)]
    return stored.is_failure, stored.remediation["type"] if stored.remediation else None


def test_a_deployment_is_sent_with_its_times_service_version_and_commit(datadog: FakeDatadog) -> None:
    url = "https://github.com/acme/shop/deployments/1"
    fact = deployment(1, "03-05T12:00", started_at="03-05T11:50", version="v1", url=url)
    deliver(datadog, shape_input([fact], NOW, teams={"checkout": ["acme/*"]}))
    (stored,) = datadog.deployments.values()
    assert stored.attributes == {
        "id": event_id(fact),
        "service": "shop",
        "env": "production",
        "started_at": int(at("03-05T11:50").timestamp() * 1000),
        "finished_at": int(at("03-05T12:00").timestamp() * 1000),
        "version": "v1",
        "team": "checkout",
        "git": {"commit_sha": fact.sha, "repository_url": "https://github.com/acme/shop"},
        "custom_tags": ["repository:acme/shop"],
    }
    assert stored.is_failure is False


def test_a_deployment_without_start_sha_and_address_says_what_is_known(datadog: FakeDatadog) -> None:
    deliver(datadog, shape_input([deployment(1, sha=None, service="", environment=None)], NOW))
    (stored,) = datadog.deployments.values()
    assert stored.attributes["started_at"] == stored.attributes["finished_at"]
    assert "git" not in stored.attributes
    assert (stored.attributes["service"], stored.attributes["env"]) == SHOP


def test_the_address_of_a_repository_is_known_from_another_deployment(datadog: FakeDatadog) -> None:
    first = deployment(1, url="https://ghe.example/acme/shop/deployments/1")
    second = deployment(2, "03-06", url="https://argocd.example/applications/shop")
    deliver(datadog, shape_input([first, second], NOW))
    urls = {stored.attributes["git"]["repository_url"] for stored in datadog.deployments.values()}
    assert urls == {"https://ghe.example/acme/shop"}


@pytest.mark.parametrize(
    "url",
    [
        "https://proxy.example/git/acme/shop/deployments/1",
        "https://ci.example/acme/shop/12",
        "javascript:/acme/shop/",
        "/acme/shop",
    ],
)
def test_an_address_that_is_not_of_a_repository_is_not_sent(url: str, datadog: FakeDatadog) -> None:
    deliver(datadog, shape_input([deployment(1, url=url)], NOW))
    (stored,) = datadog.deployments.values()
    assert "git" not in stored.attributes


def test_a_start_after_the_end_is_the_end(datadog: FakeDatadog) -> None:
    deliver(datadog, shape_input([deployment(1, "03-05T12:00", started_at="03-05T13:00")], NOW))
    (stored,) = datadog.deployments.values()
    assert stored.attributes["started_at"] == stored.attributes["finished_at"]


def test_what_was_left_out_is_not_sent_also_if_it_is_older_than_what_counts() -> None:
    url = "https://github.com/acme/shop/actions/runs/1/job/1"
    preview = deployment(1, "03-01", url=url, workflow="Deploy", run_id="1", run_event="pull_request")
    assert owed(preview, known=[deployment(2, "03-05")]) == []


def test_a_duplicate_of_a_deployment_is_not_sent() -> None:
    shipped = deployment(1, "03-05T12:09", started_at="03-05T12:05", sha=sha("a"))
    run = deployment(
        2, "03-05T12:10", started_at="03-05T12:00", sha=sha("a"), id="github:run:7", source="workflow-runs"
    )
    first = deployment(3, "03-01")
    assert owed(run, known=[first, shipped]) == []
    assert methods_of(owed(shipped, known=[first, run])) == ["POST", "PATCH"]


def test_staging_is_sent_without_a_verdict(datadog: FakeDatadog) -> None:
    known, staging = deployment(1), deployment(2, environment="staging")
    sent = owed(staging, known=[known])
    assert methods_of(sent) == ["POST"]
    assert statuses(datadog, sent) == [200]
    assert datadog.deployments[event_id(staging)].is_failure is None


def test_a_deployment_that_counts_nowhere_since_others_name_an_environment_is_not_sent() -> None:
    named, unnamed = deployment(1, environment="prod-eu"), deployment(2, "03-06", environment=None)
    assert owed(unnamed, known=[named]) == []
    assert methods_of(owed(unnamed, production_environments=("live",))) == ["POST", "PATCH"]


def test_a_rollback_marks_the_deployment_that_it_undid(datadog: FakeDatadog) -> None:
    good, bad = deployment(1, "03-05", sha=sha("a")), deployment(2, "03-06", sha=sha("b"))
    back = deployment(3, "03-06T01:00", sha=sha("a"))
    deliver(datadog, shape_input([good, bad, back], NOW))
    assert [verdict_of(datadog, fact) for fact in (good, bad, back)] == [
        (False, None),
        (True, "rollback"),
        (False, None),
    ]
    assert datadog.recovery_seconds(*SHOP) == 3600
    assert datadog.change_failure_rate(*SHOP, with_rollbacks=True) == 1 / 3
    assert datadog.change_failure_rate(*SHOP, with_rollbacks=False) == 1 / 2


def test_a_remediation_that_is_earlier_than_the_failure_has_no_recovery_time(datadog: FakeDatadog) -> None:
    fix = deployment(1, "03-05", remediates="github:deployment:2")
    bad = deployment(2, "03-06")
    deliver(datadog, shape_input([fix, bad], NOW))
    assert verdict_of(datadog, bad) == (True, None)


def test_a_fix_is_a_rollforward_and_marks_what_it_remediates_when_it_is_owed_alone(datadog: FakeDatadog) -> None:
    bad = deployment(1, "03-05")
    fix = deployment(2, "03-06", remediates=bad.id)
    sent = owed(fix, known=[bad])
    assert methods_of(sent) == ["POST", "PATCH", "POST", "PATCH"]
    assert {each for request in sent for each in request.delivers} == {fix.id}
    assert set(statuses(datadog, sent)) == {200, 202}
    assert verdict_of(datadog, bad) == (True, "rollforward")


def test_a_failure_that_is_owed_alone_sends_its_remediation_first(datadog: FakeDatadog) -> None:
    bad = deployment(1, "03-05")
    fix = deployment(2, "03-06", remediates=bad.id)
    sent = owed(bad, known=[fix])
    assert methods_of(sent) == ["POST", "POST", "PATCH"]
    assert all(request.delivers == (bad.id,) for request in sent)
    assert set(statuses(datadog, sent)) == {200, 202}
    assert verdict_of(datadog, bad) == (True, "rollforward")


def test_each_deployment_is_followed_by_the_verdicts_that_name_no_later_one() -> None:
    bad, other = deployment(1, "03-05"), deployment(2, "03-06", service="web")
    fix = deployment(3, "03-07", remediates=bad.id)
    assert methods_of(owed(bad, other, fix)) == ["POST", "POST", "PATCH", "PATCH", "POST", "PATCH"]


def test_the_same_commit_once_more_is_no_rollback(datadog: FakeDatadog) -> None:
    sick = deployment(1, "03-05", sha=sha("a"), health="failed")
    again = deployment(2, "03-06", sha=sha("a"))
    deliver(datadog, shape_input([sick, again], NOW))
    assert verdict_of(datadog, sick) == (True, "rollforward")


def test_a_failure_that_an_incident_ended_has_no_remediation(datadog: FakeDatadog) -> None:
    bad = deployment(1, "03-05")
    outage = incident(1, "03-05T01:00", resolved_at="03-05T02:00", deployment=bad.id)
    deliver(datadog, shape_input([bad, outage], NOW, [bad]))
    assert verdict_of(datadog, bad) == (True, None)


def test_a_mark_is_taken_back_when_the_verdict_changes(datadog: FakeDatadog) -> None:
    bad = deployment(1, "03-05")
    outage = incident(1, "03-05T01:00", deployment=bad.id)
    deliver(datadog, shape_input([bad, outage], NOW, [bad]))
    assert verdict_of(datadog, bad) == (True, None)
    deliver(datadog, shape_input([bad, replace(outage, retracted=True)], NOW, [bad]))
    assert verdict_of(datadog, bad) == (False, None)
    assert DATADOG.owes_judgements


def test_a_failure_that_reached_users_is_a_deployment_that_failed(datadog: FakeDatadog) -> None:
    half = failed_deployment(1, reached_users=True)
    deliver(datadog, shape_input([half], NOW))
    assert verdict_of(datadog, half) == (True, None)


@pytest.mark.parametrize("status", ["failure", "cancelled"])
def test_what_did_not_reach_users_is_not_owed_and_is_deleted_if_it_was_sent(status: str, datadog: FakeDatadog) -> None:
    before = deployment(1)
    after = replace(before, status=status)
    assert not DATADOG.is_owed(FactChange(None, after, NOW, Policy()))
    assert DATADOG.is_owed(FactChange(before, after, NOW, Policy()))
    deliver(datadog, shape_input([before], NOW))
    deliver(datadog, shape_input([after], NOW))
    assert datadog.deployments == {}


def test_a_run_that_failed_before_users_is_not_sent_where_it_counts_as_failed(datadog: FakeDatadog) -> None:
    failed, fixed = failed_deployment(1, "03-05"), deployment(2, "03-06")
    inputs = shape_input([failed, fixed], NOW, [fixed], **{"count-failed-runs": True})
    assert failed.id in inputs.failures
    deliver(datadog, inputs)
    assert list(datadog.deployments) == [event_id(fixed)]


def test_a_retracted_deployment_is_deleted(datadog: FakeDatadog) -> None:
    fact = deployment(1)
    deliver(datadog, shape_input([fact], NOW))
    gone = replace(fact, retracted=True)
    assert DATADOG.is_owed(FactChange(fact, gone, NOW, Policy()))
    assert not DATADOG.is_owed(FactChange(None, gone, NOW, Policy()))
    deliver(datadog, shape_input([gone], NOW))
    assert datadog.deployments == {}


def test_changes_are_not_owed() -> None:
    assert not DATADOG.is_owed(FactChange(None, change(1), NOW, Policy()))


def parts(*starts: str) -> list[Deployment]:
    """The jobs of one attempt, in this order of arrival."""
    return [
        deployment(
            number,
            "03-05T12:00",
            run_id="9",
            run_attempt=1,
            job_name=f"job {number}",
            started_at=f"03-05T{start}",
            sha=sha("a"),
        )
        for number, start in enumerate(starts, 1)
    ]


def test_the_jobs_of_one_attempt_are_one_deployment(datadog: FakeDatadog) -> None:
    jobs = parts("11:00", "11:10", "11:20")
    sent = owed(*jobs)
    assert methods_of(sent) == ["POST", "PATCH"]
    assert all(set(request.delivers) == {job.id for job in jobs} for request in sent)
    for known in range(1, 4):
        assert set(statuses(datadog, owed(jobs[known - 1], known=jobs[: known - 1]))) <= {200, 202}
    assert list(datadog.deployments) == [event_id(jobs[0])]


def test_an_attempt_whose_first_job_is_recorded_last_stays_one_deployment(datadog: FakeDatadog) -> None:
    second, first = parts("11:10", "11:00")
    deliver(datadog, shape_input([second], NOW))
    deliver(datadog, shape_input([second, first], NOW, [first]))
    assert list(datadog.deployments) == [event_id(first)]


def test_the_jobs_of_one_attempt_outside_production_are_one_deployment(datadog: FakeDatadog) -> None:
    jobs = [replace(job, environment="staging") for job in parts("11:00", "11:10")]
    deliver(datadog, shape_input([deployment(7, "03-01"), *jobs], NOW, jobs))
    assert list(datadog.deployments) == [event_id(jobs[0])]


def test_a_deployment_of_a_month_that_was_not_read_is_sent_without_a_verdict(datadog: FakeDatadog) -> None:
    old, new = deployment(1, "01-05"), deployment(2, "03-05")
    (request,) = DATADOG.requests(shape_input([new], NOW, [old]))
    assert (request.method, request.delivers) == ("POST", (old.id,))
    assert statuses(datadog, [request]) == [200]


def test_incidents_are_sent_once_and_deleted_when_retracted(datadog: FakeDatadog) -> None:
    outage = incident(1, "03-05T13:00", title="<!channel> down", severity="high", resolved_at="03-05T14:00")
    page = incident(2, "03-05T13:01", id="pagerduty:1", also=(outage.id,))
    deliver(datadog, shape_input([deployment(1), outage, page], NOW, [outage, page]))
    (stored,) = datadog.incidents.values()
    assert (stored["services"], stored["env"], stored["severity"]) == (["shop"], "production", "high")
    assert stored["name"] == "<!channel> down"
    assert stored["started_at"] == int(at("03-05T13:00").timestamp() * 1000)
    deliver(datadog, shape_input([replace(outage, retracted=True)], NOW))
    assert datadog.incidents == {}
    assert DATADOG.events == frozenset({"deployment"}), "incidents are sent where `events` has them"


def test_an_incident_that_ended_before_it_began_has_no_negative_length(datadog: FakeDatadog) -> None:
    outage = incident(1, "03-05T13:00", resolved_at="03-05T12:00", environment="staging")
    deliver(datadog, shape_input([outage], NOW))
    (stored,) = datadog.incidents.values()
    assert stored["started_at"] == stored["finished_at"]


def test_the_two_keys_are_in_two_headers() -> None:
    assert shipped_shape("datadog") is DATADOG
    assert DATADOG.token_headers.of("key:second") == {"DD-API-KEY": "key", "DD-APPLICATION-KEY": "second"}
    assert DATADOG.token_headers.of("key") == {"DD-API-KEY": "key"}


def test_without_an_application_key_deployments_arrive_and_verdicts_do_not(datadog: FakeDatadog) -> None:
    assert statuses(datadog, owed(deployment(1)), API_KEY) == [200, 403]
    assert statuses(datadog, owed(deployment(1)), "wrong:wrong") == [403, 403]


def test_what_was_refused_at_the_rate_limit_is_the_same_request_once_more(datadog: FakeDatadog) -> None:
    datadog.answers = {2: too_many_requests(60)}
    sent = owed(deployment(1))
    assert statuses(datadog, sent) == [200, 429]
    assert [request.key for request in sent] == [request.key for request in owed(deployment(1))]
    assert statuses(datadog, sent) == [200, 202]
    assert len(datadog.deployments) == 1


def test_the_id_has_the_characters_that_datadog_allows() -> None:
    fact = deployment(1, id=f"dispatch:{'ü#/' * 97}")
    assert event_id(fact) == event_id(replace(fact, repository="Acme/Shop")), "GitHub ignores the case of names"
    assert event_id(fact) != event_id(replace(fact, repository="acme/api")), "two ledgers may have the same id"
    assert len(event_id(fact)) == 77


def test_a_rename_changes_no_id() -> None:
    shop = Repository(id="github:repository:1", repository="acme/shop", observed_at=at("02-01"), names=("acme/shop",))
    names_before = RepositoryNames.of([shop])
    store = Repository(
        id="github:repository:1",
        repository="acme/store",
        observed_at=at("03-10"),
        names=("acme/shop", "acme/store"),
        seen_at=(at("02-01"), at("03-10")),
    )
    names = RepositoryNames.of([store])
    before = incident(12, id="github:issue:acme/shop#12")
    after = names.resolve_fact(before)
    assert after.id != before.id
    assert event_id(after, names) == event_id(before, names_before)
    inputs = shape_input([deployment(1, repository="acme/store", service="store")], NOW)
    renamed = dataclasses.replace(inputs, results=replace(inputs.results, names=names))
    assert event_id(deployment(1), names_before) in DATADOG.requests(renamed)[0].body.decode()


def test_another_repository_of_the_same_name_has_other_ids() -> None:
    first, second = (
        Repository(id=f"github:repository:{number}", repository="acme/shop", observed_at=NOW, names=("acme/shop",))
        for number in (1, 2)
    )
    fact = incident(12, id="github:issue:acme/shop#12")
    assert event_id(fact, RepositoryNames.of([first])) != event_id(fact, RepositoryNames.of([second]))


def test_an_incident_that_another_report_joined_is_at_datadog_once(datadog: FakeDatadog) -> None:
    known, page = deployment(1), incident(5, "03-05T13:00", id="pagerduty:Q1")
    ticket, page_of_both = incident(6, "03-05T13:05", id="jira:OPS-1"), replace(page, also=("jira:OPS-1",))
    for sent in (owed(page, known=[known]), owed(ticket, page_of_both, known=[known])):
        assert set(statuses(datadog, sent)) <= {200, 202}
    assert list(datadog.incidents) == [event_id(ticket)]


def test_an_incident_that_is_open_again_has_another_key() -> None:
    opened = incident(5, "03-05T13:00")
    (first,), (again,) = owed(opened), owed(replace(opened, observed_at=at("03-06")))
    assert (first.body, first.key != again.key) == (again.body, True)


@pytest.mark.parametrize("name", CASES)
def test_every_golden_case_is_accepted_and_gives_our_rates(name: str, datadog: FakeDatadog) -> None:
    """Rollbacks included, and the recoveries by a deployment; docs/endpoint.md says where Datadog's own differ."""
    inputs = golden_input(name)
    deliver(datadog, inputs)
    for history in inputs.results.evaluation.histories:
        service_and_environment = history.scope.service, history.scope.environment
        counted = [each for each in history.deployments if has_reached_users(each)]
        failures = history.failures
        ours = len(failures) / len(counted) if counted else None
        assert datadog.change_failure_rate(*service_and_environment, with_rollbacks=True) == ours
        by_deployment = [
            each for each in failures if not each.is_ended_by_incident and each.recovery_seconds is not None
        ]
        marked = [each for each in datadog.judged(*service_and_environment) if each.remediation]
        assert len(marked) == len(by_deployment)
        theirs = sorted(
            (datadog.deployments[each.remediation["id"]].finished_at - each.finished_at).total_seconds()
            for each in marked
            if each.remediation
        )
        assert theirs == pytest.approx(sorted(each.recovery_seconds or 0 for each in by_deployment), abs=0.001)


@settings(max_examples=cases(25))
@given(strategies.fact_lists(12), st.data())
def test_any_facts_are_accepted_in_any_batches_and_end_in_our_verdicts(facts: list[Fact], data: st.DataObject) -> None:
    with listening(FakeDatadog()) as fake:
        whole = shape_input(facts, NOW)
        order = data.draw(st.permutations(facts))
        for start in range(0, len(order), 3):
            batch = shape_input(facts, NOW, order[start : start + 3])
            sent = DATADOG.requests(batch)
            assert sent == DATADOG.requests(batch), "the same facts have the same bytes"
            assert set(statuses(fake, sent)) <= {200, 202}
        for history in whole.results.evaluation.histories:
            for fact in history.deployments:
                if has_reached_users(fact):
                    assert fake.deployments[event_id(fact)].is_failure == (fact.id in whole.failures)


@pytest.mark.parametrize(
    "fault",
    [
        {"id": "too-short"},
        {"id": "x" * 129},
        {"id": "has a space and a #"},
        {"started_at": "2026-11-21T12:00:00Z"},
        {"finished_at": 2**63},
        {"finished_at": True},
        {"custom_tags": ["no-colon"]},
        {"custom_tags": ["a:b"] * 101},
        {"git": {"commit_sha": "a" * 40}},
        {"version": None},
        {"service": ""},
        {"status": "success"},
    ],
)
def test_the_fake_refuses_what_the_reference_does_not_allow(fault: dict[str, object], datadog: FakeDatadog) -> None:
    request = owed(deployment(1))[0]
    content = json.loads(request.body)
    content["data"]["attributes"] |= fault
    assert statuses(datadog, [ShapedRequest(body=json.dumps(content).encode(), key="", path=request.path)]) == [400]


def test_the_fake_refuses_a_verdict_before_its_deployment_and_an_unknown_remediation(datadog: FakeDatadog) -> None:
    bad = deployment(1, "03-05")
    fix = deployment(2, "03-06", remediates=bad.id)
    of_bad, of_fix, verdict = owed(bad, known=[fix])
    assert statuses(datadog, [verdict, of_bad, verdict, of_fix, verdict]) == [404, 200, 400, 200, 202]
