"""Models of the parts of event payloads that are read; all other fields are ignored.

A field is required only if the event means nothing without it. Schemas: @octokit/webhooks-schemas. Problems never quote
a value, since payloads come from strangers.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dora_metrics.core import windows
from dora_metrics.errors import EventError
from dora_metrics.github import text


def _parse_time(value: object) -> object:
    """Parse a time; the error shows a valid one."""
    try:
        return windows.parse_instant(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("a time such as 2026-11-21T12:00:00Z") from None


def _parse_time_or_none(value: object) -> datetime | None:
    """Parse a time given as text or as seconds since 1970; None if it is neither."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return windows.parse_instant(datetime.fromtimestamp(value, UTC).isoformat())
        return windows.parse_instant(value if isinstance(value, str) else "")
    except (ValueError, OverflowError, OSError):
        return None


PayloadText = Annotated[str, BeforeValidator(text.remove_unstorable)]
PayloadNumber = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
PayloadId = Annotated[int, Field(strict=True, ge=0, lt=10**40)]
"""The number of a deployment, release, run or job. It is kept as text, so it may be longer than 64 bits."""
PayloadFlag = Annotated[bool, Field(strict=True)]
PayloadTime = Annotated[datetime, BeforeValidator(_parse_time)]
LenientTime = Annotated[datetime | None, BeforeValidator(_parse_time_or_none)]


