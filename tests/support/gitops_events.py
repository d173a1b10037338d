"""What Flux, Flagger and Argo CD send: the smallest events; a test passes the fields that it is about."""

from collections.abc import Mapping
from typing import Any

from support.facts import sha

Payload = dict[str, Any]


def flux_event(
    name: str = "A",
    reason: str = "ReconciliationSucceeded",
    metadata: Mapping[str, object] | None = None,
    **fields: object,
) -> Payload:
    """A `repository_dispatch` about the Kustomization flux-system/apps at the commit with this name."""
    event: Payload = {
        "involvedObject": {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "name": "apps",
            "namespace": "flux-system",
            "uid": "7d0cdc51-ddcf-4743-b223-83ca5c699632",
            "resourceVersion": "84071",
        },
        "severity": "info",
        "timestamp": "2026-11-21T11:00:00Z",
        "message": "Reconciliation finished in 1.2s, next run in 10m0s",
        "reason": reason,
        "metadata": {"revision": f"main@sha1:{sha(name)}", **(metadata or {})},
        "reportingController": "kustomize-controller",
        "reportingInstance": "kustomize-controller-7b7b47f459-5xj4p",
        **fields,
    }
    about = event["involvedObject"]
    return {"action": f"{about['kind']}/{about['name']}.{about['namespace']}", "client_payload": event}


def helm_event(reason: str = "UpgradeSucceeded", **fields: object) -> Payload:
    """A `repository_dispatch` about the HelmRelease apps/shop, at chart version 6.6.1."""
    about = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "name": "shop", "namespace": "apps"}
    metadata = {"revision": "6.6.1", "app-version": "2.4.0", "oci-digest": "sha256:0cc9a844"}
    usual: Payload = {"involvedObject": about, "reportingController": "helm-controller", "metadata": metadata}
    event = flux_event(reason=reason, message="Helm upgrade succeeded for release apps/shop.v2 with chart shop@6.6.1")
    payload = {**event["client_payload"], **usual, **fields}
    return {"action": "HelmRelease/shop.apps", "client_payload": payload}


def flagger_hook(phase: str = "Succeeded", **fields: object) -> Payload:
    """A dispatch of what the webhook in examples/gitops/flagger.yml sends about the canary apps/shop."""
    canary = {"name": "shop", "namespace": "apps", "phase": phase, "lastAppliedSpec": "765c47b8f7"}
    ended = {"lastTransitionTime": "2026-11-21T11:00:00Z"}
    return {"action": "dora-deployment", "client_payload": {"flagger": {**canary, **ended, **fields}}}


def argocd_sync(phase: str = "Succeeded", name: str = "A", **fields: object) -> Payload:
    """A dispatch of what the template in examples/gitops/argocd.yml sends about the Application argocd/shop."""
    sync = {
        "name": "shop",
        "namespace": "argocd",
        "phase": phase,
        "startedAt": "2026-11-21T10:59:00Z",
        "finishedAt": "2026-11-21T11:00:00Z",
        "revisions": [sha(name)],
        "repositories": ["https://github.com/acme/shop.git"],
        "images": ["registry.example/acme/shop:v1"],
        "applied": phase == "Succeeded",
        "url": "https://argocd.example/applications/shop",
    }
    return {"action": "dora-deployment", "client_payload": {"argocd": {**sync, **fields}}}
