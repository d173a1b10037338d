"""acme/shop with a history on a fake GitHub, a cluster that runs it, and runs that read files of that cluster."""

import json
import os
from collections.abc import Iterator, Mapping
from copy import copy
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from dora_metrics.core.facts.jsonl import encode_fact
from dora_metrics.sources import fact_files
from fakes.github import FakeGitHub
from support.cluster import Object, kubectl_list
from support.runs import ActionRun, run_action, write_settings

START = datetime.fromisoformat("2026-11-16T00:00:00+00:00")
FILE = "cluster.json"


def hours(number: float) -> datetime:
    """A time after the start."""
    return START + timedelta(hours=number)


def cluster_time(number: float) -> str:
    """The same as objects have it."""
    return f"{hours(number):%Y-%m-%dT%H:%M:%S}"


class GitOpsShop:
    """A repository whose pull requests are deployed by a GitOps tool."""

    def __init__(self, github: FakeGitHub, folder: Path) -> None:
        self.github, self.folder = github, folder
        self.settings: dict[str, object] = {}
        self.repository = github.repository("acme/shop", empty=True)
        self.first = self.repository.commit({"README.md": "shop"}, message="Begin", author_date=hours(0))

    def in_folder(self, folder: Path) -> "GitOpsShop":
        """The same repository with runs in another workspace."""
        other = copy(self)
        other.folder = folder
        return other

    def merge(self, title: str, opened_at: float, merged_at: float) -> str:
        """Merge a pull request whose only commit is as old as it; return the commit on the default branch."""
        made = self.repository.pull(title, files={f"{title}.txt": title}, created_at=hours(opened_at))
        self.repository.merge_pull(made, method="squash", at=hours(merged_at))
        return self.repository.head() or ""

    def write_cluster(self, *objects: Object, name: str = FILE, at: float = 100_000) -> None:
        """Do what the step before the action does, so many hours after the start; by default right before the run."""
        path = self.folder / name
        path.write_bytes(kubectl_list(*objects))
        os.utime(path, (hours(at).timestamp(), hours(at).timestamp()))

    def run(
        self,
        event: str = "schedule",
        payload: Mapping[str, object] | None = None,
        *,
        at: float = 100,
        environment: Mapping[str, str] | None = None,
        **inputs: Any,  # noqa: ANN401 - any input
    ) -> ActionRun:
        """Run the action so many hours after the start."""
        given = {"kubernetes": FILE, "github-token": self.github.token, **_with_hyphens(inputs)}
        configured = write_settings(self.folder, json.dumps(self.settings))
        environment = {"GITHUB_API_URL": self.github.api_url, **(environment or {})}
        event_payload = payload if payload is not None else {"schedule": "17 5 * * *"}
        return run_action(
            self.folder, event, event_payload, {**configured, **given}, now=hours(at), environment=environment
        )

    def dispatch(self, client_payload: Mapping[str, object], kind: str, *, at: float, **inputs: Any) -> ActionRun:  # noqa: ANN401 - as above
        """Run the action on an event that a GitOps tool pushes."""
        payload = {"action": kind, "client_payload": client_payload}
        return self.run("repository_dispatch", payload, at=at, **inputs)

    def facts(self, kind: str = "deployment") -> list[dict[str, Any]]:
        """The newest record of each fact of a kind, in order of their ids."""
        if not (self.folder / "ledger").exists():
            return []
        facts = fact_files.read(str(self.folder / "ledger"), BytesIO()).facts
        records = (json.loads(encode_fact(fact)) for fact in facts)
        return sorted((record for record in records if record["kind"] == kind), key=lambda record: record["id"])


def _with_hyphens(inputs: Mapping[str, object]) -> dict[str, object]:
    return {name.replace("_", "-"): value for name, value in inputs.items()}


@pytest.fixture
def gitops_shop(tmp_path: Path) -> Iterator[GitOpsShop]:
    folder = tmp_path / "workspace"
    folder.mkdir()
    with FakeGitHub(now=lambda: hours(100)) as github:
        yield GitOpsShop(github, folder)