class Payload(BaseModel):
    """Base of all payload models."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _missing_as_null(cls, data: object) -> object:
        """Set missing required fields to null, so that the problem names the expected type."""
        if not isinstance(data, Mapping):
            return data
        return {**{name: None for name, field in cls.model_fields.items() if field.is_required()}, **data}


PayloadT = TypeVar("PayloadT", bound=Payload)


def parse_payload(model: type[PayloadT], payload: Mapping[str, object], prefix: str = "") -> PayloadT:
    """Return the payload as a model; `prefix` precedes the names of fields in problems, such as `client_payload.`.

    Raises:
        EventError: one problem per invalid field, with the expected type and the actual one.
    """
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    raise EventError(
        [prefix + _problem_text(payload, detail["loc"], detail["type"], detail.get("ctx", {})) for detail in details]
    )


_EXPECTED_TYPES = {
    "string_type": "a string",
    "int_type": "a whole number",
    "greater_than_equal": "a whole number of 0 or more",
    "less_than": "a smaller number",
    "bool_type": "true or false",
    "model_type": "an object",
    "string_too_short": "a string that is not empty",
    "string_too_long": "a shorter string",
    "dict_type": "an object",
    "tuple_type": "a list",
}


def _problem_text(payload: object, location: Sequence[str | int], kind: str, context: Mapping[str, object]) -> str:
    """Describe one invalid field."""
    match kind:
        case "value_error":
            expected = str(context["error"])
        case "literal_error":
            expected = "one of " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
        case _:
            expected = _EXPECTED_TYPES.get(kind, "something else")
    return f"{'.'.join(map(str, location))}: expected {expected}, but {_value_text(payload, location)}"


def _value_text(payload: object, location: Sequence[str | int]) -> str:
    """Describe the value at a location by its type only: the value may be a secret."""
    for step in location:
        match payload:
            case Mapping() if step in payload:
                payload = payload[step]
            case list() if isinstance(step, int):
                payload = payload[step]
            case _:
                return "it is missing"
    return f"it is {_TYPE_NAMES.get(type(payload), 'something else')}"


_TYPE_NAMES = {
    type(None): "null",
    bool: "true or false",
    int: "another number",
    float: "another number",
    str: "another string",
    list: "a list",
    dict: "an object",
}


FLAGGER_KEY, ARGO_CD_KEY = "flagger", "argocd"
"""The keys of a `client_payload` whose value is what these tools say about a rollout."""


class RepositoryPayload(Payload):
    """`pushed_at` is in seconds since 1970 in a push event, and a text elsewhere."""

    default_branch: PayloadText
    pushed_at: LenientTime = None


class ActionEvent(Payload):
    """Base of all events that have an action."""

    action: PayloadText | None = None


class DeploymentPayload(Payload):
    id: PayloadId
    sha: PayloadText | None = None
    ref: PayloadText | None = None
    task: PayloadText | None = None
    environment: PayloadText | None = None
    payload: object = None
    created_at: PayloadTime | None = None


class DeploymentStatusPayload(Payload):
    state: PayloadText
    created_at: PayloadTime
    updated_at: PayloadTime | None = None
    environment: PayloadText | None = None
    target_url: PayloadText | None = None
    log_url: PayloadText | None = None
    environment_url: PayloadText | None = None


class DeploymentEvent(Payload):
    deployment: DeploymentPayload


class CheckRunPayload(Payload):
    """The job that made a deployment."""

    id: PayloadId | None = None
    name: PayloadText | None = None
    started_at: PayloadTime | None = None
    conclusion: PayloadText | None = None


class DeployingRunPayload(Payload):
    """The workflow run that made a deployment."""

    id: PayloadId | None = None
    run_attempt: PayloadId | None = None
    event: PayloadText | None = None
    name: PayloadText | None = None
    conclusion: PayloadText | None = None


class WorkflowPayload(Payload):
    name: PayloadText | None = None
    path: PayloadText | None = None


class DeploymentStatusEvent(DeploymentEvent):
    """`check_run`, `workflow_run` and `workflow` are null for a deployment that no job made."""

    deployment_status: DeploymentStatusPayload
    check_run: CheckRunPayload | None = None
    workflow_run: DeployingRunPayload | None = None
    workflow: WorkflowPayload | None = None


class HeadRepositoryPayload(Payload):
    id: PayloadNumber | None = None
    full_name: PayloadText | None = None


class WorkflowRunPayload(Payload):
    id: PayloadId
    head_sha: PayloadText
    updated_at: PayloadTime
    event: PayloadText | None = None
    name: PayloadText | None = None
    path: PayloadText | None = None
    conclusion: PayloadText | None = None
    head_branch: PayloadText | None = None
    head_repository: HeadRepositoryPayload | None = None
    run_attempt: PayloadNumber | None = None
    run_started_at: PayloadTime | None = None
    created_at: PayloadTime | None = None


class WorkflowRunEvent(ActionEvent):
    workflow_run: WorkflowRunPayload
    repository: RepositoryPayload
    workflow: WorkflowPayload | None = None


class LabelPayload(Payload):
    name: PayloadText


class UserPayload(Payload):
    login: PayloadText | None = None
    type: PayloadText | None = None


class BranchPayload(Payload):
    ref: PayloadText


class PullRequestPayload(Payload):
    number: PayloadNumber
    base: BranchPayload
    head: BranchPayload | None = None
    merged: PayloadFlag | None = None
    merge_commit_sha: PayloadText | None = None
    title: PayloadText | None = None
    body: PayloadText | None = None
    user: UserPayload | None = None
    labels: tuple[LabelPayload, ...] | None = None
    created_at: PayloadTime | None = None
    updated_at: PayloadTime | None = None
    closed_at: PayloadTime | None = None
    merged_at: PayloadTime | None = None
    html_url: PayloadText | None = None


class PullRequestEvent(ActionEvent):
    pull_request: PullRequestPayload
    repository: RepositoryPayload


class ReleasePayload(Payload):
    id: PayloadId
    tag_name: PayloadText
    draft: PayloadFlag = False
    prerelease: PayloadFlag = False
    published_at: PayloadTime | None = None
    updated_at: PayloadTime | None = None
    html_url: PayloadText | None = None


class ReleaseEvent(ActionEvent):
    release: ReleasePayload


class IssuePayload(Payload):
    number: PayloadNumber
    created_at: PayloadTime
    updated_at: PayloadTime
    closed_at: PayloadTime | None = None
    state: PayloadText | None = None
    state_reason: PayloadText | None = None
    title: PayloadText | None = None
    body: PayloadText | None = None
    labels: tuple[LabelPayload, ...] | None = None
    pull_request: object = None
    html_url: PayloadText | None = None


class PreviousIssuePayload(Payload):
    created_at: PayloadTime
    body: PayloadText | None = None


class IssueChangesPayload(Payload):
    old_issue: PreviousIssuePayload | None = None


class IssuesEvent(ActionEvent):
    issue: IssuePayload
    label: LabelPayload | None = None
    changes: IssueChangesPayload | None = None


class AlertPayload(Payload):
    """Fields that all kinds of security alerts share."""

    number: PayloadNumber
    created_at: PayloadTime
    updated_at: PayloadTime | None = None
    state: PayloadText | None = None
    html_url: PayloadText | None = None

    @property
    def changed_at(self) -> datetime:
        """Time of the last change; the creation time if there was none."""
        return self.updated_at or self.created_at


class PackagePayload(Payload):
    name: PayloadText | None = None


class DependencyPayload(Payload):
    package: PackagePayload | None = None
    manifest_path: PayloadText | None = None


class SeverityPayload(Payload):
    severity: PayloadText | None = None


class DependabotAlertPayload(AlertPayload):
    dependency: DependencyPayload | None = None
    security_vulnerability: SeverityPayload | None = None
    security_advisory: SeverityPayload | None = None
    fixed_at: PayloadTime | None = None
    dismissed_at: PayloadTime | None = None
    auto_dismissed_at: PayloadTime | None = None

    @property
    def package(self) -> str | None:
        package = self.dependency and self.dependency.package
        return package.name if package else None

    @property
    def path(self) -> str | None:
        """The manifest that requires the package."""
        return self.dependency.manifest_path if self.dependency else None

    @property
    def severity(self) -> str | None:
        """Severity of the package in this version, or else of the advisory."""
        ratings = (self.security_vulnerability, self.security_advisory)
        return next((rating.severity for rating in ratings if rating and rating.severity), None)


class CodeScanningRulePayload(Payload):
    id: PayloadText | None = None
    name: PayloadText | None = None
    security_severity_level: PayloadText | None = None


class LocationPayload(Payload):
    path: PayloadText | None = None


class AlertInstancePayload(Payload):
    ref: PayloadText | None = None
    location: LocationPayload | None = None


class CodeScanningAlertPayload(AlertPayload):
    rule: CodeScanningRulePayload
    most_recent_instance: AlertInstancePayload | None = None
    fixed_at: PayloadTime | None = None
    dismissed_at: PayloadTime | None = None

    @property
    def path(self) -> str | None:
        """The file that the alert is about."""
        location = self.most_recent_instance and self.most_recent_instance.location
        return location.path if location else None


class SecretScanningAlertPayload(AlertPayload):
    """A leaked secret, without the secret itself and without the internal name of its type."""

    secret_type_display_name: PayloadText | None = None
    resolution: PayloadText | None = None
    resolved_at: PayloadTime | None = None


class HeadCommitPayload(Payload):
    timestamp: PayloadTime


class PushEvent(Payload):
    ref: PayloadText
    after: PayloadText
    repository: RepositoryPayload
    deleted: PayloadFlag = False
    forced: PayloadFlag = False
    head_commit: HeadCommitPayload | None = None


class DispatchEvent(ActionEvent):
    client_payload: dict[str, object] | None = None
