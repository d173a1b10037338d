"""The parts of GitHub's event payloads that are read; everything else is ignored.

A field is required only where nothing could be said without it. Schemas: @octokit/webhooks-schemas.

Reading JSON from strangers: pydantic does it, and its problems are reworded without the values.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dora_metrics.core import windows
from dora_metrics.errors import EventError
from dora_metrics.github import text


def _time(value: object) -> object:
    try:
        return windows.instant(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("a time such as 2026-11-21T12:00:00Z") from None


def _moment(value: object) -> datetime | None:
    """A time as a text or in seconds since 1970; None where it is neither."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return windows.instant(datetime.fromtimestamp(value, UTC).isoformat())
        return windows.instant(value if isinstance(value, str) else "")
    except (ValueError, OverflowError, OSError):
        return None


Text = Annotated[str, BeforeValidator(text.clean)]
Number = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Flag = Annotated[bool, Field(strict=True)]
Time = Annotated[datetime, BeforeValidator(_time)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]


class Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _missing_as_null(cls, data: object) -> object:
        """A required field that is missing fails by its type, so that the problem says what was expected."""
        if not isinstance(data, Mapping):
            return data
        return {**{name: None for name, field in cls.model_fields.items() if field.is_required()}, **data}


Model = TypeVar("Model", bound=Payload)


def read(model: type[Model], payload: Mapping[str, object], place: str = "") -> Model:
    """The payload as `model`; `place` is where it was found, as in `client_payload.`.

    Raises:
        EventError: with every field that is wrong, what was expected there, and what is there instead.
    """
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    raise EventError(
        [place + _worded(payload, detail["loc"], detail["type"], detail.get("ctx", {})) for detail in details]
    )


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "greater_than_equal": "a whole number of 0 or more",
    "less_than": "a smaller number",
    "bool_type": "true or false",
    "model_type": "an object",
    "string_too_short": "a text that is not empty",
    "dict_type": "an object",
    "tuple_type": "a list",
}


def _worded(payload: object, place: Sequence[str | int], problem: str, context: Mapping[str, object]) -> str:
    match problem:
        case "value_error":
            expected = str(context["error"])
        case "literal_error":
            expected = "one of " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
        case _:
            expected = _EXPECTED.get(problem, "something else")
    return f"{'.'.join(map(str, place))}: expected {expected}, {_found(payload, place)}"


def _found(payload: object, place: Sequence[str | int]) -> str:
    """What stands at a place, by its type: values may be anything, and are nobody's business."""
    for step in place:
        match payload:
            case Mapping() if step in payload:
                payload = payload[step]
            case list() if isinstance(step, int):
                payload = payload[step]
            case _:
                return "it is missing"
    return f"it is {_KINDS.get(type(payload), 'something else')}"


_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "another number",
    float: "another number",
    str: "another text",
    list: "a list",
    dict: "an object",
}


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
