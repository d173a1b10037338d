"""As much of a Kubernetes API as `kubectl get` asks for: versions, discovery, and lists in pages."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Object = dict[str, Any]

KINDS = {
    ("source.toolkit.fluxcd.io", "v1", "gitrepositories"): "GitRepository",
    ("kustomize.toolkit.fluxcd.io", "v1", "kustomizations"): "Kustomization",
    ("helm.toolkit.fluxcd.io", "v2", "helmreleases"): "HelmRelease",
    ("flagger.app", "v1beta1", "canaries"): "Canary",
    ("argoproj.io", "v1alpha1", "applications"): "Application",
    ("argoproj.io", "v1alpha1", "rollouts"): "Rollout",
}
"""Group, version and plural of each kind that a cluster may have."""


@dataclass
class FakeKubernetes:
    """What a cluster has, and what it was asked.

    Attributes:
        objects: of all kinds.
        installed: the plurals of the kinds that it knows.
        forbidden: the plurals of those that nobody may list.
        paths: what was asked, in order.
    """

    objects: list[Object] = field(default_factory=list)
    installed: set[str] = field(default_factory=lambda: {plural for _, _, plural in KINDS})
    forbidden: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    def write_config(self, folder: Path) -> Path:
        """Write a kubeconfig that leads here."""
        cluster = {"name": "fake", "cluster": {"server": self.url}}
        context = {"name": "fake", "context": {"cluster": "fake", "user": "fake"}}
        config = {"clusters": [cluster], "contexts": [context], "users": [{"name": "fake", "user": {}}]}
        path = folder / "kubeconfig.yml"
        path.write_text(
            yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "fake", **config}), "utf-8"
        )
        return path

    def answer(self, path: str) -> tuple[int, object]:  # noqa: PLR0911 - one return for each kind of path
        """Return status and body of the answer to a GET."""
        self.paths.append(path)
        address = urlsplit(path)
        match address.path.strip("/").split("/"):
            case ["readyz"]:
                return 200, "ok"
            case ["version"]:
                return 200, {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
            case ["api"]:
                return 200, {"kind": "APIVersions", "versions": ["v1"]}
            case ["api", "v1"]:
                return 200, {"kind": "APIResourceList", "groupVersion": "v1", "resources": []}
            case ["apis"]:
                return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": self._groups()}
            case ["apis", group, version] if any(kind[:2] == (group, version) for kind in KINDS):
                return 200, self._resources(group, version)
            case ["apis", group, version, plural] if (group, version, plural) in KINDS:
                return self._list((group, version, plural), parse_qs(address.query))
            case _:
                return _failure(404, "NotFound")

    def _groups(self) -> list[Object]:
        versions = {group: version for group, version, _ in KINDS}
        preferred = {
            group: {"groupVersion": f"{group}/{version}", "version": version} for group, version in versions.items()
        }
        return [{"name": group, "versions": [each], "preferredVersion": each} for group, each in preferred.items()]

    def _resources(self, group: str, version: str) -> Object:
        resources = [
            {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
            for (of_group, of_version, plural), kind in KINDS.items()
            if (of_group, of_version) == (group, version) and plural in self.installed
        ]
        group_version = f"{group}/{version}"
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}

    def _list(self, key: tuple[str, str, str], query: Mapping[str, list[str]]) -> tuple[int, object]:
        group, version, plural = key
        if plural not in self.installed:
            return _failure(404, "NotFound")
        if plural in self.forbidden:
            return _failure(403, "Forbidden")
        items = [each for each in self.objects if each["kind"] == KINDS[key]]
        limit, start = int(query.get("limit", ["0"])[0]) or len(items), int(query.get("continue", ["0"])[0] or 0)
        end = start + limit
        rest = {"continue": str(end), "remainingItemCount": len(items) - end} if end < len(items) else {}
        metadata = {"resourceVersion": "1", **rest}
        page = {"apiVersion": f"{group}/{version}", "kind": f"{KINDS[key]}List", "metadata": metadata}
        return 200, {**page, "items": items[start:end]}


def _failure(status: int, reason: str) -> tuple[int, object]:
    message = f"the fake cluster answers {reason}"
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return status, {**body, "reason": reason, "code": status}


@contextmanager
def fake_kubernetes() -> Iterator[FakeKubernetes]:
    """Serve a cluster on a free loopback port."""
    cluster = FakeKubernetes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = cluster.answer(self.path)
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
