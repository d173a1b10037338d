"""Objects in a cluster as their controllers leave them, and what a ledger learns from reading them again and again."""

import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.gitops.deployments import NewDeployments, new_deployments
from dora_metrics.core.gitops.targets import GitOpsTargets
from dora_metrics.sources.kubernetes.files import read_stream
from dora_metrics.sources.kubernetes.read import ClusterReading, read_cluster
from support.facts import at, sha

Object = dict[str, Any]

_HISTORY_SIZE = 5
"""Snapshots that kustomize-controller keeps."""


def time_text(time: str) -> str:
    """A time as Kubernetes writes it: `03-05T12:00` is in 2024."""
    return at(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def revision(name: str) -> str:
    """A revision of the branch main."""
    return f"main@sha1:{sha(name)}"


@dataclass
class FluxKustomization:
    """A Kustomization of Flux 2.7, with the history that kustomize-controller 1.7 keeps."""

    name: str = "shop"
    namespace: str = "flux-system"
    source: str = "GitRepository"
    history: list[Object] = field(default_factory=list)
    status: Object = field(default_factory=dict)
    spec: Object = field(default_factory=dict)
    generation: int = 1

    def reconcile(
        self, commit: str, time: str, *, manifests: str = "", outcome: str = "ReconciliationSucceeded", origin: str = ""
    ) -> None:
        """Apply the manifests of a commit; by default each commit has its own."""
        metadata = {"revision": revision(commit), **({"originRevision": origin} if origin else {})}
        self._upsert(f"sha256:{manifests or commit}", time_text(time), outcome, metadata)
        has_succeeded = outcome == "ReconciliationSucceeded"
        self._set_ready("True" if has_succeeded else "False", outcome, time)
        self.status["lastAttemptedRevision"] = revision(commit)
        if has_succeeded:
            self.status |= {"lastAppliedRevision": revision(commit), "lastAppliedOriginRevision": origin}
            self.status["observedGeneration"] = self.generation

    def wait(self, reason: str, time: str, status: str = "False") -> None:
        """Be in a state in which nothing was applied."""
        self._set_ready(status, reason, time)

    def _set_ready(self, status: str, reason: str, time: str) -> None:
        condition = {"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": time_text(time)}
        self.status["conditions"] = [{**condition, "observedGeneration": self.generation}]

    def _upsert(self, digest: str, time: str, outcome: str, metadata: dict[str, str]) -> None:
        for snapshot in self.history:
            if (snapshot["digest"], snapshot["lastReconciledStatus"]) == (digest, outcome):
                total = snapshot["totalReconciliations"] + 1
                snapshot |= {"lastReconciled": time, "totalReconciliations": total, "metadata": metadata}
                self.history.remove(snapshot)
                break
        else:
            snapshot = {
                "digest": digest,
                "firstReconciled": time,
                "lastReconciled": time,
                "lastReconciledDuration": "1.5s",
                "lastReconciledStatus": outcome,
                "totalReconciliations": 1,
                "metadata": metadata,
            }
        self.history = [snapshot, *self.history][:_HISTORY_SIZE]

    @property
    def object(self) -> Object:
        """The object as kubectl prints it."""
        made: Object = {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": self.name, "namespace": self.namespace, "generation": self.generation},
            "spec": {"sourceRef": {"kind": self.source, "name": "config"}, **self.spec},
            "status": {**self.status, "history": self.history},
        }
        return deepcopy(made)

    @property
    def object_without_history(self) -> Object:
        """The object of an older Flux."""
        made = self.object
        del made["status"]["history"]
        return made


@dataclass
class FluxHelmRelease:
    """A HelmRelease with its history of releases."""

    name: str = "shop"
    namespace: str = "apps"
    history: list[Object] = field(default_factory=list)

    def release(self, chart_version: str, time: str, status: str = "deployed", **fields: object) -> None:
        """Install, upgrade or roll back; the release before becomes `superseded` if it was deployed."""
        if status == "deployed":
            for each in self.history:
                each["status"] = "superseded" if each["status"] == "deployed" else each["status"]
        made = {
            "chartName": "shop",
            "chartVersion": chart_version,
            "configDigest": "sha256:0",
            "digest": "sha256:1",
            "firstDeployed": time_text("01-01"),
            "lastDeployed": time_text(time),
            "name": "shop",
            "namespace": "apps",
            "version": len(self.history) + 1,
            "status": status,
        }
        self.history.insert(0, {**made, **fields})

    @property
    def object(self) -> Object:
        """The object as kubectl prints it."""
        return {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "status": {"history": self.history},
        }


@dataclass
class ArgoApplication:
    """An Application of Argo CD with a history of at most ten syncs."""

    name: str = "shop"
    namespace: str = "argocd"
    url: str = "https://github.com/acme/shop.git"
    history: list[Object] = field(default_factory=list)
    operation: Object = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    synced: int = 0

    def sync(self, commit: str, time: str, **fields: object) -> None:
        """Sync a commit successfully."""
        source = {"repoURL": self.url, "path": "deploy", "targetRevision": "main"}
        item = {"id": self.synced, "revision": sha(commit), "deployedAt": time_text(time), "source": source}
        self.history = [*self.history, {**item, "deployStartedAt": time_text(time), **fields}][-10:]
        self.operation = {"phase": "Succeeded", "startedAt": time_text(time), "finishedAt": time_text(time)}
        self.synced += 1

    def fail(self, commit: str, time: str, phase: str = "Failed", **sync: Any) -> None:  # noqa: ANN401 - any field
        """Fail to sync a commit."""
        result = {"revision": sha(commit), "source": {"repoURL": self.url}, "resources": [_SYNCED_RESOURCE]}
        times = {"startedAt": time_text(time), "finishedAt": time_text(time)}
        self.operation = {"phase": phase, **times, "operation": {"sync": sync}, "syncResult": result}

    @property
    def object(self) -> Object:
        """The object as kubectl prints it."""
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "status": {
                "history": self.history,
                "operationState": self.operation,
                "summary": {"images": self.images},
            },
        }


