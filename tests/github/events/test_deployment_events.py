"""Deployments: statuses, releases, pushes, the job that deploys, and which of them count."""

import pytest

from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.github import text
from dora_metrics.github.events.observe import observe
from support.events import (
    NOW,
    SHA,
    at,
    deployment,
    deployment_status,
    issue,
    make_run,
    observe_event,
    pull_request,
    push,
    release,
    settings,
    workflow_run,
)

NOTHING_TO_RECORD = "Nothing to record: "


@pytest.mark.parametrize(("state", "status"), [("success", "success"), ("failure", "failure"), ("error", "failure")])
def test_terminal_states_are_recorded(state: str, status: str) -> None:
    assert deployment(observe_event("deployment_status", deployment_status(state))).status == status


@pytest.mark.parametrize("state", ["pending", "queued", "in_progress", "waiting", "inactive", "abandoned", ""])
def test_states_that_are_no_end_and_unknown_ones_are_not_recorded(state: str) -> None:
    assert observe_event("deployment_status", deployment_status(state)).title.startswith(NOTHING_TO_RECORD)


def test_a_deployment_without_a_status_has_no_end_yet() -> None:
    payload = {"action": "created", "deployment": deployment_status()["deployment"]}
    assert observe_event("deployment", payload).facts == ()


def test_times_come_from_the_event_so_that_redeliveries_are_the_same_fact() -> None:
    payload = deployment_status(updated_at="2026-11-20T10:05:09Z")
    fact = deployment(observe_event("deployment_status", payload))
    times = (fact.started_at, fact.finished_at, fact.observed_at)
    assert times == (at("20T10:00"), at("20T10:05"), at("20T10:05:09"))
    later = observe(make_run("deployment_status", now=at("23T00:00"), run_id="100"), payload, settings(), frozenset())
    assert later.facts == (fact,)


def test_several_statuses_of_a_deployment_are_one_fact() -> None:
    states = ("failure", "success")
    assert {deployment(observe_event("deployment_status", deployment_status(state))).id for state in states} == {
        "github:deployment:5"
    }


@pytest.mark.parametrize("task", ["dora5-rollout", "migrate", "deployer"])
def test_other_tools_tasks_are_no_deployments(task: str) -> None:
    assert observe_event("deployment_status", deployment_status(deployment_fields={"task": task})).facts == ()


@pytest.mark.parametrize("task", ["deploy", "deploy:migrations", None])
def test_deploy_tasks_are_deployments(task: str | None) -> None:
    assert observe_event("deployment_status", deployment_status(deployment_fields={"task": task})).facts


def test_the_status_may_name_another_environment_than_the_deployment() -> None:
    payload = deployment_status(environment="eu", deployment_fields={"environment": "production"})
    assert deployment(observe_event("deployment_status", payload)).environment == "eu"
    assert deployment(observe_event("deployment_status", deployment_status(environment=""))).environment == "production"


@pytest.mark.parametrize(
    ("deployed", "version"),
    [
        ({"ref": "v1.2.3"}, "v1.2.3"),
        ({"ref": "refs/tags/2026.11.21"}, "2026.11.21"),
        ({"ref": "main"}, None),
        ({"ref": SHA}, None),
        ({"ref": None}, None),
        ({"ref": "main", "payload": {"version": "7"}}, "7"),
        ({"ref": "v1.2.3", "payload": {"version": 7}}, "v1.2.3"),
        ({"ref": "v1.2.3", "payload": "7"}, "v1.2.3"),
        ({"ref": "v1.2.3", "payload": None}, "v1.2.3"),
    ],
)
def test_version_is_the_deployers_or_a_ref_that_looks_like_one(
    deployed: dict[str, object], version: str | None
) -> None:
    assert (
        deployment(observe_event("deployment_status", deployment_status(deployment_fields=deployed))).version == version
    )


@pytest.mark.parametrize(
    "ref",
    [
        "v1.2",
        "1.2.3",
        "V1.2.3",
        "1.2.3-rc.1",
        "1.2.3+build5",
        "1.2.3rc1",
        "3.0.0.Final",
        "v2026.11.21",
        "v7",
        "web@1.2.0",
    ],
)
def test_refs_that_look_like_versions(ref: str) -> None:
    assert text.version_or_none(ref) == ref


@pytest.mark.parametrize("ref", ["main", "1.x", "1.2.x", "SHOP-7", "fix/node-22.1", SHA, "", None, "v1.2.3\n"])
def test_refs_that_do_not(ref: str | None) -> None:
    assert text.version_or_none(ref) is None


def test_only_http_addresses_are_kept() -> None:
    payload = deployment_status(target_url="javascript:alert(1)", log_url="", environment_url="https://shop.example")
    assert deployment(observe_event("deployment_status", payload)).url == "https://shop.example"
    payload = deployment_status(target_url="ftp://x", log_url="https://x y")
    assert deployment(observe_event("deployment_status", payload)).url == "https://github.com/acme/shop/deployments"


