"""Events of Flux, Flagger and Argo CD in a `repository_dispatch`: which end a deployment, and of what."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.facts import ids, jsonl
from dora_metrics.core.facts.model import Deployment
from dora_metrics.errors import EventError
from dora_metrics.github.events.observe import observe
from dora_metrics.github.observation import Observation, Recorded
from support.events import NOW, Payload, at, deployment, make_run, observe_event, settings
from support.facts import sha
from support.gitops_events import argocd_sync, flagger_hook, flux_event, helm_event

SHA = sha("A")
A_TIME = "expected a time such as 2026-11-21T12:00:00Z"


def seen(payload: Payload, *ledger: Deployment, **inputs: object) -> Observation:
    recorded = Recorded(deployments=lambda: ledger)
    return observe(make_run("repository_dispatch"), payload, settings(**inputs), frozenset(), recorded)


def only(payload: Payload, **inputs: object) -> Deployment:
    return deployment(seen(payload, **inputs))


def nothing_because(payload: Payload, **inputs: object) -> str:
    observed = seen(payload, **inputs)
    assert not observed.facts
    return observed.title.removeprefix("Nothing to record: ")


def problems_of(payload: Payload) -> tuple[str, ...]:
    with pytest.raises(EventError) as raised:
        seen(payload)
    return raised.value.problems


# --- Flux ---


def test_a_kustomization_that_was_reconciled_is_a_deployment_of_its_revision() -> None:
    observed = seen(flux_event())
    made = deployment(observed)
    assert made == Deployment(
        id=f"flux:flux-system/apps:main@sha1:{SHA}:2026-11-21T11:00:00Z",
        repository="acme/shop",
        service="apps",
        source="flux",
        environment="production",
        sha=SHA,
        status="success",
        finished_at=at("21T11:00"),
        observed_at=at("21T11:00"),
    )
    assert observed.title == f"Deployment of {SHA[:7]} to production succeeded"
    assert observed.notes == ()


def test_the_health_check_that_ends_a_rollout_is_the_success_that_githubdispatch_gets() -> None:
    """Its reason is that of the condition at that time."""
    healthy = flux_event(reason="Progressing", message="Health check passed in 10.4s")
    assert only(healthy) == only(flux_event())


def test_what_is_applied_only_has_not_succeeded_yet() -> None:
    applied = flux_event(reason="Progressing", message="Deployment/apps/shop configured\nService/apps/shop created")
    assert nothing_because(applied).endswith("only if the Kustomization has `wait: true` or `healthChecks`")


@pytest.mark.parametrize(
    ("reason", "has_reached_users"),
    [("HealthCheckFailed", True), ("ReconciliationFailed", True), ("PruneFailed", True), ("BuildFailed", False)],
)
def test_a_failure_is_one_by_fluxs_own_words(reason: str, has_reached_users: bool) -> None:  # noqa: FBT001 - a row of the table
    failed = only(flux_event(reason=reason, severity="error", message="timeout waiting for: [Deployment/apps/shop]"))
    assert (failed.status, failed.reached_users) == ("failure", has_reached_users)


@pytest.mark.parametrize(
    "reason", ["DependencyNotReady", "ArtifactFailed", "info", "HealthCheckCanceled", "Succeeded", "AccessDenied"]
)
def test_other_reasons_end_no_deployment(reason: str) -> None:
    assert nothing_because(flux_event(reason=reason)) == (
        f"{reason} of Kustomization flux-system/apps ends no deployment"
    )


@pytest.mark.parametrize("kind", ["GitRepository", "OCIRepository", "HelmChart", "ImageUpdateAutomation", "Canary"])
def test_objects_that_deploy_nothing_are_named(kind: str) -> None:
    about = {"kind": kind, "name": "apps", "namespace": "flux-system"}
    assert nothing_because(flux_event(involvedObject=about)).startswith(f"a {kind} deploys nothing")


def test_the_alert_names_environment_and_the_object_may_name_more() -> None:
    metadata = {
        "env": "prod-eu",
        "event.toolkit.fluxcd.io/image": "registry.example/acme/shop:sha-1a2b3c4",
        "kustomize.toolkit.fluxcd.io/revision": f"v1.4.0@sha1:{SHA}",
    }
    made = only(flux_event(metadata=metadata))
    assert (made.environment, made.version, made.sha) == ("prod-eu", "v1.4.0", SHA)
    assert made.id.endswith(":2026-11-21T11:00:00Z:prod-eu")


def test_a_controller_wins_over_the_alert_and_that_over_the_object() -> None:
    metadata = {
        "event.toolkit.fluxcd.io/env": "object",
        "event.toolkit.fluxcd.io/revision": "object",
        "environment": "alert",
        "env": "alert",
        "kustomize.toolkit.fluxcd.io/revision": f"main@sha1:{sha('B')}",
    }
    made = only(flux_event(metadata=metadata))
    assert (made.environment, made.sha) == ("alert", sha("B"))


def test_an_oci_artefact_is_of_the_commit_that_it_was_built_from() -> None:
    digest = f"latest@sha256:{SHA}{SHA[:24]}"
    made = only(flux_event(metadata={"revision": digest, "originRevision": f"v2.0.1@sha1:{SHA}"}))
    assert (made.sha, made.version) == (SHA, "v2.0.1")
    assert made.id == f"flux:flux-system/apps:{digest}:2026-11-21T11:00:00Z"


def test_without_an_origin_it_has_no_lead_time() -> None:
    observed = seen(flux_event(metadata={"revision": f"6.7.0@sha256:{SHA}{SHA[:24]}"}))
    assert (deployment(observed).sha, deployment(observed).version) == (None, "6.7.0")
    (note,) = observed.notes
    assert note.startswith("flux-system/apps has no lead time: its revision 6.7.0@sha256:")


def test_a_helm_release_is_a_deployment_of_its_chart_version() -> None:
    observed = seen(helm_event())
    made = deployment(observed)
    assert (made.id, made.version, made.sha) == ("flux:apps/shop:6.6.1:2026-11-21T11:00:00Z", "6.6.1", None)
    assert observed.notes == ("apps/shop has no lead time: its revision 6.6.1 names no commit",)


@pytest.mark.parametrize("reason", ["InstallSucceeded", "UpgradeSucceeded", "RollbackSucceeded"])
def test_helm_succeeds_with_an_install_an_upgrade_or_a_rollback(reason: str) -> None:
    assert only(helm_event(reason)).status == "success"


@pytest.mark.parametrize("reason", ["InstallFailed", "UpgradeFailed", "RollbackFailed", "TestFailed"])
def test_helm_fails_after_it_has_changed_the_cluster(reason: str) -> None:
    failed = only(helm_event(reason, severity="error"))
    assert (failed.status, failed.reached_users) == ("failure", True)


@pytest.mark.parametrize("reason", ["TestSucceeded", "DriftCorrected", "UninstallSucceeded", "PendingRelease"])
def test_what_helm_does_besides_is_no_deployment(reason: str) -> None:
    assert nothing_because(helm_event(reason)) == f"{reason} of HelmRelease apps/shop ends no deployment"


def test_a_commit_that_the_object_names_is_that_of_a_helm_release() -> None:
    metadata = {"revision": "6.6.1", "commit": f"main@sha1:{SHA}"}
    assert only(helm_event(metadata=metadata), gitops={"apps/*": {"commit": "annotation"}}).sha == SHA


def test_a_config_repository_leads_to_the_commit_in_an_image_tag() -> None:
    """The digits in the tag are completed by what the run knows."""
    target = {"repository": "acme/app", "service": "shop", "commit": "image-tag"}
    recorded = Recorded(full_sha=lambda repository, digits: f"{digits}{'0' * 33}" if repository == "acme/app" else None)
    payload = flux_event(metadata={"image": "redis:7, registry.example/acme/app:sha-1a2b3c4"})
    run = make_run("repository_dispatch", repository="acme/config")
    made = deployment(observe(run, payload, settings(gitops={"*": target}), frozenset(), recorded))
    assert (made.repository, made.service, made.sha) == ("acme/app", "shop", f"1a2b3c4{'0' * 33}")


def test_what_is_skipped_or_known_is_said() -> None:
    assert nothing_because(flux_event(), gitops={"*": "skip"}) == "the setting `gitops` skips flux-system/apps"
    first = only(flux_event())
    later = flux_event(timestamp="2026-11-21T11:50:00Z")
    known = "the revision that flux-system/apps reports is recorded already, and nothing was deployed since"
    assert seen(later, first).title == f"Nothing to record: {known}"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"involvedObject": None}, "involvedObject: expected an object, but it is null"),
        ({"involvedObject": "x"}, "involvedObject: expected an object, but it is another string"),
        (
            {"involvedObject": {"kind": "Kustomization", "name": "a/b", "namespace": "x"}},
            "involvedObject.name: expected a name in Kubernetes, of a-z, 0-9, - and ., but it is another string",
        ),
        (
            {"involvedObject": {"kind": "Kustomization", "name": "a" * 254, "namespace": "x"}},
            "involvedObject.name: expected a name in Kubernetes, of a-z, 0-9, - and ., but it is another string",
        ),
        (
            {"involvedObject": {"kind": "Kustomization", "name": "a"}},
            "involvedObject.namespace: expected a string, but it is missing",
        ),
        ({"reason": 7}, "reason: expected a string, but it is another number"),
        ({"message": ["x"]}, "message: expected a string, but it is a list"),
        ({"timestamp": "2026-11-21T11:00:00"}, f"timestamp: {A_TIME}, but it is another string"),
        ({"timestamp": 1763722800}, f"timestamp: {A_TIME}, but it is another number"),
        ({"timestamp": "2026-11-21T12:11:00Z"}, "timestamp: expected a time that is not in the future"),
        ({"metadata": []}, "metadata: expected an object, but it is a list"),
        ({"metadata": None}, "metadata.revision: expected a string, but it is missing"),
        (
            {"metadata": {"revision": ""}},
            "metadata.revision: expected a string that is not empty, but it is another string",
        ),
        ({"metadata": {"revision": 7}}, "metadata.revision: expected a string, but it is missing"),
        ({"metadata": {"revision": "a" * 301}}, "metadata.revision: expected a string, but it is missing"),
    ],
)
def test_a_wrong_field_of_flux_is_named(fields: Mapping[str, object], problem: str) -> None:
    assert problems_of(
        {"action": "Kustomization/a.b", "client_payload": {**flux_event()["client_payload"], **fields}}
    ) == (f"client_payload.{problem}",)


# --- Flagger ---


def test_a_canary_that_was_promoted_is_a_deployment_of_its_pods() -> None:
    made = only(flagger_hook())
    assert made.id == "flagger:apps/shop:765c47b8f7:2026-11-21T11:00:00Z"
    assert (made.service, made.source, made.version) == ("shop", "flagger", "765c47b8f7")
    assert (made.status, made.reached_users, made.finished_at) == ("success", False, at("21T11:00"))


def test_one_that_failed_had_reached_users() -> None:
    failed = only(flagger_hook("Failed"))
    assert (failed.status, failed.reached_users) == ("failure", True)


@pytest.mark.parametrize(
    "phase", ["Initialized", "Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising"]
)
def test_a_canary_that_goes_on_is_no_deployment(phase: str) -> None:
    """A `rollback` hook only asks whether to roll back; `post-rollout` follows if it is."""
    assert nothing_because(flagger_hook(phase)) == f"the canary apps/shop has not ended (phase {phase})"


def test_the_plain_body_of_a_webhook_has_a_checksum_and_no_time() -> None:
    plain: Payload = {"lastAppliedSpec": None, "lastTransitionTime": None, "checksum": "85d557f47b"}
    made = only(
        flagger_hook(metadata={"environment": "prod-eu", "image": f"shop:{SHA}"}, **plain),
        gitops={"*": {"commit": "image-tag"}},
    )
    assert made.id == "flagger:apps/shop:85d557f47b:2026-11-21T12:00:00Z:prod-eu"
    assert (made.finished_at, made.sha) == (NOW, SHA)


@pytest.mark.parametrize(
    ("message", "is_end"),
    [
        ("Promotion completed! Scaling down shop.apps", True),
        ("Canary failed! Scaling down shop.apps", True),
        ("New revision detected! Scaling up shop.apps", False),
    ],
)
def test_of_event_hooks_the_last_one_counts(message: str, is_end: bool) -> None:  # noqa: FBT001 - a row of the table
    """The one before it may have the phase of the analysis before. It has a time in milliseconds."""
    metadata = {"eventMessage": message, "eventType": "Normal", "timestamp": "1795258800000"}
    observed = seen(flagger_hook(metadata=metadata, lastTransitionTime=None))
    assert bool(observed.facts) is is_end
    if is_end:
        assert deployment(observed).finished_at == at("21T11:00")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("text", ": expected an object, as docs/gitops.md shows it"),
        (None, ": expected an object, as docs/gitops.md shows it"),
        ({"name": "Shop"}, ".name: expected a name in Kubernetes, of a-z, 0-9, - and ., but it is another string"),
        ({"phase": None}, ".phase: expected a string, but it is null"),
        ({"lastAppliedSpec": None}, ".checksum: expected a string, since there is no lastAppliedSpec"),
        ({"lastAppliedSpec": ""}, ".lastAppliedSpec: expected a string that is not empty, but it is another string"),
        ({"lastAppliedSpec": "a" * 1001}, ".lastAppliedSpec: expected a shorter string, but it is another string"),
        (
            {"lastTransitionTime": "soon"},
            ".lastTransitionTime: expected a time such as 2026-11-21T12:00:00Z, but it is another string",
        ),
        (
            {"lastTransitionTime": "2027-01-01T00:00:00Z"},
            ".lastTransitionTime: expected a time that is not in the future",
        ),
    ],
)
def test_a_wrong_field_of_flagger_is_named(body: object, problem: str) -> None:
    hook = flagger_hook()
    whole = {**hook["client_payload"]["flagger"], **body} if isinstance(body, Mapping) else body
    assert problems_of({**hook, "client_payload": {"flagger": whole}}) == (f"client_payload.flagger{problem}",)


# --- Argo CD ---


def test_a_sync_is_a_deployment_of_its_revision() -> None:
    made = only(argocd_sync())
    assert made == Deployment(
        id=f"argocd:argocd/shop:{SHA}:2026-11-21T11:00:00Z",
        repository="acme/shop",
        service="shop",
        source="argocd",
        environment="production",
        sha=SHA,
        status="success",
        started_at=at("21T10:59"),
        finished_at=at("21T11:00"),
        observed_at=at("21T11:00"),
        url="https://argocd.example/applications/shop",
    )


@pytest.mark.parametrize(("phase", "applied"), [("Failed", True), ("Error", False)])
def test_a_sync_that_failed_reached_users_if_anything_was_applied(phase: str, applied: bool) -> None:  # noqa: FBT001 - a row of the table
    failed = only(argocd_sync(phase, applied=applied))
    assert (failed.status, failed.reached_users) == ("failure", applied)


def test_of_several_sources_the_first_commit_counts_with_its_repository() -> None:
    sources: Payload = {
        "revisions": ["1.2.3", SHA],
        "repositories": ["https://charts.example", "git@github.com:acme/config.git"],
    }
    observed = seen(argocd_sync(environment="prod-eu", **sources))
    made = deployment(observed)
    assert (made.sha, made.version, made.repository) == (SHA, "1.2.3", "acme/config")
    assert made.id == f"argocd:argocd/shop:1.2.3,{SHA}:2026-11-21T11:00:00Z:prod-eu"


def test_a_sync_from_a_config_repository_belongs_to_it_or_needs_the_place_of_the_commit() -> None:
    config = argocd_sync(repositories=["https://github.com/acme/config"])
    assert only(config).repository == "acme/config"
    observed = seen(config, gitops={"argocd/shop": {"repository": "acme/shop"}})
    assert deployment(observed).sha is None
    assert observed.notes == (
        "argocd/shop has no lead time: its revision is of acme/config, not of acme/shop; set `commit` in `gitops`",
    )
    image = argocd_sync(repositories=["https://github.com/acme/config"], images=[f"shop:sha-{sha('B')}"])
    place = {"repository": "acme/shop", "commit": "image-tag"}
    assert only(image, gitops={"argocd/shop": place}).sha == sha("B")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"phase": "Running"}, "the sync of argocd/shop has not ended (phase Running)"),
        ({"partial": True}, "the sync of argocd/shop was a trial, or of some resources only"),
        ({"revisions": []}, "the sync of argocd/shop was of no revision"),
        ({"revisions": [""]}, "the sync of argocd/shop was of no revision"),
        ({"revisions": [None]}, "the sync of argocd/shop was of no revision"),
    ],
)
def test_a_sync_without_end_or_revision_is_no_deployment(fields: dict[str, Any], reason: str) -> None:
    assert nothing_because(argocd_sync(**fields)) == reason


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"finishedAt": None}, "finishedAt: expected a time such as 2026-11-21T12:00:00Z, but it is null"),
        ({"revisions": "a"}, "revisions: expected a list, but it is another string"),
        ({"applied": "yes"}, "applied: expected true or false, but it is another string"),
        ({"finishedAt": "2026-11-22T12:00:00Z"}, "finishedAt: expected a time that is not in the future"),
    ],
)
def test_a_wrong_field_of_argo_cd_is_named(fields: dict[str, Any], problem: str) -> None:
    assert problems_of(argocd_sync(**fields)) == (f"client_payload.argocd.{problem}",)


def test_the_plain_fields_of_a_deployment_still_work() -> None:
    plain = {"id": "argocd:argocd/shop:2026-11-21T10:59:00Z", "source": "argocd", "sha": SHA, "service": "shop"}
    times = {"started_at": "2026-11-21T10:59:00Z", "finished_at": "2026-11-21T11:00:00Z"}
    dispatched = deployment(
        observe_event("repository_dispatch", {"action": "dora-deployment", "client_payload": {**plain, **times}})
    )
    assert not seen(argocd_sync(), dispatched).facts, "both report one sync"


# --- Anything ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=9), values, max_size=3),
    max_leaves=8,
)
EVENTS = st.sampled_from([flux_event, helm_event, flagger_hook, argocd_sync])


@given(EVENTS, st.data())
def test_any_payload_is_a_valid_fact_nothing_or_a_named_problem(make: Any, data: st.DataObject) -> None:  # noqa: ANN401 - one of the above
    payload = make()
    body = payload["client_payload"]
    place = body if "involvedObject" in body else next(iter(body.values()))
    for name in data.draw(st.lists(st.sampled_from(sorted(place)), max_size=3)):
        place[name] = data.draw(JSON)
    try:
        observed = seen(payload)
    except EventError as error:
        problems = error.problems
        observed = None
    if observed is None:
        assert all(problem.startswith("client_payload.") for problem in problems)
        return
    for fact in observed.facts:
        assert ids.is_valid(fact.id)
        assert jsonl.decode_line(jsonl.encode_fact(fact)) == fact


def test_one_of_two_tools_is_not_chosen_silently() -> None:
    both = {**flagger_hook()["client_payload"], **argocd_sync()["client_payload"]}
    problem = "client_payload: expected `flagger` or `argocd`, not both; send two events"
    assert problems_of({"action": "dora-deployment", "client_payload": both}) == (problem,)


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        (flux_event(timestamp="1970-01-01T00:00:00Z"), "timestamp"),
        (argocd_sync(finishedAt="1970-01-01T00:00:00Z"), "argocd.finishedAt"),
        (flagger_hook(lastTransitionTime="1970-01-01T00:00:00Z"), "flagger.lastTransitionTime"),
    ],
)
def test_the_zero_time_of_a_program_is_no_end(payload: Payload, place: str) -> None:
    assert problems_of(payload) == (f"client_payload.{place}: expected the time of a deployment, which is after 1970",)


@pytest.mark.parametrize(
    ("gitops", "expected"),
    [
        ({}, ("acme/shop", "B")),
        ({"argocd/shop": {"repository": "acme/conf"}}, ("acme/conf", "A")),
        ({"argocd/shop": {"repository": "acme/pay", "commit": "revision"}}, ("acme/pay", "B")),
    ],
)
def test_of_several_git_sources_the_one_of_the_deployments_repository_counts(
    gitops: Mapping[str, object], expected: tuple[str, str]
) -> None:
    repositories = [f"https://github.com/acme/{name}" for name in ("conf", "shop")]
    made = only(argocd_sync(revisions=[sha("A"), sha("B")], repositories=repositories), gitops=gitops)
    assert (made.repository, made.sha) == (expected[0], sha(expected[1]))
