"""What GitHub stores outside git: people, pull requests, deployments, releases, issues and workflow runs."""

import base64
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from fakes.repository import Repository

WEB = "https://github.com"


@dataclass(frozen=True)
class Actor:
    """A person, or a bot. A bot's name ends in `[bot]` in REST and in commits, but not in GraphQL."""

    name: str

    @property
    def typename(self) -> str:
        return "Bot" if self.name.endswith("[bot]") else "User"

    @property
    def login(self) -> str:
        return self.name.removesuffix("[bot]")

    @property
    def url(self) -> str:
        return f"{WEB}/apps/{self.login}" if self.typename == "Bot" else f"{WEB}/{self.login}"

    @property
    def email(self) -> str:
        return f"{self.name}@users.noreply.github.com"

    @property
    def database_id(self) -> int:
        return sum(self.name.encode())


@dataclass(frozen=True)
class Label:
    name: str
    typename = "Label"

    @property
    def id(self) -> str:
        return f"LA_{self.name}"

    color = "ededed"
    description = ""
    is_default = False


@dataclass
class Record:
    """Fields of every record: its repository, and the number that its node id is made of."""

    repository: "Repository"
    database_id: int
    created_at: datetime
    typename = "Record"
    prefix = "X"

    @property
    def id(self) -> str:
        return f"{self.prefix}_{self.database_id}"


@dataclass(frozen=True)
class Review:
    author: Actor | None
    submitted_at: datetime
    state: str
    database_id: int
    typename = "PullRequestReview"

    @property
    def id(self) -> str:
        return f"PRR_{self.database_id}"

    @property
    def created_at(self) -> datetime:
        return self.submitted_at


@dataclass(frozen=True)
class LabelEvent:
    """A label that was added to an issue or removed from it."""

    label: Label
    created_at: datetime
    added: bool

    @property
    def typename(self) -> str:
        return "LabeledEvent" if self.added else "UnlabeledEvent"

    @property
    def kind(self) -> str:
        return "LABELED_EVENT" if self.added else "UNLABELED_EVENT"


@dataclass
class Issue(Record):
    number: int
    title: str
    body: str
    labels: list[str]
    author: Actor | None
    updated_at: datetime
    closed_at: datetime | None = None
    state_reason: str | None = None
    label_events: list[LabelEvent] = field(default_factory=list)
    typename = "Issue"
    prefix = "I"
    path = "issues"

    @property
    def state(self) -> str:
        return "CLOSED" if self.closed_at else "OPEN"

    @property
    def closed(self) -> bool:
        return self.closed_at is not None

    @property
    def url(self) -> str:
        return f"{WEB}/{self.repository.name_with_owner}/{self.path}/{self.number}"


@dataclass
class PullRequest(Issue):
    head_ref_name: str = ""
    base_ref_name: str = ""
    head_ref_oid: str = ""
    base_ref_oid: str = ""
    shas: list[str] = field(default_factory=list)
    merged_at: datetime | None = None
    merged_by: Actor | None = None
    merge_commit_sha: str | None = None
    reviews: list[Review] = field(default_factory=list)
    is_draft: bool = False
    is_cross_repository: bool = False
    typename = "PullRequest"
    prefix = "PR"
    path = "pull"

    @property
    def state(self) -> str:
        return "MERGED" if self.merged_at else super().state

    @property
    def merged(self) -> bool:
        return self.merged_at is not None

    @property
    def permalink(self) -> str:
        return self.url


@dataclass
class DeploymentStatus(Record):
    deployment: "Deployment"
    state: str
    creator: Actor
    description: str = ""
    environment_url: str | None = None
    log_url: str | None = None
    typename = "DeploymentStatus"
    prefix = "DES"

    @property
    def updated_at(self) -> datetime:
        return self.created_at

    @property
    def environment(self) -> str:
        return self.deployment.environment


@dataclass
class Deployment(Record):
    commit_oid: str
    ref_name: str
    environment: str
    task: str
    creator: Actor
    payload: object
    description: str
    production: bool
    transient: bool
    status_history: list[DeploymentStatus] = field(default_factory=list)
    job: "Job | None" = None
    typename = "Deployment"
    prefix = "DE"

    @property
    def id(self) -> str:
        return packed_id(self)

    @property
    def latest_status(self) -> DeploymentStatus | None:
        return self.status_history[-1] if self.status_history else None

    @property
    def state(self) -> str:
        latest = self.latest_status.state if self.latest_status else "pending"
        return "ACTIVE" if latest == "success" else latest.upper()

    @property
    def updated_at(self) -> datetime:
        return self.latest_status.created_at if self.latest_status else self.created_at

    @property
    def latest_environment(self) -> str:
        return self.environment

    @property
    def original_environment(self) -> str:
        return self.environment


@dataclass
class Release(Record):
    """A release. `created_at` is the date of the tagged commit, as on GitHub; a draft has no `published_at`."""

    tag_name: str
    sha: str
    name: str
    description: str
    author: Actor
    published_at: datetime | None
    is_draft: bool
    is_prerelease: bool
    edited_at: datetime | None = None
    typename = "Release"
    prefix = "RE"

    @property
    def updated_at(self) -> datetime:
        return self.edited_at or self.published_at or self.created_at

    @property
    def url(self) -> str:
        return f"{WEB}/{self.repository.name_with_owner}/releases/tag/{self.tag_name}"


@dataclass
class Alert(Record):
    """A security alert of a kind: `dependabot`, `code-scanning`, `secret-scanning`.

    `subject` is the package, the rule, or the type of secret. `severity` None means that GitHub gives none.
    `resolution` is that of a closed secret.
    """

    kind: str
    number: int
    subject: str
    severity: str | None
    path: str
    ref: str
    updated_at: datetime
    state: str = "open"
    fixed_at: datetime | None = None
    dismissed_at: datetime | None = None
    resolution: str | None = None
    extra: dict[str, object] = field(default_factory=dict)
    typename = "Alert"
    prefix = "SA"

    @property
    def url(self) -> str:
        return f"{WEB}/{self.repository.name_with_owner}/security/{self.kind}/{self.number}"


@dataclass
class Job(Record):
    """An executed job of a workflow run: a check run. Its number is that of the check run."""

    run: "WorkflowRun"
    name: str
    attempt: int
    started_at: datetime
    conclusion: str | None
    typename = "CheckRun"
    prefix = "CR"

    @property
    def id(self) -> str:
        return packed_id(self)

    @property
    def url(self) -> str:
        return f"{self.run.url}/job/{self.database_id}"


def packed_id(record: Record) -> str:
    """A node id in GitHub's form: a MessagePack list of version, repository and number, in URL-safe base64."""
    content = msgspec.msgpack.encode([0, record.repository.database_id, record.database_id])
    return f"{record.prefix}_{base64.urlsafe_b64encode(content).decode().rstrip('=')}"


@dataclass
class WorkflowRun(Record):
    name: str
    path: str
    event: str
    head_sha: str
    head_branch: str
    status: str
    conclusion: str | None
    run_started_at: datetime
    updated_at: datetime
    run_attempt: int
    run_number: int
    earlier_attempts: list["WorkflowRun"] = field(default_factory=list)
    typename = "WorkflowRun"
    prefix = "WFR"

    @property
    def url(self) -> str:
        return f"{WEB}/{self.repository.name_with_owner}/actions/runs/{self.database_id}"