def test_sentence_about_a_deployment() -> None:
    assert observe_event("release", release()).title == "Deployment of v1.4.0 to production succeeded"
    failed = deployment_status("error", environment="eu\nwest")
    assert observe_event("deployment_status", failed).title == "Deployment of aaaaaaa to eu west failed"


# releases


def test_a_release_is_deployed_when_it_is_published_not_when_its_commit_was_made() -> None:
    fact = deployment(observe_event("release", release()))
    assert (fact.id, fact.finished_at, fact.observed_at) == (
        "github:release:3",
        at("20T10:00"),
        at("20T10:00"),
    )
    assert (fact.sha, fact.version, fact.environment) == ("f" * 40, "v1.4.0", "production")


def test_a_prerelease_is_no_production() -> None:
    assert deployment(observe_event("release", release(prerelease=True))).environment == "prerelease"


@pytest.mark.parametrize("action", ["prereleased", "created", "edited", "unpublished", "deleted"])
def test_what_happens_to_a_release_otherwise_deploys_nothing_and_takes_nothing_back(action: str) -> None:
    assert observe_event("release", release(action)).facts == ()


@pytest.mark.parametrize(("updated_at", "time"), [("2026-11-22T10:00:00Z", "22T10:00"), (None, "21T12:00")])
def test_a_release_that_becomes_stable_later_is_deployed_at_the_time_of_the_event(
    updated_at: str | None, time: str
) -> None:
    fact = deployment(observe_event("release", release("released", updated_at=updated_at)))
    assert (fact.environment, fact.finished_at, fact.observed_at) == ("production", at(time), at(time))


def test_a_release_that_is_stable_at_once_is_deployed_when_it_is_published() -> None:
    fact = deployment(observe_event("release", release("released", updated_at="2026-11-20T10:09:00Z")))
    assert fact.finished_at == at("20T10:00")


def test_drafts_are_no_releases() -> None:
    assert observe_event("release", release(draft=True)).facts == ()
    assert observe_event("release", release(published_at=None)).facts == ()


# pushes


def test_a_push_to_the_default_branch() -> None:
    fact = deployment(observe_event("push", push()))
    assert (fact.id, fact.sha, fact.source) == (f"github:push:{SHA}", SHA, "pushes")
    assert fact.finished_at == fact.observed_at == at("20T10:00")
    assert deployment(observe_event("push", push(created=True, forced=True))) == fact


@pytest.mark.parametrize(
    "fields",
    [
        {"ref": "refs/heads/feature"},
        {"ref": "refs/tags/main"},
        {"deleted": True, "head_commit": None},
        {"after": "0" * 40},
        {"head_commit": None},
    ],
)
def test_pushes_that_bring_nothing_to_the_default_branch(fields: dict[str, object]) -> None:
    assert observe_event("push", push(**fields)).facts == ()


# the job that deploys


def test_the_deploy_job_records_itself_and_not_the_event_beside_it() -> None:
    given = {"environment": "production", "status": "failure", "version": "v2", "service": "till"}
    for event, payload in (
        ("push", push()),
        ("release", release()),
        ("deployment_status", deployment_status()),
    ):
        fact = deployment(observe_event(event, payload, **given))
        assert (fact.id, fact.status, fact.version) == ("github:run:99:production", "failure", "v2")
        assert (fact.sha, fact.ref, fact.service, fact.source) == ("f" * 40, "main", "till", "workflow-runs")
        assert fact.finished_at == fact.observed_at == NOW
        assert fact.url == "https://github.com/acme/shop/actions/runs/99"


def test_the_deploy_job_after_another_workflow_deploys_that_workflows_commit() -> None:
    fact = deployment(observe_event("workflow_run", workflow_run(head_branch="v1.2.3"), environment="eu"))
    assert (fact.id, fact.sha, fact.ref) == ("github:run:99:eu", SHA, "v1.2.3")


def test_the_deploy_job_on_any_event_needs_no_permission_of_deployment_source() -> None:
    assert observe_event("fork", {}, environment="production", deployment_source="none").facts
    assert observe_event("schedule", {}, "deployments", environment="production").facts


def test_the_deploy_job_keeps_changes_and_incidents() -> None:
    observed = observe_event("pull_request", pull_request(), environment="production")
    assert [fact.id for fact in observed.facts] == ["github:run:99:production", "github:pull:acme/shop#42"]
    assert observed.notes == ("Pull request acme/shop#42 was merged",)
    assert observe_event("issues", issue(), environment="production").facts[1].id == "github:issue:acme/shop#7"


@pytest.mark.parametrize(
    ("ref", "short"), [("refs/tags/v1", "v1"), ("", None), ("refs/pull/4/merge", "refs/pull/4/merge")]
)
def test_the_ref_of_a_deploy_job_may_be_missing(ref: str, short: str | None) -> None:
    observed = observe(make_run("push", ref=ref, sha=""), push(), settings(environment="p"), frozenset())
    assert (deployment(observed).ref, deployment(observed).sha) == (short, None)