_SYNCED_RESOURCE = {"kind": "Deployment", "name": "shop", "status": "Synced", "syncPhase": "Sync"}


def canary(spec: str, time: str, phase: str = "Succeeded", **status: object) -> Object:
    """A Canary of Flagger whose analysis of a spec ended; its status was written again an hour later."""
    outcome = {"Succeeded": "True", "Failed": "False"}.get(phase, "Unknown")
    written_at = at(time).replace(hour=(at(time).hour + 1) % 24).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "Promoted", "status": outcome, "reason": phase, "lastTransitionTime": time_text(time)}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "shop", "namespace": "apps"},
        "status": {
            "phase": phase,
            "failedChecks": 0,
            "lastAppliedSpec": spec,
            "lastTransitionTime": written_at,
            "conditions": [condition],
            **status,
        },
    }


def rollout(pods: str, stable: str, **status: object) -> Object:
    """A Rollout of Argo Rollouts with the hashes of its newest and its stable pods."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "apps", "generation": 3},
        "spec": {
            "strategy": {"canary": {"steps": [{"setWeight": 20}]}},
            "template": {"spec": {"containers": [{"name": "shop", "image": f"registry.example/shop:sha-{pods}"}]}},
        },
        "status": {"currentPodHash": pods, "stableRS": stable, "observedGeneration": "3", **status},
    }


def condition(name: str, status: str, reason: str, time: str) -> Object:
    """A condition in a status."""
    return {"type": name, "status": status, "reason": reason, "lastTransitionTime": time_text(time)}


def git_repository(url: str, name: str = "config", namespace: str = "flux-system") -> Object:
    """A GitRepository of Flux."""
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"url": url},
        "status": {},
    }


def kubectl_list(*objects: Object, **metadata: object) -> bytes:
    """What `kubectl get -o json` prints."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": objects}).encode()


def read_objects(*objects: Object, asked_at: datetime | None = None) -> ClusterReading:
    """Read objects as a file of kubectl."""
    file = read_stream("cluster.json", BytesIO(kubectl_list(*objects)))
    assert not file.problem
    return read_cluster(file.objects, asked_at or at("12-31"), "https://github.com")


@dataclass
class ReadLedger:
    """What a ledger learns from reading a cluster."""

    deployments: list[Deployment] = field(default_factory=list)

    def read(self, *objects: Object, asked_at: str = "12-31") -> NewDeployments:
        """Read objects, and record what is new."""
        occurrences = read_objects(*objects, asked_at=at(asked_at)).occurrences
        return self.record(new_deployments(occurrences, self.deployments, GitOpsTargets(), "acme/shop"))

    def record(self, new: NewDeployments) -> NewDeployments:
        """Record new deployments."""
        self.deployments += new.deployments
        return new

    @property
    def rollouts(self) -> list[tuple[str, str, str]]:
        """Time, revision or version, and result of each, in order of time."""
        return [_summary(each) for each in sorted(self.deployments, key=lambda deployment: deployment.finished_at)]


def _summary(deployment: Deployment) -> tuple[str, str, str]:
    name = deployment.version or next((name for name in _NAMES if sha(name) == deployment.sha), deployment.sha or "")
    return f"{deployment.finished_at:%m-%dT%H:%M}", name, deployment.status


_NAMES = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


def every_ten_minutes(start: str, count: int) -> Iterable[str]:
    """Times as `FluxKustomization.reconcile` takes them."""
    first = at(start)
    return [f"{first + (at('01-01T00:10') - at('01-01')) * number:%m-%dT%H:%M}" for number in range(count)]
