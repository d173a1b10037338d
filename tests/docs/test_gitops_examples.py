"""The files in examples/gitops/ send what is recorded: the template, the webhook's command and the alerts are run."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dora_metrics.core.facts.model import Deployment
from support.events import Payload, at, deployment, observe_event
from support.facts import sha
from support.gitops_events import flux_event
from support.go_template import render
from support.paths import ROOT
from support.servers import listen
from support.tools import require_tool

FOLDER = ROOT / "examples" / "gitops"
SHA = sha("A")
FILES = sorted(FOLDER.glob("*.yml"))


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


def recorded(body: Mapping[str, Any]) -> Deployment:
    """The deployment that is recorded from the body of a dispatch."""
    return deployment(observe_event("repository_dispatch", dispatch(body)))


def dispatch(body: Mapping[str, Any]) -> Payload:
    assert body.keys() == {"event_type", "client_payload"}
    assert len(body["client_payload"]) <= 10, "GitHub accepts no more keys"
    return {"action": body["event_type"], "client_payload": body["client_payload"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_tokens_are_placeholders_in_secrets(path: Path) -> None:
    secrets = [each for each in documents(path.name) if each.get("kind") == "Secret"]
    assert secrets
    assert all("TOKEN" in value for each in secrets for value in each["stringData"].values())
    assert path.read_text("utf-8").count("TOKEN") == len(secrets)


# --- Flux ---


def test_flux_sends_to_the_repository_with_the_token_of_the_secret() -> None:
    secret, provider, *alerts = documents("flux.yml")
    assert provider["spec"]["type"] == "githubdispatch"
    assert provider["spec"]["secretRef"]["name"] == secret["metadata"]["name"]
    assert {alert["spec"]["providerRef"]["name"] for alert in alerts} == {provider["metadata"]["name"]}
    assert [alert["spec"]["eventSeverity"] for alert in alerts] == ["info", "error"]


@pytest.mark.parametrize(
    ("message", "is_sent"),
    [
        ("Health check passed in 10.4s", True),
        ("Helm install succeeded for release apps/shop.v1 with chart shop@6.6.1", True),
        ("Helm upgrade succeeded for release apps/shop.v2 with chart shop@6.6.2", True),
        ("Helm rollback to previous release apps/shop.v1 with chart shop@6.6.1 succeeded", True),
        ("Helm test succeeded for release apps/shop.v2 with chart shop@6.6.2: no test hooks", False),
        ("Helm uninstall succeeded for release apps/shop.v2 with chart shop@6.6.2", False),
        ("Deployment/apps/shop configured", False),
        ("stored artifact for commit 'Health check passed'", False),
    ],
)
def test_only_the_ends_of_rollouts_start_a_run(message: str, is_sent: bool) -> None:  # noqa: FBT001 - a row of the table
    patterns = documents("flux.yml")[2]["spec"]["inclusionList"]
    assert any(re.search(pattern, message) for pattern in patterns) is is_sent


def test_what_the_alert_adds_is_the_environment() -> None:
    for alert in documents("flux.yml")[2:]:
        assert observe_event("repository_dispatch", flux_event(metadata=alert["spec"]["eventMetadata"])).facts


# --- Argo CD ---


def application(**status: object) -> dict[str, Any]:
    """An Application as the template gets it."""
    source = {"repoURL": "https://github.com/acme/shop.git", "path": "deploy"}
    state = {
        "phase": "Succeeded",
        "startedAt": "2026-11-21T10:59:00Z",
        "finishedAt": "2026-11-21T11:00:00Z",
        "operation": {"sync": {"revision": SHA}},
        "syncResult": {"revision": SHA, "source": source, "resources": [{"status": "Synced", "syncPhase": "Sync"}]},
        **status,
    }
    summary = {"images": ['registry.example/acme/shop:"v1"']}
    return {
        "app": {
            "metadata": {"namespace": "argocd", "name": "shop"},
            "status": {"operationState": state, "summary": summary},
        },
        "context": {"argocdUrl": "https://argocd.example"},
    }


def sent_by_argocd(data: Mapping[str, Any]) -> dict[str, Any]:
    webhook = yaml.safe_load(documents("argocd.yml")[1]["data"]["template.dora"])["webhook"]["dora"]
    assert (webhook["method"], webhook["path"]) == ("POST", "/repos/OWNER/REPO/dispatches")
    body: dict[str, Any] = json.loads(render(webhook["body"], data))
    return body


def test_the_template_of_argo_cd_is_a_deployment_of_the_sync() -> None:
    made = recorded(sent_by_argocd(application()))
    assert made.id == f"argocd:argocd/shop:{SHA}:2026-11-21T11:00:00Z"
    assert (made.repository, made.service, made.environment, made.sha) == ("acme/shop", "shop", "production", SHA)
    assert (made.started_at, made.finished_at) == (at("21T10:59"), at("21T11:00"))
    assert made.url == "https://argocd.example/applications/argocd/shop"


def test_a_failure_reached_users_if_a_resource_was_applied() -> None:
    failed = recorded(sent_by_argocd(application(phase="Failed")))
    assert (failed.status, failed.reached_users) == ("failure", True)
    untouched = {"revision": SHA, "resources": [{"status": "SyncFailed", "syncPhase": "PreSync"}]}
    assert not recorded(sent_by_argocd(application(phase="Failed", syncResult=untouched))).reached_users


def test_a_failure_before_the_sync_is_of_the_revision_that_was_requested() -> None:
    failed = recorded(sent_by_argocd(application(phase="Error", syncResult=None)))
    assert (failed.status, failed.reached_users, failed.id) == (
        "failure", False, f"argocd:argocd/shop:{SHA}:2026-11-21T11:00:00Z"
    )  # fmt: skip


def test_several_sources_have_their_revisions_and_repositories() -> None:
    sources = [{"chart": "shop", "repoURL": "https://charts.example"}, {"repoURL": "https://github.com/acme/values"}]
    made = recorded(
        sent_by_argocd(application(syncResult={"revision": "", "revisions": ["1.2.3", SHA], "sources": sources}))
    )
    assert (made.repository, made.version, made.sha) == ("acme/values", "1.2.3", SHA)


@pytest.mark.parametrize("sync", [{"revision": SHA, "dryRun": True}, {"revision": SHA, "resources": [{"kind": "Job"}]}])
def test_a_trial_or_a_part_is_no_deployment(sync: object) -> None:
    body = sent_by_argocd(application(operation={"sync": sync}))
    assert not observe_event("repository_dispatch", dispatch(body)).facts


def test_the_trigger_tells_of_every_end_once() -> None:
    """By the revision, a return to an older one would stay silent."""
    conditions = yaml.safe_load(documents("argocd.yml")[1]["data"]["trigger.dora"])
    assert {condition["oncePer"] for condition in conditions} == {"app.status.operationState.finishedAt"}
    assert {template for condition in conditions for template in condition["send"]} == {"dora"}
    secret, config = documents("argocd.yml")
    headers = yaml.safe_load(config["data"]["service.webhook.dora"])["headers"]
    (key,) = secret["stringData"]
    assert f"Bearer ${key}" in {header["value"] for header in headers}


# --- Flagger ---

KUBECTL = """#!/usr/bin/env bash
[ "$*" = "--namespace apps get canary shop --output json" ] && cat "$CANARY"
"""


def sent_by_flagger(folder: Path, phase: str) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Run the command of the webhook with a cluster in a file; return body and headers of what it sends."""
    condition = {"type": "Promoted", "status": "True", "lastTransitionTime": "2026-11-21T11:00:00Z", "reason": phase}
    canary = {
        "metadata": {"namespace": "apps", "name": "shop"},
        "status": {"phase": phase, "lastAppliedSpec": "765c47b8f7", "conditions": [condition]},
    }
    (folder / "canary.json").write_text(json.dumps(canary), "utf-8")
    (folder / "header").write_text("Authorization: Bearer t0ken", "utf-8")
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL, "utf-8")
    kubectl.chmod(0o755)
    (webhook,) = documents("flagger.yml")[2]["spec"]["analysis"]["webhooks"]
    with listen() as github:
        command = webhook["metadata"]["cmd"].replace("https://api.github.com", github.url.rstrip("/"))
        command = command.replace("/etc/dora/header", str(folder / "header"))
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CANARY": str(folder / "canary.json")}
        subprocess.run([str(require_tool("bash")), "-c", command], env=environment, check=True, timeout=60)
        (request,) = github.requests
    assert request.path == "/repos/OWNER/REPO/dispatches"
    return json.loads(request.body), request.headers


@pytest.mark.parametrize(("phase", "status"), [("Succeeded", "success"), ("Failed", "failure")])
def test_the_command_of_the_webhook_sends_the_end_of_a_canary(tmp_path: Path, phase: str, status: str) -> None:
    for tool in ("jq", "curl"):
        require_tool(tool)
    body, headers = sent_by_flagger(tmp_path, phase)
    made = recorded(body)
    assert made.id == "flagger:apps/shop:765c47b8f7:2026-11-21T11:00:00Z"
    assert (made.status, made.reached_users, made.environment) == (status, status == "failure", "production")
    assert headers["Authorization"] == "Bearer t0ken"


def test_the_load_tester_reads_canaries_and_has_the_token_as_a_file() -> None:
    secret, values, canary = documents("flagger.yml")
    (rule,) = values["rbac"]["rules"]
    assert rule == {"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["get"]}
    (volume,) = values["volumes"]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]
    (mount,) = values["volumeMounts"]
    (file,) = secret["stringData"]
    (webhook,) = canary["spec"]["analysis"]["webhooks"]
    assert f"@{mount['mountPath']}/{file}" in webhook["metadata"]["cmd"]
    assert webhook["type"] == "post-rollout"
