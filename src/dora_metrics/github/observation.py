"""The two ends of the mapping: the run that we are in, and what its event says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dora_metrics.core.facts.model import Deployment, Fact, Incident


@dataclass(frozen=True)
class Run:
    """The workflow run that we are in; `now` is when the shell looked at the clock."""

    event: str
    repository: str
    now: datetime
    sha: str = ""
    ref: str = ""
    run_id: str = ""
    server_url: str = "https://github.com"
    workflow: str = ""

    @property
    def is_manual(self) -> bool:
        """Whether a person has started it: in GitHub's Actions, or on a command line."""
        return self.event == "workflow_dispatch"

    @property
    def repository_url(self) -> str:
        """Page of the repository."""
        return f"{self.server_url.rstrip('/')}/{self.repository}"


@dataclass(frozen=True)
class Observation:
    """Facts of one event. `title` is one sentence on what it was, or why there is nothing to record.

    `files`: what the ledger should remember besides.
    """

    facts: tuple[Fact, ...]
    title: str
    notes: tuple[str, ...] = ()
    ledger_files: Mapping[str, bytes] = field(default_factory=dict)


def nothing_to_record(reason: str) -> Observation:
    return Observation((), f"Nothing to record: {reason}")


_STATUS_PHRASES = {"success": "succeeded", "failure": "failed", "cancelled": "was cancelled"}


def deployment_observation(deployment: Deployment, notes: tuple[str, ...] = ()) -> Observation:
    deployment_name = deployment.version or (deployment.sha or "")[:7] or deployment.ref or deployment.id
    environment = deployment.environment or "an environment without a name"
    return Observation(
        (deployment,), f"Deployment of {deployment_name} to {environment} {_STATUS_PHRASES[deployment.status]}", notes
    )


def incident_state(incident: Incident) -> str:
    """How an incident stands, as the end of a sentence."""
    if incident.retracted:
        return "is withdrawn"
    return "was resolved" if incident.resolved_at else "is open"
