"""The parts of GitHub's event payloads that are read; everything else is ignored.

A field is required only where nothing could be said without it. Schemas: @octokit/webhooks-schemas.
"""

from datetime import datetime

from dora_metrics.github.reading import Flag, Moment, Number, Payload, Text, Time


class Repository(Payload):
    """`pushed_at` is in seconds since 1970 in a push event, and a text elsewhere."""

    default_branch: Text
    pushed_at: Moment = None


class Action(Payload):
    """What all events with an action share."""

    action: Text | None = None


class DeploymentObject(Payload):
    id: Number
    sha: Text | None = None
    ref: Text | None = None
    task: Text | None = None
    environment: Text | None = None
    payload: object = None
    created_at: Time | None = None


class DeploymentStatus(Payload):
    state: Text
    created_at: Time
    updated_at: Time | None = None
    environment: Text | None = None
    target_url: Text | None = None
    log_url: Text | None = None
    environment_url: Text | None = None


class DeploymentEvent(Payload):
    deployment: DeploymentObject


class DeploymentStatusEvent(DeploymentEvent):
    deployment_status: DeploymentStatus


class HeadRepository(Payload):
    full_name: Text | None = None


class WorkflowRun(Payload):
    id: Number
    head_sha: Text
    updated_at: Time
    event: Text | None = None
    name: Text | None = None
    path: Text | None = None
    conclusion: Text | None = None
    head_branch: Text | None = None
    head_repository: HeadRepository | None = None
    run_started_at: Time | None = None
    html_url: Text | None = None


class Workflow(Payload):
    name: Text | None = None
    path: Text | None = None


class WorkflowRunEvent(Action):
    workflow_run: WorkflowRun
    repository: Repository
    workflow: Workflow | None = None


class Label(Payload):
    name: Text


class User(Payload):
    login: Text | None = None
    type: Text | None = None


class Branch(Payload):
    ref: Text


class PullRequest(Payload):
    number: Number
    base: Branch
    head: Branch | None = None
    merged: Flag | None = None
    merge_commit_sha: Text | None = None
    title: Text | None = None
    body: Text | None = None
    user: User | None = None
    labels: tuple[Label, ...] | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    closed_at: Time | None = None
    merged_at: Time | None = None
    html_url: Text | None = None


class PullRequestEvent(Action):
    pull_request: PullRequest
    repository: Repository


class Release(Payload):
    id: Number
    tag_name: Text
    draft: Flag = False
    prerelease: Flag = False
    published_at: Time | None = None
    html_url: Text | None = None


class ReleaseEvent(Action):
    release: Release


class Issue(Payload):
    number: Number
    created_at: Time
    updated_at: Time
    closed_at: Time | None = None
    state: Text | None = None
    state_reason: Text | None = None
    title: Text | None = None
    body: Text | None = None
    labels: tuple[Label, ...] | None = None
    pull_request: object = None
    html_url: Text | None = None


class OldIssue(Payload):
    created_at: Time
    body: Text | None = None


class IssueChanges(Payload):
    old_issue: OldIssue | None = None


class IssuesEvent(Action):
    issue: Issue
    label: Label | None = None
    changes: IssueChanges | None = None


class Alert(Payload):
    """What all security alerts share."""

    number: Number
    created_at: Time
    updated_at: Time | None = None
    state: Text | None = None
    html_url: Text | None = None

    @property
    def changed_at(self) -> datetime:
        """When it last changed; one that never did has no time of that."""
        return self.updated_at or self.created_at


class Package(Payload):
    name: Text | None = None


class Dependency(Payload):
    package: Package | None = None
    manifest_path: Text | None = None


class Rated(Payload):
    severity: Text | None = None


class DependabotAlert(Alert):
    dependency: Dependency | None = None
    security_vulnerability: Rated | None = None
    security_advisory: Rated | None = None
    fixed_at: Time | None = None
    dismissed_at: Time | None = None
    auto_dismissed_at: Time | None = None

    @property
    def package(self) -> str | None:
        found = self.dependency and self.dependency.package
        return found.name if found else None

    @property
    def path(self) -> str | None:
        """The file that asks for the package."""
        return self.dependency.manifest_path if self.dependency else None

    @property
    def severity(self) -> str | None:
        """Of the package in this version, else of the advisory."""
        rated = (self.security_vulnerability, self.security_advisory)
        return next((one.severity for one in rated if one and one.severity), None)


class Rule(Payload):
    id: Text | None = None
    name: Text | None = None
    security_severity_level: Text | None = None


class Location(Payload):
    path: Text | None = None


class Instance(Payload):
    ref: Text | None = None
    location: Location | None = None


class CodeScanningAlert(Alert):
    rule: Rule
    most_recent_instance: Instance | None = None
    fixed_at: Time | None = None
    dismissed_at: Time | None = None

    @property
    def path(self) -> str | None:
        """The file that it is about."""
        place = self.most_recent_instance and self.most_recent_instance.location
        return place.path if place else None


class SecretScanningAlert(Alert):
    """Without the secret, and without the raw name of its type."""

    secret_type_display_name: Text | None = None
    resolution: Text | None = None
    resolved_at: Time | None = None


class HeadCommit(Payload):
    timestamp: Time


class PushEvent(Payload):
    ref: Text
    after: Text
    repository: Repository
    deleted: Flag = False
    head_commit: HeadCommit | None = None


class DispatchEvent(Action):
    client_payload: dict[str, object] | None = None