# which of them count

PAYLOADS_BY_SOURCE = {
    "deployments": ("deployment_status", deployment_status()),
    "releases": ("release", release()),
    "workflow-runs": ("workflow_run", workflow_run()),
    "pushes": ("push", push()),
}


@pytest.mark.parametrize("known", [(), *((source,) for source in PAYLOADS_BY_SOURCE), tuple(PAYLOADS_BY_SOURCE)])
@pytest.mark.parametrize("source", PAYLOADS_BY_SOURCE)
def test_auto_takes_a_source_unless_a_better_one_is_known(source: str, known: tuple[str, ...]) -> None:
    order = list(PAYLOADS_BY_SOURCE)
    best = min([*map(order.index, known), order.index(source)])
    observed = observe_event(*PAYLOADS_BY_SOURCE[source], *known)
    assert bool(observed.facts) == (order[best] == source)
    names = {"deployments": "GitHub deployments", "workflow-runs": "workflow runs"}
    if observed.facts:
        assert observed.notes == (
            f"Deployments come from {names.get(source, source)}, the best source found (`deployment-source: auto`).",
        )


@pytest.mark.parametrize("source", PAYLOADS_BY_SOURCE)
def test_a_list_takes_what_it_names_whatever_is_known(source: str) -> None:
    assert observe_event(*PAYLOADS_BY_SOURCE[source], *PAYLOADS_BY_SOURCE, deployment_source=source).facts
    others = ",".join(set(PAYLOADS_BY_SOURCE) - {source})
    assert observe_event(*PAYLOADS_BY_SOURCE[source], deployment_source=others).facts == ()
    assert observe_event(*PAYLOADS_BY_SOURCE[source], deployment_source="none").facts == ()


def test_a_refused_source_says_which_is_taken_and_what_to_do() -> None:
    assert observe_event("release", release(), "deployments").title == (
        "Nothing to record: this repository's deployments come from `deployments`; "
        "add releases to `deployment-source` to count releases as well"
    )


def test_service_is_set_on_deployments_and_never_on_incidents() -> None:
    assert deployment(observe_event("release", release(), service="till")).service == "till"
    (fact,) = observe_event("issues", issue(), service="till").facts
    assert isinstance(fact, Incident)
    assert fact.service is None


@pytest.mark.parametrize(
    ("payload", "service"),
    [
        ({"service": "till"}, "till"),
        ({"service": " till\0 "}, "till"),
        ({"service": "x" * 600_000}, "x" * 300),
        ({"service": " "}, "shop"),
        ({"service": 7}, "shop"),
        ({"service": ["till"]}, "shop"),
        ({"version": "v1"}, "shop"),
        ('{"service": "till"}', "shop"),
        ("till", "shop"),
        (None, "shop"),
    ],
)
def test_a_deployments_payload_names_its_service_before_the_setting_does(payload: object, service: str) -> None:
    seen_here = observe_event(
        "deployment_status", deployment_status(deployment_fields={"payload": payload}), service="shop"
    )
    assert deployment(seen_here).service == service


def test_services_of_a_monorepo_that_one_event_brings_are_deployments_of_their_own() -> None:
    services = {"till": "till/**", "web": "web/**"}
    inside = {"environment": "production"}
    for event, payload, given, whole in (
        ("push", push(), {}, f"github:push:{SHA}"),
        ("release", release(), {}, "github:release:3"),
        ("push", push(), inside, "github:run:99:production"),
    ):
        ids = {
            deployment(observe_event(event, payload, service=service, services=services, **given)).id
            for service in ("till", "web", "shop")
        }
        assert ids == {f"{whole}:till", f"{whole}:web", whole}
        assert deployment(observe_event(event, payload, services=services, **given)).id == whole


def test_a_deployment_or_run_that_github_numbers_keeps_its_id_in_a_monorepo() -> None:
    given = {"service": "till", "services": {"till": "till/**"}}
    assert deployment(observe_event("deployment_status", deployment_status(), **given)).id == "github:deployment:5"
    assert deployment(observe_event("workflow_run", workflow_run(), **given)).id == "github:run:77"


def test_events_of_other_kinds_say_what_is_recorded() -> None:
    assert "workflow_run" in observe_event("merge_group", {"action": "checks_requested"}).title
    assert (
        observe_event("schedule", {"schedule": "17 5 * * 1"}).title
        == "Nothing to record: this run computes the numbers again"
    )


def test_source_names_are_those_of_the_setting() -> None:
    for source, (event, payload) in PAYLOADS_BY_SOURCE.items():
        (fact,) = observe_event(event, payload).facts
        assert isinstance(fact, Deployment)
        assert fact.source == source
