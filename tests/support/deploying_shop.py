"""acme/shop on a fake GitHub, whose deployments are recorded by events as they happen, and by a sync afterwards."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import copytree
from typing import Any, Literal

from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from fakes import rest_views
from fakes.github import FakeGitHub
from support.any_history import recorded_facts
from support.github_history import NOW
from support.runs import ActionRun, run_action

Source = Literal["deployments", "releases", "workflow-runs"]
_BASE = "https://api.github.com"


@dataclass
class DeployingShop:
    """The shop, and its ledgers below `folder`.

    `source` is what GitHub calls its deployments, `setting` what the input `deployment-source` says.
    """

    github: FakeGitHub
    folder: Path
    source: Source
    setting: str

    def __post_init__(self) -> None:
        self.repository = self.github.repository("acme/shop", empty=True)
        self.events: list[tuple[str, dict[str, Any], str]] = []

    def commit(self, name: str, parents: list[str], time: datetime, branch: str = "main") -> str:
        """Commit a file of this name."""
        return self.repository.commit(
            {f"{name}.txt": name},
            message=name,
            branch=branch,
            parents=parents,
            author_date=time,
            committer_date=time,
        )

    def deploy(self, sha: str, time: datetime, version: str) -> ActionRun:
        """Deploy a commit, and record the event in the ledger `events`."""
        name, payload = getattr(self, f"_{self.source.replace('-', '_')}_event")(sha, time, version)
        names = {"name": "shop", "full_name": "acme/shop", "default_branch": "main"}
        repository = {"id": self.repository.database_id, **names}
        self.events.append((name, {"repository": repository, **payload}, sha))
        return self.run("events", *self.events[-1])

    def sync(self, ledger: str) -> ActionRun:
        """Read the whole history into a ledger."""
        return self.run(ledger, "schedule", {"schedule": "17 5 * * *"})

    def run(self, ledger: str, event: str, payload: dict[str, Any], sha: str = "f" * 40) -> ActionRun:
        """Run the action."""
        folder = self.folder / ledger
        folder.mkdir(exist_ok=True)
        inputs = {"github-token": self.github.token, "report": "off", "since": "all", "deployment-source": self.setting}
        environment = {"GITHUB_API_URL": self.github.api_url, "GITHUB_SHA": sha}
        ran = run_action(folder, event, payload, inputs, now=NOW, environment=environment)
        assert ran.code == 0, ran.log
        return ran

    def copy_ledger(self, source: str, target: str) -> None:
        """Begin a ledger with the content of another one."""
        copytree(self.folder / source, self.folder / target)

    def facts(self, ledger: str) -> list[Fact]:
        """The facts of a ledger."""
        return recorded_facts(self.folder / ledger)

    def lead_times(self, ledger: str) -> dict[str, tuple[str | None, float]]:
        """By change (`#12`, or the title of a commit): the version that delivered it, and its hours."""
        (history,) = evaluate_facts(self.facts(ledger), Policy()).histories
        return {
            self._change_name(history.changes[each.change_id].title, each.change_id): (
                self._version(history.deployments_by_id[each.deployment_id]),
                each.seconds / 3600,
            )
            for each in history.lead_times.measured
        }

    @staticmethod
    def _change_name(title: str | None, change_id: str) -> str:
        return f"#{change_id.rpartition('#')[2]}" if "#" in change_id else str(title)

    @staticmethod
    def _version(deployment: Deployment) -> str | None:
        return deployment.version or deployment.ref

    def _deployments_event(self, sha: str, time: datetime, version: str) -> tuple[str, dict[str, Any]]:
        self.repository.tag(version, sha)
        made = self.repository.deployment(sha=sha, ref=version, at=time, finished_at=time)
        status = made.status_history[-1]
        return "deployment_status", {
            "deployment": rest_views.deployment(_BASE, made),
            "deployment_status": rest_views.deployment_status(_BASE, status),
        }

    def _releases_event(self, sha: str, time: datetime, version: str) -> tuple[str, dict[str, Any]]:
        made = self.repository.release(version, sha=sha, published_at=time)
        return "release", {"action": "published", "release": rest_views.release(_BASE, made)}

    def _workflow_runs_event(self, sha: str, time: datetime, version: str) -> tuple[str, dict[str, Any]]:
        made = self.repository.run("Deploy", sha=sha, branch=version, at=time, finished_at=time)
        workflow = {"name": made.name, "path": made.path}
        return "workflow_run", {
            "action": "completed",
            "workflow_run": rest_views.run(_BASE, made),
            "workflow": workflow,
        }
